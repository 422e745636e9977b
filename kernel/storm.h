// SPDX-License-Identifier: MIT
//
// Storm control: an interrupt that comes more often than it may is put aside. Its line stays masked
// (a message: its vector in the device) until half of its burst has come together again. The machine
// raises STORM, for whoever mints its interrupts; what comes meanwhile is told afterwards.
#pragma once

#include "clock.h"

struct cpu;
struct interrupt;

// So often a second, and so many at once, unless interrupt_limit says otherwise: more than any
// driver can use, less than what would take a CPU away from others.
constexpr uint64_t STORM_PER_SECOND = 20'000, STORM_BURST = 200;
constexpr uint64_t STORM_PER_SECOND_MAX = 1'000'000, STORM_BURST_MAX = 65'536;

// A token bucket, kept as the time when it is full again: the longer until then, the emptier it is.
struct bucket {
    uint64_t token_ns; // one token comes in each
    uint64_t depth_ns; // all tokens
    uint64_t full_ns;
};

// `per_second` from 1 to STORM_PER_SECOND_MAX, `burst` from 1 to STORM_BURST_MAX. It is full.
void bucket_fill(struct bucket *bucket, uint64_t per_second, uint64_t burst);

// Takes a token. false: there is none.
[[nodiscard]] bool bucket_take(struct bucket *bucket, uint64_t now_ns);

// When it will be half full, if nothing is taken.
uint64_t bucket_half_ns(const struct bucket *bucket);

// The control of one interrupt, guarded by its object's lock.
struct storm {
    struct bucket bucket;
    struct deadline end; // on the CPU that put it aside
    bool aside;          // masked until then
    uint64_t count;      // how often it was put aside
};

void storm_init(struct interrupt *interrupt);

// The interrupt was raised. true: it is put aside from now on, and the caller, who has its lock, tells the
// machine once that is released.
[[nodiscard]] bool storm_begins(struct interrupt *interrupt, struct cpu *cpu);

// The deadline of `storm.end`.
void storm_over(struct interrupt *interrupt, struct object_ref ref);
