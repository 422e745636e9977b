// SPDX-License-Identifier: MIT
//
// x86_64: the time-stamp counter. The fence keeps it from being read early.
#include "../counter.h"

uint64_t counter_read(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}
