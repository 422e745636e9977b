// SPDX-License-Identifier: MIT
//
// AArch64: facts of QEMU's virt. The real-time clock (PL031) keeps its line, INTID 34, up from when
// its match register meets its data register until it is cleared.
#include "../devices.h"

const uint64_t pci_ecam = 0x40'1000'0000, pci_room = 0x2000'0000;

constexpr uint64_t REGISTERS = 0x0901'0000, LINE = 34;
enum : unsigned { DATA = 0, MATCH = 1, MASK = 4, CLEAR = 7 }; // 32-bit registers

static volatile uint32_t *registers;

static void line_raise(void)
{
    registers[MATCH] = registers[DATA];
}

static void line_quiet(void)
{
    registers[CLEAR] = 1;
}

void line_open(struct device *device)
{
    *device = (struct device){.name = "line", .raise = line_raise, .quiet = line_quiet};
    vmo_t vmo;
    void *address;
    must(machine_device_memory(start.machine, start.account, REGISTERS, PAGE_SIZE, MEMORY_DEVICE,
                               &vmo),
         "the clock");
    must(memory_map_vmo(vmo, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, &address), "the clock");
    registers = address;
    line_quiet();
    registers[MASK] = 1;
    must(machine_interrupt(start.machine, start.account, LINE, TRIGGER_LEVEL_HIGH,
                           &device->interrupt),
         "its line");
}
