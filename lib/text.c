// SPDX-License-Identifier: MIT
//
// What the standard's string functions lack. See string.h.
#include <lib/string.h>

bool text_copy(char *to, size_t size, const char *from)
{
    size_t length = strnlen(from, size);
    bool whole = length < size;
    if (!whole)
        length = size - 1;
    memcpy(to, from, length);
    to[length] = 0;
    return whole;
}
