// SPDX-License-Identifier: MIT
//
// The model's channels and the calls through them. See model.h.
#include <stdlib.h>
#include <string.h>

#include "model.h"

// ---- queues

static void call_free(uint8_t end, uint8_t slot)
{
    object_of(end)->calls[slot] = (struct m_call){.caller = NOTHING};
}

static void queue_take_out(uint8_t end, unsigned at)
{
    struct m_object *channel = object_of(end);
    channel->queued--;
    memmove(&channel->queue[at], &channel->queue[at + 1],
            (channel->queued - at) * sizeof channel->queue[0]);
}

static void maybe_unreadable(uint8_t end)
{
    if (object_of(end)->queued == 0)
        object_of(end)->signals &= ~(uint32_t)SIGNAL_READABLE;
}

static uint8_t free_call(const struct m_object *channel)
{
    for (uint8_t i = 0; i < channel->calls_max; i++)
        if (channel->calls[i].phase == M_NO_CALL)
            return i;
    return NOTHING;
}

static bool has_room(uint8_t end, bool call)
{
    const struct m_object *channel = object_of(end);
    return channel->queued < channel->depth && (!call || free_call(channel) != NOTHING);
}

// What the sender holds ready goes into the queue: a message's handles with it, a call's when it
// is taken.
static void enqueue(uint8_t sender, uint8_t end, bool call)
{
    struct m_actor *from = &model.actors[sender];
    struct m_object *channel = object_of(end);
    struct m_message *queued = &channel->queue[channel->queued++];
    *queued = (struct m_message){.bytes = (uint8_t)MSG_BYTES(from->sending),
                                 .tag = MSG_BYTES(from->sending) ? (uint8_t)(sender + 1) : 0,
                                 .handles = from->held_count,
                                 .call = call ? free_call(channel) : NOTHING};
    for (unsigned i = 0; i < queued->handles; i++)
        queued->carried[i] = from->registers[from->held[i]];
    if (call) {
        channel->calls[queued->call] = (struct m_call){
            .phase = M_QUEUED,
            .caller = sender,
            .reply_handles = (uint8_t)MSG_REPLY_HANDLES(from->sending),
        };
        from->call_slot = queued->call;
        list_add(&channel->callers, sender);
        return;
    }
    for (unsigned i = 0; i < from->held_count; i++)
        from->registers[from->held[i]] = (struct m_handle){};
    from->held_count = 0;
}

// Room goes to those that wait for it, in their order; a call that lacks a place in the table of
// calls lets others by. At an end whose other one is gone they all hear that instead.
static bool admit(uint8_t end)
{
    struct m_list senders = object_of(end)->senders;
    if (object_of(end)->life != M_LIVE || object_of(end)->peer == NOTHING)
        return false;
    bool any = false;
    for (unsigned i = 0; i < senders.count; i++) {
        bool call = model.actors[senders.at[i]].waits == M_REPLY;
        if (!has_room(end, call))
            continue;
        list_take_out(&object_of(end)->senders, senders.at[i]);
        enqueue(senders.at[i], end, call);
        if (!call)
            wait_end(senders.at[i], STATUS_OK);
        any = true;
    }
    return any;
}

// What a receiver is told of a message: its size here, its bytes and handles in its buffer.
static void message_bring(struct m_outcome *out, uint8_t actor, const struct m_message *message,
                          unsigned value, uint64_t flags)
{
    out->value[value] = MSG(message->bytes, message->handles) | flags;
    out->compared |= (uint8_t)(1u << value);
    out->tag = message->tag;
    for (unsigned i = 0; i < message->handles; i++) {
        uint8_t at = model_empty_register(actor);
        if (at == NOTHING)
            abort();
        model.actors[actor].registers[at] = message->carried[i];
        model.actors[actor].registers[at].phase = M_USABLE;
    }
}

void first_message(uint8_t end, uint8_t actor, struct m_outcome *out, unsigned value)
{
    struct m_object *channel = object_of(end);
    struct m_message message = channel->queue[0];
    if (message.call != NOTHING) {
        struct m_call *call = &channel->calls[message.call];
        struct m_actor *caller = &model.actors[call->caller], *taker = &model.actors[actor];
        call->phase = M_TAKEN;
        for (unsigned i = 0; i < caller->held_count; i++)
            caller->registers[caller->held[i]] = (struct m_handle){};
        caller->held_count = 0;
        call->serial = ++model.serial;
        taker->token_end = end;
        taker->token_slot = message.call;
        taker->token_serial = call->serial;
    }
    queue_take_out(end, 0);
    (void)admit(end);
    maybe_unreadable(end);
    uint64_t flags = message.call != NOTHING ? MSG_CALL : (uint64_t)channel->lost << MSG_LOST_SHIFT;
    if (message.call == NOTHING)
        channel->lost = 0;
    if (value == 2) // through a port
        flags |= model.actors[actor].reply_flag;
    message_bring(out, actor, &message, value, flags);
}

static void announce(uint8_t end)
{
    struct m_object *channel = object_of(end);
    struct m_list waiters = channel->waiters;
    for (unsigned i = 0; i < waiters.count && channel->queued > 0; i++)
        if (model.actors[waiters.at[i]].waits == M_MESSAGE)
            first_message(end, waiters.at[i], wait_end(waiters.at[i], STATUS_OK), 0);
    if (channel->queued > 0)
        raise_signals(end, SIGNAL_READABLE);
}

static void has_got_room(uint8_t end)
{
    bool any = admit(end);
    maybe_unreadable(end);
    if (any)
        announce(end);
}

// ---- sending

// Behind those that are as urgent.
static void queue_up(uint8_t actor, uint8_t end)
{
    struct m_list *senders = &object_of(end)->senders;
    list_add(senders, actor);
    unsigned at = senders->count - 1u;
    for (; at > 0 && model.actors[senders->at[at - 1]].priority < model.actors[actor].priority;
         at--)
        senders->at[at] = senders->at[at - 1];
    senders->at[at] = actor;
}

static uint8_t handles_to_send(const struct action *action, uint64_t message, uint8_t end0,
                               uint8_t end1)
{
    for (unsigned i = 0; i < MSG_HANDLES(message); i++) {
        const struct m_handle *handle = &model.actors[action->actor].registers[action->sent[i]];
        bool twice = i > 0 && action->sent[i] == action->sent[0];
        if (handle->phase != M_USABLE || twice)
            return STATUS_BAD_HANDLE;
        if (!(handle->rights & RIGHT_TRANSFER))
            return STATUS_NO_RIGHT;
        if (handle->object == NOTHING)
            return STATUS_GONE;
        if (handle->object == end0 || handle->object == end1)
            return STATUS_INVALID;
    }
    return STATUS_OK;
}

// Those behind an end with the given ceiling may be too urgent for what they would be handed.
static bool hands_too_far(const struct action *action, uint64_t message, uint8_t ceiling)
{
    for (unsigned i = 0; i < MSG_HANDLES(message); i++) {
        const struct m_handle *handle = &model.actors[action->actor].registers[action->sent[i]];
        if (handle->phase == M_USABLE && handle->object != NOTHING && handle->rights & RIGHT_SEND &&
            object_of(handle->object)->type == OBJECT_CHANNEL &&
            object_of(handle->object)->reach < ceiling)
            return true;
    }
    return false;
}

static bool is_message(uint64_t message, uint64_t allowed)
{
    return !(message & ~(MSG_BYTES_MASK | 0xfull << MSG_HANDLES_SHIFT | allowed)) &&
           MSG_BYTES(message) <= ABI_MESSAGE_BYTES && MSG_HANDLES(message) <= ABI_MESSAGE_HANDLES;
}

// Sends the message to the end, or begins to wait for room, or for the reply.
static uint8_t send(const struct action *action, uint64_t message, uint8_t from, uint8_t to,
                    bool call, uint64_t deadline)
{
    struct m_actor *sender = &model.actors[action->actor];
    struct m_object *channel = object_of(to);
    if (MSG_BYTES(message) > channel->message_bytes ||
        MSG_HANDLES(message) > channel->message_handles)
        return STATUS_TOO_BIG;
    bool urgent = sender->priority > channel->ceiling;
    if (urgent && call)
        return STATUS_TOO_URGENT;
    bool drops = !call && channel->overflow == OVERFLOW_DROP_OLDEST;
    bool waits = !has_room(to, call) && !drops;
    if (waits) {
        bool never = call && channel->calls_max == 0;
        if (channel->overflow != OVERFLOW_BLOCK || never ||
            channel->senders.count == ABI_CHANNEL_MAX_SENDERS)
            return STATUS_FULL;
        if (deadline <= model.now)
            return STATUS_TIMED_OUT;
        if (urgent)
            return STATUS_TOO_URGENT;
    }
    uint8_t status = handles_to_send(action, message, from, to);
    if (status != STATUS_OK)
        return status;
    if (drops && !has_room(to, false)) {
        queue_take_out(to, 0);
        if (channel->lost < UINT32_MAX)
            channel->lost++;
    }
    sender->sending = message;
    sender->held_count = (uint8_t)MSG_HANDLES(message);
    memcpy(sender->held, action->sent, sizeof sender->held);
    for (unsigned i = 0; i < sender->held_count; i++)
        sender->registers[sender->held[i]].phase = M_HELD;
    sender->call_slot = NOTHING;
    if (waits)
        queue_up(action->actor, to);
    else
        enqueue(action->actor, to, call);
    if (waits || call)
        wait_begin(action->actor, call ? M_REPLY : M_SEND, to, deadline);
    announce(to);
    return waits || call ? STATUS_COUNT : STATUS_OK;
}

static uint8_t call_send(const struct action *action)
{
    uint8_t end;
    uint8_t status = handle_argument(action, 0, OBJECT_CHANNEL, RIGHT_SEND, &end);
    if (status != STATUS_OK)
        return status;
    uint64_t message = value_argument(action, 1);
    if (!is_message(message, 0))
        return STATUS_INVALID;
    uint8_t peer = object_of(end)->peer;
    if (peer == NOTHING)
        return STATUS_PEER_CLOSED;
    if (hands_too_far(action, message, object_of(end)->ceiling))
        return STATUS_TOO_URGENT;
    return send(action, message, end, peer, false, value_argument(action, 2));
}

static uint8_t call_receive(const struct action *action, struct m_outcome *out)
{
    uint8_t end;
    uint8_t status = handle_argument(action, 0, OBJECT_CHANNEL, RIGHT_RECEIVE, &end);
    if (status != STATUS_OK)
        return status;
    if (object_of(end)->queued > 0) {
        first_message(end, action->actor, out, 0);
        return STATUS_OK;
    }
    if (object_of(end)->peer == NOTHING)
        return STATUS_PEER_CLOSED;
    if (value_argument(action, 1) <= model.now)
        return STATUS_TIMED_OUT;
    wait_begin(action->actor, M_MESSAGE, end, value_argument(action, 1));
    return STATUS_COUNT;
}

// ---- calls

static uint8_t call_call(const struct action *action)
{
    uint8_t end;
    uint8_t status = handle_argument(action, 0, OBJECT_CHANNEL, RIGHT_SEND, &end);
    if (status != STATUS_OK)
        return status;
    uint64_t message = value_argument(action, 1);
    if (!is_message(message, 0xfull << MSG_REPLY_HANDLES_SHIFT) ||
        MSG_REPLY_HANDLES(message) > ABI_MESSAGE_HANDLES)
        return STATUS_INVALID;
    uint8_t peer = object_of(end)->peer;
    if (peer == NOTHING)
        return STATUS_PEER_CLOSED;
    if (hands_too_far(action, message, object_of(end)->ceiling))
        return STATUS_TOO_URGENT;
    if (value_argument(action, 2) <= model.now)
        return STATUS_TIMED_OUT;
    return send(action, message, end, peer, true, value_argument(action, 2));
}

// The sender no longer waits: what was not taken is as if it had never been sent.
void send_abandon(uint8_t actor)
{
    struct m_actor *sender = &model.actors[actor];
    uint8_t end = sender->waits_on, slot = sender->call_slot;
    struct m_object *channel = object_of(end);
    list_take_out(&channel->callers, actor);
    list_take_out(&channel->senders, actor);
    if (slot != NOTHING && channel->calls[slot].phase == M_TAKEN) {
        channel->calls[slot].phase = M_ABANDONED;
        channel->calls[slot].caller = NOTHING;
        return;
    }
    for (unsigned i = 0; i < sender->held_count; i++)
        sender->registers[sender->held[i]].phase = M_USABLE;
    sender->held_count = 0;
    if (slot == NOTHING)
        return;
    for (unsigned i = 0; i < channel->queued; i++)
        if (channel->queue[i].call == slot)
            queue_take_out(end, i);
    call_free(end, slot);
    has_got_room(end);
}

uint8_t call_reply(const struct action *action)
{
    uint8_t end;
    uint8_t status = handle_argument(action, 0, OBJECT_CHANNEL, RIGHT_RECEIVE, &end);
    if (status != STATUS_OK)
        return status;
    uint64_t message = value_argument(action, 2);
    if (!is_message(message, 0))
        return STATUS_INVALID;
    struct m_actor *server = &model.actors[action->actor];
    struct m_object *channel = object_of(end);
    if (hands_too_far(action, message, channel->ceiling))
        return STATUS_TOO_URGENT;
    struct m_call *call = &channel->calls[server->token_slot];
    bool is_token = action->argument[1].kind == OPERAND_TOKEN && server->token_end == end &&
                    server->token_serial != 0 && call->serial == server->token_serial;
    if (!is_token || (call->phase != M_TAKEN && call->phase != M_ABANDONED))
        return STATUS_NOT_FOUND;
    if (call->phase == M_ABANDONED) {
        call_free(end, server->token_slot);
        has_got_room(end);
        return STATUS_CANCELLED;
    }
    if (MSG_HANDLES(message) > call->reply_handles)
        return STATUS_TOO_BIG;
    status = handles_to_send(action, message, end, channel->peer);
    if (status != STATUS_OK)
        return status;
    struct m_message reply = {.bytes = (uint8_t)MSG_BYTES(message),
                              .tag = MSG_BYTES(message) ? (uint8_t)(action->actor + 1) : 0,
                              .handles = (uint8_t)MSG_HANDLES(message)};
    for (unsigned i = 0; i < reply.handles; i++) {
        reply.carried[i] = server->registers[action->sent[i]];
        server->registers[action->sent[i]] = (struct m_handle){};
    }
    uint8_t caller = call->caller;
    list_take_out(&channel->callers, caller);
    call_free(end, server->token_slot);
    message_bring(wait_end(caller, STATUS_OK), caller, &reply, 0, 0);
    has_got_room(end);
    return STATUS_OK;
}

// ---- making and ending channels

static uint64_t end_pages(const struct m_object *channel)
{
    return 1u + (channel->calls_max > 0); // small ones only
}

static uint8_t call_channel_create(const struct action *action, struct m_outcome *out)
{
    uint8_t account[2], end[2];
    for (unsigned i = 0; i < 2; i++) {
        uint8_t status = handle_argument(action, i, OBJECT_ACCOUNT, RIGHT_CHARGE, &account[i]);
        if (status != STATUS_OK)
            return status;
    }
    uint64_t shape = value_argument(action, 2), overflow = value_argument(action, 3);
    struct m_object like = {.depth = shape & 0xffff,
                            .message_bytes = shape >> 16 & 0xffff,
                            .message_handles = shape >> 32 & 0xff,
                            .calls_max = shape >> 48 & 0xff,
                            .overflow = overflow};
    uint64_t below[2] = {shape >> 40 & 0xff, shape >> 56};
    if (like.depth == 0 || like.message_bytes > ABI_MESSAGE_BYTES ||
        like.message_handles > ABI_MESSAGE_HANDLES || like.calls_max > ABI_CHANNEL_MAX_CALLS ||
        below[0] > 63 || below[1] > 63 || overflow > OVERFLOW_DROP_OLDEST)
        return STATUS_INVALID;
    if (overflow == OVERFLOW_DROP_OLDEST && (like.message_handles > 0 || like.calls_max > 0))
        return STATUS_INVALID;
    for (unsigned i = 0; i < 2; i++) {
        uint8_t status = charge(account[i], end_pages(&like), 1);
        if (status != STATUS_OK && i == 1)
            uncharge(account[0], end_pages(&like), 1);
        if (status != STATUS_OK)
            return status;
    }
    for (unsigned i = 0; i < 2; i++) {
        end[i] = object_make(OBJECT_CHANNEL, account[i]);
        struct m_object *made = object_of(end[i]);
        made->depth = like.depth;
        made->message_bytes = like.message_bytes;
        made->message_handles = like.message_handles;
        made->calls_max = like.calls_max;
        made->overflow = like.overflow;
        made->ceiling = (uint8_t)(63 - below[i]);
        made->reach = (uint8_t)(63 - below[1 - i]);
        if (made->depth > M_DEPTH || made->calls_max > M_CALLS)
            abort();
        for (uint8_t k = 0; k < M_CALLS; k++)
            call_free(end[i], k);
    }
    for (unsigned i = 0; i < 2; i++) {
        object_of(end[i])->peer = end[1 - i];
        give_handle(out, i, action->actor, end[i], RIGHTS_CHANNEL);
    }
    return STATUS_OK;
}

static void senders_leave(uint8_t end, uint8_t status)
{
    struct m_object *channel = object_of(end);
    while (channel->callers.count + channel->senders.count > 0) {
        uint8_t actor =
            channel->callers.count > 0 ? channel->callers.at[0] : channel->senders.at[0];
        send_abandon(actor);
        wait_end(actor, status);
    }
}

void channel_end(uint8_t end)
{
    struct m_object *channel = object_of(end);
    uint8_t peer = channel->peer;
    if (peer != NOTHING) {
        object_of(peer)->peer = NOTHING;
        object_of(peer)->state = 1; // it drains
        struct m_list waiters = object_of(peer)->waiters;
        for (unsigned i = 0; i < waiters.count; i++)
            if (model.actors[waiters.at[i]].waits == M_MESSAGE)
                wait_end(waiters.at[i], STATUS_PEER_CLOSED);
        raise_signals(peer, SIGNAL_PEER_CLOSED);
    }
    senders_leave(end, STATUS_PEER_CLOSED);
    if (peer != NOTHING)
        senders_leave(peer, STATUS_GONE); // they sent through what is gone
    while (channel->queued > 0) {
        struct m_message message = channel->queue[0];
        queue_take_out(end, 0);
        maybe_unreadable(end);
        for (unsigned i = 0; i < message.handles; i++)
            handle_drop(&message.carried[i]);
    }
    uncharge(channel->payer, end_pages(channel), 0);
}

uint8_t call_channels(const struct action *action, struct m_outcome *out)
{
    switch (action->number) {
    case SYSCALL_CHANNEL_CREATE:
        return call_channel_create(action, out);
    case SYSCALL_CHANNEL_SEND:
        return call_send(action);
    case SYSCALL_CHANNEL_RECEIVE:
        return call_receive(action, out);
    case SYSCALL_CHANNEL_CALL:
        return call_call(action);
    case SYSCALL_CHANNEL_REPLY:
        return call_reply(action);
    default:
        return call_ports(action, out);
    }
}
