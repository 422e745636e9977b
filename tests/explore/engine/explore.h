// SPDX-License-Identifier: MIT
//
// The explorer: runs real C code, compiled with the compiler's thread-sanitizer instrumentation,
// through every interleaving and every outcome that the memory model allows, up to equivalence.
//
// A scenario sets up, once, what all its executions begin with, and starts model threads. Each
// execution runs them to their ends in one order; then memory is put back and the next order is
// tried, until none is left (source-DPOR with sleep sets; reads and writes commute unless one
// reads the other).
//
// Seen are all accesses of instrumented code. Atomic operations, locks and choices are where
// threads interleave; plain accesses are checked for races. Code that is not instrumented is not
// seen: what it changes must be registered with explore_region.
//
// Memory model: RC11 without promises (docs/explore.md).
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr unsigned EXPLORE_THREADS = 6;

// ---- what a scenario is made of

struct explore_scenario {
    const char *name;
    void (*setup)(void);  // once; starts the threads. Its memory accesses are undone by nobody.
    void (*finish)(void); // after each execution; checks. May be nullptr.
};

// In setup: a model thread. `thread` numbers count from 0 in the order of the calls.
void explore_thread(const char *name, void (*function)(void *), void *argument);

// In setup: memory that code without instrumentation changes; it is put back by copying.
void explore_region(void *start, size_t bytes);

// In setup: memory whose races are nobody's business (figures of tests, counters of checks).
void explore_ignore(const void *start, size_t bytes);

// In setup: whether the next part of the scenario, one that can be left out, is there. Shrinking
// leaves out as many as it can.
bool explore_keeps_part(void);

// Called with the number of each model thread that goes on running.
extern void (*explore_on_switch)(unsigned thread);

// Called with each atomic store that becomes the newest of its location.
extern void (*explore_on_store)(uintptr_t address, uint64_t before, uint64_t now);

// ---- inside model threads

// One of `count` possibilities; each is tried.
unsigned explore_choose(unsigned count);

// A turn of a loop that may only wait: when two turns have made the same loads and nothing else,
// blocks until something that was read has a newer value.
void explore_relax(void);

// Waits until the 32-bit atomic at `flag` is not 0; an execution may end here. Acquires.
void explore_wait(const void *flag);

// Locks as the explorer's own: one event each. (The kernel's are checked by scenarios of theirs.)
void explore_lock(void *lock);
void explore_unlock(void *lock);
void explore_lock_at(void *lock, const void *caller); // who it is in traces
void explore_unlock_at(void *lock, const void *caller);

unsigned explore_self(void); // EXPLORE_THREADS: outside of model threads

// Ends the execution: a failure of the given kind ("race", "check", "panic", "deadlock"...).
[[noreturn, gnu::format(printf, 2, 3)]] void explore_fail(const char *kind, const char *format,
                                                          ...);

#define EXPLORE_CHECK(condition)                                                               \
    do                                                                                         \
        if (!(condition))                                                                      \
            explore_fail("check", "%s does not hold (%s:%d)", #condition, __FILE__, __LINE__); \
    while (0)

// Adds a number to the set of outcomes of this execution's end.
void explore_outcome(uint64_t outcome);

// In finish: it asks about a part that was left out. There is nothing to check.
[[noreturn]] void explore_finish_nothing(void);

// ---- running

enum explore_mode { EXPLORE_DPOR, EXPLORE_NAIVE, EXPLORE_RANDOM };

struct explore_config {
    enum explore_mode mode;
    bool sequential; // no weak memory
    bool ordered;    // accesses of a location never commute: to check the reduction by
    bool bounded;    // not more preemptions than `bound`; ordered
    unsigned bound;
    unsigned depth;       // EXPLORE_RANDOM: changes of priority
    uint64_t budget;      // executions at most; 0: no bound
    uint64_t seed;        // EXPLORE_RANDOM
    const char *state;    // a file: where an unfinished search goes on from there, next time
    bool resume;          // this is the next time
    const char *schedule; // replay this one, with a trace on stdout
};

constexpr unsigned EXPLORE_OUTCOMES = 4096;

struct explore_result {
    uint64_t executions; // to their ends
    uint64_t resumed;    // of these, by runs before
    uint64_t pruned;     // given up: another execution shows the same
    uint64_t events;     // of the longest execution
    uint64_t points;     // of the longest: where more than one thread could go on
    bool complete;       // nothing is left to try
    bool failed;
    char kind[16], message[512], schedule[4096];
    uint64_t failed_at; // the execution
    unsigned outcome_count;
    uint64_t outcomes[EXPLORE_OUTCOMES]; // sorted
};

void explore_run(const struct explore_scenario *scenario, const struct explore_config *config,
                 struct explore_result *result);

// Of a run that failed: fewer parts, then fewer preemptions, then newer values, as long as it fails
// in the same way. The result becomes the shortest one's. Returns how many executions it took.
unsigned explore_shrink(const struct explore_scenario *scenario,
                        const struct explore_config *config, struct explore_result *result);

// Writes the addresses of code that executions have reached since setup, one a line, of the last
// run: "operation" atomics, locks and fences; "access" plain ones; where the code is compiled to
// mark its basic blocks, each as "block" or "missed".
bool explore_write_reached(const char *file);
