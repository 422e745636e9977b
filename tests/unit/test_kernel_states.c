// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// An object of each type in each state that a handle can name, those too that last a moment: the
// caller is held as the running thread, and what would end the state waits behind it. Each call that
// takes any object meets all of them, and each that takes one whose states it depends on meets those
// (tools/calls.py tells what is missing).
#include <abi_table.h>

#include "channel.h"
#include "dma.h"
#include "handlers.h"
#include "interrupt.h"
#include "kernel_world.h"

static const struct subject {
    const char *name;
    enum abi_object type;
    unsigned state;
    status_t destroyed; // what object_destroy answers
    uint32_t raised;    // signals that come: sooner or later, when it is destroyed
} subjects[] = {
    {"a live account", OBJECT_ACCOUNT, ACCOUNT_LIVE, STATUS_OK, SIGNAL_TERMINATED},
    {"a dying account", OBJECT_ACCOUNT, ACCOUNT_DYING, STATUS_BAD_STATE, SIGNAL_TERMINATED},
    {"a dead account", OBJECT_ACCOUNT, ACCOUNT_DEAD, STATUS_BAD_STATE, SIGNAL_TERMINATED},
    {"a new process", OBJECT_PROCESS, PROCESS_CREATED, STATUS_OK, SIGNAL_TERMINATED},
    {"a running process", OBJECT_PROCESS, PROCESS_RUNNING, STATUS_OK, SIGNAL_TERMINATED},
    {"an exiting process", OBJECT_PROCESS, PROCESS_EXITING, STATUS_OK, SIGNAL_TERMINATED},
    {"a dead process", OBJECT_PROCESS, PROCESS_DEAD, STATUS_OK, SIGNAL_TERMINATED},
    {"a new thread", OBJECT_THREAD, THREAD_NEW, STATUS_OK, SIGNAL_TERMINATED},
    {"a ready thread", OBJECT_THREAD, THREAD_READY, STATUS_OK, SIGNAL_TERMINATED},
    {"a running thread", OBJECT_THREAD, THREAD_RUNNING, STATUS_OK, SIGNAL_TERMINATED},
    {"a blocked thread", OBJECT_THREAD, THREAD_BLOCKED, STATUS_OK, SIGNAL_TERMINATED},
    {"a throttled thread", OBJECT_THREAD, THREAD_THROTTLED, STATUS_OK, SIGNAL_TERMINATED},
    {"an exiting thread", OBJECT_THREAD, THREAD_EXITING, STATUS_OK, SIGNAL_TERMINATED},
    {"a dead thread", OBJECT_THREAD, THREAD_DEAD, STATUS_OK, SIGNAL_TERMINATED},
    {"an address space", OBJECT_ASPACE, 0, STATUS_NOT_SUPPORTED, 0},
    {"memory", OBJECT_VMO, VMO_READY, STATUS_OK, 0},
    {"a connected channel", OBJECT_CHANNEL, CHANNEL_CONNECTED, STATUS_OK, SIGNAL_READABLE},
    {"a draining channel", OBJECT_CHANNEL, CHANNEL_DRAINING, STATUS_OK, SIGNAL_PEER_CLOSED},
    {"a port", OBJECT_PORT, 0, STATUS_OK, 0},
    {"an event", OBJECT_EVENT, 0, STATUS_OK, 1 << 3},
    {"a timer", OBJECT_TIMER, 0, STATUS_OK, SIGNAL_FIRED},
    {"an idle interrupt", OBJECT_INTERRUPT, INTERRUPT_IDLE, STATUS_OK, SIGNAL_INTERRUPT},
    {"a pending interrupt", OBJECT_INTERRUPT, INTERRUPT_PENDING, STATUS_OK, SIGNAL_INTERRUPT},
    {"one that was raised again", OBJECT_INTERRUPT, INTERRUPT_AGAIN, STATUS_OK, SIGNAL_INTERRUPT},
    {"a range of ports", OBJECT_IORANGE, 0, STATUS_OK, 0},
    {"a DMA space", OBJECT_DMASPACE, 0, STATUS_OK, 0},
    {"a pin", OBJECT_PIN, PIN_ACTIVE, STATUS_OK, 0},
    {"the machine", OBJECT_MACHINE, 0, STATUS_NOT_SUPPORTED, 0},
    {"the log", OBJECT_LOG, 0, STATUS_NOT_SUPPORTED, 0},
};

constexpr uint32_t NEVER_RAISED = 1 << 5;
constexpr uint64_t DEVICE = 7, BUFFER = 0x4000'0000;

static const struct subject *subject;
static uint64_t it;               // a handle to it, in the table of `a`
static uint64_t its_process;      // of a thread or an address space
static uint64_t machine, end1;    // the other end of a channel
static uint64_t its_payer;        // the account of `a`, in the boss's table
static struct actor *a, *sibling; // of one process; `a` is held

static uint64_t new_thread(uint64_t cpu)
{
    its_process = MUST(a, PROCESS_CREATE, a->account, 0);
    uint64_t thread = MUST(a, THREAD_CREATE, its_process, 5, BUFFER);
    MUST(a, THREAD_SET_CPU, thread, cpu);
    return thread;
}

// What can be made before `a` is held.
static uint64_t make(void)
{
    uint64_t vmo, space;
    switch (subject->type) {
    case OBJECT_ACCOUNT:
        return MUST(a, ACCOUNT_CREATE, a->account, 60, 60);
    case OBJECT_PROCESS:
        its_process = MUST(a, PROCESS_CREATE, a->account, 0);
        if (subject->state != PROCESS_CREATED)
            MUST(a, HANDLE_CLOSE, MUST(a, THREAD_CREATE, its_process, 5, BUFFER));
        return its_process;
    case OBJECT_THREAD: {
        bool throttled = subject->state == THREAD_THROTTLED;
        if (throttled) // its first period is one of nothing
            MUST(world.boss, ACCOUNT_BUDGET, world.root_account, its_payer, 1, 1'000'000,
                 10'000'000);
        uint64_t thread = new_thread(subject->state == THREAD_RUNNING || throttled);
        if (subject->state == THREAD_RUNNING || subject->state == THREAD_BLOCKED || throttled)
            MUST(a, THREAD_START, thread, 0x1000, 0, 0, 0);
        return thread;
    }
    case OBJECT_ASPACE: {
        struct outcome out = CALL(a, PROCESS_CREATE, a->account, 0);
        its_process = out.value[0];
        return out.value[1];
    }
    case OBJECT_VMO:
        return MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
    case OBJECT_CHANNEL: {
        struct ends ends = new_channel(a, 2, 64, 1, 1);
        end1 = ends.end1;
        return ends.end0;
    }
    case OBJECT_PORT:
        return MUST(a, PORT_CREATE, a->account);
    case OBJECT_EVENT:
        return MUST(a, EVENT_CREATE, a->account);
    case OBJECT_TIMER:
        return MUST(a, TIMER_CREATE, a->account);
    case OBJECT_INTERRUPT:
        return MUST(a, MACHINE_INTERRUPT, machine, a->account, 10, TRIGGER_EDGE);
    case OBJECT_IORANGE:
        return MUST(a, MACHINE_IO_RANGE, machine, a->account, 0x60, 4);
    case OBJECT_DMASPACE:
        return MUST(a, MACHINE_DMA_SPACE, machine, a->account, DEVICE);
    case OBJECT_PIN:
        vmo = MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
        space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, DEVICE);
        return MUST(a, PIN_CREATE, space, a->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
    case OBJECT_MACHINE:
        return machine;
    case OBJECT_LOG:
        return grant(a, world.boss, world.log);
    case OBJECT_NONE:
    case OBJECT_MAPPING:
    case OBJECT_COUNT:
        break;
    }
    return 0;
}

// Brings it to its state: with ordinary calls, or with `a` held.
static void change(bool held)
{
    enum abi_object type = subject->type;
    unsigned state = subject->state;
    bool ends = (type == OBJECT_ACCOUNT && state >= ACCOUNT_DYING) ||
                (type == OBJECT_PROCESS && state >= PROCESS_EXITING) ||
                (type == OBJECT_THREAD && state >= THREAD_EXITING);
    bool lasts = (type == OBJECT_ACCOUNT && state == ACCOUNT_DEAD) ||
                 (type == OBJECT_PROCESS && state == PROCESS_DEAD) ||
                 (type == OBJECT_THREAD && state == THREAD_DEAD);
    if (ends && lasts && !held)
        MUST(a, OBJECT_DESTROY, it);
    else if (ends && !lasts && held)
        EXPECT_STATUS(HELD(a, OBJECT_DESTROY, it).status, OK);
    else if (type == OBJECT_THREAD && state == THREAD_READY && held)
        EXPECT_STATUS(HELD(a, THREAD_START, it, 0x1000, 0, 0, 0).status, OK);
    else if (type == OBJECT_CHANNEL && state == CHANNEL_DRAINING && !held)
        MUST(a, HANDLE_CLOSE, end1);
    if (type != OBJECT_INTERRUPT || held)
        return;
    for (unsigned raised = INTERRUPT_IDLE; raised < state; raised++) {
        host_line_pulse(10);
        settle();
    }
}

static struct actor *actor_behind(uint64_t handle)
{
    for (unsigned i = 0; i < world.actor_count; i++)
        if (&world.actors[i].thread->object == object_behind(a, handle))
            return &world.actors[i];
    test_fail(__FILE__, __LINE__, "no actor is the thread");
}

static unsigned state_of_it(void)
{
    struct object *object = object_behind(a, it);
    return subject->type == OBJECT_THREAD ? thread_state(thread_of(object)) : object->state;
}

// A world with `a` held and the subject in its state, for which `waiters` others wait.
static void begin(unsigned waiters, void (*prepare)(void))
{
    world_begin((struct world_options){.ram_bytes = 8 << 20, .cpus = 2});
    its_payer = new_account(400, 400);
    a = spawn(its_payer, 10);
    sibling = spawn_thread(a, 9);
    machine = grant(a, world.boss, world.machine);
    it = make();
    for (unsigned i = 0; i < waiters; i++)
        EXPECT_CALL(BLOCKED, spawn_thread(a, 3), OBJECT_WAIT, it, NEVER_RAISED, ABI_DEADLINE_NEVER);
    change(false);
    if (prepare)
        prepare();
    if (subject->type == OBJECT_THREAD && subject->state == THREAD_RUNNING)
        hold(actor_behind(it));
    hold(a);
    change(true);
    if (state_of_it() != subject->state)
        test_fail(__FILE__, __LINE__, "%s is in state %u", subject->name, state_of_it());
}

static void end(void)
{
    world_end_after_quarantine(DEVICE);
}

static void expect(status_t got, status_t wanted, const char *what)
{
    if (got != wanted)
        test_fail(__FILE__, __LINE__, "%s of %s: %s, not %s", what, subject->name,
                  got < STATUS_COUNT ? abi_status_names[got] : "BLOCKED",
                  wanted < STATUS_COUNT ? abi_status_names[wanted] : "BLOCKED");
}

static void for_each_subject(unsigned waiters, void (*try)(void))
{
    for (subject = subjects; subject < subjects + ARRAY_SIZE(subjects); subject++) {
        begin(waiters, nullptr);
        try();
        end();
    }
}

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

// ---- calls on one type

// With `prepare` done while `a` is not held yet.
static void for_each_of(enum abi_object type, void (*prepare)(void), void (*try)(void))
{
    for (subject = subjects; subject < subjects + ARRAY_SIZE(subjects); subject++) {
        if (subject->type != type)
            continue;
        begin(0, prepare);
        try();
        end();
    }
}

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
            begin(0, make_some);
            struct actor *other = spawn_thread_on(1, a, 8);
            hold(other);
            uint64_t arguments[6];
            good_arguments(number, a->account, arguments);
            arguments[i] = it;
            stopped_call(a, (const void *)handles_reserve, number, arguments);
            EXPECT_STATUS(HELD(other, OBJECT_DESTROY, it).status, OK);
            expect(go_on(a).status, STATUS_BAD_STATE, abi_calls[number].name);
            end();
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
    begin(0, settle_in);
    EXPECT_STATUS(HELD(a, VM_MAP, inmates.value[1], vmo, 0, BUFFER, PAGE_SIZE, PROT_READ).status,
                  BAD_STATE);
    EXPECT_STATUS(HELD(a, THREAD_CREATE, inmates.value[0], 5, BUFFER).status, BAD_STATE);
    EXPECT_STATUS(HELD(a, PORT_BIND, port, event, 1, 1).status, BAD_STATE);
    end();
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
    begin(0, nullptr);
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
    end();
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
    end();
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
            end();
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
    end();
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
