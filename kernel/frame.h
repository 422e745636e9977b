// SPDX-License-Identifier: MIT
//
// Page frames: one entry per frame of RAM, initialised when the frame is first used, so that
// start-up costs the same whatever the size of RAM. M1: each frame is in exactly one state and
// has one owner. M4: a pinned frame is never freed. Accounts pay beforehand (account.h), so an
// allocation cannot fail.
#pragma once

#include <kernel/boot.h>
#include <lib/types.h>

struct object;

enum frame_state : uint8_t {
    FRAME_UNTOUCHED, // never used since boot, or not RAM
    FRAME_FREE,
    FRAME_KERNEL, // thread contexts, handle tables, message queues, VMO indexes
    FRAME_TABLE,  // page tables
    FRAME_USER,   // VMOs, message buffers
    FRAME_STATES,
};

struct frame {
    enum frame_state state;
    uint16_t pins;     // FRAME_USER: devices that can reach it
    uint32_t mappings; // FRAME_USER: page-table entries that lead to it
    uint32_t owner;    // index of the object that owns it
    uint32_t next_free;
};

// Takes all RAM that is not reserved; carves the frame table out of it. Returns the number of
// pages that can be handed out.
uint64_t frames_init(const struct boot_info *boot);

// Takes `bytes` of RAM before anything else is handed out, for tables that live for ever.
void *frames_carve(size_t bytes);

// A zeroed page. The caller has charged it.
[[nodiscard]] paddr_t frame_allocate(enum frame_state state, const struct object *owner);

// Frees a page: nothing maps or pins it.
void frame_free(paddr_t page);

struct frame *frame_of(paddr_t page);
uint64_t frames_total(void);
uint64_t frames_free(void);

// Whether any part of the range is RAM that the kernel hands out or uses itself.
bool frames_overlap(uint64_t start, uint64_t end);
