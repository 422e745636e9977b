// SPDX-License-Identifier: MIT
//
// A disk of virtual time: the driver of virtio disks with this in place of its device (disk.h of the driver's). It
// takes a request after the other, DEVICE_NS each, and a timer that fires stands for its interrupt; what
// it holds follows from the place. So nothing here knows the host's clock, and a run repeats exactly.
// Clients, rings, doorbells and pins are the driver's own:
//
// build: user/drivers/virtio-blk/client.c user/drivers/virtio-blk/fault.c
#include "tenant.h"

#include <virtio-blk/client.h>
#include <virtio-blk/disk.h>

#include <lib/types.h>
#include <sdk/memory.h>

constexpr uint64_t SECTORS = 2048, WORDS_PER_SECTOR = BLOCK_SECTOR_BYTES / sizeof(uint64_t);
constexpr uint64_t DEVICE_NS = 20'000;

static struct {
    struct disk_slot slot;
    uint64_t sector, due_ns;
} queue[DISK_SLOTS]; // in the order in which they came
static uint32_t queue_first, queue_count;
static uint64_t busy_until_ns;
static timer_t timer;

static struct disk disk;
static struct loop loop;
static struct clients clients;
static uint8_t *data_of[CLIENTS]; // as the device sees it

// ---- the device, as client.c sees it

bool disk_has_room(const struct disk *d)
{
    (void)d;
    return queue_count < DISK_SLOTS;
}

enum block_status disk_submit(struct disk *d, struct client *client,
                              const struct block_request *request)
{
    uint64_t bytes = (uint64_t)request->sectors * BLOCK_SECTOR_BYTES;
    if (request->operation != BLOCK_READ || request->sector >= SECTORS ||
        request->sectors > SECTORS - request->sector || bytes > client->data.bytes ||
        request->data_offset > client->data.bytes - bytes)
        return BLOCK_BAD_REQUEST;
    uint64_t now = now_ns();
    busy_until_ns = (busy_until_ns > now ? busy_until_ns : now) + DEVICE_NS;
    uint32_t index = (queue_first + queue_count++) % DISK_SLOTS;
    queue[index].slot = (struct disk_slot){.client = client,
                                           .id = request->id,
                                           .data_offset = request->data_offset,
                                           .bytes = (uint32_t)bytes};
    queue[index].sector = request->sector;
    queue[index].due_ns = busy_until_ns;
    d->in_flight++;
    return BLOCK_OK;
}

void disk_flush(struct disk *d)
{
    if (d->in_flight > 0)
        must(timer_set(timer, queue[queue_first].due_ns), "timer_set");
}

bool disk_complete(struct disk *d, struct disk_slot *done, enum block_status *status)
{
    if (queue_count == 0 || queue[queue_first].due_ns > now_ns())
        return false;
    *done = queue[queue_first].slot;
    uint64_t *words = (void *)(data_of[done->client - clients.client] + done->data_offset);
    uint64_t first = queue[queue_first].sector * WORDS_PER_SECTOR;
    for (uint64_t i = 0; i < done->bytes / sizeof(*words); i++)
        words[i] = mixed(first + i);
    queue_first = (queue_first + 1) % DISK_SLOTS;
    queue_count--;
    d->in_flight--;
    d->completed++;
    *status = BLOCK_OK;
    return true;
}

// ---- the rest of the driver

static void on_timer(struct source *source, const struct loop_event *event)
{
    (void)source;
    (void)event;
    struct disk_slot done;
    enum block_status status;
    must(timer_cancel(timer), "timer_cancel");
    while (disk_complete(&disk, &done, &status))
        client_complete(done.client, done.id, status);
    clients_ring_doorbells(&clients);
    clients_submit(&clients);
}

static struct source timer_source = {.handle = on_timer};

static status_t attach(void *context, struct wire_call call,
                       const struct block_attach_request *request, struct block_attach_reply *reply)
{
    (void)call;
    *reply = (struct block_attach_reply){
        .sectors = SECTORS, .max_request_bytes = DISK_MAX_BYTES, .max_in_flight = DISK_SLOTS};
    status_t status = client_attach(&clients, context, request);
    for (uint32_t i = 0; status == STATUS_OK && i < CLIENTS; i++) {
        void *mapped;
        if (clients.client[i].connection != context)
            continue;
        must(memory_map_vmo(request->memory, request->data_offset, request->data_bytes,
                            PROT_READ | PROT_WRITE, &mapped),
             "mapping a client's data");
        data_of[i] = mapped;
    }
    return status;
}

static const struct block_server operations = {.attach = attach};

static void on_message(struct connection *connection, const struct wire_received *received)
{
    block_dispatch(&operations, connection, received);
}

void memory_disk_main(void)
{
    static struct connection connections[CLIENTS];
    static struct service service = {
        .connections = connections, .connection_max = CLIENTS, .message = on_message};
    receive_handles(&disk.device.dma.value, 1);
    must(timer_create(start.account, &timer), "timer_create");
    must(loop_create(&loop), "loop_create");
    must(loop_bind(&loop, timer.value, &timer_source, SIGNAL_FIRED), "binding the timer");
    clients_start(&clients, &disk, &loop);
    must(service_start(&service, &loop), "service_start");
    loop_run(&loop);
}
