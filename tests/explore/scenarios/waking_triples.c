// SPDX-License-Identifier: MIT
//
// One waiter and three CPUs: two of the reasons to wake it against the beginning of its wait, three
// of them against each other, and a sleeper that sleeps again.
#include "harness.h"

static struct actor *waiter, *waker, *other;
static uint64_t event, waker_event, other_event, waker_thread, other_thread;

static void actors(void)
{
    begin_world(3);
    uint64_t account = new_account(300, 150);
    waker = spawn_on(0, account, 10);
    waiter = spawn_on(1, account, 10);
    other = spawn_on(2, account, 10);
    event = MUST(waiter, EVENT_CREATE, waiter->account);
    waker_event = grant(waker, waiter, event);
    other_event = grant(other, waiter, event);
    waker_thread = grant(waker, waiter, waiter->own_thread);
    other_thread = grant(other, waiter, waiter->own_thread);
}

static void wakers_run(void)
{
    runs(waker);
    runs(other);
}

static void all_run(void)
{
    wakers_run();
    runs(waiter);
}

// It waits already; somebody else has its CPU, or that idles.
static void begin_waiting(uint64_t deadline)
{
    actors();
    EXPECT_CALL(BLOCKED, waiter, OBJECT_WAIT, event, 1, deadline);
}

static void waiter_is_alone(void)
{
    wakers_run();
    runs(spawn_on(1, new_account(60, 40), 8));
}

static bool cancelled_rightly(status_t status, const struct actor *by)
{
    return status == STATUS_CANCELLED && status_of(by, 0) == STATUS_OK;
}

// ---- against the beginning of the wait

static void wait_signal_cancel(void)
{
    actors();
    STEP(waiter, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    STEP(waker, EVENT_SIGNAL, waker_event, 1);
    STEP(other, THREAD_CANCEL, other_thread);
    all_run();
}
static void signalled_or_cancelled(void)
{
    EXPLORE_CHECK(status_of(waiter, 0) == STATUS_OK ||
                  cancelled_rightly(status_of(waiter, 0), other));
}
SCENARIO(wait_signal_cancel, .canary = "weak wait", .setup = wait_signal_cancel,
         .finish = signalled_or_cancelled);

static void wait_signal_destroy(void)
{
    actors();
    STEP(waiter, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    STEP(waker, EVENT_SIGNAL, waker_event, 1);
    STEP(other, OBJECT_DESTROY, other_event);
    all_run();
}
static void signalled_or_gone(void)
{
    EXPLORE_CHECK(status_of(waiter, 0) == STATUS_OK || status_of(waiter, 0) == STATUS_GONE);
    EXPLORE_CHECK(status_of(waiter, 0) == STATUS_GONE || status_of(waker, 0) == STATUS_OK);
}
SCENARIO(wait_signal_destroy, .canary = "I4 all", .setup = wait_signal_destroy,
         .finish = signalled_or_gone);

static void wait_signal_kill(void)
{
    actors();
    STEP(waiter, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    STEP(waker, EVENT_SIGNAL, waker_event, 1);
    STEP(other, OBJECT_DESTROY, other_thread);
    all_run();
}
static void the_waiter_is_dead(void)
{
    EXPLORE_CHECK(is_dead(waiter));
}
SCENARIO(wait_signal_kill, .canary = "machine: lost IPI", .setup = wait_signal_kill,
         .finish = the_waiter_is_dead);

static void wait_cancel_cancel(void)
{
    actors();
    STEP(waiter, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    STEP(waiter, OBJECT_WAIT, event, 1, 1'000'000);
    STEP(waker, THREAD_CANCEL, waker_thread);
    STEP(other, THREAD_CANCEL, other_thread);
    STEP(other, EVENT_SIGNAL, other_event, 1);
    all_run();
}
static void each_ends(void)
{
    EXPLORE_CHECK(status_of(waiter, 0) == STATUS_OK || status_of(waiter, 0) == STATUS_CANCELLED);
    EXPLORE_CHECK(status_of(waiter, 1) == STATUS_OK || status_of(waiter, 1) == STATUS_CANCELLED);
}
SCENARIO(wait_cancel_cancel, .canary = "two wakers", .setup = wait_cancel_cancel,
         .finish = each_ends);

// ---- against each other, over a wait that has begun

static void signal_cancel_deadline(void)
{
    begin_waiting(1'000'000);
    STEP(waker, EVENT_SIGNAL, waker_event, 1);
    STEP(other, THREAD_CANCEL, other_thread);
    waiter_is_alone();
    plan_time(2'000'000);
}
static void one_of_three(void)
{
    status_t status = woken_with(waiter);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_TIMED_OUT ||
                  cancelled_rightly(status, other));
}
SCENARIO(signal_cancel_deadline, .canary = "two wakers", .setup = signal_cancel_deadline,
         .finish = one_of_three);

static void signal_kill_deadline(void)
{
    begin_waiting(1'000'000);
    STEP(waker, EVENT_SIGNAL, waker_event, 1);
    STEP(other, OBJECT_DESTROY, other_thread);
    waiter_is_alone();
    plan_time(2'000'000);
}
SCENARIO(signal_kill_deadline, .canary = "machine: lost IPI", .setup = signal_kill_deadline,
         .finish = the_waiter_is_dead);

static void signal_destroy_cancel(void)
{
    begin_waiting(ABI_DEADLINE_NEVER);
    STEP(waker, EVENT_SIGNAL, waker_event, 1);
    STEP(waker, OBJECT_DESTROY, waker_event);
    STEP(other, THREAD_CANCEL, other_thread);
    waiter_is_alone();
}
static void signalled_before_gone(void)
{
    EXPLORE_CHECK(woken_with(waiter) == STATUS_OK || cancelled_rightly(woken_with(waiter), other));
}
SCENARIO(signal_destroy_cancel, .canary = "two wakers", .setup = signal_destroy_cancel,
         .finish = signalled_before_gone);

static void destroy_cancel_reuse(void)
{
    begin_waiting(ABI_DEADLINE_NEVER);
    STEP(waker, OBJECT_DESTROY, waker_event);
    STEP(waker, THREAD_YIELD);
    STEP(waker, EVENT_CREATE, waker->account); // in the same slot, as soon as nobody queues on it
    STEP(other, THREAD_CANCEL, other_thread);
    waiter_is_alone();
}
static void gone_or_cancelled(void)
{
    EXPLORE_CHECK(woken_with(waiter) == STATUS_GONE ||
                  cancelled_rightly(woken_with(waiter), other));
    EXPLORE_CHECK(status_of(waker, 2) == STATUS_OK);
}
SCENARIO(destroy_cancel_reuse, .canary = "I3", .setup = destroy_cancel_reuse,
         .finish = gone_or_cancelled);

static void destroy_deadline_reuse(void)
{
    begin_waiting(1'000'000);
    STEP(waker, OBJECT_DESTROY, waker_event);
    STEP(waker, THREAD_YIELD);
    STEP(waker, EVENT_CREATE, waker->account);
    waiter_is_alone();
    plan_time(2'000'000);
}
static void gone_or_late(void)
{
    EXPLORE_CHECK(woken_with(waiter) == STATUS_GONE || woken_with(waiter) == STATUS_TIMED_OUT);
}
SCENARIO(destroy_deadline_reuse, .canary = "weak take", .setup = destroy_deadline_reuse,
         .finish = gone_or_late);

// ---- woken, it sleeps again

static void woken_and_waits_again(void)
{
    begin_waiting(ABI_DEADLINE_NEVER);
    STEP(waiter, OBJECT_WAIT, event, 2, ABI_DEADLINE_NEVER);
    STEP(waker, EVENT_SIGNAL, waker_event, 1);
    STEP(other, EVENT_SIGNAL, other_event, 2);
    waiter_is_alone();
}
static void woken_twice(void)
{
    EXPLORE_CHECK(woken_with(waiter) == STATUS_OK && status_of(waiter, 0) == STATUS_OK);
    EXPLORE_CHECK(value_of(waiter, 0, 0) == 2);
}
SCENARIO(woken_and_waits_again, .canary = "weak take", .setup = woken_and_waits_again,
         .finish = woken_twice);

static void sleeper_cancelled_twice(void)
{
    begin_waiting(ABI_DEADLINE_NEVER);
    STEP(waiter, THREAD_SLEEP, 1'000'000);
    STEP(waker, EVENT_SIGNAL, waker_event, 1);
    STEP(other, THREAD_CANCEL, other_thread);
    waiter_is_alone();
    plan_time(2'000'000);
}
static void it_went_on(void)
{
    EXPLORE_CHECK(status_of(waiter, 0) == STATUS_OK || status_of(waiter, 0) == STATUS_CANCELLED);
}
SCENARIO(sleeper_cancelled_twice, .canary = "two wakers", .setup = sleeper_cancelled_twice,
         .finish = it_went_on);

static void two_waiters_two_signals(void)
{
    begin_waiting(ABI_DEADLINE_NEVER);
    STEP(other, OBJECT_WAIT, other_event, 3, ABI_DEADLINE_NEVER);
    STEP(other, EVENT_CLEAR, other_event, 3);
    STEP(waker, EVENT_SIGNAL, waker_event, 2);
    STEP(waker, EVENT_SIGNAL, waker_event, 1);
    waiter_is_alone();
}
static void both_are_woken(void)
{
    EXPLORE_CHECK(woken_with(waiter) == STATUS_OK && status_of(other, 0) == STATUS_OK);
}
SCENARIO(two_waiters_two_signals, .canary = "S2", .setup = two_waiters_two_signals,
         .finish = both_are_woken);

static void clear_against_wait(void)
{
    actors();
    STEP(waiter, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    STEP(waker, EVENT_SIGNAL, waker_event, 1);
    STEP(waker, EVENT_SIGNAL, waker_event, 1);
    STEP(other, EVENT_CLEAR, other_event, 1);
    STEP(other, EVENT_SIGNAL, other_event, 1);
    all_run();
}
static void it_is_woken(void)
{
    EXPLORE_CHECK(status_of(waiter, 0) == STATUS_OK);
}
SCENARIO(clear_against_wait, .canary = "machine: lost IPI", .setup = clear_against_wait,
         .finish = it_is_woken);
