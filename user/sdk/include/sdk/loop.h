// SPDX-License-Identifier: MIT
//
// The one place where a service waits: a port, and for each object bound to it a source that
// says what to do. Handlers run one at a time, to the end, and must not block for long.
//
// While the loop waits it sends the heartbeat that the manifest asks for, so a heartbeat says
// that the loop is turning.
#pragma once

#include <stdint.h>

#include <sdk/syscalls.h>
#include <sdk/wire.h>

constexpr unsigned LOOP_BINDINGS_MAX = 192;

struct loop {
    port_t port;
    uint64_t heartbeat_at;
    struct loop_binding {
        struct source *source; // null: free
        uint32_t generation;   // counts its uses
    } bindings[LOOP_BINDINGS_MAX];
};

struct loop_event {
    status_t status;  // OK; NO_HANDLES or FULL: a message is stuck at the head of this channel
    uint32_t signals; // what was raised; READABLE: `received` is filled, its message in the buffer
    struct wire_received received;
};

// Part of whatever is bound, found again with CONTAINER_OF. It must stay where it is while bound.
struct source {
    void (*handle)(struct source *source, const struct loop_event *event);
    uint64_t object;   // the handle that is bound
    struct loop *loop; // where; null: not bound
    uint32_t binding;
};

[[nodiscard]] status_t loop_create(struct loop *loop);

// Binds an object: `signals` (enum abi_signal) are reported to source->handle. For a channel,
// take SIGNAL_READABLE | SIGNAL_PEER_CLOSED. Errors: those of port_bind; FULL: too many bindings.
[[nodiscard]] status_t loop_bind(struct loop *loop, uint64_t object, struct source *source,
                                 uint32_t signals);
// Nothing that was pending is reported after this, even if the object is gone already. Harmless
// if it is not bound.
void loop_unbind(struct source *source);

// Waits for one event and handles it. Errors: TIMED_OUT, CANCELLED.
status_t loop_turn(struct loop *loop, uint64_t deadline_ns);
[[noreturn]] void loop_run(struct loop *loop);
