// SPDX-License-Identifier: MIT
//
// PSCI calls by the conduit that firmware names. The calling convention (DEN 0028) lets a call
// change x0 to x17.
#include <hal/psci.h>

constexpr uint32_t SYSTEM_OFF = 0x8400'0008;
constexpr uint32_t SYSTEM_RESET = 0x8400'0009;

static enum psci_conduit conduit;

#define CLOBBERS                                                                             \
    "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", \
        "x15", "x16", "x17", "memory"

static void call(uint32_t function)
{
    register uint64_t x0 __asm__("x0") = function;
    if (conduit == PSCI_SMC)
        __asm__ volatile("smc #0" : "+r"(x0)::CLOBBERS);
    else
        __asm__ volatile("hvc #0" : "+r"(x0)::CLOBBERS);
}

static void off(void)
{
    call(SYSTEM_OFF);
}

static void reboot(void)
{
    call(SYSTEM_RESET);
}

static const struct power power = {.off = off, .reboot = reboot};

const struct power *psci_init(enum psci_conduit by)
{
    conduit = by;
    return &power;
}
