// SPDX-License-Identifier: MIT
//
// The actors of a small world as the kernel's: what describe.c and perform.c share.
#pragma once

#include "kernel_world.h"
#include "worlds.h"

struct hands {
    struct actor *actor;
    uint64_t registers[REGISTERS]; // handle values; closed ones stay until they are overwritten
    uint64_t token;
    struct object_ref token_end;
    const struct action *waiting; // the call that it waits in
};
extern struct hands hands[];
extern uint8_t hands_count;
