// SPDX-License-Identifier: MIT
//
// See client.h.

#include "client.h"

#include <lib/types.h>
#include <sdk/memory.h>
#include <sdk/start.h>

#include "disk.h"
#include "fault.h"

// Gives back all that a client had. Only when nothing of it is with the device.
static void release(struct client *client)
{
    dma_release(&client->data);
    block_share_close(&client->share);
    *client = (struct client){.clients = client->clients};
}

// No more is taken from this client; what the device has is waited for.
static void drain(struct client *client)
{
    if (client->state != CLIENT_ATTACHED)
        return;
    loop_unbind(&client->doorbell);
    client->state = CLIENT_DRAINING;
    client->connection = nullptr;
    if (client->outstanding == 0)
        release(client);
}

static void refuse_client(struct client *client, const char *why)
{
    struct connection *connection = client->connection;
    log_line("a client is cut off: %s", why);
    drain(client);
    connection_close(connection);
}

static void on_doorbell(struct source *source, const struct loop_event *event)
{
    struct client *client = CONTAINER_OF(source, struct client, doorbell);
    uint32_t before;
    if ((event->signals & SIGNAL_GONE) != 0) {
        refuse_client(client, "its doorbell is gone");
        return;
    }
    (void)event_clear(client->share.requests, BLOCK_DOORBELL, &before);
    clients_submit(client->clients);
}

void clients_start(struct clients *clients, struct disk *disk, struct loop *loop)
{
    *clients = (struct clients){.disk = disk, .loop = loop};
    for (uint32_t i = 0; i < CLIENTS; i++)
        clients->client[i].clients = clients;
}

static status_t share_and_pin(struct client *client, const struct block_attach_request *request)
{
    status_t status = block_share_map(&client->share, request, DMA_MAX_PAGES * PAGE_SIZE, false);
    if (status != STATUS_OK)
        return status;
    fault_here(FAULT_ATTACH_MAP);
    status = dma_pin(&client->data, &client->clients->disk->device, client->share.memory,
                     request->data_offset, request->data_bytes, DMA_FROM_DEVICE);
    if (status != STATUS_OK)
        return status;
    fault_here(FAULT_ATTACH_PIN);
    return loop_bind(client->clients->loop, client->share.requests.value, &client->doorbell,
                     BLOCK_DOORBELL);
}

static struct client *idle_client(struct clients *clients)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (clients->client[i].state == CLIENT_IDLE)
            return &clients->client[i];
    return nullptr;
}

status_t client_attach(struct clients *clients, struct connection *connection,
                       const struct block_attach_request *request)
{
    client_detach(clients, connection); // what it attached before is over
    struct client unserved = {.clients = clients}, *client = idle_client(clients);
    status_t status = client == nullptr ? BLOCK_NO_ROOM : STATUS_OK;
    if (client == nullptr)
        client = &unserved;
    client->connection = connection;
    client->doorbell.handle = on_doorbell;
    block_share_take(&client->share, request);
    if (status == STATUS_OK)
        status = share_and_pin(client, request);
    if (status == STATUS_OK)
        client->state = CLIENT_ATTACHED;
    else
        release(client);
    return status;
}

void client_detach(struct clients *clients, struct connection *connection)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (clients->client[i].connection == connection)
            drain(&clients->client[i]);
}

// Puts a completion into the client's ring, which has room for it.
static void complete(struct client *client, uint64_t id, enum block_status status)
{
    const struct block_completion completion = {.id = id, .status = status};
    if (ring_push(&client->share.completed, &completion) != RING_OK) {
        refuse_client(client, "its ring of completions is corrupt");
        return;
    }
    client->doorbell_due = true;
    fault_here(FAULT_COMPLETE_PUSH);
}

void client_complete(struct client *client, uint64_t id, enum block_status status)
{
    client->outstanding--;
    if (client->state == CLIENT_ATTACHED)
        complete(client, id, status);
    else if (client->outstanding == 0)
        release(client);
}

// Takes one request from a client's ring to the disk. false: there is none.
static bool submit_one(struct client *client)
{
    struct block_request request;
    struct disk *disk = client->clients->disk;
    if (client->state != CLIENT_ATTACHED ||
        ring_room(&client->share.completed) <= client->outstanding)
        return false;
    switch (ring_pop(&client->share.submitted, &request)) {
    case RING_OK:
        break;
    case RING_CORRUPT:
        refuse_client(client, "its ring of requests is corrupt");
        return false;
    case RING_EMPTY:
    case RING_FULL:
        return false;
    }
    fault_here(FAULT_SUBMIT_TAKE);
    enum block_status status = disk_submit(disk, client, &request);
    if (status == BLOCK_OK)
        client->outstanding++;
    else
        complete(client, request.id, status);
    return true;
}

void clients_submit(struct clients *clients)
{
    uint32_t found_nothing = 0;
    while (found_nothing < CLIENTS && disk_has_room(clients->disk)) {
        bool found = submit_one(&clients->client[clients->next]);
        clients->next = (clients->next + 1) % CLIENTS;
        found_nothing = found ? 0 : found_nothing + 1;
    }
    disk_flush(clients->disk);
    clients_ring_doorbells(clients);
}

void clients_ring_doorbells(struct clients *clients)
{
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct client *client = &clients->client[i];
        if (client->state != CLIENT_ATTACHED || !client->doorbell_due)
            continue;
        client->doorbell_due = false;
        // GONE: nobody waits any more.
        (void)event_signal(client->share.completions, BLOCK_DOORBELL);
        fault_here(FAULT_COMPLETE_DOORBELL);
    }
}

uint32_t clients_count(const struct clients *clients)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < CLIENTS; i++)
        count += clients->client[i].state == CLIENT_ATTACHED;
    return count;
}
