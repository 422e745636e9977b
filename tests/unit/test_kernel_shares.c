// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Shares of CPUs: what a CPU still does with one that is given back, while another waits for it to let go;
// what is left, to the nanosecond; and more CPUs than a page has room for (C1, C2, M1).
#include <string.h>

#include "cpu.h"
#include "kernel_world.h"

constexpr uint64_t MS = 1'000'000;

static struct budget *share_of(uint64_t account)
{
    return budget_at(account_behind(world.boss, account), 0);
}

// ---- what a CPU still does with it

static struct actor *zero, *one;                          // on CPU 0 and 1, not limited
static uint64_t parent, child, parent_there, child_there; // shares of CPU 0; the same, one's

static void begin(void)
{
    parent_there = grant(one, world.boss, parent);
    child_there = grant(one, world.boss, child);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, parent, 0, 6 * MS, 10 * MS);
    MUST(world.boss, ACCOUNT_BUDGET, parent, child, 0, 2 * MS, 10 * MS);
}

static void begin_accounts(void)
{
    world_begin((struct world_options){.cpus = 2});
    parent = new_account(400, 200);
    child = MUST(world.boss, ACCOUNT_CREATE, parent, 200, 100);
    zero = spawn_on(0, new_account(100, 50), 10);
    one = spawn_on(1, new_account(100, 50), 10);
}

// Lets an actor's CPU go on until it has begun a function of the kernel (nullptr: any) so many times. false:
// it did not.
static struct {
    void *function;
    unsigned cpu, nth;
} awaited;

static bool is_awaited(void *function)
{
    if ((awaited.function && function != awaited.function) || cpu_self()->number != awaited.cpu ||
        --awaited.nth > 0)
        return false;
    host_on_function = nullptr;
    return true;
}

static bool go_on_to(struct actor *actor, void *function, unsigned nth)
{
    awaited.function = function;
    awaited.cpu = actor->cpu;
    awaited.nth = nth;
    host_on_function = is_awaited;
    (void)go_on(actor);
    host_on_function = nullptr;
    return host_place(actor->cpu) == HOST_KERNEL;
}

// CPU 0 hears of the share's end and of the thread's in one entry: what it has set a deadline for, to
// bring the thread back, is there for nothing. When that has come it lets go, and the account is gone
// before it goes on: the time that this took is not the account's.
TEST(a_share_that_was_let_go_is_not_touched)
{
    begin_accounts();
    struct actor *limited = spawn_on(0, child, 12);
    begin();
    MUST(world.boss, THREAD_CANCEL, limited->thread_handle);
    EXPECT(thread_state(limited->thread) == THREAD_THROTTLED);
    hold(zero);
    EXPECT_CALL(OK, one, ACCOUNT_BUDGET, parent_there, child_there, 0, 0, 0);
    EXPECT_CALL(OK, one, OBJECT_DESTROY, child_there);
    EXPECT_STATUS(HELD(zero, CLOCK_READ).status, OK);
    EXPECT_CALL(OK, one, CLOCK_READ);
    const struct object *account = object_behind(world.boss, child);
    const struct budget *of = share_of(child), *above = share_of(parent);
    EXPECT(account->state == ACCOUNT_DYING && of->in_use);
    uint64_t used = counter_read(&above->used_ns);
    stopped_interrupt(zero, (const void *)budget_expired);
    host_ticks += 1000;
    EXPECT(go_on_to(zero, (void *)sched_charge_other, 1));
    EXPECT_CALL(OK, one, CLOCK_READ);
    EXPECT(account->state == ACCOUNT_DEAD);
    uint8_t was[sizeof *of];
    memcpy(was, of, sizeof was);
    (void)go_on(zero);
    EXPECT(memcmp(was, of, sizeof was) == 0);
    EXPECT_EQUAL(counter_read(&above->used_ns), used + 1000); // whom it draws on pays
    settle();
    world_end();
}

// While CPU 0 looks at terms, they change again: it is told once more, and the account waits for that.
TEST(a_share_that_changes_while_it_is_let_go)
{
    begin_accounts();
    begin();
    hold(zero);
    EXPECT_CALL(OK, one, ACCOUNT_BUDGET, parent_there, child_there, 0, 0, 0);
    STOPPED(zero, sched_budget_changed, CLOCK_READ);
    EXPECT_CALL(OK, one, ACCOUNT_BUDGET, parent_there, child_there, 0, MS, 10 * MS);
    EXPECT_CALL(OK, one, ACCOUNT_BUDGET, parent_there, child_there, 0, 0, 0);
    EXPECT_CALL(OK, one, OBJECT_DESTROY, child_there);
    EXPECT(go_on_to(zero, (void *)budget_take, 1)); // it has looked at the first of the three
    EXPECT_CALL(OK, one, CLOCK_READ);
    const struct object *account = object_behind(world.boss, child);
    EXPECT(account->state == ACCOUNT_DYING);
    EXPECT_STATUS(go_on(zero).status, OK);
    settle();
    EXPECT(account->state == ACCOUNT_DEAD);
    world_end();
}

static struct actor *looks, *ends, *needs; // on CPU 0, 1 and 2
static uint64_t of_ends, of_looks,
    of_needs; // handles: of an account, and of one that has no page yet

static void begin_with_three(void)
{
    world_begin((struct world_options){.ram_bytes = 2 << 20, .cpus = 3});
    uint64_t account = new_account(10, 5), payer = new_account(40, 20);
    looks = spawn_on(0, new_account(20, 10), 10);
    ends = spawn_on(1, new_account(20, 10), 10);
    needs = spawn_on(2, payer, 10);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, payer, 0, 5 * MS, 10 * MS);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, account, 0, MS, 10 * MS);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, account, 0, 0, 0);
    struct budget *of = share_of(account);
    struct counter *figures[] = {&of->used_ns, &of->high_ns, &of->throttles, &of->throttled_ns};
    for (unsigned i = 0; i < ARRAY_SIZE(figures); i++)
        counter_set(figures[i], 1);
    of_looks = grant(looks, world.boss, account);
    of_ends = grant(ends, world.boss, account);
    of_needs = MUST(needs, ACCOUNT_CREATE, needs->account, 2, 1);
    hold(looks);
    hold(ends);
    hold(needs);
}

// While an account is asked what has come of its share, it ends, and its page becomes another's: what is
// answered is its own, or nothing.
TEST(a_share_is_looked_at_while_its_account_ends)
{
    bool in_the_middle = true;
    for (unsigned nth = 1; in_the_middle; nth++) {
        begin_with_three();
        EXPECT_STATUS(HELD(ends, OBJECT_DESTROY, of_ends).status, OK); // begun, and no more
        STOPPED(ends, budgets_teardown, THREAD_YIELD);
        EXPECT(go_on_to(ends, (void *)budget_at,
                        CPUS_MAX)); // no CPU has anything to do with it any more
        STOPPED(looks, budget_at, ACCOUNT_CPU, of_looks, 0);
        in_the_middle = go_on_to(looks, nullptr, nth);
        host_interleave(UINT32_MAX, 1); // who spins lets the others go on
        (void)go_on(ends);
        EXPECT_STATUS(HELD(needs, ACCOUNT_BUDGET, needs->account, of_needs, 0, MS, 10 * MS).status,
                      OK);
        if (in_the_middle)
            (void)go_on(looks);
        host_interleave(0, 0);
        struct abi_account_cpu info;
        memcpy(&info, text_of(looks), sizeof info);
        EXPECT(info.period_ns == 0 && info.budget_ns == 0 && info.children_ns == 0);
        EXPECT(info.used_ns <= 1 && info.high_ns == info.used_ns);
        EXPECT(info.throttles == info.used_ns && info.throttled_ns == info.used_ns);
        settle();
        EXPECT(object_behind(looks, of_looks)->state == ACCOUNT_DEAD);
        world_end();
    }
}

// ---- what is left

static uint64_t account;
static struct actor *aside[6];

static struct abi_account_cpu figures(uint64_t of, uint64_t cpu)
{
    struct abi_account_cpu info;
    EXPECT_EQUAL(MUST(world.boss, ACCOUNT_CPU, of, cpu), sizeof info);
    memcpy(&info, text_of(world.boss), sizeof info);
    return info;
}

// Puts threads aside, and lets a period begin in which this is left.
static struct budget *let_period_begin_with(int64_t left)
{
    world_begin((struct world_options){});
    account = new_account(400, 200);
    aside[0] = spawn(account, 10);
    for (unsigned i = 1; i < ARRAY_SIZE(aside); i++)
        aside[i] = spawn_thread(aside[0], 10);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, account, 0, MS, 10 * MS);
    struct budget *of = share_of(account);
    for (unsigned i = 0; i < ARRAY_SIZE(aside); i++) {
        MUST(world.boss, THREAD_CANCEL, aside[i]->thread_handle);
        EXPECT(thread_state(aside[i]->thread) == THREAD_THROTTLED);
    }
    of->left_ns = left - (int64_t)of->allotment_ns;
    advance(of->next_ns - host_ticks);
    EXPECT_EQUAL(of->left_ns, left);
    return of;
}

static void expect_aside(bool wanted)
{
    for (unsigned i = 0; i < ARRAY_SIZE(aside); i++)
        EXPECT((thread_state(aside[i]->thread) == THREAD_THROTTLED) == wanted);
}

// C2
TEST(nobody_comes_back_to_nothing)
{
    for (int64_t left = -1; left <= 0; left++) {
        const struct budget *of = let_period_begin_with(left);
        expect_aside(true);
        EXPECT_EQUAL(figures(account, 0).throttles, ARRAY_SIZE(aside)); // nor have they tried
        EXPECT_EQUAL(host_armed(0), of->next_ns);
        advance(10 * MS);
        expect_aside(false);
        world_end();
    }
}

TEST(all_come_back_to_a_nanosecond)
{
    (void)let_period_begin_with(1);
    expect_aside(false);
    EXPECT_EQUAL(figures(account, 0).throttles, ARRAY_SIZE(aside));
    world_end();
}

// A sum of shares of other periods than the account's own.
TEST(what_children_hold_is_rounded_up)
{
    world_begin((struct world_options){});
    account = new_account(100, 50);
    uint64_t below = MUST(world.boss, ACCOUNT_CREATE, account, 20, 10);
    constexpr uint64_t PERIOD = 1'000'007, BUDGET = 152'431'933, CHILD_PERIOD = 1'000'000'000;
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, account, 0, MS / 2, PERIOD);
    MUST(world.boss, ACCOUNT_BUDGET, account, below, 0, BUDGET, CHILD_PERIOD);
    // As little as can be more than a whole number of nanoseconds.
    EXPECT_EQUAL(share_of(below)->share * PERIOD % BUDGET_WHOLE, 1);
    EXPECT_EQUAL(figures(account, 0).children_ns, BUDGET * PERIOD / CHILD_PERIOD + 1);
    world_end();
}

// ---- pages of shares

TEST(a_page_of_shares_stays_within_itself)
{
    constexpr size_t RAM = 1 << 20;
    static uint8_t was[RAM];
    world_begin((struct world_options){.ram_bytes = RAM});
    account = new_account(10, 5);
    memcpy(was, host_ram, RAM);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, account, 0, MS, 10 * MS);
    const uint8_t *page = account_behind(world.boss, account)->budgets[0];
    size_t end = (size_t)(page - host_ram) + PAGE_SIZE;
    EXPECT(memcmp(was + end - PAGE_SIZE, page, PAGE_SIZE) != 0);
    EXPECT(end < RAM && memcmp(was + end, host_ram + end, PAGE_SIZE) == 0);
    world_end();
}

TEST(an_account_with_shares_of_more_cpus_than_a_page_has)
{
    world_begin((struct world_options){.cpus = BUDGETS_PER_PAGE + 1});
    account = new_account(2, 1);
    const struct account *body = account_behind(world.boss, account);
    for (uint64_t cpu = 0; cpu < world.cpus; cpu++) {
        MUST(world.boss, ACCOUNT_BUDGET, world.root_account, account, cpu, MS + cpu, 10 * MS);
        EXPECT_EQUAL(body->pages.used, 1 + cpu / BUDGETS_PER_PAGE);
    }
    for (uint64_t cpu = 0; cpu < world.cpus; cpu++) {
        EXPECT_EQUAL(figures(account, cpu).budget_ns, MS + cpu);
        EXPECT_EQUAL(cpus[cpu]->active_budgets, 1);
    }
    world_end();
    EXPECT_EQUAL(cpus[BUDGETS_PER_PAGE]->active_budgets, 0);
}
