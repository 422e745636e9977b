// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// What a full queue means to a sender: it is refused, waits for room, or the oldest message goes.
#include "channel.h"
#include "kernel_world.h"

static struct actor *server, *client;
static uint64_t server_end, client_end;

static void begin(enum abi_overflow overflow, uint64_t depth, uint64_t handles, uint64_t calls)
{
    world_begin((struct world_options){});
    server = spawn(new_account(100, 100), 20);
    client = spawn(new_account(300, 300), 10);
    struct outcome out = CALL(server, CHANNEL_CREATE, server->account, server->account,
                              ABI_CHANNEL_SHAPE(depth, 64, handles, calls), overflow);
    EXPECT_STATUS(out.status, OK);
    server_end = out.value[0];
    client_end = grant(client, server, out.value[1]);
    MUST(server, HANDLE_CLOSE, out.value[1]);
}

static status_t send(struct actor *sender, const char *text, uint64_t deadline)
{
    set_text(sender, text);
    return CALL(sender, CHANNEL_SEND, client_end, MSG(strlen(text) + 1, 0), deadline).status;
}

static void expect_text(const char *text)
{
    EXPECT_CALL(OK, server, CHANNEL_RECEIVE, server_end, 0);
    EXPECT(strcmp(text_of(server), text) == 0);
}

// A thread in the client's process, which can use its handles.
static struct actor *another(uint8_t priority)
{
    return spawn_thread(client, priority);
}

static struct abi_inspect inspect(void)
{
    struct abi_inspect seen;
    EXPECT_CALL(OK, server, OBJECT_INSPECT, server_end);
    memcpy(&seen, server->thread->message->data, sizeof seen);
    return seen;
}

// ---- waiting for room

// IPC-19
TEST(a_sender_waits_for_room)
{
    begin(OVERFLOW_BLOCK, 1, 0, 0);
    EXPECT_STATUS(send(client, "first", ABI_DEADLINE_NEVER), OK);
    EXPECT_STATUS(send(client, "second", ABI_DEADLINE_NEVER), BLOCKED);
    world_check();
    EXPECT_EQUAL(inspect().channel.senders, 1);
    EXPECT_EQUAL(inspect().channel.overflow, OVERFLOW_BLOCK);
    expect_text("first");
    EXPECT_STATUS(ended(client).status, OK);
    EXPECT_EQUAL(inspect().channel.senders, 0);
    expect_text("second");
    EXPECT_CALL(TIMED_OUT, server, CHANNEL_RECEIVE, server_end, 0);
    world_end();
}

// IPC-20
TEST(what_is_sent_is_what_the_buffer_holds_when_there_is_room)
{
    begin(OVERFLOW_BLOCK, 1, 0, 0);
    EXPECT_STATUS(send(client, "first", ABI_DEADLINE_NEVER), OK);
    EXPECT_STATUS(send(client, "second", ABI_DEADLINE_NEVER), BLOCKED);
    set_text(client, "third!");
    expect_text("first");
    expect_text("third!");
    world_end();
}

// IPC-19
TEST(the_most_urgent_sender_comes_first_then_the_earliest)
{
    begin(OVERFLOW_BLOCK, 1, 0, 0);
    struct actor *low = another(3), *high = another(9), *early = another(5), *late = another(5);
    EXPECT_STATUS(send(client, "full", ABI_DEADLINE_NEVER), OK);
    EXPECT_STATUS(send(early, "early", ABI_DEADLINE_NEVER), BLOCKED);
    EXPECT_STATUS(send(low, "low", ABI_DEADLINE_NEVER), BLOCKED);
    EXPECT_STATUS(send(late, "late", ABI_DEADLINE_NEVER), BLOCKED);
    EXPECT_STATUS(send(high, "high", ABI_DEADLINE_NEVER), BLOCKED);
    world_check();
    const char *order[] = {"full", "high", "early", "late", "low"};
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        expect_text(order[i]);
    world_end();
}

// IPC-19
TEST(a_sender_whose_priority_changes_keeps_its_place)
{
    begin(OVERFLOW_BLOCK, 1, 0, 0);
    struct actor *first = another(9), *second = another(5), *third = another(3);
    EXPECT_STATUS(send(client, "full", ABI_DEADLINE_NEVER), OK);
    EXPECT_STATUS(send(first, "first", ABI_DEADLINE_NEVER), BLOCKED);
    EXPECT_STATUS(send(second, "second", ABI_DEADLINE_NEVER), BLOCKED);
    MUST(world.boss, THREAD_SET_PRIORITY, first->thread_handle, 1);
    EXPECT_STATUS(send(third, "third", ABI_DEADLINE_NEVER), BLOCKED); // behind the second
    const char *order[] = {"full", "first", "second", "third"};
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        expect_text(order[i]);
    world_end();
}

// IPC-21
TEST(at_most_32_senders)
{
    begin(OVERFLOW_BLOCK, 1, 0, 0);
    EXPECT_STATUS(send(client, "full", 0), OK);
    for (unsigned i = 0; i < ABI_CHANNEL_MAX_SENDERS; i++)
        EXPECT_STATUS(send(another(10), "more", ABI_DEADLINE_NEVER), BLOCKED);
    EXPECT_STATUS(send(client, "too many", ABI_DEADLINE_NEVER), FULL);
    expect_text("full");
    EXPECT_STATUS(send(client, "again", ABI_DEADLINE_NEVER), BLOCKED);
    world_check();
    for (unsigned i = 0; i < ABI_CHANNEL_MAX_SENDERS; i++)
        expect_text("more");
    expect_text("again");
    world_end();
}

// IPC-1, IPC-22
TEST(a_sender_waits_no_longer_than_its_deadline)
{
    begin(OVERFLOW_BLOCK, 1, 0, 0);
    EXPECT_STATUS(send(client, "first", 0), OK);
    EXPECT_STATUS(send(client, "second", 0), TIMED_OUT);
    EXPECT_STATUS(send(client, "second", host_ticks + 1000), BLOCKED);
    advance(999);
    EXPECT(!has_ended(client));
    advance(1);
    EXPECT_STATUS(ended(client).status, TIMED_OUT);
    expect_text("first");
    EXPECT_CALL(TIMED_OUT, server, CHANNEL_RECEIVE, server_end, 0); // never seen
    world_end();
}

static uint64_t in_flight[2];

static void wait_with_handles(void)
{
    for (unsigned i = 0; i < 2; i++)
        in_flight[i] = MUST(client, EVENT_CREATE, client->account);
    set_handles(client, 2, in_flight);
    EXPECT_CALL(BLOCKED, client, CHANNEL_SEND, client_end, MSG(0, 2), ABI_DEADLINE_NEVER);
    EXPECT_CALL(BAD_HANDLE, another(10), EVENT_SIGNAL, in_flight[0], 1); // unusable meanwhile
    world_check();
}

// IPC-20, IPC-32
TEST(handles_of_a_sender_that_waits_move_when_there_is_room)
{
    begin(OVERFLOW_BLOCK, 1, 2, 0);
    EXPECT_STATUS(send(client, "first", 0), OK);
    wait_with_handles();
    uint64_t rewritten = 0;
    set_handles(client, 1, &rewritten); // they were captured once
    expect_text("first");
    EXPECT_STATUS(ended(client).status, OK);
    world_check();
    EXPECT_CALL(BAD_HANDLE, client, EVENT_SIGNAL, in_flight[0], 1);
    struct outcome out = CALL(server, CHANNEL_RECEIVE, server_end, 0);
    EXPECT_EQUAL(out.value[0], MSG(0, 2));
    MUST(server, EVENT_SIGNAL, handle_of(server, 0), 1);
    MUST(server, EVENT_SIGNAL, handle_of(server, 1), 1);
    world_end();
}

// IPC-2, IPC-22, IPC-32
TEST(handles_of_a_sender_that_is_cancelled_are_its_own_again)
{
    begin(OVERFLOW_BLOCK, 1, 2, 0);
    EXPECT_STATUS(send(client, "first", 0), OK);
    wait_with_handles();
    MUST(world.boss, THREAD_CANCEL, client->thread_handle);
    EXPECT_STATUS(ended(client).status, CANCELLED);
    MUST(client, EVENT_SIGNAL, in_flight[0], 1);
    MUST(client, EVENT_SIGNAL, in_flight[1], 1);
    expect_text("first");
    EXPECT_CALL(TIMED_OUT, server, CHANNEL_RECEIVE, server_end, 0);
    world_end();
}

// IPC-33
TEST(an_object_that_dies_in_flight_arrives_gone)
{
    begin(OVERFLOW_BLOCK, 1, 2, 0);
    EXPECT_STATUS(send(client, "first", 0), OK);
    uint64_t event = MUST(client, EVENT_CREATE, client->account);
    uint64_t kept = MUST(client, HANDLE_DUPLICATE, event, RIGHT_MANAGE);
    set_handles(client, 1, &event);
    EXPECT_CALL(BLOCKED, client, CHANNEL_SEND, client_end, MSG(0, 1), ABI_DEADLINE_NEVER);
    EXPECT_CALL(OK, another(10), OBJECT_DESTROY, kept);
    expect_text("first");
    EXPECT_CALL(OK, server, CHANNEL_RECEIVE, server_end, 0);
    EXPECT_CALL(GONE, server, EVENT_SIGNAL, handle_of(server, 0), 1);
    world_end();
}

// IPC-27
TEST(a_bad_handle_is_told_before_any_wait)
{
    begin(OVERFLOW_BLOCK, 1, 2, 0);
    EXPECT_STATUS(send(client, "first", 0), OK);
    uint64_t forged = 12345;
    set_handles(client, 1, &forged);
    EXPECT_CALL(BAD_HANDLE, client, CHANNEL_SEND, client_end, MSG(0, 1), ABI_DEADLINE_NEVER);
    EXPECT_CALL(TOO_BIG, client, CHANNEL_SEND, client_end, MSG(65, 0), ABI_DEADLINE_NEVER);
    EXPECT_CALL(TOO_BIG, client, CHANNEL_SEND, client_end, MSG(0, 3), ABI_DEADLINE_NEVER);
    world_end();
}

// IPC-22
TEST(a_sender_that_waits_is_killed)
{
    begin(OVERFLOW_BLOCK, 1, 2, 0);
    EXPECT_STATUS(send(client, "first", 0), OK);
    wait_with_handles();
    MUST(world.boss, OBJECT_DESTROY, client->process_handle);
    world_check();
    EXPECT_EQUAL(inspect().channel.senders, 0);
    expect_text("first");
    EXPECT_CALL(PEER_CLOSED, server, CHANNEL_RECEIVE, server_end, 0);
    world_end();
}

// IPC-23
TEST(senders_that_wait_hear_of_the_end)
{
    begin(OVERFLOW_BLOCK, 1, 2, 1);
    struct actor *caller = another(10);
    EXPECT_STATUS(send(client, "first", 0), OK);
    EXPECT_CALL(BLOCKED, caller, CHANNEL_CALL, client_end, MSG(0, 0), ABI_DEADLINE_NEVER);
    wait_with_handles();
    MUST(server, OBJECT_DESTROY, server_end);
    EXPECT_STATUS(ended(client).status, PEER_CLOSED);
    EXPECT_STATUS(ended(caller).status, PEER_CLOSED);
    MUST(client, EVENT_SIGNAL, in_flight[0], 1);
    world_end();
}

// IPC-23
TEST(senders_that_wait_hear_of_the_end_of_their_own)
{
    begin(OVERFLOW_BLOCK, 1, 2, 1);
    struct actor *caller = another(10);
    EXPECT_STATUS(send(client, "first", 0), OK);
    EXPECT_CALL(BLOCKED, caller, CHANNEL_CALL, client_end, MSG(0, 0), ABI_DEADLINE_NEVER);
    wait_with_handles();
    EXPECT_CALL(OK, another(10), OBJECT_DESTROY, client_end);
    EXPECT_STATUS(ended(client).status, GONE);
    EXPECT_STATUS(ended(caller).status, GONE);
    MUST(client, EVENT_SIGNAL, in_flight[0], 1);
    world_check();
    expect_text("first"); // what is queued can still be received, and nothing else
    EXPECT_CALL(PEER_CLOSED, server, CHANNEL_RECEIVE, server_end, 0);
    world_end();
}

// IPC-23
TEST(nobody_is_let_in_at_an_end_that_drains)
{
    begin(OVERFLOW_BLOCK, 1, 2, 1);
    struct actor *caller = another(10), *sender = another(10);
    EXPECT_CALL(BLOCKED, caller, CHANNEL_CALL, client_end, MSG(0, 0), ABI_DEADLINE_NEVER);
    EXPECT_STATUS(send(sender, "late", ABI_DEADLINE_NEVER), BLOCKED);
    // The caller leaves first, and its place in the queue is free then.
    EXPECT_CALL(OK, client, OBJECT_DESTROY, client_end);
    EXPECT_STATUS(ended(caller).status, GONE);
    EXPECT_STATUS(ended(sender).status, GONE);
    EXPECT_CALL(PEER_CLOSED, server, CHANNEL_RECEIVE, server_end, 0);
    world_end();
}

// IPC-24
TEST(a_caller_waits_for_room_and_then_for_its_reply)
{
    begin(OVERFLOW_BLOCK, 1, 2, 2);
    EXPECT_STATUS(send(client, "first", 0), OK);
    uint64_t event = MUST(client, EVENT_CREATE, client->account);
    set_text(client, "call");
    set_handles(client, 1, &event);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG_WITH_REPLY_HANDLES(MSG(5, 1), 1),
                ABI_DEADLINE_NEVER);
    world_check();
    EXPECT_EQUAL(inspect().channel.calls, 0);
    expect_text("first");
    EXPECT(!has_ended(client));
    world_check();
    EXPECT_EQUAL(inspect().channel.calls, 1);
    struct outcome out = CALL(server, CHANNEL_RECEIVE, server_end, 0);
    EXPECT_EQUAL(out.value[0], MSG(5, 1) | MSG_CALL);
    EXPECT(strcmp(text_of(server), "call") == 0);
    uint64_t back = handle_of(server, 0);
    set_handles(server, 1, &back);
    MUST(server, CHANNEL_REPLY, server_end, out.value[1], MSG(0, 1));
    EXPECT_STATUS(ended(client).status, OK);
    MUST(client, EVENT_SIGNAL, handle_of(client, 0), 1);
    world_end();
}

// IPC-24
TEST(a_call_without_a_slot_waits_and_lets_others_by)
{
    begin(OVERFLOW_BLOCK, 2, 0, 1);
    struct actor *second = another(10), *sender = another(5);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, 0, ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, second, CHANNEL_CALL, client_end, MSG(1, 0), ABI_DEADLINE_NEVER);
    EXPECT_STATUS(send(sender, "by", ABI_DEADLINE_NEVER), OK);
    EXPECT_STATUS(send(sender, "too", ABI_DEADLINE_NEVER), BLOCKED);
    world_check();
    struct outcome out = CALL(server, CHANNEL_RECEIVE, server_end, 0);
    EXPECT_EQUAL(out.value[0], MSG(0, 0) | MSG_CALL);
    EXPECT_STATUS(ended(sender).status, OK); // though the call came first
    expect_text("by");
    expect_text("too");
    world_check();
    // A receiver that waits gets it as soon as the reply makes room.
    struct actor *waiter = spawn_thread(server, 20);
    EXPECT_CALL(BLOCKED, waiter, CHANNEL_RECEIVE, server_end, ABI_DEADLINE_NEVER);
    MUST(server, CHANNEL_REPLY, server_end, out.value[1], 0);
    EXPECT_STATUS(ended(client).status, OK);
    EXPECT_EQUAL(ended(waiter).value[0], MSG(1, 0) | MSG_CALL);
    MUST(server, CHANNEL_REPLY, server_end, waiter->out.value[1], 0);
    EXPECT_STATUS(ended(second).status, OK);
    world_end();
}

// IPC-24
TEST(a_slot_that_a_late_reply_frees_goes_to_a_call_that_waits)
{
    begin(OVERFLOW_BLOCK, 2, 0, 1);
    struct actor *second = another(10);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, 0, host_ticks + 1000);
    struct outcome out = CALL(server, CHANNEL_RECEIVE, server_end, 0);
    EXPECT_CALL(BLOCKED, second, CHANNEL_CALL, client_end, MSG(1, 0), ABI_DEADLINE_NEVER);
    advance(1000);
    EXPECT_STATUS(ended(client).status, TIMED_OUT);
    EXPECT_CALL(TIMED_OUT, server, CHANNEL_RECEIVE, server_end, 0); // its slot is still taken
    EXPECT_CALL(CANCELLED, server, CHANNEL_REPLY, server_end, out.value[1], 0);
    out = CALL(server, CHANNEL_RECEIVE, server_end, 0);
    EXPECT_EQUAL(out.value[0], MSG(1, 0) | MSG_CALL);
    world_end();
}

// IPC-24
TEST(a_call_waits_for_a_slot_that_is_reserved_for_faults)
{
    begin(OVERFLOW_BLOCK, 2, 0, 1);
    uint64_t exceptions = MUST(client, HANDLE_DUPLICATE, client_end, RIGHTS_CHANNEL);
    uint64_t process = MUST(client, PROCESS_CREATE, client->account, exceptions, 0, 0);
    uint64_t thread = MUST(client, THREAD_CREATE, process, 1, 0x80'0000);
    EXPECT_CALL(BLOCKED, another(10), CHANNEL_CALL, client_end, MSG(1, 0), ABI_DEADLINE_NEVER);
    EXPECT_CALL(TIMED_OUT, server, CHANNEL_RECEIVE, server_end, 0);
    world_check();
    EXPECT_CALL(BLOCKED, server, CHANNEL_RECEIVE, server_end, ABI_DEADLINE_NEVER);
    MUST(client, OBJECT_DESTROY, thread);
    EXPECT_EQUAL(ended(server).value[0], MSG(1, 0) | MSG_CALL);
    world_check();
    world_end();
}

// IPC-19, IPC-22
TEST(a_call_that_leaves_makes_room)
{
    begin(OVERFLOW_BLOCK, 1, 0, 1);
    struct actor *sender = another(10);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, 0, host_ticks + 1000);
    EXPECT_STATUS(send(sender, "next", ABI_DEADLINE_NEVER), BLOCKED);
    advance(1000);
    EXPECT_STATUS(ended(client).status, TIMED_OUT);
    EXPECT_STATUS(ended(sender).status, OK);
    world_check();
    expect_text("next");
    world_end();
}

// IPC-22, IPC-32
TEST(a_caller_leaves_before_there_was_room)
{
    begin(OVERFLOW_BLOCK, 1, 2, 1);
    EXPECT_STATUS(send(client, "first", 0), OK);
    uint64_t event = MUST(client, EVENT_CREATE, client->account);
    set_handles(client, 1, &event);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG_WITH_REPLY_HANDLES(MSG(0, 1), 2),
                host_ticks + 1000);
    world_check();
    advance(1000);
    EXPECT_STATUS(ended(client).status, TIMED_OUT);
    MUST(client, EVENT_SIGNAL, event, 1);
    world_check();
    expect_text("first");
    EXPECT_CALL(TIMED_OUT, server, CHANNEL_RECEIVE, server_end, 0);
    world_end();
}

// IPC-37
TEST(no_call_waits_where_there_can_be_none)
{
    begin(OVERFLOW_BLOCK, 1, 0, 0);
    EXPECT_CALL(FULL, client, CHANNEL_CALL, client_end, 0, ABI_DEADLINE_NEVER);
    world_end();
}

// IPC-45
TEST(a_port_is_told_of_each_message_that_waited_for_room)
{
    begin(OVERFLOW_BLOCK, 1, 0, 0);
    uint64_t port = MUST(server, PORT_CREATE, server->account);
    MUST(server, PORT_BIND, port, server_end, 7, SIGNAL_READABLE);
    struct actor *second = another(10);
    EXPECT_STATUS(send(client, "one", 0), OK);
    EXPECT_STATUS(send(client, "two", ABI_DEADLINE_NEVER), BLOCKED);
    EXPECT_STATUS(send(second, "three", ABI_DEADLINE_NEVER), BLOCKED);
    const char *order[] = {"one", "two", "three"};
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
        struct outcome out = CALL(server, PORT_RECEIVE, port, 0);
        EXPECT_STATUS(out.status, OK);
        EXPECT_EQUAL(out.value[0], 7);
        EXPECT(strcmp(text_of(server), order[i]) == 0);
        world_check();
    }
    EXPECT_CALL(TIMED_OUT, server, PORT_RECEIVE, port, 0);
    world_end();
}

// ---- dropping the oldest

// IPC-25
TEST(the_oldest_message_goes_and_is_counted)
{
    begin(OVERFLOW_DROP_OLDEST, 2, 0, 0);
    const char *sent[] = {"one", "two", "three", "four", "five"};
    for (unsigned i = 0; i < ARRAY_SIZE(sent); i++)
        EXPECT_STATUS(send(client, sent[i], 0), OK);
    world_check();
    EXPECT_EQUAL(inspect().channel.lost, 3);
    struct outcome out = CALL(server, CHANNEL_RECEIVE, server_end, 0);
    EXPECT_EQUAL(out.value[0], MSG(5, 0) | 3ull << MSG_LOST_SHIFT);
    EXPECT_EQUAL(MSG_LOST(out.value[0]), 3);
    EXPECT(strcmp(text_of(server), "four") == 0);
    EXPECT_EQUAL(inspect().channel.lost, 0); // told once
    out = CALL(server, CHANNEL_RECEIVE, server_end, 0);
    EXPECT_EQUAL(out.value[0], MSG(5, 0));
    EXPECT(strcmp(text_of(server), "five") == 0);
    world_end();
}

// IPC-25
TEST(as_many_as_can_be_counted_are_lost)
{
    begin(OVERFLOW_DROP_OLDEST, 1, 0, 0);
    channel_of(object_behind(server, server_end))->lost = UINT32_MAX - 1;
    for (unsigned i = 0; i < 4; i++)
        EXPECT_STATUS(send(client, "more", 0), OK);
    struct outcome out = CALL(server, CHANNEL_RECEIVE, server_end, 0);
    EXPECT_EQUAL(MSG_LOST(out.value[0]), UINT32_MAX);
    world_end();
}

// IPC-26
TEST(a_channel_that_drops_carries_no_handles_and_no_calls)
{
    begin(OVERFLOW_DROP_OLDEST, 1, 0, 0);
    EXPECT_CALL(INVALID, server, CHANNEL_CREATE, server->account, server->account,
                ABI_CHANNEL_SHAPE(1, 8, 1, 0), OVERFLOW_DROP_OLDEST);
    EXPECT_CALL(INVALID, server, CHANNEL_CREATE, server->account, server->account,
                ABI_CHANNEL_SHAPE(1, 8, 0, 1), OVERFLOW_DROP_OLDEST);
    EXPECT_CALL(FULL, client, CHANNEL_CALL, client_end, 0, ABI_DEADLINE_NEVER);
    uint64_t event = MUST(client, EVENT_CREATE, client->account);
    set_handles(client, 1, &event);
    EXPECT_CALL(TOO_BIG, client, CHANNEL_SEND, client_end, MSG(0, 1), 0);
    world_end();
}

TEST(a_receiver_that_waits_loses_nothing)
{
    begin(OVERFLOW_DROP_OLDEST, 1, 0, 0);
    EXPECT_CALL(BLOCKED, server, CHANNEL_RECEIVE, server_end, ABI_DEADLINE_NEVER);
    EXPECT_STATUS(send(client, "one", 0), OK);
    EXPECT_EQUAL(ended(server).value[0], MSG(4, 0));
    world_end();
}

// ---- refusing

// IPC-18
TEST(a_full_queue_refuses)
{
    begin(OVERFLOW_REJECT, 1, 0, 2);
    EXPECT_STATUS(send(client, "one", ABI_DEADLINE_NEVER), OK);
    EXPECT_STATUS(send(client, "two", ABI_DEADLINE_NEVER), FULL);
    EXPECT_CALL(FULL, client, CHANNEL_CALL, client_end, 0, ABI_DEADLINE_NEVER);
    expect_text("one");
    EXPECT_CALL(TIMED_OUT, server, CHANNEL_RECEIVE, server_end, 0);
    world_end();
}
