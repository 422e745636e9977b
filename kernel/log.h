// SPDX-License-Identifier: MIT
//
// The kernel's log: a ring of text, written by the kernel and by holders of the Log object, and
// echoed on the debug UART until a driver owns that.
#pragma once

#include "object.h"

struct log {
    struct object object;
};
OBJECT_BODY(log);

void log_init(void);

// A driver was given the UART: nothing more is echoed, until the machine stops.
void log_release_console(void);

// Stops this CPU if another one reports the end of the machine. (panic.c)
void panic_stop_here(void);

// From now on everything is echoed at once, without locks: the machine is stopping.
void log_emergency(void);
