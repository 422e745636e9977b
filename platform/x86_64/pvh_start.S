// SPDX-License-Identifier: MIT
//
// The first instructions, by the PVH protocol (Xen, docs/misc/pvh.pandoc): 32-bit protected mode,
// flat segments, paging off, ebx = physical address of struct hvm_start_info.
//
// Builds tables of 2 MiB pages for the first LAYOUT_BOOT_MAPPED bytes at three places: where they
// are (for these instructions), in the direct map and in the kernel's image. Then 64-bit mode,
// the boot stack, platform_start. Does not return.
#include <arch/layout.h>

#define PHYSICAL(symbol) ((symbol) - LAYOUT_IMAGE)

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18 // sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start

    .section .boot, "awx", @progbits
    .code32
    .global pvh_start
    .type pvh_start, @function
pvh_start:
    cli
    cld
    // 64-bit mode (bit 29) and pages that cannot be executed (bit 20), or nothing works.
    movl %ebx, %ebp
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb too_old
    movl $0x80000001, %eax
    cpuid
    andl $(1 << 29 | 1 << 20), %edx
    cmpl $(1 << 29 | 1 << 20), %edx
    jne too_old

    movl $boot_pages, %edi
    movl $0x83, %eax // present, writable, large
1:
    movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    cmpl $LAYOUT_BOOT_MAPPED, %eax
    jb 1b

    movl $boot_root, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $(1 << 5 | 1 << 7), %eax // PAE, PGE
    movl %eax, %cr4
    movl $0xc0000080, %ecx // EFER: LME, NXE
    rdmsr
    orl $(1 << 8 | 1 << 11), %eax
    wrmsr
    movl %cr0, %eax
    orl $(1 << 31 | 1 << 16 | 1), %eax // PG, WP, PE
    movl %eax, %cr0
    lgdt boot_gdt_register
    ljmpl $SELECTOR_KERNEL_CODE, $long_mode

too_old:
    movl $message, %esi
1:
    movb (%esi), %al
    testb %al, %al
    jz 3f
    movb %al, %ah
    movw $(0x3f8 + 5), %dx // COM1, as isa_facts.h says; too early to share it
2:
    inb %dx, %al
    testb $0x20, %al
    jz 2b
    movb %ah, %al
    movw $0x3f8, %dx
    outb %al, %dx
    incl %esi
    jmp 1b
3:
    hlt
    jmp 3b
message:
    .asciz "Skerry needs a 64-bit processor with no-execute pages.\r\n"

    .code64
long_mode:
    movl %ebp, %ebp // what is above is not known
    xorl %ebx, %ebx // ENTRY_PVH
    movabsq $start_high, %rax
    jmp *%rax

    .balign 8
    .global boot_gdt
boot_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
    .quad 0x00cf9b000000ffff // 32-bit code: SELECTOR_START
    .global boot_gdt_register
boot_gdt_register:
    .word boot_gdt_register - boot_gdt - 1
    .long boot_gdt

    .balign 4096
    .global boot_root
boot_root:
    .quad boot_low + 3
    .fill 255, 8, 0
    .quad boot_low + 3 // LAYOUT_DIRECT_MAP
    .fill 254, 8, 0
    .quad boot_high + 3
boot_low:
    .quad boot_pages + 3
    .fill 511, 8, 0
boot_high:
    .fill 510, 8, 0
    .quad boot_pages + 3 // LAYOUT_IMAGE
    .quad 0
    .global boot_pages
boot_pages:
    .fill 512, 8, 0

    // ebp = what the loader told, ebx = enum entry_way
    .text
    .global start_high
    .type start_high, @function
start_high:
    xorl %eax, %eax
    movw %ax, %ss
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movq $arch_boot_stack_top, %rsp
    movq %rbp, %rdi
    movl %ebx, %esi
    xorl %ebp, %ebp
    call platform_start
    ud2

    .section .stack, "aw", @nobits
    .balign 4096
    .skip LAYOUT_STACK_BYTES

    .section .note.GNU-stack, "", @progbits
