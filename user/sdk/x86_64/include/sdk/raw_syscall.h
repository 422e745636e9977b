// SPDX-License-Identifier: MIT
//
// One system call, x86_64. Number in rax, arguments in rdi rsi rdx r10 r8 r9; status in rax,
// results in rdi rsi rdx r10; rcx and r11 are lost. The kernel may read and write the message
// buffer, hence the memory clobber.
#pragma once

#include <stdint.h>

#include <abi/generated.h>

struct raw_result {
    status_t status;
    uint64_t value[4];
};

static inline struct raw_result raw_syscall(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2,
                                            uint64_t a3, uint64_t a4, uint64_t a5)
{
    register uint64_t r10 __asm__("r10") = a3;
    register uint64_t r8 __asm__("r8") = a4;
    register uint64_t r9 __asm__("r9") = a5;
    __asm__ volatile("syscall"
                     : "+a"(number), "+D"(a0), "+S"(a1), "+d"(a2), "+r"(r10)
                     : "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory", "cc");
    return (struct raw_result){(status_t)number, {a0, a1, a2, r10}};
}
