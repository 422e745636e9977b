// SPDX-License-Identifier: MIT
//
// machine_jump(x0 = entry, x1 = handover): docs/boot.md, "The entry". MMU and caches off, as the
// kernel's first instructions expect them; memory is mapped one to one, so this code goes on where
// it is. Its own bytes have to be where a fetch that goes past the caches finds them.
#define SCTLR_OFF (1 << 0 | 1 << 2 | 1 << 12) // M, C, I

    .text
    .globl machine_jump
    .p2align 2
machine_jump:
    msr     daifset, #0xf
    mov     x19, x0
    mov     x20, x1
    adr     x0, machine_jump
    adr     x1, machine_jump_end
    mrs     x2, ctr_el0
    ubfx    x2, x2, #16, #4
    mov     x3, #4
    lsl     x2, x3, x2
    sub     x3, x2, #1
    bic     x0, x0, x3
1:  dc      cvac, x0
    add     x0, x0, x2
    cmp     x0, x1
    b.lo    1b
    dsb     sy
    ic      iallu
    dsb     sy
    isb
    ldr     w3, =SCTLR_OFF
    mrs     x2, CurrentEL
    cmp     x2, #(2 << 2)
    b.eq    2f
    mrs     x2, sctlr_el1
    bic     x2, x2, x3
    msr     sctlr_el1, x2
    b       3f
2:  mrs     x2, sctlr_el2
    bic     x2, x2, x3
    msr     sctlr_el2, x2
3:  isb
    mov     x0, x20
    mov     x1, #0
    mov     x2, #0
    mov     x3, #0
    br      x19
    .ltorg
machine_jump_end:
