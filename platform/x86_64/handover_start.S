// SPDX-License-Identifier: MIT
//
// The first instructions, entered by the handover contract (docs/boot.md): 64-bit mode, memory
// mapped one to one by the loader's tables, interrupts off, rdi = physical address of struct
// abi_handover. The loader has seen to it that there are no-execute pages and four levels.
//
// Goes over to the tables of pvh_start.S and on as it does.
#include <arch/layout.h>

    .section .note.skerry, "a", @note
    .balign 4
    .long 7, 32, 1 // sizes of name and value; HANDOVER_NOTE_TYPE
    .asciz "Skerry"
    .balign 4
    .long 1, 0 // HANDOVER_VERSION; exactly at the segments' addresses
    .quad handover_start
    .quad 0x100000           // behind the image: for page tables
    .quad LAYOUT_BOOT_MAPPED // where the handover can be read

    .section .boot, "awx", @progbits
    .code64
    .global handover_start
    .type handover_start, @function
handover_start:
    cli
    cld
    movq %rdi, %rbp
    movl $boot_pages, %edi
    movl $0x83, %eax // present, writable, large
1:
    movq %rax, (%rdi)
    addq $8, %rdi
    addq $0x200000, %rax
    cmpq $LAYOUT_BOOT_MAPPED, %rax
    jb 1b

    movl $0xc0000080, %ecx // EFER: NXE; LME is on
    rdmsr
    orl $(1 << 11), %eax
    wrmsr
    // All that the firmware may have switched on beyond goes off; PGE last, so that nothing global
    // of the old tables stays.
    movl $(1 << 5), %eax // PAE
    movq %rax, %cr4
    movl $boot_root, %eax
    movq %rax, %cr3
    movl $(1 << 5 | 1 << 7), %eax
    movq %rax, %cr4
    movl $(1 << 31 | 1 << 16 | 1 << 4 | 1), %eax // PG, WP, ET, PE; caches on
    movq %rax, %cr0
    lgdt handover_gdt_register
    movl $1, %ebx // ENTRY_HANDOVER
    movl $stack_end, %esp
    pushq $SELECTOR_KERNEL_CODE
    movabsq $start_high, %rax
    pushq %rax
    lretq

    .balign 8
handover_gdt_register:
    .word 4 * 8 - 1
    .quad boot_gdt
    .balign 8
    .skip 16 // for the far return
stack_end:

    .section .note.GNU-stack, "", @progbits
