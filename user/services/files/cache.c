// SPDX-License-Identifier: MIT
//
// See cache.h.

#include "cache.h"

static uint32_t find(const struct cache *cache, uint64_t block)
{
    for (uint32_t i = 0; i < CACHE_BLOCKS; i++)
        if (cache->blocks[i].state != CACHE_EMPTY && cache->blocks[i].block == block)
            return i;
    return CACHE_BLOCKS;
}

enum cache_state cache_get(struct cache *cache, uint64_t block, const uint8_t **data)
{
    uint32_t i = find(cache, block);
    if (i == CACHE_BLOCKS)
        return CACHE_EMPTY;
    enum cache_state state = cache->blocks[i].state;
    if (state == CACHE_VALID)
        *data = cache->data + (size_t)i * CACHE_BLOCK_BYTES;
    if (state == CACHE_FAILED)
        cache->blocks[i].state = CACHE_EMPTY; // whoever asks again has it tried again
    return state;
}

// The block to be given up: an empty one, or the one that was asked for first.
static uint32_t victim(const struct cache *cache)
{
    uint32_t best = CACHE_BLOCKS;
    for (uint32_t i = 0; i < CACHE_BLOCKS; i++) {
        if (cache->blocks[i].state == CACHE_EMPTY)
            return i;
        if (cache->blocks[i].state == CACHE_READING || cache->blocks[i].held)
            continue;
        if (best == CACHE_BLOCKS || cache->blocks[i].order < cache->blocks[best].order)
            best = i;
    }
    return best;
}

bool cache_want(struct cache *cache, uint64_t block)
{
    if (find(cache, block) != CACHE_BLOCKS)
        return true;
    uint32_t i = victim(cache);
    if (i == CACHE_BLOCKS || !cache->read(cache->context, block, i))
        return false;
    cache->blocks[i].state = CACHE_READING;
    cache->blocks[i].block = block;
    cache->blocks[i].order = cache->asked++;
    return true;
}

void cache_hold(struct cache *cache, uint64_t block)
{
    uint32_t i = find(cache, block);
    if (i != CACHE_BLOCKS && cache->blocks[i].state == CACHE_VALID)
        cache->blocks[i].held = true;
}

void cache_forget_holds(struct cache *cache)
{
    for (uint32_t i = 0; i < CACHE_BLOCKS; i++)
        cache->blocks[i].held = false;
}

void cache_forget(struct cache *cache)
{
    for (uint32_t i = 0; i < CACHE_BLOCKS; i++)
        if (cache->blocks[i].state != CACHE_READING)
            cache->blocks[i].state = CACHE_EMPTY;
}

void cache_done(struct cache *cache, uint32_t index, bool good)
{
    if (index < CACHE_BLOCKS && cache->blocks[index].state == CACHE_READING)
        cache->blocks[index].state = good ? CACHE_VALID : CACHE_FAILED;
}
