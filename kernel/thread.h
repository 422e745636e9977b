// SPDX-License-Identifier: MIT
//
// Threads: run states, waiting and waking.
//
//   NEW -> READY <-> RUNNING -> BLOCKED -> READY ...    any -> EXITING -> DEAD
//
// Only the home CPU changes a thread's run state. Others do two things: win its wait word by
// compare-and-swap (the one winner may then write the thread's saved registers and message
// buffer, unlinks its wait node under the object's lock, and posts it), and set request bits.
// I3: a blocked thread is on one queue, and one waker wins. A loser touches nothing.
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
    WAIT_REPLY,     // on the channel end that its call was sent to
    WAIT_FAULT,     // on the channel end that its fault was reported to
};

enum thread_request : uint32_t { REQUEST_WAKE = 1, REQUEST_KILL = 2 };

// The wait word: sequence << 2 | one of these.
enum wait_phase : uint64_t { PHASE_RUNNING = 0, PHASE_BLOCKED = 1, PHASE_WOKEN = 2 };

constexpr uint16_t CALL_NONE = UINT16_MAX;

struct thread {
    struct object object;
    struct process *process;
    struct cpu *home;
    struct arch_context *context;       // a page of its own
    struct abi_message_buffer *message; // the kernel's view of the message buffer
    struct object_ref buffer_mapping;
    struct list_node process_node; // guarded by the process's table lock

    struct runnable runnable;
    uint8_t priority;
    bool killed;     // owned by the home CPU
    bool kill_asked; // by the end of its process; guarded by the process's table lock
    _Atomic uint32_t requests;
    struct thread *inbox_next;

    _Atomic uint64_t wait_word;
    enum wait_kind wait_kind;
    uint32_t wait_mask;         // WAIT_SIGNALS
    struct object *wait_object; // whose lock guards wait_node
    struct list_node wait_node;
    struct deadline deadline;

    uint8_t reserved_handles; // room in its process's table, taken before the wait
    uint8_t call_handles;     // of its own, held in place while the call is queued
    uint16_t call_slot;       // in the receiving end's table of calls
    uint16_t fault_slot;      // reserved in the exception handler's table at creation
    uint32_t held[ABI_MESSAGE_HANDLES];
    uint64_t reply_flag; // MSG_REPLY_FAILED for the next message, or 0
    uint64_t cpu_ns;
    bool restart, restarted; // STATUS_RESTART
    bool yields;             // its next exit puts it behind its equals
    struct abi_fault *fault; // in the context page, behind the registers
};
OBJECT_BODY(thread);

static inline struct thread *thread_of(struct object *object)
{
    return (struct thread *)(void *)object;
}

struct thread *thread_current(void);

// Makes the current thread wait. `object` (nullptr: WAIT_SLEEP) is locked by the caller and
// still locked on return; `list` is the queue of it to join. Returns STATUS_BLOCKED.
status_t thread_block(struct object *object, struct list *list, enum wait_kind kind,
                      uint64_t deadline_ns);

// Whether the object's waiters have room for one more. (FULL where not)
bool thread_may_wait(struct object *object) REQUIRES(object->lock);

// Tries to be the one who wakes the thread. The winner goes on with thread_wake.
[[nodiscard]] bool thread_win(struct thread *thread);

// The winner's second half, in two parts: unlink under the wait object's lock, then post with
// the status; results and message are in place by then. thread_wake does both.
void thread_unlink(struct thread *thread);
void thread_post(struct thread *thread, status_t status);
void thread_wake(struct thread *thread, status_t status);

// The deadline passed, the wait was cancelled, or the thread is killed: undoes the wait.
// false: somebody else wakes it.
bool thread_interrupt_wait(struct thread *thread, status_t status);

void thread_expired(struct thread *thread, uint64_t wait_word);

// A thread that was killed has stopped for good: its teardown can go on. On its home CPU.
void thread_begin_exit(struct thread *thread);

// Asks for the end of a thread, from any CPU.
void thread_kill(struct thread *thread);

// Takes in what others posted. At most CPU_BATCH items; true: more is left.
bool thread_inbox_drain(struct cpu *cpu);

struct process;

// A thread of a process, not started. Errors: BAD_STATE, NO_PAGES, NO_OBJECTS, INVALID, OVERLAP,
// FULL (no reply slot for its faults).
[[nodiscard]] status_t thread_create(struct process *process, uint8_t priority,
                                     uint64_t message_buffer, struct thread **out);

enum step thread_teardown(struct object *object);
void thread_inspect(struct object *object, struct abi_inspect *out);
