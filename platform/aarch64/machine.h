// SPDX-License-Identifier: MIT
//
// The devices of the kernel itself, found in the device tree. Each sets its part of `hal`.
#pragma once

#include <platform/fdt.h>

// First of all, so that the rest can be heard.
void machine_find_console(const void *tree);

// Interrupt controller, timer and power. Panics where the kernel cannot run without.
void machine_find_devices(const void *tree);
