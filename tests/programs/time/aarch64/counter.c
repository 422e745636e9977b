// SPDX-License-Identifier: MIT
//
// AArch64: the virtual counter. The barrier keeps it from being read early.
#include "../counter.h"

uint64_t counter_read(void)
{
    uint64_t value;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value)::"memory");
    return value;
}
