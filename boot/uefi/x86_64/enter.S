// SPDX-License-Identifier: MIT
//
// machine_enter(rcx = entry, rdx = handover): docs/boot.md, "The entry". The firmware's page
// tables and segments stay in force until the kernel has its own.
    .text
    .globl machine_enter
machine_enter:
    cli
    cld
    movq %rdx, %rdi
    xorl %ebp, %ebp
    jmp *%rcx
