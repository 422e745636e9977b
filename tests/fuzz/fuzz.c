// SPDX-License-Identifier: MIT
//
// Between libFuzzer and a target. See fuzz.h.
#include "fuzz.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "splitmix.h"

constexpr uint64_t ENOUGH_TO_JUDGE = 1000; // inputs
constexpr unsigned HEADER_PERCENT = 50;

// What libFuzzer calls, and what it offers.
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t room);
const char *__asan_default_options(void);

static uint64_t inputs, past_header;
static bool has_header;
static volatile sig_atomic_t ended; // by SIGTERM: after the input under way
static const char *planted;

// Simulated CPUs have stacks of their own, which are put back as they were (world.c).
const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=0:detect_leaks=0:allocator_may_return_null=1";
}

// At exit: how many there were, how many in a second of the processor, and whether enough of them
// passed the header.
static void judge(void)
{
    uint64_t percent = inputs ? past_header * 100 / inputs : 0;
    double seconds = (double)clock() / CLOCKS_PER_SEC;
    fprintf(stderr, "note: %llu inputs, %.0f a second", (unsigned long long)inputs,
            (double)inputs / (seconds > 0 ? seconds : 1));
    if (has_header)
        fprintf(stderr, ", %llu %% past the header", (unsigned long long)percent);
    fprintf(stderr, "\n");
    fflush(nullptr);
    if (has_header && inputs >= ENOUGH_TO_JUDGE && percent < HEADER_PERCENT) {
        fprintf(stderr, "FAIL: too few inputs pass the header\n");
        _exit(1);
    }
}

static void end(int signal)
{
    (void)signal;
    ended = 1;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    planted = getenv("BUG");
    if (planted && !*planted)
        planted = nullptr;
    fuzz_begin();
    atexit(judge);
    signal(SIGTERM, end);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    inputs++;
    fuzz_one(data, bytes);
    if (ended) { // libFuzzer calls any other exit a failure
        judge();
        _exit(0);
    }
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
    struct dice dice = {seed};
    return fuzz_mutate(data, bytes, room, &dice);
}

void fuzz_past_header(void)
{
    has_header = true;
    past_header++;
}

void fuzz_fail(const char *file, int line, const char *format, ...)
{
    fprintf(stderr, "FAIL: %s:%d: ", file, line);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    abort();
}

bool fuzz_planted(const char *name)
{
    return planted && strcmp(planted, name) == 0;
}

void *fuzz_copy(const void *data, size_t bytes)
{
    void *copy = malloc(bytes);
    if (bytes > 0)
        memcpy(copy, data, bytes);
    return copy;
}

// ---- reading

bool input_ended(const struct input *input)
{
    return input->at >= input->bytes;
}

uint64_t input_number(struct input *input, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes && !input_ended(input); i++)
        value |= (uint64_t)input->data[input->at++] << 8 * i;
    return value;
}

uint64_t input_below(struct input *input, uint64_t limit)
{
    unsigned bytes = limit <= 1u << 8 ? 1 : limit <= 1u << 16 ? 2 : 8;
    return input_number(input, bytes) % limit;
}

bool input_record(struct input *input, size_t bytes, struct input *record)
{
    if (input->bytes - input->at < bytes)
        return false;
    *record = (struct input){.data = input->data + input->at, .bytes = bytes};
    input->at += bytes;
    return true;
}

// ---- changing

uint64_t dice_next(struct dice *dice)
{
    return splitmix(&dice->state);
}

uint64_t dice_below(struct dice *dice, uint64_t limit)
{
    return dice_next(dice) % limit;
}

uint64_t dice_number(struct dice *dice)
{
    uint64_t near = dice_below(dice, 9) - 4;
    switch (dice_below(dice, 4)) {
    case 0:
        return near;
    case 1:
        return (1ull << dice_below(dice, 64)) + near;
    case 2:
        return dice_below(dice, 1 << 12);
    default:
        return dice_next(dice) >> dice_below(dice, 64);
    }
}

size_t mutate_bytes(uint8_t *data, size_t bytes, size_t room)
{
    return LLVMFuzzerMutate(data, bytes, room);
}

size_t mutate_records(uint8_t *data, size_t bytes, size_t room, size_t record, struct dice *dice)
{
    size_t count = bytes / record, most = room / record;
    uint8_t *one = data + (count ? dice_below(dice, count) : 0) * record;
    uint8_t *two = data + (count ? dice_below(dice, count) : 0) * record;
    size_t behind = (size_t)(data + count * record - one);
    switch (count == 0 ? 0 : dice_below(dice, 8)) {
    case 0: // a new one
    case 1: // the same once more
        if (count == most)
            break;
        memmove(one + record, one, behind);
        for (size_t i = 0; i < record && (count == 0 || dice_below(dice, 2)); i++)
            one[i] = (uint8_t)dice_next(dice);
        return (count + 1) * record;
    case 2: // one fewer
        memmove(one, one + record, behind - record);
        return (count - 1) * record;
    case 3:
        memmove(one, two, record);
        break;
    case 4:
        one[dice_below(dice, record)] = (uint8_t)dice_next(dice);
        break;
    default:
        for (size_t now = LLVMFuzzerMutate(one, record, record); now < record; now++)
            one[now] = (uint8_t)dice_next(dice);
        break;
    }
    return count * record;
}

uint8_t *insert_record(uint8_t *data, size_t count, size_t at, size_t record)
{
    memmove(data + (at + 1) * record, data + at * record, (count - at) * record);
    return data + at * record;
}

void put_low_first(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

void put_high_first(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

uint64_t get_low_first(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

uint64_t get_high_first(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}
