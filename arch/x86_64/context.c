// SPDX-License-Identifier: MIT
//
// User register contexts: making one, and copying one out for a fault report.
#include <arch/arch.h>

// Interrupts on, and the bit that is always one.
constexpr uint64_t RFLAGS_USER = 0x202;

void arch_context_init(struct arch_context *context, uint64_t pc, uint64_t sp, uint64_t argument0,
                       uint64_t argument1)
{
    if ((uint64_t)context % alignof(struct arch_context) != 0)
        __builtin_trap(); // the processor would save the registers elsewhere
    *context = (struct arch_context){
        .arguments = {argument0, argument1},
        .rip = pc,
        .cs = SELECTOR_USER_CODE,
        .rflags = RFLAGS_USER,
        .rsp = sp,
        .ss = SELECTOR_USER_DATA,
    };
}

void arch_context_report(const struct arch_context *context, struct abi_fault *fault)
{
    const uint64_t *argument = context->arguments;
    const uint64_t values[] = {
        context->rax, context->rbx, context->rcx, argument[2],  argument[1],  argument[0],
        context->rbp, context->rsp, argument[4],  argument[5],  argument[3],  context->r11,
        context->r12, context->r13, context->r14, context->r15, context->rip, context->rflags,
    };
    static_assert(ARRAY_SIZE(values) <= ABI_FAULT_REGISTERS);
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
        fault->registers[i] = values[i];
    fault->register_count = ARRAY_SIZE(values);
    fault->pc = context->rip;
    fault->sp = context->rsp;
    fault->fp = context->rbp;
}
