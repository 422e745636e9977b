// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c tests/unit/kernel_subjects.c
//
// Calls that take one type of object, in each of its states (kernel_subjects.h; tools/calls.py tells what is
// missing), and what ends meanwhile.
#include <abi_table.h>

#include "kernel_subjects.h"

static uint64_t space, vmo, connected, draining, port, event;

static void make_some(void)
{
    space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, DEVICE);
    vmo = MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
    connected = new_channel(a, 2, 64, 1, 1).end0;
    struct ends ends = new_channel(a, 2, 64, 1, 1);
    draining = ends.end0;
    MUST(a, HANDLE_CLOSE, ends.end1);
}

// For each call that an account pays for, arguments that are as they should be.
static void good_arguments(uint64_t number, uint64_t payer, uint64_t arguments[6])
{
    const uint64_t *good = ARGUMENTS(payer);
    if (number == SYSCALL_ACCOUNT_CREATE)
        good = ARGUMENTS(payer, 2, 2);
    else if (number == SYSCALL_VMO_CREATE)
        good = ARGUMENTS(payer, PAGE_SIZE, 0);
    else if (number == SYSCALL_CHANNEL_CREATE)
        good = ARGUMENTS(payer, payer, ABI_CHANNEL_SHAPE(2, 64, 1, 1), OVERFLOW_REJECT);
    else if (number == SYSCALL_VMO_SLICE)
        good = ARGUMENTS(payer, vmo, 0, PAGE_SIZE, RIGHT_READ);
    else if (number == SYSCALL_PIN_CREATE)
        good = ARGUMENTS(space, payer, vmo, 0, PAGE_SIZE, DMA_BOTH);
    else if (number == SYSCALL_MACHINE_DEVICE_MEMORY)
        good = ARGUMENTS(machine, payer, 0xe000'0000, PAGE_SIZE, MEMORY_DEVICE);
    else if (number == SYSCALL_MACHINE_IO_RANGE)
        good = ARGUMENTS(machine, payer, 0x70, 4);
    else if (number == SYSCALL_MACHINE_INTERRUPT)
        good = ARGUMENTS(machine, payer, 11, TRIGGER_EDGE);
    else if (number == SYSCALL_MACHINE_MESSAGE_INTERRUPT)
        good = ARGUMENTS(machine, payer, 0xd000'1000, 3, DEVICE);
    else if (number == SYSCALL_MACHINE_DMA_SPACE)
        good = ARGUMENTS(machine, payer, DEVICE);
    memcpy(arguments, good, 6 * sizeof *arguments);
}

static void pay(void)
{
    status_t wanted = subject->state == ACCOUNT_LIVE ? STATUS_OK : STATUS_BAD_STATE;
    for (unsigned number = 0; number < SYSCALL_COUNT; number++)
        for (unsigned i = 0; i < abi_calls[number].args; i++) {
            if (abi_calls[number].arg[i].object != OBJECT_ACCOUNT ||
                number == SYSCALL_ACCOUNT_RESIZE || number == SYSCALL_ACCOUNT_BUDGET ||
                number == SYSCALL_ACCOUNT_CPU)
                continue; // it pays for nothing of the caller's
            uint64_t arguments[6];
            good_arguments(number, a->account, arguments);
            if (arguments[i] != a->account)
                test_fail(__FILE__, __LINE__, "good_arguments does not know %s",
                          abi_calls[number].name);
            arguments[i] = it;
            expect(held_call(a, number, arguments).status, wanted, abi_calls[number].name);
        }
    expect(HELD(a, PROCESS_CREATE, it, connected).status, wanted, "process_create");
    expect(HELD(a, PROCESS_CREATE, it, draining).status, wanted, "process_create");
}

static void share(void)
{
    bool live = subject->state == ACCOUNT_LIVE;
    expect(HELD(a, ACCOUNT_CPU, it, 0).status, STATUS_OK, "account_cpu");
    expect(HELD(a, ACCOUNT_BUDGET, a->account, it, 0, 1'000'000, 10'000'000).status,
           live ? STATUS_NO_RESOURCE : STATUS_BAD_STATE, "account_budget");
    expect(HELD(a, ACCOUNT_BUDGET, it, a->account, 0, 1'000'000, 10'000'000).status, STATUS_INVALID,
           "account_budget below");
}

TEST(an_account_that_ends_takes_no_share)
{
    for_each_of(OBJECT_ACCOUNT, nullptr, share);
}

TEST(an_account_that_ends_pays_for_nothing)
{
    for_each_of(OBJECT_ACCOUNT, make_some, pay);
}

// It ends on another CPU while a call that found it alive is under way.
TEST(an_account_that_ends_meanwhile_pays_for_nothing)
{
    subject = subjects;
    for (unsigned number = 0; number < SYSCALL_COUNT; number++)
        for (unsigned i = 0; i < abi_calls[number].args; i++) {
            if (abi_calls[number].arg[i].object != OBJECT_ACCOUNT ||
                number == SYSCALL_ACCOUNT_RESIZE || number == SYSCALL_ACCOUNT_BUDGET ||
                number == SYSCALL_ACCOUNT_CPU)
                continue; // it pays for nothing of the caller's
            begin_subject(0, make_some);
            struct actor *other = spawn_thread_on(1, a, 8);
            hold(other);
            uint64_t arguments[6];
            good_arguments(number, a->account, arguments);
            arguments[i] = it;
            stopped_call(a, (const void *)handles_reserve, number, arguments);
            EXPECT_STATUS(HELD(other, OBJECT_DESTROY, it).status, OK);
            expect(go_on(a).status, STATUS_BAD_STATE, abi_calls[number].name);
            end_subject();
        }
}

static void resize(void)
{
    bool live = subject->state == ACCOUNT_LIVE;
    expect(HELD(a, ACCOUNT_RESIZE, a->account, it, 1, 1).status,
           live ? STATUS_OK : STATUS_BAD_STATE, "a change");
    expect(HELD(a, ACCOUNT_RESIZE, it, a->account, 1, 1).status, STATUS_INVALID, "a change by");
}

TEST(an_account_that_ends_keeps_its_size)
{
    for_each_of(OBJECT_ACCOUNT, nullptr, resize);
}

// What lives with an account that is about to end.
static struct outcome inmates;

static void settle_in(void)
{
    make_some();
    inmates = CALL(a, PROCESS_CREATE, it, 0);
    EXPECT_STATUS(inmates.status, OK);
    port = MUST(a, PORT_CREATE, it);
    event = MUST(a, EVENT_CREATE, a->account);
}

TEST(what_a_dying_account_pays_for_grows_no_more)
{
    subject = &subjects[1];
    begin_subject(0, settle_in);
    EXPECT_STATUS(HELD(a, VM_MAP, inmates.value[1], vmo, 0, BUFFER, PAGE_SIZE, PROT_READ).status,
                  BAD_STATE);
    EXPECT_STATUS(HELD(a, THREAD_CREATE, inmates.value[0], 5, BUFFER).status, BAD_STATE);
    EXPECT_STATUS(HELD(a, PORT_BIND, port, event, 1, 1).status, BAD_STATE);
    end_subject();
}

// ---- processes and threads

static void create_a_thread(void)
{
    bool ends = subject->state >= PROCESS_EXITING;
    expect(HELD(a, THREAD_CREATE, it, 5, BUFFER + 2 * PAGE_SIZE).status,
           ends ? STATUS_BAD_STATE : STATUS_OK, "a thread");
}

TEST(a_process_that_ends_gets_no_thread)
{
    for_each_of(OBJECT_PROCESS, nullptr, create_a_thread);
}

TEST(a_process_without_room_for_faults_gets_no_thread)
{
    subject = subjects;
    begin_subject(0, nullptr);
    for (unsigned calls = 0; calls < 2; calls++) {
        struct outcome ends =
            HELD(a, CHANNEL_CREATE, a->account, a->account,
                 ABI_CHANNEL_SHAPE(1, sizeof(struct abi_fault), 0, calls), OVERFLOW_REJECT);
        struct outcome out = HELD(a, PROCESS_CREATE, a->account, ends.value[0]);
        EXPECT_STATUS(out.status, OK);
        for (unsigned i = 0; i < calls; i++)
            EXPECT_STATUS(HELD(a, THREAD_CREATE, out.value[0], 5, BUFFER).status, OK);
        EXPECT_STATUS(HELD(a, THREAD_CREATE, out.value[0], 5, BUFFER + 2 * PAGE_SIZE).status, FULL);
    }
    end_subject();
}

static void control_a_thread(void)
{
    bool ends = subject->state >= THREAD_EXITING;
    status_t wanted = ends ? STATUS_BAD_STATE : STATUS_OK;
    expect(HELD(a, THREAD_SET_PRIORITY, it, 3).status, wanted, "the priority");
    expect(HELD(a, THREAD_CANCEL, it).status,
           subject->state == THREAD_BLOCKED ? STATUS_OK : STATUS_BAD_STATE, "cancelling");
    expect(HELD(a, THREAD_START, it, 0x1000, 0, 0, 0).status,
           subject->state == THREAD_NEW ? STATUS_OK : STATUS_BAD_STATE, "a start");
    expect(HELD(a, THREAD_SET_CPU, it, 1).status, wanted, "a move");
}

TEST(a_thread_that_ends_is_not_controlled)
{
    for_each_of(OBJECT_THREAD, nullptr, control_a_thread);
}

// A thread of CPU 1 in a state, `a` held on CPU 0. The actor that is held on CPU 1: the thread itself, or
// one of a's process.
static struct actor *begin_for(unsigned state)
{
    world_begin((struct world_options){.ram_bytes = 8 << 20, .cpus = 2});
    subject = &subjects[7];
    a = spawn(new_account(400, 400), 10);
    struct actor *there = spawn_thread_on(1, a, 8);
    it = new_thread(1);
    if (state >= THREAD_RUNNING)
        MUST(a, THREAD_START, it, 0x1000, 0, 0, 0);
    if (state == THREAD_RUNNING)
        there = actor_behind(it);
    hold(there);
    if (state == THREAD_READY)
        EXPECT_STATUS(HELD(there, THREAD_START, it, 0x1000, 0, 0, 0).status, OK);
    hold(a);
    EXPECT_EQUAL(state_of_it(), state);
    return there;
}

TEST(a_thread_that_starts_elsewhere_does_not_start_again)
{
    begin_for(THREAD_NEW);
    EXPECT_STATUS(HELD(a, THREAD_START, it, 0x1000, 0, 0, 0).status, OK);
    EXPECT_EQUAL(state_of_it(), THREAD_NEW); // its CPU has not heard of it
    EXPECT_STATUS(HELD(a, THREAD_START, it, 0x1000, 0, 0, 0).status, BAD_STATE);
    end_subject();
}

TEST(a_thread_that_ends_meanwhile_is_not_controlled)
{
    for (unsigned state = THREAD_NEW; state <= THREAD_BLOCKED; state++)
        for (unsigned i = 0; i < 2; i++) {
            struct actor *there = begin_for(state);
            if (i == 0)
                STOPPED(a, sys_thread_set_priority, THREAD_SET_PRIORITY, it, 3);
            else
                STOPPED(a, sys_thread_set_cpu, THREAD_SET_CPU, it, 0);
            if (state == THREAD_RUNNING)
                (void)HELD(there, THREAD_EXIT);
            else
                EXPECT_STATUS(HELD(there, OBJECT_DESTROY, it).status, OK);
            EXPECT(state_of_it() >= THREAD_EXITING);
            expect(go_on(a).status, STATUS_BAD_STATE, i == 0 ? "the priority" : "a move");
            end_subject();
        }
}

TEST(a_wait_that_is_cancelled_as_it_begins)
{
    struct actor *other = begin_for(THREAD_RUNNING);
    STOPPED(a, sys_thread_cancel, THREAD_CANCEL, it);
    EXPECT_EQUAL(state_of_it(), THREAD_RUNNING);
    EXPECT_STATUS(HELD(other, THREAD_SLEEP, ABI_DEADLINE_NEVER).status, BLOCKED);
    EXPECT_STATUS(go_on(a).status, OK);
    settle();
    EXPECT_STATUS(ended(other).status, CANCELLED);
    end_subject();
}

// ---- interrupts

static void acknowledge(void)
{
    struct actor *other = spawn_thread_on(1, a, 8);
    hold(other);
    STOPPED(a, sys_interrupt_acknowledge, INTERRUPT_ACKNOWLEDGE, it);
    for (unsigned i = INTERRUPT_IDLE; i < subject->state; i++)
        EXPECT_STATUS(HELD(other, INTERRUPT_ACKNOWLEDGE, it).status, OK);
    expect(go_on(a).status, STATUS_BAD_STATE, "acknowledging");
}

TEST(an_interrupt_that_is_acknowledged_meanwhile)
{
    for_each_of(OBJECT_INTERRUPT, nullptr, acknowledge);
}

// ---- channels

static void bind_an_event(void)
{
    port = MUST(a, PORT_CREATE, a->account);
    event = MUST(a, EVENT_CREATE, a->account);
    MUST(a, PORT_BIND, port, event, 5, 1);
}

static struct outcome reply_receive(uint64_t deadline_ns)
{
    return HELD(a, CHANNEL_REPLY_RECEIVE, it, 77, MSG(0, 0), port, deadline_ns);
}

// Whatever becomes of the reply, it receives.
static void reply_in_vain(void)
{
    expect(reply_receive(0).status, STATUS_TIMED_OUT, "receiving with an end");
    expect(HELD(a, EVENT_SIGNAL, event, 1).status, STATUS_OK, "a signal");
    struct outcome out = reply_receive(0);
    expect(out.status, STATUS_OK, "receiving with an end");
    EXPECT_EQUAL(out.value[0], 5);
    EXPECT_EQUAL(out.value[2], MSG_REPLY_FAILED);
    expect(HELD(a, EVENT_CLEAR, event, 1).status, STATUS_OK, "no signal");
    expect(reply_receive(ABI_DEADLINE_NEVER).status, STATUS_BLOCKED, "receiving with an end");
    settle();
    MUST(sibling, THREAD_CANCEL, a->own_thread);
    expect(ended(a).status, STATUS_CANCELLED, "receiving with an end");
    hold(a);
    expect(reply_receive(ABI_DEADLINE_NEVER).status, STATUS_BLOCKED, "receiving with an end");
    settle();
    MUST(sibling, OBJECT_DESTROY, port);
    expect(ended(a).status, STATUS_GONE, "receiving with an end");
}

TEST(a_reply_in_vain_does_not_end_what_is_received_after_it)
{
    for_each_of(OBJECT_CHANNEL, bind_an_event, reply_in_vain);
}

static void receive_by_many(void)
{
    bind_an_event();
    for (unsigned i = 0; i < OBJECT_WAITERS_MAX; i++)
        EXPECT_CALL(BLOCKED, spawn_thread(a, 3), PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
}

static void receive_as_one_too_many(void)
{
    expect(reply_receive(ABI_DEADLINE_NEVER).status, STATUS_FULL, "receiving with an end");
}

TEST(a_reply_after_which_too_many_receive)
{
    for_each_of(OBJECT_CHANNEL, receive_by_many, receive_as_one_too_many);
}

TEST(a_bad_handle_in_a_message)
{
    world_begin((struct world_options){});
    a = spawn(new_account(400, 400), 10);
    sibling = spawn_thread(a, 9);
    struct ends ends = new_channel(a, 2, 64, 1, 1);
    uint64_t gone = MUST(a, EVENT_CREATE, a->account);
    MUST(a, OBJECT_DESTROY, gone);
    event = MUST(a, EVENT_CREATE, a->account);
    const struct {
        uint64_t handle;
        status_t status;
    } bad[] = {
        {0x7777'0000'0001, STATUS_BAD_HANDLE},
        {MUST(a, HANDLE_DUPLICATE, event, RIGHT_WAIT), STATUS_NO_RIGHT},
        {gone, STATUS_GONE},
    };
    EXPECT_CALL(BLOCKED, sibling, CHANNEL_CALL, ends.end0, MSG_WITH_REPLY_HANDLES(MSG(1, 0), 1),
                ABI_DEADLINE_NEVER);
    struct outcome call = CALL(a, CHANNEL_RECEIVE, ends.end1, 0);
    EXPECT_STATUS(call.status, OK);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        set_handles(a, 1, &bad[i].handle);
        EXPECT_EQUAL(CALL(a, CHANNEL_SEND, ends.end0, MSG(0, 1), 0).status, bad[i].status);
        EXPECT_EQUAL(CALL(a, CHANNEL_CALL, ends.end1, MSG(0, 1), ABI_DEADLINE_NEVER).status,
                     bad[i].status);
        EXPECT_EQUAL(CALL(a, CHANNEL_REPLY, ends.end1, call.value[1], MSG(0, 1)).status,
                     bad[i].status);
    }
    set_handles(a, 1, &event);
    EXPECT_CALL(OK, a, CHANNEL_REPLY, ends.end1, call.value[1], MSG(0, 1));
    EXPECT_STATUS(ended(sibling).status, OK);
    world_end();
}
