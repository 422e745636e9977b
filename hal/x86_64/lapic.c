// SPDX-License-Identifier: MIT
//
// The local APIC in xAPIC mode: see lapic.h. Offsets and bits are those of the Intel SDM,
// volume 3, 10.4 to 10.9.
#include "lapic.h"

#include <arch/arch.h>
#include <arch/instructions.h>
#include <hal/hal.h>

enum lapic_register : uint64_t {
    ID = 0x020,
    TASK_PRIORITY = 0x080,
    END_OF_INTERRUPT = 0x0b0,
    SPURIOUS = 0x0f0,
    COMMAND = 0x300,
    COMMAND_HIGH = 0x310,
    LVT_TIMER = 0x320,
    LVT_THERMAL = 0x330,
    LVT_PERFORMANCE = 0x340,
    LVT_LINT0 = 0x350,
    LVT_LINT1 = 0x360,
    LVT_ERROR = 0x370,
    TIMER_INITIAL = 0x380,
    TIMER_CURRENT = 0x390,
    TIMER_DIVIDE = 0x3e0,
    VERSION = 0x030,
};

constexpr uint64_t BASE_ENABLE = 1u << 11;
constexpr uint64_t BASE_X2APIC = 1u << 10;
constexpr uint32_t SPURIOUS_ENABLE = 1u << 8;
constexpr uint32_t LVT_MASKED = 1u << 16;
constexpr uint32_t LVT_NMI = 4u << 8;
constexpr uint32_t COMMAND_ASSERT = 1u << 14;
constexpr uint32_t COMMAND_PENDING = 1u << 12;
constexpr uint32_t COMMAND_INIT = 5u << 8;
constexpr uint32_t COMMAND_STARTUP = 6u << 8;
constexpr unsigned SEND_TRIES = 1000;
constexpr uint32_t DIVIDE_BY_1 = 0xb;

static volatile void *lapic; // the same address on each CPU; immutable after boot

const char *lapic_init(paddr_t address)
{
    if ((cpuid_leaf(1).edx & 1u << 9) == 0)
        return "the processor has no local APIC";
    if ((msr_read(MSR_APIC_BASE) & PTE_ADDRESS) != address.value)
        return "the tables and the processor disagree on where the local APIC is";
    lapic = hal_own(address, PAGE_SIZE);
    return lapic == nullptr ? "no room to map the local APIC" : nullptr;
}

const char *lapic_start(uint8_t nmi_inputs)
{
    const uint64_t base = msr_read(MSR_APIC_BASE);
    if ((base & BASE_X2APIC) != 0)
        return "the firmware left the local APIC in x2APIC mode, which is not supported";
    msr_write(MSR_APIC_BASE, base | BASE_ENABLE);

    const unsigned last_lvt = mmio_read32(lapic, VERSION) >> 16 & 0xff;
    mmio_write32(lapic, LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    mmio_write32(lapic, LVT_LINT0, (nmi_inputs & 1) != 0 ? LVT_NMI : LVT_MASKED);
    mmio_write32(lapic, LVT_LINT1, (nmi_inputs & 2) != 0 ? LVT_NMI : LVT_MASKED);
    if (last_lvt >= 3)
        mmio_write32(lapic, LVT_ERROR, LVT_MASKED);
    if (last_lvt >= 4)
        mmio_write32(lapic, LVT_PERFORMANCE, LVT_MASKED);
    if (last_lvt >= 5)
        mmio_write32(lapic, LVT_THERMAL, LVT_MASKED);
    mmio_write32(lapic, TIMER_DIVIDE, DIVIDE_BY_1);
    mmio_write32(lapic, TIMER_INITIAL, 0);
    mmio_write32(lapic, TASK_PRIORITY, 0);
    mmio_write32(lapic, SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    return nullptr;
}

uint32_t lapic_id(void)
{
    return mmio_read32(lapic, ID) >> 24;
}

void lapic_end_of_interrupt(void)
{
    mmio_write32(lapic, END_OF_INTERRUPT, 0);
}

// The message before must have left (10.6.1). It always does, unless the bus is broken.
static void send(uint32_t id, uint32_t command)
{
    for (unsigned i = 0; i < SEND_TRIES && (mmio_read32(lapic, COMMAND) & COMMAND_PENDING); i++)
        arch_cpu_relax();
    mmio_write32(lapic, COMMAND_HIGH, id << 24);
    mmio_write32(lapic, COMMAND, command); // after all earlier stores: it is one that is not cached
}

void lapic_interrupt(uint32_t id, uint8_t vector)
{
    send(id, COMMAND_ASSERT | vector);
}

void lapic_send_init(uint32_t id)
{
    send(id, COMMAND_ASSERT | COMMAND_INIT);
}

void lapic_send_startup(uint32_t id, uint8_t page)
{
    send(id, COMMAND_ASSERT | COMMAND_STARTUP | page);
}

void lapic_timer_start(uint32_t count)
{
    mmio_write32(lapic, TIMER_INITIAL, count);
}

void lapic_timer_masked(bool masked)
{
    mmio_write32(lapic, LVT_TIMER, (masked ? LVT_MASKED : 0) | VECTOR_TIMER);
}

uint32_t lapic_timer_count(void)
{
    return mmio_read32(lapic, TIMER_CURRENT);
}
