// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Whose time it is, and whose turn, where threads with shares of a CPU stop, are preempted, and run out of
// their shares (C2, S3).
#include <entry/entry.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "kernel_world.h"

constexpr uint64_t MS = 1'000'000;

static uint64_t account;
static struct actor *first, *second,
    *top; // two equals of the account; not limited, of higher priority

static struct abi_account_cpu figures(uint64_t of, uint64_t cpu)
{
    struct abi_account_cpu info;
    EXPECT_EQUAL(MUST(world.boss, ACCOUNT_CPU, of, cpu), sizeof info);
    memcpy(&info, text_of(world.boss), sizeof info);
    return info;
}

static const struct thread *running(void)
{
    return cpus[0]->current;
}

static void timer_interrupt(void)
{
    EXPECT(host_ticks >= host_armed(0) && host_place(0) == HOST_USER);
    host_enter(0, entry_interrupt);
    host_run(0);
}

static void make_ready_too(void)
{
    if (!thread_win(second->thread))
        abort();
    thread_end_wait(second->thread, STATUS_CANCELLED);
}

// The first one runs, with all of its period, and the second waits for its turn.
static void begin(uint64_t budget_ns, uint64_t period_ns, uint8_t top_priority)
{
    world_begin((struct world_options){});
    account = new_account(400, 200);
    top = spawn(new_account(100, 50), top_priority);
    first = spawn(account, 10);
    second = spawn_thread(first, 10);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, account, 0, budget_ns, period_ns);
    advance(period_ns);
    hold(first);
    second->held = true;
    on_cpu(0, make_ready_too);
    EXPECT(running() == first->thread);
}

// The top one runs at that time, and waits for ever.
static void preempt_at(uint64_t ns)
{
    (void)CALL(top, THREAD_SLEEP, ns);
    EXPECT(running() == first->thread); // preempted for a moment, it goes on
    top->held = true;
    host_ticks = ns;
    timer_interrupt();
    EXPECT(running() == top->thread);
    EXPECT_STATUS(HELD(top, THREAD_SLEEP, ABI_DEADLINE_NEVER).status, BLOCKED);
}

// ---- whose turn it is

TEST(who_is_preempted_goes_on_first)
{
    for (uint8_t priority = 11; priority < 14; priority++) {
        begin(2 * MS, 10 * MS, priority);
        preempt_at(cpus[0]->budget_end_ns - 1); // a nanosecond is left
        EXPECT(running() == first->thread);
        top->held = false;
        settle();
        world_end();
    }
}

TEST(who_has_run_out_is_the_last)
{
    begin(2 * MS, 10 * MS, 20);
    uint64_t end = cpus[0]->budget_end_ns;
    const struct budget *of = budget_at(account_behind(world.boss, account), 0);
    preempt_at(end);
    EXPECT(thread_state(first->thread) == THREAD_THROTTLED);
    EXPECT(thread_state(second->thread) == THREAD_THROTTLED);
    EXPECT(list_first(&of->throttled) == &second->thread->runnable.node);
    settle();
    advance(10 * MS);
    world_end();
}

// A share that is not used up yet, or is there anew, is no reason to change.
TEST(a_share_that_is_left_is_no_reason_to_change)
{
    begin(MS, MS, 20);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_STATUS(HELD(first, CLOCK_READ).status, OK);
        EXPECT(running() == first->thread);
        host_ticks = host_armed(0);
        timer_interrupt();
        EXPECT(running() == first->thread);
    }
    settle();
    world_end();
}

// ---- whose time it is

TEST(who_waits_before_its_share_ends_has_used_what_it_ran)
{
    world_begin((struct world_options){});
    account = new_account(400, 200);
    first = spawn(account, 10);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, account, 0, 2 * MS, 10 * MS);
    advance(10 * MS);
    uint64_t used = figures(account, 0).used_ns;
    hold(first);
    host_ticks += MS / 2;
    EXPECT_STATUS(HELD(first, THREAD_SLEEP, ABI_DEADLINE_NEVER).status, BLOCKED);
    settle();
    EXPECT_EQUAL(figures(account, 0).used_ns, used + MS / 2);
    world_end();
}

// Found on one CPU, the share is not taken for that of another.
TEST(a_thread_that_moves_uses_the_share_of_its_cpu)
{
    world_begin((struct world_options){.cpus = 2});
    account = new_account(400, 200);
    first = spawn(account, 10);
    for (uint64_t cpu = 0; cpu < 2; cpu++)
        MUST(world.boss, ACCOUNT_BUDGET, world.root_account, account, cpu, 2 * MS, 10 * MS);
    advance(10 * MS);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        uint64_t used[] = {figures(account, 0).used_ns, figures(account, 1).used_ns};
        hold(first);
        host_ticks += MS / 2;
        settle();
        EXPECT_EQUAL(figures(account, cpu).used_ns, used[cpu] + MS / 2);
        EXPECT_EQUAL(figures(account, 1 - cpu).used_ns, used[1 - cpu]);
        first->cpu = 1;
        MUST(world.boss, THREAD_SET_CPU, first->thread_handle, 1);
        settle();
    }
    world_end();
}

static bool time_passes(void *function)
{
    (void)function;
    host_ticks += 100;
    return false;
}

static uint64_t ran(const struct actor *actor)
{
    uint64_t now = actor->thread == running() ? time_now_ns() - cpus[0]->switched_ns : 0;
    return counter_read(&actor->thread->cpu_ns) + now;
}

// Deadlines come while the first one runs, whose own they are.
TEST(what_comes_for_ones_own_account_is_ones_own_time)
{
    world_begin((struct world_options){});
    account = new_account(400, 200);
    first = spawn(account, 10);
    for (unsigned i = 0; i < 5; i++)
        MUST(first, TIMER_SET, MUST(first, TIMER_CREATE, first->account), 12 * MS);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, account, 0, 5 * MS, 10 * MS);
    advance(11 * MS - host_ticks);
    hold(first);
    uint64_t began = host_ticks, before = ran(first);
    host_ticks = 12 * MS;
    host_on_function = time_passes;
    timer_interrupt();
    host_on_function = nullptr;
    EXPECT(running() == first->thread && host_ticks > 12 * MS + 1'000);
    EXPECT_EQUAL(ran(first) - before, host_ticks - began);
    settle();
    world_end();
}

// The same, of a thread that waits, which pays for that itself; and of one that nobody limits.
TEST(who_waits_pays_for_the_end_of_the_wait)
{
    world_begin((struct world_options){});
    account = new_account(400, 200);
    uint64_t other = new_account(400, 200);
    first = spawn(account, 10);
    second = spawn(other, 8);
    top = spawn(new_account(100, 50), 7);
    for (unsigned i = 0; i < 2; i++)
        MUST(world.boss, ACCOUNT_BUDGET, world.root_account, i ? other : account, 0, 4 * MS,
             10 * MS);
    advance(11 * MS - host_ticks);
    EXPECT_CALL(BLOCKED, second, THREAD_SLEEP, 12 * MS);
    EXPECT_CALL(BLOCKED, top, THREAD_SLEEP, 12 * MS);
    uint64_t used = figures(other, 0).used_ns;
    hold(first);
    host_ticks = 12 * MS;
    host_on_function = time_passes;
    timer_interrupt();
    host_on_function = nullptr;
    EXPECT(running() == first->thread);
    const struct budget *of = budget_at(account_behind(world.boss, other), 0);
    EXPECT(counter_read(&of->used_ns) >= used + 500);
    settle();
    world_end();
}
