// SPDX-License-Identifier: MIT
//
// What user space needs to know of its processor, x86_64.
#pragma once

#include <stdint.h>

#include <lib/elf.h>

constexpr uint16_t SDK_ELF_MACHINE = ELF_MACHINE_X86_64;

// A function expects the stack as a call leaves it: aligned to 16 before the return address.
constexpr uint64_t SDK_ENTRY_STACK_BIAS = 8;
