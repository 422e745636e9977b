// SPDX-License-Identifier: MIT
//
// The device: a virtio block device with one queue. Requests come from clients (client.h) and go
// back to them; here they are slots.
//
//   slot: free --disk_submit--> with the device --disk_complete--> free
//
// What the device writes is not trusted: a used entry or a status that cannot be ends the driver
// with a line that says so, and devd resets the device. Everything the device can reach stays
// pinned until it has answered.
//
// Source: Virtio 1.2, 5.2 "Block Device".
#pragma once

#include <stdint.h>

#include <sdk/block.h>
#include <sdk/driver.h>
#include <sdk/virtio.h>
#include <sdk/virtqueue.h>

constexpr uint32_t DISK_SLOTS = 64;        // requests with the device at once
constexpr uint32_t DISK_MAX_SEGMENTS = 16; // of data in one request
constexpr uint32_t DISK_MAX_BYTES = 64 * 1024;

struct client;

struct disk_slot {
    struct client *client; // null: free
    uint64_t id;           // the client's
    uint64_t data_offset;
    uint32_t bytes;
    uint32_t next_free;
};

struct disk {
    struct device device;
    struct virtio virtio;
    struct virtqueue queue;
    volatile uint8_t *notify;
    struct dma_buffer memory; // a page for the queue, a page for headers and statuses
    uint64_t sectors;
    uint32_t max_segments;
    bool read_only;
    struct disk_slot slots[DISK_SLOTS];
    uint32_t free_slot; // head of the list; DISK_SLOTS: none
    uint64_t in_flight, completed, failed;
};

// Waits for the device and starts it. Ends the process with a line that says why it cannot.
void disk_start(struct disk *disk);

// Whether a request could be submitted now, whatever it is.
[[nodiscard]] bool disk_has_room(const struct disk *disk);

// Checks a request and gives it to the queue; disk_flush lets the device see it. Answers other
// than BLOCK_OK are final. Only if disk_has_room.
[[nodiscard]] enum block_status disk_submit(struct disk *disk, struct client *client,
                                            const struct block_request *request);
void disk_flush(struct disk *disk);

// The device may have written the used ring: call before disk_complete.
void disk_sync_used(const struct disk *disk);

// How many requests of a page each the device can have at once.
uint32_t disk_most_in_flight(const struct disk *disk);

// Takes one request that the device is done with; false: none. The slot is free again.
[[nodiscard]] bool disk_complete(struct disk *disk, struct disk_slot *done,
                                 enum block_status *status);
