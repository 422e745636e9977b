// SPDX-License-Identifier: MIT
//
// PSCI calls by the conduit that firmware names. The calling convention (DEN 0028) lets a call
// change x0 to x17.
#include <hal/psci.h>

constexpr uint32_t SYSTEM_OFF = 0x8400'0008;
constexpr uint32_t SYSTEM_RESET = 0x8400'0009;
constexpr uint32_t CPU_ON = 0xc400'0003; // of 64-bit arguments

static enum psci_conduit conduit;

#define CLOBBERS                                                                                \
    "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", \
        "memory"

static int64_t call(uint32_t function, uint64_t argument0, uint64_t argument1, uint64_t argument2)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = argument0;
    register uint64_t x2 __asm__("x2") = argument1;
    register uint64_t x3 __asm__("x3") = argument2;
    if (conduit == PSCI_SMC)
        __asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::CLOBBERS);
    else
        __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::CLOBBERS);
    return (int64_t)x0;
}

static void off(void)
{
    (void)call(SYSTEM_OFF, 0, 0, 0);
}

static void reboot(void)
{
    (void)call(SYSTEM_RESET, 0, 0, 0);
}

bool psci_cpu_start(uint64_t affinity, paddr_t entry, uint64_t argument)
{
    return call(CPU_ON, affinity, entry.value, argument) == 0;
}

static const struct power power = {.off = off, .reboot = reboot};

const struct power *psci_init(enum psci_conduit by)
{
    conduit = by;
    return &power;
}
