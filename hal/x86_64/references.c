// SPDX-License-Identifier: MIT
//
// Reference timers: the HPET (IA-PC HPET specification 1.0a, 2.3), the ACPI PM timer (ACPI 6.5,
// 4.8.3.3), the i8254 (Intel 8254 data sheet), and what the processor says of itself. They are
// read while the clocks are measured, and never again.
#include <hal/x86_64/clock_tsc.h>

#include <arch/arch.h>
#include <arch/instructions.h>
#include <hal/mmio.h>

#include "references.h"
#include "tsc_rate.h"

constexpr uint64_t HPET_CAPABILITIES = 0x000;
constexpr uint64_t HPET_CONFIGURATION = 0x010;
constexpr uint64_t HPET_COUNTER = 0x0f0;
constexpr uint32_t HPET_ENABLE = 1u << 0;
constexpr uint64_t HPET_PERIOD_MAX_FS = 100'000'000;
constexpr uint64_t FS_PER_SECOND = 1'000'000'000'000'000;

constexpr uint64_t PM_TIMER_HZ = 3'579'545;

constexpr uint16_t I8254_CONTROL = 3; // behind the ports of the three channels
constexpr uint8_t I8254_START = 0x30; // channel 0, two bytes, mode 0: counts down, wraps, one edge
constexpr uint8_t I8254_LATCH = 0x00;
constexpr uint64_t I8254_HZ = 1'193'182;

static volatile void *hpet;
static uint16_t pm_timer_port, i8254_ports;

static uint64_t hpet_read(void)
{
    return mmio_read32(hpet, HPET_COUNTER); // 32 bits wrap after 40 s at 100 MHz
}

static uint64_t pm_timer_read(void)
{
    return port_read32(pm_timer_port);
}

// Whether the counter moves within what must be longer than its period.
static bool counts(const struct clock_reference *reference)
{
    const uint64_t before = reference->read();
    for (unsigned i = 0; i < 10'000; i++)
        if (reference->read() != before)
            return true;
    return false;
}

bool reference_hpet(paddr_t registers, struct clock_reference *reference)
{
    hpet = hal_own(registers, 0x400);
    if (hpet == nullptr)
        return false;
    uint32_t id, period_fs;
    if (!mmio_probe32(hpet, HPET_CAPABILITIES, &id) ||
        !mmio_probe32(hpet, HPET_CAPABILITIES + 4, &period_fs) || period_fs == 0 ||
        period_fs > HPET_PERIOD_MAX_FS)
        return false;
    mmio_write32(hpet, HPET_CONFIGURATION, mmio_read32(hpet, HPET_CONFIGURATION) | HPET_ENABLE);
    *reference = (struct clock_reference){
        .name = "HPET",
        .hz = FS_PER_SECOND / period_fs,
        .mask = UINT32_MAX,
        .read = hpet_read,
    };
    return counts(reference);
}

bool reference_pm_timer(uint16_t port, bool wide, struct clock_reference *reference)
{
    pm_timer_port = port;
    *reference = (struct clock_reference){
        .name = "ACPI PM timer",
        .hz = PM_TIMER_HZ,
        .mask = wide ? UINT32_MAX : 0xff'ffff,
        .read = pm_timer_read,
    };
    return counts(reference);
}

static uint64_t i8254_read(void)
{
    port_write8(i8254_ports + I8254_CONTROL, I8254_LATCH);
    const uint32_t low = port_read8(i8254_ports);
    return (0 - (low | (uint32_t)port_read8(i8254_ports) << 8)) & 0xffff;
}

bool reference_i8254(uint16_t ports, struct clock_reference *reference)
{
    i8254_ports = ports;
    port_write8(ports + I8254_CONTROL, I8254_START);
    port_write8(ports, 0);
    port_write8(ports, 0);
    *reference = (struct clock_reference){
        .name = "i8254",
        .hz = I8254_HZ,
        .mask = 0xffff,
        .read = i8254_read,
    };
    return counts(reference);
}

uint64_t clock_stated_hz(bool *exact)
{
    const struct cpuid crystal = cpuid_leaf(0x15), frequency = cpuid_leaf(0x16);
    const struct tsc_statement statement = {.denominator = crystal.eax,
                                            .numerator = crystal.ebx,
                                            .crystal_hz = crystal.ecx,
                                            .base_mhz = frequency.eax & 0xffff};
    return tsc_rate(&statement, exact);
}

bool reference_stated(struct clock_reference *reference)
{
    bool exact;
    *reference = (struct clock_reference){
        .name = "processor's statement",
        .hz = clock_stated_hz(&exact),
        .mask = UINT64_MAX,
        .read = tsc_read,
    };
    return reference->hz != 0;
}
