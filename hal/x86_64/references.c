// SPDX-License-Identifier: MIT
//
// Reference timers: the HPET (IA-PC HPET specification 1.0a, 2.3) and the ACPI PM timer (ACPI
// 6.5, 4.8.3.3). They are read while the clocks are measured, and never again.
#include <hal/x86_64/clock_tsc.h>

#include <arch/arch.h>
#include <arch/instructions.h>

constexpr uint64_t HPET_CAPABILITIES = 0x000;
constexpr uint64_t HPET_CONFIGURATION = 0x010;
constexpr uint64_t HPET_COUNTER = 0x0f0;
constexpr uint32_t HPET_ENABLE = 1u << 0;
constexpr uint64_t HPET_PERIOD_MAX_FS = 100'000'000;
constexpr uint64_t FS_PER_SECOND = 1'000'000'000'000'000;

constexpr uint64_t PM_TIMER_HZ = 3'579'545;

static volatile void *hpet;
static uint16_t pm_timer_port;

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
    const uint64_t capabilities = mmio_read64(hpet, HPET_CAPABILITIES);
    const uint64_t period_fs = capabilities >> 32;
    if (period_fs == 0 || period_fs > HPET_PERIOD_MAX_FS)
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
