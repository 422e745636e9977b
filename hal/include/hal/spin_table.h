// SPDX-License-Identifier: MIT
//
// CPUs that wait in a loop of the firmware's, each until its release address holds where to go (Linux,
// "Booting AArch64 Linux"; binding "arm,cpus", enable-method "spin-table").
#pragma once

#include <lib/types.h>

// Lets the CPU go to `entry` (physical). `release` is a multiple of 8 in RAM that the kernel has mapped
// and gives to nobody.
void spin_table_release(paddr_t release, paddr_t entry);
