// SPDX-License-Identifier: MIT
//
// Power by bits of a system controller's register (device-tree bindings "syscon-poweroff" and
// "syscon-reboot").
#pragma once

#include <hal/hal.h>

// The register becomes its old value where `mask` is 0, and `value` where it is 1.
struct syscon_write {
    paddr_t address; // a multiple of 4; 0: there is no such register
    uint32_t mask, value;
};

// Either may be one that is not there. nullptr: neither can be done.
const struct power *syscon_power_init(const struct syscon_write *off,
                                      const struct syscon_write *reboot);
