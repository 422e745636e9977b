// SPDX-License-Identifier: MIT
//
// The kernel's half of the address space after the MMU is on: the direct map of RAM and the
// device window. Mappings are only ever added; nothing here is changed or removed once valid,
// so no invalidation is needed. Tables come from a fixed pool in the image.
//
// Context: the boot CPU alone, or under the kernel's lock for device minting (arch_device_map).
#include <arch/start.h>

#include "mapping.h"

constexpr unsigned POOL_TABLES = 48;
constexpr unsigned WINDOW_REGIONS = 128;
constexpr uint64_t WINDOW_BYTES = 1ull << 30;

static struct page_table pool[POOL_TABLES];
static unsigned pool_used;

struct window_region {
    uint64_t physical, bytes, address;
    enum arch_memory memory;
};
static struct window_region regions[WINDOW_REGIONS];
static unsigned region_count;
static uint64_t window_next = LAYOUT_DEVICE_WINDOW;

static uint64_t image_offset(const void *symbol)
{
    return (uint64_t)symbol - LAYOUT_IMAGE;
}

static uint64_t image_base(void)
{
    uint64_t root;
    __asm__("mrs %0, ttbr1_el1" : "=r"(root));
    return (root & PTE_ADDRESS) - image_offset(&boot_kernel_root);
}

void arch_image_range(paddr_t *start, paddr_t *end)
{
    *start = (paddr_t){image_base()};
    *end = (paddr_t){image_base() + image_offset(_image_end)};
}

uint64_t arch_physical_limit(void)
{
    static const uint8_t bits[] = {32, 36, 40, 42, 44};
    uint64_t features;
    __asm__("mrs %0, id_aa64mmfr0_el1" : "=r"(features));
    uint64_t range = features & 0xf;
    return 1ull << (range < ARRAY_SIZE(bits) ? bits[range] : LAYOUT_DIRECT_MAP_BITS);
}

// The table that `entry` points to; made if there is none. nullptr: a block is in the way, or no
// table is left.
static struct page_table *table_below(pte_t *entry)
{
    if (pte_present(*entry)) {
        if ((entry->value & PTE_TABLE_OR_PAGE) == 0)
            return nullptr;
    } else {
        if (pool_used == POOL_TABLES)
            return nullptr;
        *entry = kernel_table(image_base() + image_offset(&pool[pool_used++])); // .bss: zero
    }
    uint64_t physical = pte_address(*entry).value;
    return (struct page_table *)(LAYOUT_IMAGE + (physical - image_base())); // all are in the image
}

// Maps one page or block. false as above, or if something is mapped there.
static bool map_leaf(uint64_t address, uint64_t physical, unsigned level, enum kernel_access access,
                     enum arch_memory memory)
{
    struct page_table *table = &boot_kernel_root;
    for (unsigned l = 3; l > level; l--) {
        table = table_below(&table->entries[table_index(address, l)]);
        if (table == nullptr)
            return false;
    }
    pte_t *entry = &table->entries[table_index(address, level)];
    if (pte_present(*entry))
        return false;
    *entry = kernel_leaf(physical, access, memory, level > 0);
    return true;
}

static bool map_range(uint64_t address, uint64_t physical, uint64_t bytes,
                      enum kernel_access access, enum arch_memory memory)
{
    while (bytes != 0) {
        unsigned level = 2;
        while (level > 0) {
            uint64_t block = 1ull << (PAGE_SHIFT + 9 * level);
            if (((address | physical) & (block - 1)) == 0 && bytes >= block)
                break;
            level--;
        }
        if (!map_leaf(address, physical, level, access, memory))
            return false;
        uint64_t step = 1ull << (PAGE_SHIFT + 9 * level);
        address += step;
        physical += step;
        bytes -= step;
    }
    arch_table_sync();
    return true;
}

bool arch_ram_map(uint64_t start, uint64_t end)
{
    if (end > arch_physical_limit() || end > 1ull << LAYOUT_DIRECT_MAP_BITS || start >= end)
        return false;
    // Three parts: before, inside and after the kernel's code and constants.
    const uint64_t constants = image_base(), data = constants + image_offset(_rodata_end);
    const uint64_t cuts[] = {start, constants, data, end};
    for (unsigned i = 0; i < 3; i++) {
        uint64_t from = cuts[i] < start ? start : cuts[i];
        uint64_t to = cuts[i + 1] > end ? end : cuts[i + 1];
        if (from < to && !map_range(LAYOUT_DIRECT_MAP + from, from, to - from,
                                    i == 1 ? KERNEL_READ : KERNEL_WRITE, ARCH_MEMORY_NORMAL))
            return false;
    }
    return true;
}

// [guard][emergency stack][guard][stack]. Both are in the direct map, too, as all RAM is.
void *arch_stack_map(uint32_t cpu, paddr_t memory)
{
    (void)cpu;
    constexpr uint64_t LENGTH = ARCH_STACK_MEMORY + 2 * PAGE_SIZE;
    const uint64_t emergency = window_next + PAGE_SIZE;
    const uint64_t stack = emergency + LAYOUT_EMERGENCY_BYTES + PAGE_SIZE;
    if (LENGTH > LAYOUT_DEVICE_WINDOW + WINDOW_BYTES - window_next ||
        !map_range(emergency, memory.value, LAYOUT_EMERGENCY_BYTES, KERNEL_WRITE,
                   ARCH_MEMORY_NORMAL) ||
        !map_range(stack, memory.value + LAYOUT_EMERGENCY_BYTES, LAYOUT_STACK_BYTES, KERNEL_WRITE,
                   ARCH_MEMORY_NORMAL))
        return nullptr;
    window_next = stack + LAYOUT_STACK_BYTES;
    return (void *)window_next;
}

extern char secondary_entry[];

paddr_t secondary_entry_address(void)
{
    return (paddr_t){image_base() + image_offset(secondary_entry)};
}

extern char parked_entry[];

paddr_t parked_entry_address(void)
{
    return (paddr_t){image_base() + image_offset(parked_entry)};
}

// Normal memory is mapped read-only: it holds tables of the firmware.
void *arch_device_map(paddr_t address, size_t bytes, enum arch_memory memory)
{
    const uint64_t limit = arch_physical_limit();
    if (bytes == 0 || address.value >= limit || bytes > limit - address.value)
        return nullptr;
    const uint64_t first = align_down(address.value, PAGE_SIZE);
    const uint64_t length = align_up(address.value + bytes, PAGE_SIZE) - first;

    for (unsigned i = 0; i < region_count; i++) {
        const struct window_region *region = &regions[i];
        if (region->memory == memory && region->physical <= first &&
            first + length <= region->physical + region->bytes)
            return (void *)(region->address + (address.value - region->physical));
    }
    // Where blocks fit into what is mapped, they fit at the same distance from a block's start.
    constexpr uint64_t BLOCK = 1ull << (PAGE_SHIFT + 9);
    uint64_t at = window_next;
    if (length >= BLOCK)
        at += (first - at) % BLOCK;
    // One page between regions stays unmapped.
    if (region_count == WINDOW_REGIONS || at >= LAYOUT_DEVICE_WINDOW + WINDOW_BYTES ||
        length + PAGE_SIZE > LAYOUT_DEVICE_WINDOW + WINDOW_BYTES - at)
        return nullptr;
    window_next = at + length + PAGE_SIZE;
    if (!map_range(at, first, length, memory == ARCH_MEMORY_DEVICE ? KERNEL_WRITE : KERNEL_READ,
                   memory))
        return nullptr; // the addresses are lost, not the tables
    regions[region_count++] =
        (struct window_region){.physical = first, .bytes = length, .address = at, .memory = memory};
    return (void *)(at + (address.value - first));
}

void arch_root_init([[maybe_unused]] pte_t *root)
{
    // The kernel's half has a root of its own.
}
