// SPDX-License-Identifier: MIT
//
// Names of struct abi_fault's registers, in their order. Defined per architecture.
#pragma once

#include <stdint.h>

#include <abi/layout.h>

extern const char *const register_names[ABI_FAULT_REGISTERS];

// Where the function that faulted returns to, if a register says so; 0 if not.
uint64_t register_link(const struct abi_fault *fault);
