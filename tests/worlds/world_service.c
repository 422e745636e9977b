// SPDX-License-Identifier: MIT
//
// A service as the system has them: its end of a channel is bound to a port, and it answers one
// call and waits for the next in one entry. A client sends, calls, closes, and is killed; in the
// long form there is another one.
#include "worlds.h"

enum { END = FIRST, PORT, CLIENT_THREAD, BROUGHT, EVENT = PORT }; // the client has an event there
enum { SERVER, CLIENT, OTHER_CLIENT }; // the last one in the long form only
constexpr uint64_t MASK = SIGNAL_READABLE | SIGNAL_PEER_CLOSED;

static void setup(void)
{
    register_count = BROUGHT + 1;
    (void)make_actor(4, 5);
    (void)make_actor(0, 1);
    prepare((struct action){
        .number = SYSCALL_CHANNEL_CREATE,
        .argument = {R(ACCOUNT), R(ACCOUNT), V(ABI_CHANNEL_SHAPE(2, 8, 1, 2)), V(OVERFLOW_REJECT)},
        .new_handles = 2});
    prepare((struct action){.kind = ACTION_GRANT, .argument = {V(PORT), V(CLIENT), V(END)}});
    prepare(CALLS(SERVER, HANDLE_CLOSE, R(PORT)));
    prepare(
        (struct action){.number = SYSCALL_PORT_CREATE, .argument = {R(ACCOUNT)}, .new_handles = 1});
    prepare(CALLS(SERVER, PORT_BIND, R(PORT), R(END), V(END), V(MASK)));
    prepare((struct action){.kind = ACTION_GRANT,
                            .actor = CLIENT,
                            .argument = {V(THREAD), V(SERVER), V(CLIENT_THREAD)}});
    prepare((struct action){.actor = CLIENT,
                            .number = SYSCALL_EVENT_CREATE,
                            .argument = {R(ACCOUNT)},
                            .new_handles = 1});
    if (!whole)
        return;
    (void)make_actor(0, 0);
    prepare((struct action){
        .kind = ACTION_GRANT, .actor = CLIENT, .argument = {V(END), V(OTHER_CLIENT), V(END)}});
}

static void receives(struct operand deadline)
{
    offer((struct action){
        .number = SYSCALL_PORT_RECEIVE, .argument = {R(PORT), deadline}, .takes = 1});
}

static void replies_and_receives(struct operand token, uint64_t message, struct operand deadline)
{
    offer((struct action){.number = SYSCALL_CHANNEL_REPLY_RECEIVE,
                          .argument = {R(END), token, V(message), R(PORT), deadline},
                          .takes = 1});
}

static void calls(uint64_t message, struct operand deadline, uint8_t sends)
{
    offer((struct action){.actor = CLIENT,
                          .number = SYSCALL_CHANNEL_CALL,
                          .argument = {R(END), V(message), deadline},
                          .sends = sends,
                          .sent = {EVENT}});
}

static void of_server(void)
{
    receives(NOW);
    receives(NEVER);
    receives(AFTER(1));
    replies_and_receives(TOKEN, MSG(1, 0), NOW);
    replies_and_receives(TOKEN, MSG(1, 0), NEVER);
    replies_and_receives(V(9), MSG(0, 0), NOW);
    replies_and_receives(TOKEN, MSG(0, 1), NOW);
    offer(CALLS(SERVER, CHANNEL_REPLY, R(END), TOKEN, V(MSG(2, 0))));
    offer(CALLS(SERVER, PORT_UNBIND, R(END)));
    offer(CALLS(SERVER, PORT_BIND, R(PORT), R(END), V(END), V(MASK)));
    offer(CALLS(SERVER, PORT_BIND, R(PORT), R(END), V(END), V(SIGNAL_PEER_CLOSED)));
    offer(
        (struct action){.number = SYSCALL_CHANNEL_RECEIVE, .argument = {R(END), NOW}, .takes = 1});
    offer(CALLS(SERVER, HANDLE_CLOSE, R(END)));
    offer(CALLS(SERVER, HANDLE_CLOSE, R(PORT)));
    offer(CALLS(SERVER, HANDLE_CLOSE, R(BROUGHT)));
    offer(CALLS(SERVER, THREAD_CANCEL, R(CLIENT_THREAD)));
    offer(CALLS(SERVER, OBJECT_DESTROY, R(CLIENT_THREAD)));
}

static void of_client(void)
{
    calls(MSG(3, 0), NEVER, 0);
    calls(MSG(4, 1), AFTER(1), 1);
    offer(CALLS(CLIENT, CHANNEL_SEND, R(END), V(MSG(0, 0))));
    offer((struct action){.actor = CLIENT,
                          .number = SYSCALL_CHANNEL_SEND,
                          .argument = {R(END), V(MSG(5, 1))},
                          .sends = 1,
                          .sent = {EVENT}});
    offer(CALLS(CLIENT, HANDLE_CLOSE, R(END)));
    offer(CALLS(CLIENT, OBJECT_DESTROY, R(EVENT)));
}

static void of_other(void)
{
    offer(CALLS(OTHER_CLIENT, CHANNEL_CALL, R(END), V(MSG(6, 0)), NEVER));
    offer(CALLS(OTHER_CLIENT, CHANNEL_CALL, R(END), V(MSG(7, 0)), AFTER(2)));
    offer(CALLS(OTHER_CLIENT, CHANNEL_SEND, R(END), V(MSG(0, 0))));
    offer(CALLS(OTHER_CLIENT, HANDLE_CLOSE, R(END)));
}

static void actions(void)
{
    of_server();
    of_client();
    if (whole)
        of_other();
    offer((struct action){.kind = ACTION_TIME, .argument = {V(1)}});
}

WORLD(service, .about = "an end bound to a port, calls answered in one entry",
      .bugs = {"I5", "I3", "O3"}, .setup = setup, .actions = actions);
