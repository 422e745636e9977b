// SPDX-License-Identifier: MIT
//
// See sdk/block_client.h.

#include <sdk/block_client.h>

#include <lib/string.h>
#include <lib/types.h>
#include <proto/block.h>
#include <sdk/memory.h>
#include <sdk/service.h>
#include <sdk/start.h>
#include <sdk/thread.h>

constexpr uint32_t CAPACITY = BLOCK_CLIENT_REQUESTS;
constexpr uint64_t RESTART_NS = 10 * NS_PER_MS; // the driver died just now
constexpr uint64_t RETRY_NS = NS_PER_S;         // it cannot be reached

enum connector_bit : uint32_t {
    WANTED = 1,      // of `wanted`: connect
    HURRY = 2,       // of `wanted`: try again without waiting
    ATTACHED = 1,    // of `done`: the connector's fields are filled
    UNAVAILABLE = 2, // of `done`: it does not work, and will be tried again
};

// ---- the connector: a thread that may wait for the driver

static void close_handles(const uint64_t handles[static 3])
{
    for (size_t i = 0; i < 3; i++)
        if (handles[i] != 0)
            (void)handle_close((handle_t){handles[i]});
}

static void close_all(channel_t end, event_t requests, event_t completions)
{
    close_handles((uint64_t[]){end.value, requests.value, completions.value});
}

// A copy of a handle, for the driver.
static uint64_t copy_of(uint64_t handle, uint32_t rights)
{
    handle_t copy = {0};
    status_t status = handle_duplicate((handle_t){handle}, rights | RIGHT_TRANSFER, &copy);
    return status == STATUS_OK ? copy.value : 0;
}

static status_t attach(struct block_client *client, channel_t end)
{
    auto c = &client->connector;
    struct block_attach_request request = {
        .capacity = CAPACITY,
        .data_offset = block_data(CAPACITY),
        .data_bytes = client->data_bytes,
    };
    struct block_attach_reply reply;
    status_t status = event_create(c->account, &c->requests);
    if (status == STATUS_OK)
        status = event_create(c->account, &c->completions);
    if (status != STATUS_OK)
        return status;
    request.memory.value =
        copy_of(client->memory.value, RIGHT_READ | RIGHT_WRITE | RIGHT_MAP | RIGHT_PIN);
    request.requests.value = copy_of(c->requests.value, RIGHT_SIGNAL | RIGHT_WAIT);
    request.completions.value = copy_of(c->completions.value, RIGHT_SIGNAL);
    status = block_attach(end, &request, &reply, ABI_DEADLINE_NEVER);
    if (status == STATUS_OK) {
        c->sectors = reply.sectors;
        return STATUS_OK;
    }
    // What was sent is gone, and its handles stale: closing them harms nothing.
    close_handles(
        (uint64_t[]){request.memory.value, request.requests.value, request.completions.value});
    return status;
}

// Tries until it works: a driver that dies meanwhile is started again by init.
static void connect_until_attached(struct block_client *client)
{
    auto c = &client->connector;
    status_t told = STATUS_OK;
    for (;;) {
        c->end = (channel_t){0};
        c->requests = c->completions = (event_t){0};
        status_t status = service_connect(c->service, ABI_DEADLINE_NEVER, &c->end);
        if (status == STATUS_NOT_FOUND && c->service == client->service &&
            client->otherwise != nullptr) {
            c->service = client->otherwise;
            continue;
        }
        if (status == STATUS_OK)
            status = attach(client, c->end);
        if (status == STATUS_OK)
            return;
        close_all(c->end, c->requests, c->completions);
        if (status != told && status != STATUS_PEER_CLOSED)
            log_line("%s cannot be reached: %s", c->service, status_name(status));
        c->why = status;
        if (status != STATUS_PEER_CLOSED)
            (void)event_signal(c->done, UNAVAILABLE);
        told = status;
        uint32_t raised;
        uint64_t again = now_ns() + (status == STATUS_PEER_CLOSED ? RESTART_NS : RETRY_NS);
        if (object_wait((handle_t){c->wanted.value}, HURRY, again, &raised) == STATUS_OK)
            (void)event_clear(c->wanted, HURRY, &raised);
    }
}

static void connector_run(void *argument)
{
    struct block_client *client = argument;
    auto c = &client->connector;
    for (;;) {
        uint32_t raised;
        if (object_wait((handle_t){c->wanted.value}, WANTED, ABI_DEADLINE_NEVER, &raised) !=
            STATUS_OK)
            continue;
        (void)event_clear(c->wanted, WANTED, &raised);
        connect_until_attached(client);
        (void)event_signal(c->done, ATTACHED);
    }
}

// ---- the loop's side

// The rings as new, for the driver that comes next.
static void reset_rings(struct block_client *client)
{
    memset(client->rings, 0, block_data(CAPACITY));
    (void)ring_start(&client->submitted, client->rings, CAPACITY, sizeof(struct block_request));
    (void)ring_start(&client->answered, client->rings + block_completions(CAPACITY), CAPACITY,
                     sizeof(struct block_completion));
}

static void connect(struct block_client *client)
{
    reset_rings(client);
    (void)event_signal(client->connector.wanted, WANTED);
}

void block_client_hurry(struct block_client *client)
{
    if (!client->serving)
        (void)event_signal(client->connector.wanted, HURRY);
}

static void disconnect(struct block_client *client)
{
    if (!client->serving)
        return;
    client->serving = false;
    client->requests_due = false;
    loop_unbind(&client->end_source);
    loop_unbind(&client->completions_source);
    close_all(client->end, client->requests, client->completions);
    log_line("%s is gone with %u requests unanswered", client->connector.service,
             client->outstanding);
    connect(client);
}

// A completion that can be one: it names a request that is outstanding.
static bool take_completion(struct block_client *client, const struct block_completion *completion)
{
    uint64_t index = completion->id % CAPACITY, generation = completion->id / CAPACITY;
    auto slot = &client->slots[index];
    if (!slot->busy || generation != slot->generation)
        return false;
    slot->busy = false;
    slot->generation++;
    client->outstanding--;
    client->completed(client->context, slot->tag, (enum block_status)completion->status);
    return true;
}

static void on_completions(struct source *source, const struct loop_event *event)
{
    struct block_client *client = CONTAINER_OF(source, struct block_client, completions_source);
    struct block_completion completion;
    uint32_t before;
    (void)event;
    (void)event_clear(client->completions, BLOCK_DOORBELL, &before);
    enum ring_status status = RING_OK;
    while (client->serving && (status = ring_pop(&client->answered, &completion)) == RING_OK)
        if (!take_completion(client, &completion)) {
            status = RING_CORRUPT;
            break;
        }
    if (status == RING_CORRUPT && client->serving) {
        log_line("%s answers what was not asked", client->connector.service);
        disconnect(client);
    }
    block_client_flush(client);
}

static void on_end(struct source *source, const struct loop_event *event)
{
    struct block_client *client = CONTAINER_OF(source, struct block_client, end_source);
    if ((event->signals & SIGNAL_READABLE) != 0)
        wire_refuse(&event->received, STATUS_NOT_SUPPORTED); // drivers send nothing here
    else
        disconnect(client);
}

static void submit(struct block_client *client, uint32_t index)
{
    auto slot = &client->slots[index];
    slot->request.id = (uint64_t)slot->generation * CAPACITY + index;
    // At most CAPACITY are outstanding, so that only a driver that lies leaves no room; it is
    // noticed when it completes.
    if (ring_push(&client->submitted, &slot->request) == RING_OK)
        client->requests_due = true;
}

static status_t serve(struct block_client *client)
{
    auto c = &client->connector;
    client->end = c->end;
    client->requests = c->requests;
    client->completions = c->completions;
    status_t status = loop_bind(client->loop, client->completions.value,
                                &client->completions_source, BLOCK_DOORBELL);
    if (status == STATUS_OK)
        status = loop_bind(client->loop, client->end.value, &client->end_source,
                           SIGNAL_READABLE | SIGNAL_PEER_CLOSED);
    client->serving = true;
    return status;
}

static void on_connector(struct source *source, const struct loop_event *event)
{
    struct block_client *client = CONTAINER_OF(source, struct block_client, connector_source);
    uint32_t before = 0;
    (void)event;
    (void)event_clear(client->connector.done, ATTACHED | UNAVAILABLE, &before);
    if ((before & ATTACHED) == 0) {
        if (before != 0 && client->unavailable != nullptr)
            client->unavailable(client->context, client->connector.why);
        return;
    }
    if (serve(client) != STATUS_OK) { // it died between its answer and here
        disconnect(client);
        return;
    }
    for (uint32_t i = 0; i < CAPACITY; i++)
        if (client->slots[i].busy)
            submit(client, i);
    client->connected(client->context, client->connector.sectors);
    block_client_flush(client);
}

status_t block_client_start(struct block_client *client, struct loop *loop)
{
    auto c = &client->connector;
    void *mapped;
    thread_t thread;
    client->loop = loop;
    client->end_source.handle = on_end;
    client->completions_source.handle = on_completions;
    client->connector_source.handle = on_connector;
    c->account = start.account;
    c->service = client->service;
    uint64_t bytes = block_data(CAPACITY) + client->data_bytes;
    status_t status = memory_create(bytes, 0, &client->memory, &mapped);
    if (status == STATUS_OK)
        status = event_create(start.account, &c->wanted);
    if (status == STATUS_OK)
        status = event_create(start.account, &c->done);
    if (status == STATUS_OK)
        status = loop_bind(loop, c->done.value, &client->connector_source, ATTACHED | UNAVAILABLE);
    if (status != STATUS_OK)
        return status;
    client->rings = mapped;
    client->data = client->rings + block_data(CAPACITY);
    connect(client);
    return thread_spawn(connector_run, client, start.priority, &thread);
}

bool block_client_read(struct block_client *client, uint64_t sector, uint32_t sectors,
                       uint64_t data_offset, uint32_t tag)
{
    for (uint32_t i = 0; i < CAPACITY; i++) {
        auto slot = &client->slots[i];
        if (slot->busy)
            continue;
        slot->busy = true;
        slot->tag = tag;
        slot->request = (struct block_request){.operation = BLOCK_READ,
                                               .sectors = sectors,
                                               .sector = sector,
                                               .data_offset = data_offset};
        client->outstanding++;
        if (client->serving)
            submit(client, i);
        return true;
    }
    return false;
}

void block_client_flush(struct block_client *client)
{
    if (!client->serving || !client->requests_due)
        return;
    client->requests_due = false;
    (void)event_signal(client->requests, BLOCK_DOORBELL); // GONE cannot be: it is ours
}
