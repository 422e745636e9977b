// SPDX-License-Identifier: MIT
// build: user/sdk/virtqueue.c
//
// The driver's side of a virtqueue against a device that lies. The model knows which chains are
// with the device: only they come back, each once, with no more written than they hold; and what
// the device is shown never names a descriptor twice.
#include <sdk/virtqueue.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

constexpr size_t RECORD = 8;
constexpr unsigned TOKENS = 256;

static uint8_t *memory;
static struct virtqueue queue;

static struct {
    bool with_device, published;
    uint16_t first, count; // descriptors
    uint32_t writable;
} chains[TOKENS]; // by token
static unsigned given, taken;
static bool honest; // the device has not written anything of its own choice

void fuzz_begin(void)
{
    memory = aligned_alloc(VIRTQUEUE_BYTES, VIRTQUEUE_BYTES);
}

static uint16_t *word_at(size_t at)
{
    return (uint16_t *)(void *)(memory + at);
}

// ---- the driver

static void add(struct input *input)
{
    struct virtqueue_segment segments[8];
    uint16_t count = (uint16_t)input_below(input, 9);
    uint32_t writable = 0;
    for (uint16_t i = 0; i < count && i < 8; i++) {
        uint64_t what = input_number(input, 1);
        segments[i] = (struct virtqueue_segment){i * 4096, (uint32_t)(what >> 1) * 16, what & 1};
        writable += what & 1 ? segments[i].bytes : 0;
    }
    count = count > 8 ? 8 : count;
    if (given == TOKENS)
        return;
    uint16_t first = queue.free_first, room = queue.free_count;
    bool added = virtqueue_add(&queue, segments, count, given);
    FUZZ_EXPECT(added == (count > 0 && count <= room));
    if (!added)
        return;
    FUZZ_EXPECT(first < queue.size);
    chains[given].with_device = true;
    chains[given].published = false;
    chains[given].first = first;
    chains[given].count = count;
    chains[given++].writable = writable;
}

static void publish(void)
{
    unsigned waiting = 0;
    for (unsigned i = 0; i < given; i++) {
        waiting += chains[i].with_device && !chains[i].published;
        chains[i].published = true;
    }
    // One that a lying device has used before it could know of it is published all the same.
    uint16_t published = virtqueue_publish(&queue);
    FUZZ_EXPECT(honest ? published == waiting : published >= waiting);
    FUZZ_EXPECT(*word_at(VIRTQUEUE_AVAILABLE + 2) == (uint16_t)given);
}

static void take(void)
{
    uint32_t token = UINT32_MAX, written = UINT32_MAX;
    const char *lie = nullptr;
    enum virtqueue_status status = virtqueue_take(&queue, &token, &written, &lie);
    if (status == VIRTQUEUE_LIE)
        FUZZ_EXPECT(lie != nullptr && !honest);
    if (status != VIRTQUEUE_OK)
        return;
    FUZZ_EXPECT(token < given && chains[token].with_device);
    FUZZ_EXPECT(written <= chains[token].writable);
    chains[token].with_device = false;
    taken++;
}

// ---- the device

// Uses the oldest chain that it knows of, as it should.
static void use(struct input *input)
{
    for (unsigned i = 0; honest && i < given; i++) {
        uint16_t used = *word_at(VIRTQUEUE_USED + 2);
        bool is_used = false; // already, and not taken yet
        struct virtqueue_used *ring =
            (struct virtqueue_used *)(void *)(memory + VIRTQUEUE_USED + 4);
        for (uint16_t at = (uint16_t)taken; at != used; at++)
            is_used |= ring[at % queue.size].id == chains[i].first;
        if (!chains[i].with_device || !chains[i].published || is_used)
            continue;
        uint32_t written = (uint32_t)input_below(input, (uint64_t)chains[i].writable + 1);
        ring[used % queue.size] = (struct virtqueue_used){chains[i].first, written};
        *word_at(VIRTQUEUE_USED + 2) = (uint16_t)(used + 1);
        return;
    }
}

static void lie(struct input *input)
{
    uint16_t at = (uint16_t)input_number(input, 2);
    uint32_t value = (uint32_t)input_number(input, 4);
    if (at & 8) // near what is still right
        value = queue.size + value % 4 - 2;
    honest = false;
    if (at & 1) // a used entry and an index that covers it
        *word_at(VIRTQUEUE_USED + 2) = (uint16_t)(queue.taken + 1 + (at >> 14));
    size_t place = at & 2 ? VIRTQUEUE_USED + 4 + (queue.taken % queue.size) * 8 + (at & 4)
                          : (at >> 1) % (VIRTQUEUE_BYTES - 4);
    memcpy(memory + place, &value, at & 2 ? 4 : 1);
}

// ---- what must hold

static void expect_sound(void)
{
    bool seen[VIRTQUEUE_MAX_SIZE] = {};
    unsigned with_device = 0, published = 0, used = 0, free = 0;
    for (unsigned i = 0; i < given; i++) {
        if (!chains[i].with_device)
            continue;
        with_device++;
        published += chains[i].published;
        uint16_t at = chains[i].first;
        for (unsigned k = 0; k < chains[i].count; k++, used++, at = queue.shadow[at].next) {
            FUZZ_EXPECT(at < queue.size && !seen[at]);
            seen[at] = true;
        }
    }
    uint16_t at = queue.free_first;
    for (; free < queue.free_count; free++, at = queue.shadow[at].next) {
        FUZZ_EXPECT(at < queue.size && !seen[at]);
        seen[at] = true;
    }
    FUZZ_EXPECT(free + used == queue.size);
    FUZZ_EXPECT((unsigned)queue.in_flight + queue.pending == with_device);
    FUZZ_EXPECT(!honest || queue.in_flight == published);
    FUZZ_EXPECT(queue.memory == memory);
}

// What the device sees of the newest chain is what was added.
static void expect_shown(void)
{
    if (!honest || given == 0 || !chains[given - 1].with_device)
        return;
    const struct virtqueue_descriptor *table = (const void *)memory;
    uint16_t at = *word_at(VIRTQUEUE_AVAILABLE + 4 + 2 * ((given - 1) % queue.size));
    uint32_t writable = 0;
    unsigned length = 1;
    FUZZ_EXPECT(at == chains[given - 1].first);
    for (;; at = table[at].next, length++) {
        FUZZ_EXPECT(at < queue.size && length <= queue.size);
        writable += table[at].flags & 2 ? table[at].bytes : 0;
        if (!(table[at].flags & 1))
            break;
    }
    FUZZ_EXPECT(length == chains[given - 1].count && writable == chains[given - 1].writable);
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    struct input input = {.data = data, .bytes = bytes}, record;
    uint16_t size = (uint16_t)(1u << input_below(&input, 8));
    memset(chains, 0, sizeof(chains));
    given = taken = 0;
    honest = true;
    FUZZ_EXPECT(virtqueue_start(&queue, memory, size));
    while (input_record(&input, RECORD, &record)) {
        switch (input_below(&record, 8)) {
        case 0:
        case 1:
            add(&record);
            expect_shown();
            break;
        case 2:
            publish();
            break;
        case 3:
        case 4:
            take();
            break;
        case 5:
        case 6:
            use(&record);
            break;
        default:
            lie(&record);
            break;
        }
        expect_sound();
    }
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    if (bytes == 0 || room < 1 + RECORD)
        return mutate_bytes(data, bytes, room);
    if (dice_below(dice, 20) == 0)
        data[0] = (uint8_t)dice_next(dice);
    return 1 + mutate_records(data + 1, bytes - 1, room - 1, RECORD, dice);
}
