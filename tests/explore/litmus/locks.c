// SPDX-License-Identifier: MIT
//
// The kernel's lock (kernel/lock.c, as it is), which scenarios replace by one event: mutual
// exclusion, plain data handed over, tickets served in turn, ranks. Complete, under weak memory
// and without; with each order weakened it must fail, as told.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cpu.h"
#include "explore.h"
#include "lock.h"

constexpr unsigned CPUS = 3;

// ---- what lock.c needs of the rest

const char *seeded_bug;
struct counter invariant_evaluations[ABI_INVARIANTS];
struct arch_percpu *host_running;

bool seeded_bug_is(const char *name)
{
    return seeded_bug && strcmp(seeded_bug, name) == 0;
}

void host_relax(void)
{
    explore_relax();
}

void panic(const char *format, ...)
{
    explore_fail("panic", "%s", format);
}

void invariant_failed(enum invariant invariant, const char *condition, const char *file,
                      unsigned line)
{
    explore_fail("panic", "invariant %u does not hold: %s (%s:%u)", invariant, condition, file,
                 line);
}

// ---- the programs

static struct cpu machine[CPUS];
static struct spinlock first, second, third;
static unsigned entered, handed; // under the first lock; the second one
static unsigned inside;

// The engine's, not a CPU's.
[[clang::no_sanitize("thread")]] static void on_switch(unsigned thread)
{
    host_running = thread < CPUS ? &machine[thread].arch : nullptr;
}

static void takes(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        lock_acquire(&first);
        EXPLORE_CHECK(inside++ == 0);
        // Tickets are served in turn, each once.
        EXPLORE_CHECK(atomic_load_explicit(&first.serving, memory_order_relaxed) == entered);
        entered++;
        inside--;
        lock_release(&first);
    }
}

static void tries(void *argument)
{
    (void)argument;
    while (!lock_try(&first))
        arch_cpu_relax();
    EXPLORE_CHECK(inside++ == 0);
    entered++;
    inside--;
    lock_release(&first);
}

static void takes_once(void *argument)
{
    (void)argument;
    takes(1);
}

static void takes_twice(void *argument)
{
    (void)argument;
    takes(2);
}

static void takes_both(void *argument)
{
    (void)argument;
    lock_acquire(&first);
    lock_acquire(&second);
    handed++;
    lock_release(&first); // in any order
    entered++;
    lock_release(&second);
}

static void takes_in_falling_rank(void *argument)
{
    (void)argument;
    lock_acquire(&second);
    lock_acquire(&first);
}

static void takes_an_equal_rank(void *argument)
{
    (void)argument;
    lock_acquire(&second);
    lock_acquire(&third);
}

static const struct test {
    const char *name;
    void (*threads[CPUS])(void *);
    unsigned entered;
    const char *bug, *kind; // planted, and what it must show
    bool weak_only;
} tests[] = {
    {.name = "two CPUs, twice", .threads = {takes_twice, takes_twice}, .entered = 4},
    {.name = "three CPUs, once", .threads = {takes_once, takes_once, takes_once}, .entered = 3},
    {.name = "three CPUs, twice", .threads = {takes_twice, takes_twice, takes_twice}, .entered = 6},
    {.name = "two locks", .threads = {takes_both, takes_both, takes_both}, .entered = 3},
    {.name = "one tries", .threads = {takes_twice, tries}, .entered = 3},
    {.name = "two try", .threads = {takes_once, tries, tries}, .entered = 3},
    {.name = "falling rank", .threads = {takes_in_falling_rank}, .kind = "panic"},
    {.name = "equal rank", .threads = {takes_an_equal_rank}, .kind = "panic"},
    {.name = "relaxed acquire",
     .threads = {takes_twice, takes_twice},
     .entered = 4,
     .bug = "weak acquire",
     .kind = "race",
     .weak_only = true},
    {.name = "relaxed try",
     .threads = {tries, tries},
     .entered = 2,
     .bug = "weak acquire",
     .kind = "race",
     .weak_only = true},
    {.name = "relaxed release",
     .threads = {takes_twice, takes_twice},
     .entered = 4,
     .bug = "weak release",
     .kind = "race",
     .weak_only = true},
    {.name = "plain increment",
     .threads = {takes_twice, takes_twice},
     .entered = 4,
     .bug = "lock tickets",
     .kind = "deadlock"},
};

static const struct test *test;

static void setup(void)
{
    static const char *const names[] = {"cpu0", "cpu1", "cpu2"};
    memset(machine, 0, sizeof machine);
    entered = handed = inside = 0;
    lock_init(&first, RANK_OBJECT);
    lock_init(&second, RANK_ASPACE);
    lock_init(&third, RANK_ASPACE);
    explore_on_switch = on_switch;
    explore_ignore(&host_running, sizeof host_running);
    explore_ignore(invariant_evaluations, sizeof invariant_evaluations);
    for (unsigned i = 0; i < CPUS && test->threads[i]; i++) {
        machine[i].number = i;
        explore_thread(names[i], test->threads[i], nullptr);
    }
}

static void finish(void)
{
    for (unsigned i = 0; i < CPUS; i++)
        EXPLORE_CHECK(machine[i].locks_held == 0);
    EXPLORE_CHECK(entered == test->entered && first.holder == 0);
    explore_outcome(entered);
}

static struct explore_result result;

static bool check(bool sequential)
{
    const struct explore_scenario scenario = {"lock", setup, finish};
    seeded_bug = test->bug;
    const struct explore_config how = {.sequential = sequential};
    explore_run(&scenario, &how, &result);
    bool should_fail = test->kind && !(sequential && test->weak_only);
    bool right = should_fail ? result.failed && strcmp(result.kind, test->kind) == 0
                             : result.complete && !result.failed;
    printf("%s %-18s %-10s %7" PRIu64 " executions %s %s %s\n", right ? "ok  " : "FAIL", test->name,
           sequential ? "sequential" : "weak", result.executions,
           result.complete ? "complete" : result.kind, right ? "" : result.message,
           right ? "" : result.schedule);
    return right;
}

int main(int argc, char **argv)
{
    unsigned failures = 0;
    bool written = argc < 2;
    for (unsigned i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        test = &tests[i];
        if (test->kind && !written) // what the right programs reach
            written = explore_write_reached(argv[1]);
        failures += !check(false);
        failures += !check(true);
    }
    printf("%zu programs of the kernel's lock in two memory models, %u failed\n",
           sizeof tests / sizeof tests[0], failures);
    return failures > 0 || !written;
}
