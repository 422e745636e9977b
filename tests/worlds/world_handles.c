// SPDX-License-Identifier: MIT
//
// Handles: two kinds of objects, two at a time; duplicates with fewer rights, closing, destroying;
// each call of the family with every register, right type or not.
#include "worlds.h"

static void setup(void)
{
    register_count = whole ? 7 : 6;
    (void)make_actor(0, 2);
}

static void actions(void)
{
    offer((struct action){
        .number = SYSCALL_EVENT_CREATE, .argument = {R(ACCOUNT)}, .new_handles = 1});
    offer((struct action){
        .number = SYSCALL_TIMER_CREATE, .argument = {R(ACCOUNT)}, .new_handles = 1});
    for (uint8_t r = FIRST; r < register_count; r++) {
        static const uint64_t rights[] = {
            RIGHT_DUPLICATE | RIGHT_WAIT, RIGHTS_EVENT, RIGHT_SIGNAL,
            RIGHTS_EVENT | RIGHT_READ, // more than any of them has
            1ull << 32 | RIGHT_WAIT,
        };
        for (unsigned i = 0; i < sizeof rights / sizeof rights[0]; i++)
            offer((struct action){.number = SYSCALL_HANDLE_DUPLICATE,
                                  .argument = {R(r), V(rights[i])},
                                  .new_handles = 1});
        offer(CALLS(0, HANDLE_CLOSE, R(r)));
        offer(CALLS(0, OBJECT_DESTROY, R(r)));
        offer(CALLS(0, OBJECT_INSPECT, R(r)));
        offer(CALLS(0, EVENT_SIGNAL, R(r), V(1)));
        offer(CALLS(0, EVENT_CLEAR, R(r), V(1)));
        offer(CALLS(0, TIMER_CANCEL, R(r)));
        offer(CALLS(0, OBJECT_WAIT, R(r), V(1), NOW));
    }
    offer(CALLS(0, EVENT_SIGNAL, R(FIRST), V(1 << 16)));
    offer(CALLS(0, OBJECT_WAIT, R(FIRST), V(0), NOW));
    offer(CALLS(0, EVENT_CREATE, R(FIRST)));
}

WORLD(handles, .about = "handles, rights, closing and destroying", .bugs = {"O1", "O2"},
      .setup = setup, .actions = actions);
