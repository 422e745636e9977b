// SPDX-License-Identifier: MIT
//
// The entries from user mode: system calls, interrupts, faults. The decoder is generated from
// the ABI's table; each handler checks first and changes state only when nothing can fail.
#include "syscall.h"

#include <entry/entry.h>
#include <lib/string.h>

#include "channel.h"
#include "cpu.h"
#include "handlers.h"
#include "interrupt.h"
#include "process.h"
#include "thread.h"
#include "vm.h"

#include "decode.inc"

static void perform(struct thread *thread)
{
    struct arch_context *context = thread->context;
    struct entry entry = {.thread = thread, .process = thread->process};
    for (unsigned i = 0; i < ARRAY_SIZE(entry.arg); i++)
        entry.arg[i] = arch_context_argument(context, i);
    uint64_t number = arch_context_syscall(context);
    status_t status = STATUS_NO_SYSCALL;
    uint8_t results = 0;
    if (number < SYSCALL_COUNT) {
        status = decoders[number].decode(&entry);
        results = decoders[number].results;
    }
    thread->restart = status == STATUS_RESTART;
    thread->restarted = thread->restart;
    if (status >= STATUS_COUNT)
        return;
    arch_context_set_status(context, status);
    for (unsigned i = 0; i < results; i++)
        arch_context_set_result(context, i, entry.result[i]);
}

// Leaves the kernel, unless the thread whose turn it is has a call to go on with.
static struct arch_context *leave(struct cpu *cpu)
{
    for (;;) {
        struct arch_context *context = sched_exit(cpu);
        if (!cpu->current->restart)
            return context;
        arch_interrupt_window();
        perform(cpu->current);
    }
}

struct arch_context *entry_syscall(void)
{
    struct cpu *cpu = cpu_self();
    perform(cpu->current);
    return leave(cpu);
}

struct arch_context *entry_interrupt(void)
{
    struct cpu *cpu = cpu_self();
    interrupts_dispatch(cpu);
    return leave(cpu);
}

void entry_kernel_interrupt(void)
{
    interrupts_dispatch(cpu_self());
}

struct arch_context *entry_fpu(void)
{
    struct cpu *cpu = cpu_self();
    sched_use_fpu(cpu);
    return leave(cpu);
}

static const char *const fault_names[] = {
    [FAULT_READ] = "reads unmapped memory",
    [FAULT_WRITE] = "writes to memory that is not writable",
    [FAULT_EXECUTE] = "runs memory that is not executable",
    [FAULT_INSTRUCTION] = "uses an undefined or privileged instruction",
    [FAULT_ALIGNMENT] = "makes a misaligned access",
    [FAULT_ARITHMETIC] = "makes an arithmetic error",
    [FAULT_BREAKPOINT] = "hits a breakpoint",
    [FAULT_OTHER] = "faults",
};

struct arch_context *entry_fault(const struct abi_fault *fault)
{
    struct cpu *cpu = cpu_self();
    struct thread *thread = cpu->current;
    struct process *process = thread->process;
    struct abi_fault *report = thread_fault(thread);
    *report = *fault;
    report->thread_id = thread->object.id;
    arch_context_report(thread->context, report);
    if (!channel_fault(thread, process->exceptions)) {
        const char *what = fault->cause < ARRAY_SIZE(fault_names) && fault_names[fault->cause]
                               ? fault_names[fault->cause]
                               : "faults";
        klog("process '%s' %s: address 0x%lx, pc {{pc:0x%lx:%s}}; nobody handles its faults",
             process->name, what, (unsigned long)fault->address, (unsigned long)report->pc,
             process->name);
        process_kill(object_reference(&process->object), UINT64_MAX);
        thread->killed = true;
    }
    return leave(cpu);
}

// ---- calls on any object

status_t sys_object_inspect(struct entry *entry, const struct handle_lookup *handle)
    NO_THREAD_SAFETY
{
    struct object *object = handle->object;
    struct abi_inspect inspect = {};
    if (!object_lock(object, handle->generation))
        return STATUS_GONE;
    inspect.type = object->type;
    inspect.state = object->state;
    inspect.id = object->id;
    inspect.handles = object->handles;
    inspect.signals = object->signals;
    if (object_types[object->type].inspect)
        object_types[object->type].inspect(object, &inspect);
    object_unlock(object);
    memcpy(entry->thread->message->data, &inspect, sizeof inspect);
    entry->result[0] = sizeof inspect;
    return STATUS_OK;
}

static status_t destroy_account(const struct handle_lookup *handle, uint8_t priority)
{
    if (handle->object == account_root())
        return STATUS_NOT_SUPPORTED;
    return account_destroy(lookup_ref(handle), priority) ? STATUS_OK : STATUS_BAD_STATE;
}

status_t sys_object_destroy(struct entry *entry, const struct handle_lookup *handle)
    NO_THREAD_SAFETY
{
    uint8_t priority = thread_priority(entry->thread);
    struct object *object = handle->object;
    enum abi_object type = handle->type;
    if (type == OBJECT_ASPACE || type == OBJECT_MACHINE || type == OBJECT_LOG)
        return STATUS_NOT_SUPPORTED;
    if (type == OBJECT_ACCOUNT)
        return destroy_account(handle, priority);
    if (type == OBJECT_PROCESS) {
        process_kill(lookup_ref(handle), UINT64_MAX);
        return STATUS_OK;
    }
    if (!object_lock(object, handle->generation))
        return STATUS_GONE;
    if (type == OBJECT_VMO)
        // Taken away from those who map it, too.
        atomic_store_explicit(&vmo_of(object)->revoked, true, memory_order_relaxed);
    if (type == OBJECT_THREAD)
        thread_kill(thread_of(object));
    else
        object_kill_locked(object, priority);
    object_unlock(object);
    return STATUS_OK;
}
