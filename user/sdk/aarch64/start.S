// SPDX-License-Identifier: MIT
//
// The first instruction of a program: x0 = argument, x1 = bootstrap channel. A null frame
// pointer ends backtraces here; the top of the stack is left free for struct stack_top.
.section .text.start, "ax"
.global _start
.type _start, @function
_start:
    mov x29, xzr
    mov x30, xzr
    sub sp, sp, #64
    bl sdk_entry
    udf #0
.size _start, . - _start
