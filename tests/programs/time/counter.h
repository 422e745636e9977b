// SPDX-License-Identifier: MIT
//
// The counter behind the clock, as user code reads it. Defined per architecture.
#pragma once

#include <stdint.h>

uint64_t counter_read(void);
