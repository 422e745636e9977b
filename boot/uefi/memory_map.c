// SPDX-License-Identifier: MIT
//
// From the firmware's memory map (UEFI 7.2, GetMemoryMap) to the handover's ranges. What boot
// services and the loader used is RAM once they are gone; what runtime services use stays theirs.
#include <lib/string.h>
#include <lib/types.h>

#include "loader.h"

// RAM is only what can be cached and what nobody uses on.
static uint32_t kind_of(const struct efi_memory_descriptor *d)
{
    switch (d->type) {
    case EFI_LOADER_CODE:
    case EFI_LOADER_DATA:
    case EFI_BOOT_CODE:
    case EFI_BOOT_DATA:
    case EFI_CONVENTIONAL:
        return (d->attributes & EFI_MEMORY_WB) != 0 && (d->attributes & EFI_MEMORY_RUNTIME) == 0
                   ? HANDOVER_RAM
                   : HANDOVER_FIRMWARE;
    case EFI_ACPI_RECLAIM:
        return HANDOVER_TABLES;
    case EFI_MMIO:
    case EFI_MMIO_PORTS:
        return HANDOVER_DEVICE;
    default: // types of vendors, too
        return HANDOVER_FIRMWARE;
    }
}

static void insert(struct abi_handover_range *ranges, uint32_t count, uint32_t at,
                   struct abi_handover_range range)
{
    memmove(&ranges[at + 1], &ranges[at], (count - at) * sizeof(*ranges));
    ranges[at] = range;
}

// Joins neighbours of one kind, drops what is empty.
static uint32_t join(struct abi_handover_range *ranges, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (ranges[i].start >= ranges[i].end)
            continue;
        struct abi_handover_range *last = kept > 0 ? &ranges[kept - 1] : nullptr;
        if (last != nullptr && last->end == ranges[i].start && last->kind == ranges[i].kind)
            last->end = ranges[i].end;
        else
            ranges[kept++] = ranges[i];
    }
    return kept;
}

// Adds a range to a sorted, disjoint list: of what others have already, it gets nothing.
static uint32_t add(struct abi_handover_range *ranges, uint32_t count,
                    struct abi_handover_range range)
{
    uint32_t i = 0;
    while (range.start < range.end) {
        while (i < count && ranges[i].end <= range.start)
            i++;
        struct abi_handover_range piece = range;
        if (i < count && ranges[i].start < piece.end)
            piece.end = ranges[i].start > piece.start ? ranges[i].start : piece.start;
        if (piece.start < piece.end)
            insert(ranges, count++, i++, piece);
        if (i == count || ranges[i].start >= range.end)
            break;
        range.start = ranges[i].end;
    }
    return count;
}

static uint32_t add_all(const void *map, uint64_t bytes, uint64_t entry_bytes, bool ram,
                        struct abi_handover_range *ranges, uint32_t count)
{
    constexpr uint64_t last = 1ull << 52; // no machine has more addresses
    for (uint64_t at = 0; at + entry_bytes <= bytes; at += entry_bytes) {
        struct efi_memory_descriptor d;
        memcpy(&d, (const char *)map + at, sizeof(d));
        const uint32_t kind = kind_of(&d);
        if ((kind == HANDOVER_RAM) != ram || d.physical % PAGE_SIZE != 0 || d.physical >= last)
            continue;
        const uint64_t room = (last - d.physical) / PAGE_SIZE;
        const uint64_t pages = d.pages < room ? d.pages : room;
        count = add(ranges, count,
                    (struct abi_handover_range){
                        .start = d.physical, .end = d.physical + pages * PAGE_SIZE, .kind = kind});
    }
    return count;
}

uint32_t memory_map_room(uint64_t bytes, uint64_t entry_bytes)
{
    // Each entry may fall into one piece more than there were; what is marked parts one in three.
    return (uint32_t)(2 * (bytes / entry_bytes) + 4);
}

uint32_t memory_map_read(const void *map, uint64_t bytes, uint64_t entry_bytes,
                         struct abi_handover_range *ranges)
{
    if (entry_bytes < sizeof(struct efi_memory_descriptor))
        return 0;
    // What is not RAM comes first, and stays so.
    const uint32_t others = add_all(map, bytes, entry_bytes, false, ranges, 0);
    return join(ranges, add_all(map, bytes, entry_bytes, true, ranges, others));
}

bool memory_map_is_ram(const struct abi_handover_range *ranges, uint32_t count, uint64_t start,
                       uint64_t end)
{
    for (uint32_t i = 0; i < count; i++) // RAM is joined
        if (ranges[i].kind == HANDOVER_RAM && ranges[i].start <= start && end <= ranges[i].end)
            return true;
    return false;
}

uint32_t memory_map_mark(struct abi_handover_range *ranges, uint32_t count, uint64_t start,
                         uint64_t end, uint32_t kind)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct abi_handover_range old = ranges[i];
        if (old.kind != HANDOVER_RAM || old.end <= start || old.start >= end)
            continue;
        if (old.start < start) {
            ranges[i].end = start;
            insert(ranges, count++, i + 1,
                   (struct abi_handover_range){start, old.end, old.kind, 0});
            continue; // which is looked at next
        }
        ranges[i].kind = kind;
        if (old.end > end) {
            ranges[i].end = end;
            insert(ranges, count++, i + 1, (struct abi_handover_range){end, old.end, old.kind, 0});
        }
    }
    return join(ranges, count);
}
