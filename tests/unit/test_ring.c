// SPDX-License-Identifier: MIT
//
// build: user/sdk/ring.c
//
// The shared ring: both sides against each other on two threads, and each side against a peer
// that writes anything it likes into the shared memory.
#include <pthread.h>
#include <sdk/ring.h>
#include <stdint.h>

#include "test.h"

constexpr uint32_t CAPACITY = 16;

struct element {
    uint64_t number, square;
};

static _Alignas(64) uint8_t memory[4096];

static void start(struct ring *producer, struct ring *consumer)
{
    memset(memory, 0, sizeof(memory));
    EXPECT(ring_bytes(CAPACITY, sizeof(struct element)) <= sizeof(memory));
    EXPECT(ring_start(producer, memory, CAPACITY, sizeof(struct element)));
    EXPECT(ring_start(consumer, memory, CAPACITY, sizeof(struct element)));
}

static struct ring_shared *shared(void)
{
    return (struct ring_shared *)memory;
}

TEST(ring_keeps_order_and_bounds)
{
    struct ring producer, consumer;
    struct element e;
    start(&producer, &consumer);
    uint64_t put = 0, taken = 0;
    for (unsigned round = 0; round < 1000; round++) {
        unsigned count = round * 7 % (CAPACITY + 3);
        for (unsigned i = 0; i < count; i++) {
            enum ring_status status = ring_push(&producer, &(struct element){put, put * put});
            EXPECT(status == (put - taken < CAPACITY ? RING_OK : RING_FULL));
            put += status == RING_OK;
        }
        EXPECT(ring_room(&producer) == CAPACITY - (put - taken));
        for (unsigned i = 0; i < round * 5 % (CAPACITY + 2); i++) {
            enum ring_status status = ring_pop(&consumer, &e);
            EXPECT(status == (taken < put ? RING_OK : RING_EMPTY));
            if (status == RING_OK)
                EXPECT(e.number == taken && e.square == taken * taken);
            taken += status == RING_OK;
        }
    }
}

TEST(ring_refuses_shapes)
{
    struct ring ring;
    EXPECT(!ring_start(&ring, memory, 0, 8));
    EXPECT(!ring_start(&ring, memory, 12, 8));
    EXPECT(!ring_start(&ring, memory, RING_MAX_CAPACITY * 2, 8));
    EXPECT(!ring_start(&ring, memory, 8, 0));
    EXPECT(!ring_start(&ring, memory, 8, 12));
    EXPECT(!ring_start(&ring, memory, 8, RING_MAX_ELEMENT_BYTES + 8));
    EXPECT(ring_bytes(8, 8) % 64 == 0 && ring_bytes(8, 8) >= sizeof(struct ring_shared) + 64);
}

TEST(ring_sees_a_lying_producer)
{
    static const uint64_t lies[] = {CAPACITY + 5, UINT64_MAX, 1ull << 32, 1ull << 63, 1};
    for (unsigned i = 0; i < 5; i++) {
        struct ring producer, consumer;
        struct element e = {};
        start(&producer, &consumer);
        for (unsigned k = 0; k < 4; k++) // 4 put, 4 taken: the counter is 4
            EXPECT(ring_push(&producer, &e) == RING_OK && ring_pop(&consumer, &e) == RING_OK);
        shared()->produced = lies[i]; // far ahead, or back
        EXPECT(ring_pop(&consumer, &e) == RING_CORRUPT);
        shared()->produced = 4 + CAPACITY; // the most that it can be
        for (unsigned k = 0; k < CAPACITY; k++)
            EXPECT(ring_pop(&consumer, &e) == RING_OK);
        EXPECT(ring_pop(&consumer, &e) == RING_EMPTY);
    }
}

TEST(ring_sees_a_lying_consumer)
{
    static const uint64_t lies[] = {CAPACITY + 1, UINT64_MAX, 1ull << 32, 1ull << 63};
    for (unsigned i = 0; i < 4; i++) {
        struct ring producer, consumer;
        struct element e = {};
        start(&producer, &consumer);
        for (unsigned k = 0; k < CAPACITY; k++)
            EXPECT(ring_push(&producer, &e) == RING_OK);
        shared()->consumed = lies[i];
        EXPECT(ring_push(&producer, &e) == RING_CORRUPT);
        EXPECT(ring_room(&producer) == 0);
        shared()->consumed = 2;
        EXPECT(ring_room(&producer) == 2);
        shared()->consumed = 1; // room that was given is not taken back
        EXPECT(ring_room(&producer) == 0);
        EXPECT(ring_push(&producer, &e) == RING_OK);
    }
}

TEST(ring_copies_once)
{
    // What stands in the shared memory after the copy was taken changes nothing.
    struct ring producer, consumer;
    struct element e;
    start(&producer, &consumer);
    EXPECT(ring_push(&producer, &(struct element){1, 2}) == RING_OK);
    EXPECT(ring_pop(&consumer, &e) == RING_OK);
    memset(shared()->elements, 0xff, CAPACITY * sizeof(struct element));
    EXPECT(e.number == 1 && e.square == 2);
    // Nor does what stands in the counters of one's own side.
    shared()->consumed = 999;
    EXPECT(ring_pop(&consumer, &e) == RING_EMPTY);
    EXPECT(ring_push(&producer, &(struct element){3, 4}) == RING_OK);
    EXPECT(ring_pop(&consumer, &e) == RING_OK && e.number == 3);
    EXPECT(shared()->consumed == 2);
}

// ---- two threads

constexpr uint64_t MANY = 200'000;

static struct ring thread_producer, thread_consumer;

static void *produce(void *unused)
{
    for (uint64_t i = 0; i < MANY;)
        i += ring_push(&thread_producer, &(struct element){i, i * i}) == RING_OK;
    return unused;
}

TEST(ring_passes_between_threads)
{
    pthread_t thread;
    struct element e;
    start(&thread_producer, &thread_consumer);
    EXPECT(pthread_create(&thread, nullptr, produce, nullptr) == 0);
    bool right = true;
    for (uint64_t i = 0; i < MANY;) {
        enum ring_status status = ring_pop(&thread_consumer, &e);
        right = right && status != RING_CORRUPT;
        if (status == RING_OK) {
            right = right && e.number == i && e.square == i * i;
            i++;
        }
    }
    pthread_join(thread, nullptr);
    EXPECT(right);
}
