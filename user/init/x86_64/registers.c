// SPDX-License-Identifier: MIT
//
// x86_64: the return address is on the stack.
#include "../registers.h"

const char *const register_names[ABI_FAULT_REGISTERS] = ABI_REGISTER_NAMES_X86_64;

const bool call_pushes = true;

uint64_t register_link(const struct abi_fault *fault)
{
    (void)fault;
    return 0;
}
