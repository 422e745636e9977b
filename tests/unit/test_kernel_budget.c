// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Budgets: who may have how much of a CPU (C1), who runs until when (C2), what becomes of threads
// that are put aside (S1), and of debts.
#include <entry/entry.h>
#include <hal/hal.h>

#include "cpu.h"
#include "handlers.h"
#include "kernel_world.h"
#include "syscall.h"

constexpr uint64_t MS = 1'000'000;

static uint64_t account;
static struct actor *low, *high; // the account's high one spins, the root's low one is always ready

static status_t ask(uint64_t parent, uint64_t child, uint64_t cpu, uint64_t budget_ns,
                    uint64_t period_ns)
{
    return CALL(world.boss, ACCOUNT_BUDGET, parent, child, cpu, budget_ns, period_ns).status;
}

#define SET(wanted, parent, child, ...) EXPECT_STATUS(ask(parent, child, 0, __VA_ARGS__), wanted)
#define LIMIT(wanted, ...) SET(wanted, world.root_account, account, __VA_ARGS__)

static struct abi_account_cpu figures(uint64_t of)
{
    struct abi_account_cpu info;
    EXPECT_EQUAL(MUST(world.boss, ACCOUNT_CPU, of, 0), sizeof info);
    memcpy(&info, text_of(world.boss), sizeof info);
    return info;
}

static struct thread *running(void)
{
    return cpus[0]->current;
}

static uint64_t ran(const struct actor *actor)
{
    uint64_t now = actor->thread == running() ? time_now_ns() - cpus[0]->switched_ns : 0;
    return counter_read(&actor->thread->cpu_ns) + now;
}

// ---- time in user mode, or at rest

static void timer_interrupt(void)
{
    if (host_place(0) == HOST_USER)
        host_enter(0, entry_interrupt);
    else
        host_wake(0, entry_kernel_interrupt);
    host_run(0);
}

// Lets CPU 0 run for so long, with each interrupt of its timer `late`.
static void run_late(uint64_t ns, uint64_t late)
{
    for (uint64_t end = host_ticks + ns; host_ticks < end;) {
        uint64_t at = host_armed(0);
        if (at > end || late > end - at) {
            host_ticks = end;
            return;
        }
        if (host_ticks < at + late)
            host_ticks = at + late;
        timer_interrupt();
    }
}

static void run(uint64_t ns)
{
    run_late(ns, 0);
}

// Two threads that want to run all the time, the limited one of higher priority.
static void begin_spinning(uint64_t budget_ns, uint64_t period_ns)
{
    world_begin((struct world_options){});
    account = new_account(400, 200);
    low = spawn(new_account(100, 50), 5);
    high = spawn(account, 10);
    if (period_ns > 0)
        LIMIT(OK, budget_ns, period_ns);
    advance(period_ns); // the first is one of nothing
    hold(low);
    hold(high);
    low->held = true;
}

// ---- shares

// OBJ-31
TEST(shares_are_carved_out)
{
    world_begin((struct world_options){.cpus = 2});
    account = new_account(100, 50);
    uint64_t other = new_account(100, 50);
    uint64_t child = MUST(world.boss, ACCOUNT_CREATE, account, 20, 10);
    SET(NO_RESOURCE, account, child, MS, 10 * MS); // its parent has none itself
    LIMIT(OK, 6 * MS, 10 * MS);
    world_check();
    SET(NO_RESOURCE, world.root_account, other, 5 * MS, 10 * MS);
    SET(OK, world.root_account, other, 40 * MS, 100 * MS); // all of the rest
    SET(NO_RESOURCE, account, child, 7 * MS, 10 * MS);
    SET(OK, account, child, 12 * MS, 20 * MS); // all of it
    LIMIT(NO_RESOURCE, 5 * MS, 10 * MS);       // the child holds more
    LIMIT(NO_RESOURCE, 0, 0);
    LIMIT(NO_RESOURCE, 7 * MS, 10 * MS); // nothing is left
    world_check();
    SET(OK, account, child, 1 * MS, 20 * MS);
    LIMIT(OK, 5 * MS, 10 * MS);
    struct abi_account_cpu info = figures(account);
    EXPECT_EQUAL(info.budget_ns, 5 * MS);
    EXPECT_EQUAL(info.period_ns, 10 * MS);
    EXPECT_EQUAL(info.children_ns, MS / 2);
    EXPECT_EQUAL(budget_at(account_behind(world.boss, account), 0)->allotment_ns, 4'500'000);
    SET(OK, account, child, 0, 0);
    SET(OK, account, child, 0, 0); // it has none already
    LIMIT(OK, 0, 0);
    LIMIT(OK, 0, 0);
    EXPECT_EQUAL(cpus[0]->active_budgets, 1);
    EXPECT_EQUAL(figures(account).period_ns, 0);
    SET(NO_RESOURCE, world.root_account, account, 7 * MS, 10 * MS);
    // The other CPU has nothing to do with it.
    EXPECT_STATUS(ask(world.root_account, account, 1, MS, MS), OK);
    world_check();
    world_end();
}

// Three thirds of a CPU fit, and are not more than there is.
TEST(shares_are_rounded_down)
{
    world_begin((struct world_options){});
    account = new_account(100, 50);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t third = new_account(20, 10);
        SET(OK, world.root_account, third, MS, 3 * MS);
        EXPECT_EQUAL(figures(third).budget_ns, MS);
        EXPECT_EQUAL(budget_at(account_behind(world.boss, third), 0)->allotment_ns, MS - 1);
    }
    EXPECT(cpus[0]->promised < BUDGET_WHOLE);
    world_end();
}

// OBJ-32
TEST(terms_that_make_no_sense)
{
    world_begin((struct world_options){});
    account = new_account(100, 50);
    uint64_t child = MUST(world.boss, ACCOUNT_CREATE, account, 20, 10);
    LIMIT(INVALID, ABI_BUDGET_MIN_NS - 1, MS);
    LIMIT(INVALID, 0, MS);
    LIMIT(INVALID, MS, 0);
    LIMIT(INVALID, MS, MS - 1);
    LIMIT(INVALID, ABI_BUDGET_MIN_NS, MS - 1);
    LIMIT(INVALID, MS + 1, MS);
    LIMIT(INVALID, MS, 1'000 * MS + 1);
    LIMIT(INVALID, UINT64_MAX, MS);
    LIMIT(OK, ABI_BUDGET_MIN_NS, MS);
    LIMIT(OK, MS, MS);
    LIMIT(OK, MS, 1'000 * MS);
    LIMIT(OK, 0, 0);
    uint64_t pages = account_behind(world.boss, child)->pages.used;
    SET(OK, account, child, 0, 0); // that is what it has, and nothing is needed to say so
    EXPECT_EQUAL(account_behind(world.boss, child)->pages.used, pages);
    EXPECT(!budget_at(account_behind(world.boss, child), 0));
    SET(INVALID, world.root_account, child, MS, 10 * MS); // not a child of it
    SET(INVALID, account, account, MS, 10 * MS);
    SET(INVALID, account, world.root_account, MS, 10 * MS);
    EXPECT_STATUS(ask(world.root_account, account, 1, MS, 10 * MS), INVALID);
    EXPECT_CALL(INVALID, world.boss, ACCOUNT_CPU, account, 1);
    EXPECT_EQUAL(figures(child).period_ns, 0);
    world_end();
}

TEST(the_child_pays_for_a_page_once)
{
    world_begin((struct world_options){.cpus = 2});
    account = new_account(1, 10);
    uint64_t vmo = MUST(world.boss, VMO_CREATE, account, PAGE_SIZE, 0);
    const struct account *body = account_behind(world.boss, account);
    LIMIT(NO_PAGES, MS, 10 * MS);
    EXPECT_EQUAL(cpus[0]->promised, 0);
    MUST(world.boss, HANDLE_CLOSE, vmo);
    LIMIT(OK, MS, 10 * MS);
    EXPECT_STATUS(ask(world.root_account, account, 1, MS, 10 * MS), OK);
    EXPECT_EQUAL(body->pages.used, 1);
    LIMIT(OK, 0, 0);
    EXPECT_EQUAL(body->pages.used, 1);
    world_end();
}

TEST(an_account_that_ends_has_none_to_give_or_take)
{
    world_begin((struct world_options){});
    account = new_account(400, 200);
    uint64_t child = MUST(world.boss, ACCOUNT_CREATE, account, 20, 10);
    (void)MUST(world.boss, VMO_CREATE, account, 200 * PAGE_SIZE, 0);
    LIMIT(OK, 5 * MS, 10 * MS);
    SET(OK, account, child, MS, 10 * MS);
    hold(world.boss);
    EXPECT_STATUS(HELD(world.boss, OBJECT_DESTROY, account).status, OK);
    // The teardown has not begun: the boss goes on.
    EXPECT_STATUS(
        HELD(world.boss, ACCOUNT_BUDGET, world.root_account, account, 0, MS, 10 * MS).status,
        BAD_STATE);
    EXPECT_STATUS(HELD(world.boss, ACCOUNT_BUDGET, account, child, 0, 2 * MS, 10 * MS).status,
                  BAD_STATE);
    EXPECT_STATUS(HELD(world.boss, ACCOUNT_BUDGET, account, child, 0, MS, 10 * MS).status,
                  BAD_STATE);
    EXPECT_STATUS(HELD(world.boss, ACCOUNT_BUDGET, account, child, 0, 2 * MS, 20 * MS).status,
                  BAD_STATE); // as much, in another period
    EXPECT_EQUAL(budget_at(account_behind(world.boss, child), 0)->wanted_period_ns, 10 * MS);
    EXPECT_STATUS(HELD(world.boss, ACCOUNT_BUDGET, account, child, 0, MS / 2, 10 * MS).status, OK);
    settle();
    EXPECT_EQUAL(cpus[0]->promised, 0);
    world_end();
}

// OBJ-38
TEST(sixteen_accounts_below_each_other)
{
    world_begin((struct world_options){});
    uint64_t parent = world.root_account;
    for (uint64_t depth = 0; depth < ABI_ACCOUNT_DEPTH; depth++) {
        uint64_t child = MUST(world.boss, ACCOUNT_CREATE, parent, 100 - depth, 50 - 2 * depth);
        SET(OK, parent, child, 5 * MS, 10 * MS);
        parent = child;
    }
    EXPECT_CALL(INVALID, world.boss, ACCOUNT_CREATE, parent, 1, 1);
    world_end();
}

// ---- running out and coming back

// OBJ-33
TEST(a_fifth_of_a_cpu)
{
    begin_spinning(2 * MS, 10 * MS);
    uint64_t high_ns = ran(high), low_ns = ran(low);
    run(1'000 * MS);
    EXPECT(ran(high) - high_ns <= 202 * MS && ran(high) - high_ns >= 198 * MS);
    EXPECT(ran(low) - low_ns >= 797 * MS);
    struct abi_account_cpu info;
    settle();
    info = figures(account);
    EXPECT(info.used_ns >= 199 * MS && info.used_ns <= 204 * MS);
    EXPECT(info.high_ns >= 2 * MS - 5'000 && info.high_ns <= 2 * MS);
    EXPECT(info.throttles >= 100 && info.throttles <= 102);
    EXPECT(info.throttled_ns >= 780 * MS && info.throttled_ns <= 820 * MS);
    world_end();
}

TEST(nothing_runs_longer_for_a_late_interrupt)
{
    begin_spinning(2 * MS, 10 * MS);
    uint64_t before = ran(high);
    run_late(1'000 * MS, 300'000); // each time 300 us too much, which is made up for
    EXPECT(ran(high) - before <= 203 * MS && ran(high) - before >= 190 * MS);
    settle();
    world_end();
}

// More than one period passes before the timer's interrupt.
TEST(a_budget_of_all_but_nothing)
{
    begin_spinning(MS, MS);
    EXPECT(running() == high->thread);
    uint64_t before = ran(high);
    host_ticks += 7 * MS + MS / 2;
    timer_interrupt();
    EXPECT(running() == high->thread); // a whole CPU is never used up
    run(5 * MS);
    EXPECT(running() == high->thread);
    EXPECT_STATUS(HELD(high, CLOCK_READ).status, OK);
    settle();
    EXPECT(ran(high) - before >= 12 * MS);
    world_end();
}

// OBJ-35
TEST(what_is_left_is_not_kept)
{
    begin_spinning(2 * MS, 10 * MS);
    settle();
    advance(500 * MS); // nobody runs
    hold(low);
    hold(high);
    low->held = true;
    uint64_t before = ran(high);
    run(5 * MS);
    EXPECT(ran(high) - before <= 4 * MS); // of this period and the next
    run(95 * MS);
    EXPECT(ran(high) - before <= 22 * MS);
    settle();
    world_end();
}

TEST(who_is_throttled_is_seen)
{
    begin_spinning(2 * MS, 10 * MS);
    run(5 * MS);
    EXPECT(running() == low->thread);
    EXPECT(thread_state(high->thread) == THREAD_THROTTLED);
    EXPECT_EQUAL(host_armed(0), budget_at(account_behind(world.boss, account), 0)->next_ns);
    low->held = true;
    world_check();
    settle();
    EXPECT(thread_state(high->thread) == THREAD_THROTTLED);
    MUST(world.boss, OBJECT_INSPECT, high->thread_handle);
    EXPECT_EQUAL(((const struct abi_inspect *)(const void *)text_of(world.boss))->thread.run_state,
                 THREAD_THROTTLED);
    advance(10 * MS);
    EXPECT(thread_state(high->thread) == THREAD_BLOCKED);
    world_end();
}

// OBJ-35
TEST(the_first_period_is_one_of_nothing)
{
    world_begin((struct world_options){});
    account = new_account(400, 200);
    high = spawn(account, 10);
    LIMIT(OK, 2 * MS, 10 * MS);
    MUST(world.boss, THREAD_CANCEL, high->thread_handle);
    EXPECT(thread_state(high->thread) == THREAD_THROTTLED);
    advance(10 * MS - 1);
    EXPECT(thread_state(high->thread) == THREAD_THROTTLED);
    advance(1);
    EXPECT(thread_state(high->thread) == THREAD_BLOCKED);
    LIMIT(OK, 0, 0);
    LIMIT(OK, 2 * MS, 10 * MS);
    MUST(world.boss, THREAD_CANCEL, high->thread_handle);
    EXPECT(thread_state(high->thread) == THREAD_THROTTLED);
    advance(10 * MS);
    world_end();
}

// A CPU that has nothing else rests, and wakes for the next period.
TEST(a_cpu_rests_rather_than_run_what_is_throttled)
{
    world_begin((struct world_options){});
    account = new_account(400, 200);
    high = spawn(account, 10);
    LIMIT(OK, 2 * MS, 10 * MS);
    advance(10 * MS);
    hold(high);
    run(5 * MS);
    EXPECT(host_place(0) == HOST_IDLE && thread_state(high->thread) == THREAD_THROTTLED);
    run(6 * MS);
    EXPECT(running() == high->thread);
    settle();
    world_end();
}

static unsigned windows;
static bool asked_1; // CPU 1 was at the first of them

static void look(void)
{
    if (windows++ == 0)
        asked_1 = host_interrupt_pending(1);
}

// However many are put aside in one entry: between two of them there is a look for interrupts, and what is due
// to other CPUs does not wait for all.
TEST(each_that_is_put_aside_is_a_step)
{
    world_begin((struct world_options){.cpus = 2});
    account = new_account(400, 200);
    low = spawn(new_account(100, 50), 5);
    struct actor *waiters[] = {spawn(account, 10), nullptr, nullptr,
                               spawn_on(1, new_account(100, 50), 10)};
    waiters[1] = spawn_thread(waiters[0], 10);
    waiters[2] = spawn_thread(waiters[0], 10);
    uint64_t event = MUST(low, EVENT_CREATE, low->account);
    for (unsigned i = 0; i < ARRAY_SIZE(waiters); i++)
        EXPECT_CALL(BLOCKED, waiters[i], OBJECT_WAIT, grant(waiters[i], low, event), 1,
                    ABI_DEADLINE_NEVER);
    LIMIT(OK, MS, 10 * MS);
    hold(low);
    host_on_window = look;
    EXPECT_STATUS(HELD(low, EVENT_SIGNAL, event, 1).status, OK);
    host_on_window = nullptr;
    EXPECT(running() == low->thread && asked_1);
    EXPECT_EQUAL(windows, 3);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(thread_state(waiters[i]->thread) == THREAD_THROTTLED);
    settle();
    advance(10 * MS);
    for (unsigned i = 0; i < ARRAY_SIZE(waiters); i++)
        EXPECT_STATUS(ended(waiters[i]).status, OK);
    world_end();
}

// ---- whose budget it is

// OBJ-36
TEST(below_an_account_all_draw_on_its_share)
{
    begin_spinning(0, 0);
    settle();
    uint64_t child = MUST(world.boss, ACCOUNT_CREATE, account, 100, 50);
    uint64_t grandchild = MUST(world.boss, ACCOUNT_CREATE, child, 50, 25);
    struct actor *deep = spawn(grandchild, 12);
    LIMIT(OK, 2 * MS, 10 * MS); // later than all of that
    advance(10 * MS);
    hold(low);
    hold(high);
    hold(deep);
    low->held = high->held = true;
    uint64_t before = ran(high) + ran(deep);
    run(100 * MS);
    uint64_t both = ran(high) + ran(deep) - before;
    EXPECT(both >= 19 * MS && both <= 22 * MS);
    // Its own share, which is not the account's any more.
    low->held = high->held = deep->held = false;
    settle();
    SET(OK, account, child, 5 * MS, 100 * MS);
    advance(100 * MS);
    hold(low);
    hold(high);
    hold(deep);
    low->held = high->held = true;
    before = ran(deep);
    uint64_t before_high = ran(high);
    run(1'000 * MS);
    EXPECT(ran(deep) - before >= 49 * MS && ran(deep) - before <= 56 * MS);
    EXPECT(ran(high) - before_high >= 148 * MS && ran(high) - before_high <= 153 * MS);
    settle();
    // And back.
    SET(OK, account, child, 0, 0);
    advance(1'000 * MS);
    hold(deep);
    run(100 * MS);
    before = ran(deep);
    run(1'000 * MS);
    EXPECT(ran(deep) - before >= 198 * MS && ran(deep) - before <= 203 * MS);
    settle();
    world_end();
}

static uint64_t moved_child, moved_ns;

static void move_share(void)
{
    struct object *parent = &account_behind(world.boss, account)->object;
    struct object *child = &account_behind(world.boss, moved_child)->object;
    struct entry entry = {};
    const struct handle_lookup from = {.object = parent, .generation = parent->generation};
    const struct handle_lookup to = {.object = child, .generation = child->generation};
    EXPECT_STATUS(sys_account_budget(&entry, &from, &to, 0, moved_ns, moved_ns > 0 ? 10 * MS : 0),
                  OK);
}

// What goes to and fro between an account and its child gives neither of them more.
// OBJ-35
TEST(moving_shares_gains_nothing)
{
    begin_spinning(5 * MS, 10 * MS);
    settle();
    moved_child = MUST(world.boss, ACCOUNT_CREATE, account, 100, 50);
    struct actor *deep = spawn(moved_child, 12);
    advance(10 * MS);
    hold(low);
    hold(high);
    hold(deep);
    uint64_t before = ran(high) + ran(deep);
    for (unsigned i = 0; i < 1000; i++) {
        moved_ns = i % 2 == 0 ? 4 * MS : 0;
        low->held = high->held = deep->held = true;
        on_cpu(0, move_share);
        run(MS);
    }
    EXPECT(ran(high) + ran(deep) - before <= 510 * MS);
    settle();
    world_end();
}

// ---- threads that are put aside

static void begin_throttled(unsigned count)
{
    world_begin((struct world_options){.cpus = count});
    account = new_account(400, 200);
    high = spawn(account, 10);
    LIMIT(OK, 2 * MS, 10 * MS);
    advance(10 * MS);
    hold(high);
    run(5 * MS);
    EXPECT(thread_state(high->thread) == THREAD_THROTTLED);
}

// OBJ-34
TEST(a_throttled_thread_is_killed_at_once)
{
    begin_throttled(1);
    MUST(world.boss, OBJECT_DESTROY, high->thread_handle);
    EXPECT(is_dead(high));
    world_check();
    advance(10 * MS);
    world_end();
}

// OBJ-37
TEST(an_account_ends_with_its_threads_throttled)
{
    begin_throttled(1);
    MUST(world.boss, OBJECT_DESTROY, account);
    EXPECT(account_behind(world.boss, account)->object.state == ACCOUNT_DEAD);
    EXPECT_EQUAL(cpus[0]->promised, 0);
    EXPECT_EQUAL(cpus[0]->active_budgets, 0);
    EXPECT_EQUAL(host_armed(0), UINT64_MAX);
    world_end();
}

TEST(a_throttled_thread_runs_on_another_cpu)
{
    begin_throttled(2);
    high->cpu = 1;
    MUST(world.boss, THREAD_SET_CPU, high->thread_handle, 1);
    EXPECT(thread_state(high->thread) == THREAD_BLOCKED && high->parked); // it went on, unlimited
    // Its own share there is another one.
    EXPECT_STATUS(ask(world.root_account, account, 1, 5 * MS, 10 * MS), OK);
    advance(10 * MS);
    hold(high);
    settle();
    world_end();
}

TEST(a_throttled_thread_gets_another_priority)
{
    begin_throttled(1);
    MUST(world.boss, THREAD_SET_PRIORITY, high->thread_handle, 3);
    EXPECT(thread_state(high->thread) == THREAD_THROTTLED);
    EXPECT_EQUAL(thread_priority(high->thread), 3);
    advance(10 * MS);
    EXPECT(high->parked);
    world_end();
}

TEST(a_share_that_is_given_back_lets_all_go)
{
    begin_spinning(0, 0);
    settle();
    struct actor *more[9];
    for (unsigned i = 0; i < ARRAY_SIZE(more); i++)
        more[i] = spawn_thread(high, 10);
    LIMIT(OK, MS, 10 * MS);
    for (unsigned i = 0; i < ARRAY_SIZE(more); i++) {
        MUST(world.boss, THREAD_CANCEL, more[i]->thread_handle);
        EXPECT(thread_state(more[i]->thread) == THREAD_THROTTLED);
    }
    world_check();
    LIMIT(OK, 0, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(more); i++)
        EXPECT(more[i]->parked);
    EXPECT_EQUAL(cpus[0]->active_budgets, 0);
    LIMIT(OK, MS, 10 * MS);
    EXPECT_EQUAL(cpus[0]->active_budgets, 1);
    world_check();
    world_end();
}

static struct actor *equal;

static void make_equal(void)
{
    atomic_store(&equal->thread->wanted_priority, 10);
    thread_request(equal->thread, REQUEST_PRIORITY);
}

TEST(equals_take_turns_over_the_periods)
{
    begin_spinning(MS, 10 * MS);
    settle();
    equal = spawn_thread(high, 11);
    settle();
    advance(100 * MS);
    hold(low);
    hold(high);
    hold(equal);
    low->held = high->held = equal->held = true;
    on_cpu(0, make_equal);
    uint64_t one = ran(high), other = ran(equal);
    run(1'000 * MS);
    one = ran(high) - one;
    other = ran(equal) - other;
    EXPECT(one >= 45 * MS && one <= 55 * MS);
    EXPECT(other >= 45 * MS && other <= 55 * MS);
    settle();
    world_end();
}

TEST(more_is_there_at_once_for_those_who_were_put_aside)
{
    begin_throttled(1);
    LIMIT(OK, 2 * MS, 2 * MS); // its next period begins sooner
    advance(2 * MS);
    EXPECT(high->parked);
    world_end();
}

// A parent that gives all of it away has nothing for itself until it gets some back.
TEST(a_parent_without_a_rest_does_not_run)
{
    begin_spinning(2 * MS, 10 * MS);
    settle();
    advance(10 * MS);
    uint64_t child = MUST(world.boss, ACCOUNT_CREATE, account, 100, 50);
    SET(OK, account, child, 2 * MS, 10 * MS);
    MUST(world.boss, THREAD_CANCEL, high->thread_handle);
    EXPECT(thread_state(high->thread) == THREAD_THROTTLED);
    advance(1'000 * MS);
    EXPECT(thread_state(high->thread) == THREAD_THROTTLED);
    world_check();
    SET(OK, account, child, MS, 10 * MS);
    advance(100 * MS);
    EXPECT(thread_state(high->thread) == THREAD_BLOCKED);
    world_end();
}

// ---- operations

static bool time_passes(void *function)
{
    (void)function;
    host_ticks += 100;
    return false;
}

// What is cleared away is the account's matter, though another asks for it; and a child's that has ended is
// its parent's.
// OBJ-36
TEST(operations_are_paid_by_the_account)
{
    begin_spinning(2 * MS, 10 * MS);
    settle();
    uint64_t child = MUST(world.boss, ACCOUNT_CREATE, account, 350, 50);
    SET(OK, account, child, MS / 10, 10 * MS);
    uint64_t vmo = MUST(world.boss, VMO_CREATE, child, 300 * PAGE_SIZE, 0);
    advance(10 * MS);
    const struct budget *of = budget_at(account_behind(world.boss, child), 0);
    const struct budget *above = budget_at(account_behind(world.boss, account), 0);
    host_on_function = time_passes;
    uint64_t used = counter_read(&of->used_ns), began = host_ticks;
    MUST(world.boss, OBJECT_DESTROY, vmo);
    host_on_function = nullptr;
    used = counter_read(&of->used_ns) - used;
    EXPECT(used > (host_ticks - began) / 2 && used > 50'000 && used <= host_ticks - began);
    EXPECT(of->left_ns < 0);
    int64_t debt = of->left_ns, left = above->left_ns;
    SET(OK, account, child, 0, 0);
    EXPECT(above->left_ns <= (int64_t)above->allotment_ns + debt && left + debt < left);
    world_end();
}

// A pin's account may be another one from one moment to the next: its end is charged to nobody.
TEST(the_end_of_a_pin_is_paid_by_nobody)
{
    begin_spinning(5 * MS, 10 * MS);
    settle();
    uint64_t child = MUST(world.boss, ACCOUNT_CREATE, account, 350, 50);
    SET(OK, account, child, MS, 10 * MS);
    uint64_t space = MUST(world.boss, MACHINE_DMA_SPACE, world.machine, child, 0x18);
    uint64_t vmo = MUST(world.boss, VMO_CREATE, child, 150 * PAGE_SIZE, 0);
    uint64_t pin = MUST(world.boss, PIN_CREATE, space, child, vmo, 0, 150 * PAGE_SIZE, DMA_BOTH);
    advance(10 * MS);
    const struct budget *of = budget_at(account_behind(world.boss, child), 0);
    host_on_function = time_passes;
    uint64_t used = counter_read(&of->used_ns), began = host_ticks;
    MUST(world.boss, PIN_RELEASE, pin);
    host_on_function = nullptr;
    EXPECT(host_ticks - began > 5'000);
    EXPECT_EQUAL(counter_read(&of->used_ns), used);
    world_end();
}

// ---- deadlines

static uint64_t timers_account;

static void set_timers(struct actor *actor, unsigned count, uint64_t due)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t timer = MUST(actor, TIMER_CREATE, actor->account);
        MUST(actor, TIMER_SET, timer, due);
    }
}

// Whoever set them pays for it that they fire, not who runs then.
// OBJ-36
TEST(timers_that_fire_are_paid_by_their_account)
{
    world_begin((struct world_options){});
    timers_account = new_account(400, 200);
    account = new_account(400, 200);
    struct actor *setter = spawn(timers_account, 8);
    high = spawn(account, 10);
    SET(OK, world.root_account, timers_account, 2 * MS, 10 * MS);
    LIMIT(OK, 5 * MS, 10 * MS);
    advance(10 * MS);
    set_timers(setter, 100, host_ticks + MS);
    const struct budget *of = budget_at(account_behind(world.boss, timers_account), 0);
    const struct budget *own = budget_at(account_behind(world.boss, account), 0);
    hold(high);
    host_on_function = time_passes;
    uint64_t began = host_ticks, used = counter_read(&of->used_ns), before = ran(high);
    run(2 * MS);
    host_on_function = nullptr;
    used = counter_read(&of->used_ns) - used;
    uint64_t time = host_ticks - began;
    EXPECT(used >= 100 * 1'000 && used <= time);
    EXPECT_STATUS(HELD(high, CLOCK_READ).status, OK);
    settle();
    EXPECT(ran(high) - before <= time - used + 10'000);
    EXPECT(counter_read(&own->used_ns) + used <= time + 20'000);
    world_end();
}

// And for the end of their storms.
// OBJ-36
TEST(storms_that_are_over_are_paid_by_their_account)
{
    world_begin((struct world_options){});
    timers_account = new_account(400, 200);
    account = new_account(400, 200);
    struct actor *driver = spawn(timers_account, 8);
    high = spawn(account, 10);
    SET(OK, world.root_account, timers_account, 2 * MS, 10 * MS);
    advance(10 * MS);
    uint64_t machine = grant(driver, world.boss, world.machine);
    for (uint32_t line = HOST_LINE_FIRST; line < HOST_LINE_FIRST + 10; line++) {
        uint64_t interrupt =
            MUST(driver, MACHINE_INTERRUPT, machine, driver->account, line, TRIGGER_EDGE);
        MUST(driver, INTERRUPT_LIMIT, interrupt, 1000, 2);
        for (unsigned i = 0; i < 3; i++) {
            host_line_pulse(line);
            settle();
        }
        EXPECT(host_lines[line].masked);
    }
    const struct budget *of = budget_at(account_behind(world.boss, timers_account), 0);
    hold(high);
    host_on_function = time_passes;
    uint64_t used = counter_read(&of->used_ns);
    run(2 * MS);
    host_on_function = nullptr;
    EXPECT(counter_read(&of->used_ns) - used >= 10 * 500);
    for (uint32_t line = HOST_LINE_FIRST; line < HOST_LINE_FIRST + 10; line++)
        EXPECT(!host_lines[line].masked);
    settle();
    world_end();
}

// ---- to the nanosecond

// What a budget is after each nanosecond, as the words say it.
struct reference {
    int64_t left;
    uint64_t allotment, period, next, used, high, total;
};

static void reference_tick(struct reference *of, uint64_t now, bool runs)
{
    if (now == of->next) {
        of->next += of->period;
        of->high = of->used > of->high ? of->used : of->high;
        of->used = 0;
        of->left += (int64_t)of->allotment;
        if (of->left > (int64_t)of->allotment)
            of->left = (int64_t)of->allotment;
    }
    of->left -= runs;
    of->used += runs;
    of->total += runs;
}

TEST(periods_to_the_nanosecond)
{
    struct random random = {test_seed()};
    for (unsigned run_number = 0; run_number < test_amount(2000, 20); run_number++) {
        uint64_t period = 2 + random_below(&random, 20);
        uint64_t allotment = random_below(&random, period + 1), now = 100;
        uint64_t next = now + 1 + random_below(&random, period);
        struct budget budget = {.allotment_ns = allotment, .period_ns = period, .next_ns = next};
        struct reference reference = {.allotment = allotment, .period = period, .next = next};
        for (unsigned i = 0; i < 20; i++) {
            uint64_t rests = random_below(&random, 3) ? random_below(&random, 2 * period) : 0;
            uint64_t runs = random_below(&random, 4 * period);
            uint64_t from = now + rests, to = from + runs;
            for (; now < from; now++)
                reference_tick(&reference, now, false);
            for (; now < to; now++)
                reference_tick(&reference, now, true);
            budget_charge(&budget, from, to);
            struct reference seen = reference;
            reference_tick(&seen, now, false); // a period that begins right now
            EXPECT_EQUAL(budget.left_ns, seen.left);
            EXPECT_EQUAL(budget.next_ns, seen.next);
            bool lets = budget_lets_run(&budget, now);
            EXPECT_EQUAL(budget.left_ns, seen.left);
            EXPECT_EQUAL(budget.next_ns, seen.next);
            EXPECT_EQUAL(budget.period_used_ns, seen.used);
            EXPECT_EQUAL(counter_read(&budget.high_ns), seen.high);
            EXPECT_EQUAL(counter_read(&budget.used_ns), seen.total);
            EXPECT_EQUAL(lets, seen.left > 0);
            EXPECT_EQUAL(budget_end(&budget, now), now + (seen.left > 0 ? (uint64_t)seen.left : 0));
        }
    }
    // A rest of centuries.
    constexpr uint64_t SECOND = 1'000'000'000;
    struct budget old = {
        .allotment_ns = SECOND, .period_ns = SECOND, .next_ns = SECOND, .left_ns = -5};
    EXPECT(budget_lets_run(&old, SECOND << 34));
    EXPECT_EQUAL(old.left_ns, SECOND);
}

static struct budget *limit_of(uint64_t of)
{
    return budget_at(account_behind(world.boss, of), 0);
}

// When the first period begins in which something is left, with a debt of each size.
TEST(a_debt_takes_as_many_periods_as_it_takes)
{
    world_begin((struct world_options){});
    account = new_account(400, 200);
    high = spawn(account, 10);
    LIMIT(OK, 2 * MS, 10 * MS);
    struct budget *of = limit_of(account);
    constexpr int64_t ALLOTMENT = 2 * MS - 1, THROTTLED = 1'000; // what a throttled thread costs
    static const struct {
        int64_t left;
        uint64_t periods;
    } cases[] = {{0, 0},
                 {-1, 0},
                 {1 - ALLOTMENT, 0},
                 {-ALLOTMENT, 1},
                 {-ALLOTMENT - 1, 1},
                 {1 - 2 * ALLOTMENT, 1},
                 {-2 * ALLOTMENT, 2},
                 {-100 * ALLOTMENT, 100}};
    EXPECT_EQUAL(of->allotment_ns, ALLOTMENT);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        advance(10 * MS); // rolls over when it is looked at
        (void)budget_lets_run(of, host_ticks);
        of->left_ns = cases[i].left + THROTTLED;
        bool runs = of->left_ns > 0;
        if (runs)
            of->left_ns = cases[i].left; // it would run for a little
        MUST(world.boss, THREAD_CANCEL, high->thread_handle);
        EXPECT(thread_state(high->thread) == THREAD_THROTTLED);
        EXPECT_EQUAL(of->left_ns, cases[i].left - (runs ? THROTTLED : 0));
        EXPECT_EQUAL(of->deadline.node.key, of->next_ns + cases[i].periods * 10 * MS);
        advance((cases[i].periods + 1) * 10 * MS);
        EXPECT(high->parked);
    }
    world_end();
}

static unsigned returns;

static bool count_returns(void *function)
{
    returns += function == (void *)budget_expired;
    return false;
}

// Four at a time, and the time of the first counts.
TEST(those_who_were_put_aside_come_back_in_parts)
{
    begin_spinning(0, 0);
    settle();
    struct actor *more[10];
    for (unsigned i = 0; i < ARRAY_SIZE(more); i++)
        more[i] = spawn_thread(high, 10);
    LIMIT(OK, MS, 10 * MS);
    uint64_t began = host_ticks;
    for (unsigned i = 0; i < ARRAY_SIZE(more); i++) {
        MUST(world.boss, THREAD_CANCEL, more[i]->thread_handle);
        advance(100'000);
    }
    EXPECT_EQUAL(figures(account).throttled_ns, 0);
    returns = 0;
    host_on_function = count_returns;
    advance(began + 10 * MS - host_ticks);
    host_on_function = nullptr;
    EXPECT_EQUAL(returns, 3);
    EXPECT_EQUAL(figures(account).throttles, ARRAY_SIZE(more));
    EXPECT_EQUAL(figures(account).throttled_ns, 10 * MS);
    for (unsigned i = 0; i < ARRAY_SIZE(more); i++)
        EXPECT(more[i]->parked);
    // One that is killed meanwhile has waited for nothing.
    hold(high);
    run(2 * MS);
    MUST(world.boss, OBJECT_DESTROY, high->thread_handle);
    advance(10 * MS);
    EXPECT_EQUAL(figures(account).throttled_ns, 10 * MS);
    world_end();
}

TEST(new_terms_to_the_nanosecond)
{
    world_begin((struct world_options){});
    advance(1'000 * MS);
    account = new_account(400, 200);
    uint64_t child = MUST(world.boss, ACCOUNT_CREATE, account, 20, 10);
    LIMIT(OK, 4 * MS, 8 * MS);
    struct budget *of = limit_of(account);
    uint64_t next = host_ticks + 8 * MS;
    EXPECT_EQUAL(of->next_ns, next);
    advance(3 * MS);
    LIMIT(OK, 32 * MS, 64 * MS); // a longer period begins when this one is over
    EXPECT_EQUAL(of->next_ns, next);
    EXPECT_EQUAL(of->left_ns, 0); // and only then there is more
    LIMIT(OK, MS, 2 * MS);
    EXPECT_EQUAL(of->next_ns, host_ticks + 2 * MS);
    EXPECT_EQUAL(of->left_ns, -31 * (int64_t)MS); // as much less at once
    LIMIT(OK, 32 * MS, 64 * MS);
    advance(200 * MS);
    LIMIT(OK, 16 * MS, 64 * MS); // it was full, many periods later
    EXPECT_EQUAL(of->left_ns, 16 * MS);
    EXPECT(of->next_ns > host_ticks && of->next_ns <= host_ticks + 64 * MS);
    // A child's debt goes up, what it has left does not, nor what a rest has paid off.
    int64_t left = of->left_ns;
    SET(OK, account, child, MS, 4 * MS);
    struct budget *below = limit_of(child);
    advance(8 * MS);
    (void)budget_lets_run(of, host_ticks);
    left = of->left_ns;
    EXPECT(below->left_ns == 0 || below->left_ns == MS);
    SET(OK, account, child, 0, 0);
    EXPECT_EQUAL(of->left_ns, left);
    SET(OK, account, child, MS, 4 * MS);
    left = of->left_ns;
    below->left_ns = -(int64_t)MS / 2;
    advance(8 * MS);
    SET(OK, account, child, 0, 0);
    EXPECT_EQUAL(of->left_ns, left);
    SET(OK, account, child, MS, 4 * MS);
    left = of->left_ns;
    below->left_ns = -12345;
    SET(OK, account, child, 0, 0);
    EXPECT_EQUAL(of->left_ns, left - 12345);
    // From one share to the next nothing is kept but the figures.
    below->period_used_ns = 7;
    SET(OK, account, child, MS, 4 * MS);
    EXPECT_EQUAL(below->period_used_ns, 0);
    EXPECT_EQUAL(below->left_ns, 0);
    world_end();
}

// Two changes before the CPU has looked: it is told once.
TEST(a_cpu_that_does_not_look_is_told_once)
{
    world_begin((struct world_options){.cpus = 2});
    account = new_account(100, 50);
    uint64_t child = MUST(world.boss, ACCOUNT_CREATE, account, 20, 10);
    hold(world.boss);
    EXPECT_STATUS(
        HELD(world.boss, ACCOUNT_BUDGET, world.root_account, account, 1, 4 * MS, 10 * MS).status,
        OK);
    EXPECT_STATUS(HELD(world.boss, ACCOUNT_BUDGET, account, child, 1, MS, 10 * MS).status, OK);
    EXPECT_STATUS(HELD(world.boss, ACCOUNT_BUDGET, account, child, 1, 2 * MS, 10 * MS).status, OK);
    EXPECT_STATUS(
        HELD(world.boss, ACCOUNT_BUDGET, world.root_account, account, 1, MS, 10 * MS).status,
        NO_RESOURCE);
    EXPECT_STATUS(HELD(world.boss, ACCOUNT_BUDGET, account, child, 1, 0, 0).status, OK);
    EXPECT_STATUS(
        HELD(world.boss, ACCOUNT_BUDGET, world.root_account, account, 1, MS, 10 * MS).status, OK);
    uint64_t posts = counter_read(&cpus[1]->posts);
    settle();
    EXPECT_EQUAL(counter_read(&cpus[1]->posts), posts + 2);
    EXPECT_EQUAL(cpus[1]->active_budgets, 1);
    world_end();
}
