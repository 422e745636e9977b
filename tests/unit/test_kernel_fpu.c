// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// FP registers. What user code finds in them is checked by the simulated machine at each return to user
// mode (host_fpu_check): what the thread has left there, or zeros. These tests see to it that it would
// be something else if the kernel did less.
#include <entry/entry.h>

#include "cpu.h"
#include "kernel_world.h"

static struct actor *a, *b; // threads of two processes

static void begin(unsigned count)
{
    world_begin((struct world_options){.cpus = count});
    a = spawn(new_account(200, 100), 20);
    b = spawn(new_account(200, 100), 20);
}

static void fill(struct actor *actor)
{
    hold(actor);
    fill_fpu(actor);
    settle();
}

// What the thread would find, were it to run.
static uint64_t state_of(const struct actor *actor, unsigned index)
{
    const struct thread *thread = actor->thread;
    EXPECT(thread->fpu && thread->context->fpu_used);
    EXPECT((uintptr_t)thread->fpu / PAGE_SIZE == (uintptr_t)thread->context / PAGE_SIZE);
    return actor->thread->fpu->value[index];
}

// OBJ-39
TEST(kept_while_another_uses_them)
{
    begin(1);
    for (unsigned i = 0; i < 3; i++) {
        fill(a);
        uint64_t first = state_of(a, 0);
        fill(b);
        EXPECT(state_of(b, 0) != first);
        EXPECT_EQUAL(state_of(a, 0), first);
        MUST(a, CLOCK_READ);
        MUST(b, CLOCK_READ);
    }
    world_end();
}

// OBJ-39
TEST(kept_while_preempted_and_while_waiting)
{
    begin(1);
    uint64_t account = new_account(100, 50);
    struct actor *urgent = spawn(account, 30);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    uint64_t theirs = grant(urgent, a, event);
    uint64_t mine = grant(b, a, event);
    a->uses_fpu = b->uses_fpu = urgent->uses_fpu = true;
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_CALL(BLOCKED, urgent, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
        EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, mine, 2, host_ticks + 1000);
        MUST(a, EVENT_SIGNAL, event, 1); // preempted at once
        EXPECT_STATUS(ended(urgent).status, OK);
        advance(2000);
        EXPECT_STATUS(ended(b).status, TIMED_OUT);
        MUST(a, EVENT_CLEAR, event, 1);
        MUST(b, THREAD_YIELD);
    }
    world_end();
}

// OBJ-39
TEST(taken_along_to_another_cpu)
{
    begin(3);
    a->uses_fpu = b->uses_fpu = true;
    for (unsigned i = 0; i < 9; i++) {
        unsigned to = (i + 1) % 3;
        hold(a);
        (void)HELD(a, THREAD_SET_CPU, a->own_thread, to); // while it runs
        a->cpu = to;
        settle();
        MUST(a, CLOCK_READ);
        uint64_t other = grant(a, b, b->own_thread);
        MUST(a, THREAD_SET_CPU, other, i % 3); // while it waits
        b->cpu = i % 3;
        settle();
        MUST(b, CLOCK_READ);
        MUST(a, HANDLE_CLOSE, other);
        world_check();
    }
    world_end();
}

// OBJ-39
TEST(those_that_do_not_use_them_cannot_look)
{
    begin(1);
    fill(a);
    EXPECT(!b->thread->fpu);
    for (unsigned i = 0; i < 4; i++) {
        hold(b);
        EXPECT(!cpus[0]->fpu && !cpus[0]->arch.fpu_on); // it would trap
        settle();
        hold(a);
        EXPECT(cpus[0]->fpu && cpus[0]->arch.fpu_on);
        settle();
        EXPECT(!cpus[0]->arch.fpu_on); // nor does a CPU that idles have them on
    }
    world_end();
}

// OBJ-40
TEST(clean_at_the_first_use)
{
    begin(1);
    fill(a);
    EXPECT(state_of(a, 3) != 0);
    hold(b);
    const struct arch_percpu *cpu = &cpus[0]->arch;
    EXPECT(!host_fpu_fill(&cpus[0]->arch, 1));
    host_enter(0, entry_fpu); // its trap
    host_run(0);
    EXPECT(host_place(0) == HOST_USER && cpus[0]->current == b->thread && cpu->fpu_on);
    for (unsigned i = 0; i < ARRAY_SIZE(cpu->fpu.value); i++)
        EXPECT_EQUAL(cpu->fpu.value[i], 0);
    fill_fpu(b);
    settle();
    MUST(b, CLOCK_READ);
    world_end();
}

// OBJ-40
TEST(clean_after_a_thread_that_ended)
{
    begin(1);
    fill(a);
    paddr_t page = arch_ram_address(a->thread->context);
    MUST(world.boss, OBJECT_DESTROY, a->process_handle);
    settle();
    // The pages are used again by what comes next.
    bool again = false;
    for (unsigned i = 0; i < 10 && !again; i++) {
        struct actor *next = spawn_thread(b, 10);
        again = arch_ram_address(next->thread->context).value == page.value;
        EXPECT(!next->thread->fpu);
        fill(next);
    }
    EXPECT(again);
    world_end();
}

// One that is killed where it runs has no state to keep, and leaves nothing on.
TEST(ended_while_it_runs)
{
    begin(2);
    a->uses_fpu = true;
    hold(a);
    (void)HELD(a, THREAD_EXIT);
    EXPECT(is_dead(a));
    settle();
    EXPECT(!cpus[0]->fpu && !cpus[0]->arch.fpu_on);
    fill(b);
    world_end();
}

TEST(a_fault_while_they_are_on)
{
    begin(1);
    a->uses_fpu = b->uses_fpu = true;
    MUST(a, CLOCK_READ);
    MUST(b, CLOCK_READ);
    raise_fault(a, FAULT_ARITHMETIC, 0); // nobody handles it
    EXPECT(is_dead(a));
    MUST(b, CLOCK_READ);
    world_end();
}

TEST(many_threads_on_three_cpus)
{
    begin(3);
    struct random random = {test_seed()};
    struct actor *actors[9];
    for (unsigned i = 0; i < 9; i++) {
        actors[i] = i % 2 ? spawn_thread_on(i % 3, a, 10 + i % 2)
                          : spawn_on(i % 3, new_account(60, 40), 10);
        actors[i]->uses_fpu = i % 4 != 3;
    }
    for (unsigned round = 0; round < test_amount(60, 20); round++) {
        for (unsigned i = 0; i < 9; i++) {
            if (random_below(&random, 2))
                PLAN(actors[i], THREAD_SLEEP, host_ticks + random_below(&random, 3));
            else
                PLAN(actors[i], THREAD_YIELD);
        }
        run_planned(&random);
        advance(5);
        struct actor *moved = actors[random_below(&random, 9)];
        unsigned to = (unsigned)random_below(&random, 3);
        uint64_t thread = grant(a, moved, moved->own_thread);
        MUST(a, THREAD_SET_CPU, thread, to);
        MUST(a, HANDLE_CLOSE, thread);
        settle();
        moved->cpu = to;
    }
    world_check();
    world_end();
}

// ---- kernels that do less

static void run_both(const char *bug, bool both)
{
    begin(2);
    a->uses_fpu = true;
    b->uses_fpu = both;
    MUST(a, CLOCK_READ);
    MUST(b, CLOCK_READ);
    seeded_bug = bug;
    for (unsigned i = 0; i < 2; i++) {
        MUST(a, CLOCK_READ);
        MUST(b, CLOCK_READ);
        hold(a);
        (void)HELD(a, THREAD_SET_CPU, a->own_thread, 1 - i);
        a->cpu = 1 - i;
        settle();
    }
}

TEST_THAT_PANICS(a_state_that_is_not_saved, "finds other values in FP registers")
{
    run_both("F1 save", true);
}

TEST_THAT_PANICS(a_state_that_is_not_restored, "finds other values in FP registers")
{
    run_both("F1 restore", true);
}

TEST_THAT_PANICS(registers_that_stay_on, "invariant F1 (")
{
    run_both("F1", false);
}

TEST_THAT_PANICS(registers_that_are_not_switched_on, "invariant F1 (")
{
    run_both("F1 on", true);
}
