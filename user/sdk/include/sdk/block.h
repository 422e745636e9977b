// SPDX-License-Identifier: MIT
//
// The memory that a client of a disk shares with its driver (proto/block.toml):
//
//   0                    ring of struct block_request (sdk/ring.h), the client produces
//   block_completions()  ring of struct block_completion, the driver produces
//   data_offset          data, data_bytes long; both multiples of the page size
//
// The client owns the memory and pays for it; the driver maps it and pins the data, and pays too.
// Until a request is completed its data belongs to the device, also when the driver died: the
// pages cannot be reused before the device was reset.
//
// A client keeps at most `capacity` requests unanswered. Whoever puts something into a ring
// raises bit 0 of the doorbell of that direction; whoever is woken clears it first and then
// empties the ring.
#pragma once

#include <stdint.h>

#include <sdk/ring.h>

constexpr uint32_t BLOCK_SECTOR_BYTES = 512;
constexpr uint32_t BLOCK_DOORBELL = 1; // bit of the events
constexpr uint32_t BLOCK_MAX_CAPACITY = 256;

enum block_operation : uint32_t {
    BLOCK_READ = 1,
    BLOCK_WRITE = 2, // not served in this version: BLOCK_NOT_SUPPORTED
};

enum block_status : uint32_t {
    BLOCK_OK = 0,
    BLOCK_IO_ERROR = 1,      // the device says that it failed
    BLOCK_BAD_REQUEST = 2,   // past the end of the disk or of the data, or not aligned
    BLOCK_NOT_SUPPORTED = 3, // no such operation here
};

struct block_request {
    uint64_t id; // the client's; comes back in the completion
    uint32_t operation;
    uint32_t sectors;
    uint64_t sector;      // first
    uint64_t data_offset; // into the data, a multiple of 512
};

struct block_completion {
    uint64_t id;
    uint32_t status;
    uint32_t reserved;
};

// Where the ring of completions begins, and where data can begin, by capacity.
static inline uint64_t block_completions(uint32_t capacity)
{
    return ring_bytes(capacity, sizeof(struct block_request));
}

static inline uint64_t block_data(uint32_t capacity)
{
    uint64_t end =
        block_completions(capacity) + ring_bytes(capacity, sizeof(struct block_completion));
    return (end + 4095) / 4096 * 4096;
}
