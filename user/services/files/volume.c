// SPDX-License-Identifier: MIT
//
// See volume.h.

#include "volume.h"

#include <lib/format.h>
#include <lib/string.h>
#include <lib/types.h>
#include <proto/init.h>
#include <sdk/block_client.h>
#include <sdk/memory.h>
#include <sdk/start.h>

#include "cache.h"
#include "tar.h"

// What the index may grow to; its memory is taken once, from the service's account.
constexpr uint32_t INDEX_NODES = 16384;
constexpr uint32_t INDEX_TEXT_BYTES = 1024 * 1024;

constexpr uint32_t SECTORS_PER_BLOCK = CACHE_BLOCK_BYTES / BLOCK_SECTOR_BYTES;
constexpr uint32_t INDEXING_AHEAD = 3; // blocks: headers of small files are close together

static struct block_client disk;
static struct cache cache;
static struct tar_reader tar;
static struct index index;
static void *index_memory;
static struct volume_status status_now = {.message = "no disk has appeared"};
static void (*tell_changed)(void);

static bool read_block(void *context, uint64_t block, uint32_t at)
{
    (void)context;
    uint64_t sector = block * SECTORS_PER_BLOCK, all = status_now.bytes / BLOCK_SECTOR_BYTES;
    if (sector >= all)
        return false;
    uint64_t left = all - sector;
    uint32_t sectors = left < SECTORS_PER_BLOCK ? (uint32_t)left : SECTORS_PER_BLOCK;
    return block_client_read(&disk, sector, sectors, (uint64_t)at * CACHE_BLOCK_BYTES, at);
}

[[gnu::format(printf, 1, 2)]] static void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    format_text_v(status_now.message, sizeof(status_now.message), format, arguments);
    va_end(arguments);
    status_now.state = VOLUME_UNUSABLE;
    log_line("%s", status_now.message);
}

static void index_is_complete(void)
{
    status_now.state = VOLUME_USABLE;
    if (index.skipped > 0)
        format_text(
            status_now.message, sizeof(status_now.message),
            "%u entries are left out: their paths lead out of the archive or through a file",
            index.skipped);
    else
        status_now.message[0] = '\0';
    log_line("%u names on a disk of %llu KiB", index.node_count - 1,
             (unsigned long long)status_now.bytes / 1024);
    if (index.skipped > 0)
        log_line("%s", status_now.message);
}

// Feeds the reader from the cache. false: it has to wait, or is at its end.
static bool index_block(void)
{
    const uint8_t *data;
    uint64_t block = tar.offset / CACHE_BLOCK_BYTES;
    switch (cache_get(&cache, block, &data)) {
    case CACHE_VALID:
        tar_feed(&tar, data + tar.offset % CACHE_BLOCK_BYTES);
        return true;
    case CACHE_FAILED:
        give_up("the disk cannot be read at byte %llu", (unsigned long long)tar.offset);
        return false;
    case CACHE_EMPTY:
    case CACHE_READING:
        break;
    }
    for (uint32_t i = 0; i <= INDEXING_AHEAD; i++)
        (void)cache_want(&cache, block + i);
    return false;
}

static void index_on(void)
{
    while (status_now.state == VOLUME_INDEXING) {
        switch (tar_next(&tar)) {
        case TAR_BLOCK:
            if (!index_block())
                return;
            break;
        case TAR_ENTRY:
            if (index_add(&index, &tar.entry) == INDEX_FULL)
                give_up("the archive has more than %u names, or %u KiB of them, which is all "
                        "that is served",
                        INDEX_NODES - 1, INDEX_TEXT_BYTES / 1024);
            break;
        case TAR_END:
            index_is_complete();
            break;
        case TAR_ERROR:
            if (tar.error_offset == 0)
                give_up("%s", tar_error_text(tar.error));
            else
                give_up("%s (at byte %llu)", tar_error_text(tar.error),
                        (unsigned long long)tar.error_offset);
            break;
        }
    }
}

// Nothing that is known of the disk holds any more.
static void start_anew(void)
{
    index_start(&index, index_memory, INDEX_NODES, INDEX_TEXT_BYTES);
    cache_forget(&cache);
    status_now.state = VOLUME_WAITING;
    status_now.message[0] = '\0';
    status_now.generation++;
}

static void on_connected(void *context, uint64_t sectors)
{
    (void)context;
    uint64_t bytes = sectors * BLOCK_SECTOR_BYTES;
    status_now.unavailable = false;
    if (status_now.away && status_now.state != VOLUME_WAITING)
        start_anew();
    status_now.away = false;
    if (status_now.state == VOLUME_WAITING) {
        status_now.state = VOLUME_INDEXING;
        status_now.bytes = bytes;
        tar_start(&tar, bytes);
    } else if (bytes != status_now.bytes) {
        give_up("another disk is there: it has %llu bytes, not %llu", (unsigned long long)bytes,
                (unsigned long long)status_now.bytes);
    }
    index_on();
    tell_changed();
}

static void on_unavailable(void *context, status_t why)
{
    (void)context;
    status_now.taken_out = why == INIT_NO_DEVICE;
    status_now.unavailable = status_now.away = true;
    tell_changed();
}

static void on_completed(void *context, uint32_t tag, enum block_status status)
{
    (void)context;
    cache_done(&cache, tag, status == BLOCK_OK);
    index_on();
    tell_changed();
}

status_t volume_start(struct loop *loop, const char *service, const char *otherwise,
                      void (*changed)(void))
{
    status_t status = memory_map(index_bytes(INDEX_NODES, INDEX_TEXT_BYTES), &index_memory);
    if (status != STATUS_OK)
        return status;
    index_start(&index, index_memory, INDEX_NODES, INDEX_TEXT_BYTES);
    tell_changed = changed;
    disk = (struct block_client){
        .service = service,
        .otherwise = otherwise,
        .data_bytes = CACHE_BLOCKS * CACHE_BLOCK_BYTES,
        .connected = on_connected,
        .completed = on_completed,
        .unavailable = on_unavailable,
    };
    status = block_client_start(&disk, loop);
    cache = (struct cache){.read = read_block, .data = disk.data};
    return status;
}

const struct volume_status *volume_status(void)
{
    return &status_now;
}

const struct index *volume_index(void)
{
    return &index;
}

// Everything from the first to the last block of the range, then what comes behind it.
static void want_range(uint64_t first, uint64_t last, uint64_t end, uint32_t ahead)
{
    for (uint64_t block = first; block <= last + ahead && block < end; block++)
        if (!cache_want(&cache, block))
            return;
}

enum volume_answer volume_read(const struct index_node *file, uint64_t offset, void *to,
                               uint32_t bytes, uint32_t ahead)
{
    if (bytes == 0)
        return VOLUME_OK;
    uint64_t at = file->data_offset + offset;
    uint64_t first = at / CACHE_BLOCK_BYTES, last = (at + bytes - 1) / CACHE_BLOCK_BYTES;
    uint64_t end = (file->data_offset + file->size + CACHE_BLOCK_BYTES - 1) / CACHE_BLOCK_BYTES;
    enum volume_answer answer = VOLUME_OK;
    uint8_t *out = to;
    for (uint64_t block = first; block <= last && answer == VOLUME_OK; block++) {
        const uint8_t *data;
        uint32_t skip = block == first ? (uint32_t)(at % CACHE_BLOCK_BYTES) : 0;
        uint32_t part = CACHE_BLOCK_BYTES - skip;
        if (part > bytes)
            part = bytes;
        enum cache_state state = cache_get(&cache, block, &data);
        if (state == CACHE_VALID) {
            memcpy(out, data + skip, part);
            out += part;
            bytes -= part;
        } else {
            answer = state == CACHE_FAILED || status_now.unavailable ? VOLUME_FAILED : VOLUME_LATER;
        }
    }
    for (uint64_t block = first; block <= last && answer == VOLUME_LATER; block++)
        cache_hold(&cache, block);
    want_range(first, last, end, ahead);
    return answer;
}

void volume_ask_again(void)
{
    if (!status_now.unavailable)
        return;
    status_now.unavailable = false;
    block_client_hurry(&disk);
}

void volume_forget_holds(void)
{
    cache_forget_holds(&cache);
}

void volume_flush(void)
{
    block_client_flush(&disk);
}
