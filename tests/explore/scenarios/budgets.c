// SPDX-License-Identifier: MIT
//
// Shares of CPUs that are set, taken back and looked at from elsewhere, while their CPU switches
// between threads, puts them aside and brings them back; and the ends of what has a share.
#include "harness.h"

#include <stdlib.h>

#include "budget.h"
#include "cpu.h"

constexpr uint64_t MS = 1'000'000;

static struct actor *setter, *user, *limited;
static uint64_t parent, child, parent_there, child_there;

static uint64_t granted(struct actor *to, uint64_t handle)
{
    return grant(to, world.boss, handle);
}

// The setter, on CPU 0, and the user, on CPU 1, are not limited. On CPU 1 the child pays for a thread.
static void begin(void)
{
    begin_world(2);
    setter = spawn_on(0, new_account(100, 50), 10);
    user = spawn_on(1, new_account(100, 50), 10);
    parent = new_account(150, 80);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, parent, 1, 8 * MS, 10 * MS);
    child = MUST(world.boss, ACCOUNT_CREATE, parent, 100, 50);
    parent_there = granted(setter, parent);
    child_there = granted(setter, child);
}

static void begin_limited(void)
{
    begin();
    limited = spawn_on(1, child, 12);
    advance(10 * MS);
}

static void both_run(void)
{
    runs(setter);
    runs(user);
}

static const struct budget *budget_of_child(void)
{
    return budget_at(account_behind(world.boss, child), 1);
}

// It waits for ever again, or its account, or the parent, has nothing left until later than the clock comes to.
static void seen_it_went_on(void)
{
    enum thread_state state = thread_state(limited->thread);
    EXPLORE_CHECK(state == THREAD_BLOCKED || state == THREAD_THROTTLED);
    seen(state == THREAD_THROTTLED);
}

// The first share of an account: whoever looks for it, since another one is new, finds a page that is
// filled in.
static void first_share_against_switch(void)
{
    begin_limited();
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, new_account(2, 1), 1, MS, 10 * MS);
    STEP(setter, ACCOUNT_BUDGET, parent_there, child_there, 1, 2 * MS, 10 * MS);
    STEP(user, THREAD_CANCEL, granted(user, limited->thread_handle));
    both_run();
}
static void share_is_there(void)
{
    EXPLORE_CHECK(status_of(setter, 0) == STATUS_OK && status_of(user, 0) == STATUS_OK);
    EXPLORE_CHECK(budget_of_child()->active && cpus[1]->active_budgets == 3);
    seen_it_went_on();
}
// OBJ-31
SCENARIO(first_share_against_switch, .canary = "weak new budget page", .weak_only = true,
         .setup = first_share_against_switch, .finish = share_is_there);

// A share of another CPU is set in a page that is looked through on this one, and looked at.
static void first_share_against_look(void)
{
    begin_limited();
    uint64_t there = granted(user, child);
    STEP(setter, ACCOUNT_BUDGET, parent_there, child_there, 1, 2 * MS, 10 * MS);
    STEP(user, ACCOUNT_CPU, there, 1);
    both_run();
}
static void looked(void)
{
    EXPLORE_CHECK(status_of(setter, 0) == STATUS_OK && status_of(user, 0) == STATUS_OK);
}
SCENARIO(first_share_against_look, .canary = "S2 interrupt", .setup = first_share_against_look,
         .finish = looked);

// Of one share, for two children: one of them gets it.
static void two_for_one_share(void)
{
    begin();
    uint64_t other = MUST(world.boss, ACCOUNT_CREATE, parent, 20, 10);
    STEP(setter, ACCOUNT_BUDGET, parent_there, child_there, 1, 5 * MS, 10 * MS);
    STEP(user, ACCOUNT_BUDGET, granted(user, parent), granted(user, other), 1, 5 * MS, 10 * MS);
    both_run();
}
static void one_got_it(void)
{
    status_t first = status_of(setter, 0), second = status_of(user, 0);
    EXPLORE_CHECK((first == STATUS_OK) != (second == STATUS_OK));
    EXPLORE_CHECK(first == STATUS_NO_RESOURCE || second == STATUS_NO_RESOURCE);
}
SCENARIO(two_for_one_share, .canary = "C1", .setup = two_for_one_share, .finish = one_got_it);

// What the child gives up goes to its own child, or back.
static void less_against_child(void)
{
    begin();
    MUST(world.boss, ACCOUNT_BUDGET, parent, child, 1, 6 * MS, 10 * MS);
    uint64_t below = MUST(world.boss, ACCOUNT_CREATE, child, 20, 10);
    STEP(setter, ACCOUNT_BUDGET, parent_there, child_there, 1, 2 * MS, 10 * MS);
    STEP(user, ACCOUNT_BUDGET, granted(user, child), granted(user, below), 1, 3 * MS, 10 * MS);
    both_run();
}
SCENARIO(less_against_child, .canary = "C1", .setup = less_against_child, .finish = one_got_it);

// ---- threads that are put aside

static uint64_t its_thread;

// It has a share of which nothing is there yet: woken, it is throttled.
static void begin_throttled(void)
{
    begin_limited();
    MUST(world.boss, ACCOUNT_BUDGET, parent, child, 1, 2 * MS, 10 * MS);
    MUST(world.boss, THREAD_CANCEL, limited->thread_handle);
    if (thread_state(limited->thread) != THREAD_THROTTLED)
        abort();
    its_thread = granted(setter, limited->thread_handle);
    plan_time(25 * MS);
}

static void kill_against_return(void)
{
    begin_throttled();
    STEP(setter, OBJECT_DESTROY, its_thread);
    both_run();
}
static void it_died(void)
{
    EXPLORE_CHECK(status_of(setter, 0) == STATUS_OK && is_dead(limited));
}
// OBJ-34
SCENARIO(kill_against_return, .canary = "machine: lost IPI", .setup = kill_against_return,
         .finish = it_died);

static void move_against_return(void)
{
    begin_throttled();
    STEP(setter, THREAD_SET_CPU, its_thread, 0);
    both_run();
}
static void it_went_on_there(void)
{
    EXPLORE_CHECK(status_of(setter, 0) == STATUS_OK && limited->thread->home->number == 0);
    EXPLORE_CHECK(thread_state(limited->thread) == THREAD_BLOCKED);
}
SCENARIO(move_against_return, .canary = "machine: lost IPI", .setup = move_against_return,
         .finish = it_went_on_there);

static void give_back_against_return(void)
{
    begin_throttled();
    STEP(setter, ACCOUNT_BUDGET, parent_there, child_there, 1, 0, 0);
    both_run();
}
static void it_went_on(void)
{
    EXPLORE_CHECK(status_of(setter, 0) == STATUS_OK && !budget_of_child()->in_use);
    seen_it_went_on();
}
SCENARIO(give_back_against_return, .canary = "machine: lost IPI", .setup = give_back_against_return,
         .finish = it_went_on);

// ---- ends

// An account that has nothing but its share, of a CPU that may be looking at it.
static void empty_with_share(void)
{
    begin();
    MUST(world.boss, ACCOUNT_BUDGET, parent, child, 1, 2 * MS, 10 * MS);
}

static bool is_ended(void)
{
    const struct object *object = object_behind(world.boss, child);
    return object && object->state == ACCOUNT_DEAD;
}

static void end_against_cpu(void)
{
    empty_with_share();
    STEP(setter, OBJECT_DESTROY, child_there);
    STEP(user, THREAD_YIELD);
    both_run();
}
static void it_ended(void)
{
    EXPLORE_CHECK(is_ended() && cpus[1]->active_budgets == 1);
}
SCENARIO(end_against_cpu, .canary = "M1 budget", .setup = end_against_cpu, .finish = it_ended);

static void end_against_more(void)
{
    empty_with_share();
    STEP(setter, OBJECT_DESTROY, child_there);
    STEP(user, ACCOUNT_BUDGET, granted(user, parent), granted(user, child), 1, 4 * MS, 10 * MS);
    both_run();
}
static void ended_with_or_without(void)
{
    status_t status = status_of(user, 0);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_BAD_STATE || status == STATUS_GONE);
    it_ended();
}
SCENARIO(end_against_more, .canary = "M1 budget", .setup = end_against_more,
         .finish = ended_with_or_without);

static void end_against_look(void)
{
    empty_with_share();
    STEP(setter, OBJECT_DESTROY, child_there);
    STEP(user, ACCOUNT_CPU, granted(user, child), 1);
    both_run();
}
static void ended_and_looked(void)
{
    it_ended();
    EXPLORE_CHECK(status_of(user, 0) == STATUS_OK);
}
SCENARIO(end_against_look, .canary = "M1 budget", .setup = end_against_look,
         .finish = ended_and_looked);
