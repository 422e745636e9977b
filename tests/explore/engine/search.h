// SPDX-License-Identifier: MIT
//
// What the parts of the search share: the path of decisions (search.c), what has happened along it
// and how that depends on each other (depend.c), the path as text and in files (schedule.c).
#pragma once

#include "engine.h"

constexpr uint32_t ASLEEP = UINT32_MAX;

struct node {
    uint8_t thread, enabled, available, backtrack, done;
    uint16_t choice, choices; // choices 0: not counted yet
    uint16_t plain;           // the choice's number with nothing left out
    uint16_t preemptions;     // before this event
    uint32_t sleep[THREADS];
};

struct event {
    uint8_t thread;
    enum operation_kind kind;
    bool reads, writes, symmetric, is_void;
    bool might_write;
    uint16_t location;
    uint16_t clock[THREADS]; // events of each thread that come before, this one included
};

extern struct node path[EVENTS_MAX];
extern unsigned path_length; // decided: the rest of the execution is new
extern struct event events[EVENTS_MAX];
extern unsigned event_count, point_count;
extern uint32_t sleeping[THREADS];
extern bool replaying;

// Accesses of a location never commute: no thought of who reads whom.
static inline bool is_ordered(void)
{
    return config.ordered || config.bounded;
}

static inline uint8_t bit(unsigned thread)
{
    return (uint8_t)(1u << thread);
}

static inline unsigned nth(uint8_t mask, unsigned n)
{
    while (n-- > 0)
        mask &= (uint8_t)(mask - 1);
    return (unsigned)__builtin_ctz(mask);
}

void depend_begin(void);

// A path to be followed as far as it goes: whose event cannot be made is passed over (shrink.c).
struct step {
    uint8_t thread;
    uint16_t choice;
};
extern const struct step *guide;
extern unsigned guide_length;
extern uint64_t parts_left_out; // bits, in the order of explore_keeps_part
extern unsigned part_count;
