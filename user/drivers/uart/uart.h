// SPDX-License-Identifier: MIT
//
// What the console needs of a UART, and the chips that provide it. Line settings are left as
// the firmware made them.
#pragma once

#include <stdint.h>

#include <sdk/driver.h>

struct uart {
    const struct uart_chip *chip;
    const struct device *device;
    uint8_t interrupts; // which are enabled, in the chip's own terms
};

struct uart_chip {
    const char *compatible;
    // Empties the receiver and lets it interrupt; the transmitter does not.
    void (*enable)(struct uart *uart);
    // Takes one byte that was received; false: there is none.
    bool (*receive)(struct uart *uart, uint8_t *byte);
    // How many bytes can be handed to the transmitter now.
    unsigned (*room)(struct uart *uart);
    void (*transmit)(struct uart *uart, uint8_t byte);
    // Whether the last bit has left.
    bool (*idle)(struct uart *uart);
    // Chooses the events that interrupt: something was received; there is room to transmit.
    void (*interrupt_on)(struct uart *uart, bool received, bool room);
    // Clears what the chip latched, before bytes are moved. True: there was a cause, and when
    // bytes were moved it must be called again before the line can be acknowledged.
    bool (*clear)(struct uart *uart);
};

extern const struct uart_chip uart_16550, uart_pl011, uart_sbsa, uart_bcm_aux;
