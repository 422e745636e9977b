// SPDX-License-Identifier: MIT
//
// The first C function of a program, called by start.S with what the kernel put into the first
// two argument registers.
#pragma once

#include <stdint.h>

[[noreturn]] void sdk_entry(uint64_t argument, uint64_t gift);
