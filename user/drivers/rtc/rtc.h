// SPDX-License-Identifier: MIT
//
// What the clock service needs of a real-time clock, and the chips that provide it.
#pragma once

#include <stdint.h>

#include <sdk/driver.h>

struct rtc_chip {
    const char *compatible;
    bool by_ports; // it has I/O ports; or else registers in memory
    // Seconds since 1970-01-01 00:00:00 UTC. CLOCK_NOT_SET: it holds no date.
    [[nodiscard]] status_t (*read)(const struct device *device, uint64_t *seconds);
};

extern const struct rtc_chip rtc_pl031, rtc_cmos;
