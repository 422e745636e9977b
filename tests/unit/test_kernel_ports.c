// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Ports, events and timers: binding, telling, the last event of what is gone (S2, I4, T2).
#include "kernel_world.h"
#include "port.h"

static struct actor *a, *b;
static uint64_t port, event;

static void begin(void)
{
    world_begin((struct world_options){});
    a = spawn(new_account(300, 300), 10);
    b = spawn_thread(a, 9);
    port = MUST(a, PORT_CREATE, a->account);
    event = MUST(a, EVENT_CREATE, a->account);
}

static void expect_event(struct actor *actor, uint64_t key, uint64_t signals)
{
    struct outcome out = CALL(actor, PORT_RECEIVE, port, 0);
    EXPECT_STATUS(out.status, OK);
    EXPECT_EQUAL(out.value[0], key);
    EXPECT_EQUAL(out.value[1], signals);
}

// IPC-43, IPC-48
TEST(bind_and_unbind)
{
    begin();
    EXPECT_CALL(INVALID, a, PORT_BIND, port, event, 1, 0);
    EXPECT_CALL(INVALID, a, PORT_BIND, port, port, 1, 1);
    EXPECT_CALL(NOT_FOUND, a, PORT_UNBIND, event);
    MUST(a, PORT_BIND, port, event, 5, 3);
    EXPECT_CALL(BAD_STATE, a, PORT_BIND, port, event, 6, 3);
    MUST(a, EVENT_SIGNAL, event, 1);
    world_check();
    MUST(a, PORT_UNBIND, event); // nothing that was pending is told
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, port, 0);
    world_check();
    MUST(a, PORT_BIND, port, event, 7, 1); // what is raised already is told at once
    expect_event(a, 7, 1);
    uint64_t poor = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 1, 1);
    uint64_t second = grant(a, world.boss, MUST(world.boss, PORT_CREATE, poor));
    uint64_t other = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(NO_OBJECTS, a, PORT_BIND, second, other, 1, 1);
    MUST(a, EVENT_SIGNAL, other, 1); // there is nobody to tell
    EXPECT_CALL(NO_OBJECTS, a, PORT_BIND, second, other, 1, 1);
    world_end();
}

// IPC-44
TEST(events_are_told_once_a_raise)
{
    begin();
    MUST(a, PORT_BIND, port, event, 42, 0xff);
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, port, 0);
    MUST(a, EVENT_SIGNAL, event, 1);
    MUST(a, EVENT_SIGNAL, event, 4); // one pending bit: told together
    MUST(a, EVENT_SIGNAL, event, 0x100);
    expect_event(a, 42, 5);
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, port, 0);
    MUST(a, EVENT_SIGNAL, event, 2);
    expect_event(a, 42, 7);
    // Cleared before anybody looked: nothing is told.
    MUST(a, EVENT_SIGNAL, event, 8);
    EXPECT_EQUAL(MUST(a, EVENT_CLEAR, event, 0xffff), 0x10f);
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, port, 0);
    EXPECT_CALL(INVALID, a, EVENT_SIGNAL, event, 0x10000);
    EXPECT_CALL(INVALID, a, EVENT_CLEAR, event, 0x10000);
    world_end();
}

static unsigned windows;

static void count_windows(void)
{
    windows++;
}

// IPC-52
TEST(many_bindings_that_have_nothing_to_tell)
{
    begin();
    uint64_t events[100];
    for (unsigned i = 0; i < 100; i++) {
        events[i] = MUST(a, EVENT_CREATE, a->account);
        MUST(a, PORT_BIND, port, events[i], i, 1);
        MUST(a, EVENT_SIGNAL, events[i], 1);
        if (i != 70)
            MUST(a, EVENT_CLEAR, events[i], 1);
    }
    host_on_window = count_windows;
    expect_event(a, 70, 1);
    host_on_window = nullptr;
    EXPECT(windows > 0); // whoever looks at many lets interrupts in
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, port, 0);
    for (unsigned i = 0; i < 100; i++) {
        MUST(a, EVENT_SIGNAL, events[i], 1);
        MUST(a, EVENT_CLEAR, events[i], 1);
    }
    EXPECT_CALL(BLOCKED, b, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    MUST(a, EVENT_SIGNAL, events[3], 1);
    EXPECT_EQUAL(ended(b).value[0], 3);
    world_check();
    world_end();
}

// How often whoever receives lets interrupts in, where so many bindings have nothing to tell.
static unsigned windows_of(unsigned bindings)
{
    static uint64_t events[32];
    static unsigned made;
    for (; made < bindings; made++) {
        events[made] = MUST(a, EVENT_CREATE, a->account);
        MUST(a, PORT_BIND, port, events[made], made, 1);
    }
    for (unsigned i = 0; i < bindings; i++) {
        MUST(a, EVENT_SIGNAL, events[i], 1);
        MUST(a, EVENT_CLEAR, events[i], 1);
    }
    windows = 0;
    host_on_window = count_windows;
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, port, 0);
    host_on_window = nullptr;
    return windows;
}

TEST(after_each_sixteen_bindings_that_have_nothing_to_tell)
{
    begin();
    unsigned none = windows_of(0);
    EXPECT_EQUAL(windows_of(15), none);
    EXPECT_EQUAL(windows_of(16), none + 1);
    EXPECT_EQUAL(windows_of(31), none + 1);
    EXPECT_EQUAL(windows_of(32), none + 2);
    world_end();
}

// IPC-44
TEST(a_waiting_receiver_is_told_at_once)
{
    begin();
    MUST(a, PORT_BIND, port, event, 5, 1);
    EXPECT_CALL(BLOCKED, b, PORT_RECEIVE, port, host_ticks + 100);
    MUST(a, EVENT_SIGNAL, event, 1);
    EXPECT_EQUAL(ended(b).value[0], 5);
    EXPECT_EQUAL(b->out.value[1], 1);
    EXPECT_CALL(BLOCKED, b, PORT_RECEIVE, port, host_ticks + 100);
    advance(100);
    EXPECT_STATUS(ended(b).status, TIMED_OUT);
    EXPECT_CALL(BLOCKED, b, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    MUST(a, THREAD_CANCEL, b->own_thread);
    EXPECT_STATUS(ended(b).status, CANCELLED);
    EXPECT_CALL(BLOCKED, b, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    MUST(a, OBJECT_DESTROY, port);
    EXPECT_STATUS(ended(b).status, GONE);
    world_check();
    MUST(a, EVENT_SIGNAL, event, 1); // bound to nothing now
    world_end();
}

// IPC-45
TEST(messages_are_delivered)
{
    begin();
    struct ends ends = new_channel(a, 8, 64, 2, 2);
    MUST(a, PORT_BIND, port, ends.end1, 9, SIGNAL_READABLE | SIGNAL_PEER_CLOSED);
    for (unsigned i = 0; i < 5; i++)
        MUST(a, CHANNEL_SEND, ends.end0, MSG(i, 0));
    world_check();
    for (unsigned i = 0; i < 5; i++) {
        struct outcome out = CALL(a, PORT_RECEIVE, port, 0);
        EXPECT_STATUS(out.status, OK);
        EXPECT_EQUAL(out.value[0], 9);
        EXPECT_EQUAL(out.value[1], SIGNAL_READABLE);
        EXPECT_EQUAL(out.value[2], MSG(i, 0));
        world_check();
    }
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, port, 0);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(7, 0));
    MUST(a, HANDLE_CLOSE, ends.end0);
    EXPECT_EQUAL(CALL(a, PORT_RECEIVE, port, 0).value[2], MSG(7, 0));
    expect_event(a, 9, SIGNAL_PEER_CLOSED); // behind the last message
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, port, 0);
    world_end();
}

// IPC-45
TEST(messages_to_many_receivers)
{
    begin();
    struct ends ends = new_channel(a, 8, 64, 2, 2);
    MUST(a, PORT_BIND, port, ends.end1, 9, SIGNAL_READABLE);
    struct actor *receivers[3];
    for (unsigned i = 0; i < 3; i++) {
        receivers[i] = spawn_thread(a, 5);
        EXPECT_CALL(BLOCKED, receivers[i], PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    }
    for (unsigned i = 0; i < 3; i++) {
        MUST(a, CHANNEL_SEND, ends.end0, MSG(i + 1, 0));
        EXPECT_EQUAL(ended(receivers[i]).value[2], MSG(i + 1, 0));
    }
    world_check();
    world_end();
}

// IPC-46
TEST(no_room_for_the_handles_says_whose_message)
{
    begin();
    struct actor *poor = spawn(new_account(7, 100), 10);
    struct ends ends = new_channel(a, 8, 64, 2, 2);
    MUST(a, PORT_BIND, port, ends.end1, 9, SIGNAL_READABLE);
    uint64_t theirs = grant(poor, a, port);
    uint64_t own = MUST(poor, EVENT_CREATE, poor->account), last = 0;
    for (struct outcome out; (out = CALL(poor, HANDLE_DUPLICATE, own, 0)).status == STATUS_OK;)
        last = out.value[0];
    uint64_t gift = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, poor, PORT_RECEIVE, theirs, ABI_DEADLINE_NEVER);
    set_handles(a, 1, &gift);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(3, 1));
    EXPECT_STATUS(ended(poor).status, NO_HANDLES);
    EXPECT_EQUAL(poor->out.value[0], 9);
    world_check();
    struct outcome out = CALL(poor, PORT_RECEIVE, theirs, ABI_DEADLINE_NEVER);
    EXPECT_STATUS(out.status, NO_HANDLES);
    EXPECT_EQUAL(out.value[0], 9);
    MUST(poor, HANDLE_CLOSE, last);
    out = CALL(poor, PORT_RECEIVE, theirs, ABI_DEADLINE_NEVER);
    EXPECT_EQUAL(out.value[2], MSG(3, 1));
    world_check();
    world_end();
}

// IPC-46
TEST(each_message_goes_to_a_waiter_that_has_room)
{
    begin();
    struct actor *poor = spawn(new_account(7, 100), 10);
    struct ends ends = new_channel(a, 8, 64, 2, 2);
    uint64_t theirs = grant(poor, a, port);
    uint64_t own = MUST(poor, EVENT_CREATE, poor->account);
    while (CALL(poor, HANDLE_DUPLICATE, own, 0).status == STATUS_OK) {}
    MUST(a, PORT_BIND, port, ends.end1, 9, SIGNAL_READABLE);
    EXPECT_CALL(BLOCKED, poor, PORT_RECEIVE, theirs, ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, b, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    uint64_t gift = MUST(a, EVENT_CREATE, a->account);
    set_handles(a, 1, &gift);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(3, 1));
    EXPECT_STATUS(ended(poor).status, NO_HANDLES);
    EXPECT_EQUAL(ended(b).value[2], MSG(3, 1));
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, port, 0);
    world_check();
    world_end();
}

// IPC-45
TEST(what_is_queued_already_goes_to_all_that_wait)
{
    begin();
    struct ends ends = new_channel(a, 8, 64, 2, 2);
    struct actor *receivers[3];
    for (unsigned i = 0; i < 3; i++) {
        MUST(a, CHANNEL_SEND, ends.end0, MSG(i + 1, 0));
        receivers[i] = spawn_thread(a, 5);
        EXPECT_CALL(BLOCKED, receivers[i], PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    }
    MUST(a, PORT_BIND, port, ends.end1, 9, SIGNAL_READABLE);
    for (unsigned i = 0; i < 3; i++)
        EXPECT_EQUAL(ended(receivers[i]).value[2], MSG(i + 1, 0));
    world_check();
    world_end();
}

TEST(a_call_that_waited_in_the_port_can_be_answered)
{
    begin();
    struct ends ends = new_channel(a, 8, 64, 2, 2);
    MUST(a, PORT_BIND, port, ends.end1, 9, SIGNAL_READABLE);
    EXPECT_CALL(BLOCKED, b, CHANNEL_CALL, ends.end0, MSG(8, 0), ABI_DEADLINE_NEVER);
    struct outcome out = CALL(a, PORT_RECEIVE, port, 0);
    EXPECT_EQUAL(out.value[2], MSG(8, 0) | MSG_CALL);
    MUST(a, CHANNEL_REPLY, ends.end1, out.value[3], MSG(4, 0));
    EXPECT_EQUAL(ended(b).value[0], MSG(4, 0));
    world_end();
}

// IPC-49
TEST(at_most_32_receivers_of_a_port)
{
    begin();
    for (unsigned i = 0; i < OBJECT_WAITERS_MAX; i++)
        EXPECT_CALL(BLOCKED, spawn_thread(a, 5), PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    EXPECT_CALL(FULL, a, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    world_check();
    world_end();
}

TEST(who_waits_for_a_ports_signals_is_told_no_events)
{
    begin();
    MUST(a, PORT_BIND, port, event, 5, 1);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, port, 1, ABI_DEADLINE_NEVER);
    MUST(a, EVENT_SIGNAL, event, 1);
    EXPECT(!has_ended(b));
    expect_event(a, 5, 1);
    world_end();
}

// IPC-48
TEST(bound_anew_while_it_was_pending)
{
    begin();
    uint64_t other = MUST(a, PORT_CREATE, a->account), third = MUST(a, EVENT_CREATE, a->account);
    MUST(a, PORT_BIND, port, event, 1, 1);
    MUST(a, EVENT_SIGNAL, event, 1);
    MUST(a, PORT_UNBIND, event);
    MUST(a, EVENT_CLEAR, event, 1);
    MUST(a, PORT_BIND, other, event, 2, 1);
    MUST(a, PORT_BIND, port, third, 3, 1);
    MUST(a, EVENT_SIGNAL, event, 1);
    MUST(a, EVENT_SIGNAL, third, 1);
    world_check();
    expect_event(a, 3, 1);
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, port, 0);
    struct outcome out = CALL(a, PORT_RECEIVE, other, 0);
    EXPECT_STATUS(out.status, OK);
    EXPECT_EQUAL(out.value[0], 2);
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, other, 0);
    world_check();
    world_end();
}

// IPC-51
TEST(reply_and_receive_in_one_entry)
{
    begin();
    struct ends ends = new_channel(a, 8, 64, 2, 2);
    struct actor *client = spawn_thread(a, 5);
    MUST(a, PORT_BIND, port, ends.end1, 9, SIGNAL_READABLE);
    EXPECT_CALL(BLOCKED, a, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    for (unsigned i = 0; i < 20; i++) {
        EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, ends.end0, MSG(i, 0), ABI_DEADLINE_NEVER);
        EXPECT_EQUAL(ended(a).value[2], MSG(i, 0) | MSG_CALL);
        EXPECT_CALL(BLOCKED, a, CHANNEL_REPLY_RECEIVE, ends.end1, a->out.value[3], MSG(i + 1, 0),
                    port, ABI_DEADLINE_NEVER);
        EXPECT_EQUAL(ended(client).value[0], MSG(i + 1, 0));
    }
    MUST(client, CHANNEL_SEND, ends.end0, MSG(3, 0));
    EXPECT_EQUAL(ended(a).value[2], MSG(3, 0));
    // A reply that fails is a flag on what comes next, now or later.
    MUST(client, CHANNEL_SEND, ends.end0, MSG(4, 0));
    struct outcome out = CALL(a, CHANNEL_REPLY_RECEIVE, ends.end1, 77, MSG(0, 0), port, 0);
    EXPECT_EQUAL(out.value[2], MSG(4, 0) | MSG_REPLY_FAILED);
    EXPECT_CALL(BLOCKED, a, CHANNEL_REPLY_RECEIVE, ends.end1, 77, MSG(0, 0), port,
                ABI_DEADLINE_NEVER);
    MUST(client, CHANNEL_SEND, ends.end0, MSG(5, 0));
    EXPECT_EQUAL(ended(a).value[2], MSG(5, 0) | MSG_REPLY_FAILED);
    MUST(client, CHANNEL_SEND, ends.end0, MSG(6, 0));
    EXPECT_EQUAL(CALL(a, PORT_RECEIVE, port, 0).value[2], MSG(6, 0));
    EXPECT_CALL(TIMED_OUT, a, CHANNEL_REPLY_RECEIVE, ends.end1, 77, MSG(0, 0), port, 0);
    world_check();
    world_end();
}

// IPC-51
TEST(a_reply_is_made_once_however_long_the_receive_takes)
{
    begin();
    struct ends ends = new_channel(a, 8, 64, 2, 2);
    struct actor *client = spawn_thread(a, 5);
    for (unsigned i = 0; i < 40; i++) {
        uint64_t empty = MUST(a, EVENT_CREATE, a->account);
        MUST(a, PORT_BIND, port, empty, i, 1);
        MUST(a, EVENT_SIGNAL, empty, 1);
        MUST(a, EVENT_CLEAR, empty, 1);
    }
    EXPECT_CALL(BLOCKED, client, CHANNEL_CALL, ends.end0, MSG(8, 0), ABI_DEADLINE_NEVER);
    uint64_t token = CALL(a, CHANNEL_RECEIVE, ends.end1, 0).value[1];
    EXPECT_CALL(BLOCKED, a, CHANNEL_REPLY_RECEIVE, ends.end1, token, MSG(9, 0), port,
                ABI_DEADLINE_NEVER);
    EXPECT_EQUAL(ended(client).value[0], MSG(9, 0));
    MUST(client, PORT_BIND, port, event, 99, 1);
    MUST(client, EVENT_SIGNAL, event, 1);
    EXPECT_EQUAL(ended(a).value[0], 99);
    EXPECT_EQUAL(a->out.value[2], 0); // no REPLY_FAILED
    world_end();
}

// IPC-47
TEST(the_last_event_of_what_is_gone)
{
    begin();
    MUST(a, PORT_BIND, port, event, 5, 1);
    uint64_t objects = account_behind(a, a->account)->objects.used;
    MUST(a, HANDLE_CLOSE, event);
    // The slot lives on, at the port's charge, until the port has heard.
    EXPECT_EQUAL(account_behind(a, a->account)->objects.used, objects - 1);
    world_check();
    expect_event(a, 5, SIGNAL_GONE);
    EXPECT_EQUAL(account_behind(a, a->account)->objects.used, objects - 2);
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, port, 0);
    // Signalled and gone: GONE says it all.
    event = MUST(a, EVENT_CREATE, a->account);
    MUST(a, PORT_BIND, port, event, 6, 1);
    MUST(a, EVENT_SIGNAL, event, 1);
    MUST(a, OBJECT_DESTROY, event);
    expect_event(a, 6, SIGNAL_GONE);
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, port, 0);
    // One that waits is told.
    event = MUST(a, EVENT_CREATE, a->account);
    MUST(a, PORT_BIND, port, event, 7, 1);
    EXPECT_CALL(BLOCKED, b, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    MUST(a, OBJECT_DESTROY, event);
    EXPECT_EQUAL(ended(b).value[0], 7);
    EXPECT_EQUAL(b->out.value[1], SIGNAL_GONE);
    world_check();
    world_end();
}

// IPC-50
TEST(a_port_with_ghosts_ends)
{
    begin();
    for (unsigned i = 0; i < 20; i++) {
        uint64_t bound = MUST(a, EVENT_CREATE, a->account);
        MUST(a, PORT_BIND, port, bound, i, 1);
        if (i % 2)
            MUST(a, OBJECT_DESTROY, bound);
    }
    world_check();
    MUST(a, HANDLE_CLOSE, port);
    world_check();
    world_end();
}

// IPC-47
TEST(ghosts_of_another_account)
{
    begin();
    uint64_t account = new_account(100, 100);
    struct actor *other = spawn(account, 10);
    uint64_t theirs = MUST(other, EVENT_CREATE, other->account);
    MUST(a, PORT_BIND, port, grant(a, other, theirs), 5, 1);
    uint64_t process = grant(a, world.boss, other->process_handle);
    MUST(a, PORT_BIND, port, process, 6, SIGNAL_TERMINATED);
    MUST(world.boss, OBJECT_DESTROY, account);
    MUST(world.boss, OBJECT_WAIT, account, SIGNAL_TERMINATED, 0);
    world_check();
    unsigned seen = 0;
    for (struct outcome out; (out = CALL(a, PORT_RECEIVE, port, 0)).status == STATUS_OK;) {
        EXPECT_EQUAL(out.value[1], SIGNAL_GONE);
        seen |= 1u << out.value[0];
    }
    EXPECT_EQUAL(seen, 1u << 5 | 1u << 6);
    world_check();
    world_end();
}

// IPC-50
TEST(the_ports_account_ends)
{
    begin();
    uint64_t account = new_account(100, 100);
    struct actor *other = spawn(account, 10);
    uint64_t theirs = MUST(other, PORT_CREATE, other->account);
    uint64_t here = grant(a, other, theirs);
    MUST(a, PORT_BIND, here, event, 5, 1);
    EXPECT_CALL(BLOCKED, b, PORT_RECEIVE, here, ABI_DEADLINE_NEVER);
    MUST(world.boss, OBJECT_DESTROY, account);
    EXPECT_STATUS(ended(b).status, GONE);
    MUST(a, EVENT_SIGNAL, event, 1);
    MUST(a, PORT_BIND, port, event, 5, 1); // free to be bound again
    world_check();
    world_end();
}

// ---- timers

// OBJ-25
TEST(timers)
{
    begin();
    uint64_t timer = MUST(a, TIMER_CREATE, a->account);
    MUST(a, PORT_BIND, port, timer, 3, SIGNAL_FIRED);
    MUST(a, TIMER_SET, timer, host_ticks + 1000);
    advance(999);
    EXPECT_CALL(TIMED_OUT, a, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
    advance(1);
    MUST(a, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
    expect_event(a, 3, SIGNAL_FIRED);
    MUST(a, TIMER_SET, timer, host_ticks + 1000); // set anew: FIRED is cleared
    EXPECT_CALL(TIMED_OUT, a, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
    MUST(a, TIMER_SET, timer, host_ticks + 5000);
    advance(1000);
    EXPECT_CALL(TIMED_OUT, a, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
    MUST(a, TIMER_CANCEL, timer);
    advance(10'000);
    EXPECT_CALL(TIMED_OUT, a, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
    MUST(a, TIMER_SET, timer, 0); // in the past: at once
    settle();
    MUST(a, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
    MUST(a, TIMER_SET, timer, ABI_DEADLINE_NEVER);
    advance(1ull << 40);
    EXPECT_CALL(TIMED_OUT, a, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
    MUST(a, TIMER_SET, timer, host_ticks + 100);
    MUST(a, HANDLE_CLOSE, timer);
    advance(1000);
    world_end();
}

// OBJ-25
TEST(many_timers_fire_in_order_and_none_early)
{
    begin();
    uint64_t timers[60], when[60];
    struct random random = {test_seed()};
    for (unsigned i = 0; i < 60; i++) {
        timers[i] = MUST(a, TIMER_CREATE, a->account);
        when[i] = host_ticks + random_below(&random, 100) * 10;
        MUST(a, TIMER_SET, timers[i], when[i]);
    }
    for (unsigned step = 0; step < 110; step++) {
        for (unsigned i = 0; i < 60; i++) {
            struct outcome out = CALL(a, OBJECT_WAIT, timers[i], SIGNAL_FIRED, 0);
            EXPECT_EQUAL(out.status, when[i] <= host_ticks ? STATUS_OK : STATUS_TIMED_OUT);
        }
        advance(10);
    }
    world_end();
}

TEST(the_clock)
{
    begin();
    advance(12'345);
    EXPECT_EQUAL(MUST(a, CLOCK_READ), 12'345);
    struct outcome info = CALL(a, CLOCK_INFO);
    advance(1'000'000'007);
    uint64_t ns = info.value[0] +
                  (uint64_t)((unsigned __int128)(host_ticks - info.value[1]) * info.value[2] >>
                             info.value[3]);
    EXPECT_EQUAL(MUST(a, CLOCK_READ), ns);
    EXPECT_CALL(NO_SYSCALL, a, COUNT);
    EXPECT_EQUAL(call_number(a, UINT64_MAX, ARGUMENTS()).status, STATUS_NO_SYSCALL);
    a->thread->context->result[0] = 77;
    EXPECT_EQUAL(CALL(a, COUNT).value[0], 77); // it has no results
    world_end();
}

// A process that goes with its account has not terminated.
TEST(a_bound_process_goes_with_its_account)
{
    begin();
    uint64_t account = new_account(60, 40);
    struct actor *c = spawn(account, 5);
    uint64_t process = grant(a, c, c->own_process);
    MUST(a, PORT_BIND, port, process, 3, SIGNAL_TERMINATED);
    EXPECT_CALL(BLOCKED, b, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    MUST(world.boss, OBJECT_DESTROY, account);
    EXPECT_EQUAL(ended(b).value[0], 3);
    EXPECT_EQUAL(b->out.value[1], SIGNAL_GONE);
    world_end();
}

TEST(a_call_that_a_port_brings_is_answered_by_its_token)
{
    begin();
    struct ends ends = new_channel(a, 1, 64, 0, 1);
    MUST(a, PORT_BIND, port, ends.end1, 6, SIGNAL_READABLE);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_CALL(BLOCKED, b, CHANNEL_CALL, ends.end0, MSG(1, 0), ABI_DEADLINE_NEVER);
        struct outcome out = CALL(a, PORT_RECEIVE, port, 0);
        EXPECT_STATUS(out.status, OK);
        EXPECT_EQUAL(out.value[1], SIGNAL_READABLE);
        set_text(a, "so");
        EXPECT_CALL(OK, a, CHANNEL_REPLY, ends.end1, out.value[3], MSG(3, 0));
        EXPECT_STATUS(ended(b).status, OK);
        EXPECT(strcmp(text_of(b), "so") == 0);
    }
    world_end();
}
