// SPDX-License-Identifier: MIT
//
// What the driver of a disk has of one client: the client's memory with both rings, and the doorbells
// (sdk/block.h). What is asked for is not trusted.
#pragma once

#include <proto/block.h>
#include <sdk/block.h>

struct block_share {
    event_t requests, completions;
    vmo_t memory;
    uint8_t *mapped; // from the memory's start; null: it is not
    struct ring submitted, completed;
};

// Takes the handles of a request to attach.
void block_share_take(struct block_share *share, const struct block_attach_request *request);

// Maps the rings, and the data behind them too if `data` is set. The data is at most `data_max` bytes, and
// begins at most so far behind the rings. Errors: those of vm_map; BLOCK_BAD_RING.
[[nodiscard]] status_t block_share_map(struct block_share *share,
                                       const struct block_attach_request *request,
                                       uint64_t data_max, bool data);

// Gives all of it back.
void block_share_close(struct block_share *share);
