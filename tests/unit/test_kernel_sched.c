// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Who runs, for how long and at whose charge: slices, preemption, polls, bounds of priorities.
#include <entry/entry.h>
#include <hal/hal.h>

#include "cpu.h"
#include "kernel_world.h"

static struct actor *begin(void)
{
    world_begin((struct world_options){});
    return spawn(new_account(400, 400), 10);
}

static struct thread *running(void)
{
    return cpus[0]->current;
}

// What polls stays the running thread: no wait begins.
TEST(a_deadline_that_is_over_never_waits)
{
    struct actor *a = begin();
    uint64_t event = MUST(a, EVENT_CREATE, a->account), port = MUST(a, PORT_CREATE, a->account);
    struct ends ends = new_channel(a, 4, 64, 0, 2);
    advance(1000);
    hold(a);
    const uint64_t deadlines[] = {0, host_ticks - 1, host_ticks};
    for (unsigned i = 0; i < ARRAY_SIZE(deadlines); i++) {
        uint64_t at = deadlines[i];
        EXPECT_STATUS(HELD(a, THREAD_SLEEP, at).status, OK);
        EXPECT_STATUS(HELD(a, OBJECT_WAIT, event, 1, at).status, TIMED_OUT);
        EXPECT_STATUS(HELD(a, CHANNEL_RECEIVE, ends.end0, at).status, TIMED_OUT);
        EXPECT_STATUS(HELD(a, CHANNEL_CALL, ends.end0, MSG(0, 0), at).status, TIMED_OUT);
        EXPECT_STATUS(HELD(a, PORT_RECEIVE, port, at).status, TIMED_OUT);
        EXPECT(running() == a->thread);
    }
    settle();
    EXPECT_CALL(TIMED_OUT, a, CHANNEL_RECEIVE, ends.end1, 0); // nor was anything sent
    world_end();
}

// OBJ-22
TEST(priorities_up_to_the_own_one)
{
    begin();
    struct actor *top = spawn(new_account(100, 100), ABI_PRIORITIES - 1);
    struct actor *low = spawn_thread(top, 5);
    EXPECT_CALL(INVALID, top, THREAD_SET_PRIORITY, low->own_thread, ABI_PRIORITIES);
    EXPECT_CALL(INVALID, top, THREAD_SET_PRIORITY, low->own_thread, UINT64_MAX);
    EXPECT_CALL(INVALID, top, THREAD_CREATE, top->own_process, ABI_PRIORITIES, 0x80'0000);
    uint64_t equal = MUST(top, THREAD_CREATE, top->own_process, ABI_PRIORITIES - 1, 0x80'0000);
    EXPECT_CALL(OK, top, THREAD_START, equal, 0x1000, ABI_USER_MAX, 0, 0); // an empty stack
    MUST(top, THREAD_SET_PRIORITY, low->own_thread, ABI_PRIORITIES - 1);
    EXPECT_EQUAL(thread_priority(low->thread), ABI_PRIORITIES - 1);
    MUST(top, THREAD_SET_PRIORITY, low->own_thread, 6);
    EXPECT_EQUAL(thread_priority(low->thread), 6);
    EXPECT_CALL(INVALID, low, THREAD_SET_PRIORITY, low->own_thread, 7); // it may go down only
    EXPECT_CALL(OK, low, THREAD_SET_PRIORITY, low->own_thread, 6);
    world_end();
}

TEST(a_slice_runs_while_an_equal_waits)
{
    constexpr uint64_t SLICE = 10'000'000;
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 10);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    host_ticks += 3'000'000; // alone: this counts for nothing
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    uint64_t end = host_armed(0);
    EXPECT_EQUAL(end, host_ticks + SLICE);
    host_ticks = end - 1;
    EXPECT_STATUS(HELD(a, CLOCK_READ).status, OK);
    EXPECT(running() == a->thread);
    EXPECT_EQUAL(host_armed(0), end);
    b->held = true;
    host_ticks = end;
    host_enter(0, entry_interrupt);
    host_run(0);
    EXPECT(running() == b->thread);
    EXPECT_EQUAL(host_armed(0), end + SLICE);
    (void)HELD(b, OBJECT_WAIT, event, 2, ABI_DEADLINE_NEVER);
    EXPECT(running() == a->thread);
    EXPECT_EQUAL(host_armed(0), UINT64_MAX);
    host_ticks += 3 * SLICE;
    EXPECT_STATUS(HELD(a, CLOCK_READ).status, OK);
    EXPECT(running() == a->thread);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 2).status, OK);
    EXPECT_EQUAL(host_armed(0), host_ticks + SLICE);
    EXPECT_STATUS(HELD(a, THREAD_SET_PRIORITY, b->own_thread, 9).status, OK);
    EXPECT_EQUAL(host_armed(0), UINT64_MAX);
    settle();
    world_end();
}

// However often it is preempted in it, a slice ends, and its equal comes.
// OBJ-43
TEST(a_slice_goes_on_after_a_preemption)
{
    constexpr uint64_t SLICE = 10'000'000, OFTEN = 300'000, SHORT = 1000;
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 10), *high = spawn_thread(a, 20);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, high, THREAD_SLEEP, host_ticks + OFTEN);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK); // b is ready behind a
    b->held = high->held = true;
    uint64_t ran_ns = 0;
    for (unsigned i = 0; i < 1000 && running() == a->thread; i++) {
        uint64_t until = host_armed(0);
        EXPECT(until - host_ticks <= SLICE - ran_ns);
        ran_ns += until - host_ticks;
        host_ticks = until;
        host_enter(0, entry_interrupt);
        host_run(0);
        if (running() != high->thread)
            break;
        host_ticks += SHORT;
        EXPECT_STATUS(HELD(high, THREAD_SLEEP, host_ticks + OFTEN).status, BLOCKED);
    }
    EXPECT(running() == b->thread);
    EXPECT_EQUAL(ran_ns, SLICE);
    // The next slice of each is a whole one again.
    (void)HELD(b, THREAD_YIELD);
    EXPECT(running() == a->thread);
    EXPECT_STATUS(HELD(a, THREAD_SET_PRIORITY, high->own_thread, 5).status, OK);
    EXPECT(host_armed(0) > host_ticks);
    settle();
    world_end();
}

static void interrupted(void)
{
    host_ticks = host_armed(0);
    host_enter(0, entry_interrupt);
    host_run(0);
}

// While no equal waits nothing is counted, and nothing forgotten; who has waited gets a whole one.
// OBJ-43
TEST(what_is_left_of_a_slice_is_kept_without_an_equal)
{
    constexpr uint64_t MS = 1'000'000, SLICE = 10 * MS;
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 10), *high = spawn_thread(a, 20);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, high, THREAD_SLEEP, host_ticks + 4 * MS);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK); // b is ready behind a
    b->held = high->held = true;
    interrupted();
    EXPECT(running() == high->thread);
    EXPECT_STATUS(HELD(high, THREAD_SET_PRIORITY, b->own_thread, 5).status, OK);
    EXPECT_STATUS(HELD(high, THREAD_SLEEP, host_ticks + MS).status, BLOCKED);
    EXPECT(running() == a->thread);
    EXPECT_EQUAL(host_armed(0), host_ticks + MS); // it is alone
    interrupted();
    EXPECT(running() == high->thread);
    EXPECT_STATUS(HELD(high, THREAD_SET_PRIORITY, b->own_thread, 10).status, OK);
    EXPECT_STATUS(HELD(high, THREAD_SLEEP, ABI_DEADLINE_NEVER).status, BLOCKED);
    EXPECT(running() == a->thread);
    EXPECT_EQUAL(host_armed(0), host_ticks + SLICE - 4 * MS);
    EXPECT_STATUS(HELD(a, THREAD_SLEEP, host_ticks + MS).status, BLOCKED);
    EXPECT(running() == b->thread);
    interrupted();
    (void)HELD(b, THREAD_YIELD);
    EXPECT(running() == a->thread);
    EXPECT_EQUAL(host_armed(0), host_ticks + SLICE);
    settle();
    world_end();
}

// Who is preempted at the very end of its slice has had it.
TEST(a_slice_that_ends_with_a_preemption)
{
    constexpr uint64_t SLICE = 10'000'000;
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 10), *high = spawn_thread(a, 20);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    uint64_t end = host_ticks + SLICE;
    EXPECT_CALL(BLOCKED, high, THREAD_SLEEP, end);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    EXPECT_EQUAL(host_armed(0), end);
    b->held = high->held = true;
    host_ticks = end;
    host_enter(0, entry_interrupt);
    host_run(0);
    EXPECT(running() == high->thread);
    EXPECT_STATUS(HELD(high, THREAD_SLEEP, ABI_DEADLINE_NEVER).status, BLOCKED);
    EXPECT(running() == b->thread);
    settle();
    world_end();
}

TEST(who_stays_is_not_switched_to)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 8);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    uint64_t switches = counter_read(&cpus[0]->switches);
    EXPECT_STATUS(HELD(a, CLOCK_READ).status, OK);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK); // a lower one is ready
    EXPECT_STATUS(HELD(a, THREAD_YIELD).status, OK);
    EXPECT(running() == a->thread);
    EXPECT_EQUAL(counter_read(&cpus[0]->switches), switches);
    settle();
    world_end();
}

// Nor while an equal waits, in its slice and with some of its budget left.
TEST(who_stays_in_its_slice_is_not_switched_to)
{
    world_begin((struct world_options){});
    uint64_t account = new_account(400, 400);
    struct actor *a = spawn(account, 10), *b = spawn_thread(a, 10);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    EXPECT_CALL(OK, world.boss, ACCOUNT_BUDGET, world.root_account, account, 0, 9'000'000,
                10'000'000);
    advance(25'000'000); // the next period begins while it runs, before it has used up what it has
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    EXPECT(cpus[0]->budget);
    uint64_t switches = counter_read(&cpus[0]->switches);
    for (unsigned i = 0; i < 9; i++) {
        host_ticks += 1'000'000;
        EXPECT_STATUS(HELD(a, CLOCK_READ).status, OK);
        EXPECT(running() == a->thread);
    }
    EXPECT_EQUAL(counter_read(&cpus[0]->switches), switches);
    settle();
    world_end();
}

TEST(the_order_of_equals)
{
    begin();
    struct actor *a = spawn(new_account(400, 400), 20);
    struct actor *b = spawn_thread(a, 10), *c = spawn_thread(a, 8);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, c, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    EXPECT_STATUS(HELD(a, THREAD_SET_PRIORITY, c->own_thread, 10).status, OK);
    b->held = c->held = true;
    (void)HELD(a, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    EXPECT(running() == b->thread);
    settle();
    // And in the order in which they are started.
    MUST(world.boss, THREAD_CANCEL, a->thread_handle);
    uint64_t first = MUST(a, THREAD_CREATE, a->own_process, 15, 0x80'0000);
    uint64_t second = MUST(a, THREAD_CREATE, a->own_process, 15, 0x90'0000);
    hold(a);
    EXPECT_STATUS(HELD(a, THREAD_START, first, 0x1000, 0, 0, 0).status, OK);
    EXPECT_STATUS(HELD(a, THREAD_START, second, 0x1000, 0, 0, 0).status, OK);
    (void)HELD(a, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    EXPECT(&running()->object == object_behind(a, first));
    settle();
    world_end();
}

TEST(an_end_is_as_urgent_as_its_cause_and_as_what_ends)
{
    struct actor *a = begin();
    struct actor *low = spawn_thread(a, 3), *high = spawn_thread(a, 20);
    hold(a);
    EXPECT_STATUS(HELD(a, OBJECT_DESTROY, high->own_thread).status, OK);
    EXPECT_STATUS(HELD(a, OBJECT_WAIT, high->own_thread, SIGNAL_TERMINATED, 0).status, OK);
    EXPECT_STATUS(HELD(a, THREAD_SET_PRIORITY, a->own_thread, 7).status, OK);
    EXPECT_STATUS(HELD(a, OBJECT_DESTROY, low->own_thread).status, OK);
    EXPECT_EQUAL(low->thread->end_priority, 7);
    settle();
    world_end();
}

// Whatever has run since its last step.
TEST(what_an_operation_causes_is_as_urgent_as_itself)
{
    begin();
    struct actor *threads[3] = {spawn(new_account(100, 100), 5)};
    threads[1] = spawn_thread(threads[0], 5);
    threads[2] = spawn_thread(threads[0], 5);
    struct actor *top = spawn(new_account(100, 100), 50);
    hold_after(top, 1);
    (void)CALL(world.boss, OBJECT_DESTROY, threads[0]->process_handle);
    hold_after(top, 1);
    (void)HELD(top, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    EXPECT(running() == top->thread);
    unsigned asked = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
        uint8_t priority = threads[i]->thread->end_priority;
        EXPECT(priority == 0 || priority == thread_priority(world.boss->thread));
        asked += priority != 0;
    }
    EXPECT(asked >= 2);
    hold_after(top, 0);
    settle();
    world_end();
}

static void time_passes(void)
{
    host_ticks += 5;
}

TEST(operations_are_at_nobodys_charge)
{
    struct actor *a = begin();
    const struct cpu *cpu = cpus[0];
    hold(a);
    uint64_t of_a = counter_read(&a->thread->cpu_ns), idle = counter_read(&cpu->idle_ns);
    uint64_t begun = host_ticks;
    host_on_window = time_passes;
    struct outcome made = HELD(a, VMO_CREATE, a->account, 200 * PAGE_SIZE, 0);
    EXPECT_STATUS(made.status, OK);
    EXPECT(host_ticks > begun);
    EXPECT_EQUAL(counter_read(&cpu->idle_ns), idle + host_ticks - begun);
    EXPECT_STATUS(HELD(a, OBJECT_DESTROY, made.value[0]).status, OK);
    (void)HELD(a, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    host_on_window = nullptr;
    EXPECT_EQUAL(counter_read(&a->thread->cpu_ns), of_a);
    EXPECT_EQUAL(counter_read(&cpu->idle_ns), idle + host_ticks - begun);
    EXPECT_EQUAL(counter_read(&cpu->idle_since_ns), host_ticks);
    settle();
    world_end();
}

TEST(time_is_charged_to_who_had_it)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 10);
    const struct cpu *cpu = cpus[0];
    advance(50);
    MUST(a, CLOCK_READ); // idle again since then
    uint64_t idle = counter_read(&cpu->idle_ns), of_a = counter_read(&a->thread->cpu_ns);
    uint64_t of_b = counter_read(&b->thread->cpu_ns);
    advance(700);
    EXPECT_EQUAL(counter_read(&cpu->idle_since_ns), host_ticks - 700);
    hold(a);
    EXPECT_EQUAL(counter_read(&cpu->idle_since_ns), 0);
    EXPECT_EQUAL(counter_read(&cpu->idle_ns), idle + 700);
    host_ticks += 30;
    (void)HELD(a, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    EXPECT_EQUAL(counter_read(&a->thread->cpu_ns), of_a + 30);
    EXPECT_EQUAL(counter_read(&cpu->idle_since_ns), host_ticks);
    host_ticks += 4;
    settle();
    EXPECT_STATUS(CALL(world.boss, THREAD_CANCEL, a->thread_handle).status, OK);
    hold(b);
    EXPECT_EQUAL(counter_read(&cpu->idle_ns), idle + 704);
    EXPECT_EQUAL(counter_read(&b->thread->cpu_ns), of_b);
    settle();
    world_end();
}

static void window_lasts(void)
{
    host_ticks += 5;
}

TEST(what_operations_take_is_no_threads)
{
    struct actor *a = begin();
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
    hold(a);
    uint64_t idle = counter_read(&cpus[0]->idle_ns), of_a = counter_read(&a->thread->cpu_ns);
    host_on_window = window_lasts;
    EXPECT_STATUS(HELD(a, HANDLE_CLOSE, vmo).status, OK);
    (void)HELD(a, THREAD_YIELD); // a step of the end of the memory, and a again
    EXPECT(running() == a->thread);
    host_on_window = nullptr;
    EXPECT_EQUAL(counter_read(&cpus[0]->idle_ns), idle + 5);
    host_ticks += 30;
    (void)HELD(a, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    EXPECT_EQUAL(counter_read(&a->thread->cpu_ns), of_a + 30);
    settle();
    world_end();
}

static uint64_t each_look_lasts(void)
{
    return ++host_ticks;
}

TEST(between_two_threads_nothing_is_lost)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 10);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    uint64_t idle = counter_read(&cpus[0]->idle_ns);
    struct clock_source slow = *hal.clock;
    const struct clock_source *real = hal.clock;
    slow.ticks = each_look_lasts;
    hal.clock = &slow;
    b->held = true;
    (void)HELD(a, THREAD_YIELD);
    EXPECT(running() == b->thread);
    hal.clock = real;
    EXPECT_EQUAL(counter_read(&cpus[0]->idle_ns), idle);
    settle();
    world_end();
}

TEST(who_is_preempted_comes_before_its_equals)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 10), *high = spawn_thread(a, 20);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, high, OBJECT_WAIT, event, 2, ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK); // b is ready behind a
    uint64_t slice = host_armed(0);
    high->held = b->held = true;
    (void)HELD(a, EVENT_SIGNAL, event, 2);
    EXPECT(running() == high->thread);
    EXPECT_EQUAL(host_armed(0), UINT64_MAX); // no equal: no slice
    (void)HELD(high, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    EXPECT(running() == a->thread && host_armed(0) >= slice);
    // In its slice it stays, however often it enters the kernel.
    host_ticks += 1000;
    EXPECT_STATUS(HELD(a, EVENT_CLEAR, event, 3).status, OK);
    EXPECT(running() == a->thread);
    // Yielding, it goes behind its equal, and once only.
    (void)HELD(a, THREAD_YIELD);
    EXPECT(running() == b->thread);
    (void)HELD(b, OBJECT_WAIT, event, 4, ABI_DEADLINE_NEVER);
    EXPECT(running() == a->thread);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 4).status, OK);
    EXPECT(running() == a->thread);
    settle();
    world_end();
}
