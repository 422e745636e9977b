// SPDX-License-Identifier: MIT
//
// Exceptions: a user thread's become a fault report for the kernel, the kernel's own end the
// machine with a report. Vectors and error codes are from the Intel SDM, volume 3, 6.15 and 4.7.
#include <arch/instructions.h>
#include <entry/entry.h>

#include "trap.h"

enum vector : uint64_t {
    VECTOR_DIVIDE = 0,
    VECTOR_DEBUG = 1,
    VECTOR_INVALID_OPCODE = 6,
    VECTOR_NO_FPU = 7,
    VECTOR_GENERAL_PROTECTION = 13,
    VECTOR_PAGE_FAULT = 14,
    VECTOR_X87 = 16,
    VECTOR_ALIGNMENT = 17,
    VECTOR_SIMD = 19,
};

constexpr uint64_t PAGE_FAULT_WRITE = 1u << 1;
constexpr uint64_t PAGE_FAULT_FETCH = 1u << 4;

static_assert(ABI_USER_MAX <= 0x7fff'ffff'f000, "SYSRET needs a canonical address after SYSCALL");

// The processor reports a privileged instruction and an access to a non-canonical address alike
// (general protection, no address), and telling them apart would mean to read the user's code.
static enum abi_fault_cause fault_cause(uint64_t vector, uint64_t code)
{
    switch (vector) {
    case VECTOR_PAGE_FAULT:
        if ((code & PAGE_FAULT_FETCH) != 0)
            return FAULT_EXECUTE;
        return (code & PAGE_FAULT_WRITE) != 0 ? FAULT_WRITE : FAULT_READ;
    case VECTOR_INVALID_OPCODE:
    case VECTOR_GENERAL_PROTECTION:
        return FAULT_INSTRUCTION;
    case VECTOR_DIVIDE:
    case VECTOR_X87:
    case VECTOR_SIMD:
        return FAULT_ARITHMETIC;
    case VECTOR_DEBUG:
    case VECTOR_BREAKPOINT:
        return FAULT_BREAKPOINT;
    case VECTOR_ALIGNMENT:
        return FAULT_ALIGNMENT;
    default:
        return FAULT_OTHER;
    }
}

static bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

struct arch_context *x86_user_exception(struct arch_context *context, uint64_t cr2)
{
    const uint64_t vector = (uint64_t)context->entry;
    if (vector == VECTOR_NO_FPU)
        return entry_fpu();
    struct abi_fault fault = {
        .cause = fault_cause(vector, context->code),
        .address = vector == VECTOR_PAGE_FAULT ? cr2 : 0,
        .code = vector << 32 | (context->code & UINT32_MAX),
    };
    // Some processors report a jump to a non-canonical address only when they are there. IRETQ
    // to it would fault in the kernel, so the thread is left at the first address above user
    // space, where it faults again if it is resumed.
    if (!is_canonical(context->rip)) {
        fault.cause = FAULT_EXECUTE;
        fault.address = context->rip;
        context->rip = ABI_USER_MAX;
    }
    return entry_fault(&fault);
}

static const char *const vector_names[VECTOR_FIRST_INTERRUPT] = {
    [0] = "divide error",
    [1] = "debug exception",
    [2] = "non-maskable interrupt",
    [3] = "breakpoint",
    [6] = "undefined instruction",
    [7] = "FPU use",
    [8] = "double fault",
    [10] = "invalid TSS",
    [11] = "segment not present",
    [12] = "stack segment fault",
    [13] = "general protection fault",
    [14] = "page fault",
    [17] = "alignment fault",
    [18] = "machine check",
};

void x86_kernel_exception(const struct x86_exception_frame *frame, uint64_t rbp)
{
    struct arch_percpu *self = arch_cpu_self();
    // The kernel halts at the second; the third can only be in the report of the second.
    if (++self->kernel_traps > 2)
        arch_halt();

    const uint64_t cr2 = cr2_read();
    const uint64_t guard_end = self->stack_top - ARCH_STACK_BYTES;
    const char *what = vector_names[frame->vector];
    uint64_t address = 0;
    if (frame->vector == VECTOR_PAGE_FAULT) {
        address = cr2;
    } else if (frame->vector == VECTOR_DOUBLE_FAULT && cr2 < guard_end &&
               cr2 >= guard_end - PAGE_SIZE) {
        // A push into the guard page, and then the push of that page fault.
        what = "stack overflow";
        address = cr2;
    }
    entry_kernel_fault(what != nullptr ? what : "unexpected exception", frame->rip, address,
                       frame->vector << 32 | (frame->code & UINT32_MAX), rbp);
}
