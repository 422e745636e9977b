// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// What another CPU does between two steps of a call or an interrupt, one order at a time: CPU 0 or 1
// stops where a function begins, the other does its part, and then the first goes on (O2, I3, S1).
#include <entry/entry.h>

#include "cpu.h"
#include "kernel_world.h"

static struct actor *zero, *one; // on CPU 0 and 1

static void begin(uint32_t asids)
{
    world_begin((struct world_options){.cpus = 2, .asids = asids});
    uint64_t account = new_account(600, 300);
    zero = spawn_on(0, account, 10);
    one = spawn_on(1, account, 10);
}

// ---- between the lookup of a handle and the lock of what it names

static uint64_t doomed, process, thread, timer; // zero's: an account and what it pays for
static uint64_t doomed_there, process_there;    // the same, one's

static void make_doomed(void)
{
    doomed = MUST(zero, ACCOUNT_CREATE, zero->account, 50, 20);
    process = MUST(zero, PROCESS_CREATE, doomed, 0);
    thread = MUST(zero, THREAD_CREATE, process, 5, 0x80'0000);
    timer = MUST(zero, TIMER_CREATE, doomed);
    doomed_there = grant(one, zero, doomed);
    process_there = grant(one, zero, process);
}

#define EXPECT_MEANWHILE(wanted, function, name, ...)       \
    do {                                                    \
        make_doomed();                                      \
        hold(zero);                                         \
        STOPPED(zero, function, name, __VA_ARGS__);         \
        EXPECT_CALL(OK, one, OBJECT_DESTROY, doomed_there); \
        EXPECT_STATUS(go_on(zero).status, wanted);          \
        settle();                                           \
        world_check();                                      \
    } while (0)

TEST(what_goes_before_it_is_locked_is_gone)
{
    begin(0);
    EXPECT_MEANWHILE(GONE, object_lock, THREAD_START, thread, 0x1000, 0, 0, 0);
    EXPECT_MEANWHILE(GONE, object_lock, THREAD_CANCEL, thread);
    EXPECT_MEANWHILE(GONE, object_lock, THREAD_SET_PRIORITY, thread, 3);
    EXPECT_MEANWHILE(GONE, object_lock, THREAD_SET_CPU, thread, 1);
    EXPECT_MEANWHILE(GONE, object_lock, OBJECT_WAIT, thread, SIGNAL_TERMINATED, 0);
    EXPECT_MEANWHILE(GONE, object_lock, OBJECT_INSPECT, thread);
    EXPECT_MEANWHILE(GONE, object_lock, OBJECT_DESTROY, thread);
    EXPECT_MEANWHILE(GONE, object_lock, TIMER_SET, timer, 1000);
    EXPECT_MEANWHILE(GONE, object_lock, TIMER_CANCEL, timer);
    EXPECT_MEANWHILE(BAD_STATE, object_ref_lock, THREAD_CREATE, process, 5, 0x90'0000);
    world_end();
}

TEST(an_exception_end_that_is_closed_before_it_is_taken)
{
    begin(0);
    struct actor *other = spawn_thread_on(1, zero, 10);
    struct ends ends = new_channel(zero, 4, 64, 1, 2);
    const struct account *account = account_behind(zero, zero->account);
    uint64_t pages = account->pages.used, objects = account->objects.used;
    hold(zero);
    STOPPED(zero, handles_hold, PROCESS_CREATE, zero->account, ends.end1, 0);
    MUST(other, HANDLE_CLOSE, ends.end1);
    EXPECT_STATUS(go_on(zero).status, BAD_HANDLE);
    settle();
    EXPECT_EQUAL(account->objects.used, objects - 1); // the end that was closed
    EXPECT(account->pages.used <= pages);
    EXPECT_EQUAL(zero->process->handles_reserved, 0);
    world_check();
    world_end();
}

// The end has asked all threads there are, and waits for one that is still being made.
TEST(a_thread_that_is_added_while_its_process_ends)
{
    begin(0);
    make_doomed();
    hold(zero);
    STOPPED(zero, process_thread_added, THREAD_CREATE, process, 5, 0x90'0000);
    MUST(one, OBJECT_DESTROY, process_there);
    EXPECT_STATUS(go_on(zero).status, OK);
    settle();
    MUST(zero, OBJECT_WAIT, process, SIGNAL_TERMINATED, 0);
    world_check();
    world_end();
}

// ---- between a deadline that has come and what it is for

static uint64_t timer_there;

// CPU 0 has it off its list and has not locked it yet.
static void timer_is_due(void)
{
    timer = MUST(zero, TIMER_CREATE, zero->account);
    timer_there = grant(one, zero, timer);
    MUST(zero, TIMER_SET, timer, host_ticks + 1000);
    hold(zero);
    host_ticks += 1000;
    stopped_interrupt(zero, (const void *)object_ref_lock);
}

static void expect_not_fired(void)
{
    (void)go_on(zero);
    settle();
    EXPECT_CALL(TIMED_OUT, zero, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
    world_check();
}

TEST(a_timer_that_changes_when_it_is_due)
{
    begin(0);
    timer_is_due();
    MUST(one, OBJECT_DESTROY, timer_there);
    (void)go_on(zero);
    settle();
    EXPECT_CALL(GONE, zero, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
    timer_is_due();
    MUST(one, TIMER_CANCEL, timer_there);
    expect_not_fired();
    timer_is_due();
    MUST(one, TIMER_SET, timer_there, host_ticks + 5000);
    expect_not_fired();
    advance(5000);
    MUST(zero, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
    world_end();
}

static struct actor *low; // of the waiter's process, on CPU 1
static uint64_t event;    // zero's

TEST(an_object_goes_while_its_waiter_leaves)
{
    begin(0);
    low = spawn_thread_on(1, one, 5);
    event = MUST(zero, EVENT_CREATE, zero->account);
    uint64_t theirs = grant(one, zero, event);
    EXPECT_CALL(BLOCKED, one, OBJECT_WAIT, theirs, 1, host_ticks + 1000);
    hold(low);
    host_ticks += 1000;
    stopped_interrupt(low, (const void *)thread_end_wait);
    MUST(zero, OBJECT_DESTROY, event);
    (void)go_on(low);
    settle();
    EXPECT_STATUS(ended(one).status, TIMED_OUT);
    world_check(); // nothing is left of the event
    world_end();
}

TEST(killed_while_another_cpu_wakes_it)
{
    begin(0);
    struct actor *victim = spawn_thread(zero, 5);
    event = MUST(zero, EVENT_CREATE, zero->account);
    EXPECT_CALL(BLOCKED, victim, OBJECT_WAIT, event, 1, host_ticks + 1000);
    MUST(zero, THREAD_SET_CPU, victim->own_thread, 1); // its deadline stays
    victim->cpu = 1;
    uint64_t there = grant(one, zero, victim->own_thread);
    hold(zero);
    host_ticks += 1000;
    stopped_interrupt(zero, (const void *)thread_end_wait);
    MUST(one, OBJECT_DESTROY, there);
    EXPECT(!is_dead(victim)); // who has won its wait is not done with it
    (void)go_on(zero);
    settle();
    EXPECT(is_dead(victim));
    world_check();
    world_end();
}

// ---- on the way from one CPU to another

static struct actor *mover;
static uint64_t mover_there;

static void begin_move(void)
{
    begin(0);
    mover = spawn_thread(zero, 5);
    mover_there = grant(one, zero, mover->own_thread);
    event = MUST(zero, EVENT_CREATE, zero->account);
    EXPECT_CALL(BLOCKED, mover, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(zero);
    EXPECT_STATUS(HELD(zero, EVENT_SIGNAL, event, 1).status, OK);
    EXPECT(thread_state(mover->thread) == THREAD_READY);
}

TEST(asked_for_something_as_it_leaves)
{
    begin_move();
    STOPPED(zero, thread_move_away, THREAD_SET_CPU, mover->own_thread, 1);
    MUST(one, THREAD_SET_PRIORITY, mover_there, 4); // its post is on its way to CPU 0
    EXPECT_STATUS(go_on(zero).status, OK);
    mover->cpu = 1;
    settle();
    EXPECT_STATUS(ended(mover).status, OK);
    EXPECT_EQUAL(thread_priority(mover->thread), 4);
    EXPECT(mover->thread->home == cpus[1]);
    MUST(mover, CLOCK_READ);
    world_check();
    world_end();
}

TEST(sent_back_before_its_old_cpu_looks_up)
{
    begin_move();
    STOPPED(zero, cpu_interrupt, THREAD_SET_CPU, mover->own_thread, 1); // it is posted
    MUST(one, THREAD_SET_CPU, mover_there, 0);
    EXPECT_STATUS(go_on(zero).status, OK);
    settle();
    EXPECT(mover->thread->home == cpus[0]);
    EXPECT_STATUS(ended(mover).status, OK);
    MUST(mover, CLOCK_READ);
    world_check();
    world_end();
}

// ---- in a round of flushing

// An operation that is posted to a CPU in a round ends no round.
TEST(something_else_is_posted_during_a_round)
{
    begin(UINT32_MAX);
    uint64_t vmo = MUST(zero, VMO_CREATE, zero->account, PAGE_SIZE, 0);
    MUST(zero, VM_MAP, zero->own_aspace, vmo, 0, 0x5000'0000, PAGE_SIZE, PROT_READ);
    struct actor *waiter = spawn_thread_on(1, zero, 10);
    low = spawn_thread_on(1, zero, 5);
    event = MUST(zero, EVENT_CREATE, zero->account);
    EXPECT_CALL(BLOCKED, waiter, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(low);
    STOPPED(low, thread_end_wait, THREAD_CANCEL, waiter->own_thread);
    MUST(zero, OBJECT_DESTROY, event); // waits for the waiter to leave
    EXPECT_CALL(BLOCKED, zero, VM_UNMAP, zero->own_aspace, 0x5000'0000);
    EXPECT(cpus[0]->flush_ticket.busy);
    (void)go_on(low); // resumes the end of the event, and has not answered
    EXPECT(inbox_waiting(&cpus[0]->inbox));
    host_wake(0, entry_kernel_interrupt);
    host_run(0);
    EXPECT(!inbox_waiting(&cpus[0]->inbox) && cpus[0]->flush_ticket.busy && !has_ended(zero));
    settle();
    EXPECT_STATUS(ended(zero).status, OK);
    world_check();
    world_end();
}

// ---- a lock of what is another object by now

static void hold_what_becomes_another(void)
{
    struct spinlock lock;
    lock_init(&lock, RANK_VMO);
    lock_acquire(&lock);
    lock.rank = RANK_OBJECT; // as object_new, for the next object in the slot
    lock_release(&lock);
}

TEST(a_lock_is_released_whatever_became_of_its_rank)
{
    world_begin((struct world_options){});
    on_cpu(0, hold_what_becomes_another);
    EXPECT_EQUAL(cpus[0]->locks_held, 0);
    world_check();
}
