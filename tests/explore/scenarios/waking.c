// SPDX-License-Identifier: MIT
//
// Waiting and waking: the reasons to wake a thread, against each other and against the beginning
// of the wait.
#include "harness.h"

static struct actor *waiter, *waker, *other;
static uint64_t event, theirs;

static void two_cpus(void)
{
    begin_world(2);
    uint64_t account = new_account(200, 100);
    waiter = spawn_on(1, account, 10);
    waker = spawn_on(0, account, 10);
    event = MUST(waker, EVENT_CREATE, waker->account);
    theirs = grant(waiter, waker, event);
}

static void signal_against_wait_setup(void)
{
    two_cpus();
    STEP(waiter, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
    STEP(waker, EVENT_SIGNAL, event, 1);
    runs(waker);
    runs(waiter);
}

static void signal_against_wait_finish(void)
{
    EXPLORE_CHECK(status_of(waker, 0) == STATUS_OK);
    EXPLORE_CHECK(status_of(waiter, 0) == STATUS_OK);
    EXPLORE_CHECK(value_of(waiter, 0, 0) == 1);
}
SCENARIO(signal_against_wait, .canary = "S2", .setup = signal_against_wait_setup,
         .finish = signal_against_wait_finish);
