// SPDX-License-Identifier: MIT
//
// A queue between one producer and one consumer that do not trust each other, in memory that both
// have mapped. Neither side can make the other read or write outside the queue, wait without end,
// or take an element twice.
//
//   shared memory: struct ring_shared, then `capacity` elements of `element_bytes` each
//
//   produced ----------------------v
//   ..... | taken | taken | ready | ready | free | free | .....
//   consumed ---------------^
//
// Both counters are 64 bits wide, count elements since the start and never wrap. Each side keeps
// its own counter privately and only publishes it; the other side's is an allegation: it must lie
// between where it was seen last and what is possible, or the answer is RING_CORRUPT, after which
// the ring is to be given up. An element is copied once, and only the copy is looked at.
//
// Ordering: ring_push stores the element, then `produced` with release, which pairs with the
// acquire load in ring_pop; ring_pop copies, then stores `consumed` with release, which pairs with
// the acquire load in ring_push. Waking the other side is not done here: raise its Event after
// pushing, and look once more after clearing yours.
//
// Who may call: ring_push and ring_room the producer, ring_pop the consumer, each
// from one thread at a time.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr uint32_t RING_MAX_CAPACITY = 1u << 16;
constexpr uint32_t RING_MAX_ELEMENT_BYTES = 64;

struct ring_shared {
    alignas(64) uint64_t produced; // written by the producer only
    alignas(64) uint64_t consumed; // written by the consumer only
    alignas(64) uint8_t elements[];
};

enum ring_status { RING_OK, RING_FULL, RING_EMPTY, RING_CORRUPT };

// One side's view.
struct ring {
    struct ring_shared *shared;
    uint32_t capacity, element_bytes;
    uint64_t own;   // our counter; what stands in shared memory is a copy
    uint64_t other; // the other side's, as last seen and believed
};

// The shared memory that a ring needs; a multiple of 64.
size_t ring_bytes(uint32_t capacity, uint32_t element_bytes);

// Takes a side of a fresh ring; whoever owns the memory has zeroed it. `capacity` is a power of
// two up to RING_MAX_CAPACITY, `element_bytes` a multiple of 8 up to RING_MAX_ELEMENT_BYTES: false
// otherwise.
[[nodiscard]] bool ring_start(struct ring *ring, void *memory, uint32_t capacity,
                              uint32_t element_bytes);

// RING_OK, RING_FULL or RING_CORRUPT.
[[nodiscard]] enum ring_status ring_push(struct ring *ring, const void *element);

// How many elements can be pushed now; 0 also when the other side lies.
uint64_t ring_room(struct ring *ring);

// RING_OK, RING_EMPTY or RING_CORRUPT.
[[nodiscard]] enum ring_status ring_pop(struct ring *ring, void *element);
