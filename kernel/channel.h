// SPDX-License-Identifier: MIT
//
// Channel ends: bounded queues of messages, calls and replies.
//
//   CONNECTED -> DRAINING    (the peer is gone; what is queued can still be received)
//
// Each end holds its own inbound queue: slots in pages charged to its account, linked in order.
// I1: queued <= depth. I2: exactly once, in order. A full queue refuses the sender, drops its
// oldest message, or lets the sender wait: its handles are held in place, and its message goes
// from its buffer into the queue when there is room. A call takes a slot in the receiving end's
// table of calls: its index and generation are the token (I5: no reply without its call, and one
// only). The caller's room for the reply's handles is reserved before the call is sent, and the
// reply goes straight into the waiting caller's message buffer, so a reply never meets a full
// queue. A fault is a call too; its slot is reserved when the thread is made.
//
// Nobody waits for a server that is less urgent: who is above an end's ceiling cannot wait for it,
// and the other end is not handed to one who may be. Those behind an end are as urgent as the
// ceiling of its peer, at most, so a message that goes there can be judged when it is sent.
//
// Locks: at most one end is locked at a time. The peer is reached through a reference.
#pragma once

#include "process.h"

struct thread;
struct entry;
struct handle_lookup;

enum channel_state : uint8_t { CHANNEL_CONNECTED, CHANNEL_DRAINING, CHANNEL_STATES };

constexpr uint16_t SLOT_NONE = UINT16_MAX;

// A message in a queue; its payload follows behind the handles it has room for.
struct message {
    uint16_t next, previous;
    uint16_t call_slot; // CALL_NONE: not a call
    uint16_t padding;
    uint32_t bytes, handles;
    struct handle_transfer transfers[];
};

enum call_phase : uint8_t {
    CALL_FREE,
    CALL_QUEUED,    // the message waits in the queue
    CALL_TAKEN,     // the server has it, and the token
    CALL_ABANDONED, // taken, but the caller no longer waits: the reply will be refused
    CALL_FAULT,     // reserved for a thread's faults
    CALL_PHASES,
};

struct call {
    struct thread *thread; // the caller, while it waits
    uint32_t generation;
    enum call_phase phase;
    bool fault; // the slot belongs to a thread's faults, whatever its phase
    uint8_t reply_handles;
    uint16_t message; // QUEUED: its slot in the queue
};

struct channel {
    struct object object; // its lock guards all of this
    struct object_ref peer;
    uint16_t depth, queued, queued_high;
    uint16_t head, tail;     // slots of the queue
    uint16_t free, fresh;    // slots that were used, linked by next; the first that never was
    uint32_t message_bytes;  // at most, in one message
    uint8_t message_handles; // at most, in one message
    uint8_t pages, calls_max, calls_used, overflow;
    uint8_t ceiling; // the highest priority of those who may wait for this end
    uint8_t reach;   // the peer's ceiling: of those who may wait through this end
    uint16_t slot_bytes, slots_per_page;
    uint32_t lost;       // dropped since the last message was taken
    struct list senders; // threads that wait for room, the most urgent first, by wait_node
    struct list callers; // threads that wait for replies from this end, by wait_node
    struct list faults;  // threads whose faults were not taken yet, by wait_node
    struct call *calls;  // a page
    uint8_t *queue[ABI_CHANNEL_MAX_PAGES];
};
OBJECT_BODY(channel);

static inline struct channel *channel_of(struct object *object)
{
    return (struct channel *)(void *)object;
}

// What a receiver is told.
struct delivery {
    uint64_t message, token;
};

// Takes the next fault or message of a locked end into the thread's buffer. NOT_FOUND: nothing
// is there. NO_HANDLES: no room for its handles; it stays.
[[nodiscard]] status_t channel_take_locked(struct channel *channel, struct thread *receiver,
                                           struct delivery *out) REQUIRES(channel->object.lock);

// Whether channel_take_locked would find something.
bool channel_has_message_locked(const struct channel *channel);

// A sender, a caller, or a thread that faulted no longer waits (it is unlinked already).
void channel_abandoned_locked(struct object *end, struct thread *thread) REQUIRES(end->lock);

// Answers a call. Errors as channel_reply.
[[nodiscard]] status_t channel_reply(struct entry *entry, struct object_ref end, uint64_t token,
                                     uint64_t message);

// Whether a handle can be given to somebody as urgent as `priority`. TOO_URGENT: it names a channel
// end, with SEND, whose peer has a lower ceiling. GONE.
[[nodiscard]] status_t channel_give_allowed(const struct handle_lookup *handle, uint8_t priority);

// ---- faults

[[nodiscard]] status_t channel_reserve_fault_slot(struct object_ref exceptions, uint16_t *slot);
void channel_release_fault_slot(struct object_ref exceptions, uint16_t slot);

// Reports the current thread's fault, which is in thread_fault, and makes it wait. false: there
// is nobody to report to.
bool channel_fault(struct thread *thread, struct object_ref exceptions);

enum step channel_teardown(struct object *object);
void channel_inspect(struct object *object, struct abi_inspect *out);
void channel_check(struct object *object);
