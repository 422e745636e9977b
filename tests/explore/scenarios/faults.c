// SPDX-License-Identifier: MIT
//
// Faults: calls of the kernel to the handler of a process, in a slot that each thread keeps. Against
// the end of the handler, of the thread and of its process, and against what ends a receive.
#include "harness.h"

static struct actor *server, *third, *faulty;
static uint64_t handler, token;

// On CPU 1, in a process whose faults the server gets; it has no handles.
static void make_faulty(void)
{
    struct ends ends = new_channel(server, 2, 64, 1, 2);
    handler = ends.end0;
    struct outcome made = CALL(server, PROCESS_CREATE, server->account, ends.end1, 0x746c756166);
    EXPECT_STATUS(made.status, OK);
    uint64_t thread = MUST(server, THREAD_CREATE, made.value[0], 10, 0x80'0000);
    MUST(server, THREAD_SET_CPU, thread, 1);
    MUST(server, THREAD_START, thread, 0x1000, 0, 0, 0);
    MUST(server, HANDLE_CLOSE, made.value[1]);
    faulty = &world.actors[world.actor_count - 1];
    faulty->process_handle = made.value[0];
    faulty->thread_handle = thread;
}

static void actors(unsigned cpus)
{
    begin_world(cpus);
    server = spawn_on(0, new_account(400, 200), 10);
    third = nullptr;
    make_faulty();
}

static void all_run(void)
{
    runs(server);
    if (third)
        runs(third);
    runs(faulty);
}

// With a third, of the server's process.
static void three_actors(void)
{
    actors(3);
    third = spawn_thread_on(2, server, 10);
}

// It has faulted; the third is on its CPU.
static void faulted(void)
{
    actors(2);
    raise_fault(faulty, FAULT_BREAKPOINT, 0);
    third = spawn_thread_on(1, server, 10);
}

static void handlers_run(void)
{
    runs(server);
    runs(third);
}

static void taken(uint64_t action)
{
    faulted();
    token = CALL(server, CHANNEL_RECEIVE, handler, 0).value[1];
    memcpy(server->thread->message->data, &action, sizeof action);
    STEP(server, CHANNEL_REPLY, handler, token, MSG(sizeof(struct abi_fault_reply), 0));
}

static void its_process_ends(void)
{
    EXPLORE_CHECK(is_dead(faulty) && faulty->process->object.state == PROCESS_DEAD);
}

// ---- the handler's end

static void fault_against_close(void)
{
    actors(2);
    plan_fault(faulty);
    STEP(server, HANDLE_CLOSE, handler);
    all_run();
}
// IPC-56
SCENARIO(fault_against_close, .canary = "O2", .setup = fault_against_close,
         .finish = its_process_ends);

static void fault_receive_close(void)
{
    three_actors();
    plan_fault(faulty);
    STEP(server, CHANNEL_RECEIVE, handler, ABI_DEADLINE_NEVER);
    STEP(third, HANDLE_CLOSE, handler);
    all_run();
}
static void nobody_is_left(void)
{
    its_process_ends();
    seen(status_of(server, 0));
}
// IPC-56
SCENARIO(fault_receive_close, .canary = "machine: lost IPI", .setup = fault_receive_close,
         .finish = nobody_is_left, .finer = "GONE instead of BAD_HANDLE");

static void waiting_fault_against_close(void)
{
    faulted();
    STEP(server, CHANNEL_RECEIVE, handler, 0);
    STEP(third, HANDLE_CLOSE, handler);
    handlers_run();
}
SCENARIO(waiting_fault_against_close, .canary = "I4 fault", .setup = waiting_fault_against_close,
         .finish = nobody_is_left, .finer = "GONE instead of BAD_HANDLE");

static void fault_reply_against_close(void)
{
    taken(FAULT_RESUME);
    STEP(third, HANDLE_CLOSE, handler);
    handlers_run();
}
static void resumed_or_ended(void)
{
    bool resumed = status_of(server, 0) == STATUS_OK;
    EXPLORE_CHECK(has_woken(faulty) == resumed && is_dead(faulty) == !resumed);
    seen(resumed);
}
// IPC-56
SCENARIO(fault_reply_against_close, .canary = "I3", .setup = fault_reply_against_close,
         .finish = resumed_or_ended, .finer = "GONE instead of BAD_HANDLE");

// The end that its process was made with.
static void fault_against_end_of_its_own(void)
{
    actors(2);
    plan_fault(faulty);
    plan_end(server, faulty->process->exceptions.object);
    all_run();
}
// IPC-55
SCENARIO(fault_against_end_of_its_own, .canary = "I4 late", .setup = fault_against_end_of_its_own,
         .finish = its_process_ends, .random = true);

// ---- the end of the thread, of its process

static void fault_against_destroy(void)
{
    actors(2);
    plan_fault(faulty);
    STEP(server, OBJECT_DESTROY, faulty->process_handle);
    all_run();
}
// IPC-58
SCENARIO(fault_against_destroy, .canary = "machine: lost IPI", .setup = fault_against_destroy,
         .finish = its_process_ends);

static void fault_reply_against_kill(void)
{
    taken(FAULT_RESUME);
    STEP(third, OBJECT_DESTROY, faulty->thread_handle);
    handlers_run();
}
static void it_ends_anyway(void)
{
    its_process_ends();
    status_t status = status_of(server, 0);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_CANCELLED);
    seen(status);
}
// IPC-58
SCENARIO(fault_reply_against_kill, .canary = "machine: lost IPI", .setup = fault_reply_against_kill,
         .finish = it_ends_anyway);

static void fault_killed_against_destroy(void)
{
    taken(FAULT_KILL);
    STEP(third, OBJECT_DESTROY, faulty->process_handle);
    handlers_run();
}
// IPC-58
SCENARIO(fault_killed_against_destroy, .canary = "machine: lost IPI",
         .setup = fault_killed_against_destroy, .finish = it_ends_anyway);

static void fault_destroy_close(void)
{
    faulted();
    STEP(server, HANDLE_CLOSE, handler);
    STEP(third, OBJECT_DESTROY, faulty->process_handle);
    handlers_run();
}
SCENARIO(fault_destroy_close, .canary = "machine: lost IPI", .setup = fault_destroy_close,
         .finish = its_process_ends);

// ---- the handler's receive

static void fault_against_deadline(void)
{
    actors(2);
    plan_fault(faulty);
    STEP(server, CHANNEL_RECEIVE, handler, 1'000'000);
    all_run();
    plan_time(2'000'000);
}
static void received_or_not(void)
{
    EXPLORE_CHECK(faulty->thread->wait_kind == WAIT_FAULT && !is_dead(faulty));
    bool received = status_of(server, 0) == STATUS_OK;
    EXPLORE_CHECK(received || status_of(server, 0) == STATUS_TIMED_OUT);
    EXPLORE_CHECK(!received || value_of(server, 0, 0) & MSG_FAULT);
    seen(received);
}
SCENARIO(fault_against_deadline, .canary = "I3", .setup = fault_against_deadline,
         .finish = received_or_not);

static void fault_against_cancel(void)
{
    three_actors();
    EXPECT_CALL(BLOCKED, server, CHANNEL_RECEIVE, handler, ABI_DEADLINE_NEVER);
    plan_fault(faulty);
    uint64_t its_thread = grant(third, server, server->own_thread);
    STEP(third, THREAD_CANCEL, its_thread);
    runs(spawn_on(0, new_account(60, 40), 8));
    runs(third);
    runs(faulty);
}
static void woken_once(void)
{
    bool cancelled = woken_with(server) == STATUS_CANCELLED;
    EXPLORE_CHECK(cancelled ? status_of(third, 0) == STATUS_OK : woken_with(server) == STATUS_OK);
    EXPLORE_CHECK(faulty->thread->wait_kind == WAIT_FAULT && !is_dead(faulty));
    seen(cancelled);
}
SCENARIO(fault_against_cancel, .canary = "two wakers", .setup = fault_against_cancel,
         .finish = woken_once);
