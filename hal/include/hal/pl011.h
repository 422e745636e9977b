// SPDX-License-Identifier: MIT
//
// PL011 and SBSA UARTs as the debug console. The firmware has set the line up.
#pragma once

#include <hal/hal.h>

// nullptr: its registers cannot be mapped.
const struct console *pl011_init(paddr_t registers, uint64_t bytes);
