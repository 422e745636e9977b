// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Channels without calls: shapes, bounds, order, handles in messages, the end of an end (I1-I4).
#include "frame.h"
#include "kernel_world.h"

static struct actor *begin(void)
{
    world_begin((struct world_options){});
    return spawn(new_account(400, 400), 10);
}

// IPC-3
TEST(shapes)
{
    struct actor *a = begin();
    static const struct {
        uint64_t depth, bytes, handles, calls;
        bool valid;
    } shapes[] = {
        {1, 0, 0, 0, true},     {0, 16, 0, 0, false},   {1, 3584, 8, 64, true},
        {1, 3585, 0, 0, false}, {1, 0, 9, 0, false},    {1, 0, 0, 65, false},
        {8, 3584, 0, 0, true},  {9, 3584, 0, 0, false}, {65535, 0, 0, 0, false},
        {680, 32, 0, 0, true},  {681, 32, 0, 0, false},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++) {
        uint64_t shape =
            ABI_CHANNEL_SHAPE(shapes[i].depth, shapes[i].bytes, shapes[i].handles, shapes[i].calls);
        struct outcome out =
            CALL(a, CHANNEL_CREATE, a->account, a->account, shape, OVERFLOW_REJECT);
        EXPECT_EQUAL(out.status, shapes[i].valid ? STATUS_OK : STATUS_INVALID);
        world_check();
    }
    uint64_t shape = ABI_CHANNEL_SHAPE(1, 16, 0, 0);
    EXPECT_CALL(INVALID, a, CHANNEL_CREATE, a->account, a->account, shape | 1ull << 63, 0);
    EXPECT_CALL(INVALID, a, CHANNEL_CREATE, a->account, a->account, shape | 1ull << 46, 0);
    EXPECT_CALL(INVALID, a, CHANNEL_CREATE, a->account, a->account, shape, 3);
    world_end();
}

// IPC-4
TEST(each_end_is_paid_by_its_account)
{
    begin();
    uint64_t poor = new_account(1, 1), rich = new_account(100, 100);
    struct actor *boss = world.boss;
    uint64_t shape = ABI_CHANNEL_SHAPE(4, 512, 2, 2);
    EXPECT_CALL(NO_PAGES, boss, CHANNEL_CREATE, rich, poor, shape, 0);
    EXPECT_CALL(NO_PAGES, boss, CHANNEL_CREATE, poor, rich, shape, 0);
    EXPECT_CALL(OK, boss, CHANNEL_CREATE, rich, rich, shape, 0);
    EXPECT_EQUAL(account_behind(boss, poor)->objects.used, 0);
    EXPECT_EQUAL(account_behind(boss, rich)->objects.used, 2);
    EXPECT_EQUAL(account_behind(boss, rich)->pages.used, 4);
    // What is paid is what is taken, with a page for calls and without.
    uint64_t free = frames_free(), used = account_behind(boss, rich)->pages.used;
    EXPECT_CALL(OK, boss, CHANNEL_CREATE, rich, rich, shape, 0);
    EXPECT_CALL(OK, boss, CHANNEL_CREATE, rich, rich, ABI_CHANNEL_SHAPE(4, 512, 2, 0), 0);
    EXPECT_EQUAL(free - frames_free(), account_behind(boss, rich)->pages.used - used);
    world_end();
}

// IPC-13, IPC-18
TEST(first_in_first_out_up_to_the_depth)
{
    struct actor *a = begin();
    struct actor *b = spawn(new_account(100, 100), 10);
    struct ends ends = new_channel(a, 5, 64, 0, 0);
    uint64_t theirs = grant(b, a, ends.end1);
    unsigned sent = 0, received = 0;
    struct random random = {test_seed()};
    for (unsigned i = 0; i < 500; i++) {
        if (random_below(&random, 2)) {
            uint64_t number = sent;
            memcpy(a->thread->message->data, &number, sizeof number);
            struct outcome out = CALL(a, CHANNEL_SEND, ends.end0, MSG(8, 0));
            EXPECT_EQUAL(out.status, sent - received == 5 ? STATUS_FULL : STATUS_OK);
            sent += out.status == STATUS_OK;
        } else {
            struct outcome out = CALL(b, CHANNEL_RECEIVE, theirs, 0);
            EXPECT_EQUAL(out.status, sent == received ? STATUS_TIMED_OUT : STATUS_OK);
            if (out.status != STATUS_OK)
                continue;
            uint64_t number;
            memcpy(&number, b->thread->message->data, sizeof number);
            EXPECT_EQUAL(number, received++);
            EXPECT_EQUAL(out.value[0], MSG(8, 0));
            EXPECT_EQUAL(out.value[1], 0);
        }
        world_check();
    }
    world_end();
}

// IPC-14
TEST(messages_of_odd_sizes)
{
    struct actor *a = begin();
    for (uint64_t bytes = 1; bytes < 140; bytes += 23) {
        struct ends ends = new_channel(a, 3, bytes, 1, 0);
        EXPECT_CALL(TOO_BIG, a, CHANNEL_SEND, ends.end0, MSG(bytes + 1, 0));
        for (unsigned i = 0; i < 3; i++) {
            memset(a->thread->message->data, 'a' + (int)i, bytes);
            uint64_t event = MUST(a, EVENT_CREATE, a->account);
            MUST(a, EVENT_SIGNAL, event, 1u << i);
            set_handles(a, 1, &event);
            MUST(a, CHANNEL_SEND, ends.end0, MSG(bytes, 1));
        }
        EXPECT_CALL(FULL, a, CHANNEL_SEND, ends.end0, 0);
        for (unsigned i = 0; i < 3; i++) {
            memset(a->thread->message->data, 0, bytes + 1);
            EXPECT_EQUAL(MUST(a, CHANNEL_RECEIVE, ends.end1, 0), MSG(bytes, 1));
            for (uint64_t at = 0; at <= bytes; at++)
                EXPECT_EQUAL(a->thread->message->data[at], at < bytes ? 'a' + i : 0);
            EXPECT_EQUAL(MUST(a, EVENT_CLEAR, handle_of(a, 0), 0), 1u << i);
        }
        MUST(a, HANDLE_CLOSE, ends.end0);
        MUST(a, HANDLE_CLOSE, ends.end1);
    }
    world_check();
    world_end();
}

// IPC-14
TEST(as_large_as_a_message_can_be)
{
    struct actor *a = begin();
    struct ends ends = new_channel(a, 1, ABI_MESSAGE_BYTES, 0, 0);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(ABI_MESSAGE_BYTES, 0));
    EXPECT_EQUAL(MUST(a, CHANNEL_RECEIVE, ends.end1, 0), MSG(ABI_MESSAGE_BYTES, 0));
    world_end();
}

// IPC-6, IPC-15
TEST(send_refuses_what_is_wrong)
{
    struct actor *a = begin();
    struct ends ends = new_channel(a, 2, 64, 2, 0);
    EXPECT_CALL(TOO_BIG, a, CHANNEL_SEND, ends.end0, MSG(65, 0));
    EXPECT_CALL(TOO_BIG, a, CHANNEL_SEND, ends.end0, MSG(0, 3));
    EXPECT_CALL(INVALID, a, CHANNEL_SEND, ends.end0, MSG(3585, 0));
    EXPECT_CALL(INVALID, a, CHANNEL_SEND, ends.end0, MSG(0, 9));
    EXPECT_CALL(INVALID, a, CHANNEL_SEND, ends.end0, MSG_CALL);
    EXPECT_CALL(INVALID, a, CHANNEL_SEND, ends.end0, MSG_FAULT);
    EXPECT_CALL(INVALID, a, CHANNEL_SEND, ends.end0, 1ull << 32);
    EXPECT_CALL(INVALID, a, CHANNEL_SEND, ends.end0, MSG_WITH_REPLY_HANDLES(MSG(0, 0), 1));
    uint64_t deaf = MUST(a, HANDLE_DUPLICATE, ends.end0, RIGHT_SEND);
    EXPECT_CALL(NO_RIGHT, a, CHANNEL_RECEIVE, deaf, 0);
    uint64_t dumb = MUST(a, HANDLE_DUPLICATE, ends.end0, RIGHT_RECEIVE);
    EXPECT_CALL(NO_RIGHT, a, CHANNEL_SEND, dumb, 0);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(64, 0));
    MUST(a, CHANNEL_SEND, ends.end0, MSG(0, 0));
    EXPECT_CALL(FULL, a, CHANNEL_SEND, ends.end0, MSG(0, 0));
    MUST(a, CHANNEL_SEND, ends.end1, MSG(0, 0)); // the other direction has its own queue
    world_end();
}

// IPC-27, IPC-28, IPC-30
TEST(handles_move_whole_or_not_at_all)
{
    struct actor *a = begin();
    struct actor *b = spawn(new_account(100, 100), 10);
    struct ends ends = new_channel(a, 4, 64, 4, 0);
    uint64_t theirs = grant(b, a, ends.end1);
    uint64_t good = MUST(a, EVENT_CREATE, a->account), other = MUST(a, EVENT_CREATE, a->account);
    uint64_t still = MUST(a, HANDLE_DUPLICATE, good, RIGHT_SIGNAL);
    uint64_t dead = MUST(a, EVENT_CREATE, a->account);
    MUST(a, OBJECT_DESTROY, dead);

    struct {
        uint64_t second;
        status_t status;
    } bad[] = {
        {good, STATUS_BAD_HANDLE}, // the same one twice
        {0xbad, STATUS_BAD_HANDLE},  {still, STATUS_NO_RIGHT},
        {dead, STATUS_GONE},         {ends.end0, STATUS_INVALID}, // the end that it is sent through
        {ends.end1, STATUS_INVALID},                              // the end that would hold itself
    };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        uint64_t handles[] = {good, bad[i].second, other};
        set_handles(a, 3, handles);
        EXPECT_EQUAL(CALL(a, CHANNEL_SEND, ends.end0, MSG(0, 3)).status, bad[i].status);
        MUST(a, EVENT_SIGNAL, good, 1); // where it was
        world_check();
    }
    set_handles(a, 2, (const uint64_t[]){still, 0xbad}); // the first that is wrong is told
    EXPECT_CALL(NO_RIGHT, a, CHANNEL_SEND, ends.end0, MSG(0, 2));
    uint64_t handles[] = {good, other};
    set_handles(a, 2, handles);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(3, 2));
    EXPECT_CALL(BAD_HANDLE, a, EVENT_SIGNAL, good, 1);
    const struct handle_entry *left = &a->process->pages[0][(uint32_t)good]; // used once
    EXPECT_EQUAL(left->tag >> 2, (good >> 32) + 1);
    world_check();
    EXPECT_EQUAL(MUST(b, CHANNEL_RECEIVE, theirs, 0), MSG(3, 2));
    MUST(b, EVENT_SIGNAL, handle_of(b, 0), 2);
    EXPECT_CALL(OK, a, HANDLE_CLOSE, still);
    EXPECT_CALL(OK, b, HANDLE_CLOSE, handle_of(b, 1));
    world_check();
    world_end();
}

// IPC-29
TEST(rights_travel_unchanged)
{
    struct actor *a = begin();
    struct ends ends = new_channel(a, 4, 64, 4, 0);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    uint64_t weak = MUST(a, HANDLE_DUPLICATE, event, RIGHT_TRANSFER | RIGHT_INSPECT);
    set_handles(a, 1, &weak);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(0, 1));
    MUST(a, CHANNEL_RECEIVE, ends.end1, 0);
    EXPECT_CALL(OK, a, OBJECT_INSPECT, handle_of(a, 0));
    EXPECT_CALL(NO_RIGHT, a, EVENT_SIGNAL, handle_of(a, 0), 1);
    world_end();
}

// IPC-31
TEST(no_room_for_the_handles_leaves_the_message)
{
    struct actor *a = begin();
    struct actor *b = spawn(new_account(7, 100), 10); // no second page of handles
    struct ends ends = new_channel(a, 4, 64, 4, 0);
    uint64_t theirs = grant(b, a, ends.end1);
    uint64_t event = MUST(b, EVENT_CREATE, b->account), last = 0;
    for (;;) {
        struct outcome out = CALL(b, HANDLE_DUPLICATE, event, 0);
        if (out.status != STATUS_OK)
            break;
        last = out.value[0];
    }
    uint64_t sent = MUST(a, EVENT_CREATE, a->account);
    set_handles(a, 1, &sent);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(5, 1));
    EXPECT_CALL(NO_HANDLES, b, CHANNEL_RECEIVE, theirs, ABI_DEADLINE_NEVER);
    EXPECT_CALL(NO_HANDLES, b, CHANNEL_RECEIVE, theirs, ABI_DEADLINE_NEVER);
    world_check();
    MUST(b, HANDLE_CLOSE, last);
    EXPECT_EQUAL(MUST(b, CHANNEL_RECEIVE, theirs, 0), MSG(5, 1));
    // One that waits already hears of it, too.
    MUST(b, HANDLE_CLOSE, handle_of(b, 0));
    EXPECT_CALL(BLOCKED, b, CHANNEL_RECEIVE, theirs, ABI_DEADLINE_NEVER);
    uint64_t again = MUST(a, EVENT_CREATE, a->account);
    set_handles(a, 1, &again);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(5, 1));
    EXPECT_STATUS(ended(b).status, OK);
    world_end();
}

// IPC-16
TEST(a_waiting_receiver_gets_the_message)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 9), *c = spawn_thread(a, 8);
    struct ends ends = new_channel(a, 4, 64, 4, 0);
    EXPECT_CALL(BLOCKED, b, CHANNEL_RECEIVE, ends.end1, ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, c, CHANNEL_RECEIVE, ends.end1, host_ticks + 100);
    set_text(a, "hello");
    MUST(a, CHANNEL_SEND, ends.end0, MSG(6, 0));
    EXPECT_EQUAL(ended(b).value[0], MSG(6, 0)); // the first that waited
    EXPECT(strcmp(text_of(b), "hello") == 0 && !has_ended(c));
    advance(100);
    EXPECT_STATUS(ended(c).status, TIMED_OUT);
    // READABLE follows what is queued.
    EXPECT_CALL(TIMED_OUT, a, OBJECT_WAIT, ends.end1, SIGNAL_READABLE, 0);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(1, 0));
    MUST(a, OBJECT_WAIT, ends.end1, SIGNAL_READABLE, 0);
    MUST(a, CHANNEL_RECEIVE, ends.end1, 0);
    EXPECT_CALL(TIMED_OUT, a, OBJECT_WAIT, ends.end1, SIGNAL_READABLE, 0);
    world_end();
}

// IPC-7, IPC-8, IPC-9
TEST(draining)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 9);
    struct ends ends = new_channel(a, 4, 64, 1, 0);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    set_handles(a, 1, &event);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(1, 1));
    MUST(a, CHANNEL_SEND, ends.end0, MSG(2, 0));
    MUST(a, CHANNEL_SEND, ends.end1, MSG(3, 0)); // dies with its queue
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, ends.end1, SIGNAL_PEER_CLOSED, ABI_DEADLINE_NEVER);
    MUST(a, HANDLE_CLOSE, ends.end0);
    EXPECT_STATUS(ended(b).status, OK);
    EXPECT_CALL(PEER_CLOSED, a, CHANNEL_SEND, ends.end1, MSG(0, 0));
    EXPECT_EQUAL(MUST(a, CHANNEL_RECEIVE, ends.end1, 0), MSG(1, 1));
    EXPECT_EQUAL(MUST(a, CHANNEL_RECEIVE, ends.end1, 0), MSG(2, 0));
    EXPECT_CALL(PEER_CLOSED, a, CHANNEL_RECEIVE, ends.end1, ABI_DEADLINE_NEVER);
    world_check();
    world_end();
}

// IPC-10
TEST(receivers_hear_that_the_peer_is_gone)
{
    struct actor *a = begin();
    struct ends ends = new_channel(a, 4, 64, 1, 0);
    struct actor *waiting[3];
    for (unsigned i = 0; i < 3; i++) {
        waiting[i] = spawn_thread(a, 5);
        EXPECT_CALL(BLOCKED, waiting[i], CHANNEL_RECEIVE, ends.end1, ABI_DEADLINE_NEVER);
    }
    MUST(a, OBJECT_DESTROY, ends.end0);
    for (unsigned i = 0; i < 3; i++)
        EXPECT_STATUS(ended(waiting[i]).status, PEER_CLOSED);
    EXPECT_CALL(GONE, a, CHANNEL_SEND, ends.end0, 0);
    // And those of an end that is destroyed itself.
    struct ends second = new_channel(a, 4, 64, 1, 0);
    EXPECT_CALL(BLOCKED, waiting[0], CHANNEL_RECEIVE, second.end1, ABI_DEADLINE_NEVER);
    MUST(a, OBJECT_DESTROY, second.end1);
    EXPECT_STATUS(ended(waiting[0]).status, GONE);
    world_end();
}

// IPC-12
TEST(channels_nested_in_each_others_messages)
{
    struct actor *a = begin();
    struct ends outer = new_channel(a, 4, 64, 1, 0);
    uint64_t outermost = outer.end0, inner = outer.end1;
    for (unsigned depth = 0; depth < 60; depth++) {
        struct ends next = new_channel(a, 1, 64, 1, 0);
        set_handles(a, 1, &inner);
        MUST(a, CHANNEL_SEND, next.end0, MSG(0, 1));
        MUST(a, HANDLE_CLOSE, next.end0);
        inner = next.end1;
    }
    world_check();
    MUST(a, HANDLE_CLOSE, inner); // and so, one inside the other, all of them
    EXPECT_CALL(PEER_CLOSED, a, CHANNEL_SEND, outermost, 0);
    world_check();
    EXPECT_EQUAL(account_behind(a, a->account)->objects.used, 5);
    world_end();
}

// IPC-12
TEST(a_circle_in_flight_ends_with_its_account)
{
    world_begin((struct world_options){});
    uint64_t account = new_account(400, 400);
    struct actor *a = spawn(account, 10);
    // end1 of each is in the queue of the other's end1: nobody can ever receive them.
    struct ends x = new_channel(a, 4, 64, 1, 0), y = new_channel(a, 4, 64, 1, 0);
    set_handles(a, 1, &y.end1);
    MUST(a, CHANNEL_SEND, x.end0, MSG(0, 1));
    set_handles(a, 1, &x.end1);
    MUST(a, CHANNEL_SEND, y.end0, MSG(0, 1));
    MUST(a, HANDLE_CLOSE, x.end0);
    MUST(a, HANDLE_CLOSE, y.end0);
    world_check();
    MUST(world.boss, OBJECT_DESTROY, account);
    MUST(world.boss, OBJECT_WAIT, account, SIGNAL_TERMINATED, 0);
    world_end();
}

// IPC-11
TEST(an_end_in_another_account_drains)
{
    world_begin((struct world_options){});
    uint64_t account = new_account(100, 100);
    struct actor *a = spawn(account, 10), *b = spawn(new_account(100, 100), 10);
    uint64_t theirs = grant(b, a, a->account);
    struct outcome made = CALL(b, CHANNEL_CREATE, b->account, theirs,
                               ABI_CHANNEL_SHAPE(4, 64, 1, 1), OVERFLOW_REJECT);
    uint64_t end = grant(a, b, made.value[1]);
    MUST(b, HANDLE_CLOSE, made.value[1]);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    set_handles(a, 1, &event);
    MUST(a, CHANNEL_SEND, end, MSG(4, 1));
    MUST(world.boss, OBJECT_DESTROY, account);
    MUST(world.boss, OBJECT_WAIT, account, SIGNAL_TERMINATED, 0);
    world_check();
    EXPECT_EQUAL(MUST(b, CHANNEL_RECEIVE, made.value[0], 0), MSG(4, 1));
    EXPECT_CALL(GONE, b, EVENT_SIGNAL, handle_of(b, 0), 1); // it died with its account
    EXPECT_CALL(PEER_CLOSED, b, CHANNEL_RECEIVE, made.value[0], 0);
    world_end();
}

// IPC-14
TEST(the_message_buffer_is_captured_once)
{
    struct actor *a = begin();
    struct ends ends = new_channel(a, 4, 64, 1, 0);
    set_text(a, "before");
    MUST(a, CHANNEL_SEND, ends.end0, MSG(7, 0));
    set_text(a, "after!");
    MUST(a, CHANNEL_RECEIVE, ends.end1, 0);
    EXPECT(strcmp(text_of(a), "before") == 0);
    world_end();
}

// IPC-17
TEST(at_most_32_receivers)
{
    struct actor *a = begin();
    struct ends ends = new_channel(a, 4, 64, 1, 0);
    for (unsigned i = 0; i < OBJECT_WAITERS_MAX; i++)
        EXPECT_CALL(BLOCKED, spawn_thread(a, 5), CHANNEL_RECEIVE, ends.end1, ABI_DEADLINE_NEVER);
    EXPECT_CALL(FULL, a, CHANNEL_RECEIVE, ends.end1, ABI_DEADLINE_NEVER);
    world_end();
}
