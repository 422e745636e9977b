// SPDX-License-Identifier: MIT
//
// Large pages that come, change and go while another CPU uses them.
#include "harness.h"

constexpr uint64_t AT = 8 * LARGE_BYTES;
constexpr uint64_t RW = PROT_READ | PROT_WRITE;

static struct actor *owner, *user;
static uint64_t vmo;

// Two threads of one process, and 2 MiB of contiguous memory.
static void two_threads(void)
{
    begin_world_with_blocks(2);
    uint64_t account = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 300, 150, LARGE_PAGES);
    owner = spawn_on(0, account, 10);
    user = spawn_thread_on(1, owner, 10);
    vmo = MUST(owner, VMO_CREATE, owner->account, LARGE_BYTES, VMO_CONTIGUOUS);
}

static void mapped(void)
{
    two_threads();
    MUST(owner, VM_MAP, owner->own_aspace, vmo, 0, AT, LARGE_BYTES, RW);
    EXPLORE_CHECK(owner->process->aspace->large_pages == 1);
}

static void both_run(void)
{
    runs(owner);
    runs(user);
}

static void large_unmap_against_access(void)
{
    mapped();
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    STEP(owner, HANDLE_CLOSE, vmo);
    plan_access(user, AT + 77 * PAGE_SIZE, true);
    plan_access(user, AT + 77 * PAGE_SIZE, false);
    both_run();
}
static void unmapped(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK && status_of(owner, 1) == STATUS_OK);
    // What was gone does not come back.
    EXPLORE_CHECK(status_of(user, 0) == STATUS_OK || status_of(user, 1) != STATUS_OK);
    seen(10 * status_of(user, 0) + status_of(user, 1));
}
// MEM-33
SCENARIO(large_unmap_against_access, .canary = "M6 others", .setup = large_unmap_against_access,
         .finish = unmapped);
// MEM-33
SCENARIO(large_unmap_against_access_broadcast, .canary = "M6 flush", .broadcasts = true,
         .setup = large_unmap_against_access, .finish = unmapped);

// Where a table stands that an earlier mapping has left: it is taken away, forgotten by all, and freed.
static void large_map_against_access(void)
{
    two_threads();
    MUST(owner, VM_MAP, owner->own_aspace, vmo, 0, AT + PAGE_SIZE, PAGE_SIZE, RW);
    MUST(owner, VM_UNMAP, owner->own_aspace, AT + PAGE_SIZE);
    STEP(owner, VM_MAP, owner->own_aspace, vmo, 0, AT, LARGE_BYTES, RW);
    plan_access(user, AT + PAGE_SIZE, true);
    both_run();
}
static void large_or_not_yet(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK || is_dead(owner));
    (void)status_of(user, 0);
}
// MEM-32
SCENARIO(large_map_against_access, .canary = "M9", .setup = large_map_against_access,
         .finish = large_or_not_yet);
// MEM-32
SCENARIO(large_map_against_access_broadcast, .canary = "M9", .broadcasts = true,
         .setup = large_map_against_access, .finish = large_or_not_yet);

static void large_protect_against_access(void)
{
    mapped();
    uint64_t event = MUST(owner, EVENT_CREATE, owner->account);
    plan_access(user, AT + 300 * PAGE_SIZE, true);
    STEP(user, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    plan_access(user, AT + 300 * PAGE_SIZE, true);
    STEP(owner, VM_PROTECT, owner->own_aspace, AT, PROT_READ);
    STEP(owner, EVENT_SIGNAL, event, 1);
    both_run();
}
static void protected(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
    EXPLORE_CHECK(status_of(user, 2) != STATUS_OK); // it has heard that the page is protected
    seen(status_of(user, 0));
}
// MEM-33
SCENARIO(large_protect_against_access, .canary = "M6 protect",
         .setup = large_protect_against_access, .finish = protected);
