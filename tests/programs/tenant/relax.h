// SPDX-License-Identifier: MIT
#pragma once

// Where the emulator runs all CPUs in one thread, it gives the next CPU its turn. Defined per
// architecture.
void relax(void);
