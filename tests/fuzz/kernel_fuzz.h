// SPDX-License-Identifier: MIT
//
// What the targets that fuzz the kernel share: a small world of two CPUs, made once and put back
// as it was before each input.
#pragma once

#include "fuzz.h"
#include "kernel_world.h"

// A world with all that every such target has; what a target adds comes before kernel_ready.
void kernel_begin(void);
void kernel_ready(void);

// Before an input.
void kernel_restore(void);

// After an input: nothing may be left of it.
void kernel_end(void);

// Planted bugs in the kernel's own source are its SEEDED_BUGs; BUG names one.
