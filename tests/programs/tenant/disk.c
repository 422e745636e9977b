// SPDX-License-Identifier: MIT
//
// Root's side of the disk. The machine's has devd and the driver as they are, from the bundle, with root in
// init's place: it starts the driver when devd has found the disk. It connects the readers to whatever
// driver there is. A thread of root answers each of them for ever.
#include "tenant.h"

#include <proto/init.h>

#include <lib/types.h>

static const char DISK[] = "pci:1af4:1042", DRIVER[] = "virtio-blk";

static struct child devd, driver, readers;
static const struct child_spec *driver_spec;
static _Atomic bool ready;

// ---- what init would answer

static void on_ready(void *context)
{
    if (context == &driver)
        ready = true;
}

static void on_notice(void *context)
{
    (void)context;
}

static status_t on_driver_match(void *context, struct wire_call call,
                                const struct init_driver_match_request *request,
                                struct init_driver_match_reply *reply)
{
    (void)context;
    (void)call;
    if (strcmp(request->compatible, DISK) != 0)
        return STATUS_NOT_FOUND;
    text_copy(reply->driver, sizeof(reply->driver), DRIVER);
    return STATUS_OK;
}

static void answer_for_ever(void *argument);

static void answer(struct child *child)
{
    thread_t thread;
    must(thread_spawn(answer_for_ever, child, ROOT_PRIORITY, &thread), "thread_spawn");
    handle_close((handle_t){thread.value});
}

static status_t on_driver_start(void *context, struct wire_call call,
                                const struct init_driver_start_request *request,
                                struct init_driver_start_reply *reply)
{
    (void)context;
    (void)call;
    if (driver.account.value != 0)
        give_up("devd wants a second driver");
    must(child_create(&driver, driver_spec), "starting the driver");
    static struct init_device_start_notice notice;
    notice.device = request->device;
    notice.epoch = request->epoch;
    notice.handles_count = request->handles_count;
    text_copy(notice.compatible, sizeof(notice.compatible), request->compatible);
    text_copy(notice.properties, sizeof(notice.properties), request->properties);
    memcpy(notice.roles, request->roles, sizeof(notice.roles));
    memcpy(notice.offsets, request->offsets, sizeof(notice.offsets));
    memcpy(notice.sizes, request->sizes, sizeof(notice.sizes));
    memcpy(notice.handles, request->handles, sizeof(notice.handles));
    must(init_device_start(driver.bootstrap, &notice), "handing over the disk");
    text_copy(reply->service, sizeof(reply->service), DRIVER);
    answer(&driver);
    return STATUS_OK;
}

static status_t on_connect(void *context, struct wire_call call,
                           const struct init_connect_request *request,
                           struct init_connect_reply *reply)
{
    (void)context;
    (void)call;
    struct init_accept_notice accept = {};
    if (strcmp(request->service, DRIVER) != 0)
        return STATUS_NOT_FOUND;
    text_copy(accept.client, sizeof(accept.client), "reader");
    must(channel_create(readers.account, driver.account, ABI_CHANNEL_SHAPE(8, 256, 4, 8),
                        OVERFLOW_REJECT, &reply->end, &accept.end),
         "channel_create");
    must(init_accept(driver.bootstrap, &accept), "connecting a reader");
    return STATUS_OK;
}

static const struct init_server operations = {
    .ready = on_ready,
    .heartbeat = on_notice,
    .logged = on_notice,
    .driver_match = on_driver_match,
    .driver_start = on_driver_start,
    .connect = on_connect,
};

static void answer_for_ever(void *argument)
{
    struct child *child = argument;
    for (;;) {
        struct wire_received received = {.end = child->bootstrap};
        must(channel_receive(child->bootstrap, ABI_DEADLINE_NEVER, &received.message,
                             &received.token),
             "a part of the disk has ended");
        init_dispatch(&operations, child, &received);
    }
}

// ---- the start

static void start_devd(void)
{
    const struct child_spec spec = {.name = "devd",
                                    .service = "devd",
                                    .pages = 1024,
                                    .objects = 192,
                                    .priority = DRIVER_PRIORITY,
                                    .machine_rights = RIGHT_MINT | RIGHT_INSPECT | RIGHT_WAIT};
    must(child_create(&devd, &spec), "starting devd");
    answer(&devd);
}

static void start_memory_disk(void)
{
    dmaspace_t space;
    must(child_create(&driver, driver_spec), "starting the driver");
    must(machine_dma_space(start.machine, driver.account, NO_DEVICE - 1, &space),
         "machine_dma_space");
    send_handles(&driver, &space.value, 1);
    answer(&driver);
}

void readers_start(const struct child_spec *driver_spec_given, const struct child_spec *reader_spec,
                   uint64_t board_copy, account_t working[2])
{
    driver_spec = driver_spec_given;
    driver_spec->service ? start_devd() : start_memory_disk();
    for (uint64_t until_ns = now_ns() + 10 * NS_PER_S; !ready;) {
        if (now_ns() > until_ns)
            give_up("there is no disk");
        (void)thread_sleep(now_ns() + NS_PER_MS);
    }
    must(child_create(&readers, reader_spec), "starting the readers");
    send_handles(&readers, &board_copy, 1);
    answer(&readers);
    working[0] = driver.account;
    working[1] = readers.account;
}
