// SPDX-License-Identifier: MIT
//
// What a processor states of its time-stamp counter (Intel SDM volume 2, CPUID leaves 15H and 16H;
// volume 3, 19.7.3 "Determining the Processor Base Frequency"). Pure.
#pragma once

#include <stdint.h>

struct tsc_statement {
    uint32_t denominator, numerator, crystal_hz; // leaf 15H; 0: not stated
    uint32_t base_mhz;                           // leaf 16H; 0: not stated
};

// The counter's rate in Hz; 0: it cannot be told. `exact`: from a crystal of known rate, rather
// than from a rounded number.
uint64_t tsc_rate(const struct tsc_statement *statement, bool *exact);
