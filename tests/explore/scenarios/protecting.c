// SPDX-License-Identifier: MIT
//
// Changing the protection of a mapping against user code on another CPU, against itself, and against
// all that ends the mapping.
#include "harness.h"

constexpr uint64_t AT = 0x5000'0000;
constexpr uint64_t RW = PROT_READ | PROT_WRITE;

static struct actor *owner, *user;
static uint64_t vmo;

// Two threads of one process, and one page that both can write.
static void one_mapped_page(void)
{
    begin_world(2);
    uint64_t account = new_account(400, 200);
    owner = spawn_on(0, account, 10);
    user = spawn_thread_on(1, owner, 10);
    vmo = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    MUST(owner, VM_MAP, owner->own_aspace, vmo, 0, AT, PAGE_SIZE, RW);
}

static void both_run(void)
{
    runs(owner);
    runs(user);
}

static void protect_against_write(void)
{
    one_mapped_page();
    uint64_t event = MUST(owner, EVENT_CREATE, owner->account);
    plan_access(user, AT, true);
    STEP(user, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    plan_access(user, AT, true);
    STEP(owner, VM_PROTECT, owner->own_aspace, AT, PROT_READ);
    STEP(owner, EVENT_SIGNAL, event, 1);
    both_run();
}
static void nothing_written_after(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
    EXPLORE_CHECK(status_of(user, 2) != STATUS_OK); // it has heard that the page is protected
    seen(status_of(user, 0));
}
// MEM-23
SCENARIO(protect_against_write, .canary = "M6 protect", .setup = protect_against_write,
         .finish = nothing_written_after);
// MEM-23
SCENARIO(protect_against_write_broadcast, .canary = "M6 protect", .setup = protect_against_write,
         .finish = nothing_written_after, .broadcasts = true);

// What is allowed again must not be refused by what a CPU remembers.
static void allow_against_write(void)
{
    one_mapped_page();
    MUST(owner, VM_PROTECT, owner->own_aspace, AT, PROT_READ);
    uint64_t event = MUST(owner, EVENT_CREATE, owner->account);
    plan_access(user, AT, false);
    STEP(user, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    plan_access(user, AT, true);
    STEP(owner, VM_PROTECT, owner->own_aspace, AT, RW);
    STEP(owner, EVENT_SIGNAL, event, 1);
    both_run();
}
static void written_after(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
    EXPLORE_CHECK(status_of(user, 0) == STATUS_OK && status_of(user, 2) == STATUS_OK);
}
// MEM-23
SCENARIO(allow_against_write, .canary = "M6 protect", .setup = allow_against_write,
         .finish = written_after);
SCENARIO(allow_against_write_broadcast, .canary = "M6 protect", .setup = allow_against_write,
         .finish = written_after, .broadcasts = true);

static void protect_against_protect(void)
{
    one_mapped_page();
    STEP(owner, VM_PROTECT, owner->own_aspace, AT, PROT_READ);
    STEP(user, VM_PROTECT, owner->own_aspace, AT, PROT_READ | PROT_EXECUTE);
    both_run();
}
static void one_protected(void)
{
    unsigned done = (status_of(owner, 0) == STATUS_OK) + (status_of(user, 0) == STATUS_OK);
    EXPLORE_CHECK(done >= 1);
    seen(done);
}
SCENARIO(protect_against_protect, .canary = "machine: lost IPI", .setup = protect_against_protect,
         .finish = one_protected,
         .finer = "a mapping that is being changed is not changed: BAD_STATE");

static void protect_against_unmap(void)
{
    one_mapped_page();
    STEP(owner, VM_PROTECT, owner->own_aspace, AT, PROT_READ);
    STEP(user, VM_UNMAP, owner->own_aspace, AT);
    both_run();
}
static void unmapped(void)
{
    EXPLORE_CHECK(status_of(user, 0) == STATUS_OK);
    seen(status_of(owner, 0));
}
// MEM-23
SCENARIO(protect_against_unmap, .canary = "machine: lost IPI", .setup = protect_against_unmap,
         .finish = unmapped);

static void protect_against_destroy(void)
{
    one_mapped_page();
    STEP(owner, VM_PROTECT, owner->own_aspace, AT, PROT_READ);
    STEP(user, OBJECT_DESTROY, vmo);
    both_run();
}
SCENARIO(protect_against_destroy, .canary = "machine: lost IPI", .setup = protect_against_destroy,
         .finish = unmapped);

// Made just now: the operation that made it is about to end on the other CPU.
static void protect_against_map(void)
{
    one_mapped_page();
    STEP(owner, VM_MAP, owner->own_aspace, vmo, 0, AT + PAGE_SIZE, PAGE_SIZE, RW);
    STEP(user, VM_PROTECT, owner->own_aspace, AT + PAGE_SIZE, PROT_READ);
    both_run();
}
static void mapped(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK);
    seen(status_of(user, 0));
}
SCENARIO(protect_against_map, .canary = "machine: lost IPI", .setup = protect_against_map,
         .finish = mapped, .finer = "a mapping that is being made is not changed: BAD_STATE");
