// SPDX-License-Identifier: MIT
//
// Objects: one table of equal slots, sized at boot; every kernel object is one slot, header and
// body, so that making one allocates nothing else and destroying one frees it at once.
//
// A reference (struct object_ref) is a slot and its generation. The generation moves when the
// object begins to die: from that moment no reference and no handle to it resolves (O2), however
// many there are; that is revocation in O(1). The slot is free again when its teardown is done
// and nothing queues on it.
//
//   FREE -> LIVE -> DYING -> FREE          every type
//                   DYING -> GHOST -> FREE bound to a port that has not heard GONE yet
//
// Teardown is an operation embedded in the header: a bounded step at a time, at the priority of
// whoever caused it. Lock order: see lock.h; `lock` has the rank of the object's type.
#pragma once

#include <abi/layout.h>
#include <lib/list.h>

#include "check.h"
#include "inbox.h"
#include "lock.h"

struct account;
struct cpu;
struct object;
struct port;
struct thread;

constexpr size_t OBJECT_SLOT_SIZE = 512;
constexpr unsigned OBJECT_WAITERS_MAX = 32;

enum object_life : uint8_t { LIFE_FREE, LIFE_LIVE, LIFE_DYING, LIFE_GHOST };

// Something that a CPU can run: a thread, or a step of an operation.
enum runnable_kind : uint8_t { RUNNABLE_THREAD, RUNNABLE_OPERATION };

struct runnable {
    struct list_node node; // in the run queue of its CPU; owned by that CPU
    enum runnable_kind kind;
    uint8_t priority;
};

enum step : uint8_t {
    STEP_MORE,  // run me again
    STEP_WAIT,  // whoever changes what I wait for queues me again
    STEP_FLUSH, // a round of flushing (tlb.h) queues me again, and nobody else
    STEP_DONE,  // finished; the object may be gone
};

enum operation_phase : uint8_t {
    OPERATION_IDLE,
    OPERATION_QUEUED,   // in its CPU's run queue, or posted to it
    OPERATION_RUNNING,  // in its step
    OPERATION_AGAIN,    // in its step, and resumed meanwhile
    OPERATION_PARKED,   // waits to be resumed
    OPERATION_FLUSHING, // its runnable is with its CPU's flush ticket
};

// A long operation in progress on the object that embeds it: at most one. Arguments and cursor
// stand in the object's body. Every step is made on the CPU that started it, without locks held.
// Whoever moves the phase owns what follows from it: IDLE -> QUEUED the right to set it up,
// PARKED -> QUEUED the right to queue or post it.
struct operation {
    struct runnable runnable;
    enum step (*step)(struct object *object);
    struct post post;
    struct cpu *cpu;       // that started it
    _Atomic uint8_t phase; // enum operation_phase
};

// The tie of an object to a port. Paid for, one object, by the port's account, so that the last
// event (GONE) can outlive the object's own account.
struct binding {
    struct object *port; // nullptr: not bound
    uint64_t key;
    uint32_t mask;
    bool pending;               // guarded by the port's lock
    struct list_node node;      // on the port's pending list; guarded by the port's lock
    struct list_node port_node; // on the port's list of bindings; guarded by the port's lock
};

// A stale reference may lead to a slot that is another object's by now: what it touches before it
// knows better (the lock, life, generation, the operation's phase) outlives the object.
struct object {
    struct spinlock lock;
    _Atomic enum object_life life;
    _Atomic uint64_t generation;
    struct operation operation;

    enum abi_object type;            // from here on cleared for each object
    uint8_t state GUARDED_BY(&lock); // of the type's state table
    bool teardown_begun GUARDED_BY(&lock);
    bool finished GUARDED_BY(&lock);    // its work is done; the slot stays while handles remain
    uint32_t handles GUARDED_BY(&lock); // in tables and in messages
    uint64_t id;                        // unique since boot
    struct account *account;            // who pays for the slot; nullptr: prepaid by others
    struct list_node account_node;      // guarded by the account's lock
    uint32_t signals GUARDED_BY(&lock);
    uint32_t waiter_count GUARDED_BY(&lock);
    struct list waiters GUARDED_BY(&lock); // threads, by wait_node
    struct binding binding GUARDED_BY(&lock);
};

struct object_ref {
    struct object *object; // nullptr: none
    uint64_t generation;
};

// What dropping the last handle means for a type.
enum last_handle : uint8_t {
    LAST_HANDLE_ENDS,      // the object is torn down
    LAST_HANDLE_NOTHING,   // something else ends it
    LAST_HANDLE_ENDS_DEAD, // torn down if its life's work is done (`finished`), else nothing
};

// What a type does at the edges of its life; one row per type in object_types.c.
struct object_type {
    enum lock_rank rank;
    enum last_handle last_handle;
    // One bounded step of teardown; STEP_DONE: nothing of the body is left. No lock is held.
    enum step (*teardown)(struct object *object);
    // An operation of a live object has ended. The object is locked. nullptr: nothing to do.
    void (*settled)(struct object *object);
    // Fills the union of an inspection. The object is locked.
    void (*inspect)(struct object *object, struct abi_inspect *out);
    // Checks the type's invariants. The object is locked. Dev builds.
    void (*check)(struct object *object);
    // Allowed changes of `state`: transitions[from] is a mask of states.
    const uint32_t *transitions;
    uint8_t states;
};
extern const struct object_type object_types[OBJECT_COUNT];

#define OBJECT_BODY(type) static_assert(sizeof(struct type) <= OBJECT_SLOT_SIZE)

void objects_init(void *table, size_t slots);
uint32_t objects_total(void);
uint32_t objects_free(void);
struct object *object_at(uint32_t index); // nullptr beyond the table
uint32_t object_index(const struct object *object);

// A slot, LIVE, with state 0 and the body zeroed, which nobody else can reach yet. `account` has
// been charged for it (one object); nullptr: nobody pays, for the root account alone, which is never
// published.
[[nodiscard]] struct object *object_new(struct account *account, enum abi_object type);

// The end of making one: files it with its account. From here on it can be torn down at any time.
void object_publish(struct object *object);

// Takes back an object that was not published, and the charge for its slot.
void object_discard(struct object *object);

static inline struct object_ref object_reference(struct object *object)
{
    return (struct object_ref){object,
                               atomic_load_explicit(&object->generation, memory_order_relaxed)};
}

// Whether it was still the one that was meant, a moment ago. For an early answer.
static inline bool object_is(const struct object *object, uint64_t generation)
{
    return atomic_load_explicit(&object->generation, memory_order_relaxed) == generation;
}

// Whether its end has begun. For its own operations, and for whoever has it locked.
static inline bool object_dies(const struct object *object)
{
    return atomic_load_explicit(&object->life, memory_order_relaxed) != LIFE_LIVE;
}

// Locks the object if it is still the one that was meant. No other lock is held.
[[nodiscard]] bool object_lock(struct object *object, uint64_t generation)
    TRY_ACQUIRE(true, object->lock);
[[nodiscard]] bool object_ref_lock(struct object_ref ref) NO_THREAD_SAFETY;

// The same for an object of the given rank, with locks of lower ranks held. Does not wait for the
// lock of what the slot is used for by now: its holder may be waiting for one of ours.
[[nodiscard]] bool object_lock_inner(struct object_ref ref, enum lock_rank rank) NO_THREAD_SAFETY;
void object_unlock(struct object *object) RELEASE(object->lock);

// One more or one less handle. Dropping the last begins the end of a type that dies so.
void object_handle_added_locked(struct object *object) REQUIRES(object->lock);
void object_handle_dropped(struct object_ref ref);

// Begins the end, if it had not begun: LIVE -> DYING, and queues the teardown at `priority`. false: the
// reference was to none that lives.
void object_kill_locked(struct object *object, uint8_t priority) REQUIRES(object->lock);
bool object_kill(struct object_ref ref, uint8_t priority);

// Marks an account, process or thread as finished: raises TERMINATED, and ends the object at
// once where no handle is left.
void object_finish(struct object *object);

// Changes `state` along the type's table (P1). The object is locked. (A thread's run state is
// its home CPU's own: thread.h.)
void object_transition(struct object *object, uint8_t to) REQUIRES(object->lock);

// ---- signals and waiting

// Raises bits: wakes those who wait for them, tells the port that the object is bound to.
void object_signal_locked(struct object *object, uint32_t raise) REQUIRES(object->lock);

// Wakes every waiter with `status`. Bounded by OBJECT_WAITERS_MAX.
void object_wake_all_locked(struct object *object, status_t status) REQUIRES(object->lock);

// Ends the object's binding to its port, if it has one.
bool object_unbind_locked(struct object *object) REQUIRES(object->lock);

// Frees a slot whose last event its port has taken, or will never take.
void object_free_ghost(struct object *object);

// ---- operations

// Queues the object's operation. `step` nullptr: go on with the one that waits (STEP_WAIT).
void operation_start(struct object *object, enum step (*step)(struct object *), uint8_t priority);
[[nodiscard]] bool operation_try_start(struct object *object, enum step (*step)(struct object *),
                                       uint8_t priority); // false: one is in progress
// Makes the caller the one who runs a new object's first step, with operation_run.
void operation_claim(struct object *object, enum step (*step)(struct object *), uint8_t priority);
// Once more, if it waits. An object that has gone meanwhile takes no harm.
void operation_resume(struct object *object);
void operation_take(struct operation *operation);    // from the inbox of its CPU
void operation_flushed(struct operation *operation); // from its CPU's flush ticket

// Runs one step of an operation that was just taken out of the run queue. true: the operation
// has ended, and with the end of a teardown so has the object.
bool operation_run(struct operation *operation);
