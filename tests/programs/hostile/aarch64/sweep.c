// SPDX-License-Identifier: MIT
//
// x86_64: nothing to sweep; crashes.c lists what is privileged.
#include "../hostile.h"

void sweep_phase(void)
{
}
void sweep_child(void)
{
}
