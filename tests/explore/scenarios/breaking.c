// SPDX-License-Identifier: MIT
//
// A page makes room for another one at the same address: under broadcast invalidation the entry is
// invalid and flushed in between (kernel/translation_break.c watches each write).
#include "harness.h"

constexpr uint64_t AT = 0x5000'0000;

static struct actor *owner, *user;

static void another_page_at_the_address(void)
{
    begin_world(2);
    uint64_t account = new_account(400, 200);
    owner = spawn_on(0, account, 10);
    user = spawn_thread_on(1, owner, 10);
    uint64_t old = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    uint64_t new = MUST(owner, VMO_CREATE, owner->account, PAGE_SIZE, 0);
    MUST(owner, VM_MAP, owner->own_aspace, old, 0, AT, PAGE_SIZE, PROT_READ | PROT_WRITE);
    STEP(owner, VM_UNMAP, owner->own_aspace, AT);
    STEP(owner, VM_MAP, owner->own_aspace, new, 0, AT, PAGE_SIZE, PROT_READ | PROT_WRITE);
    plan_access(user, AT, true);
    runs(owner);
    runs(user);
}
static void both_done(void)
{
    EXPLORE_CHECK(status_of(owner, 0) == STATUS_OK && status_of(owner, 1) == STATUS_OK);
    seen(status_of(user, 0));
}
SCENARIO(another_page_broadcast, .canary = "M6 flush", .canary_kind = "break",
         .setup = another_page_at_the_address, .finish = both_done, .broadcasts = true);
