// SPDX-License-Identifier: MIT
//
// See service.h.
#include <sdk/service.h>

#include <lib/string.h>
#include <lib/types.h>

static void on_connection(struct source *source, const struct loop_event *event)
{
    struct connection *connection = CONTAINER_OF(source, struct connection, source);
    if ((event->signals & SIGNAL_READABLE) != 0)
        connection->service->message(connection, &event->received);
    else // the peer is gone, or sent more than we have room for
        connection_close(connection);
}

void connection_close(struct connection *connection)
{
    if (connection->end.value == 0)
        return;
    loop_unbind(&connection->source);
    if (connection->service->closed != nullptr)
        connection->service->closed(connection);
    handle_close((handle_t){connection->end.value});
    *connection = (struct connection){};
}

static struct connection *free_slot(struct service *service)
{
    for (uint32_t i = 0; i < service->connection_max; i++)
        if (service->connections[i].end.value == 0)
            return &service->connections[i];
    return nullptr;
}

static void on_accept(void *context, const struct init_accept_notice *notice)
{
    struct service *service = context;
    struct connection *connection = free_slot(service);
    if (connection == nullptr) {
        handle_close((handle_t){notice->end.value}); // the client sees PEER_CLOSED
        log_line("no room for a connection from %s", notice->client);
        return;
    }
    *connection = (struct connection){
        .source.handle = on_connection, .service = service, .end = notice->end, .state = nullptr};
    status_t status = loop_bind(service->loop, notice->end.value, &connection->source,
                                SIGNAL_READABLE | SIGNAL_PEER_CLOSED);
    if (status != STATUS_OK) { // the client may have gone already
        handle_close((handle_t){notice->end.value});
        *connection = (struct connection){};
        return;
    }
    if (service->opened != nullptr)
        service->opened(connection);
}

static void on_bootstrap(struct source *source, const struct loop_event *event)
{
    struct service *service = CONTAINER_OF(source, struct service, bootstrap);
    if ((event->signals & SIGNAL_READABLE) != 0)
        init_client_dispatch(&service->notices, service, &event->received);
    else
        process_exit(1); // init is gone
}

status_t service_start(struct service *service, struct loop *loop)
{
    service->loop = loop;
    service->notices.accept = on_accept;
    service->bootstrap.handle = on_bootstrap;
    status_t status = loop_bind(loop, start.bootstrap.value, &service->bootstrap,
                                SIGNAL_READABLE | SIGNAL_PEER_CLOSED);
    return status == STATUS_OK ? init_ready(start.bootstrap) : status;
}

status_t service_connect(const char *name, uint64_t deadline_ns, channel_t *end)
{
    struct init_connect_request request = {};
    struct init_connect_reply reply;
    if (!text_copy(request.service, sizeof(request.service), name))
        return STATUS_NOT_FOUND;
    status_t status = init_connect(start.bootstrap, &request, &reply, deadline_ns);
    *end = status == STATUS_OK ? reply.end : (channel_t){0};
    return status;
}
