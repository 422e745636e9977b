// SPDX-License-Identifier: MIT
//
// The 64 KiB of the disk that are in memory: sixteen blocks, which are also the data of the ring
// that is shared with the driver, so that nothing is copied twice. It decides what is read; it
// does not know how, so that it runs on the host.
//
//   empty --cache_want--> reading --cache_done--> valid, or failed --cache_get--> empty
//
// Blocks are given up in the order in which they were asked for. For a reader that goes forward
// that is the one it has behind it, and blocks that were read ahead stay until it comes to them.
// A block that is held, because somebody needs it together with one that is still being read, is
// not given up.
//
// Invariants: a disk block is in at most one cache block; one that is being read belongs to the
// device and is never given up.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr uint32_t CACHE_BLOCKS = 16;
constexpr uint32_t CACHE_BLOCK_BYTES = 4096;

enum cache_state : uint8_t { CACHE_EMPTY, CACHE_READING, CACHE_VALID, CACHE_FAILED };

struct cache {
    // Begins to read a disk block into cache block `index`; false: not now.
    bool (*read)(void *context, uint64_t block, uint32_t index);
    void *context;
    uint8_t *data;  // CACHE_BLOCKS * CACHE_BLOCK_BYTES
    uint64_t asked; // counts what was asked for
    struct {
        enum cache_state state;
        bool held;
        uint64_t block, order;
    } blocks[CACHE_BLOCKS];
};

// What there is of a disk block. CACHE_EMPTY: nothing, and nothing is on its way. CACHE_FAILED is
// answered once. `data` is set for CACHE_VALID.
enum cache_state cache_get(struct cache *cache, uint64_t block, const uint8_t **data);

// Begins to read a disk block unless it is here or on its way. false: every cache block is being
// read, or the reader cannot take more.
bool cache_want(struct cache *cache, uint64_t block);

// Holds a block that is valid; and lets go of all that are held.
void cache_hold(struct cache *cache, uint64_t block);
void cache_forget_holds(struct cache *cache);

// Forgets what is here; what is on its way stays so.
void cache_forget(struct cache *cache);

// The read into cache block `index` is over.
void cache_done(struct cache *cache, uint32_t index, bool good);
