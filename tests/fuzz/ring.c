// SPDX-License-Identifier: MIT
// build: user/sdk/ring.c
//
// The shared ring from both ends. As long as both are honest it is a queue of the model; once one
// of them writes what it likes into the shared memory, the other stays within its bounds: it never
// goes back, never gets ahead of what is possible, and touches nothing outside.
#include <sdk/ring.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

constexpr size_t RECORD = 6;
constexpr uint32_t ELEMENT = 16;

struct element {
    uint64_t number, square;
};
static_assert(sizeof(struct element) == ELEMENT);

static struct ring producer, consumer;
static struct ring_shared *shared;
static uint64_t pushed, popped; // by the two ends
static bool honest;             // neither has written what is not so

void fuzz_begin(void)
{
}

static void push(void)
{
    struct element element = {pushed, pushed * pushed};
    enum ring_status status = ring_push(&producer, &element);
    FUZZ_EXPECT(status != RING_EMPTY);
    if (honest)
        FUZZ_EXPECT(status == (pushed - popped < producer.capacity ? RING_OK : RING_FULL));
    if (status == RING_OK) {
        pushed++;
        FUZZ_EXPECT(shared->produced == pushed);
    }
}

static void pop(void)
{
    struct element element = {UINT64_MAX, UINT64_MAX};
    enum ring_status status = ring_pop(&consumer, &element);
    FUZZ_EXPECT(status != RING_FULL);
    if (honest)
        FUZZ_EXPECT(status == (popped < pushed ? RING_OK : RING_EMPTY));
    if (status != RING_OK)
        return;
    if (honest)
        FUZZ_EXPECT(element.number == popped && element.square == popped * popped);
    popped++;
    FUZZ_EXPECT(shared->consumed == popped);
}

static void ask_room(void)
{
    uint64_t room = ring_room(&producer);
    FUZZ_EXPECT(room <= producer.capacity);
    if (honest)
        FUZZ_EXPECT(room == producer.capacity - (pushed - popped));
}

// A counter's new value: near one that matters, or any.
static uint64_t alleged(struct input *input, uint64_t own, uint64_t other)
{
    uint64_t near = input_number(input, 1) - 4;
    switch (input_below(input, 5)) {
    case 0:
        return own + near;
    case 1:
        return other + near;
    case 2:
        return other + producer.capacity + near;
    case 3:
        return near;
    default:
        return input_number(input, 2) << 48 | near;
    }
}

static void lie(struct input *input)
{
    honest = false;
    switch (input_below(input, 3)) {
    case 0:
        shared->produced = alleged(input, pushed, popped);
        break;
    case 1:
        shared->consumed = alleged(input, popped, pushed);
        break;
    default:
        memset(shared->elements, (int)input_number(input, 1), (size_t)producer.capacity * ELEMENT);
        break;
    }
}

// Neither end believes more than what is possible.
static void expect_bounds(void)
{
    FUZZ_EXPECT(producer.own == pushed && producer.own - producer.other <= producer.capacity);
    FUZZ_EXPECT(producer.other <= producer.own);
    FUZZ_EXPECT(consumer.own == popped && consumer.other - consumer.own <= consumer.capacity);
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    struct input input = {.data = data, .bytes = bytes}, record;
    uint32_t capacity = 1u << input_below(&input, 5);
    size_t size = ring_bytes(capacity, ELEMENT);
    // Its own allocation of exactly this size: the sanitizer sees what is outside.
    shared = aligned_alloc(64, size);
    memset(shared, 0, size);
    pushed = popped = 0;
    honest = true;
    FUZZ_EXPECT(ring_start(&producer, shared, capacity, ELEMENT));
    FUZZ_EXPECT(ring_start(&consumer, shared, capacity, ELEMENT));
    while (input_record(&input, RECORD, &record)) {
        uint64_t what = input_below(&record, 8), times = 1 + input_below(&record, 20);
        for (; times > 0; times--) {
            struct ring before_producer = producer, before_consumer = consumer;
            if (what < 3)
                push();
            else if (what < 6)
                pop();
            else if (what == 6)
                ask_room();
            FUZZ_EXPECT(producer.other >= before_producer.other);
            FUZZ_EXPECT(consumer.other >= before_consumer.other);
            FUZZ_EXPECT(consumer.other - before_consumer.own <= consumer.capacity);
            expect_bounds();
        }
        if (what == 7)
            lie(&record);
    }
    free(shared);
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    if (bytes == 0 || room < 1 + RECORD)
        return mutate_bytes(data, bytes, room);
    if (dice_below(dice, 20) == 0)
        data[0] = (uint8_t)dice_next(dice);
    return 1 + mutate_records(data + 1, bytes - 1, room - 1, RECORD, dice);
}
