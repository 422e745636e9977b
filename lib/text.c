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

bool text_option(const char *line, const char *key, char *value, size_t size)
{
    size_t key_length = strlen(key);
    while (*line != 0) {
        const char *end = line;
        while (*end != 0 && *end != ' ')
            end++;
        if (strncmp(line, key, key_length) == 0 && line[key_length] == '=') {
            const char *begin = line + key_length + 1;
            size_t length = (size_t)(end - begin);
            if (length >= size)
                return false;
            memcpy(value, begin, length);
            value[length] = 0;
            return true;
        }
        line = *end == 0 ? end : end + 1;
    }
    return false;
}
