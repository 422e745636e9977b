// SPDX-License-Identifier: MIT
//
// Slices of VMOs: made, mapped and pinned while what they were cut out of ends, on another CPU; ended
// while what was cut out of them, or mapped through them, ends too.
#include "harness.h"

constexpr uint64_t AT = 0x5000'0000;

static struct actor *owner, *user;
static uint64_t whole, slice, within;

// A VMO of two pages, a slice of one, and one within that; two threads of a process.
static void three_of_them(void)
{
    begin_world(2);
    owner = spawn_on(0, new_account(400, 200), 10);
    user = spawn_thread_on(1, owner, 10);
    whole = MUST(owner, VMO_CREATE, owner->account, 2 * PAGE_SIZE, 0);
    slice = MUST(owner, VMO_SLICE, owner->account, whole, PAGE_SIZE, PAGE_SIZE, RIGHTS_VMO);
    within = MUST(owner, VMO_SLICE, owner->account, slice, 0, PAGE_SIZE, RIGHTS_VMO);
}

static void both_run(void)
{
    runs(owner);
    runs(user);
}

static bool is_mapped(void)
{
    return pagetable_get(owner->process->aspace, AT).value != 0;
}

// Whatever came of what was done beside it, nothing is left of what was destroyed.
static void expect_nothing_left(void)
{
    status_t status = status_of(user, 0);
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_GONE);
    EXPLORE_CHECK(!is_live(owner, within) && !is_mapped());
    EXPLORE_CHECK(user->process->handles_reserved == 0);
    seen(status);
}

static void sliced_or_gone(void)
{
    expect_nothing_left();
    EXPLORE_CHECK(status_of(user, 0) != STATUS_OK || !is_live(user, value_of(user, 0, 0)));
}

#define SCENARIO_AGAINST_DESTROY(name, bug, destroyed, finish_, ...) \
    static void name(void)                                           \
    {                                                                \
        three_of_them();                                             \
        STEP(owner, OBJECT_DESTROY, destroyed);                      \
        STEP(user, __VA_ARGS__);                                     \
        both_run();                                                  \
    }                                                                \
    SCENARIO(name, .canary = bug, .setup = name, .finish = finish_)

// MEM-30
SCENARIO_AGAINST_DESTROY(slice_against_end_of_whole, "O2 slice", whole, sliced_or_gone, VMO_SLICE,
                         user->account, whole, 0, PAGE_SIZE, RIGHT_READ);
// MEM-30
SCENARIO_AGAINST_DESTROY(slice_within_against_end_of_whole, "O2 slice", whole, sliced_or_gone,
                         VMO_SLICE, user->account, slice, 0, PAGE_SIZE, RIGHT_READ);
// MEM-31
SCENARIO_AGAINST_DESTROY(slice_against_end_of_slice, "O2 slice dead", slice, sliced_or_gone,
                         VMO_SLICE, user->account, slice, 0, PAGE_SIZE, RIGHT_READ);
// MEM-31
SCENARIO_AGAINST_DESTROY(slice_within_against_end_of_slice, "O2 slice", slice, sliced_or_gone,
                         VMO_SLICE, user->account, within, 0, PAGE_SIZE, RIGHT_READ);
// MEM-31
SCENARIO_AGAINST_DESTROY(map_against_end_of_slice, "O2 slice", slice, expect_nothing_left, VM_MAP,
                         user->own_aspace, slice, 0, AT, PAGE_SIZE, PROT_READ);
// MEM-31
SCENARIO_AGAINST_DESTROY(map_within_against_end_of_slice, "O2 slice", slice, expect_nothing_left,
                         VM_MAP, user->own_aspace, within, 0, AT, PAGE_SIZE, PROT_READ);
// A slice alone.
static void map_slice_against_end_of_whole(void)
{
    three_of_them();
    MUST(owner, HANDLE_CLOSE, within);
    within = slice;
    STEP(owner, OBJECT_DESTROY, whole);
    STEP(user, VM_MAP, user->own_aspace, slice, 0, AT, PAGE_SIZE, PROT_READ);
    both_run();
}
// MEM-30
SCENARIO(map_slice_against_end_of_whole, .canary = "O2 slice",
         .setup = map_slice_against_end_of_whole, .finish = expect_nothing_left);

// A mapping that two ends take away, of the slice and of what it was cut out of; or that goes itself.
static void mapped_within(void)
{
    three_of_them();
    MUST(owner, VM_MAP, owner->own_aspace, within, 0, AT, PAGE_SIZE, PROT_READ);
}

static void two_ends_of_a_mapping(void)
{
    mapped_within();
    STEP(owner, OBJECT_DESTROY, whole);
    STEP(user, OBJECT_DESTROY, within);
    both_run();
}
SCENARIO(two_ends_of_a_mapping, .canary = "O2 slice", .setup = two_ends_of_a_mapping,
         .finish = expect_nothing_left);

static void unmap_against_end_of_slice(void)
{
    mapped_within();
    STEP(owner, OBJECT_DESTROY, slice);
    STEP(user, VM_UNMAP, user->own_aspace, AT);
    both_run();
}
static void unmapped_either_way(void)
{
    status_t status = status_of(user, 0);
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_NOT_FOUND);
    EXPLORE_CHECK(!is_live(owner, within) && is_live(owner, whole) && !is_mapped());
    seen(status);
}
// MEM-31
SCENARIO(unmap_against_end_of_slice, .canary = "O2 slice", .setup = unmap_against_end_of_slice,
         .finish = unmapped_either_way);

// The last handle of one hands its mapping up, to what goes just then.
static void close_against_end_of_slice(void)
{
    mapped_within();
    STEP(owner, OBJECT_DESTROY, slice);
    STEP(user, HANDLE_CLOSE, within);
    both_run();
}
static void closed_and_taken_back(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK && status_of(user, 0) == STATUS_OK);
    EXPLORE_CHECK(!is_live(owner, slice) && is_live(owner, whole) && !is_mapped());
}
// MEM-31
SCENARIO(close_against_end_of_slice, .canary = "O2 slice", .setup = close_against_end_of_slice,
         .finish = closed_and_taken_back);

// Who drops the last of what keeps the whole: its handle, or its slice.
static void close_against_close(void)
{
    three_of_them();
    MUST(owner, HANDLE_CLOSE, within);
    STEP(owner, HANDLE_CLOSE, whole);
    STEP(user, HANDLE_CLOSE, slice);
    both_run();
}
static void all_back(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK && status_of(user, 0) == STATUS_OK);
    // The process, its address space, two threads with their buffers, one handle table.
    EXPLORE_CHECK(account_behind(owner, owner->account)->objects.used == 6);
}
// MEM-29
SCENARIO(close_against_close, .canary = "A2", .setup = close_against_close, .finish = all_back);

// As the account does it: who maps memory has paid for it, and keeps it.
static void map_within_against_end_by_account(void)
{
    three_of_them();
    plan_end(owner, object_behind(owner, slice));
    STEP(user, VM_MAP, user->own_aspace, within, 0, AT, PAGE_SIZE, PROT_READ);
    both_run();
}
static void mapped_or_not(void)
{
    status_t status = status_of(user, 0);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_GONE);
    EXPLORE_CHECK(is_mapped() == (status == STATUS_OK));
    EXPLORE_CHECK(!is_live(owner, within) && !is_live(owner, slice) && is_live(owner, whole));
    seen(status);
}
// MEM-31
SCENARIO(map_within_against_end_by_account, .canary = "O2 slice",
         .setup = map_within_against_end_by_account, .finish = mapped_or_not);

static void map_slice_against_account(void)
{
    begin_world(2);
    uint64_t own = new_account(400, 200);
    owner = spawn_on(0, own, 10);
    user = spawn_on(1, own, 10);
    uint64_t made = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 40, 20);
    uint64_t theirs = grant(user, world.boss, made);
    whole = MUST(user, VMO_CREATE, theirs, PAGE_SIZE, 0);
    within = slice = MUST(user, VMO_SLICE, user->account, whole, 0, PAGE_SIZE, RIGHTS_VMO);
    STEP(owner, OBJECT_DESTROY, grant(owner, world.boss, made));
    STEP(user, VM_MAP, user->own_aspace, slice, 0, AT, PAGE_SIZE, PROT_READ);
    both_run();
}
static void kept_or_gone(void)
{
    status_t status = status_of(user, 0);
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_GONE);
    EXPLORE_CHECK(!is_live(user, slice) && !is_live(user, whole));
    EXPLORE_CHECK((pagetable_get(user->process->aspace, AT).value != 0) == (status == STATUS_OK));
    seen(status);
}
// MEM-30
SCENARIO(map_slice_against_account, .canary = "O2 slice", .setup = map_slice_against_account,
         .finish = kept_or_gone);

// A pin stays, whatever becomes of what it was made through.
static void pin_against_end_of_slice(void)
{
    three_of_them();
    uint64_t machine = grant(owner, world.boss, world.machine);
    uint64_t space = MUST(owner, MACHINE_DMA_SPACE, machine, owner->account, 7);
    STEP(owner, OBJECT_DESTROY, slice);
    STEP(user, PIN_CREATE, space, user->account, within, 0, PAGE_SIZE, DMA_BOTH);
    both_run();
}
static void pinned_or_gone(void)
{
    status_t status = status_of(user, 0);
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_GONE);
    EXPLORE_CHECK(!is_live(owner, within) && is_live(owner, whole));
    EXPLORE_CHECK(vmo_of(object_behind(owner, whole))->pin_count == (status == STATUS_OK));
    seen(status);
}
// MEM-17
SCENARIO(pin_against_end_of_slice, .canary = "O2 slice", .setup = pin_against_end_of_slice,
         .finish = pinned_or_gone);
