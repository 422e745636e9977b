// SPDX-License-Identifier: MIT
//
// One system call, AArch64. Number in x8, arguments in x0-x5; status in x0, results in x1-x4.
// The kernel may read and write the message buffer, hence the memory clobber.
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
    register uint64_t x8 __asm__("x8") = number;
    register uint64_t x0 __asm__("x0") = a0;
    register uint64_t x1 __asm__("x1") = a1;
    register uint64_t x2 __asm__("x2") = a2;
    register uint64_t x3 __asm__("x3") = a3;
    register uint64_t x4 __asm__("x4") = a4;
    register uint64_t x5 __asm__("x5") = a5;
    __asm__ volatile("svc #0"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4)
                     : "r"(x8), "r"(x5)
                     : "memory", "cc");
    return (struct raw_result){(status_t)x0, {x1, x2, x3, x4}};
}
