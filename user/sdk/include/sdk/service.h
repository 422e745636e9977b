// SPDX-License-Identifier: MIT
//
// A service: it tells init that it is ready, takes the connections that init hands over, and
// has each message of each connection passed to a function. See docs/first-service.md.
//
//     static struct connection connections[8];
//     static struct service service = {
//         .connections = connections, .connection_max = ARRAY_SIZE(connections),
//         .message = on_message, // calls NAME_dispatch of the generated <proto/NAME.h>
//         .closed = on_closed,   // frees what this client had
//     };
//     service_start(&service, &loop);
//     loop_run(&loop);
#pragma once

#include <stdint.h>

#include <proto/init.h>
#include <sdk/loop.h>
#include <sdk/start.h>

struct service;

struct connection {
    struct source source;
    struct service *service;
    channel_t end; // 0: this slot is free
    void *state;   // the service's own, null when the connection is new
};

struct service {
    struct connection *connections;
    uint32_t connection_max;
    void (*opened)(struct connection *connection); // may be null
    void (*message)(struct connection *connection, const struct wire_received *received);
    void (*closed)(struct connection *connection); // may be null; the end is closed afterwards
    struct init_client notices;                    // for init's other notices; accept is filled in
    // private
    struct loop *loop;
    struct source bootstrap;
};

// Binds the bootstrap channel and says `ready`. Errors: those of port_bind and channel_send.
[[nodiscard]] status_t service_start(struct service *service, struct loop *loop);

// Ends a connection: calls closed, closes the end, frees the slot.
void connection_close(struct connection *connection);

// Asks init for a channel to a service that the manifest lets us reach; waits until it is up.
// Errors: those of channel_call; NO_RIGHT: the manifest does not allow it; NOT_FOUND: no such
// service; TIMED_OUT.
[[nodiscard]] status_t service_connect(const char *name, uint64_t deadline_ns, channel_t *end);
