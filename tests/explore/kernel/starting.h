// SPDX-License-Identifier: MIT
//
// The start of a second CPU on the explored machine, up to its first thread (starting.c).
#pragma once

#include "cpu.h"
#include "thread.h"

extern struct boot_info starting_boot;
extern struct thread *starting_thread; // started when the CPUs have come; where it runs:
extern bool starting_ran[2];
extern bool starting_halted;     // the second CPU
extern struct cpu *starting_cpu; // that one
extern uint64_t starting_ahead;  // of its clock
extern bool starting_late;       // more than a second may go by until it comes

void starting_take_over(void); // at the end of setup
void starting_over(void);      // the second CPU is halted: ends its thread

void starting_boot_cpu(void *); // model threads
void starting_second_cpu(void *);
