// SPDX-License-Identifier: MIT
//
// Tests of what drivers are given: one actor, with an account of its own and the machine.
#pragma once

#include "kernel_world.h"

static struct actor *a;
static uint64_t account, machine;

static void begin(void)
{
    world_begin((struct world_options){});
    account = new_account(600, 300);
    a = spawn(account, 10);
    machine = grant(a, world.boss, world.machine);
}

static bool is_raised(uint64_t interrupt)
{
    return CALL(a, OBJECT_WAIT, interrupt, SIGNAL_INTERRUPT, 0).status == STATUS_OK;
}
