// SPDX-License-Identifier: MIT
//
// The life of processes: making, threads coming and going, the end. See process.h.
#include "process.h"

#include <lib/string.h>

#include "channel.h"
#include "cpu.h"
#include "frame.h"
#include "handlers.h"
#include "thread.h"
#include "vm.h"

status_t process_create(struct object_ref account_ref, const char name[16], struct process **out)
    NO_THREAD_SAFETY
{
    // The process, its address space, and the root of its page table.
    status_t status = account_charge_ref(account_ref, 1, 2);
    if (status != STATUS_OK)
        return status;
    struct account *account = (struct account *)(void *)account_ref.object;
    struct aspace *aspace;
    status = aspace_new(account, &aspace);
    if (status != STATUS_OK) {
        account_uncharge(account, 1, 2);
        return status;
    }
    struct process *process = process_of(object_new(account, OBJECT_PROCESS));
    lock_init(&process->table_lock, RANK_HANDLES);
    list_init(&process->threads);
    // It is printed when the process faults: nothing in it may look like more than a name.
    for (unsigned i = 0; i < sizeof process->name - 1 && name[i] != 0; i++)
        process->name[i] = name[i] > ' ' && name[i] < 127 ? name[i] : '?';
    process->free_head = UINT32_MAX;
    process->aspace = aspace;
    aspace->process = process;
    *out = process;
    return STATUS_OK;
}

static void process_discard(struct process *process)
{
    aspace_discard(process->aspace);
    object_discard(&process->object);
}

// ---- threads

bool process_thread_expect(struct object_ref ref) NO_THREAD_SAFETY
{
    if (!object_ref_lock(ref))
        return false;
    struct process *process = process_of(ref.object);
    lock_acquire(&process->table_lock);
    bool open = !process->ending;
    process->thread_count += open && !SEEDED_BUG("expect");
    lock_release(&process->table_lock);
    object_unlock(ref.object);
    return open;
}

void process_thread_added(struct process *process, struct thread *thread) NO_THREAD_SAFETY
{
    lock_acquire(&process->object.lock);
    lock_acquire(&process->table_lock);
    list_push_back(&process->threads, &thread->process_node);
    lock_release(&process->table_lock);
    if (process->object.state == PROCESS_CREATED)
        object_transition(&process->object, PROCESS_RUNNING);
    if (process->object.state == PROCESS_EXITING)
        operation_resume(&process->object); // one more to stop
    lock_release(&process->object.lock);
}

// One thread less: the last one ends its process, or lets the end of it go on. No lock is held.
static void one_less(struct process *process) NO_THREAD_SAFETY
{
    lock_acquire(&process->object.lock);
    lock_acquire(&process->table_lock);
    bool last = --process->thread_count == 0;
    lock_release(&process->table_lock);
    struct object_ref ref = object_reference(&process->object);
    if (last && process->object.state == PROCESS_EXITING)
        operation_resume(&process->object);
    bool ends = last && process->object.state == PROCESS_RUNNING;
    lock_release(&process->object.lock);
    if (ends)
        process_kill(ref, 0);
}

void process_thread_not_added(struct process *process)
{
    one_less(process);
}

void process_thread_gone(struct process *process, struct thread *thread)
{
    lock_acquire(&process->table_lock);
    list_remove(&thread->process_node);
    process->ended_cpu_ns += counter_read(&thread->cpu_ns);
    lock_release(&process->table_lock);
    one_less(process);
}

void process_aspace_gone(struct process *process) NO_THREAD_SAFETY
{
    lock_acquire(&process->object.lock);
    process->aspace = nullptr;
    operation_resume(&process->object);
    lock_release(&process->object.lock);
}

// ---- the end

bool process_ends(struct process *process)
{
    lock_acquire(&process->table_lock);
    bool ending = process->ending;
    lock_release(&process->table_lock);
    return ending;
}

// The process is locked.
static bool begin_ending(struct process *process, uint64_t exit_code) NO_THREAD_SAFETY
{
    lock_acquire(&process->table_lock);
    bool begins = !process->ending;
    process->ending = true;
    if (begins)
        process->exit_code = exit_code;
    lock_release(&process->table_lock);
    if (begins)
        object_transition(&process->object, PROCESS_EXITING);
    return begins;
}

void process_kill(struct object_ref ref, uint64_t exit_code) NO_THREAD_SAFETY
{
    if (!object_ref_lock(ref))
        return;
    struct process *process = process_of(ref.object);
    if (begin_ending(process, exit_code))
        (void)operation_try_start(&process->object, process_teardown, sched_priority());
    object_unlock(ref.object);
}

// Asks one thread that was not asked yet. false: all were.
static bool kill_one_thread(struct process *process)
{
    bool asked = false;
    lock_acquire(&process->table_lock);
    struct list_node *node = list_first(&process->threads);
    if (node) {
        struct thread *thread = CONTAINER_OF(node, struct thread, process_node);
        if (!thread->kill_asked) {
            asked = true;
            thread->kill_asked = true;
            // To the end of the list: the first is always one that was not asked, if any is.
            list_remove(node);
            list_push_back(&process->threads, node);
            thread_kill(thread); // while it is listed, its slot stays
        }
    }
    lock_release(&process->table_lock);
    return asked;
}

static bool close_some_handles(struct process *process) NO_THREAD_SAFETY
{
    uint32_t end = process->handle_pages * HANDLES_PER_PAGE;
    for (unsigned i = 0; i < 16 && process->close_cursor < end; i++)
        handle_close_slot(process, process->close_cursor++);
    return process->close_cursor < end;
}

static void free_handle_pages(struct process *process) NO_THREAD_SAFETY
{
    for (unsigned i = 0; i < process->handle_pages; i++)
        frame_free(arch_ram_address(atomic_exchange(&process->pages[i], nullptr)));
    account_uncharge(process->object.account, process->pages_paid, 0);
    process->handle_pages = process->pages_paid = 0;
}

// Takes the address space down, in which no thread will run again. false: it is gone.
static bool end_aspace(struct process *process) NO_THREAD_SAFETY
{
    lock_acquire(&process->object.lock);
    struct aspace *aspace = process->aspace;
    lock_release(&process->object.lock);
    if (!aspace)
        return false;
    // Its teardown cannot end before this, and it does not go on without it.
    struct object_ref ref = object_reference(&aspace->object);
    // What the threads did there is told by locks, and who holds it by fences (tlb.h): release is
    // against load buffering alone, like the acquire of who reads it.
    atomic_store_explicit(&aspace->quiet, true, memory_order_release);
    if (!object_kill(ref, process->object.operation.runnable.priority))
        operation_resume(&aspace->object);
    return true;
}

enum step process_teardown(struct object *object) NO_THREAD_SAFETY
{
    struct process *process = process_of(object);
    lock_acquire(&object->lock);
    bool dead = object->state == PROCESS_DEAD;
    if (!dead)
        begin_ending(process, UINT64_MAX); // torn down with its account
    lock_release(&object->lock);
    if (dead)
        return STEP_DONE;
    if (kill_one_thread(process))
        return STEP_MORE;
    lock_acquire(&process->table_lock);
    bool threads = process->thread_count > 0;
    lock_release(&process->table_lock);
    if (threads)
        return STEP_WAIT;
    if (close_some_handles(process))
        return STEP_MORE;
    if (end_aspace(process))
        return STEP_WAIT;
    free_handle_pages(process);
    struct object_ref exceptions = process->exceptions;
    process->exceptions = (struct object_ref){};
    object_handle_dropped(exceptions);
    // The root account pays for one process: init. Nothing can go on without it.
    if (!object->account->parent)
        panic("init has ended, with code %ld", (long)process->exit_code);
    lock_acquire(&object->lock);
    object_transition(object, PROCESS_DEAD);
    lock_release(&object->lock);
    object_finish(object);
    return STEP_DONE;
}

// ---- system calls

status_t sys_process_create(struct entry *entry, const struct handle_lookup *account_handle,
                            const struct handle_lookup *exceptions, uint64_t name0, uint64_t name1)
    NO_THREAD_SAFETY
{
    status_t status = handles_reserve(entry->process, 2);
    if (status != STATUS_OK)
        return status;
    const uint64_t name[] = {name0, name1};
    struct process *process;
    status = process_create(lookup_ref(account_handle), (const char *)name, &process);
    if (status == STATUS_OK && exceptions->object) {
        struct handle_transfer transfer;
        status = handles_hold(entry->process, &exceptions->handle, 1, nullptr, nullptr, &transfer);
        if (status == STATUS_OK) {
            handles_commit(entry->process, &transfer.slot, 1);
            process->exceptions = (struct object_ref){transfer.object, transfer.generation};
        } else {
            process_discard(process);
        }
    }
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 2);
        return status;
    }
    // The process's end takes the address space along: it is published first.
    entry->result[1] = handle_publish(entry->process, &process->aspace->object, RIGHTS_ASPACE);
    entry->result[0] = handle_publish(entry->process, &process->object, RIGHTS_PROCESS);
    return STATUS_OK;
}

status_t sys_process_exit(struct entry *entry, uint64_t code)
{
    process_kill(object_reference(&entry->process->object), code);
    entry->thread->killed = true;
    return STATUS_BLOCKED;
}

void process_inspect(struct object *object, struct abi_inspect *out) NO_THREAD_SAFETY
{
    struct process *process = process_of(object);
    memcpy(out->name, process->name, sizeof out->name);
    if (!SEEDED_BUG("D figures"))
        lock_acquire(&process->table_lock);
    out->process.threads = process->thread_count;
    out->process.handles = process->handles_used;
    out->process.handles_max = HANDLES_MAX;
    out->process.exit_code = process->exit_code;
    out->process.cpu_ns = process->ended_cpu_ns;
    unsigned bound = 64;
    LIST_FOR_EACH(node, &process->threads)
    {
        if (bound-- == 0)
            break;
        out->process.cpu_ns +=
            counter_read(&CONTAINER_OF(node, struct thread, process_node)->cpu_ns);
    }
    if (!SEEDED_BUG("D figures"))
        lock_release(&process->table_lock);
}
