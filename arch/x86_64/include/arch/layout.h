// SPDX-License-Identifier: MIT
//
// Numbers that C, assembly and the linker script share. <arch/cpu.h> proves the offsets.
#pragma once

// Where things are in the kernel's half.
#define LAYOUT_DIRECT_MAP 0xffff800000000000
#define LAYOUT_DIRECT_MAP_SLOTS 128 // of the root table: 64 TiB
#define LAYOUT_DEVICE_WINDOW 0xffffff0000000000
#define LAYOUT_IMAGE 0xffffffff80000000 // + physical address
#define LAYOUT_IMAGE_PHYSICAL 0x200000

// How much physical memory the tables of start.S map, at LAYOUT_DIRECT_MAP and LAYOUT_IMAGE.
#define LAYOUT_BOOT_MAPPED 0x40000000

#define LAYOUT_STACK_BYTES 16384
#define LAYOUT_FAULT_STACK_BYTES 8192

// Selectors. SYSCALL and SYSRET fix the order: kernel code, kernel data; (unused), user data,
// user code.
#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_START 0x18 // of the first instructions: 32-bit code
#define SELECTOR_USER_BASE 0x18
#define SELECTOR_USER_DATA 0x23
#define SELECTOR_USER_CODE 0x2b
#define SELECTOR_TSS 0x30

// RFLAGS that a system call clears: all that changes how the kernel runs, or tells it nothing.
#define RFLAGS_SYSCALL_MASK 0x257fd5

// struct arch_context: where the registers below the stack frame of an interrupt are saved.
#define CONTEXT_R15 0
#define CONTEXT_R14 8
#define CONTEXT_R13 16
#define CONTEXT_R12 24
#define CONTEXT_RBP 32
#define CONTEXT_RBX 40
#define CONTEXT_RDI 48
#define CONTEXT_RSI 56
#define CONTEXT_RDX 64
#define CONTEXT_R10 72
#define CONTEXT_R8 80
#define CONTEXT_R9 88
#define CONTEXT_RAX 96
#define CONTEXT_RCX 104
#define CONTEXT_R11 112
#define CONTEXT_ENTRY 120
#define CONTEXT_CODE 128
#define CONTEXT_RIP 136
#define CONTEXT_CS 144
#define CONTEXT_RFLAGS 152
#define CONTEXT_RSP 160
#define CONTEXT_SS 168
#define CONTEXT_BYTES 176

// CONTEXT_ENTRY: the vector by which the thread left user mode, or this. Only then may SYSRET
// take it back.
#define ENTRY_SYSCALL -1

// struct arch_percpu, by GS
#define PERCPU_SELF 0
#define PERCPU_CURRENT 8
#define PERCPU_STACK_TOP 16
#define PERCPU_SCRATCH 24
#define PERCPU_VECTOR 32

// Interrupt vectors from here on come from the local APIC; below are the processor's exceptions.
#define VECTOR_FIRST_INTERRUPT 32
#define VECTOR_NMI 2
#define VECTOR_BREAKPOINT 3
#define VECTOR_DOUBLE_FAULT 8
#define VECTOR_MACHINE_CHECK 18
