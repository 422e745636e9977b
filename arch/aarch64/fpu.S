// SPDX-License-Identifier: MIT
//
// FP and vector registers of user threads (struct arch_fpu). CPACR_EL1.FPEN switches them off, for
// the kernel too, which never touches them but here. SVE and SME stay off: ZEN and SMEN are zero.
    .arch   armv8-a+fp+simd

    .set    FPU_CONTROL, 32 * 16
    .set    CPACR_FPEN, 3 << 20

    .macro  all_pairs op
    \op     q0, q1, [x0, #0 * 32]
    \op     q2, q3, [x0, #1 * 32]
    \op     q4, q5, [x0, #2 * 32]
    \op     q6, q7, [x0, #3 * 32]
    \op     q8, q9, [x0, #4 * 32]
    \op     q10, q11, [x0, #5 * 32]
    \op     q12, q13, [x0, #6 * 32]
    \op     q14, q15, [x0, #7 * 32]
    \op     q16, q17, [x0, #8 * 32]
    \op     q18, q19, [x0, #9 * 32]
    \op     q20, q21, [x0, #10 * 32]
    \op     q22, q23, [x0, #11 * 32]
    \op     q24, q25, [x0, #12 * 32]
    \op     q26, q27, [x0, #13 * 32]
    \op     q28, q29, [x0, #14 * 32]
    \op     q30, q31, [x0, #15 * 32]
    .endm

    .text

// void arch_fpu_restore(const struct arch_fpu *fpu)
    .globl  arch_fpu_restore
    .type   arch_fpu_restore, %function
arch_fpu_restore:
    mov     x1, #CPACR_FPEN
    msr     cpacr_el1, x1
    isb
    all_pairs ldp
    add     x0, x0, #FPU_CONTROL
    ldp     x1, x2, [x0]
    msr     fpcr, x1
    msr     fpsr, x2
    ret

// void arch_fpu_save(struct arch_fpu *fpu): the return to user mode makes the switch be seen there.
    .globl  arch_fpu_save
    .type   arch_fpu_save, %function
arch_fpu_save:
    all_pairs stp
    mrs     x1, fpcr
    mrs     x2, fpsr
    add     x0, x0, #FPU_CONTROL
    stp     x1, x2, [x0]
    msr     cpacr_el1, xzr
    ret
