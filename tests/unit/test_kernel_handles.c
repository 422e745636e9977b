// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Handles: lookup of every value near a live one, rights, reuse, retirement, limits (O1-O3).
#include "kernel_world.h"

TEST(boot)
{
    world_begin((struct world_options){});
    world_check();
    world_end();
}

TEST(event_and_close)
{
    world_begin((struct world_options){});
    struct actor *a = spawn(new_account(100, 100), 10);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    MUST(a, EVENT_SIGNAL, event, 5);
    EXPECT_EQUAL(MUST(a, EVENT_CLEAR, event, 1), 5);
    EXPECT_CALL(OK, a, HANDLE_CLOSE, event);
    EXPECT_CALL(BAD_HANDLE, a, HANDLE_CLOSE, event);
    world_end();
}
