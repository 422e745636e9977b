// SPDX-License-Identifier: MIT
//
// Interrupts: an edge line and a level line, minted, raised, acknowledged, bound to a port,
// destroyed and minted anew, while the device does what it likes.
#include "worlds.h"

enum { MACHINE = FIRST, EDGE, LEVEL, PORT };
enum { EDGE_LINE = 8, LEVEL_LINE };

static void setup(void)
{
    register_count = PORT + 1;
    (void)make_actor(0, whole ? 5 : 4);
    (void)give_machine(0);
}

static void mints(uint64_t line, uint64_t trigger)
{
    offer((struct action){.number = SYSCALL_MACHINE_INTERRUPT,
                          .argument = {R(MACHINE), R(ACCOUNT), V(line), V(trigger)},
                          .new_handles = 1});
}

static void line(uint64_t number, uint64_t what)
{
    offer((struct action){.kind = ACTION_LINE, .argument = {V(number), V(what)}});
}

static void actions(void)
{
    mints(EDGE_LINE, TRIGGER_EDGE);
    mints(LEVEL_LINE, TRIGGER_LEVEL_HIGH);
    mints(0, TRIGGER_EDGE);
    mints(EDGE_LINE, 3);
    line(EDGE_LINE, 0);
    line(LEVEL_LINE, 1);
    line(LEVEL_LINE, 2);
    mints(64, TRIGGER_EDGE);
    for (uint8_t r = EDGE; r <= LEVEL; r++) {
        offer(CALLS(0, INTERRUPT_ACKNOWLEDGE, R(r)));
        offer(CALLS(0, OBJECT_WAIT, R(r), V(SIGNAL_INTERRUPT), NOW));
        offer(CALLS(0, OBJECT_WAIT, R(r), V(SIGNAL_INTERRUPT), NEVER));
        offer(CALLS(0, PORT_BIND, R(PORT), R(r), V(r), V(SIGNAL_INTERRUPT)));
        offer(CALLS(0, OBJECT_DESTROY, R(r)));
        offer(CALLS(0, HANDLE_CLOSE, R(r)));
    }
    offer(CALLS(0, INTERRUPT_ACKNOWLEDGE, R(MACHINE)));
    offer(
        (struct action){.number = SYSCALL_PORT_CREATE, .argument = {R(ACCOUNT)}, .new_handles = 1});
    offer(CALLS(0, PORT_RECEIVE, R(PORT), NOW));
    offer(CALLS(0, PORT_RECEIVE, R(PORT), NEVER));
}

WORLD(interrupts, .about = "an edge line and a level line", .bugs = {"Q1", "Q2"}, .setup = setup,
      .actions = actions);
