// SPDX-License-Identifier: MIT
//
// Accounts that end while another CPU charges them, uses what they pay for, or ends it itself;
// interrupts and timers against their ends.
#include "harness.h"

static struct actor *ender, *user;
static uint64_t account, theirs;

static void doomed_account(void)
{
    begin_world(2);
    uint64_t own = new_account(400, 200);
    ender = spawn_on(0, own, 10);
    user = spawn_on(1, own, 10);
    uint64_t made = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 40, 20);
    account = grant(ender, world.boss, made);
    theirs = grant(user, world.boss, made);
}

static void both_run(void)
{
    runs(ender);
    runs(user);
}

static void account_ended(void)
{
    EXPLORE_CHECK(status_of(ender, 0) == STATUS_OK);
    const struct object *object = object_behind(ender, account);
    EXPLORE_CHECK(object && object->state == ACCOUNT_DEAD);
    seen(status_of(user, 0));
}

static void account_against_create(void)
{
    doomed_account();
    STEP(ender, OBJECT_DESTROY, account);
    STEP(user, EVENT_CREATE, theirs);
    both_run();
}
// OBJ-13
SCENARIO(account_against_create, .canary = "A3 adopt", .setup = account_against_create,
         .finish = account_ended);

static void account_against_vmo(void)
{
    doomed_account();
    STEP(ender, OBJECT_DESTROY, account);
    STEP(user, VMO_CREATE, theirs, 2 * PAGE_SIZE, 0);
    both_run();
}
// OBJ-13
SCENARIO(account_against_vmo, .canary = "A3 adopt", .setup = account_against_vmo,
         .finish = account_ended);

static void account_against_child(void)
{
    doomed_account();
    STEP(ender, OBJECT_DESTROY, account);
    STEP(user, ACCOUNT_CREATE, theirs, 4, 4);
    both_run();
}
SCENARIO(account_against_child, .canary = "A3 adopt", .setup = account_against_child,
         .finish = account_ended);

static void account_against_close(void)
{
    doomed_account();
    uint64_t event = MUST(user, EVENT_CREATE, theirs);
    STEP(ender, OBJECT_DESTROY, account);
    STEP(user, HANDLE_CLOSE, event);
    both_run();
}
// OBJ-13
SCENARIO(account_against_close, .canary = "O2", .setup = account_against_close,
         .finish = account_ended);

// ---- reservation that moves while others use it

static uint64_t parent;

// An account below one of which two actors have handles, 4 pages and 4 objects of 40 and 20.
static void resizable(void)
{
    begin_world(2);
    uint64_t own = new_account(400, 200);
    ender = spawn_on(0, own, 10);
    user = spawn_on(1, own, 10);
    uint64_t above = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 40, 20);
    uint64_t below = MUST(world.boss, ACCOUNT_CREATE, above, 4, 4);
    parent = grant(ender, world.boss, above);
    account = grant(ender, world.boss, below);
    theirs = grant(user, world.boss, below);
    STEP(ender, ACCOUNT_RESIZE, parent, account, (uint64_t)-3, 2);
}

static void resized(void)
{
    seen(10 * status_of(ender, 0) + status_of(user, 0));
}

// What a mapping costs is charged without a look at the account's own lock.
static void resize_against_charge(void)
{
    begin_world(2);
    ender = spawn_on(0, new_account(400, 200), 10);
    uint64_t above = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 100, 50);
    uint64_t below = MUST(world.boss, ACCOUNT_CREATE, above, 50, 30);
    user = spawn_on(1, below, 10);
    uint64_t vmo = MUST(user, VMO_CREATE, user->account, PAGE_SIZE, 0);
    STEP(user, VM_MAP, user->own_aspace, vmo, 0, 0x5000'0000, PAGE_SIZE, PROT_READ);
    STEP(ender, ACCOUNT_RESIZE, grant(ender, world.boss, above), grant(ender, world.boss, below), 3,
         (uint64_t)-2);
    both_run();
}
// OBJ-12
SCENARIO(resize_against_charge, .canary = "A1 enlarge", .setup = resize_against_charge,
         .finish = resized);

static void resize_against_resize(void)
{
    resizable();
    uint64_t above = grant(user, ender, parent);
    STEP(user, ACCOUNT_RESIZE, above, theirs, 38, (uint64_t)-2); // after the other one alone
    both_run();
}
// OBJ-12
SCENARIO(resize_against_resize, .canary = "A1", .setup = resize_against_resize, .finish = resized);

static void resize_against_destroy(void)
{
    resizable();
    STEP(user, OBJECT_DESTROY, theirs);
    both_run();
}
// OBJ-12
SCENARIO(resize_against_destroy, .canary = "A3", .setup = resize_against_destroy,
         .finish = resized);

static void resize_against_destroy_of_parent(void)
{
    resizable();
    uint64_t above = grant(user, ender, parent);
    STEP(user, OBJECT_DESTROY, above);
    both_run();
}
SCENARIO(resize_against_destroy_of_parent, .canary = "A3",
         .setup = resize_against_destroy_of_parent, .finish = resized);

static void resize_against_sibling(void)
{
    resizable();
    uint64_t above = grant(user, ender, parent);
    STEP(user, ACCOUNT_CREATE, above, 37, 1);
    both_run();
}
SCENARIO(resize_against_sibling, .canary = "A1", .setup = resize_against_sibling,
         .finish = resized);

// Memory looks at whether its account ends, too.
static void account_against_vmo_close(void)
{
    begin_world(2);
    uint64_t own = new_account(400, 200);
    user = spawn_on(0, own, 10); // first: it is where the search begins
    ender = spawn_on(1, own, 10);
    uint64_t made = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 40, 20);
    account = grant(ender, world.boss, made);
    theirs = grant(user, world.boss, made);
    uint64_t vmo = MUST(user, VMO_CREATE, theirs, PAGE_SIZE, 0);
    STEP(ender, OBJECT_DESTROY, account);
    STEP(user, HANDLE_CLOSE, vmo);
    both_run();
}
SCENARIO(account_against_vmo_close, .canary = "A3 closed", .setup = account_against_vmo_close,
         .finish = account_ended);

static void account_against_wait(void)
{
    doomed_account();
    uint64_t event = MUST(user, EVENT_CREATE, theirs);
    STEP(ender, OBJECT_DESTROY, account);
    STEP(user, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    both_run();
}
static void ended_and_woken(void)
{
    account_ended();
    EXPLORE_CHECK(status_of(user, 0) == STATUS_GONE);
}
// OBJ-13
SCENARIO(account_against_wait, .canary = "I4 all", .setup = account_against_wait,
         .finish = ended_and_woken);

static void charge_against_charge(void)
{
    begin_world(2);
    uint64_t own = new_account(400, 200);
    ender = spawn_on(0, own, 10);
    user = spawn_on(1, own, 10);
    // Room for one object.
    uint64_t tight = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 4, 1);
    account = grant(ender, world.boss, tight);
    theirs = grant(user, world.boss, tight);
    STEP(ender, EVENT_CREATE, account);
    STEP(user, EVENT_CREATE, theirs);
    both_run();
}
static void one_is_made(void)
{
    unsigned made = (status_of(ender, 0) == STATUS_OK) + (status_of(user, 0) == STATUS_OK);
    EXPLORE_CHECK(made == 1);
}
SCENARIO(charge_against_charge, .canary = "A1", .setup = charge_against_charge,
         .finish = one_is_made);

// An account takes its limits out of what its parent has while something of the parent's ends.
static void child_against_close(void)
{
    begin_world(2);
    uint64_t own = new_account(400, 200);
    ender = spawn_on(0, own, 10);
    user = spawn_on(1, own, 10);
    uint64_t vmo = MUST(user, VMO_CREATE, user->account, PAGE_SIZE, 0);
    STEP(ender, ACCOUNT_CREATE, ender->account, 4, 4);
    STEP(user, HANDLE_CLOSE, vmo);
    both_run();
}
static void made_and_closed(void)
{
    EXPLORE_CHECK(status_of(ender, 0) == STATUS_OK && status_of(user, 0) == STATUS_OK);
}
SCENARIO(child_against_close, .canary = "A2", .setup = child_against_close,
         .finish = made_and_closed);

// The account is gone, and its slot another object's, before its child is made.
static void child_of_what_is_gone(void)
{
    begin_world(2);
    ender = spawn_on(0, new_account(400, 200), 10);
    user = spawn_thread_on(1, ender, 10);
    account = MUST(ender, ACCOUNT_CREATE, ender->account, 40, 20);
    STEP(ender, OBJECT_DESTROY, account);
    STEP(ender, HANDLE_CLOSE, account);
    STEP(ender, EVENT_CREATE, ender->account);
    STEP(user, ACCOUNT_CREATE, account, 4, 4);
    both_run();
}
static void none_or_gone_with_it(void)
{
    EXPLORE_CHECK(status_of(ender, 1) == STATUS_OK && status_of(ender, 2) == STATUS_OK);
    EXPLORE_CHECK(user->process->handles_reserved == 0);
}
SCENARIO(child_of_what_is_gone, .canary = "O2", .setup = child_of_what_is_gone,
         .finish = none_or_gone_with_it, .finer = "GONE instead of BAD_HANDLE");

// ---- timers

static uint64_t timer;

static void timer_against_cancel(void)
{
    begin_world(2);
    uint64_t own = new_account(400, 200);
    ender = spawn_on(0, own, 10);
    user = spawn_on(1, own, 10);
    timer = MUST(user, TIMER_CREATE, user->account);
    MUST(user, TIMER_SET, timer, 1'000'000);
    uint64_t shared = grant(ender, user, timer);
    STEP(ender, TIMER_CANCEL, shared);
    STEP(ender, OBJECT_WAIT, shared, SIGNAL_FIRED, 0);
    both_run();
    plan_time(2'000'000);
}
static void never_after_its_cancel(void)
{
    EXPLORE_CHECK(status_of(ender, 0) == STATUS_OK && status_of(ender, 1) == STATUS_TIMED_OUT);
}
SCENARIO(timer_against_cancel, .canary = "T2 cancel", .setup = timer_against_cancel,
         .finish = never_after_its_cancel);

static void timer_against_destroy(void)
{
    begin_world(2);
    uint64_t own = new_account(400, 200);
    ender = spawn_on(0, own, 10);
    user = spawn_on(1, own, 10);
    timer = MUST(user, TIMER_CREATE, user->account);
    MUST(user, TIMER_SET, timer, 1'000'000);
    uint64_t shared = grant(ender, user, timer);
    STEP(ender, OBJECT_DESTROY, shared);
    STEP(ender, EVENT_CREATE, ender->account);
    both_run();
    plan_time(2'000'000);
}
static void no_signal_on_another(void)
{
    const struct object *fresh = object_behind(ender, value_of(ender, 1, 0));
    EXPLORE_CHECK(status_of(ender, 0) == STATUS_OK && fresh && fresh->signals == 0);
}
SCENARIO(timer_against_destroy, .canary = "O2", .setup = timer_against_destroy,
         .finish = no_signal_on_another);

static void timer_against_wait(void)
{
    begin_world(2);
    uint64_t own = new_account(400, 200);
    ender = spawn_on(0, own, 10);
    user = spawn_on(1, own, 10);
    timer = MUST(user, TIMER_CREATE, user->account);
    uint64_t shared = grant(ender, user, timer);
    STEP(ender, OBJECT_WAIT, shared, SIGNAL_FIRED, ABI_DEADLINE_NEVER);
    STEP(user, TIMER_SET, timer, 1'000'000);
    both_run();
    plan_time(2'000'000);
}
static void it_fires(void)
{
    EXPLORE_CHECK(status_of(ender, 0) == STATUS_OK && status_of(user, 0) == STATUS_OK);
}
SCENARIO(timer_against_wait, .canary = "S2", .setup = timer_against_wait, .finish = it_fires);

// Another CPU takes a deadline out of the list in which this one files the next.
static void timer_set_against_cancel(void)
{
    begin_world(2);
    uint64_t own = new_account(400, 200);
    ender = spawn_on(0, own, 10);
    user = spawn_on(1, own, 10);
    timer = MUST(user, TIMER_CREATE, user->account);
    MUST(user, TIMER_SET, timer, 1'000'000);
    uint64_t shared = grant(ender, user, timer), next = MUST(user, TIMER_CREATE, user->account);
    STEP(ender, TIMER_CANCEL, shared);
    STEP(user, TIMER_SET, next, 500'000);
    STEP(user, OBJECT_WAIT, next, SIGNAL_FIRED, ABI_DEADLINE_NEVER);
    both_run();
    plan_time(700'000);
}
static void the_next_fires(void)
{
    EXPLORE_CHECK(status_of(ender, 0) == STATUS_OK && status_of(user, 1) == STATUS_OK);
}
SCENARIO(timer_set_against_cancel, .canary = "S2", .setup = timer_set_against_cancel,
         .finish = the_next_fires);
