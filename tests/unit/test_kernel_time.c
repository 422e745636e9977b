// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// The clock on counters of other frequencies, that count from anywhere; when its timer is set, and
// for when (T1, T2).
#include <hal/hal.h>

#include "clock.h"
#include "cpu.h"
#include "kernel_world.h"

constexpr uint64_t SECOND = 1'000'000'000;

static struct {
    struct clock_source source;
    const struct clock_source *real; // of the simulated machine: 1 GHz, from 0
    uint64_t first;                  // what the counter reads at the beginning
    uint64_t last;                   // what the timer is set for
    unsigned arms;                   // how often it was set
} counter;

static struct actor *a;

static uint64_t ticks_of(uint64_t ns)
{
    return (uint64_t)((unsigned __int128)ns * counter.source.hz / SECOND);
}

static uint64_t counter_ticks(void)
{
    return counter.first + ticks_of(host_ticks);
}

static void counter_arm(uint64_t ticks)
{
    counter.arms++;
    counter.last = ticks;
    if (ticks == UINT64_MAX)
        return counter.real->arm(UINT64_MAX);
    uint64_t after = ticks > counter.first ? ticks - counter.first : 0;
    unsigned __int128 ns = ((unsigned __int128)after * SECOND + counter.source.hz - 1) /
                           counter.source.hz; // the first moment at which the counter reads it
    if (ns <= host_ticks)
        ns = host_ticks + 1; // what fires early takes a moment, in which time goes on
    counter.real->arm(ns < UINT64_MAX ? (uint64_t)ns : UINT64_MAX - 1);
}

static void begin(uint64_t hz, uint64_t first)
{
    host_reset(PAGE_SIZE, 0);
    counter.real = hal.clock;
    counter.source = *hal.clock;
    counter.source.hz = hz;
    counter.source.ticks = counter_ticks;
    counter.source.arm = counter_arm;
    counter.first = first;
    world_begin((struct world_options){.asids = UINT32_MAX, .clock = &counter.source});
    a = spawn(new_account(100, 200), 10);
}

static const uint64_t frequencies[] = {100'000,        1'193'182,      19'200'000,
                                       24'000'000,     62'500'000,     1'000'000'000,
                                       2'899'886'000u, 5'100'000'001u, 99'999'999'999};

// How much a conversion may be off by now: a tick, and the precision of its factor, which is 27
// bits at worst.
static uint64_t tolerance(uint64_t hz)
{
    return SECOND / hz + 2 + (host_ticks >> 27);
}

TEST(time_on_any_counter)
{
    for (unsigned i = 0; i < ARRAY_SIZE(frequencies); i++) {
        uint64_t hz = frequencies[i];
        begin(hz, i * 0x1234'5678'9abc);
        for (unsigned step = 0; step < 20; step++) {
            uint64_t read = MUST(a, CLOCK_READ);
            EXPECT(read <= host_ticks && host_ticks - read <= tolerance(hz));
            // What user code makes of the counter is the same.
            struct outcome info = CALL(a, CLOCK_INFO);
            EXPECT_STATUS(info.status, OK);
            EXPECT_EQUAL(info.value[0], 0);
            EXPECT_EQUAL(info.value[1], counter.first);
            uint64_t passed = counter_ticks() - info.value[1];
            EXPECT_EQUAL((uint64_t)((unsigned __int128)passed * info.value[2] >> info.value[3]),
                         read);
            advance(1 + step * step * 12'345'678);
        }
        world_end();
    }
}

TEST(deadlines_on_any_counter)
{
    for (unsigned i = 0; i < ARRAY_SIZE(frequencies); i++) {
        uint64_t hz = frequencies[i];
        begin(hz, i * 0x1234'5678'9abc);
        uint64_t timer = MUST(a, TIMER_CREATE, a->account);
        for (uint64_t wait = 1; wait < 100 * SECOND; wait = wait * 3 + 7) {
            uint64_t due = host_ticks + wait;
            MUST(a, TIMER_SET, timer, due);
            // It is set for the moment, or a little before: one tick and the factor's precision.
            uint64_t set = counter.last - counter.first;
            EXPECT(set <= ticks_of(due) && set + 2 + (ticks_of(due) >> 32) >= ticks_of(due));
            advance(wait - 1);
            EXPECT_CALL(TIMED_OUT, a, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
            advance(1);
            advance(2 * tolerance(hz));
            MUST(a, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
        }
        world_end();
    }
}

TEST(a_deadline_beyond_the_end_of_the_counter)
{
    begin(99'999'999'999, UINT64_MAX / 2);
    uint64_t timer = MUST(a, TIMER_CREATE, a->account);
    MUST(a, TIMER_SET, timer, ABI_DEADLINE_NEVER - 1);
    EXPECT_EQUAL(counter.last, UINT64_MAX - 1); // as late as can be, and not never
    MUST(a, TIMER_SET, timer, UINT64_MAX / 100);
    EXPECT_EQUAL(counter.last, UINT64_MAX - 1);
    advance(SECOND);
    EXPECT_CALL(TIMED_OUT, a, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
    MUST(a, TIMER_CANCEL, timer);
    EXPECT_EQUAL(host_armed(0), UINT64_MAX);
    world_end();
}

// The timer is a device: it is set when the first deadline changes, and only then.
TEST(the_timer_is_set_only_when_it_must)
{
    begin(SECOND, 0);
    uint64_t first = MUST(a, TIMER_CREATE, a->account);
    uint64_t second = MUST(a, TIMER_CREATE, a->account);
    uint64_t never = MUST(a, TIMER_CREATE, a->account);
    EXPECT_EQUAL(host_armed(0), UINT64_MAX);
    EXPECT_EQUAL(counter.arms, 0);
    MUST(a, TIMER_SET, first, 50'000);
    EXPECT(counter.last <= 50'000 && counter.last + 2 >= 50'000);
    unsigned arms = counter.arms;
    MUST(a, TIMER_SET, second, 70'000); // later
    MUST(a, TIMER_SET, never, ABI_DEADLINE_NEVER);
    MUST(a, CLOCK_READ);
    EXPECT_EQUAL(counter.arms, arms);
    MUST(a, TIMER_CANCEL, first);
    EXPECT(counter.last <= 70'000 && counter.last + 2 >= 70'000);
    EXPECT_EQUAL(counter.arms, arms + 1);
    MUST(a, TIMER_SET, first, 60'000);
    EXPECT(counter.last <= 60'000 && counter.last + 2 >= 60'000);
    advance(60'001);
    EXPECT(counter.last <= 70'000 && counter.last + 2 >= 70'000);
    advance(10'001);
    EXPECT_EQUAL(host_armed(0), UINT64_MAX);
    MUST(a, OBJECT_WAIT, first, SIGNAL_FIRED, 0);
    MUST(a, OBJECT_WAIT, second, SIGNAL_FIRED, 0);
    EXPECT_CALL(TIMED_OUT, a, OBJECT_WAIT, never, SIGNAL_FIRED, 0);
    arms = counter.arms;
    MUST(a, CLOCK_READ);
    advance(SECOND);
    EXPECT_EQUAL(counter.arms, arms); // nothing is due: no interrupt comes
    world_end();
}

static uint64_t moving_ticks(void)
{
    return host_ticks++;
}

// Of a switch the time is read once: what one has no more is the next one's.
TEST(no_time_is_lost_in_a_switch)
{
    begin(SECOND, 0);
    struct actor *b = spawn_thread(a, 10);
    struct cpu *cpu = cpus[0];
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    EXPECT_STATUS(HELD(a, EVENT_SIGNAL, event, 1).status, OK);
    uint64_t idle = counter_read(&cpu->idle_ns), of_a = counter_read(&a->thread->cpu_ns);
    uint64_t since = cpu->switched_ns;
    counter.source.ticks = moving_ticks;
    b->held = true;
    (void)HELD(a, THREAD_YIELD);
    EXPECT(cpu->current == b->thread);
    EXPECT_EQUAL(counter_read(&cpu->idle_ns), idle);
    EXPECT_EQUAL(counter_read(&a->thread->cpu_ns) - of_a, cpu->switched_ns - since);
    EXPECT_EQUAL(cpu->slice_end_ns, cpu->switched_ns + 10'000'000);
    counter.source.ticks = counter_ticks;
    settle();
    world_end();
}

// More that is due at once than one entry does.
TEST(many_deadlines_at_once)
{
    world_begin((struct world_options){});
    a = spawn(new_account(100, 200), 10);
    uint64_t timers[5 * CPU_BATCH + 1];
    for (unsigned i = 0; i < ARRAY_SIZE(timers); i++)
        timers[i] = MUST(a, TIMER_CREATE, a->account);
    for (unsigned count = ARRAY_SIZE(timers) - 1; count <= ARRAY_SIZE(timers); count++) {
        for (unsigned i = 0; i < count; i++)
            MUST(a, TIMER_SET, timers[i], host_ticks + 1'000'000);
        uint64_t interrupts = counter_read(&cpus[0]->timer_interrupts);
        advance(1'000'000);
        EXPECT_EQUAL(counter_read(&cpus[0]->timer_interrupts) - interrupts,
                     (count + CPU_BATCH - 1) / CPU_BATCH);
        for (unsigned i = 0; i < count; i++)
            MUST(a, OBJECT_WAIT, timers[i], SIGNAL_FIRED, 0);
        EXPECT_EQUAL(host_armed(0), UINT64_MAX);
    }
    world_end();
}
