// SPDX-License-Identifier: MIT
//
// The explorer against itself: small random programs, whose outcomes must be the same by
// reduction as by trying everything (every thread at every event, nothing asleep).
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"

constexpr unsigned THREADS = 3, OPERATIONS = 4, LOCATIONS = 2;

enum kind : uint8_t { LOAD, STORE, EXCHANGE, ADD, COMPARE, FENCE, LOCKED, CHOOSE, KINDS };

struct instruction {
    enum kind kind;
    uint8_t location, value, expected;
    memory_order order, failure;
};

static struct program {
    unsigned threads;
    unsigned lengths[THREADS];
    struct instruction code[THREADS][OPERATIONS];
} program;

static _Atomic int locations[LOCATIONS];
static int registers[THREADS], the_lock, guarded;

static void run(void *argument)
{
    unsigned me = (unsigned)(uintptr_t)argument;
    int seen = 0;
    for (unsigned i = 0; i < program.lengths[me]; i++) {
        const struct instruction *at = &program.code[me][i];
        _Atomic int *location = &locations[at->location];
        int value = at->value, expected = at->expected;
        switch (at->kind) {
        case LOAD:
            seen = 7 * seen + atomic_load_explicit(location, at->order);
            break;
        case STORE:
            atomic_store_explicit(location, value, at->order);
            break;
        case EXCHANGE:
            seen = 7 * seen + atomic_exchange_explicit(location, value, at->order);
            break;
        case ADD:
            seen = 7 * seen + atomic_fetch_add_explicit(location, 1, at->order);
            break;
        case COMPARE:
            atomic_compare_exchange_strong_explicit(location, &expected, value, at->order,
                                                    at->failure);
            seen = 7 * seen + expected;
            break;
        case FENCE:
            atomic_thread_fence(at->order);
            break;
        case LOCKED:
            explore_lock(&the_lock);
            seen = 7 * seen + guarded;
            guarded = value + (int)me;
            explore_unlock(&the_lock);
            break;
        case CHOOSE:
            seen = 7 * seen + (int)explore_choose(2);
            break;
        case KINDS:
            break;
        }
    }
    registers[me] = seen;
}

static void setup(void)
{
    static const char *const names[] = {"a", "b", "c"};
    memset((void *)locations, 0, sizeof locations);
    memset(registers, 0, sizeof registers);
    guarded = 0;
    for (unsigned i = 0; i < program.threads; i++)
        explore_thread(names[i], run, (void *)(uintptr_t)i);
}

static void finish(void)
{
    uint64_t hash = 0xcbf2'9ce4'8422'2325;
    for (unsigned i = 0; i < THREADS; i++)
        hash = (hash ^ (uint64_t)registers[i]) * 0x100'0000'01b3;
    for (unsigned i = 0; i < LOCATIONS; i++)
        hash = (hash ^ (uint64_t)locations[i]) * 0x100'0000'01b3;
    explore_outcome(hash);
}

static uint64_t state;

static unsigned roll(unsigned below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 11) % below;
}

static void make_program(uint64_t seed)
{
    static const memory_order loads[] = {memory_order_relaxed, memory_order_relaxed,
                                         memory_order_acquire, memory_order_seq_cst};
    static const memory_order stores[] = {memory_order_relaxed, memory_order_relaxed,
                                          memory_order_release, memory_order_seq_cst};
    static const memory_order both[] = {memory_order_relaxed, memory_order_acquire,
                                        memory_order_release, memory_order_acq_rel,
                                        memory_order_seq_cst};
    static const enum kind kinds[] = {LOAD,     LOAD, LOAD,    STORE, STORE,  STORE,
                                      EXCHANGE, ADD,  COMPARE, FENCE, LOCKED, CHOOSE};
    state = seed * 0x9e37'79b9'7f4a'7c15 + 1;
    memset(&program, 0, sizeof program);
    program.threads = 2 + roll(2);
    for (unsigned t = 0; t < program.threads; t++) {
        program.lengths[t] = 1 + roll(program.threads == 2 ? OPERATIONS : 2);
        for (unsigned i = 0; i < program.lengths[t]; i++) {
            struct instruction *at = &program.code[t][i];
            at->kind = kinds[roll(sizeof kinds / sizeof kinds[0])];
            at->location = (uint8_t)roll(LOCATIONS);
            at->value = (uint8_t)(1 + roll(3));
            at->expected = (uint8_t)roll(3);
            at->order = at->kind == LOAD    ? loads[roll(4)]
                        : at->kind == STORE ? stores[roll(4)]
                                            : both[roll(5)];
            if (at->kind == FENCE && at->order == memory_order_relaxed)
                at->order = memory_order_seq_cst;
            at->failure = loads[roll(4)];
        }
    }
}

static void print_program(void)
{
    static const char *const names[] = {"load",    "store", "exchange", "add",
                                        "compare", "fence", "locked",   "choose"};
    for (unsigned t = 0; t < program.threads; t++)
        for (unsigned i = 0; i < program.lengths[t]; i++) {
            const struct instruction *at = &program.code[t][i];
            printf("  %c: %s [%u] value %u expected %u order %d/%d\n", 'a' + (int)t,
                   names[at->kind], at->location, at->value, at->expected, (int)at->order,
                   (int)at->failure);
        }
}

static struct explore_result by_reduction, by_everything;

static bool agree(bool sequential)
{
    static const struct explore_scenario scenario = {"random", setup, finish};
    struct explore_config how = {.mode = EXPLORE_DPOR, .sequential = sequential};
    explore_run(&scenario, &how, &by_reduction);
    how.mode = EXPLORE_NAIVE;
    how.budget = 200'000;
    explore_run(&scenario, &how, &by_everything);
    if (!by_everything.complete && !by_everything.failed)
        return true; // too many to try: not counted
    return !by_reduction.failed && !by_everything.failed &&
           by_reduction.outcome_count == by_everything.outcome_count &&
           memcmp(by_reduction.outcomes, by_everything.outcomes,
                  by_reduction.outcome_count * sizeof(uint64_t)) == 0;
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], nullptr, 0) : 10'000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], nullptr, 0) : 1;
    uint64_t reduced = 0, all = 0, unfinished = 0, mismatches = 0;
    for (uint64_t i = 0; i < count; i++) {
        make_program(seed + i);
        for (unsigned sequential = 0; sequential < 2; sequential++) {
            bool same = agree(sequential);
            reduced += by_reduction.executions + by_reduction.pruned;
            all += by_everything.executions;
            unfinished += !by_everything.complete;
            if (same)
                continue;
            mismatches++;
            printf("program %" PRIu64
                   ", %s memory: %u outcomes by reduction, %u by everything %s %s\n",
                   seed + i, sequential ? "sequential" : "weak", by_reduction.outcome_count,
                   by_everything.outcome_count, by_reduction.kind, by_reduction.message);
            print_program();
        }
        if (mismatches > 5)
            break;
    }
    printf("%" PRIu64 " random programs from seed %" PRIu64 ", %" PRIu64
           " executions by reduction, %" PRIu64 " by everything (%" PRIu64
           " not tried out), %" PRIu64 " mismatches\n",
           count, seed, reduced, all, unfinished, mismatches);
    return mismatches > 0;
}
