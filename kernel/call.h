// SPDX-License-Identifier: MIT
//
// What channel.c and call.c share: the queue under a call, and the calls of an end.
#pragma once

#include "channel.h"

// ---- offered by channel.c

// A message on its way out of the current thread's buffer, what can change meanwhile captured.
struct outgoing {
    const struct object *end; // that it goes through
    struct object_ref peer;
    uint64_t message;
    uint64_t handles[ABI_MESSAGE_HANDLES];
};

// Captures a message that is to go through a handle's end. GONE, PEER_CLOSED, TOO_URGENT.
[[nodiscard]] status_t channel_outgoing(struct entry *entry, const struct handle_lookup *handle,
                                        uint64_t message, struct outgoing *out);

// Captures the handles of a message to those behind an end with the given ceiling. TOO_URGENT: they
// may be more urgent than one of the handles allows.
[[nodiscard]] status_t channel_capture_handles(struct entry *entry, uint64_t message,
                                               uint8_t ceiling, uint64_t *handles);

// Whether the end that was looked at before, the other one of this, is still there: if it is not,
// those who wait for this one have been told so already.
bool channel_connected_locked(const struct channel *channel) REQUIRES(channel->object.lock);

// Whether a msginfo holds nothing but sizes and `allowed_bits`, the sizes within the ABI's.
bool msginfo_valid(uint64_t message, uint64_t allowed_bits);

// Sends the current thread's message to the locked end. OK: it is queued. STATUS_BLOCKED: the thread
// waits for room, or for the reply to its call. Errors as channel_send.
[[nodiscard]] status_t channel_send_locked(struct channel *channel, struct thread *sender,
                                           const struct outgoing *out, bool call,
                                           uint64_t deadline_ns) REQUIRES(channel->object.lock);

// Takes a queued message out again, unseen. Its handles are the caller's business.
void channel_withdraw_locked(struct channel *channel, uint16_t slot) REQUIRES(channel->object.lock);

// Hands what is queued to waiting receivers, or raises READABLE.
void channel_announce_locked(struct channel *channel) REQUIRES(channel->object.lock);

// There is room in the queue or in the table of calls: lets waiting senders have it, and announces
// what is queued.
void channel_has_room_locked(struct channel *channel) REQUIRES(channel->object.lock);

// ---- offered by call.c

// Whether the table of calls has room for one more.
static inline bool call_fits(const struct channel *channel)
{
    return channel->calls_used < channel->calls_max;
}

// The message in the queue's slot is a call of a thread: takes a slot of the table, which has room.
uint16_t call_begin_locked(struct channel *channel, struct thread *caller, uint16_t message)
    REQUIRES(channel->object.lock);

// The call's message is being taken: its handles leave the caller's table; sets the token.
void call_taken_locked(struct channel *channel, uint16_t slot, struct delivery *out)
    REQUIRES(channel->object.lock);
void call_take_fault_locked(struct channel *channel, struct thread *receiver, struct delivery *out)
    REQUIRES(channel->object.lock);

// Ends the wait of one caller, or of one thread that faulted, at an end that dies, or at the other
// one if that lives. STEP_DONE: none is left.
enum step calls_end_one(struct channel *channel, status_t status);
enum step calls_end_one_of_peer(struct object_ref peer, status_t status);
