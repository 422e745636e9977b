// SPDX-License-Identifier: MIT
//
// Exception vectors, and the way back to user mode.
//
// While user code runs, SP_EL1 holds the address of the current thread's struct arch_context, so
// that an entry saves every register without a scratch register and without touching the kernel
// stack; then it takes the stack from its top. TPIDR_EL1 holds the CPU's struct arch_percpu.
//
// The kernel runs with all of DAIF masked from entry to exit, arch_idle included (WFI wakes on a
// masked interrupt). So a trap from EL1 is always a bug of ours and always fatal, but for one load,
// which asks for a device that may not be there (arch_device_probe). There is no hardware stack
// switch: such a trap never trusts SP, it takes the CPU's emergency stack before the first push.
// TPIDRRO_EL0, 0 until then, counts these traps without touching memory: the second goes back to
// the per-CPU structure and the emergency stack of the start, since the kernel's own may be what is
// broken, and the third parks the CPU. So nothing can loop.
#include <arch/layout.h>

    .macro save_user // 22 instructions
    stp     x0, x1, [sp, #CONTEXT_X(0)]
    stp     x2, x3, [sp, #CONTEXT_X(2)]
    stp     x4, x5, [sp, #CONTEXT_X(4)]
    stp     x6, x7, [sp, #CONTEXT_X(6)]
    stp     x8, x9, [sp, #CONTEXT_X(8)]
    stp     x10, x11, [sp, #CONTEXT_X(10)]
    stp     x12, x13, [sp, #CONTEXT_X(12)]
    stp     x14, x15, [sp, #CONTEXT_X(14)]
    stp     x16, x17, [sp, #CONTEXT_X(16)]
    stp     x18, x19, [sp, #CONTEXT_X(18)]
    stp     x20, x21, [sp, #CONTEXT_X(20)]
    stp     x22, x23, [sp, #CONTEXT_X(22)]
    stp     x24, x25, [sp, #CONTEXT_X(24)]
    stp     x26, x27, [sp, #CONTEXT_X(26)]
    stp     x28, x29, [sp, #CONTEXT_X(28)]
    mrs     x1, sp_el0
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    mrs     x4, tpidr_el0
    stp     x30, x1, [sp, #CONTEXT_X(30)]
    stp     x2, x3, [sp, #CONTEXT_PC]
    str     x4, [sp, #CONTEXT_TLS]
    .endm

    .macro kernel_stack // 4 instructions; a zero frame pointer ends backtraces
    mrs     x0, tpidr_el1
    ldr     x0, [x0, #PERCPU_STACK_TOP]
    mov     sp, x0
    mov     x29, xzr
    .endm

    .macro slot
    .balign 0x80
    .endm

    .macro kernel_trap_slot kind
    slot
    mov     x0, #\kind
    b       kernel_trap
    .endm

    .section .text.vectors, "ax", %progbits
    .balign 0x800
    .globl  vectors
vectors:
    // From EL1 on SP_EL0, which the kernel never selects.
    kernel_trap_slot 4
    kernel_trap_slot 4
    kernel_trap_slot 4
    kernel_trap_slot 4
    // From EL1. The kinds are those of trap.c.
    slot
    b       kernel_sync
    kernel_trap_slot 1
    kernel_trap_slot 2
    kernel_trap_slot 3
    // From EL0.
    slot
    save_user
    kernel_stack
    mrs     x0, esr_el1
    b       user_sync
    slot
    save_user
    kernel_stack
    bl      entry_interrupt
    b       return_to_user
    slot // FIQ: masked in user mode too, no controller here signals it
    mov     x0, #2
    b       kernel_trap
    slot
    save_user
    kernel_stack
    b       user_fault
    // From EL0 in AArch32, which no saved PSTATE ever selects.
    kernel_trap_slot 4
    kernel_trap_slot 4
    kernel_trap_slot 4
    kernel_trap_slot 4
    .balign 0x80

user_sync:
    lsr     x1, x0, #26
    cmp     x1, #0x15 // ESR_EL1.EC: SVC in AArch64
    b.ne    user_fault
    bl      entry_syscall

return_to_user:
    ldr     x4, [x0, #CONTEXT_TLS]
    ldp     x2, x3, [x0, #CONTEXT_PC]
    ldp     x30, x1, [x0, #CONTEXT_X(30)]
    mov     sp, x0
    msr     tpidr_el0, x4
    msr     spsr_el1, x3
    msr     elr_el1, x2
    msr     sp_el0, x1
    ldp     x28, x29, [sp, #CONTEXT_X(28)]
    ldp     x26, x27, [sp, #CONTEXT_X(26)]
    ldp     x24, x25, [sp, #CONTEXT_X(24)]
    ldp     x22, x23, [sp, #CONTEXT_X(22)]
    ldp     x20, x21, [sp, #CONTEXT_X(20)]
    ldp     x18, x19, [sp, #CONTEXT_X(18)]
    ldp     x16, x17, [sp, #CONTEXT_X(16)]
    ldp     x14, x15, [sp, #CONTEXT_X(14)]
    ldp     x12, x13, [sp, #CONTEXT_X(12)]
    ldp     x10, x11, [sp, #CONTEXT_X(10)]
    ldp     x8, x9, [sp, #CONTEXT_X(8)]
    ldp     x6, x7, [sp, #CONTEXT_X(6)]
    ldp     x4, x5, [sp, #CONTEXT_X(4)]
    ldp     x2, x3, [sp, #CONTEXT_X(2)]
    ldp     x0, x1, [sp, #CONTEXT_X(0)]
    eret
    dsb     nsh // nothing is speculated past the return
    isb

user_fault:
    bl      trap_user
    b       return_to_user

// void arch_enter_user(struct arch_context *context)
    .globl  arch_enter_user
arch_enter_user:
    msr     daifset, #0xf
    b       return_to_user

// bool arch_device_probe(const volatile uint32_t *at, uint32_t *value)
//
// What nothing answers is refused by a synchronous external abort (DDI 0487, D19.2.37: data fault
// status 0x10): the load did not happen. A machine that reports it later, by an SError, cannot be
// helped.
    .globl  arch_device_probe
arch_device_probe:
device_probe_load:
    ldr     w2, [x0]
    str     w2, [x1]
    mov     w0, #1
    ret
device_probe_refused:
    mov     w0, #0
    ret

// x2 and x3 are free at the load, and of no interest elsewhere.
kernel_sync:
    mrs     x2, elr_el1
    adr     x3, device_probe_load
    cmp     x2, x3
    b.ne    1f
    mrs     x2, esr_el1
    lsr     x3, x2, #26
    cmp     x3, #0x25 // ESR_EL1.EC: data abort from EL1
    b.ne    1f
    and     x2, x2, #0x3f
    cmp     x2, #0x10
    b.ne    1f
    adr     x2, device_probe_refused
    msr     elr_el1, x2
    eret
    dsb     nsh
    isb
1:  mov     x0, #0
    b       kernel_trap

// x0: kind. Nothing returns from here, so registers need not be saved.
kernel_trap:
    mov     x1, sp
    mov     x2, x29
    mrs     x3, tpidrro_el0
    add     x3, x3, #1
    msr     tpidrro_el0, x3
    cmp     x3, #2
    b.hi    park
    b.ne    1f
    adrp    x4, boot_percpu
    add     x4, x4, :lo12:boot_percpu
    msr     tpidr_el1, x4
1:  mrs     x4, tpidr_el1
    ldr     x4, [x4, #PERCPU_EMERGENCY_TOP]
    mov     sp, x4
    mov     x29, xzr
    bl      trap_kernel
park:
    wfe
    b       park
