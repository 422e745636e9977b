// SPDX-License-Identifier: MIT
//
// Contiguous memory: reserved for accounts in accounts, moved between them, used, and held further up
// when others still map what was theirs. All in single pages, of which none can be in the way.
#include "worlds.h"

constexpr uint64_t PAGE = ABI_PAGE_SIZE, BASE = ABI_INIT_MESSAGE_BUFFER;

static void setup(void)
{
    register_count = FIRST + 3;
    (void)make_actor(whole ? 5 : 4, whole ? 9 : 7);
}

static void creates(uint8_t parent, uint64_t contiguous)
{
    offer((struct action){.number = SYSCALL_ACCOUNT_CREATE,
                          .argument = {R(parent), V(1), V(2), V(contiguous), V('a'), V(0)},
                          .new_handles = 1});
}

static void resizes(uint8_t child, int64_t contiguous)
{
    offer(CALLS(0, ACCOUNT_RESIZE, R(ACCOUNT), R(child), V(0), V(0), V((uint64_t)contiguous)));
}

static void takes(uint8_t account, uint64_t bytes)
{
    offer((struct action){.number = SYSCALL_VMO_CREATE,
                          .argument = {R(account), V(bytes), V(VMO_CONTIGUOUS)},
                          .new_handles = 1});
}

static void actions(void)
{
    creates(ACCOUNT, 1);
    creates(ACCOUNT, 3);
    creates(ACCOUNT, UINT64_MAX);
    takes(ACCOUNT, PAGE);
    takes(ACCOUNT, 3 * PAGE);
    takes(ACCOUNT, (ABI_CONTIGUOUS_MAX_PAGES + 1) * PAGE);
    for (uint8_t r = FIRST; r < register_count; r++) {
        creates(r, r == FIRST);
        takes(r, PAGE);
        offer(CALLS(0, HANDLE_CLOSE, R(r)));
        offer(CALLS(0, OBJECT_DESTROY, R(r)));
        offer(CALLS(0, VM_MAP, R(ASPACE), R(r), V(0), V(BASE + PAGE), V(PAGE), V(PROT_READ)));
        resizes(r, 1);
        resizes(r, -1);
    }
    resizes(FIRST, INT64_MAX);
    resizes(FIRST, INT64_MIN);
    offer(CALLS(0, VM_UNMAP, R(ASPACE), V(BASE + PAGE)));
}

WORLD(blocks, .about = "contiguous memory of accounts and of what outlives them", .contiguous = 2,
      .bugs = {"A4 twice", "A3", "A2"}, .setup = setup, .actions = actions);
