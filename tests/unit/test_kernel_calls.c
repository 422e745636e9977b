// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Calls and replies: each way in which one side can leave (I2-I5).
#include "channel.h"
#include "kernel_world.h"

static struct actor *server, *client;
static uint64_t server_end, client_end, client_account, server_account;

static void begin(uint64_t calls)
{
    world_begin((struct world_options){});
    server_account = new_account(100, 100);
    client_account = new_account(100, 100);
    server = spawn(server_account, 20);
    client = spawn(client_account, 10);
    struct ends ends = new_channel(server, 4, 64, 2, calls);
    server_end = ends.end0;
    client_end = grant(client, server, ends.end1);
    MUST(server, HANDLE_CLOSE, ends.end1);
}

static uint64_t take(void)
{
    struct outcome out = CALL(server, CHANNEL_RECEIVE, server_end, 0);
    EXPECT_STATUS(out.status, OK);
    EXPECT(out.value[0] & MSG_CALL);
    return out.value[1];
}

// IPC-34, IPC-35
TEST(call_and_reply)
{
    begin(2);
    set_text(client, "ping");
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG(5, 0), ABI_DEADLINE_NEVER);
    uint64_t token = take();
    EXPECT(strcmp(text_of(server), "ping") == 0);
    set_text(server, "pong");
    world_check();
    MUST(server, CHANNEL_REPLY, server_end, token, MSG(5, 0));
    EXPECT_STATUS(ended(client).status, OK);
    EXPECT_EQUAL(client->out.value[0], MSG(5, 0));
    EXPECT(strcmp(text_of(client), "pong") == 0);
    EXPECT_CALL(NOT_FOUND, server, CHANNEL_REPLY, server_end, token, MSG(0, 0)); // once
    world_end();
}

// IPC-34
TEST(a_server_that_waits_already)
{
    begin(2);
    for (unsigned i = 0; i < 100; i++) {
        EXPECT_CALL(BLOCKED, server, CHANNEL_RECEIVE, server_end, ABI_DEADLINE_NEVER);
        EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG(i % 64, 0), ABI_DEADLINE_NEVER);
        EXPECT_EQUAL(ended(server).value[0], MSG(i % 64, 0) | MSG_CALL);
        MUST(server, CHANNEL_REPLY, server_end, server->out.value[1], MSG(0, 0));
        EXPECT_STATUS(ended(client).status, OK);
    }
    world_check();
    world_end();
}

// IPC-1, IPC-15
TEST(call_refuses_what_is_wrong)
{
    begin(1);
    EXPECT_CALL(INVALID, client, CHANNEL_CALL, client_end, MSG(3585, 0), ABI_DEADLINE_NEVER);
    EXPECT_CALL(INVALID, client, CHANNEL_CALL, client_end, MSG_WITH_REPLY_HANDLES(0, 9),
                ABI_DEADLINE_NEVER);
    EXPECT_CALL(INVALID, client, CHANNEL_CALL, client_end, MSG_CALL, ABI_DEADLINE_NEVER);
    EXPECT_CALL(TOO_BIG, client, CHANNEL_CALL, client_end, MSG(65, 0), ABI_DEADLINE_NEVER);
    EXPECT_CALL(TIMED_OUT, client, CHANNEL_CALL, client_end, MSG(0, 0), 0);
    world_check();
    world_end();
}

// IPC-37
TEST(as_many_calls_as_the_shape_says)
{
    begin(2);
    struct actor *second = spawn_thread(client, 10), *third = spawn_thread(client, 10);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG(1, 0), ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, second, CHANNEL_CALL, client_end, MSG(2, 0), ABI_DEADLINE_NEVER);
    EXPECT_CALL(FULL, third, CHANNEL_CALL, client_end, MSG(3, 0), ABI_DEADLINE_NEVER);
    uint64_t first = take();
    EXPECT_CALL(FULL, third, CHANNEL_CALL, client_end, MSG(3, 0), ABI_DEADLINE_NEVER);
    // Room for a call would not help: FULL would be asked again.
    EXPECT_CALL(TOO_BIG, third, CHANNEL_CALL, client_end, MSG(65, 0), ABI_DEADLINE_NEVER);
    MUST(server, CHANNEL_REPLY, server_end, first, MSG(0, 0));
    EXPECT_CALL(BLOCKED, third, CHANNEL_CALL, client_end, MSG(3, 0), ABI_DEADLINE_NEVER);
    world_check();
    world_end();
}

// IPC-36
TEST(replies_in_any_order)
{
    begin(8);
    struct actor *callers[8];
    uint64_t tokens[8];
    for (unsigned i = 0; i < 8; i++) {
        callers[i] = i == 0 ? client : spawn_thread(client, 10);
        EXPECT_CALL(BLOCKED, callers[i], CHANNEL_CALL, client_end, MSG(i, 0), ABI_DEADLINE_NEVER);
        tokens[i] = take();
    }
    for (unsigned i = 0; i < 8; i++) {
        unsigned which = i * 3 % 8;
        MUST(server, CHANNEL_REPLY, server_end, tokens[which], MSG(which, 0));
        EXPECT_EQUAL(ended(callers[which]).value[0], MSG(which, 0));
        world_check();
    }
    world_end();
}

// IPC-35
TEST(forged_tokens)
{
    begin(4);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG(1, 0), ABI_DEADLINE_NEVER);
    // Not taken yet: no token exists.
    for (uint64_t slot = 0; slot < 8; slot++)
        for (uint64_t generation = 0; generation < 4; generation++)
            EXPECT_CALL(NOT_FOUND, server, CHANNEL_REPLY, server_end, generation << 32 | slot, 0);
    uint64_t token = take();
    for (unsigned bit = 0; bit < 64; bit++)
        EXPECT_CALL(NOT_FOUND, server, CHANNEL_REPLY, server_end, token ^ 1ull << bit, 0);
    EXPECT(!has_ended(client));
    EXPECT_CALL(INVALID, server, CHANNEL_REPLY, server_end, token, MSG(3585, 0));
    EXPECT_CALL(INVALID, server, CHANNEL_REPLY, server_end, token, MSG_CALL);
    MUST(server, CHANNEL_REPLY, server_end, token, 0);
    // The slot's next call has another token.
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG(1, 0), ABI_DEADLINE_NEVER);
    EXPECT(take() != token);
    EXPECT_CALL(NOT_FOUND, server, CHANNEL_REPLY, server_end, token, 0);
    world_end();
}

// IPC-38
TEST(handles_with_the_reply)
{
    begin(2);
    uint64_t event = MUST(server, EVENT_CREATE, server->account);
    uint64_t other = MUST(server, EVENT_CREATE, server->account);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG_WITH_REPLY_HANDLES(MSG(0, 0), 1),
                ABI_DEADLINE_NEVER);
    uint64_t token = take();
    uint64_t handles[] = {event, other};
    set_handles(server, 2, handles);
    EXPECT_CALL(TOO_BIG, server, CHANNEL_REPLY, server_end, token, MSG(0, 2));
    uint64_t bad[] = {server_end};
    set_handles(server, 1, bad);
    EXPECT_CALL(INVALID, server, CHANNEL_REPLY, server_end, token, MSG(0, 1));
    world_check();
    set_handles(server, 1, handles);
    MUST(server, CHANNEL_REPLY, server_end, token, MSG(0, 1));
    EXPECT_EQUAL(ended(client).value[0], MSG(0, 1));
    MUST(client, EVENT_SIGNAL, handle_of(client, 0), 1);
    EXPECT_CALL(BAD_HANDLE, server, EVENT_SIGNAL, event, 1);
    EXPECT_CALL(OK, server, EVENT_SIGNAL, other, 1);
    world_check();
    world_end();
}

// IPC-38
TEST(room_for_the_reply_is_reserved_first)
{
    begin(2);
    struct actor *poor = spawn(new_account(7, 100), 10);
    uint64_t end = grant(poor, client, client_end);
    uint64_t event = MUST(poor, EVENT_CREATE, poor->account);
    while (CALL(poor, HANDLE_DUPLICATE, event, 0).status == STATUS_OK) {}
    EXPECT_CALL(NO_HANDLES, poor, CHANNEL_CALL, end, MSG_WITH_REPLY_HANDLES(0, 1),
                ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, poor, CHANNEL_CALL, end, 0, ABI_DEADLINE_NEVER);
    world_check();
    world_end();
}

TEST(as_many_handles_as_a_message_holds)
{
    world_begin((struct world_options){});
    server = spawn(new_account(100, 100), 20);
    client = spawn(new_account(100, 100), 10);
    struct ends ends = new_channel(server, 4, 64, ABI_MESSAGE_HANDLES, 2);
    client_end = grant(client, server, ends.end1);
    uint64_t objects = account_behind(client, client->account)->objects.used;
    uint64_t there[ABI_MESSAGE_HANDLES], back[ABI_MESSAGE_HANDLES];
    for (unsigned i = 0; i < ABI_MESSAGE_HANDLES; i++) {
        there[i] = MUST(client, EVENT_CREATE, client->account);
        MUST(client, EVENT_SIGNAL, there[i], 1u << i);
    }
    set_handles(client, ABI_MESSAGE_HANDLES, there);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end,
                MSG_WITH_REPLY_HANDLES(MSG(0, ABI_MESSAGE_HANDLES), ABI_MESSAGE_HANDLES),
                ABI_DEADLINE_NEVER);
    server_end = ends.end0;
    uint64_t token = take();
    for (unsigned i = 0; i < ABI_MESSAGE_HANDLES; i++)
        EXPECT_EQUAL(MUST(server, EVENT_CLEAR, back[i] = handle_of(server, i), 0), 1u << i);
    MUST(server, CHANNEL_REPLY, server_end, token, MSG(0, ABI_MESSAGE_HANDLES));
    EXPECT_STATUS(ended(client).status, OK);
    for (unsigned i = 0; i < ABI_MESSAGE_HANDLES; i++) {
        EXPECT_CALL(BAD_HANDLE, server, EVENT_CLEAR, back[i], 0);
        there[i] = handle_of(client, i);
        EXPECT_EQUAL(MUST(client, EVENT_CLEAR, there[i], 0), 1u << i);
    }
    // All of them go with the queue that they are in.
    set_handles(client, ABI_MESSAGE_HANDLES, there);
    MUST(client, CHANNEL_SEND, client_end, MSG(0, ABI_MESSAGE_HANDLES));
    MUST(server, HANDLE_CLOSE, server_end);
    EXPECT_EQUAL(account_behind(client, client->account)->objects.used, objects);
    world_check();
    world_end();
}

// IPC-9
TEST(a_closed_peer_is_told_before_what_else_is_wrong)
{
    begin(1);
    MUST(server, HANDLE_CLOSE, server_end);
    EXPECT_CALL(PEER_CLOSED, client, CHANNEL_CALL, client_end, MSG(0, 0), 0);
    EXPECT_CALL(PEER_CLOSED, client, CHANNEL_CALL, client_end, MSG(65, 0), ABI_DEADLINE_NEVER);
    EXPECT_CALL(PEER_CLOSED, client, CHANNEL_SEND, client_end, MSG(65, 0));
    world_end();
}

// ---- the caller stops waiting

static uint64_t in_flight[2];

static void call_with_handles(uint64_t deadline)
{
    for (unsigned i = 0; i < 2; i++)
        in_flight[i] = MUST(client, EVENT_CREATE, client->account);
    set_handles(client, 2, in_flight);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG_WITH_REPLY_HANDLES(MSG(8, 2), 2),
                deadline);
}

// IPC-1, IPC-32, IPC-39
TEST(timed_out_before_it_was_taken)
{
    begin(1);
    call_with_handles(host_ticks + 1000);
    // In flight: unusable, even for its owner.
    struct actor *other = spawn_thread(client, 10);
    EXPECT_CALL(BAD_HANDLE, other, EVENT_SIGNAL, in_flight[0], 1);
    EXPECT_CALL(BAD_HANDLE, other, HANDLE_CLOSE, in_flight[1]);
    world_check();
    advance(1000);
    EXPECT_STATUS(ended(client).status, TIMED_OUT);
    MUST(client, EVENT_SIGNAL, in_flight[0], 1); // restored in place
    MUST(client, EVENT_SIGNAL, in_flight[1], 1);
    EXPECT_CALL(TIMED_OUT, server, CHANNEL_RECEIVE, server_end, 0); // never seen
    world_check();
    call_with_handles(host_ticks + 1000); // its slot is free again
    world_end();
}

// IPC-40
TEST(timed_out_after_it_was_taken)
{
    begin(1);
    call_with_handles(host_ticks + 1000);
    uint64_t token = take();
    advance(1000);
    EXPECT_STATUS(ended(client).status, TIMED_OUT);
    EXPECT_CALL(BAD_HANDLE, client, EVENT_SIGNAL, in_flight[0], 1);
    EXPECT_CALL(FULL, client, CHANNEL_CALL, client_end, 0, ABI_DEADLINE_NEVER);
    world_check();
    uint64_t event = MUST(server, EVENT_CREATE, server->account);
    set_handles(server, 1, &event);
    EXPECT_CALL(CANCELLED, server, CHANNEL_REPLY, server_end, token, MSG(0, 1));
    MUST(server, EVENT_SIGNAL, event, 1); // it stays
    EXPECT_CALL(NOT_FOUND, server, CHANNEL_REPLY, server_end, token, MSG(0, 0));
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, 0, ABI_DEADLINE_NEVER);
    world_end();
}

// IPC-2, IPC-39, IPC-40
TEST(cancelled_before_and_after)
{
    begin(1);
    call_with_handles(ABI_DEADLINE_NEVER);
    MUST(world.boss, THREAD_CANCEL, client->thread_handle);
    EXPECT_STATUS(ended(client).status, CANCELLED);
    MUST(client, EVENT_SIGNAL, in_flight[0], 1);
    call_with_handles(ABI_DEADLINE_NEVER);
    uint64_t token = take();
    MUST(world.boss, THREAD_CANCEL, client->thread_handle);
    EXPECT_STATUS(ended(client).status, CANCELLED);
    EXPECT_CALL(CANCELLED, server, CHANNEL_REPLY, server_end, token, 0);
    world_end();
}

// IPC-39
TEST(the_caller_dies_before_it_was_taken)
{
    begin(1);
    call_with_handles(ABI_DEADLINE_NEVER);
    MUST(world.boss, OBJECT_DESTROY, client->process_handle);
    world_check();
    EXPECT_CALL(PEER_CLOSED, server, CHANNEL_RECEIVE, server_end, 0);
    world_end();
}

// IPC-40
TEST(the_caller_dies_after_it_was_taken)
{
    begin(1);
    call_with_handles(ABI_DEADLINE_NEVER);
    uint64_t token = take();
    MUST(world.boss, OBJECT_DESTROY, client_account);
    world_check();
    EXPECT_CALL(CANCELLED, server, CHANNEL_REPLY, server_end, token, 0);
    world_end();
}

// IPC-41
TEST(the_server_end_dies_in_each_phase)
{
    for (unsigned taken = 0; taken < 2; taken++) {
        if (taken == 0) {
            begin(2);
        } else {
            struct ends ends = new_channel(server, 4, 64, 2, 2);
            server_end = ends.end0;
            client_end = grant(client, server, ends.end1);
        }
        call_with_handles(ABI_DEADLINE_NEVER);
        if (taken)
            (void)take();
        MUST(server, HANDLE_CLOSE, server_end);
        EXPECT_STATUS(ended(client).status, PEER_CLOSED);
        world_check();
        EXPECT_CALL(PEER_CLOSED, client, CHANNEL_CALL, client_end, 0, ABI_DEADLINE_NEVER);
        // Not taken: the handles are back. Taken: they had moved.
        EXPECT_EQUAL(CALL(client, EVENT_SIGNAL, in_flight[0], 1).status,
                     taken ? STATUS_BAD_HANDLE : STATUS_OK);
    }
    world_end();
}

// IPC-41
TEST(the_clients_own_end_dies)
{
    begin(2);
    call_with_handles(ABI_DEADLINE_NEVER);
    struct actor *second = spawn_thread(client, 10);
    MUST(second, OBJECT_DESTROY, client_end);
    EXPECT_STATUS(ended(client).status, GONE);
    world_check();
    MUST(client, EVENT_SIGNAL, in_flight[0], 1);
    world_end();
}

// IPC-42
TEST(a_message_from_another_behind_a_call)
{
    begin(2);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG(1, 0), host_ticks + 100);
    struct actor *second = spawn_thread(client, 10);
    MUST(second, CHANNEL_SEND, client_end, MSG(2, 0));
    MUST(second, CHANNEL_SEND, client_end, MSG(3, 0));
    advance(100); // the first of three is withdrawn
    EXPECT_EQUAL(MUST(server, CHANNEL_RECEIVE, server_end, 0), MSG(2, 0));
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG(4, 0), host_ticks + 100);
    advance(100); // the last of two
    MUST(second, CHANNEL_SEND, client_end, MSG(5, 0));
    EXPECT_EQUAL(MUST(server, CHANNEL_RECEIVE, server_end, 0), MSG(3, 0));
    EXPECT_EQUAL(MUST(server, CHANNEL_RECEIVE, server_end, 0), MSG(5, 0));
    world_check();
    world_end();
}
