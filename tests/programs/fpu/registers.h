// SPDX-License-Identifier: MIT
//
// All FP and vector registers of one machine, as memory.
#pragma once

#include <kit/kit.h>

// Where the compiler uses them, too, a pattern lives only inside one of these.
constexpr unsigned REGISTER_BYTES = 32 * 16;

struct [[gnu::aligned(64)]] registers {
    uint8_t vectors[REGISTER_BYTES]; // x86_64: 16 of 32 bytes; AArch64: 32 of 16
    uint8_t x87[8][16];              // x86_64: the first ten bytes of each
    uint64_t control;                // rounding and exception masks
    uint64_t wide;                   // x86_64: whether there is AVX
};

// What this machine has of them.
void registers_find(struct registers *registers);

// Of a thread that has not used any.
uint64_t registers_initial_control(void);

// Fills all of them with what each can hold; the control words never allow an exception.
void registers_fill(struct registers *registers, struct random *dice);

// Loads all of them, turns in a loop `spins` times, makes a system call with up to two arguments, and
// stores all of them. Returns the status.
uint64_t registers_through(const struct registers *in, struct registers *out, uint64_t number,
                           uint64_t argument0, uint64_t argument1, uint64_t spins);

// Stores all of them.
void registers_store(struct registers *out);
