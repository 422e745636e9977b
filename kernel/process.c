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

status_t process_create(struct account *account, const char name[16], struct process **out)
    NO_THREAD_SAFETY
{
    struct object *object;
    status_t status = object_create(account, OBJECT_PROCESS, &object);
    if (status != STATUS_OK)
        return status;
    struct process *process = process_of(object);
    lock_init(&process->table_lock, RANK_HANDLES);
    list_init(&process->threads);
    // It is printed when the process faults: nothing in it may look like more than a name.
    for (unsigned i = 0; i < sizeof process->name - 1 && name[i] != 0; i++)
        process->name[i] = name[i] > ' ' && name[i] < 127 ? name[i] : '?';
    process->free_head = UINT32_MAX;
    status = aspace_create(account, process, &process->aspace);
    if (status != STATUS_OK) {
        object_kill(object_reference(object), sched_priority());
        return status;
    }
    *out = process;
    return STATUS_OK;
}

// ---- threads

bool process_thread_added(struct process *process, struct thread *thread) NO_THREAD_SAFETY
{
    lock_acquire(&process->table_lock);
    bool open = !process->ending;
    process->thread_count++;
    list_push_back(&process->threads, &thread->process_node);
    lock_release(&process->table_lock);
    if (open && process->object.state == PROCESS_CREATED) {
        lock_acquire(&process->object.lock);
        object_transition(&process->object, PROCESS_RUNNING);
        lock_release(&process->object.lock);
    }
    return open;
}

void process_thread_gone(struct process *process, struct thread *thread)
{
    if (!list_node_linked(&thread->process_node))
        return; // it never became one of the process
    lock_acquire(&process->table_lock);
    list_remove(&thread->process_node);
    process->thread_count--;
    process->ended_cpu_ns += thread->cpu_ns;
    bool last = process->thread_count == 0;
    bool ending = process->ending;
    lock_release(&process->table_lock);
    if (last && !ending)
        process_kill(process, 0);
    else if (last)
        operation_resume(&process->object);
}

void process_aspace_gone(struct process *process)
{
    process->aspace = nullptr;
    operation_resume(&process->object);
}

// ---- the end

static bool begin_ending(struct process *process, uint64_t exit_code) NO_THREAD_SAFETY
{
    lock_acquire(&process->table_lock);
    bool begins = !process->ending;
    process->ending = true;
    if (begins)
        process->exit_code = exit_code;
    lock_release(&process->table_lock);
    if (begins) {
        lock_acquire(&process->object.lock);
        object_transition(&process->object, PROCESS_EXITING);
        lock_release(&process->object.lock);
    }
    return begins;
}

void process_kill(struct process *process, uint64_t exit_code) NO_THREAD_SAFETY
{
    if (!begin_ending(process, exit_code))
        return;
    lock_acquire(&process->object.lock);
    if (process->object.life == LIFE_LIVE && process->object.operation.phase == OPERATION_IDLE)
        operation_start(&process->object, process_teardown, sched_priority());
    lock_release(&process->object.lock);
}

// Asks one thread that was not asked yet. false: all were.
static bool kill_one_thread(struct process *process)
{
    struct thread *victim = nullptr;
    lock_acquire(&process->table_lock);
    struct list_node *node = list_first(&process->threads);
    if (node) {
        struct thread *thread = CONTAINER_OF(node, struct thread, process_node);
        if (!thread->kill_asked) {
            victim = thread;
            thread->kill_asked = true;
            // To the end of the list: the first is always one that was not asked, if any is.
            list_remove(node);
            list_push_back(&process->threads, node);
        }
    }
    lock_release(&process->table_lock);
    if (victim)
        thread_kill(victim);
    return victim;
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
        if (process->pages[i]) {
            frame_free(arch_ram_address(process->pages[i]));
            process->pages[i] = nullptr;
        }
    account_uncharge(process->object.account, process->handle_pages, 0);
    process->handle_pages = 0;
}

enum step process_teardown(struct object *object) NO_THREAD_SAFETY
{
    struct process *process = process_of(object);
    if (object->state == PROCESS_DEAD)
        return STEP_DONE;
    begin_ending(process, UINT64_MAX); // torn down with its account
    if (kill_one_thread(process))
        return STEP_MORE;
    if (process->thread_count > 0)
        return STEP_WAIT;
    if (close_some_handles(process))
        return STEP_MORE;
    if (process->aspace) {
        process->aspace->quiet = true;
        if (!object_kill(object_reference(&process->aspace->object),
                         object->operation.runnable.priority))
            operation_resume(&process->aspace->object);
        return STEP_WAIT;
    }
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
    object_finish(object, object->operation.runnable.priority);
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
    char name[16];
    memcpy(name, &name0, 8);
    memcpy(name + 8, &name1, 8);
    struct process *process;
    status = process_create((struct account *)(void *)account_handle->object, name, &process);
    if (status == STATUS_OK && exceptions->object) {
        struct handle_transfer transfer;
        status = handles_hold(entry->process, &exceptions->handle, 1, nullptr, nullptr, &transfer);
        if (status == STATUS_OK) {
            handles_commit(entry->process, &transfer.slot, 1);
            process->exceptions = (struct object_ref){transfer.object, transfer.generation};
        } else {
            object_kill(object_reference(&process->object), sched_priority());
        }
    }
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 2);
        return status;
    }
    entry->result[0] = handle_install_reserved(entry->process, &process->object, RIGHTS_PROCESS);
    entry->result[1] =
        handle_install_reserved(entry->process, &process->aspace->object, RIGHTS_ASPACE);
    return STATUS_OK;
}

status_t sys_process_exit(struct entry *entry, uint64_t code)
{
    process_kill(entry->process, code);
    entry->thread->killed = true;
    return STATUS_BLOCKED;
}

void process_inspect(struct object *object, struct abi_inspect *out) NO_THREAD_SAFETY
{
    struct process *process = process_of(object);
    memcpy(out->name, process->name, sizeof out->name);
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
        out->process.cpu_ns += CONTAINER_OF(node, struct thread, process_node)->cpu_ns;
    }
    lock_release(&process->table_lock);
}
