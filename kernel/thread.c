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

static void set_state(struct thread *thread, enum thread_state state)
{
    object_transition(&thread->object, state);
}

void thread_begin_exit(struct thread *thread)
{
    set_state(thread, THREAD_EXITING);
    // Its account may be tearing it down already, or begin to just now on another CPU.
    if (!operation_try_start(&thread->object, thread_teardown, thread->priority))
        operation_resume(&thread->object);
}

// ---- waiting

bool thread_may_wait(struct object *object)
{
    return object->waiter_count < OBJECT_WAITERS_MAX;
}

status_t thread_block(struct object *object, struct list *list, enum wait_kind kind,
                      uint64_t deadline_ns) NO_THREAD_SAFETY
{
    struct thread *thread = thread_current();
    struct cpu *cpu = cpu_self();
    uint64_t word = thread->wait_word;
    CHECK(I3, (word & 3) == PHASE_RUNNING && !list_node_linked(&thread->wait_node));
    word = ((word >> 2) + 1) << 2 | PHASE_BLOCKED;
    thread->wait_object = object;
    thread->wait_kind = kind;
    if (list) {
        list_push_back(list, &thread->wait_node);
        if (list == &object->waiters)
            object->waiter_count++;
    }
    set_state(thread, THREAD_BLOCKED);
    if (deadline_ns != ABI_DEADLINE_NEVER) {
        thread->deadline.sequence = word;
        deadline_set(&thread->deadline, cpu, deadline_ns);
    }
    // Pairs with the compare-and-swap in thread_win: the winner sees all of the above.
    atomic_store_explicit(&thread->wait_word, word, memory_order_release);
    return STATUS_BLOCKED;
}

bool thread_win(struct thread *thread)
{
    uint64_t word = atomic_load_explicit(&thread->wait_word, memory_order_acquire);
    if ((word & 3) != PHASE_BLOCKED)
        return false;
    return atomic_compare_exchange_strong(&thread->wait_word, &word, (word & ~3ull) | PHASE_WOKEN);
}

void thread_unlink(struct thread *thread) NO_THREAD_SAFETY
{
    if (!list_node_linked(&thread->wait_node))
        return;
    list_remove(&thread->wait_node);
    if (thread->wait_kind != WAIT_REPLY && thread->wait_kind != WAIT_FAULT) {
        CHECK(I3, thread->wait_object->waiter_count > 0);
        thread->wait_object->waiter_count--;
    }
}

static void make_ready(struct thread *thread)
{
    struct cpu *cpu = cpu_self();
    CHECK(S1, thread->home == cpu && thread->object.state == THREAD_BLOCKED);
    deadline_clear(&thread->deadline);
    thread->wait_kind = WAIT_NONE;
    thread->wait_object = nullptr;
    if (thread->reserved_handles) {
        handles_unreserve(thread->process, thread->reserved_handles);
        thread->reserved_handles = 0;
    }
    uint64_t word = thread->wait_word;
    atomic_store_explicit(&thread->wait_word, (word & ~3ull) | PHASE_RUNNING, memory_order_relaxed);
    if (thread->killed) {
        thread_begin_exit(thread);
        return;
    }
    set_state(thread, THREAD_READY);
    if (!SEEDED_BUG("S1"))
        sched_enqueue(cpu, &thread->runnable, false);
}

static void post_request(struct thread *thread, uint32_t request)
{
    // Whoever moves the mask from zero owns the inbox node until the home CPU takes it.
    if (atomic_fetch_or(&thread->requests, request) != 0)
        return;
    struct cpu *home = thread->home;
    struct thread *head = atomic_load(&home->inbox);
    do
        thread->inbox_next = head;
    while (!atomic_compare_exchange_weak(&home->inbox, &head, thread));
}

void thread_post(struct thread *thread, status_t status)
{
    if (thread->wait_kind != WAIT_FAULT) // one that faulted has no call to answer
        arch_context_set_status(thread->context, status);
    if (thread->home == cpu_self() && !thread->requests)
        make_ready(thread);
    else
        post_request(thread, REQUEST_WAKE);
}

void thread_wake(struct thread *thread, status_t status)
{
    thread_unlink(thread);
    thread_post(thread, status);
}

bool thread_interrupt_wait(struct thread *thread, status_t status) NO_THREAD_SAFETY
{
    if (!thread_win(thread))
        return false;
    struct object *object = thread->wait_object;
    if (object) {
        lock_acquire(&object->lock);
        if (!SEEDED_BUG("I3"))
            thread_unlink(thread);
        if (thread->wait_kind == WAIT_REPLY || thread->wait_kind == WAIT_FAULT)
            channel_call_abandoned_locked(object, thread);
        lock_release(&object->lock);
        // A teardown that waits for its waiters to leave can go on.
        operation_resume(object);
    }
    thread_post(thread, status);
    return true;
}

void thread_expired(struct thread *thread, uint64_t wait_word)
{
    if (thread->wait_word != wait_word)
        return; // woken already; a later wait has a deadline of its own
    bool sleeping = thread->wait_kind == WAIT_SLEEP;
    thread_interrupt_wait(thread, sleeping ? STATUS_OK : STATUS_TIMED_OUT);
}

// ---- requests from others

static void handle_kill(struct thread *thread)
{
    if (thread->killed)
        return;
    struct cpu *cpu = cpu_self();
    thread->killed = true;
    switch ((enum thread_state)thread->object.state) {
    case THREAD_READY:
        sched_dequeue(cpu, &thread->runnable);
        [[fallthrough]];
    case THREAD_NEW:
        thread_begin_exit(thread);
        break;
    case THREAD_BLOCKED:
        thread_interrupt_wait(thread, STATUS_CANCELLED); // lost: the waker's post ends it
        break;
    case THREAD_RUNNING: // sched_exit sees `killed`
    case THREAD_EXITING:
    case THREAD_DEAD:
    case THREAD_STATES:
        break;
    }
}

void thread_kill(struct thread *thread)
{
    if (thread->home == cpu_self())
        handle_kill(thread);
    else
        post_request(thread, REQUEST_KILL);
}

bool thread_inbox_drain(struct cpu *cpu)
{
    struct thread *list = atomic_exchange(&cpu->inbox, nullptr);
    struct thread *in_order = nullptr;
    while (list) {
        struct thread *next = list->inbox_next;
        list->inbox_next = in_order;
        in_order = list;
        list = next;
    }
    while (in_order) {
        struct thread *thread = in_order;
        in_order = thread->inbox_next;
        uint32_t requests = atomic_exchange(&thread->requests, 0);
        if (requests & REQUEST_KILL)
            handle_kill(thread);
        if (requests & REQUEST_WAKE)
            make_ready(thread);
    }
    return false;
}

// ---- the end

// Runs on the home CPU, after the thread stopped for good.
enum step thread_teardown(struct object *object) NO_THREAD_SAFETY
{
    struct thread *thread = thread_of(object);
    if (object->state == THREAD_DEAD)
        return STEP_DONE;
    if (object->state != THREAD_EXITING) {
        // Torn down with its account while it lives: stop it first. Its own end resumes this.
        thread_kill(thread);
        if (object->state != THREAD_EXITING)
            return STEP_WAIT;
    }
    // The buffer's frame goes after its mapping.
    if (thread->buffer_mapping.object) {
        (void)object_kill(thread->buffer_mapping, thread->priority);
        if (frame_of(arch_ram_address(thread->message))->mappings > 0)
            return STEP_WAIT;
        frame_free(arch_ram_address(thread->message));
        frame_free(arch_ram_address(thread->context));
        account_uncharge(object->account, 2, 0);
        thread->buffer_mapping = (struct object_ref){};
    }
    channel_release_fault_slot(thread->process->exceptions, thread->fault_slot);
    process_thread_gone(thread->process, thread);
    set_state(thread, THREAD_DEAD);
    object_finish(object, thread->priority);
    return STEP_DONE;
}

// ---- system calls

status_t sys_thread_create(struct entry *entry, const struct handle_lookup *process_handle,
                           uint64_t priority, uint64_t message_buffer)
{
    if (priority >= ABI_PRIORITIES || priority > entry->thread->priority)
        return STATUS_INVALID;
    struct process *process = process_of(process_handle->object);
    struct thread *thread;
    status_t status = handles_reserve(entry->process, 1);
    if (status != STATUS_OK)
        return status;
    status = thread_create(process, (uint8_t)priority, message_buffer, &thread);
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 1);
        return status;
    }
    entry->result[0] = handle_install_reserved(entry->process, &thread->object, RIGHTS_THREAD);
    return STATUS_OK;
}

// What every thread of a process needs, in the order in which a failure undoes it.
status_t thread_create(struct process *process, uint8_t priority, uint64_t message_buffer,
                       struct thread **out) NO_THREAD_SAFETY
{
    struct account *account = process->object.account;
    if (!account || process->ending) // it may have no address space any more
        return STATUS_BAD_STATE;
    status_t status = account_charge(account, 2, 0); // the context page, the message buffer
    if (status != STATUS_OK)
        return status;
    struct object *object;
    status = object_create(account, OBJECT_THREAD, &object);
    if (status != STATUS_OK)
        goto uncharge;
    struct thread *thread = thread_of(object);
    list_node_init(&thread->wait_node);
    list_node_init(&thread->process_node);
    list_node_init(&thread->runnable.node);
    thread->home = cpu_self();
    thread->priority = thread->runnable.priority = priority;
    thread->deadline.kind = DEADLINE_THREAD;
    thread->fault_slot = CALL_NONE;
    thread->call_slot = CALL_NONE;
    status = channel_reserve_fault_slot(process->exceptions, &thread->fault_slot);
    if (status != STATUS_OK)
        goto drop;
    paddr_t buffer = frame_allocate(FRAME_USER, object);
    status = aspace_map_message_buffer(process->aspace, message_buffer, buffer, object,
                                       &thread->buffer_mapping);
    if (status != STATUS_OK) {
        frame_free(buffer);
        channel_release_fault_slot(process->exceptions, thread->fault_slot);
        goto drop;
    }
    thread->message = arch_ram(buffer);
    thread->context = arch_ram(frame_allocate(FRAME_KERNEL, object));
    thread->fault = (struct abi_fault *)(void *)((uint8_t *)thread->context + ARCH_CONTEXT_MAX);
    thread->process = process;
    if (!process_thread_added(process, thread)) { // it began to end
        thread->killed = true;
        set_state(thread, THREAD_EXITING);
        object_kill(object_reference(object), priority);
        return STATUS_BAD_STATE;
    }
    *out = thread;
    return STATUS_OK;

drop:
    set_state(thread, THREAD_EXITING);
    set_state(thread, THREAD_DEAD);
    object_kill(object_reference(object), priority);
uncharge:
    account_uncharge(account, 2, 0);
    return status;
}

status_t sys_thread_start(struct entry *entry, const struct handle_lookup *handle, uint64_t pc,
                          uint64_t sp, uint64_t argument, const struct handle_lookup *gift)
    NO_THREAD_SAFETY
{
    struct thread *thread = thread_of(handle->object);
    if (pc >= ABI_USER_MAX || sp > ABI_USER_MAX)
        return STATUS_INVALID;
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    uint64_t gift_handle = 0;
    status_t status = STATUS_OK;
    if (handle->object->state != THREAD_NEW || thread->killed)
        status = STATUS_BAD_STATE;
    else if (gift->object)
        status = handle_move(entry->process, gift, thread->process, &gift_handle);
    if (status == STATUS_OK) {
        arch_context_init(thread->context, pc, sp, argument, gift_handle);
        set_state(thread, THREAD_READY);
        sched_enqueue(cpu_self(), &thread->runnable, false);
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

status_t sys_thread_cancel(struct entry *entry, const struct handle_lookup *handle)
{
    (void)entry;
    struct thread *thread = thread_of(handle->object);
    enum wait_kind kind = thread->wait_kind;
    if (kind == WAIT_NONE || kind == WAIT_FAULT || kind == WAIT_OPERATION)
        return STATUS_BAD_STATE;
    return thread_interrupt_wait(thread, STATUS_CANCELLED) ? STATUS_OK : STATUS_BAD_STATE;
}

status_t sys_thread_set_priority(struct entry *entry, const struct handle_lookup *handle,
                                 uint64_t priority)
{
    struct thread *thread = thread_of(handle->object);
    if (priority >= ABI_PRIORITIES || priority > entry->thread->priority)
        return STATUS_INVALID;
    uint8_t state = thread->object.state;
    if (state == THREAD_EXITING || state == THREAD_DEAD)
        return STATUS_BAD_STATE;
    bool queued = state == THREAD_READY;
    if (queued)
        sched_dequeue(cpu_self(), &thread->runnable);
    thread->priority = thread->runnable.priority = (uint8_t)priority;
    if (queued)
        sched_enqueue(cpu_self(), &thread->runnable, false);
    return STATUS_OK;
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
    out->thread.priority = thread->priority;
    out->thread.cpu_ns = thread->cpu_ns;
    out->thread.run_state = object->state;
    out->thread.home_cpu = thread->home->number;
}
