// SPDX-License-Identifier: MIT
//
// See loop.h. The key of a binding is its slot and the generation of that slot, not the address
// of the source: an object that somebody else destroyed reports its end once more, after the
// source was unbound and perhaps used again.
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
    uint32_t slot = 0;
    while (slot < LOOP_BINDINGS_MAX && loop->bindings[slot].source != nullptr)
        slot++;
    if (slot == LOOP_BINDINGS_MAX)
        return STATUS_FULL;
    struct loop_binding *binding = &loop->bindings[slot];
    uint64_t key = (uint64_t)++binding->generation << 32 | slot;
    status_t status = port_bind(loop->port, (handle_t){object}, key, signals);
    if (status != STATUS_OK)
        return status;
    binding->source = source;
    source->object = object;
    source->loop = loop;
    source->binding = slot;
    return STATUS_OK;
}

void loop_unbind(struct source *source)
{
    if (source->loop == nullptr)
        return;
    source->loop->bindings[source->binding].source = nullptr;
    source->loop = nullptr;
    port_unbind((handle_t){source->object}); // GONE: its last report finds no source
}

// Null: what this key stood for was unbound.
static struct source *source_of(const struct loop *loop, uint64_t key)
{
    uint32_t slot = (uint32_t)key;
    if (slot >= LOOP_BINDINGS_MAX || loop->bindings[slot].generation != key >> 32)
        return nullptr;
    return loop->bindings[slot].source;
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
        struct source *source = source_of(loop, key);
        if (source == nullptr) {
            if ((event.signals & SIGNAL_READABLE) != 0) // cannot be, yet would leak
                wire_refuse(&event.received, STATUS_GONE);
            continue;
        }
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
