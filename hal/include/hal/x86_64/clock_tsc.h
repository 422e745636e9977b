// SPDX-License-Identifier: MIT
//
// The time-stamp counter as clock source, with the local APIC's timer for deadlines; both are
// measured against a reference timer whose rate is known.
#pragma once

#include <hal/hal.h>

struct clock_reference {
    const char *name;
    uint64_t hz;
    uint64_t mask; // the counter wraps after this value
    uint64_t (*read)(void);
};

// Each fills `reference` if the timer is there, counts up, and says a sensible rate.
[[nodiscard]] bool reference_hpet(paddr_t registers, struct clock_reference *reference);
[[nodiscard]] bool reference_pm_timer(uint16_t port, bool wide, struct clock_reference *reference);
// The first channel of an i8254, which interrupts once more at most.
[[nodiscard]] bool reference_i8254(uint16_t ports, struct clock_reference *reference);
// The time-stamp counter itself, if the processor states its rate: what is left to be measured
// is the local APIC's timer.
[[nodiscard]] bool reference_stated(struct clock_reference *reference);

// Measures both clocks, in at most some 20 ms. Needs apic_init. nullptr: done, clock_tsc works.
// Otherwise what is wrong; then nothing was changed.
const char *clock_tsc_init(const struct clock_reference *reference);

extern struct clock_source clock_tsc;
