// SPDX-License-Identifier: MIT
//
// A reset when the watchdog ends, which is set to end at once. No data sheet tells of these registers: their names,
// and the partition number by which the firmware knows that it shall halt, are those of the board's vendor.
#include <hal/bcm_pm.h>
#include <hal/mmio.h>

#include <arch/arch.h>

constexpr uint64_t PM_RSTC = 0x1c, PM_RSTS = 0x20, PM_WDOG = 0x24, PM_BYTES = 0x28;
constexpr uint32_t PASSWORD = 0x5a00'0000; // in the high byte of each write
constexpr uint32_t RSTC_CONFIG = 3u << 4, RSTC_FULL_RESET = 2u << 4;
constexpr uint32_t RSTS_PARTITION = 0x555; // its six bits are the even ones; 63: halt
constexpr uint32_t WDOG_TICKS = 10;        // of 16 us
constexpr unsigned POLLS = 1'000'000;

static volatile void *registers;
static struct power power;

static void reset(uint32_t partition)
{
    const uint32_t status = mmio_read32(registers, PM_RSTS) & ~(PASSWORD | RSTS_PARTITION);
    mmio_write32(registers, PM_RSTS, PASSWORD | status | partition);
    mmio_write32(registers, PM_WDOG, PASSWORD | WDOG_TICKS);
    const uint32_t control = mmio_read32(registers, PM_RSTC) & ~(PASSWORD | RSTC_CONFIG);
    mmio_write32(registers, PM_RSTC, PASSWORD | control | RSTC_FULL_RESET);
    for (unsigned i = 0; i < POLLS; i++)
        arch_cpu_relax();
}

static void off(void)
{
    reset(RSTS_PARTITION);
}

static void reboot(void)
{
    reset(0);
}

const struct power *bcm_pm_init(paddr_t at, uint64_t bytes, bool can_halt)
{
    registers = bytes >= PM_BYTES ? hal_own(at, PM_BYTES) : nullptr;
    if (registers == nullptr)
        return nullptr;
    power = (struct power){.off = can_halt ? off : nullptr, .reboot = reboot};
    return &power;
}
