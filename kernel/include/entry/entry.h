// SPDX-License-Identifier: MIT
//
// How arch code and the platform call into the kernel: the only header of kernel/ that arch/ sees.
//
// Each entry from user mode is made with interrupts off, on the CPU's kernel stack from its top,
// with the user's registers already in the current thread's context. It returns the context to
// restore, maybe another thread's; its page table is loaded by then.
#pragma once

#include <stdint.h>

struct arch_context;
struct abi_fault;

struct arch_context *entry_syscall(void);
struct arch_context *entry_interrupt(void);

// `fault` has cause, address and code set.
struct arch_context *entry_fault(const struct abi_fault *fault);

// The thread uses FP or vector registers, which are off (arch_fpu_restore). It goes on from the same
// instruction.
struct arch_context *entry_fpu(void);

// A CPU that was started has arrived, on its own stack.
struct arch_percpu;
[[noreturn]] void entry_cpu(struct arch_percpu *self);

// An interrupt that arrived inside arch_idle or arch_interrupt_window.
void entry_kernel_interrupt(void);

// A trap from the kernel itself: a bug of ours. `what` names it ("page fault", "double fault",
// "stack overflow"...). Prints a report with a backtrace and stops the machine; a second one
// while the first is printed halts at once, after one line.
[[noreturn]] void entry_kernel_fault(const char *what, uint64_t pc, uint64_t address, uint64_t code,
                                     uint64_t frame_pointer);
