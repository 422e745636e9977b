// SPDX-License-Identifier: MIT
//
// Names of struct abi_fault's registers, in their order, and how calls return. Defined per
// architecture.
#pragma once

#include <stdint.h>

#include <abi/layout.h>

extern const char *const register_names[ABI_FAULT_REGISTERS];

// Where the return address of what was just called stands: in a register (the value), or on top
// of the stack (`call_pushes` is true, and the value is 0).
extern const bool call_pushes;
uint64_t register_link(const struct abi_fault *fault);
