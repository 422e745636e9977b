// SPDX-License-Identifier: MIT
//
// What entry.S, traps.c and cpu.c share.
#pragma once

#include <stdint.h>

#include <arch/arch.h>

// What lies on the stack when an exception stub reaches its common part.
struct x86_exception_frame {
    uint64_t vector, code;
    uint64_t rip, cs, rflags, rsp, ss;
};

// Called by entry.S.
struct arch_context *x86_user_exception(struct arch_context *context, uint64_t cr2);
[[noreturn]] void x86_kernel_exception(const struct x86_exception_frame *frame, uint64_t rbp);

// Of the calling CPU: FP and vector registers can be used, and are off.
void x86_fpu_init(void);

// Code of entry.S. Each stub has a fixed size: 16 bytes for exceptions, 8 for interrupts.
extern char arch_syscall_entry[];
extern char x86_exception_stubs[], x86_interrupt_stubs[];
