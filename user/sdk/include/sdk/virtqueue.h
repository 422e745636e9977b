// SPDX-License-Identifier: MIT
//
// A split virtqueue, the driver's side: chains of buffers go to the device, and come back used.
//
// The device is not trusted. What it may write, the used ring, is read once and believed only if
// it names a chain that is with the device and says no more than it could have written; anything
// else is VIRTQUEUE_LIE, and the device is to be reset. What the driver needs to know of its own
// descriptors stands in private memory, never in what the device can reach.
//
//   add: descriptors and ring entry are written      (the device does not look yet)
//     -> sync for the device -> publish: the index says so -> sync -> notify
//   interrupt -> sync for the CPU -> take, take, ... until VIRTQUEUE_EMPTY
//
// Invariants: a descriptor is on the free list or in one chain; in_flight = chains that were
// published and not taken; in_flight + pending <= size.
//
// Source: Virtual I/O Device (VIRTIO) 1.2, 2.7 "Split Virtqueues".
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr uint16_t VIRTQUEUE_MAX_SIZE = 128;

struct virtqueue_descriptor { // 2.7.5
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};

struct virtqueue_used { // 2.7.8
    uint32_t id, written;
};

// Where the three parts begin in the queue's memory; one page holds them all.
constexpr size_t VIRTQUEUE_AVAILABLE = VIRTQUEUE_MAX_SIZE * sizeof(struct virtqueue_descriptor);
constexpr size_t VIRTQUEUE_USED = VIRTQUEUE_AVAILABLE + 512;
constexpr size_t VIRTQUEUE_BYTES = 4096;
static_assert(6 + 2 * VIRTQUEUE_MAX_SIZE <= 512);
static_assert(VIRTQUEUE_USED + 6 + VIRTQUEUE_MAX_SIZE * sizeof(struct virtqueue_used) <=
              VIRTQUEUE_BYTES);

struct virtqueue_segment {
    uint64_t address; // as the device sees it
    uint32_t bytes;
    bool device_writes; // all of these come behind all that the device reads
};

enum virtqueue_status { VIRTQUEUE_OK, VIRTQUEUE_EMPTY, VIRTQUEUE_LIE };

struct virtqueue {
    volatile uint8_t *memory; // VIRTQUEUE_BYTES, shared with the device
    uint16_t size;
    uint16_t available; // our index; shared memory holds a copy once it is published
    uint16_t pending;   // chains added and not yet published
    uint16_t taken;     // how far the used ring was read
    uint16_t in_flight;
    uint16_t free_first, free_count;
    struct {
        uint16_t next;     // in the free list or the chain
        uint16_t count;    // descriptors, in the first one of a chain that is with the device
        uint32_t writable; // bytes that the device may write in this chain
        uint32_t token;
    } shadow[VIRTQUEUE_MAX_SIZE];
};

// Empties the queue. `memory` is VIRTQUEUE_BYTES, page-aligned; `size` a power of two up to
// VIRTQUEUE_MAX_SIZE: false otherwise.
[[nodiscard]] bool virtqueue_start(struct virtqueue *queue, void *memory, uint16_t size);

// Adds a chain of `count` (at least 1) segments, whose `token` virtqueue_take will answer. false:
// not that many descriptors are free.
[[nodiscard]] bool virtqueue_add(struct virtqueue *queue, const struct virtqueue_segment *segments,
                                 uint16_t count, uint32_t token);

// Lets the device see what was added. Returns how many chains that were.
uint16_t virtqueue_publish(struct virtqueue *queue);

// Takes one chain that the device has used: its token, and how many bytes the device says it
// wrote. `lie`, if it is one, says in words what was wrong.
[[nodiscard]] enum virtqueue_status virtqueue_take(struct virtqueue *queue, uint32_t *token,
                                                   uint32_t *written, const char **lie);
