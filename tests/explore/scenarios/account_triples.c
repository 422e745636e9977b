// SPDX-License-Identifier: MIT
//
// The end of an account against two other things: its parent's or its child's end, what is made
// from it, what others map, send or call through that it has paid for; threads and processes.
#include "harness.h"

constexpr uint64_t AT = 0x5000'0000;

static struct actor *ender, *user, *third;
static uint64_t own, doomed, ender_handle, user_handle, third_handle;

static void doomed_account(unsigned cpus)
{
    begin_world(cpus);
    own = new_account(400, 200);
    ender = spawn_on(0, own, 10);
    user = spawn_on(1, own, 10);
    third = cpus > 2 ? spawn_on(2, own, 10) : nullptr;
    doomed = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 40, 20);
    ender_handle = grant(ender, world.boss, doomed);
    user_handle = grant(user, world.boss, doomed);
    third_handle = third ? grant(third, world.boss, doomed) : 0;
}

static void all_run(void)
{
    runs(ender);
    runs(user);
    if (third)
        runs(third);
}

static bool is_ended(const struct actor *actor, uint64_t handle)
{
    const struct object *object = object_behind(actor, handle);
    return object && object->state == ACCOUNT_DEAD;
}

static void account_ended(void)
{
    EXPLORE_CHECK(is_ended(ender, ender_handle));
}

// The end of a child begins with its account and then takes its object.
#define BAD_STATE_FOR_GONE "BAD_STATE of an account that is about to be GONE with its parent"

static void parent_against_child(void)
{
    doomed_account(2);
    uint64_t child = MUST(user, ACCOUNT_CREATE, user_handle, 10, 5);
    STEP(ender, OBJECT_DESTROY, ender_handle);
    STEP(user, OBJECT_DESTROY, child);
    all_run();
}
// OBJ-14
SCENARIO(parent_against_child, .canary = "A3", .setup = parent_against_child,
         .finish = account_ended, .finer = BAD_STATE_FOR_GONE);

static void parent_child_create(void)
{
    doomed_account(3);
    uint64_t child = MUST(user, ACCOUNT_CREATE, user_handle, 10, 5);
    uint64_t payer = grant(third, user, child);
    STEP(ender, OBJECT_DESTROY, ender_handle);
    STEP(third, EVENT_CREATE, payer);
    all_run();
}
SCENARIO(parent_child_create, .canary = "A3 adopt", .setup = parent_child_create,
         .finish = account_ended, .finer = BAD_STATE_FOR_GONE);

static void two_ends_and_a_creation(void)
{
    doomed_account(3);
    STEP(ender, OBJECT_DESTROY, ender_handle);
    STEP(user, OBJECT_DESTROY, user_handle);
    STEP(third, EVENT_CREATE, third_handle);
    all_run();
}
static void ended_once(void)
{
    unsigned done = (status_of(ender, 0) == STATUS_OK) + (status_of(user, 0) == STATUS_OK);
    EXPLORE_CHECK(done == 1 && is_ended(ender, ender_handle));
}
SCENARIO(two_ends_and_a_creation, .canary = "A3 adopt", .setup = two_ends_and_a_creation,
         .finish = ended_once);

// Memory that the account pays is mapped by a process of another one: that has paid already.
static void account_against_mapping(void)
{
    doomed_account(2);
    uint64_t vmo = MUST(user, VMO_CREATE, user_handle, PAGE_SIZE, 0);
    STEP(ender, OBJECT_DESTROY, ender_handle);
    STEP(user, VM_MAP, user->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    plan_access(user, AT, false);
    all_run();
}
static void mapped_or_gone(void)
{
    account_ended();
    EXPLORE_CHECK(status_of(user, 0) == STATUS_OK || status_of(user, 0) == STATUS_GONE);
}
SCENARIO(account_against_mapping, .canary = "M8", .setup = account_against_mapping,
         .finish = mapped_or_gone);

static void account_against_unmap(void)
{
    doomed_account(2);
    uint64_t vmo = MUST(user, VMO_CREATE, user_handle, PAGE_SIZE, 0);
    MUST(user, VM_MAP, user->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    STEP(ender, OBJECT_DESTROY, ender_handle);
    STEP(user, VM_UNMAP, user->own_aspace, AT);
    STEP(user, HANDLE_CLOSE, vmo);
    all_run();
}
static void ended_and_unmapped(void)
{
    account_ended();
    EXPLORE_CHECK(status_of(user, 0) == STATUS_OK);
}
SCENARIO(account_against_unmap, .canary = "M3", .setup = account_against_unmap,
         .finish = ended_and_unmapped);
SCENARIO(account_against_unmap_at_random, .canary = "M3", .setup = account_against_unmap,
         .finish = ended_and_unmapped, .random = true);

// Memory that takes more than one step to make.
static void account_against_fill(void)
{
    doomed_account(2);
    STEP(ender, OBJECT_DESTROY, ender_handle);
    STEP(user, VMO_CREATE, user_handle, 20 * PAGE_SIZE, 0);
    all_run();
}
static void made_or_not(void)
{
    account_ended();
    seen(status_of(user, 0));
}
SCENARIO(account_against_fill, .canary = "I4 all", .setup = account_against_fill,
         .finish = made_or_not);

// Ranges of the machine that it pays for are given back.
static void account_against_mints(void)
{
    doomed_account(2);
    uint64_t machine = grant(user, world.boss, world.machine);
    STEP(ender, OBJECT_DESTROY, ender_handle);
    STEP(user, MACHINE_DEVICE_MEMORY, machine, user_handle, 0xd000'0000, PAGE_SIZE, 0);
    STEP(user, MACHINE_IO_RANGE, machine, user_handle, 0x70, 8);
    all_run();
}
SCENARIO(account_against_mints, .canary = "A3 adopt", .setup = account_against_mints,
         .finish = account_ended);

// A channel that it pays, with a message in it and somebody who waits at the other end.
static void account_against_send(void)
{
    doomed_account(3);
    uint64_t shape = 2 | 64ull << 16;
    struct outcome made = CALL(user, CHANNEL_CREATE, user_handle, user_handle, shape, 0);
    EXPECT_STATUS(made.status, OK);
    uint64_t end = grant(third, user, made.value[1]);
    STEP(ender, OBJECT_DESTROY, ender_handle);
    STEP(user, CHANNEL_RECEIVE, made.value[0], ABI_DEADLINE_NEVER);
    STEP(third, CHANNEL_SEND, end, MSG(8, 0));
    all_run();
}
static void received_or_gone(void)
{
    account_ended();
    EXPLORE_CHECK(status_of(user, 0) == STATUS_OK || status_of(user, 0) == STATUS_GONE ||
                  status_of(user, 0) == STATUS_PEER_CLOSED);
}
SCENARIO(account_against_send, .canary = "O2", .setup = account_against_send,
         .finish = received_or_gone);

static void account_against_port(void)
{
    doomed_account(3);
    uint64_t port = MUST(user, PORT_CREATE, user_handle);
    uint64_t event = MUST(user, EVENT_CREATE, user->account);
    uint64_t theirs = grant(third, user, event);
    MUST(user, PORT_BIND, port, event, 7, 1);
    STEP(ender, OBJECT_DESTROY, ender_handle);
    STEP(user, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    STEP(third, EVENT_SIGNAL, theirs, 1);
    all_run();
}
static void told_or_gone(void)
{
    account_ended();
    EXPLORE_CHECK(status_of(user, 0) == STATUS_OK || status_of(user, 0) == STATUS_GONE);
    EXPLORE_CHECK(status_of(third, 0) == STATUS_OK);
}
SCENARIO(account_against_port, .canary = "I4 all", .setup = account_against_port,
         .finish = told_or_gone);

static void account_against_process(void)
{
    doomed_account(2);
    STEP(ender, OBJECT_DESTROY, ender_handle);
    STEP(user, PROCESS_CREATE, user_handle, 0, 0, 0);
    all_run();
}
SCENARIO(account_against_process, .canary = "A3 adopt", .setup = account_against_process,
         .finish = account_ended);

static void account_against_timer(void)
{
    doomed_account(2);
    uint64_t timer = MUST(user, TIMER_CREATE, user_handle);
    STEP(ender, OBJECT_DESTROY, ender_handle);
    STEP(user, TIMER_SET, timer, 1'000'000);
    STEP(user, OBJECT_WAIT, timer, SIGNAL_FIRED, ABI_DEADLINE_NEVER);
    all_run();
    plan_time(2'000'000);
}
static void fired_or_gone(void)
{
    account_ended();
    EXPLORE_CHECK(status_of(user, 1) == STATUS_OK || status_of(user, 1) == STATUS_GONE);
}
SCENARIO(account_against_timer, .canary = "I4 all", .setup = account_against_timer,
         .finish = fired_or_gone);

// Something in the account is closed, and something else takes its slot.
static void account_close_create(void)
{
    doomed_account(3);
    uint64_t event = MUST(user, EVENT_CREATE, user_handle);
    STEP(ender, OBJECT_DESTROY, ender_handle);
    STEP(user, HANDLE_CLOSE, event);
    STEP(third, EVENT_CREATE, third->account);
    all_run();
}
static void made_elsewhere(void)
{
    account_ended();
    EXPLORE_CHECK(status_of(third, 0) == STATUS_OK);
}
SCENARIO(account_close_create, .canary = "O2", .setup = account_close_create,
         .finish = made_elsewhere);
