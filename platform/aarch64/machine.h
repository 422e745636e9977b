// SPDX-License-Identifier: MIT
//
// The devices of the kernel itself: read from firmware tables into a description, and started from
// it. Starting sets their parts of `hal`.
#pragma once

#include <platform/fdt.h>

#include "description.h"

// ---- describe_fdt.c: the description by the device tree

// The console first of all, so that the rest can be heard.
void describe_console(const void *tree, struct machine_description *machine);

// The rest. Panics where the kernel cannot run without; complains of and leaves out what it can do
// without.
void describe_devices(const void *tree, struct machine_description *machine);

// ---- devices.c

void start_console(const struct machine_description *machine);

// Timer, interrupt controller, power. What a controller needs of RAM is taken out of `boot`, whose
// RAM is mapped. Panics where the kernel cannot run without.
void start_devices(const struct machine_description *machine, struct boot_info *boot);
