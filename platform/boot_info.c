// SPDX-License-Identifier: MIT
//
// The two lists of ranges in struct boot_info. At most BOOT_RANGES_MAX entries each, so the
// simple algorithms are fine.
#include <platform/boot_info.h>

static void remove_at(struct boot_range *ranges, uint32_t *count, uint32_t index)
{
    for (uint32_t i = index; i + 1 < *count; i++)
        ranges[i] = ranges[i + 1];
    (*count)--;
}

static void sort(struct boot_range *ranges, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const struct boot_range range = ranges[i];
        uint32_t j = i;
        for (; j > 0 && ranges[j - 1].start > range.start; j--)
            ranges[j] = ranges[j - 1];
        ranges[j] = range;
    }
}

// Of a sorted list: joins what overlaps or touches.
static void merge(struct boot_range *ranges, uint32_t *count)
{
    for (uint32_t i = 0; i + 1 < *count;) {
        if (ranges[i + 1].start > ranges[i].end) {
            i++;
            continue;
        }
        if (ranges[i].end < ranges[i + 1].end)
            ranges[i].end = ranges[i + 1].end;
        remove_at(ranges, count, i + 1);
    }
}

// The last page of the address space is given up, so that no end is 0.
static uint64_t page_up(uint64_t address)
{
    const uint64_t last = ~(uint64_t)(PAGE_SIZE - 1);
    return address > last ? last : align_up(address, PAGE_SIZE);
}

static void drop_empty(struct boot_range *ranges, uint32_t *count)
{
    for (uint32_t i = 0; i < *count;) {
        if (ranges[i].start >= ranges[i].end)
            remove_at(ranges, count, i);
        else
            i++;
    }
}

void boot_info_normalise(struct boot_info *boot)
{
    for (uint32_t i = 0; i < boot->ram_count; i++) {
        struct boot_range *r = &boot->ram[i];
        r->start = page_up(r->start);
        r->end = align_down(r->end, PAGE_SIZE);
    }
    for (uint32_t i = 0; i < boot->reserved_count; i++) {
        struct boot_range *r = &boot->reserved[i];
        r->start = align_down(r->start, PAGE_SIZE);
        r->end = page_up(r->end); // nothing is left of one in the last page
    }
    drop_empty(boot->ram, &boot->ram_count);
    drop_empty(boot->reserved, &boot->reserved_count);
    sort(boot->ram, boot->ram_count);
    merge(boot->ram, &boot->ram_count);
    sort(boot->reserved, boot->reserved_count);
    merge(boot->reserved, &boot->reserved_count);
}

void boot_add_ram(struct boot_info *boot, uint64_t start, uint64_t end)
{
    if (start >= end)
        return;
    if (boot->ram_count == BOOT_RANGES_MAX)
        boot_info_normalise(boot);
    if (boot->ram_count == BOOT_RANGES_MAX) {
        klog("boot: RAM at 0x%lx to 0x%lx is left unused: too many ranges", start, end);
        return;
    }
    boot->ram[boot->ram_count++] = (struct boot_range){start, end};
}

void boot_add_reserved(struct boot_info *boot, uint64_t start, uint64_t end)
{
    if (start >= end)
        return;
    if (boot->reserved_count == BOOT_RANGES_MAX)
        boot_info_normalise(boot);
    if (boot->reserved_count == BOOT_RANGES_MAX)
        panic("the firmware reserves more than %u ranges of memory", BOOT_RANGES_MAX);
    boot->reserved[boot->reserved_count++] = (struct boot_range){start, end};
}

void boot_remove_ram(struct boot_info *boot, uint64_t start, uint64_t end)
{
    if (start >= end)
        return;
    start = align_down(start, PAGE_SIZE);
    end = page_up(end);
    for (uint32_t i = 0; i < boot->ram_count;) {
        struct boot_range *r = &boot->ram[i];
        const struct boot_range old = *r;
        i++;
        if (old.end <= start || old.start >= end)
            continue;
        r->end = old.start < start ? start : old.start; // the head; empty ones are dropped later
        if (old.end > end) {
            boot_add_ram(boot, end, old.end); // may sort the list
            i = 0;
        }
    }
}

// Whether a reserved range touches [start, end); its start.
static bool reserved_in(const struct boot_info *boot, uint64_t start, uint64_t end, uint64_t *at)
{
    for (uint32_t i = boot->reserved_count; i-- > 0;) {
        if (boot->reserved[i].start < end && start < boot->reserved[i].end) {
            *at = boot->reserved[i].start;
            return true;
        }
    }
    return false;
}

paddr_t boot_take_ram(struct boot_info *boot, uint64_t bytes, uint64_t alignment)
{
    for (uint32_t i = boot->ram_count; i-- > 0;) {
        const struct boot_range *r = &boot->ram[i];
        uint64_t end = r->end, taken;
        while (end - r->start >= bytes) {
            const uint64_t start = align_down(end - bytes, alignment);
            if (start < r->start || start == 0)
                break;
            if (!reserved_in(boot, start, start + bytes, &taken)) {
                boot_add_reserved(boot, start, start + bytes);
                boot_info_normalise(boot);
                return (paddr_t){start};
            }
            if (taken <= r->start)
                break;
            end = taken;
        }
    }
    return (paddr_t){0};
}

const struct boot_range *boot_find_ram(const struct boot_info *boot, uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < boot->ram_count; i++)
        if (start >= boot->ram[i].start && end <= boot->ram[i].end && start <= end)
            return &boot->ram[i];
    return nullptr;
}
