// SPDX-License-Identifier: MIT
//
// The stores of each location, in modification order (memory.c), and what a single order of all
// events would make of them (order.c).
#pragma once

#include "engine.h"

struct knowledge;

struct store {
    uint16_t location, next, previous;
    uint32_t rank;
    uint8_t thread, closed;
    uint64_t value;
    int event;
    struct knowledge *message;
};

extern struct store stores[STORES_MAX]; // 0 is no store

void order_reset(void);
// Whether an operation of the thread that reads, or writes behind, the store leaves a single order.
bool order_allows(unsigned thread, uint16_t store, bool writes);
// It is event `search_event_count()`; stores: what it read and wrote, or 0.
void order_note(unsigned thread, uint16_t read, uint16_t written);
void order_note_lock(unsigned thread, int unlocked); // the event before it, or -1
