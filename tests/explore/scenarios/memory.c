// SPDX-License-Identifier: MIT
//
// Mapping and unmapping against user code on other CPUs that reads and writes, with invalidation
// as on x86_64 (each CPU its own, asked by a round) and as on AArch64 (broadcast); frames that are
// freed and used again; CPUs that enter and leave address spaces.
#include "harness.h"

constexpr uint64_t AT = 0x5000'0000;

static struct actor *owner, *user, *third;
static uint64_t vmo;

// Two threads of one process, and one page that both can reach.
static void one_mapped_page(unsigned cpus)
{
    begin_world(cpus);
    uint64_t account = new_account(400, 200);
    owner = spawn_on(0, account, 10);
    user = spawn_thread_on(1, owner, 10);
    vmo = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    MUST(owner, VM_MAP, owner->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ | PROT_WRITE);
}

static void unmap_against_access(void)
{
    one_mapped_page(2);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    STEP(owner, HANDLE_CLOSE, vmo);
    plan_access(user, AT, true);
    plan_access(user, AT, false);
    runs(owner);
    runs(user);
}
static void unmapped(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK && status_of(owner, 1) == STATUS_OK);
    // What was gone does not come back.
    EXPLORE_CHECK(status_of(user, 0) == STATUS_OK || status_of(user, 1) != STATUS_OK);
    seen(10 * status_of(user, 0) + status_of(user, 1));
}
// MEM-8
SCENARIO(unmap_against_access, .canary = "M6 others", .setup = unmap_against_access,
         .finish = unmapped);
// The frame becomes another process's as soon as it is free.
static void reuse_against_access(void)
{
    one_mapped_page(2);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    STEP(owner, HANDLE_CLOSE, vmo);
    STEP(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    plan_access(user, AT, true);
    runs(owner);
    runs(user);
}
static void reused(void)
{
    EXPLORE_CHECK(status_of(owner, 2) == STATUS_OK);
    (void)status_of(user, 0);
}
// MEM-8
SCENARIO(reuse_against_access, .canary = "M6 others", .setup = reuse_against_access,
         .finish = reused);
// Both CPUs unmap, each a page that the other one uses: rounds cross.
static void two_unmaps(void)
{
    one_mapped_page(2);
    uint64_t other = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    MUST(owner, VM_MAP, owner->own_aspace, other, 0, AT + PAGE_SIZE, PAGE_SIZE, PROT_READ);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    STEP(owner, HANDLE_CLOSE, vmo);
    STEP(user, VM_UNMAP, owner->own_aspace, AT + PAGE_SIZE);
    STEP(user, HANDLE_CLOSE, other);
    runs(owner);
    runs(user);
}
static void both_unmapped(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK && status_of(user, 0) == STATUS_OK);
}
// MEM-8
SCENARIO(two_unmaps, .canary = "machine: lost IPI", .setup = two_unmaps, .finish = both_unmapped);

static void two_unmaps_of_one(void)
{
    one_mapped_page(2);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    STEP(user, VM_UNMAP, owner->own_aspace, AT);
    runs(owner);
    runs(user);
}
static void one_unmapped(void)
{
    unsigned done = (status_of(owner, 0) == STATUS_OK) + (status_of(user, 0) == STATUS_OK);
    EXPLORE_CHECK(done >= 1);
    seen(done);
}
SCENARIO(two_unmaps_of_one, .canary = "machine: lost IPI", .setup = two_unmaps_of_one,
         .finish = one_unmapped);

// A thread of the process comes to its CPU just when a page goes.
static void unmap_against_entering(void)
{
    begin_world(2);
    uint64_t account = new_account(400, 200);
    owner = spawn_on(0, account, 10);
    user = spawn_thread_on(1, owner, 9);
    third = spawn_on(1, account, 10);
    vmo = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    MUST(owner, VM_MAP, owner->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    uint64_t event = MUST(third, EVENT_CREATE, third->account);
    uint64_t shared = grant(user, third, event);
    EXPECT_CALL(BLOCKED, user, OBJECT_WAIT, shared, 1, ABI_DEADLINE_NEVER);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    STEP(owner, HANDLE_CLOSE, vmo);
    STEP(third, EVENT_SIGNAL, event, 1); // then it sleeps, and user runs
    plan_access(user, AT, false);
    runs(owner);
    runs(third);
}
static void entered(void)
{
    EXPLORE_CHECK(status_of(owner, 1) == STATUS_OK && woken_with(user) == STATUS_OK);
    seen(status_of(user, 0));
}
SCENARIO(unmap_against_entering, .canary = "weak enter", .setup = unmap_against_entering,
         .finish = entered, .weak_only = true);
SCENARIO(unmap_against_entering_others, .canary = "weak others", .setup = unmap_against_entering,
         .finish = entered, .weak_only = true);
static void map_against_access(void)
{
    begin_world(2);
    owner = spawn_on(0, new_account(400, 200), 10);
    user = spawn_thread_on(1, owner, 10);
    vmo = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    STEP(owner, VM_MAP, owner->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    plan_access(user, AT, false);
    plan_access(user, AT + PAGE_SIZE, false);
    plan_access(user, AT, true);
    runs(owner);
    runs(user);
}
static void mapped(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
    EXPLORE_CHECK(status_of(user, 1) != STATUS_OK && status_of(user, 2) != STATUS_OK);
    seen(status_of(user, 0));
}
SCENARIO(map_against_access, .canary = "M2", .setup = map_against_access, .finish = mapped);

static void map_against_unmap(void)
{
    one_mapped_page(2);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    STEP(user, VM_MAP, owner->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    runs(owner);
    runs(user);
}
static void unmapped_then_maybe_mapped(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
    EXPLORE_CHECK(status_of(user, 0) == STATUS_OK || status_of(user, 0) == STATUS_OVERLAP);
    seen(status_of(user, 0));
}
// MEM-4
SCENARIO(map_against_unmap, .canary = "M2 overlap", .setup = map_against_unmap,
         .finish = unmapped_then_maybe_mapped);

// Unmapped while it is being made: the unmapping waits for what makes it.
static void unmap_against_map(void)
{
    begin_world(2);
    owner = spawn_on(0, new_account(400, 200), 10);
    user = spawn_thread_on(1, owner, 10);
    vmo = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    STEP(owner, VM_MAP, owner->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    STEP(user, VM_UNMAP, owner->own_aspace, AT);
    runs(owner);
    runs(user);
}
static void mapped_then_maybe_unmapped(void)
{
    (void)status_of(owner, 0);
    EXPLORE_CHECK(status_of(user, 0) == STATUS_OK || status_of(user, 0) == STATUS_NOT_FOUND);
}
SCENARIO(unmap_against_map, .canary = "I4 all", .setup = unmap_against_map,
         .finish = mapped_then_maybe_unmapped);

// The same in more than one step: both of them wait.
static void unmap_against_a_long_map(void)
{
    begin_world(2);
    owner = spawn_on(0, new_account(400, 200), 10);
    user = spawn_thread_on(1, owner, 10);
    vmo = MUST(owner, VMO_CREATE, owner->account, (VM_STEP_PAGES + 1) * PAGE_SIZE, 0);
    STEP(owner, VM_MAP, owner->own_aspace, vmo, 0, AT, (VM_STEP_PAGES + 1) * PAGE_SIZE, PROT_READ);
    STEP(user, VM_UNMAP, owner->own_aspace, AT);
    runs(owner);
    runs(user);
}
SCENARIO(unmap_against_a_long_map, .canary = "I4 all", .setup = unmap_against_a_long_map,
         .finish = mapped_then_maybe_unmapped,
         .finer = "GONE of a mapping that is unmapped after its first step, which is the call's");

// Who waits for the mapping's end is moved and killed there, while the CPU that it was on ends it.
static void unmapper_moved_and_killed(void)
{
    one_mapped_page(2);
    uint64_t thread = grant(user, owner, owner->own_thread);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    STEP(user, THREAD_SET_CPU, thread, 1);
    STEP(user, OBJECT_DESTROY, thread);
    runs(owner);
    runs(user);
}
static void moved_and_dead(void)
{
    EXPLORE_CHECK(status_of(user, 0) == STATUS_OK && status_of(user, 1) == STATUS_OK);
    EXPLORE_CHECK(is_dead(owner));
}
SCENARIO(unmapper_moved_and_killed, .canary = "machine: lost IPI",
         .setup = unmapper_moved_and_killed, .finish = moved_and_dead, .random = true);

static void destroy_against_access(void)
{
    one_mapped_page(2);
    STEP(owner, OBJECT_DESTROY, vmo); // revokes
    plan_access(user, AT, true);
    runs(owner);
    runs(user);
}
static void revoked(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
    seen(status_of(user, 0));
}
SCENARIO(destroy_against_access, .canary = "M6 others", .setup = destroy_against_access,
         .finish = revoked);

static void destroy_against_map(void)
{
    begin_world(2);
    uint64_t account = new_account(400, 200);
    owner = spawn_on(0, account, 10);
    user = spawn_on(1, account, 10);
    vmo = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    uint64_t theirs = grant(user, owner, vmo);
    STEP(owner, OBJECT_DESTROY, vmo);
    STEP(user, VM_MAP, user->own_aspace, theirs, 0, AT, PAGE_SIZE, PROT_READ);
    runs(owner);
    runs(user);
}
static void mapped_or_gone(void)
{
    status_t status = status_of(user, 0);
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_GONE);
    seen(status);
}
SCENARIO(destroy_against_map, .canary = "O2", .setup = destroy_against_map,
         .finish = mapped_or_gone);
SCENARIO(destroy_against_map_at_random, .canary = "O2", .setup = destroy_against_map,
         .finish = mapped_or_gone, .random = true);

static void destroy_against_destroy(void)
{
    begin_world(2);
    uint64_t account = new_account(400, 200);
    owner = spawn_on(0, account, 10);
    user = spawn_on(1, account, 10);
    vmo = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    uint64_t theirs = grant(user, owner, vmo);
    STEP(owner, OBJECT_DESTROY, vmo);
    STEP(user, OBJECT_DESTROY, theirs);
    STEP(user, EVENT_CREATE, user->account);
    runs(owner);
    runs(user);
}
static void destroyed_once(void)
{
    unsigned done = (status_of(owner, 0) == STATUS_OK) + (status_of(user, 0) == STATUS_OK);
    EXPLORE_CHECK(done == 1);
}
SCENARIO(destroy_against_destroy, .canary = "O2", .setup = destroy_against_destroy,
         .finish = destroyed_once);

// The process dies while its address space is loaded elsewhere.
static void death_against_leaving(void)
{
    begin_world(2);
    uint64_t account = new_account(400, 200);
    third = spawn_on(0, account, 11);
    owner = spawn_on(0, account, 10);
    user = spawn_thread_on(1, owner, 10);
    uint64_t process = grant(third, owner, owner->own_process);
    STEP(third, OBJECT_DESTROY, process);
    STEP(third, VMO_CREATE, third->account, PAGE_SIZE, 0);
    runs(third);
    runs(user);
}
static void left(void)
{
    EXPLORE_CHECK(is_dead(owner) && is_dead(user));
    EXPLORE_CHECK(status_of(third, 1) == STATUS_OK);
}
SCENARIO(death_against_leaving, .canary = "M7 leave", .setup = death_against_leaving,
         .finish = left);
SCENARIO(death_against_leaving_broadcast, .canary = "M7 leave", .setup = death_against_leaving,
         .finish = left, .broadcasts = true);
