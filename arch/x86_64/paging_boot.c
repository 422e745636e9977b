// SPDX-License-Identifier: MIT
//
// Makes the kernel's own page tables: the direct map of RAM with the largest pages that fit, the
// image by section (M5: never writable and executable), the device window. Every user root
// table copies the slots that are filled here; they do not change afterwards.
//
// The tables of start.S, which map the first part of RAM, are in force while this works.
#include <arch/boot.h>
#include <arch/instructions.h>

#include "paging.h"

// The sections of the image, page-aligned (kernel.ld). Between data and stack lies the guard.
extern char image_text[], image_text_end[], image_rodata[], image_rodata_end[];
extern char image_data[], image_data_end[], image_stack[], image_stack_end[];

static struct {
    uint64_t next, end; // room for tables
    uint64_t root;
    unsigned direct_slots; // how many slots of the root, from 256 on, the direct map uses
    bool huge_pages;       // the processor has pages of 1 GiB
} paging;

static pte_t *table_at(uint64_t physical)
{
    return arch_ram((paddr_t){physical});
}

// Returns the physical address of a zeroed table; 0: no room.
static uint64_t table_allocate(void)
{
    if (paging.end - paging.next < PAGE_SIZE)
        return 0;
    const uint64_t table = paging.next;
    paging.next += PAGE_SIZE;
    arch_zero_page(table_at(table));
    return table;
}

// The entry of `level` for `address`, its tables made as needed; nullptr: no room.
static pte_t *entry_for(uint64_t address, unsigned level)
{
    pte_t *table = table_at(paging.root);
    for (unsigned at = 3; at > level; at--) {
        pte_t *entry = &table[table_index(address, at)];
        if (!pte_present(*entry)) {
            const uint64_t made = table_allocate();
            if (made == 0)
                return nullptr;
            *entry = kernel_table(made);
        }
        table = table_at(pte_address(*entry).value);
    }
    return &table[table_index(address, level)];
}

void arch_paging_begin(uint64_t start, uint64_t end)
{
    paging.next = start;
    paging.end = end;
    paging.huge_pages = (cpuid_leaf(0x8000'0001).edx & 1u << 26) != 0;
    paging.root = table_allocate();
}

bool arch_paging_map_ram(uint64_t start, uint64_t end)
{
    constexpr uint64_t slot_bytes = 1ull << 39;
    if (paging.root == 0 || end > LAYOUT_DIRECT_MAP_SLOTS * slot_bytes)
        return false;
    for (uint64_t at = start; at < end;) {
        unsigned level = 0;
        if (paging.huge_pages && at % HUGE_PAGE == 0 && end - at >= HUGE_PAGE)
            level = 2;
        else if (at % LARGE_PAGE == 0 && end - at >= LARGE_PAGE)
            level = 1;
        const uint64_t step = 1ull << (PAGE_SHIFT + 9 * level);
        const uint64_t next_size = step * TABLE_ENTRIES; // where a larger page may fit
        const uint64_t bits =
            (level != 0 ? PTE_LARGE : 0) | PTE_KERNEL | PTE_WRITE | PTE_NO_EXECUTE;
        pte_t *entry = entry_for(LAYOUT_DIRECT_MAP + at, level);
        if (entry == nullptr)
            return false;
        // The rest of this table, in one run.
        do {
            (entry++)->value = at | bits;
            at += step;
        } while (at % next_size != 0 && end - at >= step);
    }
    const unsigned slots = (unsigned)((end + slot_bytes - 1) / slot_bytes);
    if (slots > paging.direct_slots)
        paging.direct_slots = slots;
    return true;
}

static bool map_section(const char *start, const char *end, uint64_t bits)
{
    for (uint64_t at = (uint64_t)start; at < (uint64_t)end; at += PAGE_SIZE) {
        pte_t *entry = entry_for(at, 0);
        if (entry == nullptr)
            return false;
        entry->value = (at - LAYOUT_IMAGE) | PTE_KERNEL | bits;
    }
    return true;
}

bool arch_paging_finish(uint64_t *used_end)
{
    // A direct-map slot that no RAM needs stays empty for ever, so only present ones matter.
    if (paging.root == 0 || !map_section(image_text, image_text_end, 0) ||
        !map_section(image_rodata, image_rodata_end, PTE_NO_EXECUTE) ||
        !map_section(image_data, image_data_end, PTE_NO_EXECUTE | PTE_WRITE) ||
        !map_section(image_stack, image_stack_end, PTE_NO_EXECUTE | PTE_WRITE))
        return false;
    x86_window_init();
    table_at(paging.root)[table_index(LAYOUT_DEVICE_WINDOW, 3)] =
        kernel_table(image_physical(x86_window_root));
    *used_end = paging.next;

    // The old tables' pages are not global, so this forgets them all.
    cr3_write(paging.root);
    return true;
}

void arch_root_init(pte_t *root)
{
    const pte_t *kernel = table_at(paging.root);
    const unsigned direct = table_index(LAYOUT_DIRECT_MAP, 3);
    for (unsigned slot = direct; slot < direct + paging.direct_slots; slot++)
        root[slot] = kernel[slot];
    const unsigned window = table_index(LAYOUT_DEVICE_WINDOW, 3);
    const unsigned image = table_index(LAYOUT_IMAGE, 3);
    root[window] = kernel[window];
    root[image] = kernel[image];
}
