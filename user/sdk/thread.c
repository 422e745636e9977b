// SPDX-License-Identifier: MIT
//
// See thread.h.
#include <sdk/thread.h>

#include <lib/types.h>
#include <sdk/machine.h>
#include <sdk/memory.h>
#include <sdk/start.h>

[[noreturn]] static void thread_begin(void)
{
    struct stack_top *top = stack_top();
    top->function(top->argument);
    thread_exit();
}

// A stack of its own alignment, so that stack_top() holds for it.
static status_t map_stack(struct stack_top **top)
{
    vmo_t vmo;
    status_t status = vmo_create(start.account, STACK_BYTES, 0, &vmo);
    if (status != STATUS_OK)
        return status;
    uint64_t base = memory_reserve(STACK_BYTES, STACK_BYTES);
    status = vm_map(start.aspace, vmo, 0, base, STACK_BYTES, PROT_READ | PROT_WRITE);
    handle_close((handle_t){vmo.value});
    *top = (struct stack_top *)(base + STACK_BYTES - sizeof(struct stack_top));
    return status;
}

status_t thread_spawn(void (*function)(void *), void *argument, uint64_t priority, thread_t *thread)
{
    struct stack_top *top;
    status_t status = map_stack(&top);
    if (status != STATUS_OK)
        return status;
    uint64_t buffer = memory_reserve(PAGE_SIZE, PAGE_SIZE);
    *top = (struct stack_top){function, argument, (struct abi_message_buffer *)buffer, 0};
    status = thread_create(start.process, priority, buffer, thread);
    if (status != STATUS_OK)
        return status;
    uint64_t sp = align_down((uintptr_t)top, 16) - 16 - SDK_ENTRY_STACK_BIAS;
    return thread_start(*thread, (uintptr_t)thread_begin, sp, 0, (handle_t){0});
}
