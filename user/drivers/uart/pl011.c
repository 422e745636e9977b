// SPDX-License-Identifier: MIT
//
// PL011 (ARM DDI 0183G, chapter 3), and the SBSA's generic UART, which is the part of one that is
// left when the firmware has set it up (Arm DEN 0029, appendix B). Its interrupt is a level, of causes
// that the chip latches.
#include "uart.h"

#include <sdk/mmio.h>

enum pl011_register : uint16_t {
    DATA = 0x00,
    FLAGS = 0x18,
    LINE_CONTROL = 0x2c,
    CONTROL = 0x30,
    INTERRUPT_MASK = 0x38,
    INTERRUPT_CLEAR = 0x44,
};

constexpr uint32_t FLAG_BUSY = 1 << 3, FLAG_RECEIVER_EMPTY = 1 << 4, FLAG_FULL = 1 << 5;
constexpr uint32_t LINE_FIFO = 1 << 4, LINE_8_BITS = 3 << 5;
constexpr uint32_t CONTROL_ENABLE = 1, CONTROL_TRANSMIT = 1 << 8, CONTROL_RECEIVE = 1 << 9;
constexpr uint32_t CAUSE_RECEIVED = 1 << 4, CAUSE_ROOM = 1 << 5, CAUSE_RECEIVE_TIMEOUT = 1 << 6;
constexpr uint32_t CAUSES_ALL = 0x7ff;

static uint32_t get(struct uart *uart, enum pl011_register offset)
{
    return mmio_read32(uart->device->windows[0].registers + offset);
}

static void set(struct uart *uart, enum pl011_register offset, uint32_t value)
{
    mmio_write32(uart->device->windows[0].registers + offset, value);
}

static void interrupt_on(struct uart *uart, bool received, bool room)
{
    uint8_t wanted = (uint8_t)((received ? CAUSE_RECEIVED | CAUSE_RECEIVE_TIMEOUT : 0) |
                               (room ? CAUSE_ROOM : 0));
    if (wanted != uart->interrupts)
        set(uart, INTERRUPT_MASK, wanted);
    uart->interrupts = wanted;
}

// "Received" clears itself when the FIFO is read; cleared here it could be lost.
static bool clear(struct uart *uart)
{
    set(uart, INTERRUPT_CLEAR, CAUSES_ALL & ~(CAUSE_RECEIVED | CAUSE_RECEIVE_TIMEOUT));
    return false;
}

static void enable_sbsa(struct uart *uart)
{
    uart->interrupts = 0xff;
    interrupt_on(uart, false, false);
    (void)clear(uart);
    interrupt_on(uart, true, false);
}

static void enable(struct uart *uart)
{
    set(uart, INTERRUPT_MASK, 0);
    set(uart, LINE_CONTROL, LINE_FIFO | LINE_8_BITS);
    set(uart, CONTROL, CONTROL_ENABLE | CONTROL_TRANSMIT | CONTROL_RECEIVE);
    enable_sbsa(uart);
}

static bool receive(struct uart *uart, uint8_t *byte)
{
    if ((get(uart, FLAGS) & FLAG_RECEIVER_EMPTY) != 0)
        return false;
    *byte = (uint8_t)get(uart, DATA); // error bits are above the byte
    return true;
}

static unsigned room(struct uart *uart)
{
    return (get(uart, FLAGS) & FLAG_FULL) == 0 ? 1 : 0;
}

static void transmit(struct uart *uart, uint8_t byte)
{
    set(uart, DATA, byte);
}

static bool idle(struct uart *uart)
{
    return (get(uart, FLAGS) & FLAG_BUSY) == 0;
}

const struct uart_chip uart_pl011 = {
    .compatible = "arm,pl011",
    .enable = enable,
    .receive = receive,
    .room = room,
    .transmit = transmit,
    .idle = idle,
    .interrupt_on = interrupt_on,
    .clear = clear,
};

const struct uart_chip uart_sbsa = {
    .compatible = "arm,sbsa-uart",
    .enable = enable_sbsa,
    .receive = receive,
    .room = room,
    .transmit = transmit,
    .idle = idle,
    .interrupt_on = interrupt_on,
    .clear = clear,
};
