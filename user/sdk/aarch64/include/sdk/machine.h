// SPDX-License-Identifier: MIT
//
// What user space needs to know of its processor, AArch64.
#pragma once

#include <stdint.h>

#include <lib/elf.h>

constexpr uint16_t SDK_ELF_MACHINE = ELF_MACHINE_AARCH64;

// A function expects the stack pointer aligned to 16; nothing is pushed by a call.
constexpr uint64_t SDK_ENTRY_STACK_BIAS = 0;
