// SPDX-License-Identifier: MIT
//
// Mapping and unmapping on three CPUs: two that unmap and one that uses, one that unmaps and two
// that use, come or go; frames that a third one takes; the death of the process meanwhile.
#include "harness.h"

constexpr uint64_t AT = 0x5000'0000;

static struct actor *owner, *user, *third;
static uint64_t vmo;

// Three threads of one process, and one page that all can reach. Nothing but the mapping keeps it,
// unless the handle stays open.
static void one_mapped_page(bool open)
{
    begin_world(3);
    uint64_t account = new_account(400, 200);
    owner = spawn_on(0, account, 10);
    user = spawn_thread_on(1, owner, 10);
    third = spawn_thread_on(2, owner, 10);
    vmo = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    MUST(owner, VM_MAP, owner->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ | PROT_WRITE);
    if (!open)
        MUST(owner, HANDLE_CLOSE, vmo);
}

static void all_run(void)
{
    runs(owner);
    runs(user);
    runs(third);
}

// The third one takes the frame as soon as it is free.
static void unmap_access_reuse(void)
{
    one_mapped_page(false);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    plan_access(user, AT, true);
    STEP(third, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    all_run();
}
static void unmapped_and_made(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK && status_of(third, 0) == STATUS_OK);
    seen(status_of(user, 0));
}
SCENARIO(unmap_access_reuse, .canary = "M6 others", .setup = unmap_access_reuse,
         .finish = unmapped_and_made);
SCENARIO(unmap_access_reuse_broadcast, .canary = "M6 flush", .setup = unmap_access_reuse,
         .finish = unmapped_and_made, .broadcasts = true);

static void unmap_two_accesses(void)
{
    one_mapped_page(false);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    plan_access(user, AT, true);
    plan_access(third, AT, false);
    all_run();
}
static void unmapped(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
}
SCENARIO(unmap_two_accesses, .canary = "M6 one", .setup = unmap_two_accesses, .finish = unmapped);
SCENARIO(unmap_two_accesses_broadcast, .canary = "M6 flush", .setup = unmap_two_accesses,
         .finish = unmapped, .broadcasts = true);

// Two rounds that cross, and a CPU that both ask.
static void two_unmaps_and_an_access(void)
{
    one_mapped_page(false);
    uint64_t other = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    MUST(owner, VM_MAP, owner->own_aspace, other, 0, AT + PAGE_SIZE, PAGE_SIZE, PROT_READ);
    MUST(owner, HANDLE_CLOSE, other);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    STEP(third, VM_UNMAP, owner->own_aspace, AT + PAGE_SIZE);
    plan_access(user, AT, true);
    all_run();
}
static void both_unmapped(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK && status_of(third, 0) == STATUS_OK);
}
SCENARIO(two_unmaps_and_an_access, .canary = "M6 others", .setup = two_unmaps_and_an_access,
         .finish = both_unmapped);
SCENARIO(two_unmaps_and_an_access_broadcast, .canary = "M6 flush",
         .setup = two_unmaps_and_an_access, .finish = both_unmapped, .broadcasts = true);

static void unmap_map_destroy(void)
{
    one_mapped_page(true);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    STEP(user, VM_MAP, owner->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    STEP(third, OBJECT_DESTROY, vmo);
    all_run();
}
static void at_most_one_more(void)
{
    EXPLORE_CHECK(status_of(third, 0) == STATUS_OK);
    status_t status = status_of(user, 0);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_OVERLAP || status == STATUS_GONE);
}
SCENARIO(unmap_map_destroy, .canary = "weak take", .setup = unmap_map_destroy,
         .finish = at_most_one_more);

static void destroy_against_two_accesses(void)
{
    one_mapped_page(true);
    STEP(owner, OBJECT_DESTROY, vmo);
    plan_access(user, AT, true);
    plan_access(third, AT, true);
    all_run();
}
static void revoked(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
}
SCENARIO(destroy_against_two_accesses, .canary = "M6 one", .setup = destroy_against_two_accesses,
         .finish = revoked);

// ---- CPUs that come and go

static struct actor *stranger;

// The user leaves the address space for another process, which waits for its CPU.
static void unmap_against_leaving(void)
{
    begin_world(2);
    uint64_t account = new_account(400, 200);
    owner = spawn_on(0, account, 10);
    stranger = spawn_on(1, account, 9);
    user = spawn_thread_on(1, owner, 10);
    vmo = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    MUST(owner, VM_MAP, owner->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    MUST(owner, HANDLE_CLOSE, vmo);
    uint64_t event = MUST(owner, EVENT_CREATE, owner->account);
    uint64_t theirs = grant(stranger, owner, event);
    EXPECT_CALL(BLOCKED, stranger, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
    plan_access(user, AT, false);
    STEP(user, EVENT_SIGNAL, event, 1); // then it sleeps, and the stranger runs
    STEP(stranger, EVENT_CLEAR, theirs, 1);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    runs(owner);
    runs(user);
}
static void left(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK && status_of(stranger, 0) == STATUS_OK);
}
SCENARIO(unmap_against_leaving, .canary = "M6 others", .setup = unmap_against_leaving,
         .finish = left);
SCENARIO(unmap_against_leaving_broadcast, .canary = "M6 flush", .setup = unmap_against_leaving,
         .finish = left, .broadcasts = true);

// It leaves and comes back while the page goes.
static void unmap_against_leaving_and_entering(void)
{
    begin_world(2);
    uint64_t account = new_account(400, 200);
    owner = spawn_on(0, account, 10);
    user = spawn_thread_on(1, owner, 9);
    stranger = spawn_on(1, account, 10);
    vmo = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    MUST(owner, VM_MAP, owner->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    MUST(owner, HANDLE_CLOSE, vmo);
    uint64_t event = MUST(owner, EVENT_CREATE, owner->account);
    uint64_t theirs = grant(stranger, owner, event);
    EXPECT_CALL(BLOCKED, stranger, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
    plan_access(user, AT, false);
    STEP(user, EVENT_SIGNAL, event, 1); // the stranger preempts it, and then sleeps
    plan_access(user, AT, false);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    runs(owner);
    runs(user);
}
static void left_and_entered(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK && woken_with(stranger) == STATUS_OK);
}
SCENARIO(unmap_against_leaving_and_entering, .canary = "M6 others",
         .setup = unmap_against_leaving_and_entering, .finish = left_and_entered);

// ---- death

// A thread of the process unmaps while the process is killed, and another one uses the page.
static void death_unmap_access(void)
{
    begin_world(3);
    uint64_t account = new_account(400, 200);
    stranger = spawn_on(0, account, 11);
    owner = spawn_on(1, account, 10);
    user = spawn_thread_on(2, owner, 10);
    vmo = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    MUST(owner, VM_MAP, owner->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    uint64_t process = grant(stranger, owner, owner->own_process);
    STEP(stranger, OBJECT_DESTROY, process);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    plan_access(user, AT, false);
    runs(stranger);
    runs(owner);
    runs(user);
}
static void all_are_dead(void)
{
    EXPLORE_CHECK(is_dead(owner) && is_dead(user));
}
SCENARIO(death_unmap_access, .canary = "machine: lost IPI", .setup = death_unmap_access,
         .finish = all_are_dead);

// The thread whose unmapping waits for a round is killed.
static void unmapper_killed(void)
{
    one_mapped_page(false);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    STEP(third, OBJECT_DESTROY, owner->own_thread);
    plan_access(user, AT, false);
    all_run();
}
static void the_unmapper_is_dead(void)
{
    EXPLORE_CHECK(is_dead(owner));
    seen(is_over(owner, 0));
}
SCENARIO(unmapper_killed, .canary = "M6 others", .setup = unmapper_killed,
         .finish = the_unmapper_is_dead);

// What it began is finished where it was begun, though it is moved meanwhile.
static void unmapper_moved(void)
{
    one_mapped_page(false);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    STEP(owner, EVENT_CREATE, owner->account);
    STEP(third, THREAD_SET_CPU, owner->own_thread, 2);
    runs(owner);
    runs(user);
    runs(third);
}
static void it_went_on_elsewhere(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK && status_of(owner, 1) == STATUS_OK);
}
SCENARIO(unmapper_moved, .canary = "machine: lost IPI", .setup = unmapper_moved,
         .finish = it_went_on_elsewhere);
