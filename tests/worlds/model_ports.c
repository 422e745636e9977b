// SPDX-License-Identifier: MIT
//
// The model's ports: what is bound, who is told what. See model.h.
#include <stdlib.h>

#include "model.h"

static void unbind(uint8_t object)
{
    struct m_object *bound = object_of(object), *port = object_of(bound->port);
    list_take_out(&port->bound, object);
    list_take_out(&port->telling, object);
    uncharge(port->payer, 0, 1);
    bound->port = NOTHING;
    bound->pending = false;
}

static void tell(struct m_outcome *out, uint8_t actor, uint64_t key, uint64_t signals)
{
    out->value[0] = key;
    out->value[1] = signals;
    out->value[2] = model.actors[actor].reply_flag;
    out->compared = signals == SIGNAL_READABLE ? 3 : 7;
}

// What a bound object has to tell: a message, or its signals. false: nothing.
static bool report(uint8_t object, uint8_t actor, struct m_outcome *out)
{
    const struct m_object *bound = object_of(object);
    uint32_t signals = bound->signals & bound->mask;
    if (!signals)
        return false;
    bool message = bound->type == OBJECT_CHANNEL && signals & SIGNAL_READABLE;
    tell(out, actor, bound->key, message ? SIGNAL_READABLE : signals);
    if (message)
        first_message(object, actor, out, 2);
    return true;
}

static bool has_more(uint8_t object, const struct m_outcome *out)
{
    return out->value[1] == SIGNAL_READABLE && object_of(object)->signals & object_of(object)->mask;
}

static uint8_t port_waiter(uint8_t object)
{
    const struct m_object *bound = object_of(object), *port = object_of(bound->port);
    return bound->pending || port->waiters.count == 0 ? NOTHING : port->waiters.at[0];
}

static void make_pending(uint8_t object)
{
    if (!object_of(object)->pending)
        list_add(&object_of(object_of(object)->port)->telling, object);
    object_of(object)->pending = true;
}

// Only ports have waiters of this kind, or of the kind that waits for signals, which ports do not
// raise.
void port_tell(uint8_t object)
{
    for (;;) {
        uint8_t actor = port_waiter(object);
        if (actor == NOTHING || model.actors[actor].waits != M_PORT) {
            make_pending(object);
            return;
        }
        struct m_outcome *out = wait_end(actor, STATUS_OK);
        if (!report(object, actor, out))
            abort();
        if (!has_more(object, out))
            return;
    }
}

void last_event(uint8_t object)
{
    object_of(object)->life = M_LAST_EVENT;
    uint8_t actor = port_waiter(object);
    if (actor == NOTHING || model.actors[actor].waits != M_PORT) {
        make_pending(object);
        return;
    }
    tell(wait_end(actor, STATUS_OK), actor, object_of(object)->key, SIGNAL_GONE);
    unbind(object);
    object_of(object)->life = M_FREE;
}

static uint8_t next_event(const struct action *action, uint8_t port, uint64_t deadline,
                          struct m_outcome *out)
{
    while (object_of(port)->telling.count > 0) {
        uint8_t object = object_of(port)->telling.at[0];
        if (object_of(object)->life == M_LAST_EVENT) {
            tell(out, action->actor, object_of(object)->key, SIGNAL_GONE);
            unbind(object);
            object_of(object)->life = M_FREE;
            return STATUS_OK;
        }
        list_take_out(&object_of(port)->telling, object);
        object_of(object)->pending = false;
        if (!report(object, action->actor, out))
            continue;
        if (has_more(object, out))
            port_tell(object);
        return STATUS_OK;
    }
    if (deadline <= model.now)
        return STATUS_TIMED_OUT;
    wait_begin(action->actor, M_PORT, port, deadline);
    return STATUS_COUNT;
}

static uint8_t call_port_receive(const struct action *action, struct m_outcome *out)
{
    uint8_t port;
    uint8_t status = handle_argument(action, 0, OBJECT_PORT, RIGHT_RECEIVE, &port);
    if (status != STATUS_OK)
        return status;
    model.actors[action->actor].reply_flag = 0;
    return next_event(action, port, value_argument(action, 1), out);
}

static uint8_t call_reply_receive(const struct action *action, struct m_outcome *out)
{
    uint8_t end, port;
    uint8_t status = handle_argument(action, 0, OBJECT_CHANNEL, RIGHT_RECEIVE, &end);
    if (status == STATUS_OK)
        status = handle_argument(action, 3, OBJECT_PORT, RIGHT_RECEIVE, &port);
    if (status != STATUS_OK)
        return status;
    bool replied = call_reply(action) == STATUS_OK;
    model.actors[action->actor].reply_flag = replied ? 0 : MSG_REPLY_FAILED;
    return next_event(action, port, value_argument(action, 4), out);
}

static uint8_t call_bind(const struct action *action)
{
    uint8_t port, object;
    uint8_t status = handle_argument(action, 0, OBJECT_PORT, RIGHT_BIND, &port);
    if (status == STATUS_OK)
        status = handle_argument(action, 1, 0, RIGHT_WAIT, &object);
    if (status != STATUS_OK)
        return status;
    struct m_object *bound = object_of(object);
    uint32_t mask = (uint32_t)value_argument(action, 3);
    if (mask == 0 || bound->type == OBJECT_PORT)
        return STATUS_INVALID;
    if (bound->port != NOTHING)
        return STATUS_BAD_STATE;
    status = charge(object_of(port)->payer, 0, 1);
    if (status != STATUS_OK)
        return status;
    bound->port = port;
    bound->key = value_argument(action, 2);
    bound->mask = mask;
    bound->pending = false;
    list_add(&object_of(port)->bound, object);
    if (bound->signals & mask)
        port_tell(object);
    return STATUS_OK;
}

static uint8_t call_unbind(const struct action *action)
{
    uint8_t object;
    uint8_t status = handle_argument(action, 0, 0, RIGHT_WAIT, &object);
    if (status != STATUS_OK)
        return status;
    if (object_of(object)->port == NOTHING)
        return STATUS_NOT_FOUND;
    unbind(object);
    return STATUS_OK;
}

void port_end(uint8_t port)
{
    while (object_of(port)->bound.count > 0) {
        uint8_t object = object_of(port)->bound.at[0];
        unbind(object);
        if (object_of(object)->life == M_LAST_EVENT)
            object_of(object)->life = M_FREE;
    }
}

uint8_t call_ports(const struct action *action, struct m_outcome *out)
{
    switch (action->number) {
    case SYSCALL_PORT_BIND:
        return call_bind(action);
    case SYSCALL_PORT_UNBIND:
        return call_unbind(action);
    case SYSCALL_CHANNEL_REPLY_RECEIVE:
        return call_reply_receive(action, out);
    case SYSCALL_PORT_RECEIVE:
        return call_port_receive(action, out);
    default:
        return call_devices(action, out);
    }
}
