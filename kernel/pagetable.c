// SPDX-License-Identifier: MIT
//
// The one page-table API: four levels of 512 entries, as <arch/arch.h> encodes them. The address
// space is locked by the caller; flushing is the caller's (M6).
#include "frame.h"
#include "vm.h"

static unsigned index_at(uint64_t address, unsigned level)
{
    return (unsigned)(address >> (PAGE_SHIFT + 9 * level)) & 511;
}

// A walk on any CPU may read an entry at any time: it is written whole.
static void entry_write(pte_t *entry, pte_t value)
{
    CHECK(M9, !pte_present(*entry) || !pte_present(value) ||
                  (pte_address(*entry).value == pte_address(value).value &&
                   pte_large(*entry) == pte_large(value)));
    __atomic_store_n(&entry->value, value.value, __ATOMIC_RELAXED);
}

// The entry for `address` in the table of `level`, or nullptr where there is no such table.
static pte_t *entry_at(struct aspace *aspace, uint64_t address, unsigned level)
{
    pte_t *table = arch_ram(aspace->root);
    for (unsigned at = 3; at > level; at--) {
        pte_t entry = table[index_at(address, at)];
        if (!pte_present(entry))
            return nullptr;
        table = arch_ram(pte_address(entry));
    }
    return &table[index_at(address, level)];
}

// The same, with tables added from what was reserved.
static pte_t *entry_made(struct aspace *aspace, uint64_t address, unsigned level,
                         uint64_t *reserved)
{
    pte_t *table = arch_ram(aspace->root);
    for (unsigned at = 3; at > level; at--) {
        pte_t *entry = &table[index_at(address, at)];
        if (!pte_present(*entry)) {
            ASSERT(*reserved > 0);
            (*reserved)--;
            aspace->table_pages++;
            paddr_t page = frame_allocate(FRAME_TABLE, &aspace->object);
            arch_table_sync(); // the zeros, before a walk can reach them
            entry_write(entry, pte_make_table(page));
        }
        CHECK(M2, !pte_large(*entry));
        table = arch_ram(pte_address(*entry));
    }
    return &table[index_at(address, level)];
}

// The entry that shows an address, or could: a large page's, where no table stands.
static pte_t *leaf_at(struct aspace *aspace, uint64_t address)
{
    pte_t *entry = entry_at(aspace, address, 1);
    if (!entry || !pte_present(*entry) || pte_large(*entry))
        return entry;
    return (pte_t *)arch_ram(pte_address(*entry)) + index_at(address, 0);
}

uint64_t pagetable_missing(struct aspace *aspace, uint64_t address, uint64_t pages, bool large)
{
    uint64_t missing = 0, end = address + (pages << PAGE_SHIFT);
    for (unsigned level = 1; level <= 3; level++) {
        uint64_t span = (uint64_t)PAGE_SIZE << (9 * level);
        if (level > 1 && missing == 0 && !large)
            break; // every table hangs in those above it
        for (uint64_t at = align_down(address, span); at < end; at += span) {
            if (level == 1 && large && at >= address && end - at >= span)
                continue;
            pte_t *entry = entry_at(aspace, at, level);
            if (!entry || !pte_present(*entry))
                missing++;
        }
    }
    return missing;
}

void pagetable_set(struct aspace *aspace, uint64_t address, const paddr_t *pages, unsigned count,
                   uint64_t protection, enum arch_memory memory, uint64_t *reserved)
{
    pte_t *entry = entry_made(aspace, address, 0, reserved);
    ASSERT(index_at(address, 0) + count <= 512);
    for (unsigned i = 0; i < count; i++) {
        pte_t leaf = pte_make_page(pages[i], protection, memory);
        CHECK(M2, !pte_present(entry[i]));
        CHECK(M5,
              (pte_protection(leaf) & (PROT_WRITE | PROT_EXECUTE)) != (PROT_WRITE | PROT_EXECUTE));
        entry_write(&entry[i], leaf);
    }
    frame_of(arch_ram_address(entry))->mappings += count;
    aspace->pages += count;
}

bool pagetable_take_empty(struct aspace *aspace, uint64_t address, paddr_t *table)
{
    pte_t *entry = entry_at(aspace, address, 1);
    if (!entry || !pte_present(*entry) || SEEDED_BUG("M9"))
        return false;
    CHECK(M2, !pte_large(*entry) && frame_of(pte_address(*entry))->mappings == 0);
    *table = pte_address(*entry);
    entry_write(entry, pte_none());
    aspace->table_pages--;
    return true;
}

void pagetable_set_large(struct aspace *aspace, uint64_t address, pte_t leaf, uint64_t *reserved)
{
    pte_t *entry = entry_made(aspace, address, 1, reserved);
    CHECK(M5, (pte_protection(leaf) & (PROT_WRITE | PROT_EXECUTE)) != (PROT_WRITE | PROT_EXECUTE));
    entry_write(entry, leaf);
    aspace->pages += LARGE_PAGES;
    aspace->large_pages++;
}

void pagetable_change(struct aspace *aspace, uint64_t address, pte_t leaf)
{
    pte_t *entry = leaf_at(aspace, address);
    CHECK(M2, entry && pte_present(*entry) && pte_address(*entry).value == pte_address(leaf).value);
    CHECK(M5, (pte_protection(leaf) & (PROT_WRITE | PROT_EXECUTE)) != (PROT_WRITE | PROT_EXECUTE));
    entry_write(entry, leaf);
}

pte_t pagetable_get(struct aspace *aspace, uint64_t address)
{
    pte_t *entry = leaf_at(aspace, address);
    return entry ? *entry : pte_none();
}

uint64_t pagetable_clear(struct aspace *aspace, uint64_t address, unsigned count)
{
    pte_t *entry = leaf_at(aspace, address);
    CHECK(M2, entry && pte_present(*entry));
    uint64_t pages = count;
    if (pte_large(*entry)) {
        pages = LARGE_PAGES;
        count = 1;
        aspace->large_pages--;
    } else {
        ASSERT(count <= index_at(address, 0) + 1);
        frame_of(arch_ram_address(entry))->mappings -= count;
    }
    for (unsigned i = 0; i < count; i++, entry--) {
        CHECK(M2, pte_present(*entry));
        if (!SEEDED_BUG("M6"))
            entry_write(entry, pte_none());
        CHECK(M6, !pte_present(*entry));
    }
    aspace->pages -= pages;
    return pages;
}

bool pagetable_free_one(struct aspace *aspace, unsigned *looked)
{
    pte_t *table = arch_ram(aspace->root);
    pte_t *link = nullptr;
    unsigned level = 3;
    // Goes down the first present entry of each table until one has no tables below.
    for (;;) {
        pte_t *found = nullptr;
        for (unsigned i = 0; level > 0 && i < 512 - (level == 3 ? ARCH_KERNEL_TABLE_SLOTS : 0);
             i++) {
            (*looked)++;
            if (pte_present(table[i])) {
                found = &table[i];
                break;
            }
        }
        if (!found)
            break;
        link = found;
        table = arch_ram(pte_address(*found));
        level--;
    }
    if (!link)
        return false;
    paddr_t page = pte_address(*link);
    entry_write(link, pte_none());
    frame_free(page);
    ASSERT(aspace->table_pages > 0);
    aspace->table_pages--;
    return true;
}
