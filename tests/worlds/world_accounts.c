// SPDX-License-Identifier: MIT
//
// Accounts: carved out of one another, filled with what costs pages and objects, destroyed with
// their contents while others still map them or hear of them. And reservations that move between
// them.
#include "worlds.h"

constexpr uint64_t PAGE = ABI_PAGE_SIZE, BASE = ABI_INIT_MESSAGE_BUFFER;

static void setup(void)
{
    register_count = whole ? FIRST + 3 : FIRST + 2;
    (void)make_actor(4, 8);
}

static void creates(struct operand parent, uint64_t pages, uint64_t objects)
{
    offer((struct action){.number = SYSCALL_ACCOUNT_CREATE,
                          .argument = {parent, V(pages), V(objects), V(0), V('a'), V(0)},
                          .new_handles = 1});
}

static void actions(void)
{
    creates(R(ACCOUNT), 2, 4);
    creates(R(ACCOUNT), 1, 2);
    creates(R(ACCOUNT), 5, 1);
    creates(R(ACCOUNT), 1, 9);
    creates(R(ACCOUNT), 0, 1);
    creates(R(ACCOUNT), 1, 0);
    creates(R(ACCOUNT), UINT64_MAX, 1);
    creates(R(ACCOUNT), 1, UINT64_MAX);
    for (uint8_t r = FIRST; r < register_count; r++) {
        creates(R(r), 1, 1);
        offer((struct action){
            .number = SYSCALL_VMO_CREATE, .argument = {R(r), V(PAGE), V(0)}, .new_handles = 1});
        if (r == FIRST)
            offer((struct action){.number = SYSCALL_CHANNEL_CREATE,
                                  .argument = {R(r), R(ACCOUNT), V(ABI_CHANNEL_SHAPE(1, 8, 0, 0)),
                                               V(OVERFLOW_REJECT)},
                                  .new_handles = 2});
        offer(
            (struct action){.number = SYSCALL_EVENT_CREATE, .argument = {R(r)}, .new_handles = 1});
        offer(CALLS(0, HANDLE_CLOSE, R(r)));
        offer(CALLS(0, OBJECT_DESTROY, R(r)));
        offer(CALLS(0, OBJECT_WAIT, R(r), V(SIGNAL_TERMINATED), NOW));
        offer(CALLS(0, VM_MAP, R(ASPACE), R(r), V(0), V(BASE + PAGE), V(PAGE), V(PROT_READ)));
    }
    offer(CALLS(0, VM_PROTECT, R(ASPACE), V(BASE + PAGE), V(PROT_READ | PROT_EXECUTE)));
    offer(CALLS(0, VM_UNMAP, R(ASPACE), V(BASE + PAGE)));
    offer((struct action){.kind = ACTION_ACCESS, .argument = {V(BASE + PAGE), V(0)}});
}

WORLD(accounts, .about = "accounts in accounts, their contents and their end",
      .bugs = {"A1", "A2", "A3", "O2"}, .setup = setup, .actions = actions);

// ---- reservations that move

static void setup_reservations(void)
{
    register_count = FIRST + 2;
    (void)make_actor(3, 5);
}

static void resizes(uint8_t parent, uint8_t child, int64_t pages, int64_t objects)
{
    offer(CALLS(0, ACCOUNT_RESIZE, R(parent), R(child), V((uint64_t)pages), V((uint64_t)objects)));
}

static void actions_reservations(void)
{
    creates(R(ACCOUNT), 1, 2);
    creates(R(FIRST), 1, 1);
    for (uint8_t r = FIRST; r < register_count; r++) {
        offer((struct action){
            .number = SYSCALL_VMO_CREATE, .argument = {R(r), V(PAGE), V(0)}, .new_handles = 1});
        offer(
            (struct action){.number = SYSCALL_EVENT_CREATE, .argument = {R(r)}, .new_handles = 1});
        offer(CALLS(0, HANDLE_CLOSE, R(r)));
        offer(CALLS(0, OBJECT_DESTROY, R(r)));
        if (r > FIRST && !whole)
            continue;
        resizes(ACCOUNT, r, 1, 0);
        resizes(ACCOUNT, r, -1, 0);
        resizes(ACCOUNT, r, 0, 1);
        resizes(ACCOUNT, r, 0, -1);
        resizes(ACCOUNT, r, 1, -1);
        resizes(ACCOUNT, r, -1, 1);
    }
    resizes(FIRST, FIRST + 1, 1, 1);
    resizes(FIRST, FIRST + 1, -1, -1);
    // Whatever the state, more than there is, or nothing.
    resizes(ACCOUNT, FIRST, INT64_MAX, 0);
    resizes(ACCOUNT, FIRST, INT64_MIN, 0);
    resizes(ACCOUNT, FIRST, 0, INT64_MAX);
    resizes(ACCOUNT, FIRST, 0, INT64_MIN);
    resizes(ACCOUNT, FIRST, INT64_MIN, INT64_MAX);
    resizes(ACCOUNT, FIRST, 0, 0);
    resizes(ACCOUNT, ACCOUNT, 1, 0);
    resizes(FIRST, ACCOUNT, 1, 0);
    resizes(ASPACE, FIRST, 1, 0);
    resizes(ACCOUNT, ASPACE, 1, 0);
}

// ---- shares of a CPU

static void setup_shares(void)
{
    register_count = whole ? FIRST + 3 : FIRST + 2;
    (void)make_actor(4, 8);
    give_cpu(0, 0);
}

static void sets(uint8_t parent, uint8_t child, uint64_t budget_us, uint64_t period_us)
{
    offer(CALLS(0, ACCOUNT_BUDGET, R(parent), R(child), V(0), V(budget_us * 1000),
                V(period_us * 1000)));
}

static void actions_shares(void)
{
    constexpr uint64_t SECOND_US = 1'000'000;
    creates(R(ACCOUNT), 2, 4);
    creates(R(ACCOUNT), 1, 2);
    creates(R(FIRST), 1, 1);
    for (uint8_t r = FIRST; r < register_count; r++) {
        offer((struct action){
            .number = SYSCALL_VMO_CREATE, .argument = {R(r), V(PAGE), V(0)}, .new_handles = 1});
        offer(CALLS(0, HANDLE_CLOSE, R(r)));
        offer(CALLS(0, OBJECT_DESTROY, R(r)));
        sets(ACCOUNT, r, 50, SECOND_US);
        sets(ACCOUNT, r, 150, SECOND_US);
        sets(ACCOUNT, r, 0, 0);
    }
    sets(FIRST, FIRST + 1, 50, SECOND_US);
    sets(FIRST, FIRST + 1, 100, SECOND_US);
    sets(FIRST, FIRST + 1, 50, SECOND_US / 2); // the same share
    sets(FIRST, FIRST + 1, 0, 0);
    // Whatever the state.
    sets(ACCOUNT, FIRST, 49, SECOND_US);
    sets(ACCOUNT, FIRST, SECOND_US, SECOND_US + 1);
    sets(ACCOUNT, FIRST, 999, 999);
    sets(ACCOUNT, FIRST, 0, SECOND_US);
    sets(ACCOUNT, FIRST, 50, 0);
    sets(ACCOUNT, ACCOUNT, 50, SECOND_US);
    sets(FIRST, ACCOUNT, 50, SECOND_US);
    sets(ASPACE, FIRST, 50, SECOND_US);
    sets(ACCOUNT, ASPACE, 50, SECOND_US);
    offer(CALLS(0, ACCOUNT_BUDGET, R(ACCOUNT), R(FIRST), V(1), V(50'000), V(SECOND_US * 1000)));
}

WORLD(shares, .about = "shares of a CPU that move between accounts", .bugs = {"C1", "A2"},
      .setup = setup_shares, .actions = actions_shares);

WORLD(reservations, .about = "reservations that move between accounts",
      .bugs = {"A1", "A2", "A3", "A resize"}, .setup = setup_reservations,
      .actions = actions_reservations);
