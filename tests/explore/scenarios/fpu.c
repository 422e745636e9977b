// SPDX-License-Identifier: MIT
//
// FP registers of threads that change their CPU: saved before the next CPU can take the thread, and
// never another's. What user code finds is checked whenever it runs (host_fpu_check).
#include "harness.h"

#include "cpu.h"

static struct actor *mover, *moved;
static uint64_t its_thread, event, theirs;

static void actors(void)
{
    begin_world(2);
    uint64_t account = new_account(300, 150);
    mover = spawn_on(0, account, 10);
    moved = spawn_on(1, account, 10);
    its_thread = grant(mover, moved, moved->own_thread);
    event = MUST(mover, EVENT_CREATE, mover->account);
    theirs = grant(moved, mover, event);
}

static void both_run(void)
{
    runs(mover);
    runs(moved);
}

static void fpu_moves_while_it_runs(void)
{
    actors();
    plan_fpu(moved);
    STEP(moved, EVENT_SIGNAL, theirs, 1);
    STEP(moved, CLOCK_READ);
    plan_fpu(moved);
    STEP(mover, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    STEP(mover, THREAD_SET_CPU, its_thread, 0);
    both_run();
}
static void it_ran_on(void)
{
    EXPLORE_CHECK(status_of(mover, 1) == STATUS_OK && status_of(moved, 3) == STATUS_OK);
    EXPLORE_CHECK(moved->thread->home == cpus[0]);
}
// OBJ-39
SCENARIO(fpu_moves_while_it_runs, .canary = "F1 late", .canary_kind = "race",
         .setup = fpu_moves_while_it_runs, .finish = it_ran_on);

static void fpu_moves_while_it_waits(void)
{
    actors();
    plan_fpu(moved);
    STEP(moved, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
    plan_fpu(moved);
    STEP(mover, THREAD_SET_CPU, its_thread, 0);
    STEP(mover, EVENT_SIGNAL, event, 1);
    plan_fpu(mover);
    both_run();
}
static void it_woke(void)
{
    EXPLORE_CHECK(status_of(moved, 1) == STATUS_OK && status_of(moved, 2) == STATUS_OK);
    EXPLORE_CHECK(status_of(mover, 2) == STATUS_OK);
}
// OBJ-39
SCENARIO(fpu_moves_while_it_waits, .canary = "F1 restore", .canary_kind = "panic",
         .setup = fpu_moves_while_it_waits, .finish = it_woke);

// Another thread comes to its CPU, finds them off, and then clean.
static void fpu_of_two_on_one_cpu(void)
{
    actors();
    plan_fpu(moved);
    STEP(moved, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
    STEP(mover, THREAD_SET_CPU, mover->own_thread, 1);
    STEP(mover, EVENT_SIGNAL, event, 1);
    plan_fpu(mover);
    plan_fpu(moved);
    both_run();
}
static void both_went_on(void)
{
    EXPLORE_CHECK(status_of(moved, 2) == STATUS_OK && status_of(mover, 2) == STATUS_OK);
}
// OBJ-40
SCENARIO(fpu_of_two_on_one_cpu, .canary = "F1", .canary_kind = "panic",
         .setup = fpu_of_two_on_one_cpu, .finish = both_went_on);
