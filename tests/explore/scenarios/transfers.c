// SPDX-License-Identifier: MIT
//
// Handles in flight: in messages, calls and replies, while either end closes, the sender or the
// receiver dies, the object ends; channels that are on their way in channels.
#include "harness.h"

static struct actor *sender, *receiver, *third;
static struct ends ends;
static uint64_t end, event;

static void actors(unsigned cpus)
{
    begin_world(cpus);
    uint64_t account = new_account(400, 200);
    receiver = spawn_on(0, account, 10);
    sender = spawn_on(1, account, 10);
    third = cpus > 2 ? spawn_thread_on(2, receiver, 10) : nullptr;
    ends = new_channel(receiver, 2, 64, 1, 2);
    end = grant(sender, receiver, ends.end1);
    MUST(receiver, HANDLE_CLOSE, ends.end1);
    event = MUST(sender, EVENT_CREATE, sender->account);
    set_handles(sender, 1, &event);
}

static void all_run(void)
{
    runs(receiver);
    runs(sender);
    if (third)
        runs(third);
}

static void handle_sent_against_receiver_close(void)
{
    actors(2);
    STEP(sender, CHANNEL_SEND, end, MSG(0, 1));
    STEP(sender, EVENT_SIGNAL, event, 1);
    STEP(receiver, HANDLE_CLOSE, ends.end0);
    all_run();
}
// Refused, it is the sender's still; sent, it went with the queue.
static void sent_or_kept(void)
{
    bool sent = status_of(sender, 0) == STATUS_OK;
    EXPLORE_CHECK(sent || status_of(sender, 0) == STATUS_PEER_CLOSED);
    EXPLORE_CHECK(status_of(sender, 1) == (sent ? STATUS_BAD_HANDLE : STATUS_OK));
}
// IPC-12, IPC-27
SCENARIO(handle_sent_against_receiver_close, .canary = "O3",
         .setup = handle_sent_against_receiver_close, .finish = sent_or_kept);

static void handle_received_against_close(void)
{
    actors(3);
    MUST(sender, CHANNEL_SEND, end, MSG(0, 1));
    STEP(receiver, CHANNEL_RECEIVE, ends.end0, 0);
    STEP(third, HANDLE_CLOSE, ends.end0);
    all_run();
}
// IPC-31
SCENARIO(handle_received_against_close, .canary = "O3 close",
         .setup = handle_received_against_close, .finer = "GONE instead of BAD_HANDLE");

static void two_receivers_of_a_handle(void)
{
    actors(3);
    MUST(sender, CHANNEL_SEND, end, MSG(0, 1));
    STEP(receiver, CHANNEL_RECEIVE, ends.end0, 0);
    STEP(third, CHANNEL_RECEIVE, ends.end0, 0);
    all_run();
}
static void received_once(void)
{
    unsigned got = (status_of(receiver, 0) == STATUS_OK) + (status_of(third, 0) == STATUS_OK);
    EXPLORE_CHECK(got == 1);
}
SCENARIO(two_receivers_of_a_handle, .canary = "I2 receive", .setup = two_receivers_of_a_handle,
         .finish = received_once);

static void handle_in_flight_against_destroy(void)
{
    actors(3);
    uint64_t shared = grant(third, sender, event);
    STEP(sender, CHANNEL_SEND, end, MSG(0, 1));
    STEP(receiver, CHANNEL_RECEIVE, ends.end0, ABI_DEADLINE_NEVER);
    STEP(third, OBJECT_DESTROY, shared);
    all_run();
}
static void it_arrives_or_is_gone(void)
{
    EXPLORE_CHECK(status_of(third, 0) == STATUS_OK);
    EXPLORE_CHECK(status_of(sender, 0) == STATUS_OK
                      ? status_of(receiver, 0) == STATUS_OK
                      : status_of(sender, 0) == STATUS_GONE && !is_over(receiver, 0));
}
// IPC-33
SCENARIO(handle_in_flight_against_destroy, .canary = "O2",
         .setup = handle_in_flight_against_destroy, .finish = it_arrives_or_is_gone);

static void sender_killed_against_receive(void)
{
    actors(2);
    MUST(sender, CHANNEL_SEND, end, MSG(0, 1));
    uint64_t thread = grant(receiver, sender, sender->own_thread);
    STEP(receiver, OBJECT_DESTROY, thread);
    STEP(receiver, CHANNEL_RECEIVE, ends.end0, 0);
    STEP(sender, CHANNEL_SEND, end, MSG(8, 0));
    all_run();
}
static void the_first_arrived(void)
{
    EXPLORE_CHECK(value_of(receiver, 1, 0) == MSG(0, 1));
    EXPLORE_CHECK(is_dead(sender));
}
SCENARIO(sender_killed_against_receive, .canary = "machine: lost IPI",
         .setup = sender_killed_against_receive, .finish = the_first_arrived);

// A call lends the handle until its message is taken.
static void call_with_handle_cancelled(void)
{
    actors(3);
    uint64_t thread = grant(third, sender, sender->own_thread);
    EXPECT_CALL(BLOCKED, sender, CHANNEL_CALL, end, MSG(0, 1), ABI_DEADLINE_NEVER);
    STEP(receiver, CHANNEL_RECEIVE, ends.end0, 0);
    STEP(third, THREAD_CANCEL, thread);
    runs(receiver);
    runs(third);
    runs(spawn_on(1, new_account(60, 40), 8));
}
static void lent_or_given(void)
{
    EXPLORE_CHECK(woken_with(sender) == STATUS_CANCELLED);
    bool taken = status_of(receiver, 0) == STATUS_OK;
    EXPLORE_CHECK((object_behind(sender, event) != nullptr) != taken);
    seen(taken);
}
// IPC-32, IPC-39
SCENARIO(call_with_handle_cancelled, .canary = "I3", .setup = call_with_handle_cancelled,
         .finish = lent_or_given);

static void call_with_handle_against_close(void)
{
    actors(3);
    EXPECT_CALL(BLOCKED, sender, CHANNEL_CALL, end, MSG(0, 1), ABI_DEADLINE_NEVER);
    STEP(receiver, CHANNEL_RECEIVE, ends.end0, 0);
    STEP(third, HANDLE_CLOSE, ends.end0);
    runs(receiver);
    runs(third);
    runs(spawn_on(1, new_account(60, 40), 8));
}
static void refused(void)
{
    EXPLORE_CHECK(woken_with(sender) == STATUS_PEER_CLOSED);
    bool taken = status_of(receiver, 0) == STATUS_OK;
    EXPLORE_CHECK((object_behind(sender, event) != nullptr) != taken);
}
// IPC-32
SCENARIO(call_with_handle_against_close, .canary = "machine: lost IPI",
         .setup = call_with_handle_against_close, .finish = refused,
         .finer = "GONE instead of BAD_HANDLE");

static void reply_with_handle_against_kill(void)
{
    actors(3);
    uint64_t thread = grant(third, sender, sender->own_thread);
    uint64_t gift = MUST(receiver, EVENT_CREATE, receiver->account);
    EXPECT_CALL(BLOCKED, sender, CHANNEL_CALL, end, MSG(0, 0) | 1ull << MSG_REPLY_HANDLES_SHIFT,
                ABI_DEADLINE_NEVER);
    uint64_t token = CALL(receiver, CHANNEL_RECEIVE, ends.end0, 0).value[1];
    set_handles(receiver, 1, &gift);
    STEP(receiver, CHANNEL_REPLY, ends.end0, token, MSG(0, 1));
    STEP(receiver, EVENT_SIGNAL, gift, 1);
    STEP(third, THREAD_CANCEL, thread);
    runs(receiver);
    runs(third);
    runs(spawn_on(1, new_account(60, 40), 8));
}
static void given_or_kept(void)
{
    bool given = status_of(receiver, 0) == STATUS_OK;
    EXPLORE_CHECK(status_of(receiver, 1) == (given ? STATUS_BAD_HANDLE : STATUS_OK));
    EXPLORE_CHECK(woken_with(sender) == (given ? STATUS_OK : STATUS_CANCELLED));
}
// IPC-38
SCENARIO(reply_with_handle_against_kill, .canary = "two wakers",
         .setup = reply_with_handle_against_kill, .finish = given_or_kept);

// Both ends close at once, and what was there is used again.
static void close_against_close_of_ends(void)
{
    actors(2);
    STEP(receiver, HANDLE_CLOSE, ends.end0);
    STEP(sender, HANDLE_CLOSE, end);
    STEP(sender, THREAD_YIELD); // to its end
    STEP(sender, EVENT_CREATE, sender->account);
    all_run();
}
static void made_in_its_place(void)
{
    EXPLORE_CHECK(status_of(sender, 2) == STATUS_OK);
}
// IPC-7
SCENARIO(close_against_close_of_ends, .canary = "O2 peer", .setup = close_against_close_of_ends,
         .finish = made_in_its_place);

// An end travels in the other channel, and an event in the end that travels.
static void nested_channels_closed(void)
{
    actors(2);
    struct ends inner = new_channel(sender, 2, 64, 1, 0);
    MUST(sender, CHANNEL_SEND, inner.end0, MSG(0, 1));
    set_handles(sender, 1, &inner.end1);
    MUST(sender, CHANNEL_SEND, end, MSG(0, 1));
    STEP(receiver, HANDLE_CLOSE, ends.end0);
    STEP(sender, CHANNEL_SEND, inner.end0, MSG(8, 0));
    STEP(sender, CHANNEL_RECEIVE, inner.end0, ABI_DEADLINE_NEVER);
    all_run();
}
static void the_inner_end_hears_it(void)
{
    EXPLORE_CHECK(status_of(sender, 1) == STATUS_PEER_CLOSED);
}
// IPC-12
SCENARIO(nested_channels_closed, .canary = "I4", .setup = nested_channels_closed,
         .finish = the_inner_end_hears_it);

static void duplicate_close_send(void)
{
    actors(3);
    third = spawn_thread_on(2, sender, 10);
    STEP(sender, CHANNEL_SEND, end, MSG(0, 1));
    STEP(third, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
    STEP(receiver, CHANNEL_RECEIVE, ends.end0, 0);
    STEP(receiver, HANDLE_CLOSE, ends.end0);
    all_run();
}
SCENARIO(duplicate_close_send, .canary = "O3", .setup = duplicate_close_send,
         .finer = "GONE instead of BAD_HANDLE");
