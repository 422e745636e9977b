// SPDX-License-Identifier: MIT
//
// Switching stacks. See stack.h. The address sanitizer is told of each switch.
#include "stack.h"

#include <stdint.h>
#include <stdlib.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
#define TOLD 1
#endif
#endif

#ifdef __x86_64__

// System V ABI: rbx, rbp and r12 to r15 survive a call; so does the stack pointer.
[[gnu::naked]] static void swap([[maybe_unused]] void **save, [[maybe_unused]] void *load)
{
    __asm__("pushq %rbp\n\tpushq %rbx\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"
            "movq %rsp, (%rdi)\n\tmovq %rsi, %rsp\n\t"
            "popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbx\n\tpopq %rbp\n\tret");
}

void stack_prepare(struct stack *stack, void (*entry)(void))
{
    uint64_t *top = (uint64_t *)(void *)((uint8_t *)stack->base + stack->bytes);
    *--top = 0; // entry's return address: aligned as after a call
    *--top = (uint64_t)entry;
    for (unsigned i = 0; i < 6; i++)
        *--top = 0;
    stack->saved = top;
}

#else

#include <ucontext.h>

static void swap(void **save, void *load)
{
    ucontext_t *from = malloc(sizeof *from);
    *save = from;
    swapcontext(from, load);
    free(from);
}

void stack_prepare(struct stack *stack, void (*entry)(void))
{
    ucontext_t *context = malloc(sizeof *context);
    getcontext(context);
    context->uc_stack.ss_sp = stack->base;
    context->uc_stack.ss_size = stack->bytes;
    context->uc_link = nullptr;
    makecontext(context, entry, 0);
    stack->saved = context;
}

#endif

void stack_switch(struct stack *from, struct stack *to)
{
#ifdef TOLD
    __sanitizer_start_switch_fiber(&from->fake, to->base, to->bytes);
    swap(&from->saved, to->saved);
    __sanitizer_finish_switch_fiber(from->fake, nullptr, nullptr);
#else
    swap(&from->saved, to->saved);
#endif
}

void stack_entered(struct stack *from)
{
#ifdef TOLD
    const void *base;
    __sanitizer_finish_switch_fiber(nullptr, &base, &from->bytes);
    from->base = (void *)(uintptr_t)base;
#else
    (void)from;
#endif
}
