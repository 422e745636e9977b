// SPDX-License-Identifier: MIT
//
// Dates of the Gregorian calendar and seconds since 1970-01-01 00:00:00 UTC, without leap seconds. Pure.
#pragma once

#include <stdint.h>

struct calendar {
    uint32_t year;                             // 1970 to 2399
    uint32_t month, day, hour, minute, second; // from 1, 1, 0, 0, 0
};

// false: there is no such day, or no such time on it.
[[nodiscard]] bool calendar_seconds(const struct calendar *date, uint64_t *seconds);

// The other way round. false: it is later than the year 2399.
[[nodiscard]] bool calendar_date(uint64_t seconds, struct calendar *date);
