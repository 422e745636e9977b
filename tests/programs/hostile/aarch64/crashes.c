// SPDX-License-Identifier: MIT
//
// AArch64: privileged, undefined and odd instructions. System registers and system instructions
// are swept whole in sweep.c.
#include "../hostile.h"

const uint64_t kernel_addresses[] = {
    0xffff'0000'0000'0000, // the direct map
    0xffff'0000'4020'0000,
    0xffff'ff80'0000'0000, // devices
    0xffff'ffff'8000'0000, // the image
    0xffff'ffff'ffff'fff8,
    0x0001'0000'0000'0000, // in neither half
    0xfffe'ffff'ffff'fff8,
};
const uint32_t kernel_address_count = ARRAY_SIZE(kernel_addresses);

// clang-format off
#define CASES(X) \
    X(udf, CAUSE(INSTRUCTION), "udf #0") \
    X(unallocated, CAUSE(INSTRUCTION), ".inst 0xffffffff") \
    X(hvc, CAUSE(INSTRUCTION), "hvc #0") \
    X(smc, CAUSE(INSTRUCTION) | CAUSE(OTHER), "smc #0") \
    X(eret, CAUSE(INSTRUCTION), "eret") \
    X(drps, CAUSE(INSTRUCTION), "drps") \
    X(hlt, CAUSE(INSTRUCTION), "hlt #0") \
    X(dcps1, CAUSE(INSTRUCTION), "dcps1") \
    X(brk, CAUSE(BREAKPOINT), "brk #0") \
    X(brk_high, CAUSE(BREAKPOINT), "brk #0xffff") \
    X(wfi, CAUSE(INSTRUCTION) | HARMLESS, "wfi") \
    X(wfe, CAUSE(INSTRUCTION) | HARMLESS, "sevl; wfe") \
    X(daif_set, CAUSE(INSTRUCTION), "msr daifset, #2") \
    X(daif_clear, CAUSE(INSTRUCTION), "msr daifclr, #15") \
    X(select_stack, CAUSE(INSTRUCTION), "msr spsel, #1") \
    X(float_move, HARMLESS, ".inst 0x1e604000") \
    X(vector, HARMLESS, ".inst 0x4e201c00") \
    X(vector_load, HARMLESS, "mov x0, sp; .inst 0x3dc00000") \
    X(float_divide, CAUSE(ARITHMETIC) | HARMLESS, /* by 0, all traps on, where there are any */ "mov x0, #0x9f00; msr s3_3_c4_c4_0, x0; .inst 0x9e6703e0; .inst 0x1e601800; mov x8, #-1; svc #0") \
    X(scalable, CAUSE(INSTRUCTION), ".inst 0x04e0e3e0") \
    X(streaming, CAUSE(INSTRUCTION), ".inst 0xd503477f") \
    X(translate, CAUSE(INSTRUCTION), "at s1e1r, x0") \
    X(invalidate, CAUSE(INSTRUCTION), "tlbi vmalle1") \
    X(cache_way, CAUSE(INSTRUCTION), "dc isw, x0") \
    X(cache_kernel, CAUSE(INSTRUCTION) | CAUSE(READ) | CAUSE(WRITE), "mov x0, #0xffff000000000000; dc civac, x0") \
    X(zero_kernel, CAUSE(INSTRUCTION) | CAUSE(WRITE), "mov x0, #0xffff000000000000; dc zva, x0") \
    X(stack_misaligned, CAUSE(ALIGNMENT) | HARMLESS, /* QEMU 7.2 does not check */ "mov x9, sp; sub x9, x9, #8; mov sp, x9; ldr x0, [sp]") \
    X(stack_kernel, CAUSE(READ), "mov x9, #0xffff000000000000; mov sp, x9; ldr x0, [sp]") \
    X(jump_misaligned, CAUSE(ALIGNMENT), "adr x9, .; add x9, x9, #2; br x9") \
    X(exclusive_misaligned, CAUSE(ALIGNMENT), "mov x9, sp; add x9, x9, #1; ldxr x0, [x9]") \
    X(acquire_misaligned, CAUSE(ALIGNMENT), "mov x9, sp; add x9, x9, #1; ldar x0, [x9]") \
    X(misaligned, HARMLESS, "mov x9, sp; ldr x0, [x9, #1]") \
    X(unprivileged, CAUSE(READ), "mov x9, #0xffff000000000000; ldtr x0, [x9]") \
    X(wild_stack, HARMLESS, "mov x9, sp; mov x10, #0xffff000000000000; mov sp, x10; mov x8, #-1; svc #0; mov sp, x9") \
    X(odd_stack, HARMLESS, "mov x9, sp; add x10, x9, #1; mov sp, x10; mov x8, #-1; svc #0; mov sp, x9") \
    X(svc_number, HARMLESS, "mov x8, #-1; svc #0xffff") \
    X(high_syscalls, HARMLESS, "mov x9, #54; 1: mov x8, x9; mov x0, #-1; svc #0; add x9, x9, #1; cmp x9, #4095; b.lo 1b") \
    X(flags, HARMLESS, "mov x0, #-1; msr nzcv, x0") \
    X(counter, HARMLESS, "isb; mrs x0, cntvct_el0; mrs x0, cntfrq_el0") \
    X(wild_thread_pointer, HARMLESS, "mov x0, #-1; msr tpidr_el0, x0; mov x8, #-1; svc #0")
// clang-format on

#define CLOBBERS "x0", "x1", "x2", "x3", "x4", "x5", "x8", "x9", "x10", "x11", "memory", "cc"
#define DEFINE(id, allowed, text)            \
    static void case_##id(void)              \
    {                                        \
        __asm__ volatile(text ::: CLOBBERS); \
    }
CASES(DEFINE)

#define ROW(id, allowed, text) {#id, case_##id, allowed, ANY_ADDRESS},
const struct crash_case machine_crashes[] = {CASES(ROW)};
const uint32_t machine_crash_count = ARRAY_SIZE(machine_crashes);
