// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Faults: a call to the handler, its slot, and each way in which one side can leave (I2-I5).
#include "channel.h"
#include "kernel_world.h"

static struct actor *server, *faulty;
static uint64_t handler_end, exceptions_end;

static void begin_faults(uint64_t calls)
{
    world_begin((struct world_options){});
    server = spawn(new_account(100, 100), 20);
    struct ends ends = new_channel(server, 4, 64, 2, calls);
    handler_end = ends.end0;
    exceptions_end = MUST(server, HANDLE_DUPLICATE, ends.end1, RIGHTS_CHANNEL);
    struct outcome made = CALL(server, PROCESS_CREATE, server->account, ends.end1, 0x746c756166);
    EXPECT_STATUS(made.status, OK);
    EXPECT_CALL(BAD_HANDLE, server, HANDLE_CLOSE, ends.end1); // it moved into the process
    uint64_t thread = MUST(server, THREAD_CREATE, made.value[0], 5, 0x80'0000);
    MUST(server, THREAD_START, thread, 0x1234'5000, 0x7000, 0, 0);
    faulty = &world.actors[world.actor_count - 1];
    faulty->process_handle = made.value[0];
    faulty->thread_handle = thread;
}

static uint64_t take_fault(void)
{
    struct outcome out = CALL(server, CHANNEL_RECEIVE, handler_end, 0);
    EXPECT_STATUS(out.status, OK);
    EXPECT_EQUAL(out.value[0], MSG(sizeof(struct abi_fault), 0) | MSG_CALL | MSG_FAULT);
    return out.value[1];
}

static status_t answer(uint64_t token, uint64_t action, uint64_t bytes)
{
    memcpy(server->thread->message->data, &action, sizeof action);
    return CALL(server, CHANNEL_REPLY, handler_end, token, MSG(bytes, 0)).status;
}

// IPC-54
TEST(a_fault_is_a_call)
{
    begin_faults(2);
    raise_fault(faulty, FAULT_WRITE, 0xdead'0000);
    faulty->thread->context->status = 5; // a register like others
    EXPECT(faulty->thread->wait_kind == WAIT_FAULT);
    EXPECT_CALL(BAD_STATE, server, THREAD_CANCEL, faulty->thread_handle);
    world_check();
    uint64_t token = take_fault();
    const struct abi_fault *fault = (const void *)text_of(server);
    EXPECT_EQUAL(fault->cause, FAULT_WRITE);
    EXPECT_EQUAL(fault->address, 0xdead'0000);
    EXPECT_EQUAL(fault->pc, 0x1234'5000);
    EXPECT_EQUAL(fault->thread_id, faulty->thread->object.id);
    world_check();
    EXPECT_STATUS(answer(token, 7, 8), INVALID);
    EXPECT_STATUS(answer(token, FAULT_RESUME, 4), INVALID);
    EXPECT_CALL(INVALID, server, CHANNEL_REPLY, handler_end, token, MSG(8, 1));
    EXPECT_STATUS(answer(token, FAULT_RESUME, 8), OK);
    EXPECT(has_ended(faulty));
    EXPECT_EQUAL(faulty->out.status, 5);
    EXPECT_STATUS(answer(token, FAULT_RESUME, 8), NOT_FOUND);
    world_check();
    uint64_t first = token;
    raise_fault(faulty, FAULT_READ, 0);
    token = take_fault();
    EXPECT(token != first);
    EXPECT_STATUS(answer(first, FAULT_RESUME, 8), NOT_FOUND);
    EXPECT_STATUS(answer(token, FAULT_KILL, 8), OK);
    EXPECT(is_dead(faulty));
    EXPECT_STATUS(answer(token, FAULT_KILL, 8), NOT_FOUND);
    MUST(server, OBJECT_WAIT, faulty->process_handle, SIGNAL_TERMINATED, 0);
    world_check();
    world_end();
}

// IPC-55
TEST(a_fault_without_a_handler_ends_the_process)
{
    world_begin((struct world_options){});
    struct actor *a = spawn(new_account(100, 100), 10);
    struct actor *b = spawn_thread(a, 5);
    raise_fault(a, FAULT_READ, 0);
    EXPECT(is_dead(a) && is_dead(b));
    EXPECT(a->calling); // it has not run on
    MUST(world.boss, OBJECT_WAIT, a->process_handle, SIGNAL_TERMINATED, 0);
    world_end();
}

// IPC-53
TEST(a_slot_for_each_threads_faults)
{
    begin_faults(2);
    uint64_t second = MUST(server, THREAD_CREATE, faulty->process_handle, 5, 0x90'0000);
    EXPECT_CALL(FULL, server, THREAD_CREATE, faulty->process_handle, 5, 0xa0'0000);
    world_check();
    // One that cannot be made gives its slot back, and so does one that ends.
    MUST(server, OBJECT_DESTROY, second);
    EXPECT_CALL(OVERLAP, server, THREAD_CREATE, faulty->process_handle, 5, 0x80'0000);
    second = MUST(server, THREAD_CREATE, faulty->process_handle, 5, 0x90'0000);
    EXPECT_CALL(FULL, server, THREAD_CREATE, faulty->process_handle, 5, 0xa0'0000);
    MUST(server, OBJECT_DESTROY, second);
    // One whose fault was taken keeps it until the answer that comes too late.
    raise_fault(faulty, FAULT_READ, 0);
    uint64_t token = take_fault();
    second = MUST(server, THREAD_CREATE, faulty->process_handle, 5, 0x90'0000);
    MUST(server, OBJECT_DESTROY, faulty->thread_handle);
    EXPECT_CALL(FULL, server, THREAD_CREATE, faulty->process_handle, 5, 0xa0'0000);
    EXPECT_STATUS(answer(token, FAULT_RESUME, 8), CANCELLED);
    EXPECT_CALL(OK, server, THREAD_CREATE, faulty->process_handle, 5, 0xa0'0000);
    EXPECT_CALL(FULL, server, THREAD_CREATE, faulty->process_handle, 5, 0xb0'0000);
    world_check();
    world_end();
}

// IPC-57
TEST(a_fault_and_other_messages)
{
    begin_faults(2);
    uint64_t sender = MUST(server, HANDLE_DUPLICATE, exceptions_end, RIGHTS_CHANNEL);
    MUST(server, CHANNEL_SEND, sender, MSG(3, 0));
    raise_fault(faulty, FAULT_READ, 0);
    uint64_t token = take_fault(); // before what was sent earlier
    MUST(server, OBJECT_WAIT, handler_end, SIGNAL_READABLE, 0);
    EXPECT_STATUS(answer(token, FAULT_RESUME, 8), OK);
    // One that ends with its fault still to be taken leaves the message.
    raise_fault(faulty, FAULT_READ, 0);
    MUST(server, OBJECT_DESTROY, faulty->process_handle);
    MUST(server, OBJECT_WAIT, handler_end, SIGNAL_READABLE, 0);
    EXPECT_EQUAL(MUST(server, CHANNEL_RECEIVE, handler_end, 0), MSG(3, 0));
    EXPECT_CALL(TIMED_OUT, server, OBJECT_WAIT, handler_end, SIGNAL_READABLE, 0);
    world_check();
    world_end();
}

static void expect_logged(const char *text)
{
    host_console[host_console_bytes] = 0;
    if (!strstr(host_console, text))
        test_fail(__FILE__, __LINE__, "'%s' is not in the log:\n%s", text, host_console);
}

// IPC-55
TEST(a_fault_without_a_handler_is_logged)
{
    static const struct {
        enum abi_fault_cause cause;
        const char *what;
    } faults[] = {
        {FAULT_READ, "process 'actor' reads unmapped memory: address 0x1230, pc "},
        {FAULT_WRITE, "writes to memory that is not writable: address 0x1230"},
        {FAULT_EXECUTE, "runs memory that is not executable: address 0x1230"},
        {FAULT_OTHER, "process 'actor' faults: address 0x1230"},
        {(enum abi_fault_cause)(FAULT_OTHER + 1), "process 'actor' faults: address 0x1230"},
        {(enum abi_fault_cause)0, "process 'actor' faults: address 0x1230"},
        {(enum abi_fault_cause)200, "process 'actor' faults: address 0x1230"},
    };
    world_begin((struct world_options){});
    for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
        uint64_t account = new_account(100, 100);
        struct actor *a = spawn(account, 10);
        host_console_bytes = 0;
        raise_fault(a, faults[i].cause, 0x1230);
        EXPECT(is_dead(a));
        expect_logged(faults[i].what);
        expect_logged(":actor}}; nobody handles its faults\n");
        MUST(world.boss, OBJECT_DESTROY, account);
    }
    world_end();
}

// IPC-56
TEST(the_handler_dies_before_it_took_the_fault)
{
    begin_faults(2);
    raise_fault(faulty, FAULT_READ, 0);
    MUST(server, HANDLE_CLOSE, handler_end);
    EXPECT(is_dead(faulty));
    MUST(server, OBJECT_WAIT, faulty->process_handle, SIGNAL_TERMINATED, 0);
    world_check();
    world_end();
}

TEST(the_handler_is_gone_before_the_fault)
{
    begin_faults(2);
    MUST(server, HANDLE_CLOSE, handler_end);
    EXPECT(!is_dead(faulty));
    raise_fault(faulty, FAULT_READ, 0);
    EXPECT(is_dead(faulty));
    world_check();
    world_end();
}

// IPC-56
TEST(the_handler_dies_after_it_took_the_fault)
{
    begin_faults(2);
    raise_fault(faulty, FAULT_READ, 0);
    (void)take_fault();
    MUST(server, HANDLE_CLOSE, handler_end);
    EXPECT(is_dead(faulty));
    world_check();
    world_end();
}

// IPC-58
TEST(the_faulty_one_dies_before_it_was_taken)
{
    begin_faults(2);
    raise_fault(faulty, FAULT_READ, 0);
    MUST(server, OBJECT_DESTROY, faulty->process_handle);
    EXPECT(is_dead(faulty));
    EXPECT_CALL(TIMED_OUT, server, CHANNEL_RECEIVE, handler_end, 0); // nothing is left of it
    world_check();
    world_end();
}

// IPC-42, IPC-58
TEST(the_faulty_one_dies_before_what_is_queued)
{
    begin_faults(2);
    uint64_t sender = MUST(server, HANDLE_DUPLICATE, exceptions_end, RIGHTS_CHANNEL);
    MUST(server, CHANNEL_SEND, sender, MSG(3, 0));
    raise_fault(faulty, FAULT_READ, 0);
    MUST(server, OBJECT_DESTROY, faulty->thread_handle);
    world_check();
    EXPECT_EQUAL(MUST(server, CHANNEL_RECEIVE, handler_end, 0), MSG(3, 0));
    world_end();
}

// IPC-58
TEST(the_second_faulty_one_dies_after_it_was_taken)
{
    begin_faults(2);
    struct actor *another = spawn_thread(faulty, 5);
    raise_fault(another, FAULT_READ, 0);
    uint64_t token = take_fault();
    MUST(world.boss, OBJECT_DESTROY, another->thread_handle);
    EXPECT(is_dead(another));
    EXPECT_STATUS(answer(token, FAULT_RESUME, 8), CANCELLED);
    world_check();
    world_end();
}

// IPC-58
TEST(the_faulty_one_dies_after_it_was_taken)
{
    begin_faults(2);
    raise_fault(faulty, FAULT_READ, 0);
    uint64_t token = take_fault();
    MUST(server, OBJECT_DESTROY, faulty->thread_handle);
    EXPECT(is_dead(faulty));
    world_check();
    EXPECT_STATUS(answer(token, FAULT_RESUME, 8), CANCELLED);
    EXPECT_STATUS(answer(token, FAULT_RESUME, 8), NOT_FOUND);
    world_check();
    world_end();
}

// IPC-57
TEST(a_fault_goes_through_a_port)
{
    begin_faults(2);
    uint64_t port = MUST(server, PORT_CREATE, server->account);
    MUST(server, PORT_BIND, port, handler_end, 9, SIGNAL_READABLE);
    EXPECT_CALL(BLOCKED, server, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    raise_fault(faulty, FAULT_READ, 0);
    EXPECT_EQUAL(ended(server).value[0], 9);
    EXPECT(server->out.value[2] & MSG_FAULT);
    uint64_t action = FAULT_RESUME;
    memcpy(server->thread->message->data, &action, sizeof action);
    EXPECT_CALL(BLOCKED, server, CHANNEL_REPLY_RECEIVE, handler_end, server->out.value[3],
                MSG(8, 0), port, ABI_DEADLINE_NEVER);
    EXPECT(has_ended(faulty));
    world_end();
}

// The exceptions' end itself is destroyed, while the process ends already at a lower priority.
TEST(the_exceptions_end_dies_while_its_process_ends)
{
    begin_faults(2);
    raise_fault(faulty, FAULT_READ, 0);
    struct actor *low = spawn(new_account(50, 50), 3);
    uint64_t process = grant(low, server, faulty->process_handle);
    hold_after(server, 1);
    // Its end begins at priority 3 and stops before its first step is followed by another.
    (void)CALL(low, OBJECT_DESTROY, process);
    if (steps_left() == 0)
        EXPECT_STATUS(HELD(server, OBJECT_DESTROY, exceptions_end).status, OK);
    hold_after(server, 0);
    settle();
    world_check();
    world_end();
}

TEST(the_exceptions_end_dies_before_the_end_of_its_process_began)
{
    begin_faults(2);
    raise_fault(faulty, FAULT_READ, 0);
    struct actor *low = spawn(new_account(50, 50), 3);
    uint64_t process = grant(low, server, faulty->process_handle);
    hold(low);
    EXPECT_STATUS(HELD(low, OBJECT_DESTROY, process).status, OK); // queued, below what comes
    MUST(server, OBJECT_DESTROY, exceptions_end);
    settle();
    EXPECT(is_dead(faulty));
    world_check();
    world_end();
}

// The thread is on its way out, and has its slot still: the answer leaves that to it.
TEST(answered_while_the_faulty_one_ends)
{
    begin_faults(2);
    raise_fault(faulty, FAULT_WRITE, 0);
    uint64_t token = take_fault(), action = FAULT_RESUME;
    const struct channel *handler = channel_of(object_behind(server, handler_end));
    EXPECT_EQUAL(handler->calls_used, 1);
    hold(server);
    EXPECT_STATUS(HELD(server, OBJECT_DESTROY, faulty->thread_handle).status, OK);
    memcpy(server->thread->message->data, &action, sizeof action);
    EXPECT_STATUS(HELD(server, CHANNEL_REPLY, handler_end, token, MSG(8, 0)).status, CANCELLED);
    EXPECT_EQUAL(handler->calls_used, 1);
    settle();
    EXPECT_EQUAL(handler->calls_used, 0);
    world_check();
    world_end();
}

// The handler's end waits for a thread that its process's end has yet to reach.
TEST(the_handler_ends_before_the_process_that_ends)
{
    begin_faults(2);
    raise_fault(faulty, FAULT_WRITE, 0);
    (void)take_fault();
    const struct object *handler = object_behind(server, handler_end);
    struct actor *second = spawn_thread(server, 20);
    hold(server);
    EXPECT_STATUS(HELD(server, OBJECT_DESTROY, handler_end).status, OK);
    EXPECT_STATUS(HELD(server, OBJECT_DESTROY, faulty->process_handle).status, OK);
    hold_after(second, 1);
    (void)HELD(server, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    EXPECT_EQUAL(steps_left(), 0);
    EXPECT_EQUAL(handler->life, LIFE_DYING);
    hold_after(second, 0);
    world_end();
}

// Who pays for the process's end is gone: nobody will hear of the fault.
TEST(the_account_of_the_exceptions_end_goes)
{
    begin_faults(2);
    uint64_t account = MUST(server, ACCOUNT_CREATE, server->account, 10, 10);
    struct outcome ends = CALL(server, CHANNEL_CREATE, server->account, account,
                               ABI_CHANNEL_SHAPE(4, 64, 2, 2), OVERFLOW_REJECT);
    EXPECT_STATUS(ends.status, OK);
    struct outcome made = CALL(server, PROCESS_CREATE, server->account, ends.value[1], 0);
    uint64_t thread = MUST(server, THREAD_CREATE, made.value[0], 5, 0x80'0000);
    MUST(server, THREAD_START, thread, 0x1234'5000, 0x7000, 0, 0);
    struct actor *second = &world.actors[world.actor_count - 1];
    raise_fault(second, FAULT_WRITE, 0);
    EXPECT(!is_dead(second));
    MUST(server, OBJECT_DESTROY, account);
    EXPECT(is_dead(second));
    MUST(server, OBJECT_WAIT, made.value[0], SIGNAL_TERMINATED, 0);
    world_end();
}
