// SPDX-License-Identifier: MIT
//
// Processes that end, by themselves or destroyed, while another CPU makes threads in them, looks at
// them, ends them or their address space.
#include "harness.h"

constexpr uint64_t AT = 0x5000'0000;

static struct actor *ending, *other, *waiter;
static uint64_t process;

static void actors(void)
{
    begin_world(2);
    uint64_t account = new_account(300, 150);
    ending = spawn_on(0, account, 10);
    other = spawn_on(1, account, 10);
    waiter = spawn_on(1, account, 10);
    process = grant(other, ending, ending->own_process);
}

static void both_run(void)
{
    runs(ending);
    runs(other);
}

static void exit_against_thread_create(void)
{
    actors();
    STEP(ending, PROCESS_EXIT, 7);
    STEP(other, THREAD_CREATE, process, 5, AT);
    both_run();
}
static void made_or_not(void)
{
    status_t status = status_of(other, 0);
    EXPLORE_CHECK(is_dead(ending));
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_BAD_STATE);
    seen(status);
}
SCENARIO(exit_against_thread_create, .canary = "machine: lost IPI",
         .setup = exit_against_thread_create, .finish = made_or_not);

static void exit_against_inspect(void)
{
    actors();
    STEP(ending, PROCESS_EXIT, 7);
    STEP(other, OBJECT_INSPECT, process);
    both_run();
}
static void inspected(void)
{
    EXPLORE_CHECK(is_dead(ending) && status_of(other, 0) == STATUS_OK);
}
SCENARIO(exit_against_inspect, .canary = "D figures", .setup = exit_against_inspect,
         .finish = inspected);

static void exit_against_destroy(void)
{
    actors();
    STEP(ending, PROCESS_EXIT, 7);
    STEP(other, OBJECT_DESTROY, process);
    both_run();
}
static void both_ended_it(void)
{
    EXPLORE_CHECK(is_dead(ending) && status_of(other, 0) == STATUS_OK);
}
SCENARIO(exit_against_destroy, .canary = "machine: lost IPI", .setup = exit_against_destroy,
         .finish = both_ended_it);

static void exit_of_process_against_end(void)
{
    actors();
    STEP(ending, PROCESS_EXIT, 7);
    plan_end(other, &ending->process->object);
    both_run();
}
SCENARIO(exit_of_process_against_end, .canary = "machine: lost IPI",
         .setup = exit_of_process_against_end, .finish = both_ended_it);

// The end of the process is resumed by a waiter that leaves, besides by its address space.
static void destroy_against_end_of_aspace(void)
{
    begin_world(2);
    uint64_t account = new_account(300, 150);
    ending = spawn_on(0, account, 10);
    other = spawn_thread_on(1, ending, 10);
    waiter = spawn_on(1, account, 10);
    struct outcome made = CALL(ending, PROCESS_CREATE, ending->account, 0);
    process = made.value[0];
    uint64_t shared = grant(waiter, ending, process);
    EXPECT_CALL(BLOCKED, waiter, OBJECT_WAIT, shared, SIGNAL_TERMINATED, ABI_DEADLINE_NEVER);
    STEP(ending, OBJECT_DESTROY, process);
    plan_end(other, object_behind(ending, made.value[1]));
    STEP(other, THREAD_CANCEL, grant(other, waiter, waiter->own_thread));
    both_run();
}
static void destroyed_and_woken(void)
{
    status_t status = woken_with(waiter);
    EXPLORE_CHECK(status_of(ending, 0) == STATUS_OK && status_of(other, 0) == STATUS_OK);
    EXPLORE_CHECK(status == STATUS_OK ||
                  (status == STATUS_CANCELLED && status_of(other, 1) == STATUS_OK));
    seen(status);
}
SCENARIO(destroy_against_end_of_aspace, .canary = "machine: lost IPI",
         .setup = destroy_against_end_of_aspace, .finish = destroyed_and_woken);

// It has no thread: the last one that was to be made ends with it.
static void destroy_against_failed_create(void)
{
    begin_world(2);
    ending = spawn_on(0, new_account(300, 150), 10);
    other = spawn_thread_on(1, ending, 10);
    process = MUST(ending, PROCESS_CREATE, ending->account, 0);
    STEP(ending, OBJECT_DESTROY, process);
    STEP(other, THREAD_CREATE, process, 5, AT + 1);
    both_run();
}
static void destroyed(void)
{
    status_t status = status_of(other, 0);
    EXPLORE_CHECK(status_of(ending, 0) == STATUS_OK);
    EXPLORE_CHECK(status == STATUS_INVALID || status == STATUS_BAD_STATE || status == STATUS_GONE);
}
SCENARIO(destroy_against_failed_create, .canary = "O2", .setup = destroy_against_failed_create,
         .finish = destroyed);
