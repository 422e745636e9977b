// SPDX-License-Identifier: MIT
//
// What one step of a mapping's operations does: entries are set, changed and cleared, frames held
// and let go of. See mapping.h.
#include "frame.h"
#include "mapping.h"

static paddr_t page_of(const struct mapping *mapping, uint64_t page)
{
    return mapping->vmo ? vmo_page(mapping->vmo, mapping->offset_pages + page) : mapping->buffer;
}

static enum arch_memory memory_of(const struct mapping *mapping)
{
    const struct vmo *vmo = mapping->vmo;
    return vmo && vmo->device && !vmo->tables ? ARCH_MEMORY_DEVICE : ARCH_MEMORY_NORMAL;
}

static uint64_t protection_of(const struct mapping *mapping)
{
    return mapping->protection | (SEEDED_BUG("M2") ? PROT_WRITE : 0);
}

// Sets entries of one table, the next ones. The address space and the VMO are locked.
static void set_pages(struct mapping *mapping, unsigned count) NO_THREAD_SAFETY
{
    struct vmo *vmo = mapping->vmo;
    paddr_t pages[VM_STEP_COST];
    pages[0] = mapping->buffer;
    if (vmo)
        vmo_frames(vmo, mapping->offset_pages + mapping->cursor, count, pages);
    if (mapping->protection & PROT_EXECUTE)
        for (unsigned i = 0; i < count; i++)
            arch_code_sync(arch_ram(pages[i]), PAGE_SIZE);
    if ((!vmo || !vmo->device) && !SEEDED_BUG("M3"))
        frames_mapped(pages, count);
    pagetable_set(mapping->aspace, mapping_address(mapping, mapping->cursor), pages, count,
                  protection_of(mapping), memory_of(mapping), &mapping->charged_tables);
    mapping->cursor += count;
    mapping->held += count;
}

// Whether the next pages, of which there are enough, can be a large one. Where they need not lie side by side it costs a look at
// each, but only where the first lies as a large page would.
static bool large_next(const struct mapping *mapping)
{
    uint64_t address = mapping_address(mapping, mapping->cursor);
    return address % LARGE_BYTES == 0 &&
           page_of(mapping, mapping->cursor).value % LARGE_BYTES == 0 &&
           vmo_adjacent(mapping->vmo, mapping->offset_pages + mapping->cursor, LARGE_PAGES);
}

static void set_large(struct mapping *mapping) NO_THREAD_SAFETY
{
    paddr_t first = page_of(mapping, mapping->cursor);
    pagetable_set_large(mapping->aspace, mapping_address(mapping, mapping->cursor),
                        pte_make_large(first, protection_of(mapping), memory_of(mapping)),
                        &mapping->charged_tables);
    if (!mapping->vmo->device) {
        struct frame *frames = frame_of(first);
        for (unsigned i = 0; i < LARGE_PAGES; i++)
            frames[i].mappings++;
    }
    mapping->cursor += LARGE_PAGES;
    mapping->held += LARGE_PAGES;
}

// Before a large entry shows code: a part of its pages, as far as `*budget` goes. false: that is not all.
static bool sync_large(struct mapping *mapping, uint64_t page, unsigned *budget)
{
    if (!(mapping->protection & PROT_EXECUTE))
        return true;
    if (mapping->synced < page)
        mapping->synced = page;
    for (; *budget >= VM_CODE_COST && mapping->synced < page + LARGE_PAGES; mapping->synced++) {
        arch_code_sync(arch_ram(page_of(mapping, mapping->synced)), PAGE_SIZE);
        *budget -= VM_CODE_COST;
    }
    return mapping->synced == page + LARGE_PAGES;
}

// Changes the next entry: one page, or a large one once all of its code can be fetched.
static void change_entry(struct mapping *mapping, unsigned *budget)
{
    uint64_t page = mapping->changed, address = mapping_address(mapping, page);
    paddr_t frame = page_of(mapping, page);
    uint64_t protection = protection_of(mapping);
    enum arch_memory memory = memory_of(mapping);
    if (pte_large(pagetable_get(mapping->aspace, address))) {
        if (!sync_large(mapping, page, budget) || *budget < VM_CODE_COST)
            return;
        pagetable_change(mapping->aspace, address, pte_make_large(frame, protection, memory));
        mapping->changed += LARGE_PAGES;
    } else {
        if (mapping->protection & PROT_EXECUTE)
            arch_code_sync(arch_ram(frame), PAGE_SIZE);
        pagetable_change(mapping->aspace, address, pte_make_page(frame, protection, memory));
        mapping->changed++;
    }
    *budget -= VM_CODE_COST;
}

void mapping_change_some(struct mapping *mapping)
{
    unsigned budget = VM_STEP_COST;
    while (budget >= VM_CODE_COST && mapping->changed < mapping->pages)
        change_entry(mapping, &budget);
}

void mapping_set_some(struct mapping *mapping)
{
    unsigned budget = VM_STEP_COST, cost = mapping->protection & PROT_EXECUTE ? VM_CODE_COST : 1;
    while (mapping->cursor < mapping->pages && budget >= cost) {
        uint64_t count = mapping->pages - mapping->cursor;
        if (count >= LARGE_PAGES && large_next(mapping)) {
            if (!sync_large(mapping, mapping->cursor, &budget) || budget < VM_LARGE_COST)
                return;
            if (pagetable_take_empty(mapping->aspace, mapping_address(mapping, mapping->cursor),
                                     &mapping->old_table))
                return;
            set_large(mapping);
            budget -= VM_LARGE_COST;
            continue;
        }
        unsigned some = budget / cost;
        unsigned of_table =
            (unsigned)(LARGE_PAGES -
                       (mapping_address(mapping, mapping->cursor) >> PAGE_SHIFT) % LARGE_PAGES);
        some = some < of_table ? some : of_table;
        some = some < count ? some : (unsigned)count;
        set_pages(mapping, some);
        budget -= some * cost;
    }
}

void mapping_clear_some(struct mapping *mapping)
{
    struct aspace *aspace = mapping->aspace;
    unsigned budget = VM_STEP_COST;
    lock_acquire(&aspace->object.lock);
    while (mapping->cursor > 0 && budget > 0) {
        uint64_t last = mapping_address(mapping, mapping->cursor - 1);
        uint64_t of_table = (last >> PAGE_SHIFT) % LARGE_PAGES + 1;
        uint64_t count = mapping->cursor < of_table ? mapping->cursor : of_table;
        count = count < budget ? count : budget;
        uint64_t cleared = pagetable_clear(aspace, last, (unsigned)count);
        mapping->cursor -= cleared;
        budget -= cleared > count ? 1 : (unsigned)count;
    }
    lock_release(&aspace->object.lock);
}

// Of a block only the counts change: it goes whole.
static void release_of_block(struct mapping *mapping)
{
    uint64_t count = mapping->held < LARGE_PAGES ? mapping->held : LARGE_PAGES;
    mapping->held -= count;
    struct frame *frames = frame_of(page_of(mapping, mapping->held));
    for (uint64_t i = 0; i < count; i++) {
        CHECK(M3, frames[i].mappings > 0);
        frames[i].mappings--;
    }
}

void mapping_release_some(struct mapping *mapping)
{
    struct vmo *vmo = mapping->vmo;
    uint64_t count = mapping->held < VM_STEP_PAGES ? mapping->held : VM_STEP_PAGES;
    if (vmo && vmo->device) { // has no frames
        mapping->held = 0;
        return;
    }
    if (vmo)
        lock_acquire(&vmo->object.lock);
    if (vmo && vmo->block.page) {
        release_of_block(mapping);
        count = 0;
    }
    for (uint64_t i = 0; i < count; i++) {
        mapping->held--;
        paddr_t page = page_of(mapping, mapping->held);
        CHECK(M3, frame_of(page)->mappings > 0);
        frame_of(page)->mappings--;
        if (vmo)
            vmo_page_released_locked(vmo, mapping->offset_pages + mapping->held);
    }
    if (vmo)
        lock_release(&vmo->object.lock);
}
