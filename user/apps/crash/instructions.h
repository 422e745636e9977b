// SPDX-License-Identifier: MIT
//
// Instructions that a user program may not execute. Defined per architecture.
#pragma once

void instruction_undefined(void);
void instruction_privileged(void);
void instruction_breakpoint(void);
