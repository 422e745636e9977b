// SPDX-License-Identifier: MIT
//
// System calls with arguments that are drawn by the ABI's own table: mostly live handles of the
// right type, sensible numbers, and some of any kind. Where the choices come from, a random number
// or the bytes of a fuzzer's input, is the caller's business.
#pragma once

#include "kernel_world.h"

constexpr uint64_t DRAW_DEVICE = 7; // the only one: its quarantine ends with the test

// below(limit): 0 to limit - 1. any(): 64 bits.
void draw_from(uint64_t (*below)(uint64_t limit), uint64_t (*any)(void));

// A live handle of the actor's of this type (OBJECT_NONE: of any); 0: there is none.
uint64_t draw_handle(const struct actor *actor, enum abi_object type);

// Arguments for a call, and handles in the actor's message buffer. `sensible`: with those that
// hardly ever come together by chance.
void draw_call(struct actor *actor, uint64_t number, bool sensible, uint64_t arguments[6]);

// A call is over: of one that was taken, the end and the token are remembered for its reply.
void draw_note(const struct actor *actor);

// The token of the call that an actor's last call took; 0: it took none.
uint64_t draw_token(const struct actor *actor);

// Whether a call may answer this status, by the table.
bool draw_is_listed(uint64_t number, status_t status);
