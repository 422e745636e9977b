// SPDX-License-Identifier: MIT
//
// A 16550 UART behind I/O ports as debug console: polled, 115200 8N1, its interrupts off.
#pragma once

#include <hal/hal.h>

// Sets the UART at `port` up. nullptr: nothing there answers like a UART.
const struct console *uart_16550_init(uint16_t port);
