// SPDX-License-Identifier: MIT
//
// The simulated machine of the explorer: what harness.c does with it.
#pragma once

#include <arch/arch.h>
#include <hal/hal.h>

constexpr unsigned MACHINE_CPUS = 4, MACHINE_LINES = 4, MACHINE_PAGES = 4;

enum pending_bit : uint32_t { PENDING_IPI = 1, PENDING_TIMER = 2 }; // above: lines

extern _Atomic uint32_t machine_pending[MACHINE_CPUS];

void machine_take_over(void); // at the end of setup, from the machine of the unit tests
void machine_reset_translation(bool broadcasts);
void machine_page(uint64_t address); // a page that accesses are about
uint64_t machine_root_of(unsigned cpu);
void machine_show_lines(void); // at the end of an execution, to that machine
void machine_idle(void);
bool machine_interrupt_comes(void);
bool machine_use_fpu(uint64_t value);              // false: a trap
bool machine_access(uint64_t address, bool write); // false: a fault

void machine_device_raises(void *line); // a model thread each
void machine_time_comes(void *when);

// By harness.c, which is not instrumented: ghosts.
uint64_t machine_owner_of(uint64_t leaf);
void machine_check_frame(uint64_t leaf, uint64_t owner);

// translation_break.c: watches writes of page tables from now on; every CPU has been flushed.
void translation_watch(void);
void translation_flushed(void);
