// SPDX-License-Identifier: MIT
//
// The first instructions of a CPU that a start-up IPI woke (SDM volume 3, 9.4.4): real mode, at
// the beginning of a page below 1 MiB, to which arch_cpu_prepare has copied the first part. By
// the tables of the boot CPU's first instructions, which map low memory one to one and which
// nothing else uses any more, to the kernel's own.
#include <arch/layout.h>

    .section .rodata.secondary, "a", @progbits
    .code16
    .global secondary_start
secondary_start: // copied, never run here: only what is relative to the page, or absolute
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    lgdtl secondary_gdt_register - secondary_start
    movl $1, %eax // PE alone; caches are switched on with paging
    movl %eax, %cr0
    ljmpl $SELECTOR_START, $protected_mode
secondary_gdt_register:
    .word 4 * 8 - 1
    .long boot_gdt
    .global secondary_start_end
secondary_start_end:

    .section .boot, "awx", @progbits
    .code32
protected_mode:
    movw $SELECTOR_KERNEL_DATA, %ax
    movw %ax, %ds
    movw %ax, %ss
    movl $boot_root, %eax
    movl %eax, %cr3
    movl $(1 << 5 | 1 << 7), %eax // PAE, PGE
    movl %eax, %cr4
    movl $0xc0000080, %ecx // EFER: LME, NXE
    rdmsr
    orl $(1 << 8 | 1 << 11), %eax
    wrmsr
    movl $(1 << 31 | 1 << 16 | 1 << 4 | 1), %eax // PG, WP, ET, PE
    movl %eax, %cr0
    ljmpl $SELECTOR_KERNEL_CODE, $long_mode_secondary

    .code64
long_mode_secondary:
    movabsq $secondary_high, %rax
    jmp *%rax

    .text
    .type secondary_high, @function
secondary_high:
    xorl %eax, %eax
    movw %ax, %ss
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movq secondary_root, %rax
    movq %rax, %cr3 // forgets the tables of the start
    // Taken by one CPU only: another that was given up and comes late must not share its stack.
    xorl %edi, %edi
    xchgq %rdi, secondary_percpu
    testq %rdi, %rdi
    jz too_late
    movq PERCPU_STACK_TOP(%rdi), %rsp
    xorl %ebp, %ebp
    call arch_secondary_start
    ud2
too_late:
    cli
    hlt
    jmp too_late

    .section .note.GNU-stack, "", @progbits
