// SPDX-License-Identifier: MIT
//
// 16550 by I/O ports (PC16550D data sheet, National Semiconductor 1995, section 8). Its interrupt
// is an edge on a PC: all causes must be gone before the line can rise again, so clear() is called
// until there is none.
//
// The mini UART of Broadcom's BCM2835 and those after it ("BCM2835 ARM Peripherals", 2.2.2) has the same
// registers, each in a 32-bit word, and one more behind them. It says that there is room when one
// byte fits. Which bit of INTERRUPT_ENABLE is which its data sheet has the wrong way round; they are
// those of a 16550.
#include "uart.h"

#include <sdk/mmio.h>

enum ns16550_register : uint8_t {
    DATA = 0,
    INTERRUPT_ENABLE = 1,
    INTERRUPT_IDENT = 2, // read
    FIFO_CONTROL = 2,    // write
    MODEM_CONTROL = 4,
    LINE_STATUS = 5,
    MODEM_STATUS = 6,
    AUX_CONTROL = 8, // of the mini UART
};

constexpr uint8_t ENABLE_RECEIVED = 1, ENABLE_ROOM = 2;
constexpr uint8_t FIFO_ENABLE = 1, FIFO_CLEAR_RECEIVER = 2;
constexpr uint8_t MODEM_DTR = 1, MODEM_RTS = 2, MODEM_OUT2 = 8; // OUT2 gates the line on a PC
constexpr uint8_t STATUS_DATA = 1, STATUS_ROOM = 0x20, STATUS_IDLE = 0x40;
constexpr uint8_t IDENT_NONE = 1, IDENT_CAUSE = 0x0e, CAUSE_MODEM = 0, CAUSE_LINE = 6;
constexpr uint8_t AUX_RECEIVE = 1, AUX_TRANSMIT = 2;
constexpr unsigned FIFO_BYTES = 16;

static bool has_ports(const struct uart *uart)
{
    return uart->device->io.value != 0;
}

static volatile uint8_t *word(struct uart *uart, enum ns16550_register offset)
{
    return uart->device->windows[0].registers + sizeof(uint32_t) * offset;
}

static uint8_t get(struct uart *uart, enum ns16550_register offset)
{
    uint64_t value = 0xff;
    if (!has_ports(uart))
        return (uint8_t)mmio_read32(word(uart, offset));
    (void)io_read(uart->device->io, offset, 1, &value);
    return (uint8_t)value;
}

static void set(struct uart *uart, enum ns16550_register offset, uint8_t value)
{
    if (has_ports(uart))
        (void)io_write(uart->device->io, offset, 1, value);
    else
        mmio_write32(word(uart, offset), value);
}

static void interrupt_on(struct uart *uart, bool received, bool room)
{
    uint8_t wanted = (uint8_t)((received ? ENABLE_RECEIVED : 0) | (room ? ENABLE_ROOM : 0));
    if (wanted != uart->interrupts)
        set(uart, INTERRUPT_ENABLE, wanted);
    uart->interrupts = wanted;
}

static bool clear(struct uart *uart)
{
    uint8_t ident = get(uart, INTERRUPT_IDENT); // reading it clears "room"
    if ((ident & IDENT_NONE) != 0)
        return false;
    if ((ident & IDENT_CAUSE) == CAUSE_LINE)
        (void)get(uart, LINE_STATUS);
    else if ((ident & IDENT_CAUSE) == CAUSE_MODEM)
        (void)get(uart, MODEM_STATUS);
    return true; // "received" goes when the bytes are read
}

static void enable(struct uart *uart)
{
    uart->interrupts = 0xff;
    interrupt_on(uart, false, false);
    set(uart, FIFO_CONTROL, FIFO_ENABLE | FIFO_CLEAR_RECEIVER);
    set(uart, MODEM_CONTROL, MODEM_DTR | MODEM_RTS | MODEM_OUT2);
    (void)clear(uart);
    interrupt_on(uart, true, false);
}

static void enable_aux(struct uart *uart)
{
    set(uart, AUX_CONTROL, AUX_RECEIVE | AUX_TRANSMIT);
    enable(uart);
}

static bool receive(struct uart *uart, uint8_t *byte)
{
    if ((get(uart, LINE_STATUS) & STATUS_DATA) == 0)
        return false;
    *byte = get(uart, DATA);
    return true;
}

static unsigned room(struct uart *uart)
{
    return (get(uart, LINE_STATUS) & STATUS_ROOM) != 0 ? FIFO_BYTES : 0;
}

static unsigned room_aux(struct uart *uart)
{
    return (get(uart, LINE_STATUS) & STATUS_ROOM) != 0 ? 1 : 0;
}

static void transmit(struct uart *uart, uint8_t byte)
{
    set(uart, DATA, byte);
}

static bool idle(struct uart *uart)
{
    return (get(uart, LINE_STATUS) & STATUS_IDLE) != 0;
}

const struct uart_chip uart_16550 = {
    .compatible = "ns16550a",
    .enable = enable,
    .receive = receive,
    .room = room,
    .transmit = transmit,
    .idle = idle,
    .interrupt_on = interrupt_on,
    .clear = clear,
};

const struct uart_chip uart_bcm_aux = {
    .compatible = "brcm,bcm2835-aux-uart",
    .enable = enable_aux,
    .receive = receive,
    .room = room_aux,
    .transmit = transmit,
    .idle = idle,
    .interrupt_on = interrupt_on,
    .clear = clear,
};
