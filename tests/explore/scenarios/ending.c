// SPDX-License-Identifier: MIT
//
// Objects that end because their account does, each on another CPU than what else goes on with them:
// what a teardown waits for is told by the object's operation, and by flags that it reads without.
#include "harness.h"

static struct actor *one, *two;

// In a process that has one more thread, so that it stays.
static void exiting(void)
{
    begin_world(2);
    one = spawn_on(0, new_account(60, 40), 10);
    two = spawn_thread_on(1, spawn_on(0, new_account(60, 40), 10), 10);
    STEP(two, THREAD_EXIT);
}

static void both_run(void)
{
    runs(one);
    runs(two);
}

static void thread_is_gone(void)
{
    EXPLORE_CHECK(is_dead(two) && thread_state(two->thread) == THREAD_DEAD);
    EXPLORE_CHECK(two->thread->object.life != LIFE_DYING);
}

static void exit_against_end(void)
{
    exiting();
    plan_end(one, &two->thread->object);
    both_run();
}
// With broadcast invalidation: else the teardown has to ask the CPU that the thread leaves.
SCENARIO(exit_against_end, .canary = "O2 leave", .setup = exit_against_end,
         .finish = thread_is_gone, .broadcasts = true);
SCENARIO(end_sees_exit, .canary = "weak left", .setup = exit_against_end, .finish = thread_is_gone,
         .broadcasts = true, .weak_only = true);
SCENARIO(end_reads_exit, .canary = "weak has left", .setup = exit_against_end,
         .finish = thread_is_gone, .broadcasts = true, .weak_only = true);
SCENARIO(end_is_resumed, .canary = "weak resume", .setup = exit_against_end,
         .finish = thread_is_gone, .broadcasts = true, .weak_only = true);

static void exit_against_end_of_buffer(void)
{
    exiting();
    plan_end(one, two->thread->buffer_mapping.object);
    both_run();
}
SCENARIO(buffer_is_unmapped, .canary = "weak unmapped", .setup = exit_against_end_of_buffer,
         .finish = thread_is_gone, .weak_only = true);
SCENARIO(buffer_is_seen_unmapped, .canary = "weak has unmapped",
         .setup = exit_against_end_of_buffer, .finish = thread_is_gone, .weak_only = true);
SCENARIO(step_after_resume, .canary = "weak phase set", .setup = exit_against_end_of_buffer,
         .finish = thread_is_gone, .weak_only = true);
