// SPDX-License-Identifier: MIT
//
// See kernel_meanwhile.h.
#include "kernel_meanwhile.h"

struct actor *user, *other;
uint64_t victim, event, port, machine;

void begin_with(uint32_t asids)
{
    world_begin((struct world_options){.cpus = 2, .asids = asids});
    user = spawn(new_account(600, 300), 10);
    other = spawn_thread_on(1, user, 10);
    machine = grant(user, world.boss, world.machine);
    event = MUST(user, EVENT_CREATE, user->account);
}

void begin(void)
{
    begin_with(0);
}

void it_goes(void)
{
    EXPECT_CALL(OK, other, OBJECT_DESTROY, victim);
}

void it_goes_as_far_as_it_can(void)
{
    (void)CALL(other, OBJECT_DESTROY, victim);
}

void it_goes_for_good(void)
{
    EXPECT_CALL(OK, other, OBJECT_DESTROY, victim);
    EXPECT_CALL(OK, other, HANDLE_CLOSE, victim);
}

void nothing(void)
{
}
