// SPDX-License-Identifier: MIT
//
// The kernel's own page tables, shared by boot_map.c (MMU off) and memory.c (MMU on).
#pragma once

#include <arch/arch.h>

constexpr unsigned TABLE_ENTRIES = 512;

struct page_table {
    alignas(4096) pte_t entries[TABLE_ENTRIES];
};
static_assert(sizeof(struct page_table) == PAGE_SIZE);

// In .bss.boot: written before the MMU is on.
extern struct page_table boot_kernel_root; // TTBR1
extern struct page_table boot_top;         // level 2 of the last root slot: window and image
extern struct page_table boot_window;      // level 1 of the device window
extern struct page_table boot_identity_root;
extern struct page_table secondary_root; // of the other CPUs while they start: the same, kept

// Symbols of kernel.ld and head.S.
extern char _image_start[], _text_end[], _rodata_end[], _image_end[];
extern char boot_emergency_guard[], boot_emergency_top[], boot_stack_guard[];
extern char arch_boot_stack_bottom[];

void boot_map_build(uint64_t image);

// Where secondary_entry (head.S) is in physical memory.
paddr_t secondary_entry_address(void);
paddr_t parked_entry_address(void);

static inline unsigned table_index(uint64_t address, unsigned level)
{
    return (unsigned)(address >> (PAGE_SHIFT + 9 * level)) & (TABLE_ENTRIES - 1);
}

enum kernel_access { KERNEL_EXECUTE, KERNEL_READ, KERNEL_WRITE };

// A leaf of the kernel's half: never for user mode, and writable or executable, never both.
// `block`: of level 1 or 2.
static inline pte_t kernel_leaf(uint64_t physical, enum kernel_access access,
                                enum arch_memory memory, bool block)
{
    uint64_t value = physical | PTE_UXN | PTE_ACCESSED | PTE_INNER_SHAREABLE | PTE_VALID |
                     (uint64_t)memory << PTE_ATTRIBUTE_SHIFT;
    if (!block)
        value |= PTE_TABLE_OR_PAGE;
    if (access != KERNEL_EXECUTE)
        value |= PTE_PXN;
    if (access != KERNEL_WRITE)
        value |= PTE_READ_ONLY;
    return (pte_t){value};
}

static inline pte_t kernel_table(uint64_t physical)
{
    return (pte_t){physical | PTE_TABLE_UXN | PTE_TABLE_OR_PAGE | PTE_VALID};
}
