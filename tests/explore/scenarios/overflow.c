// SPDX-License-Identifier: MIT
//
// Full queues: a sender that waits for room against everything that gives it room or ends its wait;
// a call that waits for a place in the table of calls; the oldest message that goes while it is
// received.
#include "channel.h"
#include "harness.h"

static struct actor *server, *client, *third;
static uint64_t server_end, end, event, shared, its_thread; // shared: the event, the server's

// A channel of depth 1 with one call. The third is a thread of the server's process, on a CPU of its
// own or below the client.
static void actors(unsigned cpus, enum abi_overflow overflow)
{
    begin_world(cpus);
    uint64_t account = new_account(400, 200);
    server = spawn_on(0, account, 10);
    client = spawn_on(1, account, 10);
    third = cpus > 2 ? spawn_thread_on(2, server, 10) : spawn_thread_on(1, server, 8);
    unsigned more = overflow == OVERFLOW_BLOCK;
    struct outcome out = CALL(server, CHANNEL_CREATE, server->account, server->account,
                              ABI_CHANNEL_SHAPE(1, 64, more, more), overflow);
    EXPECT_STATUS(out.status, OK);
    server_end = out.value[0];
    end = grant(client, server, out.value[1]);
    MUST(server, HANDLE_CLOSE, out.value[1]);
    its_thread = grant(server, client, client->own_thread);
    event = MUST(client, EVENT_CREATE, client->account);
    shared = grant(server, client, event);
    set_handles(client, 1, &event);
}

// The client waits already.
static void others_run(void)
{
    runs(server);
    runs(third);
    if (third->cpu != 1)
        runs(spawn_on(1, new_account(60, 40), 8));
}

static void all_run(void)
{
    runs(server);
    runs(client);
    if (third->cpu != 1)
        runs(third);
}

// ---- a sender that waits

// Behind MSG(1, 0), with a handle.
static void waiting_sender(unsigned cpus, uint64_t deadline)
{
    actors(cpus, OVERFLOW_BLOCK);
    MUST(client, CHANNEL_SEND, end, MSG(1, 0), 0);
    EXPECT_CALL(BLOCKED, client, CHANNEL_SEND, end, MSG(2, 1), deadline);
}

static void sender_receive_cancel(void)
{
    waiting_sender(3, ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(third, THREAD_CANCEL, its_thread);
    others_run();
}
// It is received, with its handle, or it never was there.
static void sent_or_not(void)
{
    bool sent = woken_with(client) == STATUS_OK;
    EXPLORE_CHECK(value_of(server, 0, 0) == MSG(1, 0));
    EXPLORE_CHECK(status_of(server, 1) == (sent ? STATUS_OK : STATUS_TIMED_OUT));
    EXPLORE_CHECK((object_behind(client, event) != nullptr) != sent);
    seen(woken_with(client));
}
// IPC-2, IPC-22
SCENARIO(sender_receive_cancel, .canary = "I3 admit", .setup = sender_receive_cancel,
         .finish = sent_or_not);

static void sender_receive_deadline(void)
{
    waiting_sender(2, 1'000'000);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    others_run();
    plan_time(2'000'000);
}
// IPC-1, IPC-22
SCENARIO(sender_receive_deadline, .canary = "I3 admit", .setup = sender_receive_deadline,
         .finish = sent_or_not, .budget = 4'500);

static void sender_receive_kill(void)
{
    waiting_sender(2, ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(third, OBJECT_DESTROY, its_thread);
    others_run();
}
static void it_is_dead(void)
{
    EXPLORE_CHECK(is_dead(client) && status_of(server, 0) == STATUS_OK);
}
// IPC-22
SCENARIO(sender_receive_kill, .canary = "I3", .setup = sender_receive_kill, .finish = it_is_dead);

static void sender_receive_close(void)
{
    waiting_sender(3, ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(third, OBJECT_DESTROY, server_end);
    others_run();
}
static void sent_or_closed(void)
{
    bool sent = woken_with(client) == STATUS_OK;
    EXPLORE_CHECK(sent ? status_of(server, 0) == STATUS_OK
                       : woken_with(client) == STATUS_PEER_CLOSED);
    EXPLORE_CHECK((object_behind(client, event) != nullptr) != sent);
    seen(sent);
}
// IPC-23
SCENARIO(sender_receive_close, .canary = "I4 sender", .setup = sender_receive_close,
         .finish = sent_or_closed);

static void sender_cancel_close(void)
{
    waiting_sender(3, ABI_DEADLINE_NEVER);
    STEP(server, OBJECT_DESTROY, server_end);
    STEP(third, THREAD_CANCEL, its_thread);
    others_run();
}
static void cancelled_or_closed(void)
{
    status_t status = woken_with(client);
    EXPLORE_CHECK(status == STATUS_PEER_CLOSED ||
                  (status == STATUS_CANCELLED && status_of(third, 0) == STATUS_OK));
    EXPLORE_CHECK(object_behind(client, event));
    seen(status);
}
// IPC-23
SCENARIO(sender_cancel_close, .canary = "two wakers", .setup = sender_cancel_close,
         .finish = cancelled_or_closed);

// The end that it sends through.
static void sender_receive_close_own(void)
{
    waiting_sender(3, ABI_DEADLINE_NEVER);
    uint64_t theirs = grant(server, client, end);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(server, CHANNEL_RECEIVE, server_end, ABI_DEADLINE_NEVER);
    STEP(third, OBJECT_DESTROY, theirs);
    others_run();
}
static void sent_or_gone(void)
{
    bool sent = woken_with(client) == STATUS_OK;
    EXPLORE_CHECK(sent || woken_with(client) == STATUS_GONE);
    EXPLORE_CHECK(status_of(server, 1) == (sent ? STATUS_OK : STATUS_PEER_CLOSED));
    EXPLORE_CHECK((object_behind(client, event) != nullptr) != sent);
    seen(sent);
}
// IPC-23
SCENARIO(sender_receive_close_own, .canary = "I4 sender", .setup = sender_receive_close_own,
         .finish = sent_or_gone);

static void sender_close_close(void)
{
    waiting_sender(2, ABI_DEADLINE_NEVER);
    uint64_t theirs = grant(server, client, end);
    STEP(server, OBJECT_DESTROY, server_end);
    STEP(third, OBJECT_DESTROY, theirs);
    others_run();
}
static void it_hears_of_an_end(void)
{
    EXPLORE_CHECK(woken_with(client) == STATUS_PEER_CLOSED || woken_with(client) == STATUS_GONE);
    EXPLORE_CHECK(object_behind(client, event));
}
SCENARIO(sender_close_close, .canary = "I4 sender", .setup = sender_close_close,
         .finish = it_hears_of_an_end);

static void sender_receive_destroy(void)
{
    waiting_sender(3, ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(third, OBJECT_DESTROY, shared);
    others_run();
}
static void it_arrives(void)
{
    EXPLORE_CHECK(woken_with(client) == STATUS_OK && status_of(third, 0) == STATUS_OK);
    EXPLORE_CHECK(value_of(server, 1, 0) == MSG(2, 1));
}
// IPC-33
SCENARIO(sender_receive_destroy, .canary = "O2", .setup = sender_receive_destroy,
         .finish = it_arrives);

// ---- a sender that begins to wait

static void send_receive_close(void)
{
    actors(3, OVERFLOW_BLOCK);
    MUST(client, CHANNEL_SEND, end, MSG(1, 0), 0);
    STEP(client, CHANNEL_SEND, end, MSG(2, 1), ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(third, OBJECT_DESTROY, server_end);
    all_run();
}
static void begun_and_ended(void)
{
    status_t status = status_of(client, 0);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_PEER_CLOSED);
    EXPLORE_CHECK((object_behind(client, event) != nullptr) != (status == STATUS_OK));
}
SCENARIO(send_that_waits_receive_close, .canary = "I4 sender", .setup = send_receive_close,
         .finish = begun_and_ended);

static void send_against_close_own(void)
{
    actors(3, OVERFLOW_BLOCK);
    MUST(client, CHANNEL_SEND, end, MSG(1, 0), 0);
    uint64_t theirs = grant(server, client, end);
    STEP(client, CHANNEL_SEND, end, MSG(2, 1), ABI_DEADLINE_NEVER);
    STEP(third, OBJECT_DESTROY, theirs);
    all_run();
}
static void gone(void)
{
    EXPLORE_CHECK(status_of(client, 0) == STATUS_GONE);
    EXPLORE_CHECK(object_behind(client, event));
}
// IPC-23
SCENARIO(send_that_waits_against_close_own, .canary = "I4 late", .setup = send_against_close_own,
         .finish = gone);

static void two_senders_two_receives(void)
{
    actors(3, OVERFLOW_BLOCK);
    third = spawn_thread_on(2, client, 10);
    MUST(client, CHANNEL_SEND, end, MSG(1, 0), 0);
    STEP(client, CHANNEL_SEND, end, MSG(2, 0), ABI_DEADLINE_NEVER);
    STEP(third, CHANNEL_SEND, end, MSG(4, 0), ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, server_end, ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, server_end, ABI_DEADLINE_NEVER);
    all_run();
}
static void both_are_sent(void)
{
    EXPLORE_CHECK(status_of(client, 0) == STATUS_OK && status_of(third, 0) == STATUS_OK);
    EXPLORE_CHECK(value_of(server, 0, 0) == MSG(1, 0));
    seen(value_of(server, 1, 0));
}
// IPC-19
SCENARIO(two_senders_two_receives, .canary = "S2 room", .setup = two_senders_two_receives,
         .finish = both_are_sent);

static void two_waiting_senders_two_receivers(void)
{
    waiting_sender(2, ABI_DEADLINE_NEVER);
    struct actor *second = spawn_thread_on(1, client, 10);
    EXPECT_CALL(BLOCKED, second, CHANNEL_SEND, end, MSG(4, 0), ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(third, CHANNEL_RECEIVE, server_end, 0);
    others_run();
}
static void in_their_order(void)
{
    EXPLORE_CHECK(value_of(server, 0, 0) + value_of(third, 0, 0) == MSG(1, 0) + MSG(2, 1));
    EXPLORE_CHECK(woken_with(client) == STATUS_OK);
}
SCENARIO(two_waiting_senders_two_receivers, .canary = "S2 room",
         .setup = two_waiting_senders_two_receivers, .finish = in_their_order);

// ---- calls

// One that waits behind MSG(1, 0).
static void call_receive_cancel(void)
{
    actors(2, OVERFLOW_BLOCK);
    MUST(client, CHANNEL_SEND, end, MSG(1, 0), 0);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, end, MSG(2, 1), ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(third, THREAD_CANCEL, its_thread);
    others_run();
}
static void taken_or_its_own_again(void)
{
    bool taken = status_of(server, 1) == STATUS_OK;
    EXPLORE_CHECK(woken_with(client) == STATUS_CANCELLED);
    EXPLORE_CHECK((object_behind(client, event) != nullptr) != taken);
    seen(taken);
}
// IPC-24
SCENARIO(waiting_call_receive_cancel, .canary = "I3", .setup = call_receive_cancel,
         .finish = taken_or_its_own_again);

static void call_receive_kill(void)
{
    actors(2, OVERFLOW_BLOCK);
    MUST(client, CHANNEL_SEND, end, MSG(1, 0), 0);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, end, MSG_WITH_REPLY_HANDLES(MSG(2, 1), 1),
                ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(third, OBJECT_DESTROY, its_thread);
    others_run();
}
SCENARIO(waiting_call_receive_kill, .canary = "I3", .setup = call_receive_kill,
         .finish = it_is_dead);

// One whose call was taken has the only place in the table; the client's call waits for that.
static uint64_t token;
static struct actor *first;

static void call_without_a_place(unsigned cpus)
{
    actors(cpus, OVERFLOW_BLOCK);
    first = spawn_thread_on(1, client, 10);
    EXPECT_CALL(BLOCKED, first, CHANNEL_CALL, end, MSG(1, 0), ABI_DEADLINE_NEVER);
    token = CALL(server, CHANNEL_RECEIVE, server_end, 0).value[1];
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, end, MSG(2, 1), ABI_DEADLINE_NEVER);
}

static void call_reply_receive(void)
{
    call_without_a_place(3);
    STEP(server, CHANNEL_REPLY, server_end, token, MSG(0, 0));
    STEP(third, CHANNEL_RECEIVE, server_end, ABI_DEADLINE_NEVER);
    others_run();
}
static void it_has_the_place(void)
{
    EXPLORE_CHECK(woken_with(first) == STATUS_OK);
    EXPLORE_CHECK(value_of(third, 0, 0) == (MSG(2, 1) | MSG_CALL));
    EXPLORE_CHECK(!has_woken(client));
}
// IPC-24
SCENARIO(waiting_call_reply_receive, .canary = "S2 slot", .setup = call_reply_receive,
         .finish = it_has_the_place);

static void call_reply_cancel(void)
{
    call_without_a_place(2);
    STEP(server, CHANNEL_REPLY, server_end, token, MSG(0, 0));
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(third, THREAD_CANCEL, its_thread);
    others_run();
}
static void place_or_cancelled(void)
{
    bool taken = status_of(server, 1) == STATUS_OK;
    EXPLORE_CHECK(woken_with(first) == STATUS_OK && woken_with(client) == STATUS_CANCELLED);
    EXPLORE_CHECK((object_behind(client, event) != nullptr) != taken);
    seen(taken);
}
// IPC-24
SCENARIO(waiting_call_reply_cancel, .canary = "I3", .setup = call_reply_cancel,
         .finish = place_or_cancelled);

static void call_reply_close(void)
{
    call_without_a_place(2);
    STEP(server, CHANNEL_REPLY, server_end, token, MSG(0, 0));
    STEP(third, OBJECT_DESTROY, server_end);
    others_run();
}
static void refused(void)
{
    bool replied = status_of(server, 0) == STATUS_OK;
    EXPLORE_CHECK(woken_with(first) == (replied ? STATUS_OK : STATUS_PEER_CLOSED));
    EXPLORE_CHECK(woken_with(client) == STATUS_PEER_CLOSED);
    EXPLORE_CHECK(object_behind(client, event));
    seen(replied);
}
// IPC-23, IPC-24
SCENARIO(waiting_call_reply_close, .canary = "I4 sender", .setup = call_reply_close,
         .finish = refused);

// ---- a call that leaves the queue

static void call_deadline_sender(void)
{
    actors(2, OVERFLOW_BLOCK);
    first = spawn_thread_on(1, client, 10);
    EXPECT_CALL(BLOCKED, first, CHANNEL_CALL, end, MSG(1, 0), 1'000'000);
    EXPECT_CALL(BLOCKED, client, CHANNEL_SEND, end, MSG(2, 1), ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    others_run();
    plan_time(2'000'000);
}
static void its_place_is_taken(void)
{
    EXPLORE_CHECK(woken_with(first) == STATUS_TIMED_OUT && woken_with(client) == STATUS_OK);
    uint64_t message = value_of(server, 0, 0);
    EXPLORE_CHECK(message == (MSG(1, 0) | MSG_CALL) || message == MSG(2, 1));
}
// IPC-19, IPC-39
SCENARIO(call_deadline_sender, .canary = "S2 left", .setup = call_deadline_sender,
         .finish = its_place_is_taken);

static void call_cancel_call(void)
{
    actors(2, OVERFLOW_BLOCK);
    first = spawn_thread_on(1, client, 10);
    uint64_t first_thread = grant(server, first, first->own_thread);
    EXPECT_CALL(BLOCKED, first, CHANNEL_CALL, end, MSG(1, 0), ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, end, MSG(2, 1), ABI_DEADLINE_NEVER);
    STEP(server, CHANNEL_RECEIVE, server_end, ABI_DEADLINE_NEVER);
    STEP(third, THREAD_CANCEL, first_thread);
    others_run();
}
static void one_of_them_is_taken(void)
{
    EXPLORE_CHECK(woken_with(first) == STATUS_CANCELLED && !has_woken(client));
    seen(value_of(server, 0, 0));
}
SCENARIO(call_cancel_waiting_call, .canary = "S2 left", .setup = call_cancel_call,
         .finish = one_of_them_is_taken);

// ---- the oldest goes

static void drop_against_receive(void)
{
    actors(2, OVERFLOW_DROP_OLDEST);
    MUST(client, CHANNEL_SEND, end, MSG(1, 0), 0);
    STEP(client, CHANNEL_SEND, end, MSG(2, 0), 0);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    all_run();
}
static void received_or_counted(void)
{
    EXPLORE_CHECK(status_of(client, 0) == STATUS_OK);
    bool both = value_of(server, 0, 0) == MSG(1, 0);
    if (!both)
        EXPLORE_CHECK(value_of(server, 0, 0) == (MSG(2, 0) | 1ull << MSG_LOST_SHIFT));
    else if (status_of(server, 1) == STATUS_OK)
        EXPLORE_CHECK(value_of(server, 1, 0) == MSG(2, 0));
}
// IPC-25
SCENARIO(drop_against_receive, .canary = "I2 lost", .setup = drop_against_receive,
         .finish = received_or_counted);

static void two_drops_against_receive(void)
{
    actors(3, OVERFLOW_DROP_OLDEST);
    third = spawn_thread_on(2, client, 10);
    MUST(client, CHANNEL_SEND, end, MSG(1, 0), 0);
    STEP(client, CHANNEL_SEND, end, MSG(2, 0), 0);
    STEP(third, CHANNEL_SEND, end, MSG(4, 0), 0);
    STEP(server, CHANNEL_RECEIVE, server_end, 0);
    all_run();
}
static void all_are_accounted_for(void)
{
    EXPLORE_CHECK(status_of(client, 0) == STATUS_OK && status_of(third, 0) == STATUS_OK);
    uint32_t lost = MSG_LOST(value_of(server, 0, 0)), bytes = MSG_BYTES(value_of(server, 0, 0));
    const struct channel *channel = channel_of(object_behind(server, server_end));
    EXPLORE_CHECK(lost + channel->lost + channel->queued == 2);
    EXPLORE_CHECK((lost == 0) == (bytes == 1));
    seen(bytes);
}
// IPC-25
SCENARIO(two_drops_against_receive, .canary = "I2 lost", .setup = two_drops_against_receive,
         .finish = all_are_accounted_for);
