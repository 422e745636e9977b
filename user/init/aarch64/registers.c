// SPDX-License-Identifier: MIT
//
// AArch64: the link register holds the return address of a function that calls no other.
#include "../registers.h"

const char *const register_names[ABI_FAULT_REGISTERS] = ABI_REGISTER_NAMES_AARCH64;

const bool call_pushes = false;

constexpr unsigned LINK_REGISTER = 30;

uint64_t register_link(const struct abi_fault *fault)
{
    return fault->registers[LINK_REGISTER];
}
