// SPDX-License-Identifier: MIT
//
// The explorer against itself: small random programs, whose outcomes must be the same by the
// search as it is used, by one to which accesses of a location never commute, and by trying
// everything (every thread at every event, nothing asleep; without weak memory: newest values
// only). The same under a bound on preemptions.
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"

constexpr unsigned THREADS = 3, OPERATIONS = 4, LOCATIONS = 3;

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
    unsigned places = 1 + roll(LOCATIONS);
    for (unsigned t = 0; t < program.threads; t++) {
        program.lengths[t] = 1 + roll(program.threads == 2 ? OPERATIONS : 3);
        for (unsigned i = 0; i < program.lengths[t]; i++) {
            struct instruction *at = &program.code[t][i];
            at->kind = kinds[roll(sizeof kinds / sizeof kinds[0])];
            at->location = (uint8_t)roll(places);
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

// ---- the comparison

enum { BY_REDUCTION, IN_ORDER, BY_EVERYTHING, WAYS };
static struct explore_result results[WAYS];
static uint64_t executions[WAYS], unfinished[WAYS], budget;

static bool explore(unsigned way, struct explore_config how)
{
    static const struct explore_scenario scenario = {"random", setup, finish};
    explore_run(&scenario, &how, &results[way]);
    executions[way] += results[way].executions + results[way].pruned;
    bool finished = results[way].complete || results[way].failed;
    unfinished[way] += !finished;
    return finished;
}

static bool same(unsigned a, unsigned b)
{
    return !results[a].failed && !results[b].failed &&
           results[a].outcome_count == results[b].outcome_count &&
           memcmp(results[a].outcomes, results[b].outcomes,
                  results[a].outcome_count * sizeof(uint64_t)) == 0;
}

// Whether the ways agree that have come to their ends.
static bool agree(struct explore_config how)
{
    if (!explore(BY_REDUCTION, how))
        return false;
    how.budget = budget;
    how.ordered = true;
    if (!how.bounded && explore(IN_ORDER, how) && !same(BY_REDUCTION, IN_ORDER))
        return false;
    how.mode = EXPLORE_NAIVE;
    return !explore(BY_EVERYTHING, how) || same(BY_REDUCTION, BY_EVERYTHING);
}

// Leaves out what the mismatch does not need.
static void shrink(struct explore_config how)
{
    for (unsigned t = 0; t < program.threads; t++)
        for (unsigned i = 0; i < program.lengths[t];) {
            struct program before = program;
            program.lengths[t]--;
            memmove(&program.code[t][i], &program.code[t][i + 1],
                    (program.lengths[t] - i) * sizeof program.code[t][0]);
            if (agree(how)) {
                program = before;
                i++;
            }
        }
    (void)agree(how);
}

static bool check(const char *what, uint64_t seed, struct explore_config how)
{
    if (agree(how))
        return true;
    struct program whole = program;
    shrink(how);
    printf("program %" PRIu64 ", %s:", seed, what);
    for (unsigned way = 0; way < WAYS; way++)
        printf(" %u outcomes%s%s%s", results[way].outcome_count,
               results[way].complete ? "" : " so far", way + 1 < WAYS ? "," : "",
               results[way].message);
    printf("\n");
    print_program();
    program = whole;
    return false;
}

// Programs that the search was once wrong about.
static const uint64_t found[] = {31672, 38833, 71755, 86599, 108418};
constexpr unsigned FOUND = sizeof found / sizeof found[0];

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], nullptr, 0) : 10'000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], nullptr, 0) : 1;
    budget = argc > 3 ? strtoull(argv[3], nullptr, 0) : 2'000;
    uint64_t compared = 0, mismatches = 0;
    // Until so many have been compared with everything, in each of the three ways to look.
    for (unsigned i = 0; compared < count && mismatches < 5; i++) {
        uint64_t number = i < FOUND ? found[i] : seed++;
        make_program(number);
        uint64_t before = unfinished[BY_EVERYTHING];
        mismatches += !check("weak memory", number, (struct explore_config){});
        mismatches += !check("sequential", number, (struct explore_config){.sequential = true});
        mismatches += !check("bounded", number,
                             (struct explore_config){.bounded = true, .bound = number % 3});
        compared += unfinished[BY_EVERYTHING] == before;
    }
    printf("%" PRIu64 " random programs, executions: %" PRIu64 " by reduction, %" PRIu64
           " in order, %" PRIu64 " by everything (%" PRIu64
           " more programs were too large for it); "
           "%" PRIu64 " mismatches\n",
           compared, executions[BY_REDUCTION], executions[IN_ORDER], executions[BY_EVERYTHING],
           unfinished[BY_EVERYTHING], mismatches);
    return mismatches > 0;
}
