// SPDX-License-Identifier: MIT
//
// The local APIC in both of its modes: see lapic.h. Registers and bits are those of the Intel
// SDM, volume 3: 11.4 to 11.10 in memory (xAPIC), 11.12 as MSRs (x2APIC). The registers have the
// same numbers in both; the interrupt command is two of 32 bits here and one of 64 there.
#include "lapic.h"

#include <arch/arch.h>
#include <arch/instructions.h>
#include <hal/hal.h>
#include <hal/mmio.h>

// In memory each takes 16 bytes.
enum lapic_register : uint32_t {
    ID = 0x02,
    VERSION = 0x03,
    TASK_PRIORITY = 0x08,
    END_OF_INTERRUPT = 0x0b,
    SPURIOUS = 0x0f,
    COMMAND = 0x30,
    COMMAND_HIGH = 0x31,
    LVT_TIMER = 0x32,
    LVT_THERMAL = 0x33,
    LVT_PERFORMANCE = 0x34,
    LVT_LINT0 = 0x35,
    LVT_LINT1 = 0x36,
    LVT_ERROR = 0x37,
    TIMER_INITIAL = 0x38,
    TIMER_CURRENT = 0x39,
    TIMER_DIVIDE = 0x3e,
};

constexpr uint64_t BASE_ENABLE = 1u << 11;
constexpr uint64_t BASE_X2APIC = 1u << 10;
constexpr uint32_t CPUID_X2APIC = 1u << 21; // leaf 1, ecx
constexpr uint32_t SPURIOUS_ENABLE = 1u << 8;
constexpr uint32_t LVT_MASKED = 1u << 16;
constexpr uint32_t LVT_NMI = 4u << 8;
constexpr uint32_t COMMAND_ASSERT = 1u << 14;
constexpr uint32_t COMMAND_PENDING = 1u << 12;
constexpr uint32_t COMMAND_INIT = 5u << 8;
constexpr uint32_t COMMAND_STARTUP = 6u << 8;
constexpr unsigned SEND_TRIES = 1000;
constexpr uint32_t DIVIDE_BY_1 = 0xb;

// Immutable after boot, and the same for each CPU.
static volatile void *lapic; // in xAPIC mode
static bool by_msr;          // x2APIC mode

static enum msr msr_of(enum lapic_register number)
{
    return (enum msr)(MSR_X2APIC_FIRST + (uint32_t)number);
}

static uint32_t register_read(enum lapic_register number)
{
    if (by_msr)
        return (uint32_t)msr_read(msr_of(number));
    return mmio_read32(lapic, (uint64_t)number << 4);
}

static void register_write(enum lapic_register number, uint32_t value)
{
    if (by_msr)
        msr_write(msr_of(number), value);
    else
        mmio_write32(lapic, (uint64_t)number << 4, value);
}

// ---- what happens all the time: in each mode without asking which it is

static void complete_xapic(uint32_t line)
{
    (void)line; // the local APIC ends the highest one in service
    mmio_write32(lapic, (uint64_t)END_OF_INTERRUPT << 4, 0);
}

static void complete_x2apic(uint32_t line)
{
    (void)line;
    msr_write(msr_of(END_OF_INTERRUPT), 0);
}

static void timer_start_xapic(uint32_t count)
{
    mmio_write32(lapic, (uint64_t)TIMER_INITIAL << 4, count);
}

static void timer_start_x2apic(uint32_t count)
{
    msr_write(msr_of(TIMER_INITIAL), count);
}

void (*lapic_complete)(uint32_t line) = complete_xapic;
void (*lapic_timer_start)(uint32_t count) = timer_start_xapic;

// ---- the rest

// The mode is left only through a reset of the APIC (11.12.5), so what the firmware chose stays.
bool lapic_is_x2apic(void)
{
    return (cpuid_leaf(1).ecx & CPUID_X2APIC) != 0 || (msr_read(MSR_APIC_BASE) & BASE_X2APIC) != 0;
}

const char *lapic_init(paddr_t address)
{
    if ((cpuid_leaf(1).edx & 1u << 9) == 0)
        return "the processor has no local APIC";
    by_msr = lapic_is_x2apic();
    if (by_msr) {
        lapic_complete = complete_x2apic;
        lapic_timer_start = timer_start_x2apic;
    }
    // Nobody else is given the page either, although x2APICs do not answer there.
    lapic = hal_own(address, PAGE_SIZE);
    if (by_msr)
        return nullptr;
    if ((msr_read(MSR_APIC_BASE) & PTE_ADDRESS) != address.value)
        return "the tables and the processor disagree on where the local APIC is";
    return lapic == nullptr ? "no room to map the local APIC" : nullptr;
}

// From off to x2APIC only by way of xAPIC, and never back (11.12.5.1).
static const char *switch_on(void)
{
    uint64_t base = msr_read(MSR_APIC_BASE);
    if (!by_msr && (base & BASE_X2APIC) != 0)
        return "its local APIC is in x2APIC mode, unlike that of the boot CPU";
    if ((base & BASE_ENABLE) == 0)
        msr_write(MSR_APIC_BASE, base |= BASE_ENABLE);
    if (by_msr && (base & BASE_X2APIC) == 0)
        msr_write(MSR_APIC_BASE, base | BASE_X2APIC);
    return nullptr;
}

const char *lapic_start(uint8_t nmi_inputs)
{
    const char *error = switch_on();
    if (error != nullptr)
        return error;
    const unsigned last_lvt = register_read(VERSION) >> 16 & 0xff;
    register_write(LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    register_write(LVT_LINT0, (nmi_inputs & 1) != 0 ? LVT_NMI : LVT_MASKED);
    register_write(LVT_LINT1, (nmi_inputs & 2) != 0 ? LVT_NMI : LVT_MASKED);
    if (last_lvt >= 3)
        register_write(LVT_ERROR, LVT_MASKED);
    if (last_lvt >= 4)
        register_write(LVT_PERFORMANCE, LVT_MASKED);
    if (last_lvt >= 5)
        register_write(LVT_THERMAL, LVT_MASKED);
    register_write(TIMER_DIVIDE, DIVIDE_BY_1);
    register_write(TIMER_INITIAL, 0);
    register_write(TASK_PRIORITY, 0);
    register_write(SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    return nullptr;
}

uint32_t lapic_id(void)
{
    const uint32_t id = register_read(ID);
    return by_msr ? id : id >> 24;
}

void lapic_end_of_interrupt(void)
{
    register_write(END_OF_INTERRUPT, 0);
}

static void send(uint32_t id, uint32_t command)
{
    if (by_msr) {
        // The write may overtake earlier stores, which whoever is interrupted has to see (11.12.3).
        asm volatile("mfence\n\tlfence" ::: "memory");
        msr_write(msr_of(COMMAND), (uint64_t)id << 32 | command);
        return;
    }
    // The message before must have left (11.6.1). It always does, unless the bus is broken.
    for (unsigned i = 0; i < SEND_TRIES && (register_read(COMMAND) & COMMAND_PENDING); i++)
        arch_cpu_relax();
    register_write(COMMAND_HIGH, id << 24);
    register_write(COMMAND, command); // after all earlier stores: it is one that is not cached
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

void lapic_timer_masked(bool masked)
{
    register_write(LVT_TIMER, (masked ? LVT_MASKED : 0) | VECTOR_TIMER);
}

uint32_t lapic_timer_count(void)
{
    return register_read(TIMER_CURRENT);
}
