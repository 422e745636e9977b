// SPDX-License-Identifier: MIT
//
// Threads: run states, waiting and waking.
//
//   NEW -> READY <-> RUNNING -> BLOCKED -> READY ...    any -> EXITING -> DEAD
//          READY <-> THROTTLED    (its budget is used up: budget.h)
//
// Only the home CPU changes a thread's run state, its priority and its home. Others do two things:
// win its wait word by compare-and-swap (the one winner may then write the thread's saved
// registers and message buffer, unlinks its wait node under the object's lock, and posts it), and
// set request bits: whoever moves the mask from zero posts the thread to its home CPU. A CPU that
// finds a thread in its inbox that has moved on forwards it.
// I3: a blocked thread is on one queue, and one waker wins. A loser touches nothing.
//
// A request is made by one who keeps the slot from being freed: under the thread's own lock with
// its generation checked, under its process's table lock while it is listed there, or as the
// winner of its wait. A thread that exits closes its mask, so that no post follows; its teardown
// begins when the last one has arrived (`left`), and may run on any CPU.
#pragma once

#include <arch/arch.h>

#include "clock.h"
#include "object.h"

// What a handler returns when the caller waits, or has ended: its results come later.
constexpr status_t STATUS_BLOCKED = STATUS_COUNT;

// What it returns when it did as much as one entry may: the call is made again, unchanged, at the
// caller's next turn, with `restarted` set.
constexpr status_t STATUS_RESTART = STATUS_COUNT + 1;

enum thread_state : uint8_t {
    THREAD_NEW,
    THREAD_READY,
    THREAD_RUNNING,
    THREAD_BLOCKED,
    THREAD_THROTTLED, // its budget is used up
    THREAD_EXITING,
    THREAD_DEAD,
    THREAD_STATES,
};

enum wait_kind : uint8_t {
    WAIT_NONE,
    WAIT_SLEEP,     // nothing but the deadline
    WAIT_SIGNALS,   // on any object
    WAIT_MESSAGE,   // on a channel end
    WAIT_PORT,      // on a port
    WAIT_OPERATION, // for the operation on an object to end
    WAIT_SEND,      // on the channel end that has no room for its message
    WAIT_REPLY,     // on the channel end that its call is sent to
    WAIT_FAULT,     // on the channel end that its fault was reported to
};

enum thread_request : uint32_t {
    REQUEST_WAKE = 1,      // by the winner of its wait
    REQUEST_KILL = 2,      //
    REQUEST_START = 4,     //
    REQUEST_MOVE = 8,      // to the CPU `wanted_cpu`
    REQUEST_PRIORITY = 16, // to `wanted_priority`
    REQUEST_ARRIVE = 32,   // by its former home: it is ready, and in no queue
    REQUEST_CLOSED = 64,   // it exits: nothing is posted any more
};

// The wait word: sequence << 8 | enum wait_kind << 2 | one of these.
enum wait_phase : uint64_t { PHASE_RUNNING = 0, PHASE_BLOCKED = 1, PHASE_WOKEN = 2 };

constexpr uint16_t CALL_NONE = UINT16_MAX;

struct thread {
    struct object object;
    struct process *process;
    _Atomic(struct cpu *) home;
    struct arch_context *context;       // a page of its own
    struct abi_message_buffer *message; // the kernel's view of the message buffer
    struct object_ref buffer_mapping;
    struct list_node process_node; // guarded by the process's table lock

    struct runnable runnable; // owned by the home CPU, like the next six
    struct budget *budget;    // as it was found in that epoch of the home CPU
    uint64_t budget_epoch;
    _Atomic enum thread_state run_state; // changed along the type's table, as an object's state
    bool killed;
    bool moves;  // its next exit moves it to the CPU that it is wanted on
    bool yields; // its next exit puts it behind its equals
    _Atomic uint8_t priority, wanted_priority;
    _Atomic uint8_t end_priority; // of the most urgent of those who asked for its end
    _Atomic uint32_t wanted_cpu;
    bool started;                 // guarded by its own lock
    bool kill_asked;              // by the end of its process; guarded by the process's table lock
    _Atomic bool buffer_unmapped; // by the end of its mapping
    _Atomic bool left;
    _Atomic uint32_t requests;
    uint32_t slice_used_ns; // by who was preempted in it; owned by the home CPU
    struct post post;

    _Atomic uint64_t wait_word;
    enum wait_kind wait_kind;
    uint32_t wait_mask;         // WAIT_SIGNALS
    struct object *wait_object; // whose lock guards wait_node
    struct list_node wait_node;
    struct deadline deadline;

    uint8_t reserved_handles; // room in its process's table, taken before the wait
    uint8_t held_handles;     // of its own, in place while it waits to send, or its call is queued
    uint16_t call_slot;       // in the receiving end's table of calls; CALL_NONE: waits for room
    uint32_t sending;         // WAIT_SEND, WAIT_REPLY: its message, a msginfo
    uint16_t fault_slot;      // reserved in the exception handler's table at creation
    uint16_t held[ABI_MESSAGE_HANDLES];
    uint32_t reply_flag;     // MSG_REPLY_FAILED for the next message, or 0
    bool restart, restarted; // STATUS_RESTART
    struct arch_fpu
        *fpu; // in the context page, where it does not run; nullptr: it has used none yet
    struct counter cpu_ns;
};
OBJECT_BODY(thread);

static inline struct thread *thread_of(struct object *object)
{
    return (struct thread *)(void *)object;
}

// What is where in the context page.
constexpr size_t CONTEXT_PAGE_FAULT = ARCH_CONTEXT_MAX;
constexpr size_t CONTEXT_PAGE_FPU = 2048;
static_assert(CONTEXT_PAGE_FAULT + sizeof(struct abi_fault) <= CONTEXT_PAGE_FPU);
static_assert(CONTEXT_PAGE_FPU + ARCH_FPU_MAX <= PAGE_SIZE && CONTEXT_PAGE_FPU % 64 == 0);

struct thread *thread_current(void);

// Its fault, until it is received; room for its FP registers: in the context page, behind the others.
static inline struct abi_fault *thread_fault(const struct thread *thread)
{
    return (struct abi_fault *)(void *)((uint8_t *)thread->context + CONTEXT_PAGE_FAULT);
}

static inline struct arch_fpu *thread_fpu_room(const struct thread *thread)
{
    return (struct arch_fpu *)(void *)((uint8_t *)thread->context + CONTEXT_PAGE_FPU);
}

static inline enum thread_state thread_state(const struct thread *thread)
{
    return atomic_load_explicit(&thread->run_state, memory_order_relaxed);
}

void thread_set_state(struct thread *thread, enum thread_state state);

static inline uint8_t thread_priority(const struct thread *thread)
{
    return atomic_load_explicit(&thread->priority, memory_order_relaxed);
}

// Makes the current thread wait. `object` (nullptr: WAIT_SLEEP) is locked by the caller and
// still locked on return; `list` is the queue of it to join. Returns STATUS_BLOCKED.
status_t thread_block(struct object *object, struct list *list, enum wait_kind kind,
                      uint64_t deadline_ns);

// Whether the object's waiters have room for one more. (FULL where not)
bool thread_may_wait(struct object *object) REQUIRES(object->lock);

// Tries to be the one who wakes the thread. The winner goes on with thread_wake.
[[nodiscard]] bool thread_win(struct thread *thread);

// The same for one wait only: not if the word has changed.
[[nodiscard]] bool thread_win_wait(struct thread *thread, uint64_t wait_word);

// The winner's second half, in two parts: unlink under the wait object's lock, then post with
// the status; results and message are in place by then. thread_wake does both.
void thread_unlink(struct thread *thread);
void thread_post(struct thread *thread, status_t status);
void thread_wake(struct thread *thread, status_t status);

// The second half of a winner that comes from elsewhere than the object that is waited for (the
// deadline, a cancellation, a kill): undoes the wait and wakes. No lock is held.
void thread_end_wait(struct thread *thread, status_t status);

// The deadline of a wait that the caller has won has passed.
void thread_expired(struct thread *thread);

// Asks something of a thread. The caller keeps its slot from being freed.
void thread_request(struct thread *thread, uint32_t request);

// Asks for its end, which is as urgent as what runs on this CPU, or as the thread itself.
void thread_kill(struct thread *thread);

// Handles what is asked of a thread, on the CPU that found it in its inbox.
void thread_take_requests(struct thread *thread);

// Moves the current thread, ready and in no queue, to the CPU that it is wanted on.
void thread_move_away(struct thread *thread);

// A thread that was killed has stopped for good: its teardown can go on. On its home CPU.
void thread_begin_exit(struct thread *thread);

struct process;

// A thread of a process, not started. Errors: BAD_STATE (the process ends), NO_PAGES, NO_OBJECTS,
// INVALID, OVERLAP, FULL (no reply slot for its faults).
[[nodiscard]] status_t thread_create(struct object_ref process, uint8_t priority,
                                     uint64_t message_buffer, struct object_ref *out);

enum step thread_teardown(struct object *object);
void thread_inspect(struct object *object, struct abi_inspect *out);
