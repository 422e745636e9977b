// SPDX-License-Identifier: MIT
//
// Time as a program sees it.
//
//   (no word)   sleeps and timers are never early, and how late they are; the clock never goes
//               back, and agrees with what a program computes from the counter. For virtual time
//               (deterministic instruction counting), where lateness is the kernel's own.
//   wall=N      says a line, sleeps N seconds, says another: somebody outside has a watch
#include <kit/kit.h>

#include "counter.h"

const char *const program_name = "time";

constexpr uint32_t SLEEPS = 10'000;
constexpr uint32_t READINGS = 100'000;
constexpr uint64_t SLEEP_MAX_NS = 2 * NS_PER_MS;

static uint64_t lateness[SLEEPS];

static void sift_down(uint64_t *heap, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && heap[child + 1] > heap[child];
        if (heap[at] >= heap[child])
            return;
        uint64_t value = heap[at];
        heap[at] = heap[child];
        heap[child] = value;
    }
}

static void sort(uint64_t *values, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift_down(values, i, count);
    while (count-- > 1) {
        uint64_t value = values[0];
        values[0] = values[count];
        values[count] = value;
        sift_down(values, 0, count);
    }
}

static uint64_t sleep_until(uint64_t deadline_ns)
{
    must(thread_sleep(deadline_ns), "thread_sleep");
    return now_ns();
}

static timer_t timer;

static uint64_t wait_for_timer(uint64_t deadline_ns)
{
    uint32_t signals;
    must(timer_set(timer, deadline_ns), "timer_set");
    must(object_wait((handle_t){timer.value}, SIGNAL_FIRED, ABI_DEADLINE_NEVER, &signals),
         "object_wait");
    return now_ns();
}

static void measure(const char *what, uint64_t (*wait)(uint64_t deadline_ns), struct random *random)
{
    uint32_t early = 0;
    for (uint32_t i = 0; i < SLEEPS; i++) {
        uint64_t deadline_ns = now_ns() + random_below(random, SLEEP_MAX_NS);
        uint64_t woke_ns = wait(deadline_ns);
        early += woke_ns < deadline_ns;
        lateness[i] = woke_ns - deadline_ns;
    }
    sort(lateness, SLEEPS);
    if (early != 0)
        failed("%s: %u of %u early", what, early, SLEEPS);
    else
        say("ok %s: 0 of %u early; late by p50 %lu ns, p99 %lu ns, max %lu ns", what, SLEEPS,
            lateness[SLEEPS / 2], lateness[SLEEPS / 100 * 99], lateness[SLEEPS - 1]);
}

// The clock as a program reads it without entering the kernel, between two calls that do.
static void compare_clocks(void)
{
    uint64_t base_ns, base_ticks, multiplier, shift, before, after = 0;
    must(clock_info(&base_ns, &base_ticks, &multiplier, &shift), "clock_info");
    uint32_t backwards = 0, different = 0;
    for (uint32_t i = 0; i < READINGS; i++) {
        uint64_t last = after;
        clock_read(&before);
        uint64_t ticks = counter_read();
        clock_read(&after);
        uint64_t own =
            base_ns + (uint64_t)((unsigned __int128)(ticks - base_ticks) * multiplier >> shift);
        backwards += before < last || after < before;
        different += own < before || own > after;
    }
    if (backwards != 0 || different != 0)
        failed("clock: of %u readings %u went back, %u differ from the counter's", READINGS,
               backwards, different);
    else
        say("ok clock: %u readings, none went back, each as computed from the counter", READINGS);
}

void root_main(void)
{
    uint64_t wall_s = command_line_number("wall", 0);
    if (wall_s != 0) {
        say("the watch starts");
        uint64_t began_ns = now_ns();
        uint64_t woke_ns = sleep_until(began_ns + wall_s * NS_PER_S);
        say("the watch stops after %lu ns", woke_ns - began_ns);
        return;
    }
    struct random random = {command_line_number("seed", 1)};
    must(timer_create(start.account, &timer), "timer_create");
    measure("sleeps", sleep_until, &random);
    measure("timers", wait_for_timer, &random);
    compare_clocks();
}

void child_main(void)
{
}
