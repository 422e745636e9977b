// SPDX-License-Identifier: MIT
//
// Every way into the kernel and the one way out.
//
// Interrupts are off from the first instruction to the last. A user thread's registers go
// straight into its struct arch_context: a system call stores them there, and for interrupts and
// exceptions TSS.rsp0 points to the context's end, so that the processor's own push is the first
// part of the saving. GS is the kernel's exactly while the kernel runs; each path from user mode
// begins, and each path to it ends, with SWAPGS.
//
// A trap from the kernel itself is a bug of ours and does not return. Then GS may still be the
// user's (a non-maskable interrupt before SWAPGS), so that path looks. NMI, double fault and
// machine check run on the CPU's fault stack (IST 1), since the stack pointer may be the user's
// or worthless. No debug register is ever set, so a debug exception never comes from the kernel.
#include <arch/layout.h>

    .text

// ---- system call: SYSCALL leaves the return address in rcx, the flags in r11 ----------------

    .global arch_syscall_entry
    .type arch_syscall_entry, @function
    .balign 64
arch_syscall_entry:
    swapgs
    movq %rsp, %gs:PERCPU_SCRATCH
    movq %gs:PERCPU_CURRENT, %rsp
    movq %r15, CONTEXT_R15(%rsp)
    movq %r14, CONTEXT_R14(%rsp)
    movq %r13, CONTEXT_R13(%rsp)
    movq %r12, CONTEXT_R12(%rsp)
    movq %rbp, CONTEXT_RBP(%rsp)
    movq %rbx, CONTEXT_RBX(%rsp)
    movq %rdi, CONTEXT_RDI(%rsp)
    movq %rsi, CONTEXT_RSI(%rsp)
    movq %rdx, CONTEXT_RDX(%rsp)
    movq %r10, CONTEXT_R10(%rsp)
    movq %r8, CONTEXT_R8(%rsp)
    movq %r9, CONTEXT_R9(%rsp)
    movq %rax, CONTEXT_RAX(%rsp)
    movq $ENTRY_SYSCALL, CONTEXT_ENTRY(%rsp)
    movq %rcx, CONTEXT_RIP(%rsp)
    movq %r11, CONTEXT_RFLAGS(%rsp)
    movq %gs:PERCPU_SCRATCH, %rcx
    movq %rcx, CONTEXT_RSP(%rsp)
    movq %gs:PERCPU_STACK_TOP, %rsp
    call entry_syscall

// ---- the way out: rax is the context to restore ---------------------------------------------
//
// SYSRET faults in the kernel when the address to return to is not canonical. It is only used
// after SYSCALL, whose return address is at most the first address above user space: canonical.

exit_to_user:
    movq %rax, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %rdi
    popq %rsi
    popq %rdx
    popq %r10
    popq %r8
    popq %r9
    popq %rax
    cmpq $ENTRY_SYSCALL, (CONTEXT_ENTRY - CONTEXT_RCX)(%rsp)
    jne 1f
    movq (CONTEXT_RIP - CONTEXT_RCX)(%rsp), %rcx
    movq (CONTEXT_RFLAGS - CONTEXT_RCX)(%rsp), %r11
    movq (CONTEXT_RSP - CONTEXT_RCX)(%rsp), %rsp
    swapgs
    sysretq
1:
    popq %rcx
    popq %r11
    addq $(CONTEXT_RIP - CONTEXT_ENTRY), %rsp
    swapgs
    iretq

    .global arch_enter_user
    .type arch_enter_user, @function
arch_enter_user:
    movq %rdi, %rax
    jmp exit_to_user

// The registers between what a vector's stub pushed and the context's start, and the kernel's
// stack and flags: the user's alignment-check flag would let the kernel through SMAP.
.macro save_user
    swapgs
    pushq %r11
    pushq %rcx
    pushq %rax
    pushq %r9
    pushq %r8
    pushq %r10
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    movq %gs:PERCPU_STACK_TOP, %rsp
    pushq $2
    popfq
.endm

// ---- interrupts: the stub pushed the vector - 128, which fits one byte -----------------------

    .type interrupt_common, @function
interrupt_common:
    pushq $VECTOR_FIRST_INTERRUPT
    testb $3, (CONTEXT_CS - CONTEXT_ENTRY)(%rsp)
    jz 1f
    save_user
    movq CONTEXT_CODE(%rdi), %rax
    addq $128, %rax
    movq %rax, %gs:PERCPU_VECTOR
    call entry_interrupt
    jmp exit_to_user
1: // inside arch_idle or arch_interrupt_window
    pushq %r11
    pushq %r10
    pushq %r9
    pushq %r8
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    movq 80(%rsp), %rax
    addq $128, %rax
    movq %rax, %gs:PERCPU_VECTOR
    cld
    call entry_kernel_interrupt
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    popq %r8
    popq %r9
    popq %r10
    popq %r11
    addq $16, %rsp
    iretq

// ---- exceptions: the stack holds vector and error code --------------------------------------

    .type exception_common, @function
exception_common:
    testb $3, (CONTEXT_CS - CONTEXT_ENTRY)(%rsp)
    jz kernel_exception
    save_user
    movq %cr2, %rsi
    call x86_user_exception
    jmp exit_to_user

    .type kernel_exception, @function
kernel_exception:
    movl $0xc0000101, %ecx // IA32_GS_BASE: the kernel's is in the upper half
    rdmsr
    testl %edx, %edx
    js 1f
    swapgs
1:
    movq %rsp, %rdi
    movq %rbp, %rsi
    andq $-16, %rsp
    pushq $2
    popfq
    call x86_kernel_exception // does not return
    ud2

// ---- one stub for each vector ---------------------------------------------------------------

    .altmacro
.macro exception_stub vector
    .balign 16
    .ifeq (\vector - 8) * (\vector - 10) * (\vector - 11) * (\vector - 12) * (\vector - 13) * (\vector - 14) * (\vector - 17) * (\vector - 21) * (\vector - 29) * (\vector - 30)
    .else
    pushq $0 // the processor pushes no error code for this one
    .endif
    pushq $\vector
    .ifeq (\vector - VECTOR_NMI) * (\vector - VECTOR_DOUBLE_FAULT) * (\vector - VECTOR_MACHINE_CHECK)
    jmp kernel_exception
    .else
    jmp exception_common
    .endif
.endm

.macro interrupt_stub vector
    .balign 8
    pushq $(\vector - 128)
    jmp interrupt_common
.endm

    .global x86_exception_stubs
    .type x86_exception_stubs, @function
    .balign 16
x86_exception_stubs:
    .set number, 0
    .rept VECTOR_FIRST_INTERRUPT
    exception_stub %number
    .set number, number + 1
    .endr
    .org x86_exception_stubs + 16 * VECTOR_FIRST_INTERRUPT // each fits

    .global x86_interrupt_stubs
    .type x86_interrupt_stubs, @function
x86_interrupt_stubs:
    .rept 256 - VECTOR_FIRST_INTERRUPT
    interrupt_stub %number
    .set number, number + 1
    .endr
    .balign 8
    .org x86_interrupt_stubs + 8 * (256 - VECTOR_FIRST_INTERRUPT) // each fits

    .section .note.GNU-stack, "", @progbits
