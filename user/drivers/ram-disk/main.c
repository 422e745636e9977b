// SPDX-License-Identifier: MIT
//
// A disk in memory, for machines of which no other disk can be driven: it serves the block protocol
// (proto/block.toml) from a file of the boot bundle. Read-only, as all disks are in this version.
//
// There is no device: a request is answered when it is taken. So nothing is ever left unanswered by a client that
// goes, and what a driver that dies had taken is asked for again, as of any disk. Nothing that a client
// writes is believed (sdk/ring.h); one that lies is cut off.

#include <sdk/sdk.h>

#include <lib/types.h>
#include <proto/block.h>
#include <sdk/block_server.h>
#include <sdk/memory.h>
#include <sdk/ring.h>
#include <sdk/service.h>

#include "store.h"

constexpr uint32_t CLIENTS = 4, CONNECTIONS = CLIENTS + 2;
constexpr uint64_t DATA_PAGES_MAX = 64; // of a client
constexpr uint32_t TURN_REQUESTS = 32;  // of one client, before others have their turn

struct client {
    struct connection *connection; // null: this place is free
    struct source doorbell;        // bound to `share.requests`
    struct block_share share;      // mapped with its data
    uint64_t data_offset, data_bytes;
};

static struct store store;
static struct loop loop;
static struct client clients[CLIENTS];
static uint64_t completed_count, failed_count;

// ---- clients

static void detach(struct client *client)
{
    loop_unbind(&client->doorbell);
    block_share_close(&client->share);
    *client = (struct client){};
}

static struct client *client_of(const struct connection *connection)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (clients[i].connection == connection)
            return &clients[i];
    return nullptr;
}

static void cut_off(struct client *client, const char *why)
{
    struct connection *connection = client->connection;
    log_line("a client is cut off: %s", why);
    connection_close(connection); // detaches it
}

// ---- requests

static enum block_status answer(struct client *client, const struct block_request *request)
{
    const uint64_t bytes = (uint64_t)request->sectors * BLOCK_SECTOR_BYTES;
    const uint64_t sectors = store.bytes / BLOCK_SECTOR_BYTES;
    if (request->operation != BLOCK_READ)
        return BLOCK_NOT_SUPPORTED;
    if (request->sectors == 0 || request->sector >= sectors ||
        request->sectors > sectors - request->sector || bytes > client->data_bytes ||
        request->data_offset > client->data_bytes - bytes ||
        request->data_offset % BLOCK_SECTOR_BYTES != 0)
        return BLOCK_BAD_REQUEST;
    uint8_t *to = client->share.mapped + client->data_offset + request->data_offset;
    status_t status = store_read(&store, request->sector * BLOCK_SECTOR_BYTES, to, bytes);
    // Memory has no errors: this driver is being ended, and its calls are refused already, or it is at
    // the end of its account. The next one is asked again.
    if (status != STATUS_OK)
        fail("the disk's memory cannot be mapped: %s", status_name(status));
    return BLOCK_OK;
}

// Answers what a client has asked. It may ask on meanwhile: what is over a turn comes with the next one.
static void serve(struct client *client)
{
    uint32_t answered = 0;
    enum ring_status status = RING_OK;
    while (answered < TURN_REQUESTS && ring_room(&client->share.completed) > 0) {
        struct block_request request;
        status = ring_pop(&client->share.submitted, &request);
        if (status != RING_OK)
            break;
        const struct block_completion completion = {.id = request.id,
                                                    .status = answer(client, &request)};
        status = ring_push(&client->share.completed, &completion);
        if (status != RING_OK)
            break;
        completed_count += completion.status == BLOCK_OK;
        failed_count += completion.status != BLOCK_OK;
        answered++;
    }
    if (status == RING_CORRUPT) {
        cut_off(client, "its ring is corrupt");
        return;
    }
    if (answered > 0) // GONE: nobody waits any more
        (void)event_signal(client->share.completions, BLOCK_DOORBELL);
    if (answered == TURN_REQUESTS)
        (void)event_signal(client->share.requests, BLOCK_DOORBELL); // its own, for our next turn
}

static void on_doorbell(struct source *source, const struct loop_event *event)
{
    struct client *client = CONTAINER_OF(source, struct client, doorbell);
    uint32_t before;
    if ((event->signals & SIGNAL_GONE) != 0) {
        cut_off(client, "its doorbell is gone");
        return;
    }
    (void)event_clear(client->share.requests, BLOCK_DOORBELL, &before);
    serve(client);
}

// ---- the protocol

static status_t attach(void *context, struct wire_call call,
                       const struct block_attach_request *request, struct block_attach_reply *reply)
{
    (void)call;
    *reply = (struct block_attach_reply){
        .sectors = store.bytes / BLOCK_SECTOR_BYTES,
        .max_request_bytes = DATA_PAGES_MAX * PAGE_SIZE,
        .max_in_flight = BLOCK_MAX_CAPACITY,
        .read_only = 1,
    };
    struct client none = {}, *client = client_of(context);
    if (client != nullptr)
        detach(client); // what it attached before is over
    client = client_of(nullptr);
    status_t status = client == nullptr ? BLOCK_NO_ROOM : STATUS_OK;
    if (client == nullptr)
        client = &none;
    client->connection = context;
    client->data_offset = request->data_offset;
    client->data_bytes = request->data_bytes;
    client->doorbell.handle = on_doorbell;
    block_share_take(&client->share, request);
    if (status == STATUS_OK)
        status = block_share_map(&client->share, request, DATA_PAGES_MAX * PAGE_SIZE, true);
    if (status == STATUS_OK)
        status = loop_bind(&loop, client->share.requests.value, &client->doorbell, BLOCK_DOORBELL);
    if (status != STATUS_OK)
        detach(client);
    return status;
}

static status_t figures(void *context, struct wire_call call, struct block_figures_reply *reply)
{
    (void)context;
    (void)call;
    *reply = (struct block_figures_reply){
        .sectors = store.bytes / BLOCK_SECTOR_BYTES,
        .completed = completed_count,
        .failed = failed_count,
    };
    for (uint32_t i = 0; i < CLIENTS; i++)
        reply->clients += clients[i].connection != nullptr;
    return STATUS_OK;
}

static status_t fail_at(void *context, struct wire_call call,
                        const struct block_fail_at_request *request)
{
    (void)context;
    (void)call;
    (void)request;
    return STATUS_NOT_SUPPORTED;
}

static const struct block_server operations = {
    .attach = attach, .figures = figures, .fail_at = fail_at};

static void on_message(struct connection *connection, const struct wire_received *received)
{
    block_dispatch(&operations, connection, received);
}

static void on_closed(struct connection *connection)
{
    struct client *client = client_of(connection);
    if (client != nullptr)
        detach(client);
}

int main(const char *argument)
{
    (void)argument;
    static struct connection connections[CONNECTIONS];
    static struct service service = {
        .connections = connections,
        .connection_max = CONNECTIONS,
        .message = on_message,
        .closed = on_closed,
    };
    status_t status = store_open(&store, start.disk);
    if (status != STATUS_OK)
        fail("there is nothing to serve: %s", status_name(status));
    status = loop_create(&loop);
    if (status != STATUS_OK)
        fail("no port: %s", status_name(status));
    log_line("%llu sectors", (unsigned long long)store.bytes / BLOCK_SECTOR_BYTES);
    status = service_start(&service, &loop);
    if (status != STATUS_OK)
        fail("the service cannot be offered: %s", status_name(status));
    loop_run(&loop);
}
