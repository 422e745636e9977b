// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Priority ceilings: nobody waits for a server that is less urgent, and nobody who may be is handed
// the means to.
#include "kernel_world.h"

constexpr uint8_t SERVER = 20;
constexpr uint64_t SHAPE = ABI_CHANNEL_SHAPE(1, 16, 2, 2);

static struct actor *server, *client;
static uint64_t server_end, client_end;

// The server answers those who are at most as urgent as it is; the client is at priority 20 and can
// make itself less urgent, or be made more urgent by the boss.
static void begin(enum abi_overflow overflow)
{
    world_begin((struct world_options){});
    server = spawn(new_account(200, 100), SERVER);
    client = spawn(new_account(200, 100), SERVER);
    struct outcome out = CALL(client, CHANNEL_CREATE, client->account, client->account,
                              SHAPE | ABI_CHANNEL_CEILINGS(63, SERVER), overflow);
    EXPECT_STATUS(out.status, OK);
    client_end = out.value[0];
    server_end = grant(server, client, out.value[1]);
    MUST(client, HANDLE_CLOSE, out.value[1]);
}

static void set_priority(struct actor *actor, uint64_t priority)
{
    MUST(world.boss, THREAD_SET_PRIORITY, actor->thread_handle, priority);
}

// A channel whose second end takes calls up to `ceiling`; the handle to the first.
static uint64_t channel_to(struct actor *actor, uint64_t ceiling)
{
    return MUST(actor, CHANNEL_CREATE, actor->account, actor->account,
                SHAPE | ABI_CHANNEL_CEILINGS(63, ceiling), OVERFLOW_REJECT);
}

static uint64_t ceiling_of(struct actor *actor, uint64_t end)
{
    struct abi_inspect seen;
    EXPECT_CALL(OK, actor, OBJECT_INSPECT, end);
    memcpy(&seen, actor->thread->message->data, sizeof seen);
    return seen.channel.ceiling;
}

// IPC-59
TEST(each_end_has_the_ceiling_that_its_shape_says)
{
    begin(OVERFLOW_REJECT);
    EXPECT_EQUAL(ceiling_of(server, server_end), SERVER);
    EXPECT_EQUAL(ceiling_of(client, client_end), 63);
    struct outcome out = CALL(client, CHANNEL_CREATE, client->account, client->account,
                              SHAPE | ABI_CHANNEL_CEILINGS(0, 5), OVERFLOW_REJECT);
    EXPECT_EQUAL(ceiling_of(client, out.value[0]), 0);
    EXPECT_EQUAL(ceiling_of(client, out.value[1]), 5);
    for (unsigned shift = 40; shift <= 56; shift += 16)
        EXPECT_CALL(INVALID, client, CHANNEL_CREATE, client->account, client->account,
                    SHAPE | 64ull << shift, OVERFLOW_REJECT);
    world_end();
}

// IPC-60
TEST(who_is_above_the_ceiling_cannot_call)
{
    begin(OVERFLOW_REJECT);
    set_priority(client, SERVER + 1);
    uint64_t event = MUST(client, EVENT_CREATE, client->account);
    set_handles(client, 1, &event);
    EXPECT_CALL(TOO_URGENT, client, CHANNEL_CALL, client_end, MSG_WITH_REPLY_HANDLES(MSG(1, 1), 2),
                ABI_DEADLINE_NEVER);
    EXPECT_CALL(OK, client, EVENT_SIGNAL, event, 1); // it is still here
    EXPECT_EQUAL(client->process->handles_reserved, 0);
    EXPECT_CALL(TIMED_OUT, server, CHANNEL_RECEIVE, server_end, 0);
    set_priority(client, SERVER);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG(1, 0), ABI_DEADLINE_NEVER);
    // Made more urgent while it waits, it goes on waiting.
    set_priority(client, SERVER + 1);
    struct outcome out = CALL(server, CHANNEL_RECEIVE, server_end, 0);
    EXPECT_CALL(OK, server, CHANNEL_REPLY, server_end, out.value[1], MSG(0, 0));
    EXPECT_STATUS(ended(client).status, OK);
    world_end();
}

// IPC-60
TEST(who_is_above_the_ceiling_sends_only_what_needs_no_wait)
{
    begin(OVERFLOW_BLOCK);
    set_priority(client, SERVER + 1);
    EXPECT_CALL(OK, client, CHANNEL_SEND, client_end, MSG(1, 0), ABI_DEADLINE_NEVER);
    EXPECT_CALL(TOO_URGENT, client, CHANNEL_SEND, client_end, MSG(1, 0), ABI_DEADLINE_NEVER);
    EXPECT_CALL(TIMED_OUT, client, CHANNEL_SEND, client_end, MSG(1, 0), 0);
    set_priority(client, SERVER);
    EXPECT_CALL(BLOCKED, client, CHANNEL_SEND, client_end, MSG(1, 0), ABI_DEADLINE_NEVER);
    world_end();
}

// The server hands its callers a channel; they may be as urgent as its own ceiling says.
static status_t reply_with(uint64_t handle, uint64_t bytes)
{
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG_WITH_REPLY_HANDLES(MSG(1, 0), 1),
                ABI_DEADLINE_NEVER);
    struct outcome out = CALL(server, CHANNEL_RECEIVE, server_end, 0);
    EXPECT_STATUS(out.status, OK);
    set_handles(server, 1, &handle);
    status_t status = CALL(server, CHANNEL_REPLY, server_end, out.value[1], MSG(bytes, 1)).status;
    if (status != STATUS_OK)
        EXPECT_CALL(OK, server, CHANNEL_REPLY, server_end, out.value[1], MSG(0, 0));
    EXPECT_STATUS(ended(client).status, OK);
    return status;
}

// IPC-61
TEST(a_reply_hands_over_what_every_caller_may_use)
{
    begin(OVERFLOW_REJECT);
    uint64_t low = channel_to(server, SERVER - 1), enough = channel_to(server, SERVER);
    EXPECT_STATUS(reply_with(low, 4), TOO_URGENT);
    EXPECT_EQUAL(ceiling_of(server, low), 63); // it is still here
    EXPECT_STATUS(reply_with(enough, 4), OK);
    uint64_t bare = MUST(server, HANDLE_DUPLICATE, low, RIGHT_TRANSFER | RIGHT_SEND);
    EXPECT_STATUS(reply_with(bare, 4), TOO_URGENT);
    // What cannot call can be handed to everyone.
    uint64_t mute = MUST(server, HANDLE_DUPLICATE, low, RIGHT_TRANSFER | RIGHT_RECEIVE);
    EXPECT_STATUS(reply_with(mute, 4), OK);
    EXPECT_STATUS(reply_with(MUST(server, EVENT_CREATE, server->account), 4), OK);
    world_end();
}

// IPC-61
TEST(a_message_hands_over_what_every_receiver_may_use)
{
    begin(OVERFLOW_REJECT);
    uint64_t handles[] = {channel_to(client, 63), channel_to(client, 62)};
    set_handles(client, 2, handles);
    // Nothing is said of how urgent the server is, so it may be as urgent as can be.
    EXPECT_CALL(TOO_URGENT, client, CHANNEL_SEND, client_end, MSG(1, 2), 0);
    EXPECT_CALL(TOO_URGENT, client, CHANNEL_CALL, client_end, MSG(1, 2), ABI_DEADLINE_NEVER);
    EXPECT_EQUAL(ceiling_of(client, handles[0]), 63);
    set_handles(client, 2, handles);
    EXPECT_CALL(OK, client, CHANNEL_SEND, client_end, MSG(1, 1), 0);
    // One whose peer is gone keeps its ceiling; one that is gone itself has none.
    struct outcome out = CALL(client, CHANNEL_CREATE, client->account, client->account,
                              SHAPE | ABI_CHANNEL_CEILINGS(63, 3), OVERFLOW_REJECT);
    EXPECT_CALL(OK, client, OBJECT_DESTROY, out.value[1]);
    set_handles(client, 1, &out.value[0]);
    EXPECT_CALL(TOO_URGENT, client, CHANNEL_SEND, client_end, MSG(1, 1), 0);
    EXPECT_CALL(OK, client, OBJECT_DESTROY, out.value[0]);
    EXPECT_CALL(FULL, client, CHANNEL_SEND, client_end, MSG(1, 1), 0);
    EXPECT_CALL(OK, server, CHANNEL_RECEIVE, server_end, 0);
    set_handles(client, 1, &out.value[0]);
    EXPECT_CALL(GONE, client, CHANNEL_SEND, client_end, MSG(1, 1), 0);
    world_end();
}

// IPC-61
TEST(a_reply_that_hands_over_too_much_is_told_in_the_next_message)
{
    begin(OVERFLOW_REJECT);
    uint64_t port = MUST(server, PORT_CREATE, server->account);
    MUST(server, PORT_BIND, port, server_end, 7, SIGNAL_READABLE);
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, client_end, MSG_WITH_REPLY_HANDLES(MSG(1, 0), 1),
                ABI_DEADLINE_NEVER);
    struct outcome out = CALL(server, PORT_RECEIVE, port, 0);
    uint64_t low = channel_to(server, SERVER - 1);
    set_handles(server, 1, &low);
    struct actor *second = spawn_thread(client, 5);
    EXPECT_CALL(BLOCKED, second, CHANNEL_CALL, client_end, MSG(1, 0), ABI_DEADLINE_NEVER);
    out = CALL(server, CHANNEL_REPLY_RECEIVE, server_end, out.value[3], MSG(0, 1), port, 0);
    EXPECT_STATUS(out.status, OK);
    EXPECT(out.value[2] & MSG_REPLY_FAILED);
    EXPECT(!has_ended(client));
    world_end();
}

// IPC-62
TEST(a_gift_is_no_channel_that_the_thread_is_too_urgent_for)
{
    begin(OVERFLOW_REJECT);
    struct outcome made = CALL(client, PROCESS_CREATE, client->account, 0, 0x646c696863ull, 0);
    uint64_t aspace_needs_nothing = made.value[1];
    (void)aspace_needs_nothing;
    uint64_t thread = MUST(client, THREAD_CREATE, made.value[0], 10, 0x20000);
    uint64_t low = channel_to(client, 9), enough = channel_to(client, 10);
    EXPECT_CALL(TOO_URGENT, client, THREAD_START, thread, 0x1000, 0, 0, low);
    EXPECT_EQUAL(ceiling_of(client, low), 63);
    EXPECT_CALL(OK, client, THREAD_START, thread, 0x1000, 0, 0, enough);
    EXPECT_CALL(BAD_HANDLE, client, HANDLE_CLOSE, enough);
    world_end();
}
