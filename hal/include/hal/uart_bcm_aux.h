// SPDX-License-Identifier: MIT
//
// The mini UART of Broadcom's BCM2835 and those after it as the debug console. The firmware has set the
// line up.
#pragma once

#include <hal/hal.h>

// nullptr: its registers cannot be mapped.
const struct console *uart_bcm_aux_init(paddr_t registers, uint64_t bytes);
