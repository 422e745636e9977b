// SPDX-License-Identifier: MIT
//
// The model's processes that actors make, and threads in them that never run. See model.h.
#include <stdlib.h>

#include "model.h"

enum { CREATED, RUNNING, EXITING, DEAD };

constexpr uint64_t PAGE = ABI_PAGE_SIZE;

static uint8_t call_process_create(const struct action *action, struct m_outcome *out)
{
    uint8_t account, exceptions = NOTHING;
    uint8_t status = handle_argument(action, 0, OBJECT_ACCOUNT, RIGHT_CHARGE, &account);
    bool handled = action->argument[1].kind != OPERAND_VALUE || action->argument[1].value != 0;
    if (status == STATUS_OK && handled)
        status =
            handle_argument(action, 1, OBJECT_CHANNEL, RIGHT_SEND | RIGHT_TRANSFER, &exceptions);
    // The root of its page table; the process and its address space.
    if (status == STATUS_OK)
        status = charge(account, 1, 2);
    if (status != STATUS_OK)
        return status;
    uint8_t process = object_make(OBJECT_PROCESS, account);
    uint8_t aspace = object_make(OBJECT_ASPACE, account);
    object_of(process)->aspace = aspace;
    object_of(process)->exceptions = exceptions;
    object_of(aspace)->process = process;
    if (handled) // the handle moves into the process
        model.actors[action->actor].registers[action->argument[1].value] = (struct m_handle){};
    give_handle(out, 0, action->actor, process, RIGHTS_PROCESS);
    give_handle(out, 1, action->actor, aspace, RIGHTS_ASPACE);
    return STATUS_OK;
}

static uint8_t call_thread_create(const struct action *action, struct m_outcome *out)
{
    uint8_t process;
    uint8_t status = handle_argument(action, 0, OBJECT_PROCESS, RIGHT_CHARGE, &process);
    if (status != STATUS_OK)
        return status;
    if (value_argument(action, 1) > model.actors[action->actor].priority)
        return STATUS_INVALID;
    struct m_object *parent = object_of(process);
    if (parent->state == DEAD)
        return STATUS_BAD_STATE;
    // Its registers and its message buffer; then the buffer's mapping.
    status = charge(parent->payer, 2, 1);
    if (status != STATUS_OK)
        return status;
    uint64_t address = value_argument(action, 2), tables = tables_missing(parent->aspace);
    if (address % PAGE || address < ABI_USER_MIN || address >= ABI_USER_MAX)
        status = STATUS_INVALID;
    else if (!buffer_fits(parent->aspace, address / PAGE))
        status = STATUS_OVERLAP;
    else
        status = charge(parent->payer, tables, 1);
    if (status != STATUS_OK) {
        uncharge(parent->payer, 2, 1);
        return status;
    }
    object_of(parent->aspace)->tables += tables;
    object_of(parent->aspace)->buffer = address / PAGE;
    uint8_t thread = object_make(OBJECT_THREAD, parent->payer);
    object_of(thread)->process = process;
    list_add(&parent->threads, thread);
    parent->state = RUNNING;
    give_handle(out, 0, action->actor, thread, RIGHTS_THREAD);
    return STATUS_OK;
}

static uint8_t call_set_priority(const struct action *action)
{
    uint8_t thread;
    uint8_t status = handle_argument(action, 0, OBJECT_THREAD, RIGHT_MANAGE, &thread);
    if (status != STATUS_OK)
        return status;
    uint64_t priority = value_argument(action, 1);
    if (priority > model.actors[action->actor].priority)
        return STATUS_INVALID;
    uint8_t actor = object_of(thread)->owner;
    if (actor == NOTHING)
        return object_of(thread)->state == DEAD ? STATUS_BAD_STATE : STATUS_OK;
    if (model.actors[actor].dead)
        return STATUS_BAD_STATE;
    model.actors[actor].priority = (uint8_t)priority;
    return STATUS_OK;
}

static void thread_stop(uint8_t thread)
{
    struct m_object *process = object_of(object_of(thread)->process);
    list_take_out(&process->threads, thread);
    object_of(process->aspace)->buffer = 0;
    uncharge(object_of(thread)->payer, 2, 1);
    object_of(thread)->state = DEAD;
    raise_signals(thread, SIGNAL_TERMINATED);
    if (object_of(thread)->handles == 0)
        finished_drop(thread);
}

void thread_end(uint8_t thread)
{
    if (object_of(thread)->state == DEAD)
        return;
    uint8_t process = object_of(thread)->process;
    thread_stop(thread);
    if (object_of(process)->threads.count == 0)
        process_end(process); // that was the last one
}

void process_end(uint8_t number)
{
    struct m_object *process = object_of(number);
    if (process->state == DEAD)
        return;
    while (process->threads.count > 0)
        thread_stop(process->threads.at[0]);
    aspace_end(process->aspace);
    uncharge(process->payer, 1 + object_of(process->aspace)->tables, 0);
    begin_end(process->aspace);
    object_free(process->aspace);
    process->aspace = NOTHING;
    if (process->exceptions != NOTHING) {
        struct m_handle handle = {M_USABLE, OBJECT_CHANNEL, process->exceptions, 0};
        process->exceptions = NOTHING;
        handle_drop(&handle);
    }
    process->state = DEAD;
    raise_signals(number, SIGNAL_TERMINATED);
    if (process->handles == 0)
        finished_drop(number);
}

// One that has not ended lives on without handles.
void finished_drop(uint8_t object)
{
    if (object_of(object)->state != DEAD)
        return;
    begin_end(object);
    object_free(object);
}

uint8_t call_processes(const struct action *action, struct m_outcome *out)
{
    switch (action->number) {
    case SYSCALL_PROCESS_CREATE:
        return call_process_create(action, out);
    case SYSCALL_THREAD_CREATE:
        return call_thread_create(action, out);
    case SYSCALL_THREAD_SET_PRIORITY:
        return call_set_priority(action);
    case SYSCALL_THREAD_YIELD:
        return STATUS_OK;
    default:
        abort(); // the model does not know this call
    }
}
