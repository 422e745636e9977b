// SPDX-License-Identifier: MIT
//
// Power by the power manager of Broadcom's BCM2835 and those after it, whose watchdog resets the chip (device-tree
// binding "brcm,bcm2835-pm").
#pragma once

#include <hal/hal.h>

// `can_halt`: the firmware that runs after a reset halts the board if it is told to
// ("system-power-controller"). nullptr: the registers cannot be mapped.
const struct power *bcm_pm_init(paddr_t registers, uint64_t bytes, bool can_halt);
