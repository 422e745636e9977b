// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c tests/unit/kernel_meanwhile.c
//
// What is another one's by now, in the middle of a call on another CPU: a slot of the handle table, a binding, an
// interrupt's line, a thread that is started.
#include <string.h>

#include "cpu.h"
#include "kernel_meanwhile.h"

// ---- a slot of the handle table

static uint64_t used, used_again;

static void it_is_used_again(void)
{
    if (CALL(other, HANDLE_CLOSE, used).status == STATUS_OK)
        used_again = MUST(other, EVENT_CREATE, other->account);
}

// The table is full: what is closed is used again at once.
TEST(a_slot_is_used_again_under_a_lookup)
{
    world_begin((struct world_options){.cpus = 2});
    user = spawn(new_account(9, 300), 10); // one page of handles, and none for another
    other = spawn_thread_on(1, user, 10);
    used = MUST(user, EVENT_CREATE, user->account);
    while (CALL(user, HANDLE_DUPLICATE, used, 0).status == STATUS_OK) {}
    EXPECT_EQUAL(user->process->handles_used, HANDLES_PER_PAGE);
    unsigned seen[STATUS_COUNT] = {};
    bool happened = true;
    for (unsigned nth = 1; happened; nth++) {
        used_again = 0;
        meanwhile(nullptr, nth, it_is_used_again);
        struct outcome out = CALL(user, EVENT_SIGNAL, used, 1);
        happened = meanwhile_happened() && used_again;
        meanwhile(nullptr, 0, nullptr);
        settle();
        seen[out.status]++;
        EXPECT(out.status == STATUS_OK || out.status == STATUS_BAD_HANDLE ||
               out.status == STATUS_GONE);
        if (!happened)
            break;
        EXPECT_EQUAL((uint32_t)used_again, (uint32_t)used);
        EXPECT_EQUAL(MUST(user, EVENT_CLEAR, used_again, 1), 0); // it was never meant
        used = used_again;
    }
    EXPECT(seen[STATUS_OK] && seen[STATUS_BAD_HANDLE]);
    world_end();
}

// ---- bindings

static uint64_t second_port;

static void it_is_bound_elsewhere(void)
{
    if (CALL(other, PORT_UNBIND, event).status == STATUS_OK)
        EXPECT_CALL(OK, other, PORT_BIND, second_port, event, 9, 1);
}

// Whatever another CPU did meanwhile, the event is bound to the second port in the end, and told there.
static void expect_bound_elsewhere(void)
{
    meanwhile(nullptr, 0, nullptr);
    settle();
    (void)CALL(user, PORT_UNBIND, event);
    MUST(user, PORT_BIND, second_port, event, 9, 1);
    EXPECT_EQUAL(MUST(user, PORT_RECEIVE, second_port, 0), 9);
    MUST(user, PORT_UNBIND, event);
    world_check();
}

TEST(what_a_port_has_to_tell_is_bound_elsewhere)
{
    begin();
    port = MUST(user, PORT_CREATE, user->account);
    second_port = MUST(user, PORT_CREATE, user->account);
    MUST(user, EVENT_SIGNAL, event, 1);
    unsigned seen[STATUS_COUNT] = {};
    bool happened = true;
    for (unsigned nth = 1; happened; nth++) {
        MUST(user, PORT_BIND, port, event, 7, 1);
        meanwhile((void *)lock_acquire, nth, it_is_bound_elsewhere);
        struct outcome out = CALL(user, PORT_RECEIVE, port, 0);
        happened = meanwhile_happened();
        seen[out.status]++;
        EXPECT(out.status == STATUS_OK || out.status == STATUS_TIMED_OUT);
        if (out.status == STATUS_OK)
            EXPECT_EQUAL(out.value[0], 7);
        expect_bound_elsewhere();
    }
    EXPECT(seen[STATUS_OK] && seen[STATUS_TIMED_OUT]);
    world_end();
}

TEST(what_a_port_that_ends_had_bound_is_bound_elsewhere)
{
    begin();
    second_port = MUST(user, PORT_CREATE, user->account);
    MUST(user, EVENT_SIGNAL, event, 1);
    bool happened = true;
    for (unsigned nth = 1; happened; nth++) {
        port = MUST(user, PORT_CREATE, user->account);
        MUST(user, PORT_BIND, port, event, 7, 1);
        meanwhile((void *)lock_acquire, nth, it_is_bound_elsewhere);
        MUST(user, OBJECT_DESTROY, port);
        happened = meanwhile_happened();
        settle();
        if (happened && !has_ended(other))
            test_fail(__FILE__, __LINE__, "the other waits for ever");
        if (happened && other->number == SYSCALL_PORT_BIND) // it is not the old port's to unbind
            EXPECT_EQUAL(MUST(user, PORT_RECEIVE, second_port, 0), 9);
        expect_bound_elsewhere();
        MUST(user, HANDLE_CLOSE, port);
    }
    world_end();
}

TEST(what_a_port_that_ends_had_bound_goes)
{
    begin();
    bool happened = true;
    for (unsigned nth = 1; happened; nth++) {
        port = MUST(user, PORT_CREATE, user->account);
        victim = event = MUST(user, EVENT_CREATE, user->account);
        MUST(user, PORT_BIND, port, event, 7, 1);
        uint32_t objects = objects_free();
        meanwhile((void *)lock_acquire, nth, it_goes_as_far_as_it_can);
        MUST(user, OBJECT_DESTROY, port);
        happened = meanwhile_happened();
        meanwhile(nullptr, 0, nullptr);
        settle();
        if (!happened)
            it_goes();
        EXPECT_EQUAL(objects_free(), objects + 2);
        MUST(user, HANDLE_CLOSE, port);
        MUST(user, HANDLE_CLOSE, event);
        world_check();
    }
    world_end();
}

// ---- lines

static uint64_t line, next_line;

static void the_line_is_anothers(void)
{
    EXPECT_CALL(OK, other, OBJECT_DESTROY, line);
    next_line = MUST(other, MACHINE_INTERRUPT, machine, user->account, 10, TRIGGER_EDGE);
}

static void the_line_is_nobodys(void)
{
    EXPECT_CALL(OK, other, OBJECT_DESTROY, line);
}

TEST(an_interrupt_of_one_that_goes)
{
    begin();
    line = MUST(user, MACHINE_INTERRUPT, machine, user->account, 10, TRIGGER_EDGE);
    meanwhile((void *)object_lock, 1, the_line_is_anothers);
    host_line_pulse(10);
    settle();
    EXPECT(meanwhile_happened());
    EXPECT(!host_lines[10].masked); // its new owner hears the next
    host_line_pulse(10);
    settle();
    EXPECT_EQUAL(MUST(user, INTERRUPT_ACKNOWLEDGE, next_line), 1);
    line = next_line;
    meanwhile((void *)object_lock, 1, the_line_is_nobodys);
    host_line_pulse(10);
    settle();
    EXPECT(meanwhile_happened());
    EXPECT(host_lines[10].masked);
    // Its end has begun, and goes on when the caller leaves the CPU: the line is masked until then.
    line = MUST(user, MACHINE_INTERRUPT, machine, user->account, 10, TRIGGER_EDGE);
    hold(user);
    EXPECT_STATUS(HELD(user, OBJECT_DESTROY, line).status, OK);
    EXPECT(!host_lines[10].masked);
    host_line_pulse(10);
    on_cpu(0, nothing);
    EXPECT(host_lines[10].masked);
    settle();
    world_end();
}

// ---- a thread that goes while it is started

static struct thread *starting;

static void its_process_ends(void)
{
    EXPECT_CALL(OK, other, OBJECT_DESTROY, victim);
    EXPECT(starting->left && thread_state(starting) == THREAD_EXITING);
    EXPECT(starting->buffer_mapping.object); // it still has its context
}

static void another_closes_the_gift(void)
{
    EXPECT_CALL(OK, other, HANDLE_CLOSE, event);
}

// Until the caller is done with it, what it has stays. From the end of its process on nothing is put
// into the process's table.
TEST(a_start_against_the_end)
{
    world_begin((struct world_options){.cpus = 3});
    user = spawn(new_account(600, 300), 10);
    other = spawn_thread_on(2, user, 10);
    struct actor *maker = spawn_thread_on(1, user, 10);
    for (unsigned i = 0; i < 3; i++) {
        event = MUST(user, EVENT_CREATE, user->account);
        struct outcome made = CALL(user, PROCESS_CREATE, user->account, 0);
        uint64_t thread = MUST(maker, THREAD_CREATE, made.value[0], 5, 0x80'0000);
        victim = made.value[0];
        starting = thread_of(object_behind(user, thread));
        const struct process *process = starting->process;
        meanwhile(i == 0   ? (void *)handle_place
                  : i == 1 ? (void *)handles_reserve
                           : (void *)handles_hold,
                  1, i == 2 ? another_closes_the_gift : its_process_ends);
        status_t status = CALL(user, THREAD_START, thread, 0x1000, 0, 0, event).status;
        EXPECT(meanwhile_happened());
        EXPECT_EQUAL(status, i == 0 ? STATUS_OK : i == 1 ? STATUS_NO_HANDLES : STATUS_BAD_HANDLE);
        settle();
        EXPECT_EQUAL(process->handles_reserved, 0);
        if (i == 2)
            MUST(user, OBJECT_DESTROY, victim);
        MUST(user, HANDLE_CLOSE, thread);
        MUST(user, HANDLE_CLOSE, made.value[0]);
        MUST(user, HANDLE_CLOSE, made.value[1]);
        world_check();
    }
    world_end();
}
