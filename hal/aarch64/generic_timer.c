// SPDX-License-Identifier: MIT
//
// The virtual counter (CNTVCT_EL0) with the virtual timer (CNTV_*), which EL1 has whether or not a
// hypervisor runs below; or with the physical timer (CNTP_*), on machines where only that raises an
// interrupt. The counter is the virtual one in both cases, since user mode reads it too.
#include <hal/generic_timer.h>

constexpr uint64_t CONTROL_ENABLE = 1; // CNTV_CTL_EL0 and CNTP_CTL_EL0, IMASK clear
constexpr uint64_t HZ_MIN = 100'000, HZ_MAX = 10'000'000'000;

static struct clock_source source;
static bool physical; // which timer

// The barrier keeps the read from being done early.
static uint64_t ticks(void)
{
    uint64_t value;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value)::"memory");
    return value;
}

static void set_virtual(uint64_t control)
{
    __asm__ volatile("msr cntv_ctl_el0, %0\n\tisb" ::"r"(control) : "memory");
}

static void set_physical(uint64_t control)
{
    __asm__ volatile("msr cntp_ctl_el0, %0\n\tisb" ::"r"(control) : "memory");
}

// The condition is "counter at or above the compare value", so the past fires at once.
static void arm(uint64_t deadline)
{
    if (deadline == UINT64_MAX) {
        set_virtual(0);
        return;
    }
    __asm__ volatile("msr cntv_cval_el0, %0" ::"r"(deadline) : "memory");
    set_virtual(CONTROL_ENABLE);
}

// How far the two counters are apart is a hypervisor's business: the physical timer is told how
// long from now, as 32 bits with a sign. What is farther away fires early.
static void arm_physical(uint64_t deadline)
{
    if (deadline == UINT64_MAX) {
        set_physical(0);
        return;
    }
    const uint64_t now = ticks();
    uint64_t away = deadline > now ? deadline - now : 0;
    if (away > INT32_MAX)
        away = INT32_MAX;
    __asm__ volatile("msr cntp_tval_el0, %0" ::"r"(away) : "memory");
    set_physical(CONTROL_ENABLE);
}

void generic_timer_quiet(void)
{
    if (physical)
        set_physical(0);
    else
        set_virtual(0);
}

const struct clock_source *generic_timer_init(uint64_t hz_override, bool use_physical)
{
    uint64_t hz;
    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hz));
    hz &= UINT32_MAX;
    if (hz_override != 0)
        hz = hz_override;
    if (hz < HZ_MIN || hz > HZ_MAX)
        return nullptr;
    physical = use_physical;
    generic_timer_quiet();
    source = (struct clock_source){.name = physical ? "generic timer, physical" : "generic timer",
                                   .hz = hz,
                                   .cpu_init = generic_timer_quiet,
                                   .ticks = ticks,
                                   .arm = physical ? arm_physical : arm};
    return &source;
}
