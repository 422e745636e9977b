// SPDX-License-Identifier: MIT
//
// Requests to a thread's home, several at once and of different kinds: start, move, priority, kill,
// wake, cancel; and posts that a former home forwards.
#include "harness.h"

#include "cpu.h"

static struct actor *first, *moved, *second;
static uint64_t first_handle, second_handle, event, first_event, second_event;

static void actors(void)
{
    begin_world(3);
    uint64_t account = new_account(300, 150);
    first = spawn_on(0, account, 10);
    moved = spawn_on(1, account, 10);
    second = spawn_on(2, account, 10);
    first_handle = grant(first, moved, moved->own_thread);
    second_handle = grant(second, moved, moved->own_thread);
    event = MUST(moved, EVENT_CREATE, moved->account);
    first_event = grant(first, moved, event);
    second_event = grant(second, moved, event);
}

static void begin_waiting(void)
{
    actors();
    EXPECT_CALL(BLOCKED, moved, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
}

static void all_run(void)
{
    runs(first);
    runs(second);
    runs(moved);
}

// The moved one waits; its CPU idles, or has somebody else.
static void others_run(void)
{
    runs(first);
    runs(second);
    runs(spawn_on(1, new_account(60, 40), 8));
}

static unsigned home(void)
{
    return moved->thread->home->number;
}

static void moved_and_woken_and_prior(void)
{
    begin_waiting();
    STEP(first, THREAD_SET_PRIORITY, first_handle, 5);
    STEP(first, THREAD_SET_CPU, first_handle, 2);
    STEP(second, EVENT_SIGNAL, second_event, 1);
    others_run();
}
static void all_of_it(void)
{
    EXPLORE_CHECK(woken_with(moved) == STATUS_OK);
    EXPLORE_CHECK(home() == 2 && moved->thread->priority == 5);
}
SCENARIO(moved_and_woken_and_prior, .canary = "weak move", .setup = moved_and_woken_and_prior,
         .finish = all_of_it);
SCENARIO(woken_where_it_moved, .canary = "weak home of", .setup = moved_and_woken_and_prior,
         .finish = all_of_it);

static void priority_against_priority(void)
{
    begin_waiting();
    STEP(first, THREAD_SET_PRIORITY, first_handle, 5);
    STEP(second, THREAD_SET_PRIORITY, second_handle, 7);
    others_run();
}
static void one_of_both(void)
{
    uint8_t priority = moved->thread->priority;
    EXPLORE_CHECK(priority == 5 || priority == 7);
    EXPLORE_CHECK(priority == moved->thread->wanted_priority);
    seen(priority);
}
SCENARIO(priority_against_priority, .canary = "weak request", .setup = priority_against_priority,
         .finish = one_of_both, .weak_only = true);

static void priority_against_wake(void)
{
    begin_waiting();
    STEP(moved, EVENT_CLEAR, event, 1);
    STEP(first, EVENT_SIGNAL, first_event, 1);
    STEP(second, THREAD_SET_PRIORITY, second_handle, 7);
    others_run();
}
static void woken_with_priority(void)
{
    EXPLORE_CHECK(woken_with(moved) == STATUS_OK && moved->thread->priority == 7);
}
SCENARIO(priority_against_wake, .canary = "weak requests", .setup = priority_against_wake,
         .finish = woken_with_priority);

static void move_wake_kill(void)
{
    begin_waiting();
    STEP(first, THREAD_SET_CPU, first_handle, 2);
    STEP(first, EVENT_SIGNAL, first_event, 1);
    STEP(second, OBJECT_DESTROY, second_handle);
    others_run();
}
static void it_is_dead(void)
{
    EXPLORE_CHECK(is_dead(moved));
    seen(home());
}
SCENARIO(move_wake_kill, .canary = "S1 forward", .setup = move_wake_kill, .finish = it_is_dead);

static void move_cancel_signal(void)
{
    begin_waiting();
    STEP(first, THREAD_SET_CPU, first_handle, 0);
    STEP(first, THREAD_CANCEL, first_handle);
    STEP(second, EVENT_SIGNAL, second_event, 1);
    others_run();
}
static void moved_and_woken(void)
{
    EXPLORE_CHECK(home() == 0);
    EXPLORE_CHECK(woken_with(moved) == STATUS_OK ||
                  (woken_with(moved) == STATUS_CANCELLED && status_of(first, 1) == STATUS_OK));
}
SCENARIO(move_cancel_signal, .canary = "two wakers", .setup = move_cancel_signal,
         .finish = moved_and_woken);

// The wake goes to the home that it had; that forwards it.
static void wake_after_two_moves(void)
{
    begin_waiting();
    STEP(first, THREAD_SET_CPU, first_handle, 0);
    STEP(first, THREAD_SET_CPU, first_handle, 1);
    STEP(second, EVENT_SIGNAL, second_event, 1);
    others_run();
}
static void it_woke(void)
{
    EXPLORE_CHECK(woken_with(moved) == STATUS_OK);
    EXPLORE_CHECK(home() == 1);
}
SCENARIO(wake_after_two_moves, .canary = "S1 forward", .setup = wake_after_two_moves,
         .finish = it_woke);

static void move_a_running_one_twice(void)
{
    actors();
    STEP(moved, EVENT_SIGNAL, event, 1);
    STEP(first, THREAD_SET_CPU, first_handle, 2);
    STEP(second, THREAD_SET_CPU, second_handle, 0);
    all_run();
}
static void it_is_somewhere(void)
{
    EXPLORE_CHECK(status_of(moved, 0) == STATUS_OK && home() != 1);
    EXPLORE_CHECK(home() == moved->thread->wanted_cpu);
}
SCENARIO(move_a_running_one_twice, .canary = "S1 forward", .setup = move_a_running_one_twice,
         .finish = it_is_somewhere);

static void exit_move_priority(void)
{
    actors();
    STEP(moved, THREAD_EXIT);
    STEP(first, THREAD_SET_CPU, first_handle, 0);
    STEP(second, THREAD_SET_PRIORITY, second_handle, 3);
    all_run();
}
SCENARIO(exit_move_priority, .canary = "machine: lost IPI", .setup = exit_move_priority,
         .finish = it_is_dead);

// ---- a thread that is only made

static uint64_t fresh, second_fresh;

static void a_fresh_thread(void)
{
    begin_world(3);
    uint64_t account = new_account(300, 150);
    first = spawn_on(0, account, 10);
    moved = spawn_on(1, account, 10);
    second = spawn_thread_on(2, first, 10);
    fresh = MUST(first, THREAD_CREATE, first->own_process, 9, 0x60'0000);
    MUST(first, THREAD_SET_CPU, fresh, 1);
    second_fresh = fresh;
    runs(moved);
    runs(first);
    runs(second);
}

static void start_against_kill(void)
{
    a_fresh_thread();
    STEP(first, THREAD_START, fresh, 0x40'0000, 0, 0, 0);
    STEP(second, OBJECT_DESTROY, second_fresh);
}
static void started_or_not(void)
{
    const struct object *object = object_behind(first, fresh);
    EXPLORE_CHECK(object && object->state == 0 && object->finished);
    seen(status_of(first, 0));
}
SCENARIO(start_against_kill, .canary = "machine: lost IPI", .setup = start_against_kill,
         .finish = started_or_not);

static void start_against_start(void)
{
    a_fresh_thread();
    STEP(first, THREAD_START, fresh, 0x40'0000, 0, 0, 0);
    STEP(second, THREAD_START, second_fresh, 0x40'0000, 0, 0, 0);
}
static void started_once(void)
{
    unsigned done = (status_of(first, 0) == STATUS_OK) + (status_of(second, 0) == STATUS_OK);
    EXPLORE_CHECK(done == 1);
}
SCENARIO(start_against_start, .canary = "machine: lost IPI", .setup = start_against_start,
         .finish = started_once);

static void start_move_priority(void)
{
    a_fresh_thread();
    STEP(first, THREAD_START, fresh, 0x40'0000, 0, 0, 0);
    STEP(second, THREAD_SET_CPU, second_fresh, 0);
    STEP(second, THREAD_SET_PRIORITY, second_fresh, 4);
}
static void started_there(void)
{
    const struct thread *thread = (const struct thread *)(const void *)object_behind(first, fresh);
    EXPLORE_CHECK(thread->home->number == 0 && thread->priority == 4);
}
SCENARIO(start_move_priority, .canary = "S1 forward", .setup = start_move_priority,
         .finish = started_there);
