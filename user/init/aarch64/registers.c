// SPDX-License-Identifier: MIT
//
// AArch64: the link register holds the return address of a function that calls no other.
#include "../registers.h"

const char *const register_names[ABI_FAULT_REGISTERS] = {
    "x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",     "x10", "x11",
    "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",    "x22", "x23",
    "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",  "pc",  "pstate",
};

const bool call_pushes = false;

constexpr unsigned LINK_REGISTER = 30;

uint64_t register_link(const struct abi_fault *fault)
{
    return fault->registers[LINK_REGISTER];
}
