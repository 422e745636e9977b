// SPDX-License-Identifier: MIT
//
// Messages and calls: sending against receiving, replies against everything that ends a call, ends
// that close, ports that are told.
#include "harness.h"

static struct actor *client, *server, *third;
static struct ends ends;
static uint64_t end; // the client's

static void actors(unsigned cpus)
{
    begin_world(cpus);
    uint64_t account = new_account(400, 200);
    server = spawn_on(0, account, 10);
    client = spawn_on(1, account, 10);
    third = cpus > 2 ? spawn_on(2, account, 10) : nullptr;
    ends = new_channel(server, 2, 64, 1, 2);
    end = grant(client, server, ends.end1);
    MUST(server, HANDLE_CLOSE, ends.end1);
}

static void all_run(void)
{
    runs(server);
    runs(client);
    if (third)
        runs(third);
}

static void send_against_receive(void)
{
    actors(2);
    STEP(server, CHANNEL_RECEIVE, ends.end0, ABI_DEADLINE_NEVER);
    STEP(client, CHANNEL_SEND, end, MSG(8, 0));
    all_run();
}
static void received(void)
{
    EXPLORE_CHECK(status_of(client, 0) == STATUS_OK && status_of(server, 0) == STATUS_OK);
    EXPLORE_CHECK(value_of(server, 0, 0) == MSG(8, 0));
}
SCENARIO(send_against_receive, .canary = "machine: lost IPI", .setup = send_against_receive,
         .finish = received);

static void two_sends_against_receive(void)
{
    actors(3);
    uint64_t another = grant(third, client, end);
    STEP(server, CHANNEL_RECEIVE, ends.end0, ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, ends.end0, ABI_DEADLINE_NEVER);
    STEP(client, CHANNEL_SEND, end, MSG(8, 0));
    STEP(third, CHANNEL_SEND, another, MSG(16, 0));
    all_run();
}
static void both_received(void)
{
    EXPLORE_CHECK(value_of(server, 0, 0) + value_of(server, 1, 0) == MSG(8, 0) + MSG(16, 0));
    seen(value_of(server, 0, 0));
}
SCENARIO(two_sends_against_receive, .canary = "machine: lost IPI",
         .setup = two_sends_against_receive, .finish = both_received);

static void full_against_receive(void)
{
    actors(2);
    MUST(client, CHANNEL_SEND, end, MSG(1, 0));
    MUST(client, CHANNEL_SEND, end, MSG(2, 0));
    STEP(server, CHANNEL_RECEIVE, ends.end0, 0);
    STEP(client, CHANNEL_SEND, end, MSG(3, 0));
    all_run();
}
static void in_order(void)
{
    EXPLORE_CHECK(value_of(server, 0, 0) == MSG(1, 0));
    EXPLORE_CHECK(status_of(client, 0) == STATUS_OK || status_of(client, 0) == STATUS_FULL);
    seen(status_of(client, 0));
}
SCENARIO(full_against_receive, .canary = "I1", .setup = full_against_receive, .finish = in_order);

static void send_against_peer_close(void)
{
    actors(2);
    STEP(server, HANDLE_CLOSE, ends.end0);
    STEP(client, CHANNEL_SEND, end, MSG(8, 0));
    STEP(client, CHANNEL_RECEIVE, end, ABI_DEADLINE_NEVER);
    all_run();
}
static void closed(void)
{
    status_t sent = status_of(client, 0);
    EXPLORE_CHECK(sent == STATUS_OK || sent == STATUS_PEER_CLOSED);
    EXPLORE_CHECK(status_of(client, 1) == STATUS_PEER_CLOSED);
    seen(sent);
}
SCENARIO(send_against_peer_close, .canary = "I4", .setup = send_against_peer_close,
         .finish = closed);

static void receive_against_peer_close(void)
{
    actors(2);
    STEP(client, CHANNEL_RECEIVE, end, ABI_DEADLINE_NEVER);
    STEP(server, HANDLE_CLOSE, ends.end0);
    all_run();
}
static void heard(void)
{
    EXPLORE_CHECK(status_of(client, 0) == STATUS_PEER_CLOSED);
}
SCENARIO(receive_against_peer_close, .canary = "I4", .setup = receive_against_peer_close,
         .finish = heard);

static void call_against_receive(void)
{
    actors(2);
    STEP(client, CHANNEL_CALL, end, MSG(8, 0), ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, ends.end0, ABI_DEADLINE_NEVER);
    STEP(server, HANDLE_CLOSE, ends.end0); // instead of an answer
    all_run();
}
static void call_refused(void)
{
    EXPLORE_CHECK(status_of(client, 0) == STATUS_PEER_CLOSED);
    EXPLORE_CHECK(status_of(server, 0) == STATUS_OK && value_of(server, 0, 0) & MSG_CALL);
}
SCENARIO(call_against_receive, .canary = "machine: lost IPI", .setup = call_against_receive,
         .finish = call_refused);

static void call_against_close(void)
{
    actors(2);
    STEP(client, CHANNEL_CALL, end, MSG(8, 0), ABI_DEADLINE_NEVER);
    STEP(server, HANDLE_CLOSE, ends.end0);
    all_run();
}
static void call_ended(void)
{
    EXPLORE_CHECK(status_of(client, 0) == STATUS_PEER_CLOSED);
}
SCENARIO(call_against_close, .canary = "machine: lost IPI", .setup = call_against_close,
         .finish = call_ended);

static uint64_t token;

static void begin_call(unsigned cpus, uint64_t deadline)
{
    actors(cpus);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, end, MSG(8, 0), deadline);
    token = CALL(server, CHANNEL_RECEIVE, ends.end0, 0).value[1];
    runs(server);
    if (third)
        runs(third);
}

static void client_is_alone(void)
{
    runs(spawn_on(1, new_account(60, 40), 8));
}

static void reply_against_deadline(void)
{
    actors(2);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, end, MSG(8, 0), 1'000'000);
    token = CALL(server, CHANNEL_RECEIVE, ends.end0, 0).value[1];
    STEP(server, CHANNEL_REPLY, ends.end0, token, MSG(0, 0));
    runs(server);
    client_is_alone();
    plan_time(2'000'000);
}
static void replied_or_not(void)
{
    bool replied = status_of(server, 0) == STATUS_OK;
    EXPLORE_CHECK(replied || status_of(server, 0) == STATUS_CANCELLED);
    EXPLORE_CHECK(woken_with(client) == (replied ? STATUS_OK : STATUS_TIMED_OUT));
    seen(replied);
}
SCENARIO(reply_against_deadline, .canary = "two wakers", .setup = reply_against_deadline,
         .finish = replied_or_not);

static void reply_against_cancel(void)
{
    begin_call(3, ABI_DEADLINE_NEVER);
    uint64_t thread = grant(third, client, client->own_thread);
    STEP(server, CHANNEL_REPLY, ends.end0, token, MSG(0, 0));
    STEP(third, THREAD_CANCEL, thread);
    client_is_alone();
}
static void replied_or_cancelled(void)
{
    bool replied = status_of(server, 0) == STATUS_OK;
    EXPLORE_CHECK(replied || status_of(server, 0) == STATUS_CANCELLED);
    EXPLORE_CHECK(woken_with(client) == (replied ? STATUS_OK : STATUS_CANCELLED));
    seen(replied);
}
SCENARIO(reply_against_cancel, .canary = "two wakers", .setup = reply_against_cancel,
         .finish = replied_or_cancelled);

static void reply_against_reply(void)
{
    actors(3);
    uint64_t other_end = grant(third, server, ends.end0);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, end, MSG(8, 0), ABI_DEADLINE_NEVER);
    token = CALL(server, CHANNEL_RECEIVE, ends.end0, 0).value[1];
    STEP(server, CHANNEL_REPLY, ends.end0, token, MSG(0, 0));
    STEP(third, CHANNEL_REPLY, other_end, token, MSG(0, 0));
    runs(server);
    runs(third);
    client_is_alone();
}
static void replied_once(void)
{
    unsigned replies = (status_of(server, 0) == STATUS_OK) + (status_of(third, 0) == STATUS_OK);
    EXPLORE_CHECK(replies == 1 && woken_with(client) == STATUS_OK);
}
SCENARIO(reply_against_reply, .canary = "machine: lost IPI", .setup = reply_against_reply,
         .finish = replied_once);

static void withdraw_against_receive(void)
{
    actors(3);
    uint64_t thread = grant(third, client, client->own_thread);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, end, MSG(8, 0), ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, ends.end0, 0);
    STEP(third, THREAD_CANCEL, thread);
    runs(server);
    runs(third);
    client_is_alone();
}
static void taken_or_withdrawn(void)
{
    status_t status = status_of(server, 0);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_TIMED_OUT);
    EXPLORE_CHECK(status_of(third, 0) == STATUS_OK && woken_with(client) == STATUS_CANCELLED);
    seen(status);
}
SCENARIO(withdraw_against_receive, .canary = "I3", .setup = withdraw_against_receive,
         .finish = taken_or_withdrawn);

// ---- ports

static uint64_t port;

static void port_against_send(void)
{
    actors(2);
    port = MUST(server, PORT_CREATE, server->account);
    MUST(server, PORT_BIND, port, ends.end0, 7, SIGNAL_READABLE);
    STEP(server, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    STEP(client, CHANNEL_SEND, end, MSG(8, 0));
    all_run();
}
static void told(void)
{
    EXPLORE_CHECK(status_of(server, 0) == STATUS_OK && value_of(server, 0, 0) == 7);
    EXPLORE_CHECK(value_of(server, 0, 2) == MSG(8, 0));
}
SCENARIO(port_against_send, .canary = "machine: lost IPI", .setup = port_against_send,
         .finish = told);

static void bind_against_signal(void)
{
    actors(2);
    port = MUST(server, PORT_CREATE, server->account);
    uint64_t event = MUST(server, EVENT_CREATE, server->account);
    uint64_t theirs = grant(client, server, event);
    STEP(server, PORT_BIND, port, event, 7, 1);
    STEP(server, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    STEP(client, EVENT_SIGNAL, theirs, 1);
    all_run();
}
static void the_signal_is_told(void)
{
    EXPLORE_CHECK(status_of(server, 0) == STATUS_OK);
    EXPLORE_CHECK(value_of(server, 1, 0) == 7 && value_of(server, 1, 1) == 1);
}
SCENARIO(bind_against_signal, .canary = "machine: lost IPI", .setup = bind_against_signal,
         .finish = the_signal_is_told);

static void port_against_destroy(void)
{
    actors(2);
    port = MUST(server, PORT_CREATE, server->account);
    uint64_t event = MUST(server, EVENT_CREATE, server->account);
    uint64_t theirs = grant(client, server, event);
    MUST(server, PORT_BIND, port, event, 7, 1);
    STEP(server, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    STEP(client, OBJECT_DESTROY, theirs);
    all_run();
}
static void gone_is_told(void)
{
    EXPLORE_CHECK(status_of(client, 0) == STATUS_OK);
    EXPLORE_CHECK(value_of(server, 0, 0) == 7 && value_of(server, 0, 1) == SIGNAL_GONE);
}
SCENARIO(port_against_destroy, .canary = "machine: lost IPI", .setup = port_against_destroy,
         .finish = gone_is_told);

static void port_destroyed_against_signal(void)
{
    actors(2);
    port = MUST(server, PORT_CREATE, server->account);
    uint64_t event = MUST(server, EVENT_CREATE, server->account);
    uint64_t theirs = grant(client, server, event);
    MUST(server, PORT_BIND, port, event, 7, 1);
    STEP(server, OBJECT_DESTROY, port);
    STEP(client, EVENT_SIGNAL, theirs, 1);
    STEP(client, OBJECT_DESTROY, theirs);
    all_run();
}
static void both_are_gone(void)
{
    EXPLORE_CHECK(status_of(server, 0) == STATUS_OK && status_of(client, 1) == STATUS_OK);
}
SCENARIO(port_destroyed_against_signal, .canary = "O2", .setup = port_destroyed_against_signal,
         .finish = both_are_gone);
