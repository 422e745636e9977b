// SPDX-License-Identifier: MIT
//
// Page frames: one entry per frame of RAM, initialised when the frame is first used, so that
// start-up costs the same whatever the size of RAM. M1: each frame is in exactly one state and
// has one owner. M4: a pinned frame is never freed. Accounts pay beforehand (account.h), so an
// allocation cannot fail.
#pragma once

#include <kernel/boot.h>
#include <lib/types.h>

#include "check.h"

struct object;

enum frame_state : uint8_t {
    FRAME_UNTOUCHED, // never used since boot, not RAM, or contiguous memory that nobody uses
    FRAME_FREE,
    FRAME_KERNEL, // thread contexts, handle tables, message queues, VMO indexes
    FRAME_TABLE,  // page tables
    FRAME_USER,   // VMOs, message buffers
    FRAME_STATES,
};

struct frame {
    enum frame_state state;
    uint8_t block; // order + 1 of the free block that begins here (block.h); 0: none
    uint16_t pins; // FRAME_USER: devices that can reach it
    union {
        uint32_t mappings; // FRAME_USER: page-table entries that lead to it; FRAME_TABLE, of level
                           // 0: entries in it
        uint32_t previous_free; // of a free block
    };
    uint32_t owner; // index of the object that owns it
    uint32_t next_free;
};
static_assert(sizeof(struct frame) == 16);

// Takes all RAM that is not reserved; carves the frame table out of it. Returns the number of
// pages that can be handed out.
uint64_t frames_init(const struct boot_info *boot);

// Takes `bytes` of RAM before anything else is handed out, for tables that live for ever.
void *frames_carve(size_t bytes);

// Takes `bytes` of RAM, both aligned to `alignment`, out of what frames are handed out from, and returns
// where they begin; 0: there is no such piece. Before the first frame is handed out.
[[nodiscard]] uint64_t frames_set_aside(uint64_t bytes, uint64_t alignment);

// A zeroed page. The caller has charged it.
[[nodiscard]] paddr_t frame_allocate(enum frame_state state, const struct object *owner);

// Frees a page: nothing maps or pins it.
void frame_free(paddr_t page);

// The same for a page of a block of contiguous memory that the caller has taken, and the end of its use.
void frame_use(paddr_t page, const struct object *owner);
void frame_retire(paddr_t page);

// One entry per frame between the first and the last; written once at boot.
extern struct frame_table {
    struct frame *entries;
    uint64_t base, end;
} frame_table;

static inline struct frame *frame_of(paddr_t page)
{
    ASSERT(page.value >= frame_table.base && page.value < frame_table.end);
    return &frame_table.entries[(page.value - frame_table.base) >> PAGE_SHIFT];
}

// One more entry leads to each. Whose they are is locked.
void frames_mapped(const paddr_t *pages, unsigned count);

uint64_t frames_total(void);
uint64_t frames_free(void);

// Whether any part of the range is RAM that the kernel hands out or uses itself.
bool frames_overlap(uint64_t start, uint64_t end);
