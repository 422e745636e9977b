// SPDX-License-Identifier: MIT
//
// The mini UART, polled ("BCM2835 ARM Peripherals", 2.2.2): registers laid out as a 16550's, one in each
// 32-bit word. Its line speed hangs on a clock that the firmware owns, and is what it left. A line that
// never drains costs a bounded wait and the character: a console must not be able to hang the kernel.
#include <hal/mmio.h>
#include <hal/uart_bcm_aux.h>

#include <arch/arch.h>

constexpr uint64_t AUX_MU_IO = 0x00, AUX_MU_LSR = 0x14;
constexpr uint32_t LSR_ROOM = 1u << 5; // for at least one byte
constexpr uint64_t UART_REGISTERS = 0x2c;
constexpr unsigned POLLS_MAX = 1'000'000;

static volatile void *uart;
static struct console console;

static void put(char c)
{
    for (unsigned i = 0; i < POLLS_MAX; i++) {
        if ((mmio_read32(uart, AUX_MU_LSR) & LSR_ROOM) != 0) {
            mmio_write32(uart, AUX_MU_IO, (uint8_t)c);
            return;
        }
        arch_cpu_relax();
    }
}

static void console_write(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\n')
            put('\r');
        put(text[i]);
    }
}

const struct console *uart_bcm_aux_init(paddr_t registers, uint64_t bytes)
{
    if (bytes < UART_REGISTERS)
        return nullptr;
    uart = arch_device_map(registers, UART_REGISTERS, ARCH_MEMORY_DEVICE);
    if (uart == nullptr)
        return nullptr;
    console = (struct console){
        .name = "mini UART",
        .base = registers.value,
        .bytes = bytes,
        .write = console_write,
    };
    return &console;
}
