// SPDX-License-Identifier: MIT
//
// Channel ends: queues, sending, receiving and the end of an end. Calls are in call.c.
#include "channel.h"

#include <lib/string.h>

#include "call.h"
#include "cpu.h"
#include "frame.h"
#include "handlers.h"
#include "port.h"
#include "thread.h"

// ---- the queue

static struct message *message_at(const struct channel *channel, uint16_t slot)
{
    return (struct message *)(void *)(channel->queue[slot / channel->slots_per_page] +
                                      slot % channel->slots_per_page * channel->slot_bytes);
}

static uint8_t *payload(const struct channel *channel, struct message *message)
{
    return (uint8_t *)&message->transfers[channel->message_handles];
}

// One that was used before, or the first that never was.
static uint16_t slot_take_locked(struct channel *channel) REQUIRES(channel->object.lock)
{
    uint16_t slot = channel->free;
    if (slot == SLOT_NONE)
        return channel->fresh++;
    channel->free = message_at(channel, slot)->next;
    return slot;
}

static void queue_push_locked(struct channel *channel, uint16_t slot) REQUIRES(channel->object.lock)
{
    struct message *message = message_at(channel, slot);
    message->next = SLOT_NONE;
    message->previous = channel->tail;
    if (channel->head == SLOT_NONE) {
        channel->head = channel->tail = slot;
    } else if (SEEDED_BUG("I2")) {
        message->next = channel->head;
        message->previous = SLOT_NONE;
        message_at(channel, channel->head)->previous = slot;
        channel->head = slot;
    } else {
        message_at(channel, channel->tail)->next = slot;
        channel->tail = slot;
    }
    channel->queued++;
    if (channel->queued > channel->queued_high)
        channel->queued_high = channel->queued;
    CHECK(I1, channel->queued <= channel->depth);
}

// From anywhere in the queue: a caller no longer waits for its answer.
static void queue_remove_locked(struct channel *channel, uint16_t slot)
    REQUIRES(channel->object.lock)
{
    struct message *message = message_at(channel, slot);
    if (message->previous == SLOT_NONE)
        channel->head = message->next;
    else
        message_at(channel, message->previous)->next = message->next;
    if (message->next == SLOT_NONE)
        channel->tail = message->previous;
    else
        message_at(channel, message->next)->previous = message->previous;
    message->next = channel->free;
    channel->free = slot;
    channel->queued--;
}

bool channel_has_message_locked(const struct channel *channel)
{
    return channel->head != SLOT_NONE || !list_empty(&channel->faults);
}

void channel_withdraw_locked(struct channel *channel, uint16_t slot)
{
    queue_remove_locked(channel, slot);
}

static void clear_readable_locked(struct channel *channel) REQUIRES(channel->object.lock)
{
    if (!channel_has_message_locked(channel))
        channel->object.signals &= ~(uint32_t)SIGNAL_READABLE;
}

// ---- making

static bool shape_parse(uint64_t shape, struct channel *out)
{
    uint64_t depth = shape & 0xffff, bytes = shape >> 16 & 0xffff;
    uint64_t handles = shape >> 32 & 0xff, calls = shape >> 48 & 0xff;
    uint64_t below0 = shape >> 40 & 0xff, below1 = shape >> 56;
    if (depth == 0 || bytes > ABI_MESSAGE_BYTES || handles > ABI_MESSAGE_HANDLES ||
        calls > ABI_CHANNEL_MAX_CALLS || below0 >= ABI_PRIORITIES || below1 >= ABI_PRIORITIES)
        return false;
    uint64_t slot =
        align_up(sizeof(struct message) + handles * sizeof(struct handle_transfer) + bytes, 16);
    uint64_t per_page = PAGE_SIZE / slot;
    uint64_t pages = (depth + per_page - 1) / per_page;
    if (pages > ABI_CHANNEL_MAX_PAGES)
        return false;
    *out = (struct channel){.depth = (uint16_t)depth,
                            .message_bytes = (uint32_t)bytes,
                            .message_handles = (uint8_t)handles,
                            .calls_max = (uint8_t)calls,
                            .pages = (uint8_t)pages,
                            .ceiling = (uint8_t)(ABI_PRIORITIES - 1 - below0),
                            .reach = (uint8_t)(ABI_PRIORITIES - 1 - below1),
                            .slot_bytes = (uint16_t)slot,
                            .slots_per_page = (uint16_t)per_page};
    return true;
}

static uint64_t end_pages(const struct channel *shape)
{
    return shape->pages + (shape->calls_max > 0 ? 1u : 0u);
}

static void end_init(struct channel *channel, const struct channel *shape)
{
    channel->overflow = shape->overflow;
    channel->depth = shape->depth;
    channel->message_bytes = shape->message_bytes;
    channel->message_handles = shape->message_handles;
    channel->calls_max = shape->calls_max;
    channel->pages = shape->pages;
    channel->slot_bytes = shape->slot_bytes;
    channel->slots_per_page = shape->slots_per_page;
    channel->head = channel->tail = channel->free = SLOT_NONE;
    list_init(&channel->senders);
    list_init(&channel->callers);
    list_init(&channel->faults);
    for (unsigned i = 0; i < channel->pages; i++)
        channel->queue[i] = arch_ram(frame_allocate(FRAME_KERNEL, &channel->object));
    if (channel->calls_max > 0)
        channel->calls = arch_ram(frame_allocate(FRAME_KERNEL, &channel->object));
}

static struct channel *end_new(struct object_ref account, const struct channel *shape)
{
    struct object *object = object_new((struct account *)(void *)account.object, OBJECT_CHANNEL);
    end_init(channel_of(object), shape);
    return channel_of(object);
}

status_t sys_channel_create(struct entry *entry, const struct handle_lookup *account0,
                            const struct handle_lookup *account1, uint64_t shape_word,
                            uint64_t overflow)
{
    struct channel shape;
    if (!shape_parse(shape_word, &shape) || overflow > OVERFLOW_DROP_OLDEST)
        return STATUS_INVALID;
    // A dropped call would never be answered, and a dropped handle would be lost.
    if (overflow == OVERFLOW_DROP_OLDEST && (shape.message_handles > 0 || shape.calls_max > 0))
        return STATUS_INVALID;
    shape.overflow = (uint8_t)overflow;
    status_t status = handles_reserve(entry->process, 2);
    if (status != STATUS_OK)
        return status;
    struct object_ref payer0 = lookup_ref(account0), payer1 = lookup_ref(account1);
    status = account_charge_ref(payer0, end_pages(&shape), 1);
    if (status == STATUS_OK) {
        status = account_charge_ref(payer1, end_pages(&shape), 1);
        if (status != STATUS_OK)
            account_uncharge((struct account *)(void *)payer0.object, end_pages(&shape), 1);
    }
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 2);
        return status;
    }
    struct channel *end0 = end_new(payer0, &shape), *end1 = end_new(payer1, &shape);
    end0->ceiling = end1->reach = shape.ceiling;
    end1->ceiling = end0->reach = shape.reach;
    end0->peer = object_reference(&end1->object);
    end1->peer = object_reference(&end0->object);
    entry->result[0] = handle_publish(entry->process, &end0->object, RIGHTS_CHANNEL);
    entry->result[1] = handle_publish(entry->process, &end1->object, RIGHTS_CHANNEL);
    return STATUS_OK;
}

// ---- sending

status_t channel_give_allowed(const struct handle_lookup *handle, uint8_t priority) NO_THREAD_SAFETY
{
    if (!(handle->rights & RIGHT_SEND)) // nothing else has it
        return STATUS_OK;
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    uint8_t reach = channel_of(handle->object)->reach;
    object_unlock(handle->object);
    return priority <= reach || SEEDED_BUG("I6 give") ? STATUS_OK : STATUS_TOO_URGENT;
}

status_t channel_capture_handles(struct entry *entry, uint64_t message, uint8_t ceiling,
                                 uint64_t *handles)
{
    for (uint32_t i = 0; i < MSG_HANDLES(message); i++) {
        handles[i] = *(volatile uint64_t *)&entry->thread->message->handles[i];
        struct handle_lookup handle;
        if (handle_lookup(entry, handles[i], OBJECT_NONE, 0, &handle) != STATUS_OK)
            continue; // what is wrong with it is told when it is taken
        status_t status = channel_give_allowed(&handle, ceiling);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

status_t channel_outgoing(struct entry *entry, const struct handle_lookup *handle, uint64_t message,
                          struct outgoing *out) NO_THREAD_SAFETY
{
    struct channel *channel = channel_of(handle->object);
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    bool connected = channel->object.state == CHANNEL_CONNECTED;
    uint8_t ceiling = channel->ceiling;
    out->peer = channel->peer;
    object_unlock(handle->object);
    if (!connected)
        return STATUS_PEER_CLOSED;
    out->end = handle->object;
    out->message = message;
    return channel_capture_handles(entry, message, ceiling, out->handles);
}

bool channel_connected_locked(const struct channel *channel)
{
    return channel->object.state == CHANNEL_CONNECTED || SEEDED_BUG("I4 late");
}

bool msginfo_valid(uint64_t message, uint64_t allowed_bits)
{
    uint64_t sizes = MSG_BYTES_MASK | 0xfull << MSG_HANDLES_SHIFT;
    return !(message & ~(sizes | allowed_bits)) && MSG_BYTES(message) <= ABI_MESSAGE_BYTES &&
           MSG_HANDLES(message) <= ABI_MESSAGE_HANDLES;
}

static bool has_room(const struct channel *channel, bool call)
{
    return (channel->queued < channel->depth || SEEDED_BUG("I1")) && (!call || call_fits(channel));
}

// Queues a sender's message, with the handles that are held for it.
static uint16_t enqueue_locked(struct channel *channel, const struct thread *sender,
                               const struct handle_transfer *transfers)
    REQUIRES(channel->object.lock)
{
    uint16_t slot = slot_take_locked(channel);
    struct message *queued = message_at(channel, slot);
    queued->call_slot = CALL_NONE;
    queued->bytes = MSG_BYTES(sender->sending);
    queued->handles = MSG_HANDLES(sender->sending);
    memcpy(queued->transfers, transfers, queued->handles * sizeof *transfers);
    memcpy(payload(channel, queued), sender->message->data, queued->bytes);
    queue_push_locked(channel, slot);
    return slot;
}

// The message is in the queue, and the sender's part of it is done.
static void sent(struct thread *sender)
{
    handles_commit(sender->process, sender->held, sender->held_handles);
    sender->held_handles = 0;
}

// Makes the current thread wait for room, behind those as urgent as it is.
static status_t wait_for_room_locked(struct channel *channel, struct thread *sender, bool call,
                                     uint64_t deadline_ns) REQUIRES(channel->object.lock)
{
    struct list_node *const head = &channel->senders.head, *place = head;
    while (place->previous != head &&
           thread_priority(CONTAINER_OF(place->previous, struct thread, wait_node)) <
               thread_priority(sender))
        place = place->previous;
    status_t status =
        thread_block(&channel->object, nullptr, call ? WAIT_REPLY : WAIT_SEND, deadline_ns);
    list_insert_before(place, &sender->wait_node);
    return status;
}

// OK: there is room, where need be made by dropping a message. STATUS_BLOCKED: it is worth waiting.
static status_t make_room_locked(struct channel *channel, bool call, uint64_t deadline_ns)
    REQUIRES(channel->object.lock)
{
    if (has_room(channel, call) &&
        !(channel->overflow == OVERFLOW_REJECT && RUNS_OUT("room in a queue")))
        return STATUS_OK;
    if (channel->overflow == OVERFLOW_REJECT || (call && channel->calls_max == 0))
        return STATUS_FULL;
    if (channel->overflow == OVERFLOW_DROP_OLDEST) {
        queue_remove_locked(channel, channel->head);
        if (channel->lost < UINT32_MAX && !SEEDED_BUG("I2 lost"))
            channel->lost++;
        return STATUS_OK;
    }
    unsigned waiting = 0;
    LIST_FOR_EACH(node, &channel->senders)
    waiting++;
    if (waiting >= ABI_CHANNEL_MAX_SENDERS || RUNS_OUT("senders"))
        return STATUS_FULL;
    return deadline_ns <= time_now_ns() ? STATUS_TIMED_OUT : STATUS_BLOCKED;
}

status_t channel_send_locked(struct channel *channel, struct thread *sender,
                             const struct outgoing *out, bool call, uint64_t deadline_ns)
{
    uint32_t handles = MSG_HANDLES(out->message);
    if (!channel_connected_locked(channel))
        return STATUS_GONE;
    if (MSG_BYTES(out->message) > channel->message_bytes || handles > channel->message_handles)
        return STATUS_TOO_BIG;
    bool may_wait = thread_priority(sender) <= channel->ceiling || SEEDED_BUG("I6 wait");
    if (call && !may_wait)
        return STATUS_TOO_URGENT;
    status_t room = make_room_locked(channel, call, deadline_ns);
    if (room == STATUS_BLOCKED && !may_wait)
        return STATUS_TOO_URGENT;
    if (room != STATUS_OK && room != STATUS_BLOCKED)
        return room;
    struct handle_transfer transfers[ABI_MESSAGE_HANDLES];
    status_t status =
        handles_hold(sender->process, out->handles, handles, out->end, &channel->object, transfers);
    if (status != STATUS_OK)
        return status;
    sender->sending = (uint32_t)out->message;
    sender->held_handles = (uint8_t)handles;
    for (uint32_t i = 0; i < handles; i++)
        sender->held[i] = transfers[i].slot;
    sender->call_slot = CALL_NONE;
    if (room == STATUS_BLOCKED)
        return wait_for_room_locked(channel, sender, call, deadline_ns);
    uint16_t slot = enqueue_locked(channel, sender, transfers);
    if (call) {
        message_at(channel, slot)->call_slot = call_begin_locked(channel, sender, slot);
        status = thread_block(&channel->object, &channel->callers, WAIT_REPLY, deadline_ns);
    } else {
        sent(sender);
    }
    channel_announce_locked(channel);
    return status;
}

// Lets senders that wait have the room that there is: in their order, but for calls where the table
// of calls is full. A call waits on, for its reply.
static void admit_locked(struct channel *channel) REQUIRES(channel->object.lock)
{
    if (channel->object.state != CHANNEL_CONNECTED || object_dies(&channel->object))
        return;
    struct list_node *next;
    for (struct list_node *node = channel->senders.head.next;
         node != &channel->senders.head && has_room(channel, false); node = next) {
        next = node->next;
        struct thread *sender = CONTAINER_OF(node, struct thread, wait_node);
        bool call = sender->wait_kind == WAIT_REPLY;
        // Of a call whose wait has been ended meanwhile, whoever did that takes it out again.
        if (!has_room(channel, call) || (!call && !thread_win(sender) && !SEEDED_BUG("I3 admit")))
            continue;
        struct handle_transfer transfers[ABI_MESSAGE_HANDLES];
        handles_held(sender->process, sender->held, sender->held_handles, transfers);
        uint16_t slot = enqueue_locked(channel, sender, transfers);
        if (call) {
            list_remove(node);
            list_push_back(&channel->callers, node);
            message_at(channel, slot)->call_slot = call_begin_locked(channel, sender, slot);
        } else {
            sent(sender);
            thread_wake(sender, STATUS_OK);
        }
    }
}

void channel_announce_locked(struct channel *channel)
{
    struct object *object = &channel->object;
    struct list_node *next;
    for (struct list_node *node = object->waiters.head.next;
         node != &object->waiters.head && channel_has_message_locked(channel); node = next) {
        next = node->next;
        struct thread *thread = CONTAINER_OF(node, struct thread, wait_node);
        if (thread->wait_kind != WAIT_MESSAGE || !thread_win(thread))
            continue;
        struct delivery delivery = {};
        status_t status = channel_take_locked(channel, thread, &delivery);
        arch_context_set_result(thread->context, 0, delivery.message);
        arch_context_set_result(thread->context, 1, delivery.token);
        thread_wake(thread, status);
    }
    if (channel_has_message_locked(channel))
        object_signal_locked(object, SIGNAL_READABLE);
}

void channel_has_room_locked(struct channel *channel)
{
    admit_locked(channel);
    clear_readable_locked(channel);
    channel_announce_locked(channel);
}

status_t sys_channel_send(struct entry *entry, const struct handle_lookup *handle, uint64_t message,
                          uint64_t deadline_ns) NO_THREAD_SAFETY
{
    if (!msginfo_valid(message, 0))
        return STATUS_INVALID;
    struct outgoing out;
    status_t status = channel_outgoing(entry, handle, message, &out);
    if (status != STATUS_OK)
        return status;
    if (!object_ref_lock(out.peer))
        return STATUS_PEER_CLOSED;
    status =
        channel_send_locked(channel_of(out.peer.object), entry->thread, &out, false, deadline_ns);
    object_unlock(out.peer.object);
    return status;
}

// ---- receiving

status_t channel_take_locked(struct channel *channel, struct thread *receiver, struct delivery *out)
{
    if (!list_empty(&channel->faults)) {
        call_take_fault_locked(channel, receiver, out);
        return STATUS_OK;
    }
    if (channel->head == SLOT_NONE)
        return STATUS_NOT_FOUND;
    uint16_t slot = channel->head;
    struct message *message = message_at(channel, slot);
    status_t status = handles_reserve(receiver->process, message->handles);
    if (status != STATUS_OK)
        return status;
    if (message->call_slot != CALL_NONE) {
        call_taken_locked(channel, message->call_slot, out);
    } else {
        out->message |= (uint64_t)channel->lost << MSG_LOST_SHIFT;
        channel->lost = 0;
    }
    for (uint32_t i = 0; i < message->handles; i++)
        receiver->message->handles[i] = handle_place(receiver->process, &message->transfers[i]);
    memcpy(receiver->message->data, payload(channel, message), message->bytes);
    out->message |= MSG(message->bytes, message->handles);
    queue_remove_locked(channel, slot);
    if (!SEEDED_BUG("S2 room"))
        admit_locked(channel);
    clear_readable_locked(channel);
    return STATUS_OK;
}

status_t sys_channel_receive(struct entry *entry, const struct handle_lookup *handle,
                             uint64_t deadline_ns) NO_THREAD_SAFETY
{
    struct channel *channel = channel_of(handle->object);
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    struct delivery delivery = {};
    if (SEEDED_BUG("I2 receive"))
        lock_release(&handle->object->lock);
    status_t status = channel_take_locked(channel, entry->thread, &delivery);
    if (SEEDED_BUG("I2 receive"))
        lock_acquire(&handle->object->lock);
    entry->result[0] = delivery.message;
    entry->result[1] = delivery.token;
    if (status == STATUS_NOT_FOUND) {
        if (channel->object.state != CHANNEL_CONNECTED)
            status = STATUS_PEER_CLOSED;
        else if (deadline_ns <= time_now_ns())
            status = STATUS_TIMED_OUT;
        else if (!thread_may_wait(&channel->object))
            status = STATUS_FULL;
        else
            status =
                thread_block(&channel->object, &channel->object.waiters, WAIT_MESSAGE, deadline_ns);
    }
    object_unlock(handle->object);
    return status;
}

// ---- the end

// Tells the peer: it drains from now on. Those of its receivers that wait over an empty queue
// hear PEER_CLOSED.
static void tell_peer(struct channel *channel) NO_THREAD_SAFETY
{
    if (!object_ref_lock(channel->peer))
        return;
    struct channel *peer = channel_of(channel->peer.object);
    if (peer->object.state == CHANNEL_CONNECTED) {
        object_transition(&peer->object, SEEDED_BUG("P1") ? CHANNEL_CONNECTED : CHANNEL_DRAINING);
        struct list_node *next;
        for (struct list_node *node = peer->object.waiters.head.next;
             node != &peer->object.waiters.head; node = next) {
            next = node->next;
            struct thread *thread = CONTAINER_OF(node, struct thread, wait_node);
            if (thread->wait_kind == WAIT_MESSAGE && !SEEDED_BUG("I4") && thread_win(thread))
                thread_wake(thread, STATUS_PEER_CLOSED);
        }
        object_signal_locked(&peer->object, SIGNAL_PEER_CLOSED);
    }
    object_unlock(channel->peer.object);
}

// Drops one queued message with the handles that it carries. Without the lock: with the last of its
// callers nobody else comes to the queue of an end that dies.
static bool drop_one_message(struct channel *channel) NO_THREAD_SAFETY
{
    uint16_t slot = channel->head;
    struct object_ref refs[ABI_MESSAGE_HANDLES];
    uint32_t count = 0;
    if (slot != SLOT_NONE) {
        const struct message *message = message_at(channel, slot);
        for (; count < message->handles; count++)
            refs[count] = (struct object_ref){message->transfers[count].object,
                                              message->transfers[count].generation};
        queue_remove_locked(channel, slot);
        clear_readable_locked(channel);
    }
    for (uint32_t i = 0; i < count; i++)
        object_handle_dropped(refs[i]);
    return slot != SLOT_NONE;
}

enum step channel_teardown(struct object *object) NO_THREAD_SAFETY
{
    struct channel *channel = channel_of(object);
    tell_peer(channel);
    // Whoever waits for a reply from this end, and whoever called through it.
    enum step step = calls_end_one(channel, STATUS_PEER_CLOSED);
    if (step != STEP_DONE)
        return step;
    step = calls_end_one_of_peer(channel->peer, STATUS_GONE);
    if (step != STEP_DONE)
        return step;
    if (drop_one_message(channel))
        return STEP_MORE;
    for (unsigned i = 0; i < channel->pages; i++)
        frame_free(arch_ram_address(channel->queue[i]));
    if (channel->calls)
        frame_free(arch_ram_address(channel->calls));
    account_uncharge(object->account, end_pages(channel), 0);
    return STEP_DONE;
}

void channel_inspect(struct object *object, struct abi_inspect *out)
{
    const struct channel *channel = channel_of(object);
    out->channel.depth = channel->depth;
    out->channel.message_bytes = channel->message_bytes;
    out->channel.queued = channel->queued;
    out->channel.calls = channel->calls_used;
    out->channel.calls_max = channel->calls_max;
    out->channel.queued_high = channel->queued_high;
    out->channel.overflow = channel->overflow;
    out->channel.lost = channel->lost;
    out->channel.ceiling = channel->ceiling;
    LIST_FOR_EACH(node, &channel->senders)
    out->channel.senders++;
}

void channel_check(struct object *object)
{
    [[maybe_unused]] const struct channel *channel = channel_of(object);
    CHECK(I1, channel->queued <= channel->depth);
    CHECK(I2, (channel->head == SLOT_NONE) == (channel->queued == 0));
    CHECK(I5, channel->calls_used <= channel->calls_max);
}
