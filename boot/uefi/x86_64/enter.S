// SPDX-License-Identifier: MIT
//
// machine_jump(rcx = struct jump): copies the kernel to its place and enters it: docs/boot.md, "The
// entry". What comes after the first jump runs in a page of its own (cpu.c), with nothing in memory
// but what is being copied.
    .text
    .globl machine_jump
machine_jump:
    cli
    cld
    movq 0(%rcx), %rax
    movq 8(%rcx), %rdx
    movq 16(%rcx), %rdi
    movq 24(%rcx), %rsi
    movq 40(%rcx), %rbx
    movq 48(%rcx), %rbp
    movq 32(%rcx), %rcx
    jmp *%rax

    .globl machine_copy
machine_copy:
    movq %rdx, %cr3
    rep movsb
    movq %rbp, %rdi
    xorl %ebp, %ebp
    jmp *%rbx
    .globl machine_copy_end
machine_copy_end:
