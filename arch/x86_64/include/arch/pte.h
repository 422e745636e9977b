// SPDX-License-Identifier: MIT
//
// Page-table entries of x86_64 (Intel SDM volume 3, 4.5):
//
//   63 62      52 51                12 11   9  8 7  6 5 4   3   2 1 0
//  +--+----------+--------------------+------+--+--+-+-+---+---+-+-+-+
//  |XD|    0     |      address       |  0   |G |PS|D|A|PCD|PWT|U|W|P|
//  +--+----------+--------------------+------+--+--+-+-+---+---+-+-+-+
//
// A leaf for user space has U, and X where XD is clear; SMEP keeps the kernel from executing it.
// The format has no unreadable present page: EXECUTE and WRITE imply READ.
#pragma once

#include <stdint.h>

#include <abi/layout.h>
#include <lib/types.h>

typedef struct {
    uint64_t value;
} pte_t;

constexpr unsigned ARCH_KERNEL_TABLE_SLOTS = 256; // the upper half of every root table

constexpr uint64_t PTE_PRESENT = 1u << 0;
constexpr uint64_t PTE_WRITE = 1u << 1;
constexpr uint64_t PTE_USER = 1u << 2;
constexpr uint64_t PTE_WRITE_THROUGH = 1u << 3;
constexpr uint64_t PTE_CACHE_DISABLE = 1u << 4;
constexpr uint64_t PTE_ACCESSED = 1u << 5;
constexpr uint64_t PTE_DIRTY = 1u << 6;
constexpr uint64_t PTE_LARGE = 1u << 7; // levels 1 and 2: a page of 2 MiB or 1 GiB
constexpr uint64_t PTE_GLOBAL = 1u << 8;
constexpr uint64_t PTE_NO_EXECUTE = 1ull << 63;
constexpr uint64_t PTE_ADDRESS = 0x000f'ffff'ffff'f000;

// Strong uncacheable, with the page attribute table as the processor resets it.
constexpr uint64_t PTE_UNCACHED = PTE_WRITE_THROUGH | PTE_CACHE_DISABLE;

enum arch_memory : uint8_t;

static inline pte_t pte_none(void)
{
    return (pte_t){0};
}

static inline bool pte_present(pte_t entry)
{
    return (entry.value & PTE_PRESENT) != 0;
}

static inline paddr_t pte_address(pte_t entry)
{
    return (paddr_t){entry.value & PTE_ADDRESS};
}

static inline uint64_t pte_protection(pte_t entry)
{
    uint64_t protection = PROT_READ;
    if ((entry.value & PTE_WRITE) != 0)
        protection |= PROT_WRITE;
    if ((entry.value & PTE_NO_EXECUTE) == 0)
        protection |= PROT_EXECUTE;
    return protection;
}

static inline pte_t pte_make_table(paddr_t table)
{
    return (pte_t){table.value | PTE_USER | PTE_WRITE | PTE_PRESENT};
}

// Accessed and dirty are set from the start: nobody reads them, and the processor need not write.
static inline pte_t pte_make_page(paddr_t page, uint64_t protection, enum arch_memory memory)
{
    uint64_t value = page.value | PTE_DIRTY | PTE_ACCESSED | PTE_USER | PTE_PRESENT;
    if ((protection & PROT_WRITE) != 0)
        value |= PTE_WRITE;
    if ((protection & PROT_EXECUTE) == 0)
        value |= PTE_NO_EXECUTE;
    if ((unsigned)memory != 0) // ARCH_MEMORY_DEVICE
        value |= PTE_UNCACHED;
    return (pte_t){value};
}

// The same bit of a page's entry selects a memory type that no entry of ours has.
static inline bool pte_large(pte_t entry)
{
    return (entry.value & PTE_LARGE) != 0;
}

static inline pte_t pte_make_large(paddr_t page, uint64_t protection, enum arch_memory memory)
{
    return (pte_t){pte_make_page(page, protection, memory).value | PTE_LARGE};
}
