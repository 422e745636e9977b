// SPDX-License-Identifier: MIT
//
// See tsc_rate.h.
#include "tsc_rate.h"

uint64_t tsc_rate(const struct tsc_statement *statement, bool *exact)
{
    const bool has_ratio = statement->denominator != 0 && statement->numerator != 0;
    *exact = has_ratio && statement->crystal_hz != 0;
    if (*exact)
        return (uint64_t)statement->crystal_hz * statement->numerator / statement->denominator;
    // Without the crystal's, the base frequency is the counter's.
    return (uint64_t)statement->base_mhz * 1'000'000;
}
