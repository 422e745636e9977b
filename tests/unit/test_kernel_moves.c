// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Threads that change their CPU in each state, and what reaches them on the way (S1, S2).
#include <entry/entry.h>
#include <hal/hal.h>
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
        EXPECT(b->thread->home == cpus[to] && !b->thread->moves);
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
    EXPECT_EQUAL(c->thread->context->start[1], 0); // no gift
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
        EXPECT(!b->thread->moves);
        MUST(b, CLOCK_READ);
        expect_home(b, to);
        // To where it is already: nothing happens.
        hold(b);
        uint64_t switches = counter_read(&cpus[to]->switches);
        EXPECT_STATUS(HELD(b, THREAD_SET_CPU, own, to).status, OK);
        EXPECT(cpus[to]->current == b->thread);
        EXPECT_EQUAL(counter_read(&cpus[to]->switches), switches);
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

// What arrives goes behind its equals.
TEST(the_order_in_which_they_arrive)
{
    begin();
    struct actor *c = spawn_thread_on(1, a, 10), *high = spawn_thread_on(1, a, 20);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, c, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(high);
    EXPECT_STATUS(HELD(high, EVENT_SIGNAL, event, 1).status, OK);
    hold(a);
    EXPECT_STATUS(HELD(a, THREAD_SET_CPU, b->own_thread, 1).status, OK);
    b->cpu = 1;
    b->held = c->held = true;
    (void)HELD(high, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    EXPECT(cpus[1]->current == c->thread);
    settle();
    EXPECT_STATUS(ended(b).status, OK);
    EXPECT_STATUS(ended(c).status, OK);
    world_end();
}

// One that yields just when a higher one is woken from elsewhere goes behind its equals as well.
TEST(preempted_while_it_yields)
{
    begin();
    struct actor *there = spawn_thread_on(1, a, 10), *c = spawn_thread(a, 10);
    EXPECT_CALL(BLOCKED, a, OBJECT_WAIT, event, 2, ABI_DEADLINE_NEVER); // the higher one
    EXPECT_CALL(BLOCKED, c, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(b);
    EXPECT_STATUS(HELD(b, EVENT_SIGNAL, event, 1).status, OK);
    MUST(there, EVENT_SIGNAL, event, 2);
    a->held = c->held = true;
    (void)HELD(b, THREAD_YIELD);
    EXPECT(cpus[0]->current == a->thread);
    (void)HELD(a, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    EXPECT(cpus[0]->current == c->thread);
    settle();
    world_end();
}

// What a process has stays until its last thread has stopped, wherever that is.
TEST(a_process_ends_after_its_threads)
{
    begin();
    struct actor *far = spawn_on(1, new_account(100, 50), 10);
    uint64_t process = grant(a, world.boss, far->process_handle);
    uint32_t handles = far->process->handles_used;
    hold(far);
    MUST(a, OBJECT_DESTROY, process);
    EXPECT_EQUAL(far->process->handles_used, handles);
    EXPECT(!far->process->aspace->quiet && cpus[1]->aspace == far->process->aspace);
    settle();
    EXPECT(is_dead(far));
    MUST(a, OBJECT_WAIT, process, SIGNAL_TERMINATED, 0);
    world_end();
}

// Of two who ask for its end the more urgent counts.
TEST(the_urgency_of_an_end)
{
    begin();
    struct actor *c = spawn_thread_on(1, a, 5);
    hold(c);
    hold(b);
    hold(a);
    EXPECT_STATUS(HELD(a, OBJECT_DESTROY, c->own_thread).status, OK);
    EXPECT_EQUAL(c->thread->end_priority, 20);
    (void)HELD(a, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    EXPECT(cpus[0]->current == b->thread);
    EXPECT_STATUS(HELD(b, OBJECT_DESTROY, c->own_thread).status, OK);
    EXPECT_EQUAL(c->thread->end_priority, 20);
    settle();
    EXPECT(is_dead(c));
    world_end();
}

// ---- where the work of others is done

static struct irq_controller counting;
static const struct irq_controller *real;
static unsigned asked_of_1;

static void count_ipi(uint32_t cpu)
{
    asked_of_1 += cpu == 1;
    real->ipi(cpu);
}

TEST(an_idle_cpu_is_asked_once_for_all_that_is_posted)
{
    begin();
    real = hal.irq;
    counting = *real;
    counting.ipi = count_ipi;
    hal.irq = &counting;
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
    // Nor does the next entry ask again, while the first post is still there.
    hold(a);
    asked_of_1 = 0;
    EXPECT_STATUS(HELD(a, THREAD_SET_PRIORITY, c->own_thread, 9).status, OK);
    EXPECT_STATUS(HELD(a, THREAD_SET_PRIORITY, d->own_thread, 9).status, OK);
    EXPECT_EQUAL(asked_of_1, 1);
    // What wakes here goes through no inbox.
    settle();
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 2, ABI_DEADLINE_NEVER);
    hold(a);
    uint64_t posts = counter_read(&cpus[0]->posts);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 2).status, OK);
    EXPECT(thread_state(b->thread) == THREAD_READY);
    EXPECT_EQUAL(counter_read(&cpus[0]->posts), posts);
    settle();
    world_end();
}

static bool asked_at[8]; // whether CPU 1 has been, at each window of CPU 0
static unsigned windows;

static void look_at_1(void)
{
    if (windows < ARRAY_SIZE(asked_at))
        asked_at[windows++] = host_interrupt_pending(1);
}

TEST(another_cpu_is_asked_between_two_steps)
{
    begin();
    struct actor *far = spawn_on(1, new_account(100, 50), 5);
    (void)spawn_thread_on(0, far, 5);
    uint64_t process = grant(a, world.boss, far->process_handle);
    host_on_window = look_at_1;
    MUST(a, OBJECT_DESTROY, process);
    host_on_window = nullptr;
    EXPECT(windows > 2 && asked_at[2]); // the first step asks for the end of the first thread
    MUST(a, OBJECT_WAIT, process, SIGNAL_TERMINATED, 0);
    world_end();
}

TEST(an_idle_cpu_has_no_slice)
{
    begin();
    struct actor *equal = spawn_thread(a, 20), *there = spawn_thread_on(1, a, 20);
    EXPECT_CALL(BLOCKED, equal, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    EXPECT(host_armed(0) != UINT64_MAX);
    MUST(there, OBJECT_DESTROY, equal->own_thread);
    (void)HELD(a, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    EXPECT(host_place(0) == HOST_IDLE && host_armed(0) == UINT64_MAX);
    settle();
    EXPECT(is_dead(equal));
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
    EXPECT(host_interrupt_pending(1)); // it is asked before the call returns
    host_wake(1, entry_kernel_interrupt);
    host_run(1);
    EXPECT_EQUAL(counter_read(&cpus[1]->posts), posts + CPU_BATCH);
    EXPECT(host_interrupt_pending(1)); // the rest comes with the next
    settle();
    for (unsigned i = 0; i < ARRAY_SIZE(sleepers); i++)
        EXPECT_STATUS(ended(sleepers[i]).status, OK);
    world_end();
}

// It ends before what was posted to it is taken: its slot stays until that has arrived.
TEST(ended_with_a_post_on_its_way)
{
    begin();
    struct actor *sleepers[CPU_BATCH], *c = spawn_thread_on(1, a, 15);
    for (unsigned i = 0; i < ARRAY_SIZE(sleepers); i++) {
        sleepers[i] = spawn_thread_on(1, a, 10);
        EXPECT_CALL(BLOCKED, sleepers[i], OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    }
    uint64_t own = c->own_thread;
    MUST(world.boss, HANDLE_CLOSE, c->thread_handle);
    hold(c);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    EXPECT_STATUS(HELD(a, THREAD_SET_PRIORITY, own, 14).status, OK); // the last of the posts
    EXPECT_STATUS(HELD(a, HANDLE_CLOSE, own).status, OK);
    (void)HELD(c, THREAD_EXIT);
    EXPECT(inbox_waiting(&cpus[1]->inbox));
    for (unsigned i = 0; i < 4; i++)
        EXPECT_STATUS(HELD(a, EVENT_CREATE, a->account).status, OK); // none in its slot
    settle();
    EXPECT(is_dead(c));
    for (unsigned i = 0; i < ARRAY_SIZE(sleepers); i++)
        EXPECT_STATUS(ended(sleepers[i]).status, OK);
    world_check();
    world_end();
}

// Between being chosen to wake and waking it is told to end, twice: the waker's post ends it.
TEST(killed_twice_while_it_is_being_woken)
{
    begin();
    struct actor *c = spawn_thread_on(1, a, 10), *killer = spawn_thread_on(2, a, 10);
    EXPECT_CALL(BLOCKED, c, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    STOPPED(a, thread_post, EVENT_SIGNAL, event, 1);
    for (unsigned i = 0; i < 2; i++) {
        MUST(killer, OBJECT_DESTROY, c->own_thread);
        on_cpu(1, entry_kernel_interrupt);
        EXPECT(!is_dead(c) && c->thread->killed);
    }
    EXPECT_STATUS(go_on(a).status, OK);
    settle();
    EXPECT(is_dead(c));
    world_check();
    world_end();
}
