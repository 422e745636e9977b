// SPDX-License-Identifier: MIT
//
// build: user/services/files/cache.c
//
// The file service's cache, with a reader that answers when the test says so.
#include <stdint.h>
#include <user/services/files/cache.h>

#include "test.h"

static struct cache cache;
static uint8_t data[CACHE_BLOCKS * CACHE_BLOCK_BYTES];
static uint64_t reading[CACHE_BLOCKS]; // block + 1, by cache block; 0: none
static unsigned accepted, room;

static bool read_block(void *context, uint64_t block, uint32_t index)
{
    (void)context;
    EXPECT(index < CACHE_BLOCKS && reading[index] == 0);
    if (room == 0)
        return false;
    room--;
    accepted++;
    reading[index] = block + 1;
    return true;
}

static void start(void)
{
    cache = (struct cache){.read = read_block, .data = data};
    memset(reading, 0, sizeof(reading));
    accepted = 0;
    room = UINT32_MAX;
}

static void finish(uint64_t block, bool good)
{
    for (uint32_t i = 0; i < CACHE_BLOCKS; i++)
        if (reading[i] == block + 1) {
            reading[i] = 0;
            memset(data + i * CACHE_BLOCK_BYTES, (int)block, CACHE_BLOCK_BYTES);
            cache_done(&cache, i, good);
        }
}

static enum cache_state get(uint64_t block)
{
    const uint8_t *at = nullptr;
    enum cache_state state = cache_get(&cache, block, &at);
    if (state == CACHE_VALID)
        EXPECT(at != nullptr && at[0] == (uint8_t)block);
    return state;
}

TEST(cache_reads_each_block_once)
{
    start();
    EXPECT(get(7) == CACHE_EMPTY);
    EXPECT(cache_want(&cache, 7) && cache_want(&cache, 7) && accepted == 1);
    EXPECT(get(7) == CACHE_READING);
    finish(7, true);
    EXPECT(get(7) == CACHE_VALID && cache_want(&cache, 7) && accepted == 1);
}

TEST(cache_never_gives_up_what_is_being_read)
{
    start();
    for (uint64_t b = 0; b < CACHE_BLOCKS; b++)
        EXPECT(cache_want(&cache, b));
    EXPECT(!cache_want(&cache, 99));
    finish(3, true);
    EXPECT(cache_want(&cache, 99)); // in the place of 3
    EXPECT(get(3) == CACHE_EMPTY && get(0) == CACHE_READING);
}

TEST(cache_gives_up_the_oldest)
{
    start();
    for (uint64_t b = 0; b < CACHE_BLOCKS; b++) {
        EXPECT(cache_want(&cache, b));
        finish(b, true);
    }
    EXPECT(get(0) == CACHE_VALID); // looking at it does not make it younger
    EXPECT(cache_want(&cache, 50) && get(0) == CACHE_EMPTY && get(1) == CACHE_VALID);
    cache_hold(&cache, 1);
    EXPECT(cache_want(&cache, 51) && get(1) == CACHE_VALID && get(2) == CACHE_EMPTY);
    cache_forget_holds(&cache);
    EXPECT(cache_want(&cache, 52) && get(1) == CACHE_EMPTY);
}

TEST(cache_tells_a_failure_once)
{
    start();
    EXPECT(cache_want(&cache, 5));
    finish(5, false);
    EXPECT(get(5) == CACHE_FAILED && get(5) == CACHE_EMPTY);
    EXPECT(cache_want(&cache, 5));
    finish(5, true);
    EXPECT(get(5) == CACHE_VALID);
    cache_done(&cache, 3, true);            // nothing is being read there
    cache_done(&cache, CACHE_BLOCKS, true); // nor is there such a block
    room = 0;
    EXPECT(!cache_want(&cache, 6) && get(6) == CACHE_EMPTY);
}

TEST(cache_forgets_all_but_what_is_on_its_way)
{
    start();
    for (uint64_t block = 0; block < CACHE_BLOCKS - 1; block++) {
        EXPECT(cache_want(&cache, block));
        finish(block, block != 3);
    }
    EXPECT(cache_want(&cache, 100));
    cache_hold(&cache, 5);
    cache_forget(&cache);
    for (uint64_t block = 0; block < CACHE_BLOCKS - 1; block++)
        EXPECT(get(block) == CACHE_EMPTY);
    EXPECT(get(100) == CACHE_READING);
    finish(100, true);
    EXPECT(get(100) == CACHE_VALID);
}
