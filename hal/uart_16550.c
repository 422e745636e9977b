// SPDX-License-Identifier: MIT
//
// The 16550 UART (TI PC16550D data sheet, table 8) as the kernel's debug console. A UART that
// stops taking characters costs a bounded wait for each, never a hang.
#include <hal/uart_16550.h>

#include <arch/arch.h>

enum register_offset : uint16_t {
    DATA = 0, // divisor, low byte, while LINE_CONTROL has the divisor bit
    INTERRUPT_ENABLE = 1,
    FIFO_CONTROL = 2,
    LINE_CONTROL = 3,
    MODEM_CONTROL = 4,
    LINE_STATUS = 5,
    SCRATCH = 7,
};

constexpr uint32_t LINE_8N1 = 3;
constexpr uint32_t LINE_DIVISOR = 1u << 7;
constexpr uint32_t FIFO_ON_AND_CLEAR = 7;
constexpr uint32_t MODEM_DTR_RTS = 3;
constexpr uint32_t STATUS_TRANSMIT_EMPTY = 1u << 5;
constexpr unsigned PORTS = 8;

// Longer than a character takes at 115200 baud, by an order of magnitude.
constexpr unsigned POLLS_MAX = 10'000;

static struct console console = {.name = "16550 UART", .bytes = PORTS, .io_ports = true};

static uint32_t uart_read(enum register_offset reg)
{
    return arch_io_read((uint16_t)(console.base + reg), 1);
}

static void uart_write(enum register_offset reg, uint32_t value)
{
    arch_io_write((uint16_t)(console.base + reg), 1, value);
}

static void put_character(char c)
{
    for (unsigned polls = 0; polls < POLLS_MAX; polls++) {
        if ((uart_read(LINE_STATUS) & STATUS_TRANSMIT_EMPTY) != 0)
            break;
        arch_cpu_relax();
    }
    uart_write(DATA, (uint8_t)c);
}

static void console_write(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\n')
            put_character('\r');
        put_character(text[i]);
    }
}

const struct console *uart_16550_init(uint16_t port)
{
    console.base = port;
    // Ports where nothing is read as ones; the scratch register keeps what is written.
    uart_write(SCRATCH, 0x5a);
    if (uart_read(SCRATCH) != 0x5a)
        return nullptr;
    uart_write(INTERRUPT_ENABLE, 0);
    uart_write(LINE_CONTROL, LINE_DIVISOR | LINE_8N1);
    uart_write(DATA, 1); // 115200 baud
    uart_write(INTERRUPT_ENABLE, 0);
    uart_write(LINE_CONTROL, LINE_8N1);
    uart_write(FIFO_CONTROL, FIFO_ON_AND_CLEAR);
    uart_write(MODEM_CONTROL, MODEM_DTR_RTS);
    console.write = console_write;
    return &console;
}
