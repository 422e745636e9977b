// SPDX-License-Identifier: MIT
//
// The frame table and the free frames. See frame.h.
#include "frame.h"

#include <arch/arch.h>
#include <lib/string.h>

#include "check.h"
#include "lock.h"
#include "object.h"

constexpr uint32_t NO_FRAME = UINT32_MAX;

static struct {
    struct spinlock lock;
    uint64_t total;
    uint64_t free GUARDED_BY(&lock);
    uint32_t free_list GUARDED_BY(&lock); // frames that were used before, last in, first out
    // The pages that were never used: from `fresh` to the end of the range, then further ranges.
    uint32_t range GUARDED_BY(&lock);
    uint64_t fresh GUARDED_BY(&lock);
    struct boot_range ranges[BOOT_RANGES_MAX * 2 + 1]; // what was set aside parts one in two
    struct boot_range taken[BOOT_RANGES_MAX * 2]; // as they were before anything was carved out
    uint32_t range_count, taken_count;
} frames;

struct frame_table frame_table;

static paddr_t address_of(uint32_t number)
{
    return (paddr_t){frame_table.base + ((uint64_t)number << PAGE_SHIFT)};
}

uint64_t frames_total(void)
{
    return frames.total;
}

uint64_t frames_free(void)
{
    lock_acquire(&frames.lock);
    uint64_t free = frames.free;
    lock_release(&frames.lock);
    return free;
}

bool frames_overlap(uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < frames.taken_count; i++)
        if (start < frames.taken[i].end && frames.taken[i].start < end)
            return true;
    return false;
}

static void add_range(uint64_t start, uint64_t end)
{
    start = align_up(start, PAGE_SIZE);
    end = align_down(end, PAGE_SIZE);
    if (start >= end)
        return;
    ASSERT(frames.taken_count < ARRAY_SIZE(frames.taken));
    frames.taken[frames.taken_count++] = (struct boot_range){start, end};
    frames.ranges[frames.range_count++] = (struct boot_range){start, end};
    frames.total += (end - start) >> PAGE_SHIFT;
}

// RAM less what is reserved. Both lists are sorted and disjoint: a hole lets at most one more piece
// begin, so that there is room for all of them.
static void find_ranges(const struct boot_info *boot)
{
    for (uint32_t i = 0; i < boot->ram_count; i++) {
        uint64_t start = boot->ram[i].start;
        for (uint32_t j = 0; j < boot->reserved_count; j++) {
            const struct boot_range *hole = &boot->reserved[j];
            if (hole->end <= start || hole->start >= boot->ram[i].end)
                continue;
            add_range(start, hole->start);
            start = hole->end;
        }
        add_range(start, boot->ram[i].end);
    }
}

// Cuts `bytes` off the end of the last range that is large enough.
void *frames_carve(size_t bytes) NO_THREAD_SAFETY
{
    bytes = align_up(bytes, PAGE_SIZE);
    for (uint32_t i = frames.range_count; i-- > 0;) {
        struct boot_range *range = &frames.ranges[i];
        if (range->end - range->start < bytes)
            continue;
        range->end -= bytes;
        frames.total -= bytes >> PAGE_SHIFT;
        frames.free = frames.total;
        return arch_ram((paddr_t){range->end});
    }
    panic("not enough memory: %lu KiB in one piece are needed for the kernel's tables",
          (unsigned long)bytes / 1024);
}

uint64_t frames_set_aside(uint64_t bytes, uint64_t alignment) NO_THREAD_SAFETY
{
    for (uint32_t i = frames.range_count; i-- > 0;) {
        struct boot_range *range = &frames.ranges[i];
        uint64_t end = align_down(range->end, alignment);
        if (end < range->start || end - range->start < bytes)
            continue;
        memmove(range + 1, range, (frames.range_count - i) * sizeof *range);
        frames.range_count++;
        range[0].end = end - bytes;
        range[1].start = end;
        frames.total -= bytes >> PAGE_SHIFT;
        frames.free = frames.total;
        return end - bytes;
    }
    return 0;
}

uint64_t frames_init(const struct boot_info *boot) NO_THREAD_SAFETY
{
    lock_init(&frames.lock, RANK_FRAMES);
    frames.free_list = NO_FRAME;
    frames.range = frames.range_count = frames.taken_count = 0;
    frames.fresh = frames.total = 0;
    find_ranges(boot);
    if (frames.range_count == 0)
        panic("the firmware reports no usable memory");
    frame_table.base = frames.ranges[0].start;
    frame_table.end = frames.ranges[frames.range_count - 1].end;
    // The table is not cleared: an entry is written when its frame is first handed out.
    frame_table.entries =
        frames_carve(((frame_table.end - frame_table.base) >> PAGE_SHIFT) * sizeof(struct frame));
    return frames.total;
}

static bool take_fresh(uint32_t *number) REQUIRES(frames.lock)
{
    while (frames.range < frames.range_count) {
        const struct boot_range *range = &frames.ranges[frames.range];
        if (frames.fresh < range->start)
            frames.fresh = range->start;
        if (frames.fresh < range->end) {
            *number = (uint32_t)((frames.fresh - frame_table.base) >> PAGE_SHIFT);
            frame_table.entries[*number] = (struct frame){.state = FRAME_FREE};
            frames.fresh += PAGE_SIZE;
            return true;
        }
        frames.range++;
    }
    return false;
}

paddr_t frame_allocate(enum frame_state state, const struct object *owner)
{
    lock_acquire(&frames.lock);
    uint32_t number = frames.free_list;
    if (number != NO_FRAME)
        frames.free_list = frame_table.entries[number].next_free;
    else
        ASSERT(take_fresh(&number)); // the accounts' limits add up to what there is
    struct frame *frame = &frame_table.entries[number];
    CHECK(M1, frame->state == FRAME_FREE);
    CHECK(M7, frame->mappings == 0 && frame->pins == 0);
    *frame = (struct frame){.state = state, .owner = owner ? object_index(owner) : 0};
    frames.free--;
    lock_release(&frames.lock);
    paddr_t page = address_of(number);
    arch_zero_page(arch_ram(page));
    return page;
}

void frame_free(paddr_t page)
{
    struct frame *frame = frame_of(page);
    lock_acquire(&frames.lock);
    CHECK(M1, frame->state >= FRAME_KERNEL && frame->state < FRAME_STATES);
    CHECK(M4, frame->pins == 0);
    CHECK(M3, frame->mappings == 0);
    if (!SEEDED_BUG("M1"))
        frame->state = FRAME_FREE;
    frame->next_free = frames.free_list;
    frames.free_list = (uint32_t)((page.value - frame_table.base) >> PAGE_SHIFT);
    frames.free++;
    lock_release(&frames.lock);
}

void frames_mapped(const paddr_t *pages, unsigned count)
{
    const struct frame_table table = frame_table;
    for (unsigned i = 0; i < count; i++) {
        ASSERT(pages[i].value >= table.base && pages[i].value < table.end);
        table.entries[(pages[i].value - table.base) >> PAGE_SHIFT].mappings++;
    }
}

void frame_use(paddr_t page, const struct object *owner)
{
    struct frame *frame = frame_of(page);
    // All but `block`, which others look at.
    frame->state = FRAME_USER;
    frame->pins = 0;
    frame->mappings = 0;
    frame->owner = object_index(owner);
    arch_zero_page(arch_ram(page));
}

void frame_retire(paddr_t page)
{
    struct frame *frame = frame_of(page);
    CHECK(M1, frame->state == FRAME_USER);
    CHECK(M4, frame->pins == 0);
    CHECK(M3, frame->mappings == 0);
    frame->state = FRAME_UNTOUCHED;
}
