// SPDX-License-Identifier: MIT
//
// The driver of virtio disks: a process that has the registers of its device, one interrupt and a
// DMA space, and serves the block protocol (proto/block.toml). It waits in one place, for its
// interrupt, for doorbells and for messages. While the device has requests, and nothing happens for
// a second, it looks whether the device is still there: one that vanished interrupts nobody.
//
// disk.c knows the device, client.c those who use it, fault.c where tests make it crash.

#include <sdk/sdk.h>

#include <lib/types.h>
#include <proto/block.h>
#include <sdk/service.h>

#include "client.h"
#include "disk.h"
#include "fault.h"

constexpr uint32_t CONNECTIONS = CLIENTS + 4;
constexpr uint64_t SILENCE_NS = NS_PER_S;

static struct disk disk;
static struct loop loop;
static struct clients clients;
static bool faults_allowed;

static void fail_if_gone(void)
{
    if (virtio_is_gone(&disk.virtio))
        fail("the device is gone");
}

static void on_interrupt(struct source *source, const struct loop_event *event)
{
    (void)source;
    if ((event->signals & SIGNAL_GONE) != 0)
        fail("the interrupt was taken away");
    fault_here(FAULT_COMPLETE_INTERRUPT);
    virtio_quiet(&disk.virtio);
    fail_if_gone();
    if (virtio_needs_reset(&disk.virtio))
        fail("the device says that it needs a reset");
    disk_sync_used(&disk);
    struct disk_slot done;
    enum block_status status;
    while (disk_complete(&disk, &done, &status)) {
        fault_here(FAULT_COMPLETE_TAKE);
        client_complete(done.client, done.id, status);
    }
    clients_ring_doorbells(&clients);
    uint64_t count;
    (void)interrupt_acknowledge(disk.device.interrupts[0], &count);
    fault_here(FAULT_COMPLETE_ACKNOWLEDGE);
    clients_submit(&clients);
}

static struct source interrupt_source = {.handle = on_interrupt};

static status_t attach(void *context, struct wire_call call,
                       const struct block_attach_request *request, struct block_attach_reply *reply)
{
    (void)call;
    *reply = (struct block_attach_reply){
        .sectors = disk.sectors,
        .max_request_bytes = disk.max_segments * (uint32_t)PAGE_SIZE,
        .max_in_flight = disk_most_in_flight(&disk),
        .read_only = 1,
    };
    return client_attach(&clients, context, request);
}

static status_t figures(void *context, struct wire_call call, struct block_figures_reply *reply)
{
    (void)context;
    (void)call;
    *reply = (struct block_figures_reply){
        .sectors = disk.sectors,
        .in_flight = disk.in_flight,
        .completed = disk.completed,
        .failed = disk.failed,
        .clients = clients_count(&clients),
    };
    return STATUS_OK;
}

static status_t fail_at(void *context, struct wire_call call,
                        const struct block_fail_at_request *request)
{
    (void)context;
    (void)call;
    if (!faults_allowed)
        return STATUS_NOT_SUPPORTED;
    return fault_arm(request->point, request->after, disk.device.report) ? STATUS_OK
                                                                         : STATUS_NOT_FOUND;
}

static const struct block_server operations = {
    .attach = attach, .figures = figures, .fail_at = fail_at};

static void on_message(struct connection *connection, const struct wire_received *received)
{
    block_dispatch(&operations, connection, received);
}

static void on_closed(struct connection *connection)
{
    client_detach(&clients, connection);
}

int main(const char *argument)
{
    static struct connection connections[CONNECTIONS];
    static struct service service = {
        .connections = connections,
        .connection_max = CONNECTIONS,
        .message = on_message,
        .closed = on_closed,
    };
    faults_allowed = strcmp(argument, "faults") == 0;
    disk_start(&disk);
    status_t status = loop_create(&loop);
    if (status == STATUS_OK)
        status =
            loop_bind(&loop, disk.device.interrupts[0].value, &interrupt_source, SIGNAL_INTERRUPT);
    if (status != STATUS_OK)
        fail("the interrupt cannot be waited for: %s", status_name(status));
    clients_start(&clients, &disk, &loop);
    log_line("%llu sectors, %u requests at once, %s interrupt", (unsigned long long)disk.sectors,
             disk_most_in_flight(&disk), disk.virtio.message ? "message" : "line");
    status = service_start(&service, &loop);
    if (status != STATUS_OK)
        fail("the service cannot be offered: %s", status_name(status));
    for (;;) {
        status = loop_turn(&loop, disk.in_flight != 0 ? now_ns() + SILENCE_NS : ABI_DEADLINE_NEVER);
        if (status == STATUS_TIMED_OUT)
            fail_if_gone();
        else if (status != STATUS_OK && status != STATUS_CANCELLED)
            fail("waiting failed: %s", status_name(status));
    }
}
