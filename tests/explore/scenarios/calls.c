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
// IPC-13
SCENARIO(two_sends_against_receive, .canary = "machine: lost IPI",
         .setup = two_sends_against_receive, .finish = both_received);

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
// IPC-7, IPC-9
SCENARIO(send_against_peer_close, .canary = "I4", .setup = send_against_peer_close,
         .finish = closed);

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
// IPC-40
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
// IPC-2, IPC-40
SCENARIO(reply_against_cancel, .canary = "two wakers", .setup = reply_against_cancel,
         .finish = replied_or_cancelled);

// ---- ports

static uint64_t port;

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
// IPC-50
SCENARIO(port_destroyed_against_signal, .canary = "O2", .setup = port_destroyed_against_signal,
         .finish = both_are_gone);
