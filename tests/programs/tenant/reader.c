// SPDX-License-Identifier: MIT
//
// The neighbour that reads a disk: a client of the driver's on each CPU, with several requests under way, each
// of a block somewhere else. Every word of the disk follows from its place, and every one that
// comes is looked at.
#include "tenant.h"

#include <sdk/block_client.h>

#include <lib/types.h>

constexpr uint32_t BLOCK_BYTES = 4096, UNDER_WAY = 16;
constexpr uint32_t BLOCK_SECTORS = BLOCK_BYTES / BLOCK_SECTOR_BYTES;

static struct reader {
    struct block_client client;
    struct loop loop;
    uint64_t number, asked, blocks;
    uint64_t block[UNDER_WAY]; // which one each request is for
} readers[CPUS_MOST];

static void ask(struct reader *r, uint32_t tag)
{
    r->block[tag] = mixed(r->asked++ * CPUS_MOST + r->number) % r->blocks;
    // What a request left there before is not to be taken for its answer.
    memset(r->client.data + tag * BLOCK_BYTES, 0xff, 8);
    if (!block_client_read(&r->client, r->block[tag] * BLOCK_SECTORS, BLOCK_SECTORS,
                           tag * BLOCK_BYTES, tag))
        give_up("there is no room for a request");
}

static bool right(const struct reader *r, uint32_t tag)
{
    const uint64_t *words = (const void *)(r->client.data + tag * BLOCK_BYTES);
    uint64_t first = r->block[tag] * (BLOCK_BYTES / sizeof(uint64_t));
    for (uint64_t i = 0; i < BLOCK_BYTES / sizeof(uint64_t); i++)
        if (words[i] != mixed(first + i))
            return false;
    return true;
}

static void on_completed(void *context, uint32_t tag, enum block_status status)
{
    struct reader *r = context;
    board->clients[r->number].wrong += status != BLOCK_OK || !right(r, tag);
    board->clients[r->number].trips++;
    ask(r, tag);
    relax();
}

static void on_connected(void *context, uint64_t sectors)
{
    struct reader *r = context;
    if (r->blocks != 0)
        give_up("the disk's driver has started again");
    r->blocks = sectors / BLOCK_SECTORS;
    if (r->blocks == 0)
        give_up("the disk is empty");
    for (uint32_t i = 0; i < UNDER_WAY; i++)
        ask(r, i);
}

static void read_for_ever(void *argument)
{
    struct reader *r = argument;
    r->client = (struct block_client){.service = "virtio-blk",
                                      .data_bytes = UNDER_WAY * BLOCK_BYTES,
                                      .context = r,
                                      .connected = on_connected,
                                      .completed = on_completed};
    must(loop_create(&r->loop), "loop_create");
    must(block_client_start(&r->client, &r->loop), "block_client_start");
    loop_run(&r->loop);
}

void reader_main(void)
{
    uint64_t copy, cpus = child_start.words[1];
    receive_handles(&copy, 1);
    board_map((vmo_t){copy});
    for (uint64_t i = 0; i < cpus; i++) {
        thread_t thread;
        readers[i].number = i;
        must(thread_spawn(read_for_ever, &readers[i], NEIGHBOUR_PRIORITY, &thread), "thread_spawn");
        must(thread_set_cpu(thread, i), "thread_set_cpu");
    }
    (void)thread_sleep(ABI_DEADLINE_NEVER);
}
