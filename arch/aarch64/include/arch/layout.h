// SPDX-License-Identifier: MIT
//
// Numbers that C, assembly and the linker script share. <arch/cpu.h> proves the offsets.
#pragma once

// Where things are in the kernel's half. (kernel.ld asserts that it was linked there.)
#define LAYOUT_DIRECT_MAP 0xffff000000000000
#define LAYOUT_DIRECT_MAP_BITS 47
#define LAYOUT_DEVICE_WINDOW 0xffffff8000000000
#define LAYOUT_IMAGE 0xffffffff80000000

// The kernel image, .bss and stack together, must fit into this many 2 MiB tables.
#define LAYOUT_IMAGE_TABLES 4

#define LAYOUT_STACK_BYTES 16384
#define LAYOUT_EMERGENCY_BYTES 8192

// struct arch_context
#define CONTEXT_X(n) ((n) * 8)
#define CONTEXT_SP 248
#define CONTEXT_PC 256
#define CONTEXT_TLS 272

// struct arch_percpu
#define PERCPU_CURRENT 0
#define PERCPU_STACK_TOP 8
#define PERCPU_EMERGENCY_TOP 24

// struct parked, of CPUs that come from a spin table: affinity fields of MPIDR_EL1, and its bit 31,
// which reads as one, for an entry in use.
#define PARKED_CPUS 64
#define PARKED_BYTES 16
#define PARKED_ID_MASK 0xff00ffffff
#define PARKED_ID_USED 0x80000000
