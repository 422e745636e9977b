// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c tests/unit/kernel_meanwhile.c
//
// What comes too late in the middle of a call on another CPU: for a wait that somebody else has ended just now, and
// for an operation that was resumed in the middle of its step.
#include <string.h>

#include "cpu.h"
#include "kernel_meanwhile.h"

// ---- waits that have ended

static struct actor *waiter; // of another process, on CPU 1
static uint64_t waiting;     // user's and other's handle to it

static void begin_waiter(void)
{
    begin();
    waiter = spawn_on(1, new_account(300, 100), 12);
    waiting = grant(user, waiter, waiter->own_thread);
}

// The waiter's wait is over, but it has not left yet.
static void it_is_cancelled(void)
{
    (void)CALL(other, THREAD_CANCEL, waiting);
}

// In the call, `user` is the second to end a wait: the first was its own, when it began.
#define EXPECT_LATE(wanted, what, name, ...)          \
    do {                                              \
        meanwhile((void *)thread_win, 2, what);       \
        EXPECT_CALL(wanted, user, name, __VA_ARGS__); \
        EXPECT(meanwhile_happened());                 \
        settle();                                     \
        EXPECT_STATUS(ended(other).status, OK);       \
    } while (0)

TEST(too_late_for_who_waits)
{
    begin_waiter();
    uint64_t theirs = grant(waiter, user, event);
    EXPECT_CALL(BLOCKED, waiter, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
    EXPECT_LATE(OK, it_is_cancelled, EVENT_SIGNAL, event, 1);
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    EXPECT_CALL(BLOCKED, waiter, OBJECT_WAIT, theirs, 2, ABI_DEADLINE_NEVER);
    EXPECT_LATE(OK, it_is_cancelled, OBJECT_DESTROY, event);
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    // What a port has to tell waits for the next.
    event = MUST(user, EVENT_CREATE, user->account);
    port = MUST(user, PORT_CREATE, user->account);
    theirs = grant(waiter, user, port);
    MUST(user, PORT_BIND, port, event, 7, 1);
    EXPECT_CALL(BLOCKED, waiter, PORT_RECEIVE, theirs, ABI_DEADLINE_NEVER);
    EXPECT_LATE(OK, it_is_cancelled, EVENT_SIGNAL, event, 1);
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    EXPECT_EQUAL(MUST(user, PORT_RECEIVE, port, 0), 7);
    world_end();
}

TEST(too_late_for_who_receives)
{
    begin_waiter();
    struct ends ends = new_channel(user, 2, 64, 1, 1);
    uint64_t theirs = grant(waiter, user, ends.end1);
    EXPECT_CALL(BLOCKED, waiter, CHANNEL_RECEIVE, theirs, ABI_DEADLINE_NEVER);
    EXPECT_LATE(OK, it_is_cancelled, CHANNEL_SEND, ends.end0, MSG(0, 0));
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    EXPECT_CALL(OK, waiter, CHANNEL_RECEIVE, theirs, 0); // it is still there
    EXPECT_CALL(BLOCKED, waiter, CHANNEL_RECEIVE, theirs, ABI_DEADLINE_NEVER);
    EXPECT_LATE(OK, it_is_cancelled, OBJECT_DESTROY, ends.end0);
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    world_end();
}

TEST(too_late_for_who_calls)
{
    begin_waiter();
    struct ends ends = new_channel(user, 2, 64, 1, 1);
    uint64_t theirs = grant(waiter, user, ends.end1);
    EXPECT_CALL(BLOCKED, waiter, CHANNEL_CALL, theirs, MSG(0, 0) | 1ull << MSG_REPLY_HANDLES_SHIFT,
                ABI_DEADLINE_NEVER);
    uint64_t token = CALL(user, CHANNEL_RECEIVE, ends.end0, 0).value[1];
    set_handles(user, 1, &event);
    EXPECT_LATE(CANCELLED, it_is_cancelled, CHANNEL_REPLY, ends.end0, token, MSG(0, 1));
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    MUST(user, EVENT_SIGNAL, event, 1); // it was given back
    (void)CALL(user, CHANNEL_REPLY, ends.end0, token, 0);
    EXPECT_CALL(BLOCKED, waiter, CHANNEL_CALL, theirs, MSG(0, 0), ABI_DEADLINE_NEVER);
    EXPECT_LATE(OK, it_is_cancelled, OBJECT_DESTROY, ends.end0);
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    world_end();
}

static void win_it(void)
{
    EXPECT(thread_win(waiter->thread));
}

static void it_leaves(void)
{
    thread_end_wait(waiter->thread, STATUS_CANCELLED);
}

// Who receives is told by the one that was first, when that comes to it.
TEST(too_late_for_who_hears_that_the_peer_is_gone)
{
    begin_waiter();
    struct ends ends = new_channel(user, 2, 64, 1, 1);
    EXPECT_CALL(BLOCKED, waiter, CHANNEL_RECEIVE, grant(waiter, user, ends.end1),
                ABI_DEADLINE_NEVER);
    on_cpu(1, win_it);
    MUST(user, OBJECT_DESTROY, ends.end0);
    EXPECT(waiter->calling);
    on_cpu(1, it_leaves);
    settle();
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    world_end();
}

static void it_is_killed(void)
{
    (void)CALL(other, OBJECT_DESTROY, waiting);
}

TEST(too_late_for_who_faulted)
{
    begin();
    struct ends ends = new_channel(user, 2, 64, 1, 1);
    struct outcome made = CALL(user, PROCESS_CREATE, user->account, ends.end1, 0);
    waiting = MUST(other, THREAD_CREATE, made.value[0], 5, 0x80'0000);
    MUST(other, THREAD_START, waiting, 0x1000, 0, 0, 0);
    waiter = &world.actors[world.actor_count - 1];
    raise_fault(waiter, FAULT_READ, 0);
    uint64_t token = CALL(user, CHANNEL_RECEIVE, ends.end0, 0).value[1], action = FAULT_RESUME;
    memcpy(user->thread->message->data, &action, sizeof action);
    EXPECT_LATE(CANCELLED, it_is_killed, CHANNEL_REPLY, ends.end0, token, MSG(8, 0));
    EXPECT(is_dead(waiter));
    world_end();
}

// Who waits for a VMO has moved to another CPU, and is killed there.
TEST(too_late_for_who_waits_for_a_vmo)
{
    begin();
    struct actor *filler = spawn_thread(user, 9), *high = spawn_thread(user, 20);
    waiting = filler->own_thread;
    hold_after(high, 1);
    (void)CALL(filler, VMO_CREATE, user->account, 100 * PAGE_SIZE, 0);
    EXPECT(filler->calling && steps_left() == 0);
    const struct object *vmo = filler->thread->wait_object;
    EXPECT_STATUS(HELD(high, THREAD_SET_CPU, waiting, 1).status, OK);
    filler->cpu = 1;
    meanwhile((void *)thread_win, 1, it_is_killed);
    hold_after(high, 0);
    settle();
    EXPECT(meanwhile_happened());
    EXPECT(is_dead(filler));
    EXPECT_EQUAL(vmo->life, LIFE_FREE);
    EXPECT_EQUAL(user->process->handles_reserved, 0);
    world_check();
    world_end();
}

static struct object *dying;

static void kill_it(void)
{
    EXPECT(object_kill(object_reference(dying), 10));
}

// Kills an object in whose queue is the waiter, whose wait is over: it stays until that has left.
static void expect_to_wait(uint64_t handle)
{
    dying = object_behind(user, handle);
    on_cpu(1, win_it);
    on_cpu(0, kill_it);
    EXPECT_EQUAL(dying->life, LIFE_DYING);
    on_cpu(1, it_leaves);
    settle();
    EXPECT_EQUAL(dying->life, LIFE_FREE);
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    MUST(user, HANDLE_CLOSE, handle);
    world_check();
}

TEST(an_object_waits_for_who_leaves_it)
{
    begin_waiter();
    for (unsigned i = 0; i < 2; i++) {
        struct ends ends = new_channel(user, 2, 64, 1, 1);
        uint64_t theirs = grant(waiter, user, ends.end1);
        EXPECT_CALL(BLOCKED, waiter, CHANNEL_CALL, theirs, MSG(0, 0), ABI_DEADLINE_NEVER);
        expect_to_wait(i == 0 ? ends.end0 : ends.end1);
        MUST(user, HANDLE_CLOSE, i == 0 ? ends.end1 : ends.end0);
    }
    struct ends ends = new_channel(user, 2, 64, 1, 1);
    EXPECT_CALL(BLOCKED, waiter, CHANNEL_RECEIVE, grant(waiter, user, ends.end1),
                ABI_DEADLINE_NEVER);
    expect_to_wait(ends.end1);
    EXPECT_CALL(BLOCKED, waiter, OBJECT_WAIT, grant(waiter, user, event), 1, ABI_DEADLINE_NEVER);
    expect_to_wait(event);
    port = MUST(user, PORT_CREATE, user->account);
    EXPECT_CALL(BLOCKED, waiter, PORT_RECEIVE, grant(waiter, user, port), ABI_DEADLINE_NEVER);
    expect_to_wait(port);
    world_end();
}

// ---- an operation that is resumed in the middle of its step

static void the_others_run(void)
{
    settle();
}

TEST(the_threads_end_at_each_point_of_their_process_end)
{
    begin();
    bool happened = true;
    for (unsigned nth = 1; happened; nth++) {
        uint64_t account = new_account(60, 40);
        struct actor *there = spawn_on(1, account, 10);
        uint64_t process = grant(user, there, there->own_process);
        meanwhile(nullptr, nth, the_others_run);
        MUST(user, OBJECT_DESTROY, process);
        happened = meanwhile_happened();
        meanwhile(nullptr, 0, nullptr);
        settle();
        MUST(user, OBJECT_WAIT, process, SIGNAL_TERMINATED, 0);
        MUST(user, HANDLE_CLOSE, process);
        MUST(world.boss, OBJECT_DESTROY, account);
        MUST(world.boss, HANDLE_CLOSE, account);
        for (unsigned i = 0; i < 3; i++)
            MUST(world.boss, HANDLE_CLOSE,
                 i == 0   ? there->process_handle
                 : i == 1 ? there->aspace_handle
                          : there->thread_handle);
        if (nth % 64 == 0)
            world_check();
    }
    world_end();
}

// What another CPU lets go on comes behind those that are ready, of the same priority.
TEST(what_is_resumed_takes_its_turn)
{
    begin();
    struct actor *next = spawn_thread(user, 10), *there = spawn_on(1, new_account(60, 40), 10);
    uint64_t process = grant(user, there, there->own_process);
    const struct process *ends = there->process;
    EXPECT_CALL(BLOCKED, next, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(user);
    EXPECT_STATUS(HELD(user, OBJECT_DESTROY, process).status, OK);
    for (unsigned i = 0; i < 3; i++) // until it waits for its thread
        (void)HELD(user, THREAD_YIELD);
    EXPECT_EQUAL(ends->object.operation.phase, OPERATION_PARKED);
    next->held = true;
    EXPECT_STATUS(HELD(user, EVENT_SIGNAL, event, 1).status, OK);
    on_cpu(1, nothing);
    (void)HELD(user, THREAD_YIELD);
    EXPECT(cpus[0]->current == next->thread);
    EXPECT_EQUAL(ends->object.operation.phase, OPERATION_QUEUED);
    EXPECT_EQUAL(ends->close_cursor, 0);
    settle();
    world_end();
}

TEST(what_was_flushed_takes_its_turn)
{
    begin_with(UINT32_MAX); // where a flush is asked for
    struct actor *runs = spawn_thread(user, 10), *next = spawn_thread(user, 10);
    uint64_t vmo = MUST(user, VMO_CREATE, user->account, PAGE_SIZE, 0);
    MUST(user, VM_MAP, user->own_aspace, vmo, 0, 0x5000'0000, PAGE_SIZE, PROT_READ);
    const struct vmo *mapped = vmo_of(object_behind(user, vmo));
    EXPECT_CALL(BLOCKED, runs, OBJECT_WAIT, event, 2, ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, next, OBJECT_WAIT, event, 3, ABI_DEADLINE_NEVER);
    hold(other); // the other CPU is in the address space
    hold(user);
    runs->held = next->held = true;
    EXPECT_STATUS(HELD(user, EVENT_SIGNAL, event, 2).status, OK);
    EXPECT_STATUS(HELD(user, VM_UNMAP, user->own_aspace, 0x5000'0000).status, BLOCKED);
    EXPECT(cpus[0]->current == runs->thread);
    EXPECT_EQUAL(mapped->mapping_count, 1);
    on_cpu(1, nothing);
    (void)HELD(runs, THREAD_YIELD);
    EXPECT(cpus[0]->current == next->thread);
    EXPECT_EQUAL(mapped->mapping_count, 1);
    (void)HELD(next, THREAD_YIELD);
    EXPECT(cpus[0]->current == runs->thread);
    EXPECT_EQUAL(mapped->mapping_count, 0);
    settle();
    world_end();
}
