// SPDX-License-Identifier: MIT
//
// See sdk/ring.h.

#include <sdk/ring.h>

// Shared memory is read and written in whole words, each exactly once: what is checked is then
// what is used.
static void copy_in(uint64_t *to, const volatile uint64_t *from, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes / 8; i++)
        to[i] = from[i];
}

static void copy_out(volatile uint64_t *to, const uint64_t *from, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes / 8; i++)
        to[i] = from[i];
}

size_t ring_bytes(uint32_t capacity, uint32_t element_bytes)
{
    size_t elements = (size_t)capacity * element_bytes;
    return sizeof(struct ring_shared) + (elements + 63) / 64 * 64;
}

bool ring_start(struct ring *ring, void *memory, uint32_t capacity, uint32_t element_bytes)
{
    if (capacity == 0 || capacity > RING_MAX_CAPACITY || (capacity & (capacity - 1)) != 0)
        return false;
    if (element_bytes == 0 || element_bytes > RING_MAX_ELEMENT_BYTES || element_bytes % 8 != 0)
        return false;
    *ring = (struct ring){.shared = memory, .capacity = capacity, .element_bytes = element_bytes};
    return true;
}

static volatile uint64_t *slot(struct ring *ring, uint64_t index)
{
    size_t at = (size_t)(index & (ring->capacity - 1)) * ring->element_bytes;
    return (volatile uint64_t *)(void *)(ring->shared->elements + at);
}

// Believes the consumer's counter if it went forward, and not past what was produced.
static bool see_consumed(struct ring *ring)
{
    uint64_t consumed = __atomic_load_n(&ring->shared->consumed, __ATOMIC_ACQUIRE);
    if (consumed < ring->other || consumed > ring->own)
        return false;
    ring->other = consumed;
    return true;
}

// Believes the producer's counter if it went forward, and at most `capacity` past what was taken.
static bool see_produced(struct ring *ring)
{
    uint64_t produced = __atomic_load_n(&ring->shared->produced, __ATOMIC_ACQUIRE);
    if (produced < ring->other || produced - ring->own > ring->capacity)
        return false;
    ring->other = produced;
    return true;
}

enum ring_status ring_push(struct ring *ring, const void *element)
{
    if (ring->own - ring->other == ring->capacity) {
        if (!see_consumed(ring))
            return RING_CORRUPT;
        if (ring->own - ring->other == ring->capacity)
            return RING_FULL;
    }
    uint64_t words[RING_MAX_ELEMENT_BYTES / 8];
    __builtin_memcpy(words, element, ring->element_bytes);
    copy_out(slot(ring, ring->own), words, ring->element_bytes);
    ring->own++;
    __atomic_store_n(&ring->shared->produced, ring->own, __ATOMIC_RELEASE);
    return RING_OK;
}

uint64_t ring_room(struct ring *ring)
{
    if (!see_consumed(ring))
        return 0;
    return ring->capacity - (ring->own - ring->other);
}

enum ring_status ring_pop(struct ring *ring, void *element)
{
    if (ring->own == ring->other) {
        if (!see_produced(ring))
            return RING_CORRUPT;
        if (ring->own == ring->other)
            return RING_EMPTY;
    }
    uint64_t words[RING_MAX_ELEMENT_BYTES / 8];
    copy_in(words, slot(ring, ring->own), ring->element_bytes);
    __builtin_memcpy(element, words, ring->element_bytes);
    ring->own++;
    __atomic_store_n(&ring->shared->consumed, ring->own, __ATOMIC_RELEASE);
    return RING_OK;
}
