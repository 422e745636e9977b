// SPDX-License-Identifier: MIT
//
// PL011 debug console, polled. Offsets and bits from its technical reference (DDI 0183), 3.2.
// The line speed is what the firmware left. A line that never drains costs a bounded wait and the
// character: a console must not be able to hang the kernel.
#include <hal/mmio.h>
#include <hal/pl011.h>

#include <arch/arch.h>

constexpr uint64_t UART_DR = 0x00;
constexpr uint64_t UART_FR = 0x18;
constexpr uint32_t FR_TXFF = 1u << 5; // no room in the transmit FIFO
constexpr uint64_t UART_REGISTERS = 0x48;
constexpr unsigned POLLS_MAX = 1'000'000;

static volatile void *uart;
static struct console console;

static void put(char c)
{
    for (unsigned i = 0; i < POLLS_MAX; i++) {
        if ((mmio_read32(uart, UART_FR) & FR_TXFF) == 0) {
            mmio_write32(uart, UART_DR, (uint8_t)c);
            return;
        }
        arch_cpu_relax();
    }
}

static void pl011_write(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\n')
            put('\r');
        put(text[i]);
    }
}

const struct console *pl011_init(paddr_t registers, uint64_t bytes)
{
    if (bytes < UART_REGISTERS)
        return nullptr;
    uart = arch_device_map(registers, UART_REGISTERS, ARCH_MEMORY_DEVICE);
    uint32_t flags;
    if (uart == nullptr || !mmio_probe32(uart, UART_FR, &flags))
        return nullptr;
    console = (struct console){
        .name = "PL011",
        .base = registers.value,
        .bytes = bytes,
        .write = pl011_write,
    };
    return &console;
}
