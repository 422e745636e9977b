// SPDX-License-Identifier: MIT
//
// Channels between services, as the manifest allows. The client's end is charged to the client,
// the server's to the server, whose priority is the ceiling of those who call it: the kernel hands
// the client's end to nobody who is more urgent. Who asks for a service that is not ready waits in a table; it is
// large enough for every service that may wait for every other.
#include "init.h"

constexpr unsigned WAITING_MAX = 64;

static struct waiting {
    struct service *client; // null: free
    struct service *server;
    struct wire_call call;
} waiting[WAITING_MAX];

static status_t make_connection(struct service *client, struct service *server,
                                struct init_connect_reply *reply)
{
    struct init_accept_notice accept = {};
    text_copy(accept.client, sizeof(accept.client), client->manifest->name);
    const uint64_t ceilings = ABI_CHANNEL_CEILINGS(63, server->manifest->priority);
    status_t status =
        channel_create(client->account, server->account, server->manifest->shape | ceilings,
                       OVERFLOW_REJECT, &reply->end, &accept.end);
    if (status != STATUS_OK)
        return status;
    status = init_accept(server->bootstrap, &accept);
    if (status != STATUS_OK) {
        handle_close((handle_t){accept.end.value});
        handle_close((handle_t){reply->end.value});
    }
    return status;
}

status_t connect_request(struct service *client, struct wire_call call, const char *name,
                         struct init_connect_reply *reply)
{
    struct service *server = service_find(name);
    if (server == nullptr)
        return STATUS_NOT_FOUND;
    if ((client->manifest->connects >> server->index & 1) == 0)
        return STATUS_NO_RIGHT;
    if (service_is_for_nothing(server))
        return STATUS_NOT_FOUND;
    if (server->state == SERVICE_READY)
        return make_connection(client, server, reply);
    if (server->state == SERVICE_HELD)
        return STATUS_BAD_STATE;
    if (server->absent)
        return INIT_NO_DEVICE;
    for (unsigned i = 0; i < WAITING_MAX; i++)
        if (waiting[i].client == nullptr) {
            waiting[i] = (struct waiting){client, server, call};
            return WIRE_DEFERRED;
        }
    return INIT_BUSY;
}

static void answer_waiting(struct waiting *w, status_t status)
{
    struct init_connect_reply reply = {};
    struct waiting one = *w;
    *w = (struct waiting){};
    if (status == STATUS_OK)
        status = make_connection(one.client, one.server, &reply);
    init_connect_answer(one.call, status, &reply); // CANCELLED: it waits no longer
}

void connect_service_ready(struct service *server)
{
    for (unsigned i = 0; i < WAITING_MAX; i++)
        if (waiting[i].client != nullptr && waiting[i].server == server)
            answer_waiting(&waiting[i], STATUS_OK);
}

void connect_service_held(struct service *server, status_t status)
{
    for (unsigned i = 0; i < WAITING_MAX; i++)
        if (waiting[i].client != nullptr && waiting[i].server == server)
            answer_waiting(&waiting[i], status);
}

void connect_client_ended(struct service *client)
{
    for (unsigned i = 0; i < WAITING_MAX; i++)
        if (waiting[i].client == client)
            waiting[i] = (struct waiting){};
}
