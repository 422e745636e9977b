// SPDX-License-Identifier: MIT
//
// See loop.h. The key of a binding is the address of its source: only this process can have set
// it, so what comes back from the kernel can be followed.
#include <sdk/loop.h>

#include <proto/init.h>
#include <sdk/start.h>

status_t loop_create(struct loop *loop)
{
    *loop = (struct loop){};
    return port_create(start.account, &loop->port);
}

status_t loop_bind(struct loop *loop, uint64_t object, struct source *source, uint32_t signals)
{
    source->object = object;
    return port_bind(loop->port, (handle_t){object}, (uintptr_t)source, signals);
}

void loop_unbind(struct source *source)
{
    port_unbind((handle_t){source->object}); // NOT_FOUND: the object is gone, and its binding
}

static uint64_t heartbeat(struct loop *loop)
{
    if (start.heartbeat_ns == 0)
        return ABI_DEADLINE_NEVER;
    uint64_t now = now_ns();
    if (now >= loop->heartbeat_at) {
        // A full queue means that init has enough of them already.
        (void)init_heartbeat(start.bootstrap);
        loop->heartbeat_at = now + start.heartbeat_ns;
    }
    return loop->heartbeat_at;
}

status_t loop_turn(struct loop *loop, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t beat = heartbeat(loop);
        uint64_t key = 0;
        struct loop_event event = {};
        event.status = port_receive(loop->port, deadline_ns < beat ? deadline_ns : beat, &key,
                                    &event.signals, &event.received.message, &event.received.token);
        // The kernel may also give up early, after many bindings that had nothing to tell.
        if (event.status == STATUS_TIMED_OUT && now_ns() < deadline_ns)
            continue;
        // Only NO_HANDLES and FULL are about a source; what else can fail is the wait itself.
        if (event.status != STATUS_OK && event.status != STATUS_NO_HANDLES &&
            event.status != STATUS_FULL)
            return event.status;
        struct source *source = (struct source *)key;
        event.received.end.value = source->object;
        if (event.status != STATUS_OK)
            event.signals = 0;
        source->handle(source, &event);
        return STATUS_OK;
    }
}

void loop_run(struct loop *loop)
{
    for (;;) {
        status_t status = loop_turn(loop, ABI_DEADLINE_NEVER);
        if (status != STATUS_OK && status != STATUS_CANCELLED)
            fail("waiting failed: %s", status_name(status));
    }
}
