// SPDX-License-Identifier: MIT
//
// x87, XMM or YMM registers, and their control words: FCW in the low half of `control`, MXCSR above.
#include "../registers.h"

#include <stddef.h>

static_assert(offsetof(struct registers, x87) == 512 &&
              offsetof(struct registers, control) == 640 &&
              offsetof(struct registers, wide) == 648);

// clang-format off
__asm__(
    ".macro all op, size, prefix\n"
    "  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "    .ifc \\op,load\n"
    "      \\size (32 * \\n)(%rdi), %\\prefix\\()\\n\n"
    "    .else\n"
    "      \\size %\\prefix\\()\\n, (32 * \\n)(%rdi)\n"
    "    .endif\n"
    "  .endr\n"
    ".endm\n"

    // rdi: where to.
    "store_all:\n"
    "  stmxcsr 644(%rdi)\n"
    "  fnstcw 640(%rdi)\n"
    "  cmpq $0, 648(%rdi)\n"
    "  je 1f\n"
    "  all store, vmovdqu, ymm\n"
    "  jmp 2f\n"
    "1: all store, movdqu, xmm\n"
    "2: .irp n, 0,1,2,3,4,5,6,7\n"
    "    fstpt (512 + 16 * \\n)(%rdi)\n"
    "  .endr\n"
    // As the C calling convention has them, for whoever comes next.
    "  fninit\n"
    "  pushq $0x1f80\n"
    "  ldmxcsr (%rsp)\n"
    "  addq $8, %rsp\n"
    "  ret\n"

    ".global registers_store\n"
    "registers_store:\n"
    "  jmp store_all\n"

    // rdi, rsi, rdx, rcx, r8, r9 as declared.
    ".global registers_through\n"
    "registers_through:\n"
    "  pushq %rbx\n"
    "  movq %rsi, %rbx\n"
    "  movq %rdx, %rax\n"
    "  fninit\n"
    "  .irp n, 7,6,5,4,3,2,1,0\n"
    "    fldt (512 + 16 * \\n)(%rdi)\n"
    "  .endr\n"
    "  fldcw 640(%rdi)\n"
    "  ldmxcsr 644(%rdi)\n"
    "  cmpq $0, 648(%rdi)\n"
    "  je 1f\n"
    "  all load, vmovdqu, ymm\n"
    "  jmp 3f\n"
    "1: all load, movdqu, xmm\n"
    "3: decq %r9\n"
    "  jns 3b\n"
    "  movq %rcx, %rdi\n"
    "  movq %r8, %rsi\n"
    "  syscall\n"
    "  movq %rbx, %rdi\n"
    "  call store_all\n"
    "  popq %rbx\n"
    "  ret\n");
// clang-format on

void registers_find(struct registers *registers)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;
    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    registers->wide = ecx >> 27 & ecx >> 28 & 1; // XSAVE is on, and there is AVX
}

uint64_t registers_initial_control(void)
{
    return 0x1f80ull << 32 | 0x37f;
}

static uint64_t control(uint64_t number)
{
    const uint64_t rounding = number & 3, flush = number >> 2 & 1;
    return (0x1f80 | rounding << 13 | flush << 15) << 32 | 0x37f | rounding << 10;
}

void registers_fill(struct registers *registers, struct random *dice)
{
    for (unsigned i = 0; i < REGISTER_BYTES; i += 8) {
        const bool there = registers->wide != 0 || i % 32 < 16;
        const uint64_t word = there ? random_next(dice) : 0;
        memcpy(&registers->vectors[i], &word, sizeof(word));
    }
    for (unsigned i = 0; i < ARRAY_SIZE(registers->x87); i++) {
        const uint64_t fraction = random_next(dice) | 1ull << 63; // a normal number
        const uint16_t exponent = (uint16_t)(0x3000 + random_below(dice, 0x1000));
        memcpy(&registers->x87[i][0], &fraction, sizeof(fraction));
        memcpy(&registers->x87[i][8], &exponent, sizeof(exponent));
    }
    registers->control = control(random_next(dice));
}
