// SPDX-License-Identifier: MIT
//
// System calls for SDK code that is tested on the host: each goes to one function of the test.
#pragma once

#include <stdint.h>
#include <stdlib.h> // has a timer_t of its own

#include <abi/generated.h>

#define timer_t sdk_timer_t

struct raw_result {
    status_t status;
    uint64_t value[4];
};

struct raw_result raw_syscall(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                              uint64_t a4, uint64_t a5);
