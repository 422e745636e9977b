// SPDX-License-Identifier: MIT
//
// Calls: a slot of the receiving end's table from the moment that the message is queued until it
// is answered or refused. Faults use the same slots. See channel.h.
#include "call.h"

#include <lib/string.h>

#include "cpu.h"
#include "handlers.h"
#include "thread.h"

// The event stands in docs/ipc.md, whose table comes from these lines.
#define TO(phase, event) (1u << (phase))

[[maybe_unused]] static const uint32_t call_transitions[CALL_PHASES] = {
    [CALL_FREE] = TO(CALL_QUEUED, "the call's message is queued") |
                  TO(CALL_FAULT, "a thread is created whose faults go here"),
    [CALL_QUEUED] = TO(CALL_TAKEN, "its message is received") |
                    TO(CALL_FREE, "its caller no longer waits: the message is withdrawn"),
    [CALL_TAKEN] = TO(CALL_FREE, "it is answered") | TO(CALL_FAULT, "a fault is answered") |
                   TO(CALL_ABANDONED, "its caller no longer waits"),
    [CALL_ABANDONED] = TO(CALL_FREE, "the late reply is refused") |
                       TO(CALL_FAULT, "the late reply to a fault is refused"),
    [CALL_FAULT] =
        TO(CALL_TAKEN, "the thread's fault is received") | TO(CALL_FREE, "the thread has ended"),
};

static void call_move(struct call *call, enum call_phase to)
{
    CHECK(P1, call_transitions[call->phase] >> to & 1);
    call->phase = to;
}

static uint64_t token_of(const struct channel *channel, uint16_t slot)
{
    return (uint64_t)channel->calls[slot].generation << 32 | slot;
}

static uint16_t slot_allocate_locked(struct channel *channel)
{
    for (uint16_t slot = 0; slot < channel->calls_max; slot++)
        if (channel->calls[slot].phase == CALL_FREE) {
            channel->calls_used++;
            return slot;
        }
    return CALL_NONE;
}

static void slot_free_locked(struct channel *channel, uint16_t slot)
{
    struct call *call = &channel->calls[slot];
    CHECK(I5, call->phase != CALL_FREE);
    call_move(call, CALL_FREE);
    uint32_t generation = call->generation + (SEEDED_BUG("I5") ? 0 : 1);
    *call = (struct call){.generation = generation}; // its token is spent
    channel->calls_used--;
}

// A fault was answered, or its thread ended: the slot stays reserved for the thread.
static void fault_slot_rest_locked(struct channel *channel, uint16_t slot)
{
    struct call *call = &channel->calls[slot];
    if (call->phase != CALL_FAULT)
        call_move(call, CALL_FAULT);
    *call = (struct call){.generation = call->generation + 1, .phase = CALL_FAULT, .fault = true};
}

// ---- calling

status_t sys_channel_call(struct entry *entry, const struct handle_lookup *handle, uint64_t message,
                          uint64_t deadline_ns) NO_THREAD_SAFETY
{
    uint32_t reply_handles = MSG_REPLY_HANDLES(message);
    if (!msginfo_valid(message, 0xfull << MSG_REPLY_HANDLES_SHIFT) ||
        reply_handles > ABI_MESSAGE_HANDLES)
        return STATUS_INVALID;
    struct outgoing out;
    status_t status = channel_outgoing(entry, handle, message, &out);
    if (status == STATUS_OK && deadline_ns <= time_now_ns())
        status = STATUS_TIMED_OUT;
    if (status == STATUS_OK)
        status = handles_reserve(entry->process, reply_handles);
    if (status != STATUS_OK)
        return status;
    struct thread *thread = entry->thread;
    thread->reserved_handles = (uint8_t)reply_handles;
    status = STATUS_PEER_CLOSED;
    if (object_ref_lock(out.peer)) {
        status = channel_send_locked(channel_of(out.peer.object), thread, &out, true, deadline_ns);
        object_unlock(out.peer.object);
    }
    if (status != STATUS_BLOCKED) {
        handles_unreserve(entry->process, reply_handles);
        thread->reserved_handles = 0;
    }
    return status;
}

uint16_t call_begin_locked(struct channel *channel, struct thread *caller, uint16_t message)
{
    uint16_t slot = slot_allocate_locked(channel);
    struct call *call = &channel->calls[slot];
    call_move(call, CALL_QUEUED);
    call->thread = caller;
    call->message = message;
    call->reply_handles = (uint8_t)MSG_REPLY_HANDLES(caller->sending);
    caller->call_slot = slot;
    return slot;
}

void call_taken_locked(struct channel *channel, uint16_t slot, struct delivery *out)
{
    struct call *call = &channel->calls[slot];
    CHECK(I5, call->phase == CALL_QUEUED && call->thread);
    call_move(call, CALL_TAKEN);
    handles_commit(call->thread->process, call->thread->held, call->thread->held_handles);
    call->thread->held_handles = 0;
    out->token = token_of(channel, slot);
    out->message |= MSG_CALL;
}

// What it did not send is its own again.
static void take_back(struct thread *thread)
{
    handles_restore(thread->process, thread->held, thread->held_handles);
    thread->held_handles = 0;
}

void channel_abandoned_locked(struct object *end, struct thread *thread)
{
    struct channel *channel = channel_of(end);
    bool fault = thread->wait_kind == WAIT_FAULT;
    uint16_t slot = fault ? thread->fault_slot : thread->call_slot;
    struct call *call = slot == CALL_NONE ? nullptr : &channel->calls[slot];
    switch (call ? call->phase : CALL_FREE) {
    case CALL_FREE: // it waited for room
        take_back(thread);
        break;
    case CALL_QUEUED:
        channel_withdraw_locked(channel, call->message);
        take_back(thread);
        slot_free_locked(channel, slot);
        if (!SEEDED_BUG("S2 left"))
            channel_has_room_locked(channel);
        break;
    case CALL_TAKEN:
        call_move(call, CALL_ABANDONED);
        call->thread = nullptr;
        break;
    case CALL_FAULT: // not taken yet: the slot rests, and nothing may be left to receive
        if (!channel_has_message_locked(channel))
            end->signals &= ~(uint32_t)SIGNAL_READABLE;
        break;
    case CALL_ABANDONED:
        break;
    }
    // The teardown of either end may wait for this caller. The other slot may be a new object's
    // by now: resuming one for nothing is harmless.
    operation_resume(channel->peer.object);
}

// ---- replying

static status_t reply_to_fault_locked(struct thread *server, struct channel *channel, uint16_t slot,
                                      uint64_t message, struct object_ref *to_kill)
    REQUIRES(channel->object.lock)
{
    if (MSG_BYTES(message) != sizeof(struct abi_fault_reply) || MSG_HANDLES(message) != 0)
        return STATUS_INVALID;
    struct abi_fault_reply reply;
    memcpy(&reply, server->message->data, sizeof reply);
    struct thread *thread = channel->calls[slot].thread;
    if (reply.action == FAULT_KILL) {
        // It stays where it is until its process's end reaches it.
        *to_kill = object_reference(&thread->process->object);
        fault_slot_rest_locked(channel, slot);
        return STATUS_OK;
    }
    if (reply.action != FAULT_RESUME)
        return STATUS_INVALID;
    if (!thread_win(thread))
        return STATUS_CANCELLED;
    fault_slot_rest_locked(channel, slot);
    thread_wake(thread, STATUS_OK);
    return STATUS_OK;
}

static status_t reply_locked(struct thread *server, struct channel *channel, uint16_t slot,
                             uint64_t message, const uint64_t *values)
    REQUIRES(channel->object.lock)
{
    struct call *call = &channel->calls[slot];
    struct thread *caller = call->thread;
    uint32_t bytes = MSG_BYTES(message), handles = MSG_HANDLES(message);
    if (handles > call->reply_handles)
        return STATUS_TOO_BIG;
    struct handle_transfer transfers[ABI_MESSAGE_HANDLES];
    status_t status = handles_hold(server->process, values, handles, &channel->object,
                                   channel->peer.object, transfers);
    if (status != STATUS_OK)
        return status;
    uint16_t held[ABI_MESSAGE_HANDLES];
    for (uint32_t i = 0; i < handles; i++)
        held[i] = transfers[i].slot;
    if (!thread_win(caller)) {
        handles_restore(server->process, held, handles);
        return STATUS_CANCELLED;
    }
    handles_commit(server->process, held, handles);
    for (uint32_t i = 0; i < handles; i++)
        caller->message->handles[i] = handle_place(caller->process, &transfers[i]);
    caller->reserved_handles -= (uint8_t)handles;
    memcpy(caller->message->data, server->message->data, bytes);
    arch_context_set_result(caller->context, 0, MSG(bytes, handles));
    slot_free_locked(channel, slot);
    thread_wake(caller, STATUS_OK);
    return STATUS_OK;
}

// Captures the handles of a reply through an end: its callers receive them.
static status_t capture_reply(struct entry *entry, struct object_ref end, uint64_t message,
                              uint64_t *handles) NO_THREAD_SAFETY
{
    if (MSG_HANDLES(message) == 0 || !object_ref_lock(end))
        return STATUS_OK;
    uint8_t ceiling = channel_of(end.object)->ceiling;
    object_unlock(end.object);
    return channel_capture_handles(entry, message, ceiling, handles);
}

status_t channel_reply(struct entry *entry, struct object_ref end, uint64_t token, uint64_t message)
    NO_THREAD_SAFETY
{
    struct thread *server = entry->thread;
    if (!msginfo_valid(message, 0))
        return STATUS_INVALID;
    uint64_t handles[ABI_MESSAGE_HANDLES];
    status_t status = capture_reply(entry, end, message, handles);
    if (status != STATUS_OK)
        return status;
    if (!object_ref_lock(end))
        return STATUS_GONE;
    struct channel *channel = channel_of(end.object);
    struct object_ref to_kill = {};
    uint64_t slot = token & UINT32_MAX;
    struct call *call = slot < channel->calls_max ? &channel->calls[slot] : nullptr;
    bool known = call && call->generation == token >> 32;
    if (known && call->phase == CALL_ABANDONED) {
        status = STATUS_CANCELLED;
        if (call->fault)
            fault_slot_rest_locked(channel, (uint16_t)slot); // its thread still has to give it back
        else
            slot_free_locked(channel, (uint16_t)slot);
    } else if (!known || call->phase != CALL_TAKEN) {
        status = STATUS_NOT_FOUND;
    } else if (call->fault) {
        status = reply_to_fault_locked(server, channel, (uint16_t)slot, message, &to_kill);
    } else {
        status = reply_locked(server, channel, (uint16_t)slot, message, handles);
    }
    if (!list_empty(&channel->senders) && !SEEDED_BUG("S2 slot"))
        channel_has_room_locked(channel); // in the table of calls
    object_unlock(end.object);
    process_kill(to_kill, UINT64_MAX);
    return status;
}

status_t sys_channel_reply(struct entry *entry, const struct handle_lookup *handle, uint64_t token,
                           uint64_t message)
{
    return channel_reply(entry, lookup_ref(handle), token, message);
}

// ---- faults

// The end of the handler, which holds the slots: the peer of the process's exception end.
static bool handler_lock(struct object_ref exceptions, struct channel **out) NO_THREAD_SAFETY
{
    if (!object_ref_lock(exceptions))
        return false;
    struct object_ref peer = channel_of(exceptions.object)->peer;
    object_unlock(exceptions.object);
    if (!object_ref_lock(peer))
        return false;
    *out = channel_of(peer.object);
    return true;
}

status_t channel_reserve_fault_slot(struct object_ref exceptions, uint16_t *slot) NO_THREAD_SAFETY
{
    *slot = CALL_NONE;
    struct channel *handler;
    if (!handler_lock(exceptions, &handler))
        return STATUS_OK; // nobody handles them: a fault ends the process
    *slot = RUNS_OUT("calls") ? CALL_NONE : slot_allocate_locked(handler);
    if (*slot != CALL_NONE)
        fault_slot_rest_locked(handler, *slot);
    object_unlock(&handler->object);
    return *slot == CALL_NONE ? STATUS_FULL : STATUS_OK;
}

void channel_release_fault_slot(struct object_ref exceptions, uint16_t slot) NO_THREAD_SAFETY
{
    struct channel *handler;
    if (slot == CALL_NONE || !handler_lock(exceptions, &handler))
        return;
    struct call *call = &handler->calls[slot];
    if (call->phase == CALL_ABANDONED)
        call->fault = false; // freed by the reply that comes too late
    else
        slot_free_locked(handler, slot);
    channel_has_room_locked(handler);
    object_unlock(&handler->object);
}

bool channel_fault(struct thread *thread, struct object_ref exceptions) NO_THREAD_SAFETY
{
    struct channel *handler;
    if (thread->fault_slot == CALL_NONE || !handler_lock(exceptions, &handler))
        return false;
    bool connected = channel_connected_locked(handler);
    if (connected) {
        thread_block(&handler->object, &handler->faults, WAIT_FAULT, ABI_DEADLINE_NEVER);
        channel_announce_locked(handler);
    }
    object_unlock(&handler->object);
    return connected;
}

void call_take_fault_locked(struct channel *channel, struct thread *receiver, struct delivery *out)
{
    struct thread *thread =
        CONTAINER_OF(list_pop_front(&channel->faults), struct thread, wait_node);
    list_push_back(&channel->callers, &thread->wait_node);
    struct call *call = &channel->calls[thread->fault_slot];
    call_move(call, CALL_TAKEN);
    call->thread = thread;
    memcpy(receiver->message->data, thread_fault(thread), sizeof(struct abi_fault));
    out->message = MSG(sizeof(struct abi_fault), 0) | MSG_CALL | MSG_FAULT;
    out->token = token_of(channel, thread->fault_slot);
    if (!channel_has_message_locked(channel))
        channel->object.signals &= ~(uint32_t)SIGNAL_READABLE;
}

// ---- the end of an end

static enum step end_one_locked(struct channel *channel, status_t status,
                                struct object_ref *to_kill) REQUIRES(channel->object.lock)
{
    struct list_node *node = list_first(&channel->callers);
    if (!node && !SEEDED_BUG("I4 fault"))
        node = list_first(&channel->faults);
    if (!node && !SEEDED_BUG("I4 sender"))
        node = list_first(&channel->senders);
    if (!node)
        return STEP_DONE;
    struct thread *thread = CONTAINER_OF(node, struct thread, wait_node);
    if (thread->wait_kind == WAIT_FAULT) {
        // Nobody will answer: the process ends, and the end of its thread resumes us.
        struct process *process = thread->process;
        if (process_ends(process))
            return STEP_WAIT;
        *to_kill = object_reference(&process->object);
    } else if (thread_win(thread)) {
        channel_abandoned_locked(&channel->object, thread);
        thread_wake(thread, status);
    } else {
        return STEP_WAIT; // whoever won resumes us
    }
    return STEP_MORE;
}

enum step calls_end_one(struct channel *channel, status_t status) NO_THREAD_SAFETY
{
    struct object_ref to_kill = {};
    lock_acquire(&channel->object.lock);
    enum step step = end_one_locked(channel, status, &to_kill);
    lock_release(&channel->object.lock);
    process_kill(to_kill, UINT64_MAX);
    return step;
}

enum step calls_end_one_of_peer(struct object_ref peer, status_t status) NO_THREAD_SAFETY
{
    struct object_ref to_kill = {};
    if (!object_ref_lock(peer))
        return STEP_DONE; // its own end does it
    if (SEEDED_BUG("O2 peer")) {
        object_unlock(peer.object);
        lock_acquire(&peer.object->lock);
    }
    enum step step = end_one_locked(channel_of(peer.object), status, &to_kill);
    object_unlock(peer.object);
    process_kill(to_kill, UINT64_MAX);
    return step;
}
