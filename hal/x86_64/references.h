// SPDX-License-Identifier: MIT
//
// What references.c knows besides: see <hal/x86_64/clock_tsc.h>.
#pragma once

#include <stdint.h>

// The rate that the processor states for its time-stamp counter, in Hz; 0: none.
uint64_t clock_stated_hz(bool *exact);
