// SPDX-License-Identifier: MIT
//
// Calls, three at a time: a call or its reply against two of the things that end it; sending
// against closing and receiving; a queue that is full, a server that takes the next with its reply.
#include "harness.h"

static struct actor *client, *server, *third;
static struct ends ends;
static uint64_t end, its_thread, token;

// The third is a thread of the server's process, on a CPU of its own.
static void actors(void)
{
    begin_world(3);
    uint64_t account = new_account(400, 200);
    server = spawn_on(0, account, 10);
    client = spawn_on(1, account, 10);
    third = spawn_thread_on(2, server, 10);
    ends = new_channel(server, 2, 64, 1, 2);
    end = grant(client, server, ends.end1);
    MUST(server, HANDLE_CLOSE, ends.end1);
    its_thread = grant(server, client, client->own_thread);
}

static void begin_call(uint64_t deadline)
{
    actors();
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, end, MSG(8, 0), deadline);
}

static void taken_call(uint64_t deadline)
{
    begin_call(deadline);
    token = CALL(server, CHANNEL_RECEIVE, ends.end0, 0).value[1];
}

static void servers_run(void)
{
    runs(server);
    runs(third);
}

static void client_is_alone(void)
{
    runs(spawn_on(1, new_account(60, 40), 8));
}

// ---- a call that begins

static void call_receive_close(void)
{
    actors();
    STEP(client, CHANNEL_CALL, end, MSG(8, 0), ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, ends.end0, ABI_DEADLINE_NEVER);
    STEP(third, HANDLE_CLOSE, ends.end0);
    servers_run();
    runs(client);
}
static void call_ends(void)
{
    EXPLORE_CHECK(status_of(client, 0) == STATUS_PEER_CLOSED);
    seen(status_of(server, 0));
}
// IPC-41
SCENARIO(call_receive_close, .canary = "machine: lost IPI", .setup = call_receive_close,
         .finish = call_ends, .finer = "GONE instead of BAD_HANDLE");

static void call_cancel_receive(void)
{
    actors();
    STEP(client, CHANNEL_CALL, end, MSG(8, 0), ABI_DEADLINE_NEVER);
    STEP(client, CHANNEL_RECEIVE, end, 0);
    STEP(server, CHANNEL_RECEIVE, ends.end0, 0);
    STEP(third, THREAD_CANCEL, its_thread);
    STEP(third, HANDLE_CLOSE, ends.end0); // if the cancel came too early
    servers_run();
    runs(client);
}
static void cancelled_or_refused(void)
{
    status_t status = status_of(client, 0);
    EXPLORE_CHECK(status == STATUS_PEER_CLOSED ||
                  (status == STATUS_CANCELLED && status_of(third, 0) == STATUS_OK));
}
// IPC-39
SCENARIO(call_cancel_receive, .canary = "two wakers", .setup = call_cancel_receive,
         .finish = cancelled_or_refused, .finer = "GONE instead of BAD_HANDLE");

// ---- a call in the queue

static void receive_cancel_close(void)
{
    begin_call(ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, ends.end0, 0);
    STEP(server, HANDLE_CLOSE, ends.end0);
    STEP(third, THREAD_CANCEL, its_thread);
    servers_run();
    client_is_alone();
}
static void it_ends_once(void)
{
    status_t status = woken_with(client);
    EXPLORE_CHECK(status == STATUS_PEER_CLOSED ||
                  (status == STATUS_CANCELLED && status_of(third, 0) == STATUS_OK));
}
// IPC-10
SCENARIO(receive_cancel_close, .canary = "two wakers", .setup = receive_cancel_close,
         .finish = it_ends_once);

static void receive_against_deadline(void)
{
    begin_call(1'000'000);
    STEP(server, CHANNEL_RECEIVE, ends.end0, 0);
    servers_run();
    client_is_alone();
    plan_time(2'000'000);
}
static void taken_or_late(void)
{
    EXPLORE_CHECK(woken_with(client) == STATUS_TIMED_OUT);
    seen(status_of(server, 0));
}
// IPC-1, IPC-16
SCENARIO(receive_against_deadline, .canary = "I3", .setup = receive_against_deadline,
         .finish = taken_or_late);

// ---- a call in service

static void reply_cancel_close(void)
{
    taken_call(ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_REPLY, ends.end0, token, MSG(0, 0));
    STEP(third, THREAD_CANCEL, its_thread);
    STEP(third, HANDLE_CLOSE, ends.end0);
    servers_run();
    client_is_alone();
}
static void replied_cancelled_or_closed(void)
{
    bool replied = status_of(server, 0) == STATUS_OK;
    EXPLORE_CHECK((woken_with(client) == STATUS_OK) == replied);
    seen(woken_with(client));
}
// IPC-40, IPC-41
SCENARIO(reply_cancel_close, .canary = "two wakers", .setup = reply_cancel_close,
         .finish = replied_cancelled_or_closed, .finer = "GONE instead of BAD_HANDLE");

static void reply_against_close(void)
{
    taken_call(ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_REPLY, ends.end0, token, MSG(0, 0));
    STEP(third, HANDLE_CLOSE, ends.end0);
    servers_run();
    client_is_alone();
}
// IPC-41
SCENARIO(reply_against_close, .canary = "machine: lost IPI", .setup = reply_against_close,
         .finish = replied_cancelled_or_closed, .finer = "GONE instead of BAD_HANDLE");

static void reply_reply_cancel(void)
{
    taken_call(ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_REPLY, ends.end0, token, MSG(0, 0));
    STEP(third, CHANNEL_REPLY, ends.end0, token, MSG(8, 0));
    STEP(third, THREAD_CANCEL, its_thread);
    servers_run();
    client_is_alone();
}
static void replied_once_at_most(void)
{
    unsigned replies = (status_of(server, 0) == STATUS_OK) + (status_of(third, 0) == STATUS_OK);
    EXPLORE_CHECK(replies == (woken_with(client) == STATUS_OK));
}
// IPC-35
SCENARIO(reply_reply_cancel, .canary = "two wakers", .setup = reply_reply_cancel,
         .finish = replied_once_at_most);

static void reply_against_kill(void)
{
    taken_call(ABI_DEADLINE_NEVER);
    uint64_t its = grant(third, client, client->own_thread);
    STEP(server, CHANNEL_REPLY, ends.end0, token, MSG(0, 0));
    STEP(third, OBJECT_DESTROY, its);
    servers_run();
    client_is_alone();
}
static void the_client_is_dead(void)
{
    EXPLORE_CHECK(is_dead(client));
    seen(status_of(server, 0));
}
// IPC-40
SCENARIO(reply_against_kill, .canary = "machine: lost IPI", .setup = reply_against_kill,
         .finish = the_client_is_dead);

static void cancel_against_own_close(void)
{
    taken_call(ABI_DEADLINE_NEVER);
    STEP(server, HANDLE_CLOSE, ends.end0);
    STEP(server, THREAD_YIELD);
    STEP(server, EVENT_CREATE, server->account); // in the slot of the end, maybe
    STEP(third, THREAD_CANCEL, its_thread);
    servers_run();
    client_is_alone();
}
static void cancelled_or_closed(void)
{
    status_t status = woken_with(client);
    EXPLORE_CHECK(status == STATUS_PEER_CLOSED ||
                  (status == STATUS_CANCELLED && status_of(third, 0) == STATUS_OK));
}
// IPC-41
SCENARIO(cancel_against_own_close, .canary = "two wakers", .setup = cancel_against_own_close,
         .finish = cancelled_or_closed);

// ---- the caller's end closes while it calls, by another thread of its process

static void close_of_callers_end(void)
{
    begin_world(3);
    uint64_t account = new_account(400, 200);
    server = spawn_on(0, account, 10);
    client = spawn_on(1, account, 10);
    third = spawn_thread_on(2, client, 10);
    ends = new_channel(server, 2, 64, 1, 2);
    end = grant(client, server, ends.end1);
    MUST(server, HANDLE_CLOSE, ends.end1);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, end, MSG(8, 0), ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, ends.end0, 0);
    STEP(third, HANDLE_CLOSE, end);
    STEP(third, THREAD_YIELD);
    STEP(third, EVENT_CREATE, third->account);
    servers_run();
    client_is_alone();
}
static void the_caller_hears_gone(void)
{
    EXPLORE_CHECK(woken_with(client) == STATUS_GONE);
    seen(status_of(server, 0));
}
// IPC-41
SCENARIO(close_of_callers_end, .canary = "I2 receive", .setup = close_of_callers_end,
         .finish = the_caller_hears_gone);

// ---- queues

static void send_close_receive(void)
{
    actors();
    MUST(client, CHANNEL_SEND, end, MSG(1, 0));
    STEP(client, CHANNEL_SEND, end, MSG(2, 0));
    STEP(client, HANDLE_CLOSE, end);
    STEP(server, CHANNEL_RECEIVE, ends.end0, ABI_DEADLINE_NEVER);
    STEP(third, CHANNEL_RECEIVE, ends.end0, ABI_DEADLINE_NEVER);
    servers_run();
    runs(client);
}
// What was sent before the close is received after it.
static void all_received(void)
{
    EXPLORE_CHECK(status_of(server, 0) == STATUS_OK && status_of(third, 0) == STATUS_OK);
    EXPLORE_CHECK(value_of(server, 0, 0) + value_of(third, 0, 0) == MSG(1, 0) + MSG(2, 0));
}
// IPC-8
SCENARIO(send_close_receive, .canary = "I2 receive", .setup = send_close_receive,
         .finish = all_received);

static void two_sends_into_one_place(void)
{
    actors();
    uint64_t another = grant(third, client, end);
    MUST(client, CHANNEL_SEND, end, MSG(1, 0));
    STEP(client, CHANNEL_SEND, end, MSG(2, 0));
    STEP(third, CHANNEL_SEND, another, MSG(3, 0));
    STEP(server, CHANNEL_RECEIVE, ends.end0, 0);
    STEP(server, CHANNEL_RECEIVE, ends.end0, 0);
    servers_run();
    runs(client);
}
static void no_more_than_fit(void)
{
    EXPLORE_CHECK(value_of(server, 0, 0) == MSG(1, 0));
    EXPLORE_CHECK(status_of(client, 0) == STATUS_OK || status_of(third, 0) == STATUS_OK);
}
// IPC-18
SCENARIO(two_sends_into_one_place, .canary = "I1", .setup = two_sends_into_one_place,
         .finish = no_more_than_fit);

static void reply_and_receive(void)
{
    actors();
    uint64_t port = MUST(server, PORT_CREATE, server->account);
    MUST(server, PORT_BIND, port, ends.end0, 7, SIGNAL_READABLE);
    uint64_t another = grant(third, client, end);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, end, MSG(8, 0), ABI_DEADLINE_NEVER);
    token = CALL(server, CHANNEL_RECEIVE, ends.end0, 0).value[1];
    STEP(server, CHANNEL_REPLY_RECEIVE, ends.end0, token, MSG(0, 0), port, ABI_DEADLINE_NEVER);
    STEP(third, CHANNEL_SEND, another, MSG(4, 0));
    servers_run();
    client_is_alone();
}
static void replied_and_received(void)
{
    EXPLORE_CHECK(woken_with(client) == STATUS_OK);
    EXPLORE_CHECK(value_of(server, 0, 0) == 7 && value_of(server, 0, 2) == MSG(4, 0));
}
// IPC-51
SCENARIO(reply_and_receive, .canary = "machine: lost IPI", .setup = reply_and_receive,
         .finish = replied_and_received);
