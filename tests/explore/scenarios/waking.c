// SPDX-License-Identifier: MIT
//
// Waiting and waking: the reasons to wake a thread (signal, cancel, deadline, kill, the end of what
// it waits for), against each other and against the beginning of the wait.
#include "harness.h"

static struct actor *waiter, *waker, *other;
static uint64_t event, theirs, waiter_thread;

static void actors(unsigned cpus)
{
    begin_world(cpus);
    uint64_t account = new_account(300, 150);
    waker = spawn_on(0, account, 10);
    waiter = spawn_on(1, account, 10);
    other = cpus > 2 ? spawn_on(2, account, 10) : nullptr;
    event = MUST(waker, EVENT_CREATE, waker->account);
    theirs = grant(waiter, waker, event);
    waiter_thread = grant(waker, waiter, waiter->own_thread);
}

static void all_run(void)
{
    runs(waker);
    runs(waiter);
    if (other)
        runs(other);
}

static bool is_one_of(status_t status, status_t a, status_t b, status_t c)
{
    return status == a || status == b || status == c;
}

// A wait that was cancelled was so by a cancel that says so. (One that came later found the
// thread in the sleep that it ends with.)
static bool cancel_agrees(status_t cancel, status_t wait, status_t without)
{
    if (cancel != STATUS_OK && cancel != STATUS_BAD_STATE)
        return false;
    return wait == without || (wait == STATUS_CANCELLED && cancel == STATUS_OK);
}

// ---- pairs against the beginning of the wait

static void two_signals_against_wait(void)
{
    actors(3);
    uint64_t third = grant(other, waker, event);
    STEP(waiter, OBJECT_WAIT, theirs, 3, ABI_DEADLINE_NEVER);
    STEP(waiter, OBJECT_WAIT, theirs, 3, ABI_DEADLINE_NEVER);
    STEP(waker, EVENT_SIGNAL, event, 1);
    STEP(other, EVENT_SIGNAL, third, 2);
    all_run();
}
static void two_signals_win(void)
{
    EXPLORE_CHECK(status_of(waiter, 0) == STATUS_OK && status_of(waiter, 1) == STATUS_OK);
    EXPLORE_CHECK(value_of(waiter, 1, 0) != 0);
    seen(10 * value_of(waiter, 0, 0) + value_of(waiter, 1, 0));
}
SCENARIO(two_signals_against_wait, .canary = "S2", .setup = two_signals_against_wait,
         .finish = two_signals_win);

// ---- pairs and triples over a wait that has begun

static void begin_waiting(unsigned cpus, uint64_t deadline)
{
    actors(cpus);
    EXPECT_CALL(BLOCKED, waiter, OBJECT_WAIT, theirs, 1, deadline);
    // Something else runs on the waiter's CPU, or it idles.
}

static void waker_and_other_run(void)
{
    runs(waker);
    if (other)
        runs(other);
    struct actor *on_its_cpu = spawn_on(1, waker->account ? new_account(60, 40) : 0, 8);
    runs(on_its_cpu);
}

static void signal_against_kill(void)
{
    begin_waiting(3, ABI_DEADLINE_NEVER);
    uint64_t thread = grant(other, waiter, waiter->own_thread);
    STEP(waker, EVENT_SIGNAL, event, 1);
    STEP(other, OBJECT_DESTROY, thread);
    waker_and_other_run();
}
static void dead_either_way(void)
{
    EXPLORE_CHECK(is_dead(waiter));
    seen(has_woken(waiter));
}
SCENARIO(signal_against_kill, .canary = "I3", .budget = 8000, .setup = signal_against_kill,
         .finish = dead_either_way);

static void cancel_against_kill(void)
{
    begin_waiting(3, ABI_DEADLINE_NEVER);
    uint64_t thread = grant(other, waiter, waiter->own_thread);
    STEP(waker, THREAD_CANCEL, waiter_thread);
    STEP(other, OBJECT_DESTROY, thread);
    waker_and_other_run();
}
SCENARIO(cancel_against_kill, .canary = "two wakers", .budget = 8000, .setup = cancel_against_kill,
         .finish = dead_either_way);

static void signal_cancel_kill(void)
{
    begin_waiting(3, ABI_DEADLINE_NEVER);
    uint64_t thread = grant(other, waiter, waiter->own_thread);
    STEP(waker, EVENT_SIGNAL, event, 1);
    STEP(other, THREAD_CANCEL, thread);
    STEP(other, OBJECT_DESTROY, thread);
    waker_and_other_run();
}
SCENARIO(signal_cancel_kill, .canary = "two wakers", .setup = signal_cancel_kill,
         .finish = dead_either_way);

static void signal_against_deadline(void)
{
    begin_waiting(2, 1'000'000);
    STEP(waker, EVENT_SIGNAL, event, 1);
    waker_and_other_run();
    plan_time(2'000'000);
}
static void signal_or_deadline(void)
{
    EXPLORE_CHECK(is_one_of(woken_with(waiter), STATUS_OK, STATUS_TIMED_OUT, STATUS_OK));
    seen(woken_with(waiter) == STATUS_OK);
}
SCENARIO(signal_against_deadline, .canary = "I3", .setup = signal_against_deadline,
         .finish = signal_or_deadline);

static void cancel_against_deadline(void)
{
    begin_waiting(2, 1'000'000);
    STEP(waker, THREAD_CANCEL, waiter_thread);
    waker_and_other_run();
    plan_time(2'000'000);
}
static void cancel_or_deadline(void)
{
    EXPLORE_CHECK(cancel_agrees(status_of(waker, 0), woken_with(waiter), STATUS_TIMED_OUT));
    seen(woken_with(waiter));
}
SCENARIO(cancel_against_deadline, .canary = "two wakers", .setup = cancel_against_deadline,
         .finish = cancel_or_deadline);

static void kill_against_deadline(void)
{
    begin_waiting(2, 1'000'000);
    STEP(waker, OBJECT_DESTROY, waiter_thread);
    waker_and_other_run();
    plan_time(2'000'000);
}
SCENARIO(kill_against_deadline, .canary = "I3", .setup = kill_against_deadline,
         .finish = dead_either_way);

static void signal_against_destroy(void)
{
    begin_waiting(3, ABI_DEADLINE_NEVER);
    uint64_t third = grant(other, waker, event);
    STEP(waker, OBJECT_DESTROY, event);
    STEP(other, EVENT_SIGNAL, third, 1);
    waker_and_other_run();
}
static void signal_or_gone(void)
{
    bool signalled = status_of(other, 0) == STATUS_OK;
    EXPLORE_CHECK(status_of(waker, 0) == STATUS_OK);
    EXPLORE_CHECK(woken_with(waiter) == (signalled ? STATUS_OK : STATUS_GONE));
    seen(signalled);
}
SCENARIO(signal_against_destroy, .canary = "I4 all", .setup = signal_against_destroy,
         .finish = signal_or_gone);

static void sleep_against_cancel(void)
{
    actors(2);
    STEP(waiter, THREAD_SLEEP, 1'000'000);
    STEP(waker, THREAD_CANCEL, waiter_thread);
    all_run();
    plan_time(2'000'000);
}
static void sleeps_or_is_cancelled(void)
{
    EXPLORE_CHECK(cancel_agrees(status_of(waker, 0), status_of(waiter, 0), STATUS_OK));
    seen(status_of(waiter, 0));
}
SCENARIO(sleep_against_cancel, .canary = "two wakers", .setup = sleep_against_cancel,
         .finish = sleeps_or_is_cancelled);

static void sleep_against_kill(void)
{
    actors(2);
    STEP(waiter, THREAD_SLEEP, 1'000'000);
    STEP(waker, OBJECT_DESTROY, waiter_thread);
    all_run();
    plan_time(2'000'000);
}
static void slept_or_not_dead(void)
{
    EXPLORE_CHECK(is_dead(waiter));
}
SCENARIO(sleep_against_kill, .canary = "machine: lost IPI", .setup = sleep_against_kill,
         .finish = slept_or_not_dead);
