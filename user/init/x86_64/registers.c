// SPDX-License-Identifier: MIT
//
// x86_64: the return address is on the stack.
#include "../registers.h"

const char *const register_names[ABI_FAULT_REGISTERS] = {
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8",
    "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rflags",
};

const bool call_pushes = true;

uint64_t register_link(const struct abi_fault *fault)
{
    (void)fault;
    return 0;
}
