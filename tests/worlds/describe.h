// SPDX-License-Identifier: MIT
//
// A description of a small world in words that say nothing of slots, generations, addresses and
// the time of day: objects are numbered in the order in which they are met, from the registers of
// the actors on; times are told from now. Two states with the same description behave alike. The
// kernel's is made by describe.c, the model's by model_describe; they must be equal.
#pragma once

#include <stdint.h>

#include <abi/layout.h>

enum word : uint8_t {
#define WORD(name, text) WORD_##name,
#include "words.def"
#undef WORD
    WORD_COUNT
};

constexpr unsigned WORDS_MAX = 2000;
constexpr uint64_t WORD_NOBODY = 0xffff; // no object, no actor
constexpr uint64_t WORD_NEVER = 0xff'ffff;
constexpr uint32_t LOST_MAX = 3; // more are not told apart: there is no end to them
constexpr uint32_t PROTECTION_RIGHTS = RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE;

struct description {
    uint32_t count;
    uint64_t words[WORDS_MAX]; // enum word << 56 | value
};

void put(struct description *description, enum word word, uint64_t value);

// The kernel's.
void describe(struct description *out);

// What the machine remembers and no documentation speaks of: translations in TLBs, lines. It tells states
// apart, and is compared with nothing.
void describe_hidden(struct description *out);

struct hash {
    uint64_t low, high;
};
struct hash description_hash(const struct description *description);

// Prints the first difference, for people; false: there is none.
bool description_differs(const struct description *kernel, const struct description *model,
                         char *said, unsigned long size);
