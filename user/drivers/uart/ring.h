// SPDX-License-Identifier: MIT
//
// A queue of bytes inside one process. Capacity is a power of two; positions run freely.
#pragma once

#include <stdint.h>

struct byte_ring {
    uint8_t *bytes;
    uint32_t capacity;
    uint32_t head, tail; // read at head, written at tail; tail - head is what it holds
};

static inline uint32_t byte_ring_used(const struct byte_ring *ring)
{
    return ring->tail - ring->head;
}

static inline uint32_t byte_ring_room(const struct byte_ring *ring)
{
    return ring->capacity - byte_ring_used(ring);
}

// The caller has looked for room.
static inline void byte_ring_put(struct byte_ring *ring, uint8_t byte)
{
    ring->bytes[ring->tail++ & (ring->capacity - 1)] = byte;
}

// The caller has looked whether there is one.
static inline uint8_t byte_ring_take(struct byte_ring *ring)
{
    return ring->bytes[ring->head++ & (ring->capacity - 1)];
}
