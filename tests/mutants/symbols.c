// SPDX-License-Identifier: MIT
//
// Instead of a sanitizer's runtime: names in the reports of mutants, which nobody reads.
#include <stddef.h>

void __sanitizer_symbolize_pc(void *pc, const char *format, char *out, size_t size);
void __sanitizer_symbolize_pc(void *pc, const char *format, char *out, size_t size)
{
    (void)pc, (void)format;
    if (size > 0)
        out[0] = '\0';
}
