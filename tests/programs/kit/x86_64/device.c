// SPDX-License-Identifier: MIT
//
// x86_64: facts of QEMU's q35. The interval timer (i8254) raises interrupts; its line is global
// interrupt 2.
#include <kit/device.h>

constexpr uint64_t TIMER_PORTS = 0x40, TIMER_LINE = 2;
constexpr uint64_t COUNTER_0 = 0, CONTROL = 3;
constexpr uint64_t ONE_SHOT = 0x30; // counter 0, both bytes, mode 0: one edge when it is done

static iorange_t ports;

bool device_open(interrupt_t *interrupt)
{
    return machine_io_range(start.machine, start.account, TIMER_PORTS, 4, &ports) == STATUS_OK &&
           io_write(ports, CONTROL, 1, ONE_SHOT) == STATUS_OK && // low until a count is written
           machine_interrupt(start.machine, start.account, TIMER_LINE, TRIGGER_EDGE, interrupt) ==
               STATUS_OK;
}

void device_prepare(void)
{
    must(io_write(ports, CONTROL, 1, ONE_SHOT), "io_write");
    must(io_write(ports, COUNTER_0, 1, 200), "io_write"); // some microseconds
    must(io_write(ports, COUNTER_0, 1, 0), "io_write");
}

void device_trigger(void)
{
} // it counts already

void device_quiet(void)
{
}
