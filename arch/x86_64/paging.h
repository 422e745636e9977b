// SPDX-License-Identifier: MIT
//
// What the two makers of kernel page tables share.
#pragma once

#include <arch/arch.h>

constexpr unsigned TABLE_ENTRIES = 512;
constexpr uint64_t LARGE_PAGE = 1ull << 21;
constexpr uint64_t HUGE_PAGE = 1ull << 30;

// Kernel leaves: global, with accessed and dirty set, so that the processor never writes them.
constexpr uint64_t PTE_KERNEL = PTE_GLOBAL | PTE_DIRTY | PTE_ACCESSED | PTE_PRESENT;

// The index into the table of `level` (3: root) that translates `address`.
static inline unsigned table_index(uint64_t address, unsigned level)
{
    return address >> (12 + 9 * level) & (TABLE_ENTRIES - 1);
}

// A table of kernel space: no user bit.
static inline pte_t kernel_table(uint64_t physical)
{
    return (pte_t){physical | PTE_WRITE | PTE_PRESENT};
}

// Of an object in the kernel's image.
static inline uint64_t image_physical(const void *object)
{
    return (uint64_t)object - LAYOUT_IMAGE;
}

// The device window's table of level 2, part of the image.
extern pte_t x86_window_root[TABLE_ENTRIES];
void x86_window_init(void);
