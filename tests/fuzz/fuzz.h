// SPDX-License-Identifier: MIT
//
// Fuzz targets: what they share. A target is one file, NAME.c, with three functions: fuzz_begin,
// fuzz_one and fuzz_mutate. libFuzzer calls them (fuzz.c), and keeps what reached new code.
//
// What a target expects of its input must hold for every input: FUZZ_EXPECT ends the process, and
// libFuzzer keeps the input that did it. The same input does the same each time, so nothing may
// depend on the inputs before it.
//
// Where the code under test begins with a check that random bytes do not pass, fuzz_mutate repairs
// what it has changed, and fuzz_one says with fuzz_past_header which inputs came through. If fewer
// than half do, the program fails at its end.
#pragma once

#include <stddef.h>
#include <stdint.h>

// ---- what a target has

void fuzz_begin(void); // once
void fuzz_one(const uint8_t *data, size_t bytes);

struct dice {
    uint64_t state;
};

// Changes an input in place, which may become as long as `room`; its new length.
size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice);

// ---- what it is given

void fuzz_past_header(void);

[[noreturn, gnu::format(printf, 3, 4)]] void fuzz_fail(const char *file, int line,
                                                       const char *format, ...);
#define FUZZ_EXPECT(condition)                                    \
    do {                                                          \
        if (!(condition))                                         \
            fuzz_fail(__FILE__, __LINE__, "not: %s", #condition); \
    } while (0)

// Whether the planted bug of this name is switched on (planted.toml; BUG in the environment).
bool fuzz_planted(const char *name);

// A copy of exactly this length, so that the sanitizer sees what is read behind it; to be freed.
void *fuzz_copy(const void *data, size_t bytes);

// ---- reading an input: behind its end are zeros

struct input {
    const uint8_t *data;
    size_t bytes, at;
};

bool input_ended(const struct input *input);
uint64_t input_number(struct input *input, unsigned bytes); // little-endian, up to 8 of them
uint64_t input_below(struct input *input, uint64_t limit);  // 0 to limit - 1

// Takes the next record of a fixed length as an input of its own. false: there is none.
bool input_record(struct input *input, size_t bytes, struct input *record);

// ---- changing one

uint64_t dice_next(struct dice *dice);
uint64_t dice_below(struct dice *dice, uint64_t limit); // 0 to limit - 1

// What libFuzzer does by itself to bytes without a form.
size_t mutate_bytes(uint8_t *data, size_t bytes, size_t room);

// For inputs that are lists of records: changes within one, and records that are put in, left out,
// repeated and exchanged.
size_t mutate_records(uint8_t *data, size_t bytes, size_t room, size_t record, struct dice *dice);

// Makes room for a record before the one at `at` of `count`; where it is to be written.
uint8_t *insert_record(uint8_t *data, size_t count, size_t at, size_t record);

// Puts a number of 1 to 8 bytes, the first the lowest or the highest.
void put_low_first(uint8_t *at, uint64_t value, unsigned bytes);
void put_high_first(uint8_t *at, uint64_t value, unsigned bytes);
uint64_t get_low_first(const uint8_t *at, unsigned bytes);
uint64_t get_high_first(const uint8_t *at, unsigned bytes);

// A number that is likely to be the edge of something: near 0, near a power of two, or any.
uint64_t dice_number(struct dice *dice);
