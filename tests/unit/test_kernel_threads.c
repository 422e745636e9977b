// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Threads: making and starting, priorities and slices, sleep, cancel, and death in each state.
#include <entry/entry.h>

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

// OBJ-18
TEST(create_start_and_exit)
{
    struct actor *a = begin();
    EXPECT_CALL(INVALID, a, THREAD_CREATE, a->own_process, 64, 0x80'0000);
    EXPECT_CALL(INVALID, a, THREAD_CREATE, a->own_process, 11, 0x80'0000); // above its own
    EXPECT_CALL(INVALID, a, THREAD_CREATE, a->own_process, 5, 0x80'0001);
    EXPECT_CALL(INVALID, a, THREAD_CREATE, a->own_process, 5, 0);
    EXPECT_CALL(INVALID, a, THREAD_CREATE, a->own_process, 5, ABI_USER_MAX);
    EXPECT_CALL(OVERLAP, a, THREAD_CREATE, a->own_process, 5, ABI_INIT_MESSAGE_BUFFER);
    uint64_t thread = MUST(a, THREAD_CREATE, a->own_process, 5, 0x80'0000);
    EXPECT_CALL(INVALID, a, THREAD_START, thread, ABI_USER_MAX, 0, 0, 0);
    EXPECT_CALL(INVALID, a, THREAD_START, thread, 0x1000, ABI_USER_MAX + 1, 0, 0);
    EXPECT_CALL(BAD_HANDLE, a, THREAD_START, thread, 0x1000, 0x2000, 0, 99);
    uint64_t gift = MUST(a, EVENT_CREATE, a->account);
    MUST(a, THREAD_START, thread, 0x1000, 0x2000, 42, gift);
    EXPECT_CALL(BAD_STATE, a, THREAD_START, thread, 0x1000, 0x2000, 0, 0);
    EXPECT_CALL(BAD_HANDLE, a, HANDLE_CLOSE, gift); // it moved
    struct actor *b = &world.actors[world.actor_count - 1];
    EXPECT_EQUAL(b->thread->context->start[0], 42);
    MUST(b, EVENT_SIGNAL, b->thread->context->start[1], 1);
    EXPECT_CALL(BLOCKED, a, OBJECT_WAIT, thread, SIGNAL_TERMINATED, ABI_DEADLINE_NEVER);
    (void)CALL(b, THREAD_EXIT);
    EXPECT(is_dead(b));
    EXPECT_STATUS(ended(a).status, OK);
    EXPECT_CALL(BAD_STATE, a, THREAD_SET_PRIORITY, thread, 3);
    EXPECT_CALL(BAD_STATE, a, THREAD_START, thread, 0x1000, 0, 0, 0);
    world_end();
}

// OBJ-20
TEST(a_gift_to_another_process)
{
    struct actor *a = begin();
    struct outcome made = CALL(a, PROCESS_CREATE, a->account, 0, 0x646c696863);
    EXPECT_STATUS(made.status, OK);
    EXPECT_CALL(INVALID, a, THREAD_CREATE, made.value[0], 5, 0x80'0001); // it does not end by that
    uint64_t thread = MUST(a, THREAD_CREATE, made.value[0], 5, 0x80'0000);
    uint64_t gift = MUST(a, EVENT_CREATE, a->account);
    uint64_t keep = MUST(a, HANDLE_DUPLICATE, gift, RIGHT_SIGNAL);
    EXPECT_CALL(NO_RIGHT, a, THREAD_START, thread, 0x1000, 0, 0, keep);
    const struct process *process = (const void *)object_behind(a, made.value[0]);
    EXPECT_EQUAL(process->handles_used + process->handles_reserved, 0);
    MUST(a, THREAD_START, thread, 0x1000, 0, 0, gift);
    struct actor *child = &world.actors[world.actor_count - 1];
    EXPECT(child->process != a->process);
    MUST(child, EVENT_SIGNAL, child->thread->context->start[1], 4);
    EXPECT_EQUAL(MUST(a, EVENT_CLEAR, keep, 0), 4);
    (void)CALL(child, PROCESS_EXIT, 17);
    MUST(a, OBJECT_WAIT, made.value[0], SIGNAL_TERMINATED, 0);
    MUST(a, OBJECT_INSPECT, made.value[0]);
    EXPECT_EQUAL(((const struct abi_inspect *)(const void *)text_of(a))->process.exit_code, 17);
    world_end();
}

// OBJ-18
TEST(the_last_thread_ends_the_process)
{
    begin();
    struct actor *b = spawn(new_account(100, 100), 10);
    struct actor *c = spawn_thread(b, 5);
    (void)CALL(b, THREAD_EXIT);
    EXPECT_CALL(TIMED_OUT, world.boss, OBJECT_WAIT, b->process_handle, SIGNAL_TERMINATED, 0);
    (void)CALL(c, THREAD_EXIT);
    MUST(world.boss, OBJECT_WAIT, b->process_handle, SIGNAL_TERMINATED, 0);
    MUST(world.boss, OBJECT_INSPECT, b->process_handle);
    const struct abi_inspect *seen = (const void *)text_of(world.boss);
    EXPECT_EQUAL(seen->process.exit_code, 0);
    world_end();
}

// OBJ-21
TEST(the_highest_priority_runs)
{
    struct actor *low = begin();
    struct actor *high = spawn(new_account(100, 100), 20);
    uint64_t event = MUST(low, EVENT_CREATE, low->account);
    uint64_t theirs = grant(high, low, event);
    EXPECT_CALL(BLOCKED, high, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
    hold(low);
    high->held = true;
    // The wake-up of a higher one preempts at the exit.
    (void)HELD(low, EVENT_SIGNAL, event, 1);
    EXPECT(running() == high->thread);
    settle();
    EXPECT_STATUS(ended(high).status, OK);
    // The wake-up of a lower one does not.
    EXPECT_CALL(BLOCKED, low, OBJECT_WAIT, event, 2, ABI_DEADLINE_NEVER);
    hold(high);
    EXPECT_STATUS(HELD(high, EVENT_SIGNAL, theirs, 2).status, OK);
    EXPECT(running() == high->thread && thread_state(low->thread) == THREAD_READY);
    // Lowered below it, it is.
    EXPECT_CALL(OK, world.boss, OBJECT_INSPECT, world.log); // (the boss is above both)
    world_end();
}

TEST(lowering_the_own_priority_lets_others_run)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 8);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    EXPECT_STATUS(HELD(a, THREAD_SET_PRIORITY, a->own_thread, 11).status, INVALID);
    EXPECT_STATUS(HELD(a, THREAD_SET_PRIORITY, b->own_thread, 9).status, OK);
    b->held = true;
    (void)HELD(a, THREAD_SET_PRIORITY, a->own_thread, 7);
    EXPECT(running() == b->thread);
    settle();
    world_end();
}

// OBJ-21
TEST(equals_take_turns)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 10), *c = spawn_thread(a, 10);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, c, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    EXPECT_EQUAL(host_armed(0), UINT64_MAX); // alone: tickless
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    EXPECT(running() == a->thread && host_armed(0) != UINT64_MAX);
    b->held = c->held = true;
    uint64_t switches = counter_read(&cpus[0]->switches);
    (void)HELD(a, THREAD_YIELD);
    EXPECT(running() == b->thread);
    EXPECT_EQUAL(counter_read(&cpus[0]->switches), switches + 1);
    // The slice of b ends; c is next, then a again.
    EXPECT(host_armed(0) != UINT64_MAX);
    host_ticks = host_armed(0);
    host_enter(0, entry_interrupt);
    host_run(0);
    EXPECT(running() == c->thread);
    settle();
    world_end();
}

// OBJ-25
TEST(sleep_is_never_early)
{
    struct actor *a = begin();
    EXPECT_CALL(OK, a, THREAD_SLEEP, 0);
    EXPECT_CALL(OK, a, THREAD_SLEEP, host_ticks);
    struct random random = {test_seed()};
    for (unsigned i = 0; i < 200; i++) {
        uint64_t wanted = host_ticks + 1 + random_below(&random, 1'000'000);
        EXPECT_CALL(BLOCKED, a, THREAD_SLEEP, wanted);
        while (!has_ended(a)) {
            EXPECT(host_ticks < wanted);
            uint64_t step = 1 + random_below(&random, 200'000);
            advance(host_ticks + step > wanted ? wanted - host_ticks : step);
        }
        EXPECT_STATUS(a->out.status, OK);
        EXPECT(host_ticks >= wanted);
    }
    world_end();
}

// IPC-2
TEST(cancel)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 5);
    // A parked actor waits in thread_sleep, so it can be cancelled; one that runs cannot.
    EXPECT_CALL(BAD_STATE, a, THREAD_CANCEL, a->own_thread);
    EXPECT_CALL(BLOCKED, b, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    MUST(a, THREAD_CANCEL, b->own_thread);
    EXPECT_STATUS(ended(b).status, CANCELLED);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, host_ticks + 1000);
    MUST(a, THREAD_CANCEL, b->own_thread);
    EXPECT_STATUS(ended(b).status, CANCELLED);
    advance(2000); // its deadline went with it
    EXPECT_STATUS(ended(b).status, CANCELLED);
    world_end();
}

// OBJ-7, OBJ-9
TEST(waiting_for_signals)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 5);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(INVALID, b, OBJECT_WAIT, event, 0, 0);
    EXPECT_CALL(TIMED_OUT, b, OBJECT_WAIT, event, 1, 0);
    EXPECT_CALL(TIMED_OUT, b, OBJECT_WAIT, event, 1, host_ticks);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 6, host_ticks + 1000);
    MUST(a, EVENT_SIGNAL, event, 1); // not one of those
    EXPECT(!has_ended(b));
    MUST(a, EVENT_SIGNAL, event, 12);
    EXPECT_STATUS(ended(b).status, OK);
    EXPECT_EQUAL(b->out.value[0], 4);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 0x8000, host_ticks + 1000);
    advance(999);
    EXPECT(!has_ended(b));
    advance(1);
    EXPECT_STATUS(ended(b).status, TIMED_OUT);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 0x8000, ABI_DEADLINE_NEVER);
    MUST(a, OBJECT_DESTROY, event);
    EXPECT_STATUS(ended(b).status, GONE);
    world_end();
}

// OBJ-8
TEST(at_most_32_waiters)
{
    struct actor *a = begin();
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    struct actor *waiters[OBJECT_WAITERS_MAX];
    for (unsigned i = 0; i < OBJECT_WAITERS_MAX; i++) {
        waiters[i] = spawn_thread(a, 5);
        EXPECT_CALL(BLOCKED, waiters[i], OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    }
    EXPECT_CALL(FULL, a, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    world_check();
    MUST(a, EVENT_SIGNAL, event, 1);
    for (unsigned i = 0; i < OBJECT_WAITERS_MAX; i++)
        EXPECT_STATUS(ended(waiters[i]).status, OK);
    world_end();
}

// ---- killed in each state

static void expect_clean_death(struct actor *victim)
{
    MUST(world.boss, OBJECT_DESTROY, victim->thread_handle);
    MUST(world.boss, OBJECT_WAIT, victim->thread_handle, SIGNAL_TERMINATED, 0);
    world_check();
}

// OBJ-23
TEST(killed_before_it_started)
{
    struct actor *a = begin();
    uint64_t thread = MUST(a, THREAD_CREATE, a->own_process, 5, 0x80'0000);
    MUST(a, OBJECT_DESTROY, thread);
    MUST(a, OBJECT_WAIT, thread, SIGNAL_TERMINATED, 0);
    EXPECT_CALL(BAD_STATE, a, THREAD_START, thread, 0x1000, 0, 0, 0);
    MUST(a, HANDLE_CLOSE, thread);
    world_end();
}

// OBJ-23
TEST(killed_while_it_sleeps)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 5);
    EXPECT_CALL(BLOCKED, b, THREAD_SLEEP, host_ticks + 1000);
    expect_clean_death(b);
    advance(2000);
    world_end();
}

// OBJ-23
TEST(killed_while_ready)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 5);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    EXPECT(thread_state(b->thread) == THREAD_READY);
    EXPECT_STATUS(HELD(a, OBJECT_DESTROY, b->own_thread).status, OK);
    settle();
    EXPECT(is_dead(b));
    world_end();
}

// OBJ-23
TEST(killed_while_running)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 5);
    (void)CALL(b, OBJECT_DESTROY, b->own_thread);
    EXPECT(is_dead(b));
    (void)CALL(a, PROCESS_EXIT, 1);
    EXPECT(is_dead(a) && a->calling); // nor does it come back for a moment
    world_end();
}

TEST(terminated_means_that_all_is_gone)
{
    struct actor *low = begin();
    struct actor *high = spawn(new_account(100, 100), 20);
    uint64_t account = new_account(100, 100);
    struct actor *b = spawn(account, 5);
    uint64_t process = grant(high, world.boss, b->process_handle);
    EXPECT_CALL(BLOCKED, high, OBJECT_WAIT, process, SIGNAL_TERMINATED, ABI_DEADLINE_NEVER);
    high->held = true;
    (void)CALL(low, OBJECT_DESTROY, grant(low, world.boss, b->process_handle));
    EXPECT(running() == high->thread);
    EXPECT_EQUAL(account_behind(world.boss, account)->pages.used, 0);
    settle();
    world_end();
}

TEST(the_time_of_a_process_that_ends)
{
    begin();
    struct actor *b = spawn(new_account(100, 100), 5);
    struct actor *watcher = spawn(new_account(100, 100), 50);
    uint64_t process = grant(watcher, world.boss, b->process_handle);
    hold(b);
    host_ticks += 30;
    settle();
    EXPECT_EQUAL(counter_read(&b->thread->cpu_ns), 30);
    hold_after(watcher, 1);
    (void)CALL(world.boss, OBJECT_DESTROY, b->process_handle);
    EXPECT_STATUS(HELD(watcher, OBJECT_INSPECT, process).status, OK);
    const struct abi_inspect *seen = (const void *)text_of(watcher);
    EXPECT_EQUAL(seen->process.threads, 1);
    EXPECT_EQUAL(seen->process.cpu_ns, 30);
    hold_after(watcher, 0);
    settle();
    MUST(watcher, OBJECT_INSPECT, process);
    EXPECT_EQUAL(seen->process.threads, 0);
    EXPECT_EQUAL(seen->process.cpu_ns, 30);
    world_end();
}

// OBJ-23
TEST(killed_while_it_waits_for_an_operation)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 5);
    // b fills a large VMO at priority 5 while a, above it, kills b: the VMO goes too.
    hold_after(a, 3);
    (void)CALL(b, VMO_CREATE, b->account, 200 * PAGE_SIZE, 0);
    EXPECT(b->thread->wait_kind == WAIT_OPERATION);
    EXPECT_STATUS(HELD(a, THREAD_CANCEL, b->own_thread).status, BAD_STATE);
    EXPECT_STATUS(HELD(a, OBJECT_DESTROY, b->own_thread).status, OK);
    settle();
    EXPECT(is_dead(b));
    EXPECT(account_behind(a, a->account)->pages.used < 200);
    world_end();
}

TEST(two_threads_of_a_process_killed_in_turn)
{
    world_begin((struct world_options){});
    struct actor *a = spawn(new_account(100, 100), 5);
    struct actor *b = spawn_thread(a, 5);
    // The boss is above both: the first one's end has begun and waits when the process's does.
    hold(world.boss);
    EXPECT_STATUS(HELD(world.boss, OBJECT_DESTROY, a->thread_handle).status, OK);
    EXPECT_STATUS(HELD(world.boss, OBJECT_DESTROY, a->process_handle).status, OK);
    settle();
    EXPECT(is_dead(a) && is_dead(b));
    MUST(world.boss, OBJECT_WAIT, a->process_handle, SIGNAL_TERMINATED, 0);
    world_end();
}

// Somebody between the two in priority never sleeps.
TEST(a_death_is_as_urgent_as_its_cause)
{
    world_begin((struct world_options){});
    uint64_t account = new_account(200, 200);
    struct actor *busy = spawn(account, 10);
    struct actor *victim = spawn(account, 5);
    hold(busy);
    hold(world.boss);
    EXPECT_STATUS(HELD(world.boss, OBJECT_DESTROY, victim->process_handle).status, OK);
    (void)HELD(world.boss, OBJECT_WAIT, victim->process_handle, SIGNAL_TERMINATED,
               ABI_DEADLINE_NEVER);
    EXPECT(cpus[0]->current == world.boss->thread); // woken by the end, and busy has not run
    settle();
    world_end();
}

// OBJ-19
TEST(no_thread_in_a_dead_process)
{
    struct actor *a = begin();
    struct outcome made = CALL(a, PROCESS_CREATE, a->account, 0);
    MUST(a, OBJECT_DESTROY, made.value[0]);
    MUST(a, OBJECT_WAIT, made.value[0], SIGNAL_TERMINATED, 0);
    EXPECT_CALL(BAD_STATE, a, THREAD_CREATE, made.value[0], 5, 0x80'0000);
    EXPECT_CALL(GONE, a, OBJECT_INSPECT, made.value[1]); // its address space
    world_end();
}

TEST(a_process_that_cannot_be_made_costs_nothing)
{
    struct actor *a = begin();
    struct account *account = account_behind(a, a->account);
    uint64_t none = MUST(a, ACCOUNT_CREATE, a->account, 1, 3);
    MUST(a, VMO_CREATE, none, PAGE_SIZE, 0);
    uint64_t few = MUST(a, ACCOUNT_CREATE, a->account, 3, 1);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    struct ends ends = new_channel(a, 4, 64, 1, 2);
    uint64_t mine =
        MUST(a, HANDLE_DUPLICATE, ends.end1, RIGHTS_CHANNEL & ~(uint32_t)RIGHT_TRANSFER);
    uint64_t pages = account->pages.used, objects = account->objects.used;
    uint64_t handles = a->process->handles_used;
    EXPECT_CALL(NO_PAGES, a, PROCESS_CREATE, none, 0);
    EXPECT_CALL(NO_PAGES, a, PROCESS_CREATE, none, ends.end1);
    EXPECT_CALL(NO_OBJECTS, a, PROCESS_CREATE, few, 0);
    EXPECT_CALL(NO_RIGHT, a, PROCESS_CREATE, a->account, mine);
    EXPECT_CALL(WRONG_TYPE, a, PROCESS_CREATE, a->account, event);
    EXPECT_EQUAL(account->pages.used, pages);
    EXPECT_EQUAL(account->objects.used, objects);
    EXPECT_EQUAL(a->process->handles_used, handles);
    EXPECT_EQUAL(a->process->handles_reserved, 0);
    world_check();
    // With no room for its two handles nothing is made either.
    uint64_t last = 0;
    for (struct outcome out; (out = CALL(a, HANDLE_DUPLICATE, event, 0)).status == STATUS_OK;)
        last = out.value[0];
    EXPECT_CALL(NO_HANDLES, a, PROCESS_CREATE, a->account, 0);
    MUST(a, HANDLE_CLOSE, last);
    EXPECT_CALL(NO_HANDLES, a, PROCESS_CREATE, a->account, 0);
    EXPECT_CALL(NO_HANDLES, a, CHANNEL_CREATE, a->account, a->account,
                ABI_CHANNEL_SHAPE(1, 16, 0, 0), 0);
    uint64_t thread = MUST(a, THREAD_CREATE, a->own_process, 5, 0x80'0000);
    MUST(a, OBJECT_DESTROY, thread);
    pages = account->pages.used;
    EXPECT_CALL(NO_HANDLES, a, THREAD_CREATE, a->own_process, 5, 0x80'0000);
    EXPECT_EQUAL(account->objects.used, objects + 1); // the thread that is dead and has a handle
    EXPECT_EQUAL(account->pages.used, pages);
    world_check();
    world_end();
}

// OBJ-19
TEST(no_thread_in_a_process_that_ends)
{
    struct actor *a = begin();
    struct actor *b = spawn(new_account(100, 100), 5);
    uint64_t process = grant(a, world.boss, b->process_handle);
    hold(a);
    EXPECT_STATUS(HELD(a, OBJECT_DESTROY, process).status, OK);
    EXPECT_STATUS(HELD(a, THREAD_CREATE, process, 5, 0x80'0000).status, BAD_STATE);
    settle();
    EXPECT(is_dead(b));
    world_end();
}

// MEM-11
TEST(as_many_address_spaces_as_the_machine_has_numbers)
{
    struct actor *a = begin();
    struct outcome made[16];
    unsigned count = 0;
    while ((made[count] = CALL(a, PROCESS_CREATE, a->account, 0)).status == STATUS_OK)
        count++;
    EXPECT_STATUS(made[count].status, NO_RESOURCE);
    EXPECT_EQUAL(count, 13); // of 15, two are in use
    MUST(a, OBJECT_DESTROY, made[4].value[0]);
    EXPECT_CALL(OK, a, PROCESS_CREATE, a->account, 0);
    world_end();
}

// Numbers in more than one word: each is one process's, and comes back with its end.
// MEM-11
TEST(address_space_numbers_are_unique)
{
    world_begin((struct world_options){.asids = 200});
    struct actor *a = spawn(new_account(2000, 900), 10);
    bool taken[201] = {true};
    taken[world.boss->process->aspace->asid] = true;
    EXPECT(!taken[a->process->aspace->asid]);
    taken[a->process->aspace->asid] = true;
    uint64_t made[201];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 201; i++) {
            struct outcome out = CALL(a, PROCESS_CREATE, a->account, 0);
            if (out.status != STATUS_OK)
                break;
            made[i] = out.value[0];
            const struct process *process = (const void *)object_behind(a, made[i]);
            uint16_t asid = process->aspace->asid;
            EXPECT(asid <= 200 && !taken[asid]);
            taken[asid] = true;
        }
        for (unsigned i = 0; i <= 200; i++)
            EXPECT(taken[i]);
        EXPECT_CALL(NO_RESOURCE, a, PROCESS_CREATE, a->account, 0);
        // Those of some come back, and no others.
        for (unsigned i = 0; i < 198 && round == 0; i += 1 + i % 3) {
            const struct process *process = (const void *)object_behind(a, made[i]);
            taken[process->aspace->asid] = false;
            MUST(a, OBJECT_DESTROY, made[i]);
            settle();
        }
    }
    world_end();
}

// Which wait it is: deadlines and those who cancel go by it.
TEST(each_wait_has_a_word_of_its_own)
{
    struct actor *a = begin(), *b = spawn_thread(a, 5);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    for (unsigned i = 0; i < 600; i++) {
        uint64_t before = b->thread->wait_word; // it is parked: asleep
        EXPECT_EQUAL(before & 0xff, WAIT_SLEEP << 2 | PHASE_BLOCKED);
        EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
        EXPECT_EQUAL(b->thread->wait_word,
                     ((before >> 8) + 1) << 8 | WAIT_SIGNALS << 2 | PHASE_BLOCKED);
        MUST(a, EVENT_SIGNAL, event, 1);
        EXPECT_EQUAL(b->thread->wait_word, ((before >> 8) + 2) << 8 | (before & 0xff));
        MUST(a, EVENT_CLEAR, event, 1);
    }
    world_end();
}

TEST(the_signals_that_were_asked_for)
{
    struct actor *a = begin();
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    MUST(a, EVENT_SIGNAL, event, 3);
    EXPECT_EQUAL(MUST(a, OBJECT_WAIT, event, 5, 0), 1);
    world_end();
}

// What is long takes its turn among equals: behind those that are ready, before each step.
TEST(operations_take_turns)
{
    struct actor *a = begin();
    struct actor *b = spawn_thread(a, 10);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    b->held = true;
    EXPECT_STATUS(HELD(a, VMO_CREATE, a->account, 100 * PAGE_SIZE, 0).status, BLOCKED);
    EXPECT(running() == b->thread);
    const struct vmo *vmo = vmo_of(a->thread->wait_object);
    EXPECT_EQUAL(vmo->filled, 0);
    for (unsigned i = 1; i < 5; i++) {
        (void)HELD(b, THREAD_YIELD);
        EXPECT(running() == b->thread);
        EXPECT_EQUAL(vmo->filled, i * VMO_FILL_STEP_PAGES);
    }
    settle();
    EXPECT_STATUS(ended(a).status, OK);
    world_end();
}

// Who waits for nothing that comes is told when the object goes, also without a handle to it.
TEST(a_process_ends_that_has_no_handle)
{
    struct actor *a = begin();
    struct actor *b = spawn(new_account(50, 50), 10);
    uint64_t process = grant(a, b, b->own_process);
    EXPECT_CALL(BLOCKED, a, OBJECT_WAIT, process, 1, ABI_DEADLINE_NEVER);
    struct actor *c = spawn_thread(a, 10);
    MUST(c, HANDLE_CLOSE, process);
    MUST(world.boss, HANDLE_CLOSE, b->process_handle);
    (void)CALL(b, PROCESS_EXIT, 0); // it had the last
    EXPECT_STATUS(ended(a).status, GONE);
    world_end();
}
