// SPDX-License-Identifier: MIT
//
// V0 to V31; FPCR in the low half of `control`, FPSR above. The low halves of v8 to v15 are their
// caller's.
#include "../registers.h"

#include <stddef.h>

static_assert(offsetof(struct registers, control) == 640);

// clang-format off
__asm__(
    ".macro all op, base\n"
    "  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "    \\op q\\n, [\\base, #(16 * \\n)]\n"
    "  .endr\n"
    ".endm\n"

    ".global registers_store\n"
    "registers_store:\n"
    "  all str, x0\n"
    "  mrs x1, fpcr\n"
    "  mrs x2, fpsr\n"
    "  add x3, x0, #640\n"
    "  stp w1, w2, [x3]\n"
    "  ret\n"

    // x0 to x5 as declared.
    ".global registers_through\n"
    "registers_through:\n"
    "  stp x29, x30, [sp, #-96]!\n"
    "  stp x19, x20, [sp, #16]\n"
    "  stp d8, d9, [sp, #32]\n"
    "  stp d10, d11, [sp, #48]\n"
    "  stp d12, d13, [sp, #64]\n"
    "  stp d14, d15, [sp, #80]\n"
    "  mov x19, x1\n"
    "  mov x8, x2\n"
    "  add x9, x0, #640\n"
    "  ldp w6, w7, [x9]\n"
    "  msr fpcr, x6\n"
    "  msr fpsr, x7\n"
    "  all ldr, x0\n"
    "1: subs x5, x5, #1\n"
    "  b.pl 1b\n"
    "  mov x0, x3\n"
    "  mov x1, x4\n"
    "  svc #0\n"
    "  mov x20, x0\n"
    "  mov x0, x19\n"
    "  bl registers_store\n"
    "  msr fpcr, xzr\n"
    "  mov x0, x20\n"
    "  ldp d14, d15, [sp, #80]\n"
    "  ldp d12, d13, [sp, #64]\n"
    "  ldp d10, d11, [sp, #48]\n"
    "  ldp d8, d9, [sp, #32]\n"
    "  ldp x19, x20, [sp, #16]\n"
    "  ldp x29, x30, [sp], #96\n"
    "  ret\n");
// clang-format on

void registers_find(struct registers *registers)
{
    registers->wide = 0;
}

uint64_t registers_initial_control(void)
{
    return 0;
}

// Rounding, flush to zero, default NaN; the cumulative exception bits.
static uint64_t control(uint64_t number)
{
    return (number & 0xf) << 22 | (number >> 4 & 0x1f) << 32;
}

void registers_fill(struct registers *registers, struct random *dice)
{
    for (unsigned i = 0; i < REGISTER_BYTES; i += 8) {
        const uint64_t word = random_next(dice);
        memcpy(&registers->vectors[i], &word, sizeof(word));
    }
    registers->control = control(random_next(dice));
}
