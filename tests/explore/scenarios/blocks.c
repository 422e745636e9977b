// SPDX-License-Identifier: MIT
//
// Contiguous memory that is taken and given back on two CPUs at once, and accounts that end meanwhile.
#include "harness.h"

constexpr uint64_t AT = 0x5000'0000;

static struct actor *one, *two;
static uint64_t account, theirs, vmo;

// An account with two contiguous pages, of which both actors have a handle, and a page of it in use.
static void a_page_in_use(void)
{
    begin_world_with_blocks(2);
    uint64_t own = new_account(400, 200);
    one = spawn_on(0, own, 10);
    two = spawn_on(1, own, 10);
    uint64_t made = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 40, 20, 2);
    account = grant(one, world.boss, made);
    theirs = grant(two, world.boss, made);
    vmo = MUST(one, VMO_CREATE, account, PAGE_SIZE, VMO_CONTIGUOUS);
}

static void both_run(void)
{
    runs(one);
    runs(two);
}

// The whole of it, or a part, while the other part comes back.
static void take_against_give(void)
{
    a_page_in_use();
    STEP(one, HANDLE_CLOSE, vmo);
    STEP(two, VMO_CREATE, theirs, 2 * PAGE_SIZE, VMO_CONTIGUOUS);
    STEP(two, VMO_CREATE, theirs, PAGE_SIZE, VMO_CONTIGUOUS);
    both_run();
}
static void taken(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK);
    status_t whole = status_of(two, 0), part = status_of(two, 1);
    EXPLORE_CHECK(whole == STATUS_OK ? part == STATUS_NO_PAGES : part == STATUS_OK);
    seen(whole);
}
// MEM-25
SCENARIO(take_against_give, .canary = "A4 unlocked", .setup = take_against_give, .finish = taken);

static void lend_against_give(void)
{
    a_page_in_use();
    STEP(one, HANDLE_CLOSE, vmo);
    STEP(two, ACCOUNT_CREATE, theirs, 4, 4, 2);
    both_run();
}
static void lent(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK);
    EXPLORE_CHECK(status_of(two, 0) == STATUS_OK || status_of(two, 0) == STATUS_NO_PAGES);
    seen(status_of(two, 0));
}
SCENARIO(lend_against_give, .canary = "A4 unlocked", .setup = lend_against_give, .finish = lent);

static void return_against_take(void)
{
    a_page_in_use();
    uint64_t above = grant(one, world.boss, world.root_account);
    STEP(one, ACCOUNT_RESIZE, above, account, 0, 0, (uint64_t)-1);
    STEP(one, HANDLE_CLOSE, vmo);
    STEP(two, VMO_CREATE, theirs, PAGE_SIZE, VMO_CONTIGUOUS);
    both_run();
}
static void returned(void)
{
    seen(10 * status_of(one, 0) + status_of(two, 0));
}
SCENARIO(return_against_take, .canary = "A4 unlocked", .setup = return_against_take,
         .finish = returned);

static void look_against_give(void)
{
    a_page_in_use();
    STEP(one, HANDLE_CLOSE, vmo);
    STEP(two, OBJECT_INSPECT, theirs);
    both_run();
}
static void looked_at(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && status_of(two, 0) == STATUS_OK);
}
SCENARIO(look_against_give, .canary = "A4 unlocked", .setup = look_against_give,
         .finish = looked_at);

// ---- the end of the account

static void account_ended(void)
{
    EXPLORE_CHECK(status_of(two, 0) == STATUS_OK);
    const struct object *object = object_behind(two, theirs);
    EXPLORE_CHECK(object && object->state == ACCOUNT_DEAD);
    EXPLORE_CHECK(world.root->contiguous.children == 0);
    EXPLORE_CHECK(world.root->blocks_free + world.root->contiguous.used == world.contiguous);
    seen(status_of(one, 0));
}

static void end_against_give(void)
{
    a_page_in_use();
    STEP(one, HANDLE_CLOSE, vmo);
    STEP(two, OBJECT_DESTROY, theirs);
    both_run();
}
// MEM-26
SCENARIO(end_against_give, .canary = "A4 gone", .setup = end_against_give, .finish = account_ended,
         .budget = 4000);

static void end_against_take(void)
{
    a_page_in_use();
    STEP(one, VMO_CREATE, account, PAGE_SIZE, VMO_CONTIGUOUS);
    STEP(two, OBJECT_DESTROY, theirs);
    both_run();
}
SCENARIO(end_against_take, .canary = "A3 adopt", .setup = end_against_take,
         .finish = account_ended);

// The mapping has paid; the block is the root account's until it goes.
static void end_against_foreign_unmap(void)
{
    a_page_in_use();
    MUST(one, VM_MAP, one->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    STEP(one, VM_UNMAP, one->own_aspace, AT);
    STEP(two, OBJECT_DESTROY, theirs);
    both_run();
}
// MEM-26
SCENARIO(end_against_foreign_unmap, .canary = "A4 outlives", .setup = end_against_foreign_unmap,
         .finish = account_ended);

static void end_against_foreign_map(void)
{
    a_page_in_use();
    STEP(one, VM_MAP, one->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    STEP(two, OBJECT_DESTROY, theirs);
    both_run();
}
SCENARIO(end_against_foreign_map, .canary = "A4 outlives", .setup = end_against_foreign_map,
         .finish = account_ended);

// The account above takes a block while it gets to hold another.
static void end_against_take_above(void)
{
    a_page_in_use();
    MUST(one, VM_MAP, one->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    uint64_t above = grant(one, world.boss, world.root_account);
    STEP(one, VMO_CREATE, above, PAGE_SIZE, VMO_CONTIGUOUS);
    STEP(two, OBJECT_DESTROY, theirs);
    both_run();
}
SCENARIO(end_against_take_above, .canary = "A4 outlives", .setup = end_against_take_above,
         .finish = account_ended);
