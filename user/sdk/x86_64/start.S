// SPDX-License-Identifier: MIT
//
// The first instruction of a program: rdi = argument, rsi = bootstrap channel. A null frame
// pointer ends backtraces here; the top of the stack is left free for struct stack_top.
.section .text.start, "ax"
.global _start
.type _start, @function
_start:
    xorl %ebp, %ebp
    andq $-16, %rsp
    subq $64, %rsp
    call sdk_entry
    ud2
.size _start, . - _start
