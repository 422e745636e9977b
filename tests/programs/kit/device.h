// SPDX-License-Identifier: MIT
//
// A device of the machine that raises an interrupt on demand. Defined per architecture.
#pragma once

#include <kit/kit.h>

bool device_open(interrupt_t *interrupt); // mints what it needs from start.machine
void device_prepare(void);                // before trigger: may call the kernel
void device_trigger(void);                // it raises its interrupt now or soon; no call
void device_quiet(void);
