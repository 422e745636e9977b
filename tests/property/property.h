// SPDX-License-Identifier: MIT
//
// Random sequences of calls against the model of the small worlds (tests/worlds/model.h): drawn from
// the ABI's table, one kind of object at a time (kinds.c), on one simulated CPU or two. What fails is
// shrunk to a sequence that cannot be made smaller, and printed as lines of a unit test and as
// REPLAY=..., which this program takes back.
//
// Everything that must outlive a restore of the world (tests/worlds/memory.h) is on the heap.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "worlds.h"

constexpr unsigned STEPS_MAX = 120;

// One thing that happens, or two calls at once on two CPUs.
struct move {
    struct action action, beside;
    bool pair;
    uint64_t seed; // of how their entries are interleaved
};

struct sequence {
    unsigned count;
    struct move moves[STEPS_MAX];
};

// ---- kinds of objects (kinds.c)

struct bug {
    const char *name; // of the planted bug (SEEDED_BUG) that must be found
    unsigned most;    // steps that are left of what found it
    unsigned cpus;
};

struct kind {
    const char *name;
    void (*setup)(void);
    const uint16_t *calls; // that are drawn, as often as they stand here; ends with NO_CALL
    uint64_t contiguous;   // pages of contiguous memory that each actor has: at most one
    bool lines;            // devices raise their lines
    bool touches;          // user code touches memory
    struct bug bugs[6];
};
constexpr uint16_t NO_CALL = UINT16_MAX;
extern const struct kind *const kinds[];
extern const unsigned kind_count;

// ---- drawing (draw.c)

// A move that can be made now. false: none was found, which is rare.
bool draw_move(const struct kind *kind, struct move *out);

// Whether a move can be made now, and the model has room for what it may make.
bool move_possible(const struct move *move);

uint64_t draw_below(uint64_t limit);

// ---- running (run.c)

struct verdict {
    bool failed;
    unsigned
        at; // the move that failed; what is behind it was not made. `count`: the end of the world
    char kind[20], text[600];
};

// Makes the steps from the first state on; those that are not possible are left out of the sequence.
struct verdict sequence_run(struct sequence *sequence);

// The same, with each move drawn when its turn has come.
struct verdict sequence_draw(const struct kind *kind, struct sequence *sequence, unsigned count);

void sequence_print(const struct sequence *sequence, const struct verdict *verdict);

// ---- shrinking (shrink.c)

// Makes a sequence that fails as small as it gets while it fails in the same way. Returns how often
// it was run.
unsigned sequence_shrink(struct sequence *sequence, struct verdict *verdict);

// ---- as text (replay.c)

void replay_print(const struct sequence *sequence);
bool replay_parse(const char *text, struct sequence *sequence);
