// SPDX-License-Identifier: MIT
//
// Threads that change their CPU, their priority, or their mind: requests to a thread's home, while
// it runs, waits, is woken, ends.
#include "harness.h"

#include "cpu.h"

static struct actor *mover, *moved, *third;
static uint64_t its_thread, event, theirs;

static void actors(unsigned count)
{
    begin_world(count);
    uint64_t account = new_account(300, 150);
    mover = spawn_on(0, account, 10);
    moved = spawn_on(1, account, 10);
    third = count > 2 ? spawn_on(2, account, 10) : nullptr;
    its_thread = grant(mover, moved, moved->own_thread);
    event = MUST(mover, EVENT_CREATE, mover->account);
    theirs = grant(moved, mover, event);
}

static void all_run(void)
{
    runs(mover);
    runs(moved);
    if (third)
        runs(third);
}

static unsigned home(const struct actor *actor)
{
    return actor->thread->home->number;
}

static void move_a_running_thread(void)
{
    actors(2);
    STEP(mover, THREAD_SET_CPU, its_thread, 0);
    STEP(moved, EVENT_SIGNAL, theirs, 1);
    STEP(moved, EVENT_CLEAR, theirs, 1);
    all_run();
}
static void it_moved_and_went_on(void)
{
    EXPLORE_CHECK(status_of(mover, 0) == STATUS_OK);
    EXPLORE_CHECK(status_of(moved, 1) == STATUS_OK && home(moved) == 0);
}
SCENARIO(move_a_running_thread, .canary = "machine: lost IPI", .setup = move_a_running_thread,
         .finish = it_moved_and_went_on);

static void move_a_waiting_thread(void)
{
    actors(2);
    STEP(moved, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
    STEP(mover, THREAD_SET_CPU, its_thread, 0);
    STEP(mover, EVENT_SIGNAL, event, 1);
    all_run();
}
static void it_moved_and_woke(void)
{
    EXPLORE_CHECK(status_of(moved, 0) == STATUS_OK && home(moved) == 0);
}
SCENARIO(move_a_waiting_thread, .canary = "S2", .setup = move_a_waiting_thread,
         .finish = it_moved_and_woke);

static void move_against_wake(void)
{
    actors(3);
    EXPECT_CALL(BLOCKED, moved, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
    uint64_t other = grant(third, mover, event);
    STEP(mover, THREAD_SET_CPU, its_thread, 2);
    STEP(third, EVENT_SIGNAL, other, 1);
    runs(mover);
    runs(third);
    runs(spawn_on(1, new_account(60, 40), 8));
}
static void it_woke_elsewhere(void)
{
    EXPLORE_CHECK(woken_with(moved) == STATUS_OK && home(moved) == 2);
}
SCENARIO(move_against_wake, .canary = "S1 forward", .setup = move_against_wake,
         .finish = it_woke_elsewhere);

static void move_against_kill(void)
{
    actors(3);
    uint64_t other = grant(third, moved, moved->own_thread);
    STEP(mover, THREAD_SET_CPU, its_thread, 2);
    STEP(third, OBJECT_DESTROY, other);
    all_run();
}
static void it_is_dead(void)
{
    EXPLORE_CHECK(is_dead(moved));
    seen(home(moved));
}
SCENARIO(move_against_kill, .canary = "machine: lost IPI", .setup = move_against_kill,
         .finish = it_is_dead);

static void move_there_and_back(void)
{
    actors(3);
    uint64_t other = grant(third, moved, moved->own_thread);
    STEP(mover, THREAD_SET_CPU, its_thread, 2);
    STEP(third, THREAD_SET_CPU, other, 0);
    all_run();
}
static void it_is_somewhere(void)
{
    EXPLORE_CHECK(status_of(mover, 0) == STATUS_OK && status_of(third, 0) == STATUS_OK);
    EXPLORE_CHECK(!is_dead(moved) && (home(moved) == 0 || home(moved) == 2));
    seen(home(moved));
}
SCENARIO(move_there_and_back, .canary = "S1 forward", .setup = move_there_and_back,
         .finish = it_is_somewhere);

static void move_and_priority(void)
{
    actors(3);
    uint64_t other = grant(third, moved, moved->own_thread);
    STEP(mover, THREAD_SET_CPU, its_thread, 0);
    STEP(third, THREAD_SET_PRIORITY, other, 5);
    all_run();
}
static void both_happened(void)
{
    EXPLORE_CHECK(home(moved) == 0 && moved->thread->priority == 5);
}
SCENARIO(move_and_priority, .canary = "S1 forward", .setup = move_and_priority,
         .finish = both_happened);

static void start_on_another_cpu(void)
{
    actors(2);
    uint64_t process = grant(mover, moved, moved->own_process);
    uint64_t fresh = MUST(mover, THREAD_CREATE, process, 9, 0x60'0000);
    MUST(mover, THREAD_SET_CPU, fresh, 1);
    STEP(mover, THREAD_START, fresh, 0x40'0000, 0, 0, 0);
    STEP(mover, THREAD_START, fresh, 0x40'0000, 0, 0, 0);
    STEP(moved, EVENT_SIGNAL, theirs, 1);
    all_run();
}
static void it_started_once(void)
{
    EXPLORE_CHECK(status_of(mover, 0) == STATUS_OK && status_of(mover, 1) == STATUS_BAD_STATE);
}
SCENARIO(start_on_another_cpu, .canary = "weak post", .setup = start_on_another_cpu,
         .finish = it_started_once, .weak_only = true);

static void exit_against_kill(void)
{
    actors(2);
    STEP(moved, THREAD_EXIT);
    STEP(mover, OBJECT_DESTROY, its_thread);
    STEP(mover, THREAD_SET_PRIORITY, its_thread, 3);
    all_run();
}
static void it_ended_once(void)
{
    EXPLORE_CHECK(is_dead(moved) && status_of(mover, 0) == STATUS_OK);
    seen(status_of(mover, 1));
}
SCENARIO(exit_against_kill, .canary = "weak take", .setup = exit_against_kill,
         .finish = it_ended_once);

static void two_kills(void)
{
    actors(3);
    uint64_t other = grant(third, moved, moved->own_thread);
    STEP(mover, OBJECT_DESTROY, its_thread);
    STEP(third, OBJECT_DESTROY, other);
    all_run();
}
static void it_is_dead_once(void)
{
    EXPLORE_CHECK(is_dead(moved));
}
SCENARIO(two_kills, .canary = "machine: lost IPI", .setup = two_kills, .finish = it_is_dead_once);

// The process ends under its threads, one of which runs elsewhere.
static struct actor *sibling;

static void process_killed(void)
{
    begin_world(2);
    uint64_t account = new_account(300, 150);
    mover = spawn_on(0, account, 10);
    moved = spawn_on(0, account, 12);
    sibling = spawn_thread_on(1, moved, 10);
    STEP(sibling, EVENT_CREATE, moved->account);
    its_thread = grant(mover, moved, moved->own_process);
    STEP(mover, OBJECT_DESTROY, its_thread);
    runs(mover);
    runs(sibling);
}
static void both_are_dead(void)
{
    EXPLORE_CHECK(is_dead(moved) && is_dead(sibling));
    EXPLORE_CHECK(status_of(mover, 0) == STATUS_OK);
}
SCENARIO(process_killed, .canary = "machine: lost IPI", .setup = process_killed,
         .finish = both_are_dead);

static void process_killed_against_thread_create(void)
{
    begin_world(2);
    uint64_t account = new_account(300, 150);
    mover = spawn_on(0, account, 10);
    moved = spawn_on(1, account, 10);
    third = spawn_on(1, account, 12);
    uint64_t process = grant(third, moved, moved->own_process);
    its_thread = grant(mover, moved, moved->own_process);
    STEP(mover, OBJECT_DESTROY, its_thread);
    STEP(third, THREAD_CREATE, process, 5, 0x60'0000);
    runs(mover);
    runs(third);
}
static void the_process_is_gone(void)
{
    EXPLORE_CHECK(is_dead(moved));
    status_t status = status_of(third, 0);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_BAD_STATE || status == STATUS_GONE);
    seen(status);
}
SCENARIO(process_killed_against_thread_create, .canary = "expect",
         .setup = process_killed_against_thread_create, .finish = the_process_is_gone);
