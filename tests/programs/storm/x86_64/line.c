// SPDX-License-Identifier: MIT
//
// x86_64: facts of QEMU's q35. The second serial port (16550) keeps its line, global interrupt 3, up
// while it may send and is asked to say so.
#include "../devices.h"

const uint64_t pci_ecam = 0xb000'0000, pci_room = 0;

constexpr uint64_t PORTS = 0x2f8, LINE = 3;
constexpr uint64_t ENABLE = 1, WHEN_EMPTY = 2;

static iorange_t ports;

static void line_raise(void)
{
    must(io_write(ports, ENABLE, 1, WHEN_EMPTY), "io_write");
}

static void line_quiet(void)
{
    must(io_write(ports, ENABLE, 1, 0), "io_write");
}

void line_open(struct device *device)
{
    *device = (struct device){.name = "line", .raise = line_raise, .quiet = line_quiet};
    must(machine_io_range(start.machine, start.account, PORTS, 8, &ports), "the serial port");
    line_quiet();
    must(machine_interrupt(start.machine, start.account, LINE, TRIGGER_LEVEL_HIGH,
                           &device->interrupt),
         "its line");
}
