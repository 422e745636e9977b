// SPDX-License-Identifier: MIT
//
// Reads from a disk, many requests at a time, through a ring of our own (sdk/block.h), and goes
// on when the disk's driver dies: it connects again, attaches the same memory anew and sends
// again what was not answered. Its user sees only that some answers take longer.
//
//   connecting --attached--> serving --the driver is gone, or lies--> connecting
//
// Connecting waits until the driver is up, so a thread of its own does it; everything else
// happens in the loop, and so do the callbacks.
//
// What the driver writes is not trusted: a completion must answer a request that is outstanding.
#pragma once

#include <stdint.h>

#include <sdk/block.h>
#include <sdk/loop.h>
#include <sdk/ring.h>
#include <sdk/syscalls.h>

constexpr uint32_t BLOCK_CLIENT_REQUESTS = 32; // outstanding at once, a power of two

struct block_client {
    // Set by the user before block_client_start.
    const char *service;   // the driver, as the manifest names it
    const char *otherwise; // the one where the machine has nothing for the first; null: none
    uint64_t data_bytes;   // a multiple of the page size
    void *context;
    void (*connected)(void *context, uint64_t sectors); // every time; sectors may have changed
    void (*completed)(void *context, uint32_t tag, enum block_status status);
    // The driver does not come back by itself: it is held after too many crashes, or the manifest
    // does not know it; or, INIT_NO_DEVICE, its device was taken out. May be null. It is tried again;
    // `connected` says that all is well.
    void (*unavailable)(void *context, status_t why);

    uint8_t *data; // what requests read into

    // The rest is private.
    struct loop *loop;
    bool serving, requests_due;
    channel_t end;
    event_t requests, completions;
    struct source end_source, completions_source, connector_source;
    vmo_t memory;
    uint8_t *rings;
    struct ring submitted, answered;
    uint32_t outstanding;
    struct {
        bool busy;
        uint32_t tag, generation;
        struct block_request request;
    } slots[BLOCK_CLIENT_REQUESTS];
    struct {
        event_t wanted, done; // enum connector_bit
        account_t account;
        channel_t end;
        event_t requests, completions;
        uint64_t sectors;
        status_t why; // UNAVAILABLE
        uint32_t capacity;
        const char *service; // which of the two; changes until it has connected
    } connector;
};

// Makes the memory and begins to connect. Errors: those of vmo_create, event_create, port_bind and
// thread_create.
[[nodiscard]] status_t block_client_start(struct block_client *client, struct loop *loop);

// Somebody needs the driver: after `unavailable`, tries again at once, and says again how it went.
void block_client_hurry(struct block_client *client);

// Begins to read `sectors` sectors from `sector` to `data_offset`; `completed` says when it is
// done, with `tag`. Until then that part of the data is the device's. false: too many are
// outstanding. Nothing reaches the driver before block_client_flush.
[[nodiscard]] bool block_client_read(struct block_client *client, uint64_t sector, uint32_t sectors,
                                     uint64_t data_offset, uint32_t tag);
void block_client_flush(struct block_client *client);
