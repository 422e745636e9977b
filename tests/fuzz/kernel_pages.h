// SPDX-License-Identifier: MIT
//
// The snapshot of a simulated world (kernel_pages.c). Apart from kernel_fuzz.h, since the C
// library's headers have names that are also the ABI's.
#pragma once

#include <stddef.h>

void world_save(size_t ram_bytes); // once, when nothing runs
void world_restore(void);
