// SPDX-License-Identifier: MIT
//
// A channel of depth 2 with one call at a time: two clients of one end, a server at the other.
// Messages with and without a handle, calls, replies with and without one, deadlines that pass,
// waits that are cancelled, ends that are closed, clients that are killed.
#include "worlds.h"

enum { END = FIRST, EVENT, PEER_THREAD };
enum { CLIENT, SERVER, OTHER_CLIENT };

static void setup(void)
{
    register_count = FIRST + 3;
    (void)make_actor(8, 6);
    (void)make_actor(4, 4);
    prepare((struct action){.actor = CLIENT,
                            .number = SYSCALL_CHANNEL_CREATE,
                            .argument = {R(ACCOUNT), R(ACCOUNT),
                                         V(ABI_CHANNEL_SHAPE(2, 8, 1, whole ? 2 : 1)),
                                         V(OVERFLOW_REJECT)},
                            .new_handles = 2});
    prepare((struct action){
        .kind = ACTION_GRANT, .actor = CLIENT, .argument = {V(END + 1), V(SERVER), V(END)}});
    prepare(CALLS(CLIENT, HANDLE_CLOSE, R(END + 1)));
    (void)make_actor(4, 4);
    prepare((struct action){
        .kind = ACTION_GRANT, .actor = CLIENT, .argument = {V(END), V(OTHER_CLIENT), V(END)}});
    prepare((struct action){
        .kind = ACTION_GRANT, .actor = CLIENT, .argument = {V(THREAD), V(SERVER), V(PEER_THREAD)}});
    prepare((struct action){.actor = CLIENT,
                            .number = SYSCALL_EVENT_CREATE,
                            .argument = {R(ACCOUNT)},
                            .new_handles = 1});
}

static void receives(uint8_t actor, struct operand deadline)
{
    offer((struct action){.actor = actor,
                          .number = SYSCALL_CHANNEL_RECEIVE,
                          .argument = {R(END), deadline},
                          .takes = 1});
}

static void calls(uint8_t actor, uint64_t message, struct operand deadline, uint8_t sends)
{
    offer((struct action){.actor = actor,
                          .number = SYSCALL_CHANNEL_CALL,
                          .argument = {R(END), V(message), deadline},
                          .takes = 1 - sends,
                          .sends = sends,
                          .sent = {EVENT}});
}

static void sends(uint8_t actor, uint64_t message, uint8_t sent)
{
    offer((struct action){.actor = actor,
                          .number = SYSCALL_CHANNEL_SEND,
                          .argument = {R(END), V(message)},
                          .sends = (uint8_t)MSG_HANDLES(message) ? 1 : 0,
                          .sent = {sent}});
}

static void replies(struct operand token, uint64_t message)
{
    offer((struct action){.actor = SERVER,
                          .number = SYSCALL_CHANNEL_REPLY,
                          .argument = {R(END), token, V(message)},
                          .sends = (uint8_t)MSG_HANDLES(message) ? 1 : 0,
                          .sent = {EVENT}});
}

static void of_client(void)
{
    sends(CLIENT, MSG(0, 0), 0);
    sends(CLIENT, MSG(4, 1), EVENT);
    sends(CLIENT, MSG(9, 0), 0);
    sends(CLIENT, MSG(0, 1), END);
    sends(CLIENT, MSG(0, 0) | 1 << 23, 0);
    calls(CLIENT, MSG(3, 0), NEVER, 0);
    calls(CLIENT, MSG(5, 1), AFTER(1), 1);
    calls(CLIENT, MSG_WITH_REPLY_HANDLES(MSG(6, 0), 1), AFTER(2), 0);
    calls(CLIENT, MSG(9, 0), NEVER, 0);
    calls(CLIENT, MSG(0, 0), AFTER(0), 0);
    receives(CLIENT, NOW);
    receives(CLIENT, AFTER(1));
    offer(CALLS(CLIENT, HANDLE_CLOSE, R(EVENT)));
    offer(CALLS(CLIENT, HANDLE_CLOSE, R(END)));
    offer(CALLS(CLIENT, OBJECT_DESTROY, R(EVENT)));
}

static void of_server(void)
{
    receives(SERVER, NOW);
    receives(SERVER, AFTER(0));
    receives(SERVER, NEVER);
    replies(TOKEN, MSG(2, 0));
    replies(TOKEN, MSG(2, 1));
    replies(V(77), MSG(0, 0));
    sends(SERVER, MSG(1, 0), 0);
    sends(SERVER, MSG(2, 1), EVENT);
    offer(CALLS(SERVER, HANDLE_CLOSE, R(END)));
    offer(CALLS(SERVER, HANDLE_CLOSE, R(EVENT)));
    offer(CALLS(SERVER, OBJECT_DESTROY, R(END)));
    offer(CALLS(SERVER, THREAD_CANCEL, R(PEER_THREAD)));
    offer(CALLS(SERVER, OBJECT_DESTROY, R(PEER_THREAD)));
    offer(CALLS(SERVER, OBJECT_WAIT, R(END), V(SIGNAL_PEER_CLOSED), NOW));
    offer(CALLS(SERVER, OBJECT_WAIT, R(END), V(SIGNAL_READABLE), NEVER));
}

static void actions(void)
{
    of_client();
    of_server();
    offer((struct action){.kind = ACTION_TIME, .argument = {V(1)}});
    sends(OTHER_CLIENT, MSG(1, 0), 0);
    calls(OTHER_CLIENT, MSG(7, 0), NEVER, 0);
    receives(OTHER_CLIENT, NEVER);
    offer(CALLS(OTHER_CLIENT, HANDLE_CLOSE, R(END)));
}

WORLD(channels, .about = "a channel of depth 2, calls, deadlines, kills",
      .bugs = {"I1", "I2", "I4", "O3"}, .setup = setup, .actions = actions);
