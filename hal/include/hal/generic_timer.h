// SPDX-License-Identifier: MIT
//
// The Arm generic timer: the virtual counter, and each CPU's virtual timer or its physical one.
#pragma once

#include <hal/hal.h>

// `hz_override`: the frequency that firmware states where CNTFRQ_EL0 is wrong; 0 for none.
// nullptr: neither makes sense.
const struct clock_source *generic_timer_init(uint64_t hz_override, bool physical);

// Stops the timer's interrupt until it is armed again. For the interrupt controller.
void generic_timer_quiet(void);
