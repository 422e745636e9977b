// SPDX-License-Identifier: MIT
//
// Cache maintenance by address, for code and for devices that do not snoop. Line sizes and what
// is needed at all come from CTR_EL0 (DDI 0487, D19.2.34).
#include <arch/arch.h>

static uint64_t cache_type(void)
{
    uint64_t type;
    __asm__("mrs %0, ctr_el0" : "=r"(type));
    return type;
}

static uint64_t data_line(void)
{
    return 4ull << (cache_type() >> 16 & 0xf);
}

void arch_code_sync(void *start, size_t bytes)
{
    const uint64_t type = cache_type();
    const uint64_t from = (uint64_t)start, end = from + bytes;

    if ((type & 1u << 28) == 0) { // IDC: the instruction side sees the data side without cleaning
        const uint64_t line = data_line();
        for (uint64_t at = align_down(from, line); at < end; at += line)
            __asm__ volatile("dc cvau, %0" ::"r"(at) : "memory");
    }
    __asm__ volatile("dsb ish" ::: "memory");
    if ((type & 1u << 29) == 0) { // DIC
        // An instruction cache that is not physically tagged and indexed holds the code under
        // its user address as well, which an invalidation by our address would miss.
        if ((type >> 14 & 3) != 3) {
            __asm__ volatile("ic ialluis" ::: "memory");
        } else {
            const uint64_t line = 4ull << (type & 0xf);
            for (uint64_t at = align_down(from, line); at < end; at += line)
                __asm__ volatile("ic ivau, %0" ::"r"(at) : "memory");
        }
        __asm__ volatile("dsb ish" ::: "memory");
    }
    __asm__ volatile("isb" ::: "memory");
}

void arch_dma_clean(const void *start, size_t bytes)
{
    const uint64_t line = data_line(), from = (uint64_t)start, end = from + bytes;
    for (uint64_t at = align_down(from, line); at < end; at += line)
        __asm__ volatile("dc cvac, %0" ::"r"(at) : "memory");
    __asm__ volatile("dsb sy" ::: "memory");
}

// A line that lies inside the range only in part is cleaned first: the rest of it is not ours
// to discard.
void arch_dma_invalidate(const void *start, size_t bytes)
{
    const uint64_t line = data_line(), from = (uint64_t)start, end = from + bytes;
    for (uint64_t at = align_down(from, line); at < end; at += line) {
        if (at < from || end - at < line)
            __asm__ volatile("dc civac, %0" ::"r"(at) : "memory");
        else
            __asm__ volatile("dc ivac, %0" ::"r"(at) : "memory");
    }
    __asm__ volatile("dsb sy" ::: "memory");
}
