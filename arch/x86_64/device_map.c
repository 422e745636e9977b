// SPDX-License-Identifier: MIT
//
// The device window: 1 GiB of kernel addresses for device registers (uncached, writable) and
// firmware tables (cached, read-only), never executable. Its tables are part of the image, so
// that it works from the platform's start on and needs no allocator later. Mappings stay for
// ever; what is asked for again is found again. The stacks of the other CPUs lie here, too, each
// above a page that is not mapped.
//
// Called on one CPU at a time: at boot, and later under the kernel's lock of whoever mints.
#include "paging.h"

constexpr unsigned WINDOW_TABLES = 16; // of 4 KiB pages: 32 MiB; larger pages need none
constexpr unsigned WINDOW_MAPPINGS = 128;

[[gnu::aligned(4096)]] pte_t x86_window_root[TABLE_ENTRIES];
[[gnu::aligned(4096)]] static pte_t window_directory[TABLE_ENTRIES];
[[gnu::aligned(4096)]] static pte_t window_tables[WINDOW_TABLES][TABLE_ENTRIES];

struct window_mapping {
    uint64_t physical, bytes, offset;
    enum arch_memory memory;
};

static struct {
    uint64_t used; // bytes of the window, from its start
    unsigned tables;
    unsigned count;
    struct window_mapping mappings[WINDOW_MAPPINGS];
} window;

void x86_window_init(void)
{
    x86_window_root[table_index(LAYOUT_DEVICE_WINDOW, 2)] =
        kernel_table(image_physical(window_directory));
}

static const struct window_mapping *window_find(uint64_t physical, uint64_t bytes,
                                                enum arch_memory memory)
{
    for (unsigned i = 0; i < window.count; i++) {
        const struct window_mapping *m = &window.mappings[i];
        if (m->memory == memory && physical >= m->physical && physical - m->physical < m->bytes &&
            bytes <= m->bytes - (physical - m->physical))
            return m;
    }
    return nullptr;
}

static bool is_large(uint64_t offset, uint64_t physical, uint64_t room)
{
    return offset % LARGE_PAGE == 0 && physical % LARGE_PAGE == 0 && room >= LARGE_PAGE;
}

// How many tables of 4 KiB pages the mapping needs that are not there yet.
static unsigned tables_needed(uint64_t offset, uint64_t physical, uint64_t bytes)
{
    unsigned needed = 0;
    for (uint64_t at = 0; at < bytes;) {
        const uint64_t step = LARGE_PAGE - (offset + at) % LARGE_PAGE;
        if (!is_large(offset + at, physical + at, bytes - at) &&
            !pte_present(window_directory[(offset + at) / LARGE_PAGE]))
            needed++;
        at += step;
    }
    return needed;
}

static void window_fill(uint64_t offset, uint64_t physical, uint64_t bytes, uint64_t bits)
{
    for (uint64_t at = 0; at < bytes;) {
        pte_t *directory = &window_directory[(offset + at) / LARGE_PAGE];
        if (is_large(offset + at, physical + at, bytes - at)) {
            directory->value = (physical + at) | PTE_LARGE | bits;
            at += LARGE_PAGE;
            continue;
        }
        if (!pte_present(*directory))
            *directory = kernel_table(image_physical(window_tables[window.tables++]));
        pte_t *table = (pte_t *)(LAYOUT_IMAGE + pte_address(*directory).value);
        table[table_index(offset + at, 0)].value = (physical + at) | bits;
        at += PAGE_SIZE;
    }
}

void *arch_stack_map(uint32_t cpu, paddr_t memory)
{
    (void)cpu;
    const uint64_t offset = window.used + PAGE_SIZE; // the guard
    if (offset + ARCH_STACK_MEMORY > HUGE_PAGE ||
        tables_needed(offset, memory.value, ARCH_STACK_MEMORY) > WINDOW_TABLES - window.tables)
        return nullptr;
    for (uint64_t at = 0; at < ARCH_STACK_MEMORY; at += PAGE_SIZE) // never one large page
        window_fill(offset + at, memory.value + at, PAGE_SIZE,
                    PTE_WRITE | PTE_KERNEL | PTE_NO_EXECUTE);
    window.used = offset + ARCH_STACK_MEMORY;
    return (void *)(LAYOUT_DEVICE_WINDOW + window.used);
}

void *arch_device_map(paddr_t address, size_t bytes, enum arch_memory memory)
{
    if (bytes == 0 || bytes > HUGE_PAGE || address.value > PTE_ADDRESS - bytes)
        return nullptr;
    const uint64_t physical = align_down(address.value, PAGE_SIZE);
    const uint64_t length = align_up(address.value + bytes, PAGE_SIZE) - physical;

    const struct window_mapping *found = window_find(physical, length, memory);
    if (found == nullptr) {
        // A large one lies in its large page as it does in physical memory.
        uint64_t offset = window.used;
        if (length >= LARGE_PAGE)
            offset = align_up(offset, LARGE_PAGE) + physical % LARGE_PAGE;
        if (window.count == WINDOW_MAPPINGS || offset + length > HUGE_PAGE ||
            tables_needed(offset, physical, length) > WINDOW_TABLES - window.tables)
            return nullptr;

        const uint64_t bits = memory == ARCH_MEMORY_DEVICE ? PTE_UNCACHED | PTE_WRITE : 0;
        window_fill(offset, physical, length, bits | PTE_KERNEL | PTE_NO_EXECUTE);
        window.used = offset + length;
        window.mappings[window.count] = (struct window_mapping){physical, length, offset, memory};
        found = &window.mappings[window.count++];
    }
    return (void *)(LAYOUT_DEVICE_WINDOW + found->offset + (address.value - found->physical));
}
