// SPDX-License-Identifier: MIT
//
// build: user/sdk/virtqueue.c
//
// The virtqueue against a device that behaves, and against one that lies in every field that it
// can write.
#include <sdk/virtqueue.h>
#include <stdint.h>

#include "test.h"

static _Alignas(4096) uint8_t memory[VIRTQUEUE_BYTES];
static struct virtqueue queue;

// The device's view, written from the specification and not from our own structures.
static uint16_t *device_word(size_t at)
{
    return (uint16_t *)(void *)(memory + at);
}

static uint16_t available_index(void)
{
    return *device_word(VIRTQUEUE_AVAILABLE + 2);
}

static uint16_t available_at(uint16_t index)
{
    return *device_word(VIRTQUEUE_AVAILABLE + 4 + 2 * (size_t)(index % queue.size));
}

static void use(uint32_t id, uint32_t written)
{
    uint16_t index = *device_word(VIRTQUEUE_USED + 2);
    uint32_t *entry =
        (uint32_t *)(void *)(memory + VIRTQUEUE_USED + 4 + 8 * (size_t)(index % queue.size));
    entry[0] = id;
    entry[1] = written;
    *device_word(VIRTQUEUE_USED + 2) = (uint16_t)(index + 1);
}

static const struct virtqueue_segment three[3] = {
    {0x1000, 16, false}, {0x2000, 4096, true}, {0x3000, 1, true}};

static void add_three(uint32_t token)
{
    EXPECT(virtqueue_add(&queue, three, 3, token));
    EXPECT(virtqueue_publish(&queue) == 1);
}

TEST(virtqueue_refuses_sizes)
{
    EXPECT(!virtqueue_start(&queue, memory, 0));
    EXPECT(!virtqueue_start(&queue, memory, 3));
    EXPECT(!virtqueue_start(&queue, memory, 2 * VIRTQUEUE_MAX_SIZE));
    EXPECT(virtqueue_start(&queue, memory, VIRTQUEUE_MAX_SIZE));
}

TEST(virtqueue_writes_what_the_device_reads)
{
    EXPECT(virtqueue_start(&queue, memory, 32));
    EXPECT(virtqueue_add(&queue, three, 3, 7));
    EXPECT(available_index() == 0); // not yet
    EXPECT(virtqueue_publish(&queue) == 1 && available_index() == 1);
    uint16_t at = available_at(0);
    for (unsigned i = 0; i < 3; i++) {
        struct virtqueue_descriptor d;
        memcpy(&d, memory + 16 * (size_t)at, sizeof(d));
        EXPECT(d.address == three[i].address && d.bytes == three[i].bytes);
        EXPECT(d.flags == ((i < 2 ? 1 : 0) | (i > 0 ? 2 : 0)));
        at = d.next;
    }
}

TEST(virtqueue_goes_round)
{
    EXPECT(virtqueue_start(&queue, memory, 32));
    uint32_t token, written;
    const char *lie;
    uint16_t seen = 0;
    for (uint32_t i = 0; i < 70'000; i++) { // past the wrap of the 16-bit indices
        unsigned depth = i % 10 + 1;
        for (unsigned k = 0; k < depth; k++)
            add_three(i * 16 + k);
        EXPECT(queue.in_flight == depth);
        EXPECT(virtqueue_take(&queue, &token, &written, &lie) == VIRTQUEUE_EMPTY);
        for (unsigned k = 0; k < depth; k++)
            use(available_at(seen++), 4097);
        for (unsigned k = 0; k < depth; k++) {
            EXPECT(virtqueue_take(&queue, &token, &written, &lie) == VIRTQUEUE_OK);
            EXPECT(token == i * 16 + k && written == 4097);
        }
        EXPECT(queue.in_flight == 0 && queue.free_count == 32);
    }
}

TEST(virtqueue_fills_up)
{
    EXPECT(virtqueue_start(&queue, memory, 32));
    unsigned chains = 0;
    while (virtqueue_add(&queue, three, 3, chains))
        chains++;
    EXPECT(chains == 10 && queue.free_count == 2);
    EXPECT(virtqueue_add(&queue, three, 2, 99));
    EXPECT(!virtqueue_add(&queue, three, 1, 99));
    EXPECT(!virtqueue_add(&queue, three, 0, 99));
    EXPECT(virtqueue_publish(&queue) == 11);
}

// One lie each; `expected` in flight stay as they were.
static void expect_lie(void)
{
    uint32_t token, written;
    const char *lie = nullptr;
    uint16_t in_flight = queue.in_flight, free_count = queue.free_count;
    EXPECT(virtqueue_take(&queue, &token, &written, &lie) == VIRTQUEUE_LIE);
    EXPECT(lie != nullptr && queue.in_flight == in_flight && queue.free_count == free_count);
}

TEST(virtqueue_sees_lies)
{
    static const uint32_t ids[] = {32, 0xffff, 0x10000, UINT32_MAX, 31, 1, 2}; // 1 and 2: inside
    for (unsigned i = 0; i < 7; i++) {
        EXPECT(virtqueue_start(&queue, memory, 32));
        add_three(1);
        use(ids[i], 0);
        expect_lie();
    }
    EXPECT(virtqueue_start(&queue, memory, 32));
    add_three(1);
    use(0, 4098); // a byte more than there is
    expect_lie();
    EXPECT(virtqueue_start(&queue, memory, 32));
    use(0, 0); // nothing is in flight
    expect_lie();
    EXPECT(virtqueue_start(&queue, memory, 32));
    add_three(1);
    *device_word(VIRTQUEUE_USED + 2) = 2; // more than it was given
    expect_lie();
    *device_word(VIRTQUEUE_USED + 2) = 0xffff; // backwards
    expect_lie();
}

TEST(virtqueue_takes_each_once)
{
    uint32_t token, written;
    const char *lie;
    EXPECT(virtqueue_start(&queue, memory, 32));
    add_three(1);
    add_three(2);
    use(0, 1);
    use(0, 1);
    EXPECT(virtqueue_take(&queue, &token, &written, &lie) == VIRTQUEUE_OK && token == 1);
    expect_lie();
}

// A device that scribbles over everything it can reach never leads the driver outside.
TEST(virtqueue_survives_scribbling)
{
    uint64_t random = 88172645463325252u;
    for (unsigned round = 0; round < 20'000; round++) {
        EXPECT(virtqueue_start(&queue, memory, 32));
        for (uint32_t i = 0; i < 5; i++)
            add_three(i);
        for (unsigned n = 0; n < 200; n++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            memory[random % sizeof(memory)] = (uint8_t)(random >> 32) & (round & 1 ? 0xff : 0x0f);
        }
        uint32_t token, written;
        const char *lie;
        unsigned taken = 0;
        while (virtqueue_take(&queue, &token, &written, &lie) == VIRTQUEUE_OK) {
            EXPECT(token < 5 && written <= 4097);
            taken++;
        }
        EXPECT(taken <= 5 && queue.in_flight == 5 - taken && queue.free_count == 17 + 3 * taken);
    }
}
