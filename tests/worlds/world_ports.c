// SPDX-License-Identifier: MIT
//
// A port with an event and a timer, in the long form with a second event: binding, signals, time,
// the last event of what has gone. One actor causes, the other one waits.
#include "worlds.h"

enum { PORT = FIRST, EVENT, TIMER, OTHER };

static void setup(void)
{
    register_count = whole ? OTHER + 1 : OTHER;
    (void)make_actor(0, whole ? 7 : 5);
    (void)make_actor(0, 0);
    static const uint16_t makes[] = {SYSCALL_PORT_CREATE, SYSCALL_EVENT_CREATE,
                                     SYSCALL_TIMER_CREATE};
    for (uint8_t i = 0; i < 3; i++) {
        prepare((struct action){.number = makes[i], .argument = {R(ACCOUNT)}, .new_handles = 1});
        prepare(
            (struct action){.kind = ACTION_GRANT, .argument = {V(PORT + i), V(1), V(PORT + i)}});
    }
}

static void binds(uint8_t object, uint64_t mask)
{
    offer(CALLS(0, PORT_BIND, R(PORT), R(object), V(object), V(mask)));
    offer(CALLS(0, PORT_UNBIND, R(object)));
}

static void of_first(void)
{
    binds(EVENT, 3);
    binds(TIMER, SIGNAL_FIRED);
    offer(CALLS(0, PORT_BIND, R(PORT), R(EVENT), V(EVENT), V(0)));
    offer(CALLS(0, PORT_BIND, R(PORT), R(PORT), V(PORT), V(1)));
    offer(CALLS(0, PORT_BIND, R(EVENT), R(TIMER), V(TIMER), V(1)));
    offer(CALLS(0, PORT_RECEIVE, R(PORT), NOW));
    offer(CALLS(0, EVENT_SIGNAL, R(EVENT), V(1)));
    offer(CALLS(0, EVENT_CLEAR, R(EVENT), V(1)));
    offer(CALLS(0, TIMER_SET, R(TIMER), AFTER(1)));
    offer(CALLS(0, TIMER_SET, R(TIMER), NOW));
    offer(CALLS(0, TIMER_SET, R(TIMER), AFTER(0)));
    offer(CALLS(0, TIMER_CANCEL, R(TIMER)));
    for (uint8_t r = PORT; r <= TIMER; r++)
        offer(CALLS(0, OBJECT_DESTROY, R(r)));
    if (!whole)
        return;
    offer(CALLS(0, EVENT_SIGNAL, R(EVENT), V(6)));
    offer(CALLS(0, EVENT_CLEAR, R(EVENT), V(6)));
    offer(CALLS(0, TIMER_SET, R(TIMER), NEVER));
    offer((struct action){
        .number = SYSCALL_EVENT_CREATE, .argument = {R(ACCOUNT)}, .new_handles = 1});
    binds(OTHER, 1);
    offer(CALLS(0, HANDLE_CLOSE, R(OTHER)));
}

static void of_second(void)
{
    offer(CALLS(1, PORT_RECEIVE, R(PORT), AFTER(0)));
    offer(CALLS(1, PORT_RECEIVE, R(PORT), AFTER(2)));
    offer(CALLS(1, OBJECT_WAIT, R(EVENT), V(1), AFTER(0)));
    offer(CALLS(1, THREAD_SLEEP, AFTER(0)));
    offer(CALLS(1, THREAD_SLEEP, AFTER(1)));
    offer(CALLS(1, PORT_RECEIVE, R(PORT), NEVER));
    offer(CALLS(1, OBJECT_WAIT, R(EVENT), V(1), AFTER(1)));
    offer(CALLS(1, OBJECT_WAIT, R(TIMER), V(SIGNAL_FIRED), NEVER));
    offer(CALLS(1, HANDLE_CLOSE, R(PORT)));
}

static void actions(void)
{
    of_first();
    of_second();
    offer((struct action){.kind = ACTION_TIME, .argument = {V(1)}});
}

WORLD(ports, .about = "a port, events, a timer, time", .bugs = {"S2", "T2", "T2 cancel", "I3"},
      .setup = setup, .actions = actions);
