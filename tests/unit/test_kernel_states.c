// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c tests/unit/kernel_subjects.c
//
// Calls that take any object, on each type in each state, those too that last a moment. Calls that take one type
// whose states they depend on: test_kernel_states_of_one.c (tools/calls.py tells what is missing).
#include "kernel_subjects.h"

static void inspect(void)
{
    expect(HELD(a, OBJECT_INSPECT, it).status, STATUS_OK, "an inspection");
    struct abi_inspect inspect;
    memcpy(&inspect, a->thread->message->data, sizeof inspect);
    EXPECT_EQUAL(inspect.type, subject->type);
    EXPECT_EQUAL(inspect.state, subject->state);
}

TEST(each_state_is_inspected)
{
    for_each_subject(0, inspect);
}

static void duplicate_and_close(void)
{
    struct outcome out = HELD(a, HANDLE_DUPLICATE, it, RIGHT_WAIT);
    expect(out.status, STATUS_OK, "a duplicate");
    expect(HELD(a, HANDLE_CLOSE, out.value[0]).status, STATUS_OK, "closing a duplicate");
    expect(HELD(a, HANDLE_CLOSE, it).status, STATUS_OK, "closing");
}

TEST(handles_come_and_go_in_each_state)
{
    for_each_subject(0, duplicate_and_close);
}

static void destroy(void)
{
    expect(HELD(a, OBJECT_DESTROY, it).status, subject->destroyed, "the end");
}

TEST(each_state_is_destroyed)
{
    for_each_subject(0, destroy);
}

static void wait_a_while(void)
{
    expect(HELD(a, OBJECT_WAIT, it, NEVER_RAISED, host_ticks + 1000).status, STATUS_BLOCKED,
           "a wait");
    advance(1000);
    expect(ended(a).status, STATUS_TIMED_OUT, "a wait");
}

TEST(a_wait_in_each_state_times_out)
{
    for_each_subject(0, wait_a_while);
}

static void wait_until_cancelled(void)
{
    expect(HELD(a, OBJECT_WAIT, it, NEVER_RAISED, ABI_DEADLINE_NEVER).status, STATUS_BLOCKED,
           "a wait");
    settle();
    MUST(sibling, THREAD_CANCEL, a->own_thread);
    expect(ended(a).status, STATUS_CANCELLED, "a wait");
}

TEST(a_wait_in_each_state_is_cancelled)
{
    for_each_subject(0, wait_until_cancelled);
}

static void wait_as_one_too_many(void)
{
    expect(HELD(a, OBJECT_WAIT, it, NEVER_RAISED, ABI_DEADLINE_NEVER).status, STATUS_FULL,
           "a wait");
}

TEST(a_wait_in_each_state_is_one_too_many)
{
    for_each_subject(OBJECT_WAITERS_MAX, wait_as_one_too_many);
}

// Ends it by all means: what has ended, but stays while a handle names it, too.
static void end_it(void)
{
    (void)CALL(sibling, OBJECT_DESTROY, subject->type == OBJECT_ASPACE ? its_process : it);
    settle();
    MUST(sibling, HANDLE_CLOSE, it);
}

static void wait_for_the_end(void)
{
    if (subject->type == OBJECT_MACHINE || subject->type == OBJECT_LOG)
        return;
    expect(HELD(a, OBJECT_WAIT, it, NEVER_RAISED, ABI_DEADLINE_NEVER).status, STATUS_BLOCKED,
           "a wait");
    settle();
    end_it();
    expect(ended(a).status, STATUS_GONE, "a wait");
}

TEST(a_wait_in_each_state_ends_with_its_object)
{
    for_each_subject(0, wait_for_the_end);
}

static void raise(void)
{
    if (subject->type == OBJECT_EVENT)
        MUST(sibling, EVENT_SIGNAL, it, subject->raised);
    else if (subject->type == OBJECT_TIMER)
        MUST(sibling, TIMER_SET, it, 0);
    else if (subject->type == OBJECT_CHANNEL && subject->state == CHANNEL_CONNECTED)
        EXPECT_CALL(OK, sibling, CHANNEL_SEND, end1, MSG(1, 0), 0);
    else if (subject->type == OBJECT_INTERRUPT)
        host_line_pulse(10);
    else if (subject->raised & SIGNAL_TERMINATED)
        (void)CALL(sibling, OBJECT_DESTROY, it);
    settle();
}

static void wait_for_a_signal(void)
{
    if (!subject->raised)
        return;
    struct outcome out = HELD(a, OBJECT_WAIT, it, subject->raised, ABI_DEADLINE_NEVER);
    if (out.status == STATUS_BLOCKED) {
        settle();
        if (!has_ended(a))
            raise();
        out = ended(a);
    }
    expect(out.status, STATUS_OK, "a wait");
    EXPECT_EQUAL(out.value[0], subject->raised);
}

TEST(a_wait_in_each_state_hears_what_is_raised)
{
    for_each_subject(0, wait_for_a_signal);
}

static void bind(void)
{
    bool binds = subject->type != OBJECT_PORT;
    uint64_t port = HELD(a, PORT_CREATE, a->account).value[0];
    expect(HELD(a, PORT_UNBIND, it).status, STATUS_NOT_FOUND, "unbinding");
    expect(HELD(a, PORT_BIND, port, it, 3, NEVER_RAISED).status, binds ? STATUS_OK : STATUS_INVALID,
           "binding");
    if (!binds)
        return;
    expect(HELD(a, PORT_BIND, port, it, 4, NEVER_RAISED).status, STATUS_BAD_STATE, "a second");
    expect(HELD(a, PORT_UNBIND, it).status, STATUS_OK, "unbinding");
}

TEST(each_state_is_bound_to_a_port)
{
    for_each_subject(0, bind);
}

static void give_away(void)
{
    uint64_t process = HELD(a, PROCESS_CREATE, a->account, 0).value[0];
    uint64_t thread = HELD(a, THREAD_CREATE, process, 5, BUFFER).value[0];
    uint64_t other = HELD(a, HANDLE_DUPLICATE, it, RIGHT_TRANSFER).value[0];
    expect(HELD(a, THREAD_START, thread, 0x1000, 0, 0, it).status, STATUS_OK, "a start with");
    expect(HELD(a, THREAD_START, thread, 0x1000, 0, 0, other).status, STATUS_BAD_STATE,
           "a second with");
    expect(HELD(a, HANDLE_CLOSE, other).status, STATUS_OK, "keeping"); // it was not moved
}

TEST(each_state_is_a_gift)
{
    for_each_subject(0, give_away);
}
