// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Threads that change their CPU in each state, and what reaches them on the way (S1, S2).
#include <entry/entry.h>
#include <string.h>

#include "cpu.h"
#include "kernel_world.h"

static struct actor *a, *b; // b is the one that moves
static uint64_t event;

static void begin(void)
{
    world_begin((struct world_options){.cpus = 3});
    a = spawn(new_account(200, 200), 20);
    b = spawn_thread(a, 10);
    event = MUST(a, EVENT_CREATE, a->account);
}

static void expect_home(struct actor *actor, unsigned cpu)
{
    uint64_t handle = grant(a, actor, actor->own_thread);
    MUST(a, OBJECT_INSPECT, handle);
    struct abi_inspect seen;
    memcpy(&seen, a->thread->message->data, sizeof seen);
    EXPECT_EQUAL(seen.thread.home_cpu, cpu);
    MUST(a, HANDLE_CLOSE, handle);
    actor->cpu = cpu;
}

TEST(which_cpus_there_are)
{
    begin();
    EXPECT_CALL(INVALID, a, THREAD_SET_CPU, b->own_thread, 3);
    EXPECT_CALL(INVALID, a, THREAD_SET_CPU, b->own_thread, UINT64_MAX);
    expect_home(b, 0);
    MUST(a, THREAD_SET_CPU, b->own_thread, 2);
    settle();
    expect_home(b, 2);
    MUST(b, CLOCK_READ);
    EXPECT_CALL(OK, a, OBJECT_DESTROY, b->own_thread);
    settle();
    EXPECT_CALL(BAD_STATE, a, THREAD_SET_CPU, b->own_thread, 1);
    world_end();
}

// OBJ-24
TEST(moved_while_it_waits)
{
    begin();
    for (unsigned i = 0; i < 6; i++) {
        unsigned to = (i + 1) % 3;
        EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
        MUST(a, THREAD_SET_CPU, b->own_thread, to);
        settle();
        EXPECT(!has_ended(b));
        expect_home(b, to);
        MUST(a, EVENT_SIGNAL, event, 1);
        EXPECT_STATUS(ended(b).status, OK);
        EXPECT(b->thread->home == cpus[to]);
        MUST(a, EVENT_CLEAR, event, 1);
        world_check();
    }
    world_end();
}

TEST(moved_before_it_started)
{
    begin();
    uint64_t thread = MUST(a, THREAD_CREATE, a->own_process, 5, 0x80'0000);
    MUST(a, THREAD_SET_CPU, thread, 1);
    unsigned before = world.actor_count;
    MUST(a, THREAD_START, thread, 0x1000, 0, 0, 0);
    EXPECT_EQUAL(world.actor_count, before + 1);
    struct actor *c = &world.actors[before];
    EXPECT_EQUAL(c->cpu, 1);
    MUST(c, CLOCK_READ);
    world_end();
}

// OBJ-24
TEST(moved_while_ready)
{
    begin();
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    EXPECT_EQUAL(thread_state(b->thread), THREAD_READY);
    EXPECT_STATUS(HELD(a, THREAD_SET_CPU, b->own_thread, 1).status, OK);
    EXPECT(b->thread->home == cpus[1]);
    EXPECT_EQUAL(cpus[0]->ready_mask & 1ull << 10, 0); // of its queue here nothing is left
    b->cpu = 1;
    settle();
    EXPECT_STATUS(ended(b).status, OK);
    MUST(b, CLOCK_READ);
    world_check();
    world_end();
}

// OBJ-24
TEST(moved_while_running)
{
    begin();
    uint64_t own = b->own_thread;
    for (unsigned i = 0; i < 4; i++) {
        b->cpu = i % 3;
        unsigned to = (i + 1) % 3;
        hold(b);
        (void)HELD(b, THREAD_SET_CPU, own, to);
        EXPECT(cpus[b->cpu]->current != b->thread);
        b->cpu = to;
        settle();
        EXPECT_STATUS(b->out.status, OK);
        MUST(b, CLOCK_READ);
        expect_home(b, to);
        // To where it is already: nothing happens.
        hold(b);
        EXPECT_STATUS(HELD(b, THREAD_SET_CPU, own, to).status, OK);
        EXPECT(cpus[to]->current == b->thread);
        settle();
    }
    world_end();
}

TEST(moved_back_and_forth_in_one_go)
{
    begin();
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    // CPU 1 does not run in between: the last wish counts, and nothing gets lost on the way.
    EXPECT_STATUS(HELD(a, THREAD_SET_CPU, b->own_thread, 1).status, OK);
    EXPECT_STATUS(HELD(a, THREAD_SET_CPU, b->own_thread, 2).status, OK);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    EXPECT_STATUS(HELD(a, THREAD_SET_PRIORITY, b->own_thread, 7).status, OK);
    settle();
    EXPECT_STATUS(ended(b).status, OK);
    expect_home(b, 2);
    EXPECT_EQUAL(thread_priority(b->thread), 7);
    MUST(b, CLOCK_READ);
    world_check();
    world_end();
}

// OBJ-23, OBJ-24
TEST(killed_on_its_way)
{
    begin();
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    EXPECT_STATUS(HELD(a, THREAD_SET_CPU, b->own_thread, 1).status, OK);
    EXPECT_STATUS(HELD(a, OBJECT_DESTROY, b->own_thread).status, OK);
    EXPECT_STATUS(HELD(a, THREAD_SET_CPU, b->own_thread, 2).status, OK);
    settle();
    EXPECT(is_dead(b));
    MUST(a, OBJECT_WAIT, b->own_thread, SIGNAL_TERMINATED, 0);
    world_check();
    world_end();
}

TEST(killed_while_it_waits_on_another_cpu)
{
    begin();
    struct actor *c = spawn_thread_on(1, a, 10), *d = spawn_thread_on(2, a, 10);
    EXPECT_CALL(BLOCKED, c, OBJECT_WAIT, event, 1, host_ticks + 1000);
    MUST(a, OBJECT_DESTROY, grant(a, c, c->own_thread));
    settle();
    EXPECT(is_dead(c));
    advance(2000);
    // One that was asked for twice before its CPU looks.
    hold(d);
    hold(a);
    EXPECT_STATUS(HELD(a, THREAD_SET_PRIORITY, d->own_thread, 9).status, OK);
    EXPECT_STATUS(HELD(a, OBJECT_DESTROY, d->own_thread).status, OK);
    settle();
    EXPECT(is_dead(d));
    world_check();
    world_end();
}

// ---- where the work of others is done

TEST(an_idle_cpu_is_asked_once_for_all_that_is_posted)
{
    begin();
    struct actor *c = spawn_thread_on(1, a, 10), *d = spawn_thread_on(1, a, 11);
    EXPECT_CALL(BLOCKED, c, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, d, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    uint64_t asked = counter_read(&cpus[1]->asked), own = counter_read(&cpus[0]->asked);
    MUST(a, EVENT_SIGNAL, event, 1);
    EXPECT_STATUS(ended(c).status, OK);
    EXPECT_STATUS(ended(d).status, OK);
    EXPECT_EQUAL(counter_read(&cpus[1]->asked), asked + 1);
    MUST(a, THREAD_SET_PRIORITY, b->own_thread, 9);
    EXPECT_EQUAL(counter_read(&cpus[0]->asked), own); // what it posts to itself needs no interrupt
    world_end();
}

TEST(more_posts_than_one_entry_takes)
{
    begin();
    struct actor *sleepers[CPU_BATCH + 9];
    for (unsigned i = 0; i < ARRAY_SIZE(sleepers); i++) {
        sleepers[i] = spawn_thread_on(1, a, 10);
        EXPECT_CALL(BLOCKED, sleepers[i], OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    }
    struct actor *first = sleepers[0];
    first->held = true;
    uint64_t posts = counter_read(&cpus[1]->posts);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    host_wake(1, entry_kernel_interrupt);
    host_run(1);
    EXPECT_EQUAL(counter_read(&cpus[1]->posts), posts + CPU_BATCH);
    EXPECT(host_interrupt_pending(1)); // the rest comes with the next
    settle();
    for (unsigned i = 0; i < ARRAY_SIZE(sleepers); i++)
        EXPECT_STATUS(ended(sleepers[i]).status, OK);
    world_end();
}
