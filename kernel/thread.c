// SPDX-License-Identifier: MIT
//
// Waiting, waking and ending of threads. The rules are in thread.h.
#include "thread.h"

#include <lib/string.h>

#include "account.h"
#include "channel.h"
#include "cpu.h"
#include "frame.h"
#include "handlers.h"
#include "process.h"
#include "syscall.h"
#include "vm.h"

struct thread *thread_current(void)
{
    return cpu_self()->current;
}

void thread_set_state(struct thread *thread, enum thread_state to)
{
    [[maybe_unused]] const uint32_t *transitions = object_types[OBJECT_THREAD].transitions;
    CHECK(P1, transitions[thread_state(thread)] >> to & 1);
    atomic_store_explicit(&thread->run_state, to, memory_order_relaxed);
}

// Nothing is posted any more, and nothing is on its way: the teardown has the thread to itself. Its
// account may be tearing it down already, on another CPU: then it can be gone as soon as it has left,
// and its operation with it, which we must not start again. Resuming it for nothing is harmless.
static void leave(struct thread *thread)
{
    uint8_t priority = atomic_load_explicit(&thread->end_priority, memory_order_relaxed);
    if (priority < thread_priority(thread))
        priority = thread_priority(thread);
    bool ours =
        !SEEDED_BUG("O2 leave") && operation_try_start(&thread->object, thread_teardown, priority);
    atomic_store_explicit(&thread->left, true, ORDER("weak left", memory_order_release));
    if (SEEDED_BUG("O2 leave"))
        ours = operation_try_start(&thread->object, thread_teardown, priority);
    if (!ours)
        operation_resume(&thread->object);
}

// Whether it exits or has ended.
static bool thread_ends(const struct thread *thread)
{
    return atomic_load_explicit(&thread->requests, memory_order_relaxed) & REQUEST_CLOSED;
}

void thread_begin_exit(struct thread *thread)
{
    thread_set_state(thread, THREAD_EXITING);
    // Not zero: it is in an inbox, or somebody is about to put it there; then whoever takes it
    // out goes on. Zero: it was taken in here, or where the thread came from. Who finds it closed
    // touches nothing; who ends the thread goes by `left`. Release is against load buffering alone.
    if (atomic_fetch_or_explicit(&thread->requests, REQUEST_CLOSED, memory_order_release) == 0)
        leave(thread);
}

// ---- waiting

bool thread_may_wait(struct object *object)
{
    return object->waiter_count < OBJECT_WAITERS_MAX && !RUNS_OUT("waiters");
}

status_t thread_block(struct object *object, struct list *list, enum wait_kind kind,
                      uint64_t deadline_ns) NO_THREAD_SAFETY
{
    struct thread *thread = thread_current();
    struct cpu *cpu = cpu_self();
    uint64_t word = atomic_load_explicit(&thread->wait_word, memory_order_relaxed);
    CHECK(I3, (word & 3) == PHASE_RUNNING && !list_node_linked(&thread->wait_node));
    word = ((word >> 8) + 1) << 8 | (uint64_t)kind << 2 | PHASE_BLOCKED;
    thread->wait_object = object;
    thread->wait_kind = kind;
    if (list) {
        list_push_back(list, &thread->wait_node);
        if (list == &object->waiters)
            object->waiter_count++;
    }
    thread_set_state(thread, THREAD_BLOCKED);
    if (deadline_ns != ABI_DEADLINE_NEVER) {
        thread->deadline.wait_word = word;
        deadline_set(&thread->deadline, cpu, deadline_ns);
    }
    // Pairs with the compare-and-swap in thread_win_wait: the winner sees all of the above.
    atomic_store_explicit(&thread->wait_word, word, ORDER("weak wait", memory_order_release));
    return STATUS_BLOCKED;
}

bool thread_win_wait(struct thread *thread, uint64_t word)
{
    if (SEEDED_BUG("two wakers")) {
        bool blocked = (word & 3) == PHASE_BLOCKED;
        if (blocked)
            atomic_store_explicit(&thread->wait_word, word ^ 3, memory_order_release);
        return blocked;
    }
    return (word & 3) == PHASE_BLOCKED &&
           atomic_compare_exchange_strong_explicit(&thread->wait_word, &word, word ^ 3,
                                                   ORDER("weak win", memory_order_acq_rel),
                                                   memory_order_relaxed);
}
static_assert((PHASE_BLOCKED ^ 3) == PHASE_WOKEN);

bool thread_win(struct thread *thread)
{
    return thread_win_wait(thread, atomic_load_explicit(&thread->wait_word, memory_order_relaxed));
}

void thread_unlink(struct thread *thread) NO_THREAD_SAFETY
{
    CHECK(I3, list_node_linked(&thread->wait_node));
    list_remove(&thread->wait_node);
    if (thread->wait_kind < WAIT_SEND) { // it was among the object's waiters
        CHECK(I3, thread->wait_object->waiter_count > 0);
        thread->wait_object->waiter_count--;
    }
}

static void make_ready(struct thread *thread)
{
    CHECK(S1, thread->home == cpu_self() && thread_state(thread) == THREAD_BLOCKED);
    deadline_clear(&thread->deadline);
    thread->wait_kind = WAIT_NONE;
    thread->wait_object = nullptr;
    if (thread->reserved_handles) {
        handles_unreserve(thread->process, thread->reserved_handles);
        thread->reserved_handles = 0;
    }
    uint64_t word = atomic_load_explicit(&thread->wait_word, memory_order_relaxed);
    atomic_store_explicit(&thread->wait_word, (word & ~0xffull) | PHASE_RUNNING,
                          memory_order_relaxed);
    if (thread->killed) {
        thread_begin_exit(thread);
        return;
    }
    thread_set_state(thread, THREAD_READY);
    if (!SEEDED_BUG("S1"))
        sched_enqueue(cpu_self(), &thread->runnable, false);
}

static struct cpu *home_of(struct thread *thread)
{
    return atomic_load_explicit(&thread->home, ORDER("weak home of", memory_order_acquire));
}

void thread_request(struct thread *thread, uint32_t request)
{
    // Whoever moves the mask from zero owns the post until a CPU takes it.
    if (atomic_fetch_or_explicit(&thread->requests, request,
                                 ORDER("weak request", memory_order_acq_rel)) == 0)
        inbox_post(home_of(thread), &thread->post);
}

void thread_post(struct thread *thread, status_t status)
{
    if (thread->wait_kind != WAIT_FAULT) // one that faulted has no call to answer
        arch_context_set_status(thread->context, status);
    // With a request on its way, this one joins it: their order does not matter.
    if (home_of(thread) == cpu_self() &&
        atomic_load_explicit(&thread->requests, memory_order_relaxed) == 0)
        make_ready(thread);
    else
        thread_request(thread, REQUEST_WAKE);
}

void thread_wake(struct thread *thread, status_t status)
{
    thread_unlink(thread);
    thread_post(thread, status);
}

void thread_end_wait(struct thread *thread, status_t status) NO_THREAD_SAFETY
{
    struct object *object = thread->wait_object;
    if (object) {
        lock_acquire(&object->lock);
        if (!SEEDED_BUG("I3"))
            thread_unlink(thread);
        if (thread->wait_kind >= WAIT_SEND)
            channel_abandoned_locked(object, thread);
        operation_resume(object); // a teardown that waits for its waiters to leave can go on
        lock_release(&object->lock);
    }
    thread_post(thread, status);
}

void thread_expired(struct thread *thread)
{
    thread_end_wait(thread, thread->wait_kind == WAIT_SLEEP ? STATUS_OK : STATUS_TIMED_OUT);
}

// ---- requests from others

// Stops a thread that was told to end just now. It may be gone afterwards.
static void stop(struct thread *thread)
{
    switch (thread_state(thread)) {
    case THREAD_READY:
    case THREAD_THROTTLED:
        sched_dequeue(cpu_self(), &thread->runnable);
        [[fallthrough]];
    case THREAD_NEW:
        thread_begin_exit(thread);
        break;
    case THREAD_BLOCKED:
        if (thread_win(thread)) // lost: the waker's post ends it
            thread_end_wait(thread, STATUS_CANCELLED);
        break;
    case THREAD_RUNNING: // sched_exit sees `killed`
    case THREAD_EXITING:
    case THREAD_DEAD:
    case THREAD_STATES:
        break;
    }
}

static void change_priority(struct thread *thread)
{
    bool queued = thread_state(thread) == THREAD_READY;
    if (queued)
        sched_dequeue(cpu_self(), &thread->runnable);
    uint8_t priority = atomic_load_explicit(&thread->wanted_priority, memory_order_relaxed);
    atomic_store_explicit(&thread->priority, priority, memory_order_relaxed);
    thread->runnable.priority = priority;
    if (queued)
        sched_enqueue(cpu_self(), &thread->runnable, false);
}

static struct cpu *wanted_cpu(const struct thread *thread)
{
    return cpus[atomic_load_explicit(&thread->wanted_cpu, memory_order_relaxed)];
}

// A thread that is ready goes in no queue: it arrives by its post. The post is taken before the
// home changes, so that whoever posts to the new home finds it taken, and ARRIVE in the mask.
void thread_move_away(struct thread *thread)
{
    struct cpu *to = wanted_cpu(thread);
    // Each of the two hands on what the other does, and the post the thread: as in thread_begin_exit.
    bool mine =
        atomic_fetch_or_explicit(&thread->requests, REQUEST_ARRIVE, memory_order_release) == 0;
    atomic_store_explicit(&thread->home, to, memory_order_release);
    if (mine)
        inbox_post(to, &thread->post);
    // Else it is on its way to this CPU, which forwards it.
}

static void move(struct thread *thread)
{
    struct cpu *to = wanted_cpu(thread);
    if (to == cpu_self())
        return;
    switch (thread_state(thread)) {
    case THREAD_THROTTLED:
        sched_dequeue(cpu_self(), &thread->runnable);
        thread_set_state(thread, THREAD_READY); // the other CPU has a budget of its own
        thread_move_away(thread);
        break;
    case THREAD_READY:
        sched_dequeue(cpu_self(), &thread->runnable);
        thread_move_away(thread);
        break;
    case THREAD_NEW:
    case THREAD_BLOCKED:
        atomic_store_explicit(&thread->home, to, ORDER("weak move", memory_order_release));
        break;
    case THREAD_RUNNING:
        thread->moves = true;
        break;
    case THREAD_EXITING:
    case THREAD_DEAD:
    case THREAD_STATES:
        break;
    }
}

void thread_take_requests(struct thread *thread)
{
    struct cpu *home = home_of(thread);
    if (home != cpu_self() && !SEEDED_BUG("S1 forward")) {
        inbox_post(home, &thread->post); // it has moved on
        return;
    }
    uint32_t requests = atomic_fetch_and_explicit(&thread->requests, REQUEST_CLOSED,
                                                  ORDER("weak requests", memory_order_acq_rel));
    if (requests & REQUEST_CLOSED) {
        leave(thread);
        return;
    }
    if (requests & REQUEST_ARRIVE)
        sched_enqueue(home, &thread->runnable, false);
    if (requests & REQUEST_START) {
        thread_set_state(thread, THREAD_READY);
        sched_enqueue(home, &thread->runnable, false);
    }
    if (requests & REQUEST_PRIORITY)
        change_priority(thread);
    bool stops = requests & REQUEST_KILL && !thread->killed;
    thread->killed |= stops;
    bool killed = thread->killed;
    if (requests & REQUEST_WAKE)
        make_ready(thread);
    else if (stops)
        stop(thread);
    // One that was killed may be gone by now.
    if (requests & REQUEST_MOVE && !killed)
        move(thread);
}

void thread_kill(struct thread *thread)
{
    uint8_t mine = sched_priority();
    uint8_t highest = atomic_load_explicit(&thread->end_priority, memory_order_relaxed);
    while (highest < mine &&
           !atomic_compare_exchange_weak_explicit(&thread->end_priority, &highest, mine,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
    // The request hands it on.
    thread_request(thread, REQUEST_KILL);
}

// ---- the end

// After the thread stopped for good, on any CPU.
enum step thread_teardown(struct object *object) NO_THREAD_SAFETY
{
    struct thread *thread = thread_of(object);
    if (thread_state(thread) == THREAD_DEAD)
        return STEP_DONE;
    if (!atomic_load_explicit(&thread->left, ORDER("weak has left", memory_order_acquire))) {
        // Torn down with its account while it lives: stop it first. Its own end resumes this.
        thread_kill(thread);
        return STEP_WAIT;
    }
    // All of it stays until a start that came before the end is done: that has the lock.
    if (!SEEDED_BUG("O2 start")) {
        lock_acquire(&object->lock);
        lock_release(&object->lock);
    }
    // The buffer's frame goes after its mapping.
    (void)object_kill(thread->buffer_mapping, object->operation.runnable.priority);
    if (!atomic_load_explicit(&thread->buffer_unmapped,
                              ORDER("weak has unmapped", memory_order_acquire)))
        return STEP_WAIT;
    frame_free(arch_ram_address(thread->message));
    frame_free(arch_ram_address(thread->context));
    account_uncharge(object->account, 2, 0);
    thread->buffer_mapping = (struct object_ref){};
    channel_release_fault_slot(thread->process->exceptions, thread->fault_slot);
    process_thread_gone(thread->process, thread);
    thread_set_state(thread, THREAD_DEAD);
    object_finish(object);
    return STEP_DONE;
}

// ---- making

// What every thread of a process needs, in the order in which a failure undoes it. The process
// counts the thread already, so it cannot end meanwhile.
static status_t make(struct process *process, uint8_t priority, uint64_t message_buffer,
                     struct thread **out)
{
    struct account *account = process->object.account;
    status_t status = account_charge(account, 2, 1); // the context page, the message buffer
    if (status != STATUS_OK)
        return status;
    struct object *object = object_new(account, OBJECT_THREAD);
    struct thread *thread = thread_of(object);
    list_node_init(&thread->wait_node);
    list_node_init(&thread->runnable.node);
    atomic_init(&thread->home, cpu_self());
    atomic_init(&thread->priority, priority);
    thread->runnable.priority = priority;
    thread->post.kind = POST_THREAD;
    thread->deadline.kind = DEADLINE_THREAD;
    thread->process = process;
    status = channel_reserve_fault_slot(process->exceptions, &thread->fault_slot);
    if (status != STATUS_OK)
        goto discard;
    paddr_t buffer = frame_allocate(FRAME_USER, object);
    thread->message = arch_ram(buffer);
    thread->context = arch_ram(frame_allocate(FRAME_KERNEL, object));
    status = aspace_map_message_buffer(process->aspace, message_buffer, buffer, object,
                                       &thread->buffer_mapping);
    if (status != STATUS_OK) {
        frame_free(buffer);
        frame_free(arch_ram_address(thread->context));
        channel_release_fault_slot(process->exceptions, thread->fault_slot);
        goto discard;
    }
    *out = thread;
    return STATUS_OK;

discard:
    object_discard(object);
    account_uncharge(account, 2, 0);
    return status;
}

status_t thread_create(struct object_ref process_ref, uint8_t priority, uint64_t message_buffer,
                       struct object_ref *out)
{
    if (!process_thread_expect(process_ref))
        return STATUS_BAD_STATE;
    struct process *process = process_of(process_ref.object);
    struct thread *thread;
    status_t status = make(process, priority, message_buffer, &thread);
    if (status == STATUS_OK) {
        *out = object_reference(&thread->object);
        object_publish(&thread->object);
        process_thread_added(process, thread);
    } else {
        process_thread_not_added(process);
    }
    return status;
}

// ---- system calls

status_t sys_thread_create(struct entry *entry, const struct handle_lookup *process,
                           uint64_t priority, uint64_t message_buffer)
{
    if (priority > thread_priority(entry->thread))
        return STATUS_INVALID;
    status_t status = handles_reserve(entry->process, 1);
    if (status != STATUS_OK)
        return status;
    struct object_ref thread;
    status = thread_create(lookup_ref(process), (uint8_t)priority, message_buffer, &thread);
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 1);
        return status;
    }
    entry->result[0] =
        handle_install_reserved(entry->process, thread, OBJECT_THREAD, RIGHTS_THREAD);
    return STATUS_OK;
}

// Whether the thread is not too urgent for what it is given.
static status_t gift_allowed(const struct handle_lookup *handle, const struct handle_lookup *gift)
    NO_THREAD_SAFETY
{
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    uint8_t priority = thread_priority(thread_of(handle->object));
    object_unlock(handle->object);
    return channel_give_allowed(gift, priority);
}

status_t sys_thread_start(struct entry *entry, const struct handle_lookup *handle, uint64_t pc,
                          uint64_t sp, uint64_t argument, const struct handle_lookup *gift)
    NO_THREAD_SAFETY
{
    struct thread *thread = thread_of(handle->object);
    if (pc >= ABI_USER_MAX || sp > ABI_USER_MAX)
        return STATUS_INVALID;
    status_t status = gift_allowed(handle, gift);
    if (status != STATUS_OK)
        return status;
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    uint64_t gift_handle = 0;
    if (thread->started || thread_ends(thread))
        status = STATUS_BAD_STATE;
    else if (gift->object)
        status = handle_move(entry->process, gift, thread->process, &gift_handle);
    if (status == STATUS_OK) {
        arch_context_init(thread->context, pc, sp, argument, gift_handle);
        thread->started = true;
        thread_request(thread, REQUEST_START);
    }
    object_unlock(handle->object);
    return status;
}

status_t sys_thread_exit(struct entry *entry)
{
    entry->thread->killed = true; // sched_exit does the rest
    return STATUS_BLOCKED;
}

status_t sys_thread_yield(struct entry *entry)
{
    entry->thread->yields = true;
    return STATUS_OK;
}

status_t sys_thread_sleep(struct entry *entry, uint64_t deadline_ns)
{
    (void)entry;
    if (deadline_ns <= time_now_ns())
        return STATUS_OK;
    return thread_block(nullptr, nullptr, WAIT_SLEEP, deadline_ns);
}

status_t sys_thread_cancel(struct entry *entry, const struct handle_lookup *handle) NO_THREAD_SAFETY
{
    (void)entry;
    struct thread *thread = thread_of(handle->object);
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    uint64_t word = atomic_load_explicit(&thread->wait_word, memory_order_relaxed);
    enum wait_kind kind = (enum wait_kind)(word >> 2 & 0x3f);
    bool won = kind != WAIT_FAULT && kind != WAIT_OPERATION && thread_win_wait(thread, word);
    object_unlock(handle->object);
    if (!won)
        return STATUS_BAD_STATE;
    thread_end_wait(thread, STATUS_CANCELLED); // as the winner: until then it cannot go away
    return STATUS_OK;
}

status_t sys_thread_set_priority(struct entry *entry, const struct handle_lookup *handle,
                                 uint64_t priority) NO_THREAD_SAFETY
{
    struct thread *thread = thread_of(handle->object);
    if (priority > thread_priority(entry->thread))
        return STATUS_INVALID;
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    status_t status = thread_ends(thread) ? STATUS_BAD_STATE : STATUS_OK;
    if (status == STATUS_OK) {
        atomic_store_explicit(&thread->wanted_priority, (uint8_t)priority, memory_order_relaxed);
        thread_request(thread, REQUEST_PRIORITY);
    }
    object_unlock(handle->object);
    return status;
}

status_t sys_thread_set_cpu(struct entry *entry, const struct handle_lookup *handle, uint64_t cpu)
    NO_THREAD_SAFETY
{
    (void)entry;
    struct thread *thread = thread_of(handle->object);
    if (cpu >= cpu_count())
        return STATUS_INVALID;
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    status_t status = thread_ends(thread) ? STATUS_BAD_STATE : STATUS_OK;
    if (status == STATUS_OK) {
        atomic_store_explicit(&thread->wanted_cpu, (uint32_t)cpu, memory_order_relaxed);
        thread_request(thread, REQUEST_MOVE);
    }
    object_unlock(handle->object);
    return status;
}

status_t sys_object_wait(struct entry *entry, const struct handle_lookup *handle, uint32_t mask,
                         uint64_t deadline_ns) NO_THREAD_SAFETY
{
    if (mask == 0)
        return STATUS_INVALID;
    struct object *object = handle->object;
    if (!object_lock(object, handle->generation))
        return STATUS_GONE;
    status_t status = STATUS_OK;
    if (object->signals & mask) {
        entry->result[0] = object->signals & mask;
    } else if (deadline_ns <= time_now_ns()) {
        status = STATUS_TIMED_OUT;
    } else if (!thread_may_wait(object)) {
        status = STATUS_FULL;
    } else {
        entry->thread->wait_mask = mask;
        status = thread_block(object, &object->waiters, WAIT_SIGNALS, deadline_ns);
    }
    object_unlock(object);
    return status;
}

void thread_inspect(struct object *object, struct abi_inspect *out)
{
    struct thread *thread = thread_of(object);
    out->state = thread_state(thread);
    out->thread.priority = thread_priority(thread);
    out->thread.cpu_ns = counter_read(&thread->cpu_ns);
    out->thread.run_state = thread_state(thread);
    out->thread.home_cpu = home_of(thread)->number;
}
