// SPDX-License-Identifier: MIT
//
// The object table and what all objects have in common: life, references, signals, waiters and
// operations. See object.h for the rules.
#include "object.h"

#include <lib/string.h>

#include "account.h"
#include "cpu.h"
#include "port.h"
#include "thread.h"

static struct {
    struct spinlock lock;
    uint8_t *table; // written once at boot
    uint32_t total;
    uint32_t fresh GUARDED_BY(&lock); // slots from here on were never used
    uint32_t free_count GUARDED_BY(&lock);
    struct list free GUARDED_BY(&lock); // by account_node
    uint64_t next_id GUARDED_BY(&lock);
} slots;

void objects_init(void *table, size_t count) NO_THREAD_SAFETY
{
    lock_init(&slots.lock, RANK_SLOTS);
    slots.table = table;
    slots.total = slots.free_count = (uint32_t)count;
    slots.fresh = 0;
    slots.next_id = 1;
    list_init(&slots.free);
}

uint32_t objects_total(void)
{
    return slots.total;
}

uint32_t objects_free(void)
{
    lock_acquire(&slots.lock);
    uint32_t free = slots.free_count;
    lock_release(&slots.lock);
    return free;
}

struct object *object_at(uint32_t index)
{
    return index < slots.total ? (struct object *)(void *)(slots.table + index * OBJECT_SLOT_SIZE)
                               : nullptr;
}

uint32_t object_index(const struct object *object)
{
    return (uint32_t)((size_t)((const uint8_t *)object - slots.table) / OBJECT_SLOT_SIZE);
}

static enum object_life object_life(const struct object *object)
{
    return atomic_load_explicit(&object->life, memory_order_relaxed);
}

// Release: who finds a new object alive sees its generation.
static void set_life(struct object *object, enum object_life life)
{
    atomic_store_explicit(&object->life, life, ORDER("weak life", memory_order_release));
}

static uint64_t generation_of(const struct object *object)
{
    return atomic_load_explicit(&object->generation, memory_order_relaxed);
}

// From now on no reference and no handle to it resolves. The object is locked.
static void generation_end(struct object *object)
{
    if (!SEEDED_BUG("O2"))
        atomic_store_explicit(&object->generation, generation_of(object) + 1, memory_order_relaxed);
}

// ---- making and freeing slots

static struct object *slot_allocate(uint64_t *id)
{
    lock_acquire(&slots.lock);
    struct list_node *node = list_pop_front(&slots.free);
    struct object *object = node ? CONTAINER_OF(node, struct object, account_node) : nullptr;
    if (!object && slots.fresh < slots.total) {
        object = object_at(slots.fresh++);
        memset(object, 0, OBJECT_SLOT_SIZE);
        lock_init(&object->lock, RANK_OBJECT);
    }
    // The sum of all accounts' limits is the size of the table.
    ASSERT(object);
    slots.free_count--;
    *id = slots.next_id++;
    lock_release(&slots.lock);
    return object;
}

static void slot_free(struct object *object)
{
    ASSERT(object_life(object) != LIFE_FREE);
    set_life(object, LIFE_FREE);
    lock_acquire(&slots.lock);
    list_push_back(&slots.free, &object->account_node);
    slots.free_count++;
    lock_release(&slots.lock);
}

struct object *object_new(struct account *account, enum abi_object type)
{
    uint64_t id;
    struct object *object = slot_allocate(&id);
    size_t head = offsetof(struct object, type);
    memset((uint8_t *)object + head, 0, OBJECT_SLOT_SIZE - head);
    object->lock.rank = object_types[type].rank;
    object->type = type;
    object->id = id;
    object->account = account;
    list_node_init(&object->account_node);
    list_init(&object->waiters);
    list_node_init(&object->binding.node);
    list_node_init(&object->operation.runnable.node);
    object->operation.runnable.kind = RUNNABLE_OPERATION;
    object->operation.post.kind = POST_OPERATION;
    atomic_store_explicit(&object->generation, generation_of(object) + 1, memory_order_relaxed);
    set_life(object, LIFE_LIVE);
    return object;
}

void object_publish(struct object *object)
{
    account_adopt(object);
}

void object_discard(struct object *object)
{
    struct account *account = object->account;
    generation_end(object);
    slot_free(object);
    account_uncharge(account, 0, 1);
}

// A reference that was taken of a dying object has the generation that the slot keeps until it is
// used again. So its life is looked at first: found alive again, the generation is a new one.
static bool is_meant(const struct object *object, uint64_t generation)
{
    bool lives =
        atomic_load_explicit(&object->life, ORDER("weak lives", memory_order_acquire)) == LIFE_LIVE;
    return (lives || SEEDED_BUG("O2")) && generation_of(object) == generation;
}

// The rank in the slot may be that of another object by now: nothing else is held here.
bool object_lock(struct object *object, uint64_t generation) NO_THREAD_SAFETY
{
    CHECK(L1, lock_in_order(RANK_OBJECT)); // the lowest
    lock_acquire(&object->lock);
    if (is_meant(object, generation))
        return true;
    lock_release(&object->lock);
    return false;
}

bool object_ref_lock(struct object_ref ref) NO_THREAD_SAFETY
{
    return ref.object && object_lock(ref.object, ref.generation);
}

bool object_lock_inner(struct object_ref ref, enum lock_rank rank) NO_THREAD_SAFETY
{
    struct object *object = ref.object;
    CHECK(L1, lock_in_order(rank));
    while (!lock_try(&object->lock)) {
        if (!object_is(object, ref.generation))
            return false;
        arch_cpu_relax();
    }
    if (is_meant(object, ref.generation))
        return true;
    lock_release(&object->lock);
    return false;
}

void object_unlock(struct object *object) NO_THREAD_SAFETY
{
#ifdef SKERRY_DEV
    CHECK(O2, object_life(object) == LIFE_LIVE || object_life(object) == LIFE_DYING);
    if (object_types[object->type].check)
        object_types[object->type].check(object);
#endif
    lock_release(&object->lock);
}

void object_transition(struct object *object, uint8_t to)
{
    [[maybe_unused]] const struct object_type *type = &object_types[object->type];
    CHECK(P1,
          type->transitions && to < type->states && (type->transitions[object->state] >> to & 1));
    object->state = to;
}

// ---- the end of an object

// false: an operation is in progress. At its end it sees LIFE_DYING, and the teardown begins.
static bool teardown_begin(struct object *object, uint8_t priority) REQUIRES(object->lock)
{
    if (!operation_try_start(object, object_types[object->type].teardown, priority))
        return false;
    object->teardown_begun = true;
    return true;
}

void object_kill_locked(struct object *object, uint8_t priority)
{
    if (object_life(object) != LIFE_LIVE)
        return;
    set_life(object, LIFE_DYING);
    generation_end(object);
    account_object_dying(object);
    object_wake_all_locked(object, STATUS_GONE);
    if (!teardown_begin(object, priority))
        operation_resume(object);
}

bool object_kill(struct object_ref ref, uint8_t priority) NO_THREAD_SAFETY
{
    if (!object_ref_lock(ref))
        return false;
    object_kill_locked(ref.object, priority);
    object_unlock(ref.object);
    return true;
}

void object_handle_added_locked(struct object *object)
{
    object->handles++;
}

static bool last_handle_ends(const struct object *object) REQUIRES(object->lock)
{
    switch (object_types[object->type].last_handle) {
    case LAST_HANDLE_ENDS:
        return true;
    case LAST_HANDLE_ENDS_DEAD:
        return object->finished;
    case LAST_HANDLE_NOTHING:
        break;
    }
    return false;
}

void object_handle_dropped(struct object_ref ref) NO_THREAD_SAFETY
{
    if (!object_ref_lock(ref))
        return; // it died before its handles: they no longer count
    struct object *object = ref.object;
    CHECK(O3, object->handles > 0);
    if (--object->handles == 0 && last_handle_ends(object))
        object_kill_locked(object, sched_priority());
    object_unlock(object);
}

void object_finish(struct object *object) NO_THREAD_SAFETY
{
    lock_acquire(&object->lock);
    object->finished = true;
    if (object_life(object) == LIFE_LIVE) {
        object_signal_locked(object, SIGNAL_TERMINATED);
        if (object->handles == 0) {
            set_life(object, LIFE_DYING);
            generation_end(object);
            account_object_dying(object);
        }
    }
    object_unlock(object);
}

void object_free_ghost(struct object *object)
{
    ASSERT(object_life(object) == LIFE_GHOST);
    slot_free(object);
}

// The body is gone: what is left is the slot, and the last event of its binding.
static void object_end(struct object *object) NO_THREAD_SAFETY
{
    lock_acquire(&object->lock);
    account_forget(object);
    bool ghost = port_object_gone_locked(object);
    lock_release(&object->lock);
    if (!ghost)
        slot_free(object);
}

// ---- signals and waiters

void object_signal_locked(struct object *object, uint32_t raise)
{
    object->signals |= raise;
    struct list_node *next;
    for (struct list_node *node = object->waiters.head.next; node != &object->waiters.head;
         node = next) {
        next = node->next;
        struct thread *thread = CONTAINER_OF(node, struct thread, wait_node);
        if (thread->wait_kind != WAIT_SIGNALS || !(thread->wait_mask & object->signals))
            continue;
        if (SEEDED_BUG("S2") || !thread_win(thread))
            continue;
        arch_context_set_result(thread->context, 0, object->signals & thread->wait_mask);
        thread_wake(thread, STATUS_OK);
    }
    if (object->binding.port && (object->binding.mask & raise))
        port_notify_locked(object);
}

void object_wake_all_locked(struct object *object, status_t status)
{
    struct list_node *next;
    for (struct list_node *node = object->waiters.head.next; node != &object->waiters.head;
         node = next) {
        next = node->next;
        struct thread *thread = CONTAINER_OF(node, struct thread, wait_node);
        if (!SEEDED_BUG("I4 all") && thread_win(thread))
            thread_wake(thread, status);
    }
}

// ---- operations

// IDLE is left, as it is entered, with the object locked, or by its only owner. Who moves PARKED on
// finds what phase_set released for RUNNING, and touches nothing that a step changes. So release is
// against load buffering alone; what AGAIN tells of is acquired by phase_set, before the next step.
static bool phase_move(struct operation *operation, uint8_t from, uint8_t to)
{
    return atomic_compare_exchange_strong_explicit(&operation->phase, &from, to,
                                                   memory_order_release, memory_order_relaxed);
}

// By its CPU alone: a read-modify-write, so that it is seen what AGAIN was set for.
static void phase_set(struct operation *operation, uint8_t phase)
{
    atomic_exchange_explicit(&operation->phase, phase,
                             ORDER("weak phase set", memory_order_acq_rel));
}

bool operation_try_start(struct object *object, enum step (*step)(struct object *),
                         uint8_t priority)
{
    struct operation *operation = &object->operation;
    if (!phase_move(operation, OPERATION_IDLE, OPERATION_QUEUED))
        return false;
    operation->step = step;
    operation->cpu = cpu_self();
    operation->runnable.priority = priority;
    sched_enqueue(operation->cpu, &operation->runnable, false);
    return true;
}

void operation_start(struct object *object, enum step (*step)(struct object *), uint8_t priority)
{
    bool started = operation_try_start(object, step, priority);
    ASSERT(started);
}

void operation_claim(struct object *object, enum step (*step)(struct object *), uint8_t priority)
{
    operation_start(object, step, priority);
    sched_dequeue(cpu_self(), &object->operation.runnable);
}

void operation_resume(struct object *object)
{
    struct operation *operation = &object->operation;
    uint8_t phase = atomic_load_explicit(&operation->phase, memory_order_relaxed), next;
    do
        next = phase == OPERATION_PARKED                               ? OPERATION_QUEUED
               : phase == OPERATION_RUNNING && !SEEDED_BUG("I4 again") ? OPERATION_AGAIN
                                                                       : phase;
    // Written even where it stays the same: a step that is still to come then sees what we changed.
    while (!atomic_compare_exchange_weak_explicit(&operation->phase, &phase, next,
                                                  ORDER("weak resume", memory_order_acq_rel),
                                                  memory_order_relaxed));
    if (phase != OPERATION_PARKED)
        return;
    if (operation->cpu == cpu_self())
        sched_enqueue(operation->cpu, &operation->runnable, false);
    else
        inbox_post(operation->cpu, &operation->post);
}

void operation_take(struct operation *operation)
{
    sched_enqueue(cpu_self(), &operation->runnable, false);
}

void operation_flushed(struct operation *operation)
{
    phase_set(operation, OPERATION_QUEUED);
    sched_enqueue(cpu_self(), &operation->runnable, false);
}

// The last step of every teardown: a slot is not reused while somebody queues on it. A waiter
// that another CPU is just waking resumes this when it has left.
static enum step waiters_leave(struct object *object) NO_THREAD_SAFETY
{
    lock_acquire(&object->lock);
    object_wake_all_locked(object, STATUS_GONE);
    bool empty = list_empty(&object->waiters);
    lock_release(&object->lock);
    return empty ? STEP_DONE : STEP_WAIT;
}

bool operation_run(struct operation *operation) NO_THREAD_SAFETY
{
    struct object *object = CONTAINER_OF(operation, struct object, operation);
    phase_set(operation, OPERATION_RUNNING);
    enum step step = operation->step(object);
    if (step == STEP_DONE && object->teardown_begun) {
        operation->step = waiters_leave;
        step = waiters_leave(object);
    }
    if (step == STEP_WAIT && phase_move(operation, OPERATION_RUNNING, OPERATION_PARKED))
        return false;
    if (step == STEP_FLUSH) {
        phase_set(operation, OPERATION_FLUSHING);
        return false;
    }
    if (step != STEP_DONE) {
        phase_set(operation, OPERATION_QUEUED);
        sched_enqueue(cpu_self(), &operation->runnable, false);
        return false;
    }
    lock_acquire(&object->lock);
    phase_set(operation, OPERATION_IDLE);
    bool dying = object_life(object) == LIFE_DYING;
    bool ended = object->teardown_begun;
    if (dying && !ended)
        (void)teardown_begin(object, operation->runnable.priority);
    else if (!dying && object_types[object->type].settled)
        object_types[object->type].settled(object);
    lock_release(&object->lock);
    if (ended)
        object_end(object);
    return ended || !dying;
}
