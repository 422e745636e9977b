// SPDX-License-Identifier: MIT
//
// Full queues. In the first world a sender waits for room: a channel of depth 1 with one call at a
// time; two clients of one end, the second more urgent, send and call, with and without a handle,
// and are cancelled, killed, late, or hear that an end has gone. In the second the oldest message
// goes, and is counted. In the long form the server's end is bound to a port.
#include "worlds.h"

enum { END = FIRST, EVENT, PEER_THREAD, PORT = EVENT }; // the port in the long form only
enum { SERVER, CLIENT, OTHER_CLIENT };

static void create(uint64_t shape, uint64_t overflow)
{
    offer((struct action){.actor = SERVER,
                          .number = SYSCALL_CHANNEL_CREATE,
                          .argument = {R(ACCOUNT), R(ACCOUNT), V(shape), V(overflow)},
                          .new_handles = 2});
}

// An end for the server, the other one for its clients.
static void setup_channel(uint64_t shape, uint64_t overflow, uint64_t client_objects)
{
    register_count = whole ? FIRST + 5 : FIRST + 3;
    (void)make_actor(4, whole ? 4 : 2);
    prepare((struct action){.actor = SERVER,
                            .number = SYSCALL_CHANNEL_CREATE,
                            .argument = {R(ACCOUNT), R(ACCOUNT), V(shape), V(overflow)},
                            .new_handles = 2});
    for (uint8_t client = CLIENT; client <= OTHER_CLIENT; client++) {
        actor_priority = 10 + client;
        (void)make_actor(0, client_objects);
        prepare((struct action){
            .kind = ACTION_GRANT, .actor = SERVER, .argument = {V(END + 1), V(client), V(END)}});
    }
    prepare(CALLS(SERVER, HANDLE_CLOSE, R(END + 1)));
    prepare((struct action){
        .kind = ACTION_GRANT, .actor = CLIENT, .argument = {V(THREAD), V(SERVER), V(PEER_THREAD)}});
    if (!whole)
        return;
    prepare(
        (struct action){.number = SYSCALL_PORT_CREATE, .argument = {R(ACCOUNT)}, .new_handles = 1});
    prepare(
        CALLS(SERVER, PORT_BIND, R(PORT), R(END), V(END), V(SIGNAL_READABLE | SIGNAL_PEER_CLOSED)));
}

static void receives(uint8_t actor, struct operand deadline)
{
    offer((struct action){.actor = actor,
                          .number = SYSCALL_CHANNEL_RECEIVE,
                          .argument = {R(END), deadline},
                          .takes = 1});
}

static void sends(uint8_t actor, uint64_t message, struct operand deadline)
{
    offer((struct action){.actor = actor,
                          .number = SYSCALL_CHANNEL_SEND,
                          .argument = {R(END), V(message), deadline},
                          .sends = (uint8_t)MSG_HANDLES(message),
                          .sent = {EVENT}});
}

static void calls(uint8_t actor, uint64_t message, struct operand deadline)
{
    offer((struct action){.actor = actor,
                          .number = SYSCALL_CHANNEL_CALL,
                          .argument = {R(END), V(message), deadline},
                          .sends = (uint8_t)MSG_HANDLES(message),
                          .sent = {EVENT}});
}

static void port_receives(struct operand deadline)
{
    offer((struct action){
        .number = SYSCALL_PORT_RECEIVE, .argument = {R(PORT), deadline}, .takes = 1});
}

static void of_server(void)
{
    receives(SERVER, NOW);
    receives(SERVER, NEVER);
    offer(CALLS(SERVER, HANDLE_CLOSE, R(END)));
    offer(CALLS(SERVER, OBJECT_DESTROY, R(END)));
    offer(CALLS(SERVER, THREAD_CANCEL, R(PEER_THREAD)));
    offer(CALLS(SERVER, OBJECT_DESTROY, R(PEER_THREAD)));
    create(ABI_CHANNEL_SHAPE(1, 8, 1, 0), OVERFLOW_DROP_OLDEST);
    create(ABI_CHANNEL_SHAPE(1, 8, 0, 1), OVERFLOW_DROP_OLDEST);
    create(ABI_CHANNEL_SHAPE(1, 8, 0, 0), OVERFLOW_DROP_OLDEST + 1);
    offer((struct action){.kind = ACTION_TIME, .argument = {V(1)}});
    if (!whole)
        return;
    port_receives(NOW);
    port_receives(NEVER);
    offer(CALLS(SERVER, PORT_UNBIND, R(END)));
}

// ---- waiting for room

static void setup_waiting(void)
{
    setup_channel(ABI_CHANNEL_SHAPE(whole ? 2 : 1, 8, 1, 1), OVERFLOW_BLOCK, 1);
    prepare((struct action){.actor = CLIENT,
                            .number = SYSCALL_EVENT_CREATE,
                            .argument = {R(ACCOUNT)},
                            .new_handles = 1});
    prepare((struct action){
        .kind = ACTION_GRANT, .actor = CLIENT, .argument = {V(EVENT), V(OTHER_CLIENT), V(EVENT)}});
}

static void actions_waiting(void)
{
    const uint64_t brought = whole ? PEER_THREAD + 1 : EVENT;
    of_server();
    offer(CALLS(SERVER, CHANNEL_REPLY, R(END), TOKEN, V(MSG(2, 0))));
    offer(CALLS(SERVER, HANDLE_CLOSE, R(brought)));
    if (whole)
        offer((struct action){.actor = SERVER,
                              .number = SYSCALL_CHANNEL_REPLY_RECEIVE,
                              .argument = {R(END), TOKEN, V(MSG(2, 0)), R(PORT), NOW},
                              .takes = 1});
    sends(CLIENT, MSG(1, 0), NEVER);
    sends(CLIENT, MSG(2, 1), NEVER);
    sends(CLIENT, MSG(3, 0), AFTER(1));
    sends(CLIENT, MSG(4, 0), AFTER(0));
    sends(CLIENT, MSG(9, 0), NEVER);
    calls(CLIENT, MSG(5, 1), AFTER(2));
    calls(CLIENT, MSG(6, 0), NEVER);
    offer(CALLS(CLIENT, HANDLE_CLOSE, R(EVENT)));
    offer(CALLS(CLIENT, HANDLE_CLOSE, R(END)));
    sends(OTHER_CLIENT, MSG(1, 0), NEVER);
    sends(OTHER_CLIENT, MSG(2, 1), AFTER(1));
    calls(OTHER_CLIENT, MSG(7, 0), NEVER);
    offer(CALLS(OTHER_CLIENT, OBJECT_DESTROY, R(EVENT)));
    offer(CALLS(OTHER_CLIENT, OBJECT_DESTROY, R(END)));
}

WORLD(senders, .about = "senders and calls that wait for room",
      .bugs = {"S2 room", "S2 slot", "S2 left", "I4 sender"}, .setup = setup_waiting,
      .actions = actions_waiting);

// ---- dropping the oldest

static void setup_dropping(void)
{
    setup_channel(ABI_CHANNEL_SHAPE(2, 8, 0, 0), OVERFLOW_DROP_OLDEST, 0);
}

static void actions_dropping(void)
{
    of_server();
    receives(SERVER, AFTER(1));
    offer(CALLS(SERVER, OBJECT_WAIT, R(END), V(SIGNAL_READABLE), NEVER));
    sends(CLIENT, MSG(1, 0), NOW);
    sends(CLIENT, MSG(2, 0), NEVER);
    sends(CLIENT, MSG(9, 0), NEVER);
    sends(CLIENT, MSG(2, 1), NEVER);
    calls(CLIENT, MSG(1, 0), NEVER);
    receives(CLIENT, NEVER);
    offer(CALLS(CLIENT, HANDLE_CLOSE, R(END)));
    sends(OTHER_CLIENT, MSG(1, 0), NOW);
    sends(OTHER_CLIENT, MSG(0, 0), NOW);
    offer(CALLS(OTHER_CLIENT, OBJECT_DESTROY, R(END)));
    sends(SERVER, MSG(3, 0), NOW);
}

WORLD(drops, .about = "a queue that drops its oldest message", .bugs = {"I2 lost", "I1", "I2"},
      .setup = setup_dropping, .actions = actions_dropping);
