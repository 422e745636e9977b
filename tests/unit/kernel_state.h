// SPDX-License-Identifier: MIT
//
// The state of the whole system as text, a line for each thing that a program could notice: each
// object with what its type has, each account's figures, each slot of each handle table, each queue,
// and what is free. Two states with the same text behave alike, but for the most that an account ever
// used, the time that threads have run, and the order in which free slots are used again.
#pragma once

#include <stddef.h>

constexpr size_t STATE_BYTES = 1 << 19;

struct state {
    size_t bytes;
    char text[STATE_BYTES];
};

// Takes the state of a system that is at rest.
void state_take(struct state *state);

// The first line that differs, of both; false: there is none.
bool state_differs(const struct state *before, const struct state *after, char *said, size_t size);
