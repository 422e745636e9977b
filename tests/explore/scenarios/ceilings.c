// SPDX-License-Identifier: MIT
//
// Priority ceilings: a thread made more urgent while it begins to wait, and an end that is handed
// over while it goes and another takes its place.
#include "harness.h"

static struct actor *server, *client, *third;
static struct ends ends;
static uint64_t end;

constexpr uint64_t SHAPE = ABI_CHANNEL_SHAPE(1, 16, 1, 1);

static struct ends channel_of_ceiling(struct actor *actor, uint64_t ceiling)
{
    struct outcome out = CALL(actor, CHANNEL_CREATE, actor->account, actor->account,
                              SHAPE | ABI_CHANNEL_CEILINGS(63, ceiling), OVERFLOW_REJECT);
    EXPECT_STATUS(out.status, OK);
    return (struct ends){out.value[0], out.value[1]};
}

static void actors(void)
{
    begin_world(3);
    uint64_t account = new_account(400, 200);
    server = spawn_on(0, account, 10);
    client = spawn_on(1, account, 10);
    third = spawn_on(2, account, 20);
    ends = channel_of_ceiling(server, 10);
    end = grant(client, server, ends.end0);
    MUST(server, HANDLE_CLOSE, ends.end0);
}

static void call_against_set_priority(void)
{
    actors();
    uint64_t thread = grant(third, client, client->own_thread);
    STEP(client, CHANNEL_CALL, end, MSG(1, 0), ABI_DEADLINE_NEVER);
    STEP(third, THREAD_SET_PRIORITY, thread, 20);
    STEP(server, HANDLE_CLOSE, ends.end1);
    runs(server);
    runs(client);
    runs(third);
}
// Before it was more urgent, it waited; and was not called back for it.
static void waited_or_too_urgent(void)
{
    status_t called = status_of(client, 0);
    EXPLORE_CHECK(called == STATUS_PEER_CLOSED || called == STATUS_TOO_URGENT);
    EXPLORE_CHECK(status_of(third, 0) == STATUS_OK);
    seen(called);
}
// IPC-60
SCENARIO(call_against_set_priority, .canary = "machine: lost IPI",
         .setup = call_against_set_priority, .finish = waited_or_too_urgent);

static uint64_t low;

// The end that is sent goes, and its slot is that of one which everybody may have.
static void end_sent_against_its_end(void)
{
    actors();
    low = channel_of_ceiling(client, 9).end0;
    uint64_t same = grant(third, client, low);
    set_handles(client, 1, &low);
    STEP(client, CHANNEL_SEND, end, MSG(0, 1));
    STEP(third, OBJECT_DESTROY, same);
    STEP(third, CHANNEL_CREATE, third->account, third->account, SHAPE, OVERFLOW_REJECT);
    runs(server);
    runs(client);
    runs(third);
}
static void not_handed_over(void)
{
    status_t sent = status_of(client, 0);
    EXPLORE_CHECK(sent == STATUS_TOO_URGENT || sent == STATUS_GONE);
    seen(sent);
}
// IPC-61
SCENARIO(end_sent_against_its_end, .canary = "I6 give", .setup = end_sent_against_its_end,
         .finish = not_handed_over);
