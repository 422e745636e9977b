// SPDX-License-Identifier: MIT
//
// AArch64: facts of QEMU's virt. The real-time clock (PL031) raises an interrupt when its match
// register meets its data register.
#include <kit/device.h>

constexpr uint64_t CLOCK_REGISTERS = 0x0901'0000, CLOCK_LINE = 34;
enum : unsigned { DATA = 0, MATCH = 1, MASK = 4, CLEAR = 7 }; // 32-bit registers

static volatile uint32_t *registers;

bool device_open(interrupt_t *interrupt)
{
    vmo_t vmo;
    void *address;
    if (machine_device_memory(start.machine, start.account, CLOCK_REGISTERS, PAGE_SIZE,
                              MEMORY_DEVICE, &vmo) != STATUS_OK ||
        memory_map_vmo(vmo, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, &address) != STATUS_OK ||
        machine_interrupt(start.machine, start.account, CLOCK_LINE, TRIGGER_LEVEL_HIGH,
                          interrupt) != STATUS_OK)
        return false;
    registers = address;
    registers[CLEAR] = 1;
    registers[MASK] = 1;
    return true;
}

void device_prepare(void)
{
}

void device_trigger(void)
{
    registers[MATCH] = registers[DATA];
}

void device_quiet(void)
{
    registers[CLEAR] = 1;
}
