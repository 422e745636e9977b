// SPDX-License-Identifier: MIT
//
// Litmus tests: small programs whose outcomes under RC11 without promises are known. Each is run
// in both memory models; the set of outcomes must be exactly the one that stands here. Outcomes
// are written as digits: what the threads' registers hold at the end, or a location.
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"

static _Atomic int x, y, z;
static int r0, r1, r2, r3, plain;

#define LOAD(location, order) atomic_load_explicit(&location, memory_order_##order)
#define STORE(location, value, order) atomic_store_explicit(&location, value, memory_order_##order)
#define FENCE(order) atomic_thread_fence(memory_order_##order)
#define THREAD(name) static void name([[maybe_unused]] void *argument)

static void finish4(void)
{
    explore_outcome((uint64_t)(1000 * r0 + 100 * r1 + 10 * r2 + r3));
}

static void setup_memory(void)
{
    x = y = z = 0;
    r0 = r1 = r2 = r3 = plain = 0;
}

// ---- the programs: THREADS of each, by a macro that makes the orders parameters

#define SB(name, ws, rs, fence) \
    THREAD(name##_a)            \
    {                           \
        STORE(x, 1, ws);        \
        fence;                  \
        r0 = LOAD(y, rs);       \
    }                           \
    THREAD(name##_b)            \
    {                           \
        STORE(y, 1, ws);        \
        fence;                  \
        r1 = LOAD(x, rs);       \
    }
SB(sb_relaxed, relaxed, relaxed, )
SB(sb_release, release, acquire, )
SB(sb_seq_cst, seq_cst, seq_cst, )
SB(sb_fences, relaxed, relaxed, FENCE(seq_cst))
SB(sb_weak_fences, relaxed, relaxed, FENCE(acq_rel))

#define MP(name, ws, wf, rs, rf) \
    THREAD(name##_a)             \
    {                            \
        STORE(x, 1, relaxed);    \
        wf;                      \
        STORE(y, 1, ws);         \
    }                            \
    THREAD(name##_b)             \
    {                            \
        r0 = LOAD(y, rs);        \
        rf;                      \
        r1 = LOAD(x, relaxed);   \
    }
MP(mp_relaxed, relaxed, , relaxed, )
MP(mp_release_acquire, release, , acquire, )
MP(mp_release_relaxed, release, , relaxed, )
MP(mp_relaxed_acquire, relaxed, , acquire, )
MP(mp_fences, relaxed, FENCE(release), relaxed, FENCE(acquire))
MP(mp_release_fence_only, relaxed, FENCE(release), relaxed, )
MP(mp_acquire_fence_only, relaxed, , relaxed, FENCE(acquire))
MP(mp_seq_cst, seq_cst, , seq_cst, )

THREAD(lb_a)
{
    r0 = LOAD(x, relaxed);
    STORE(y, 1, relaxed);
}
THREAD(lb_b)
{
    r1 = LOAD(y, relaxed);
    STORE(x, 1, relaxed);
}

THREAD(w22_a)
{
    STORE(x, 1, relaxed);
    STORE(y, 2, relaxed);
}
THREAD(w22_b)
{
    STORE(y, 1, relaxed);
    STORE(x, 2, relaxed);
}
THREAD(w22_release_a)
{
    STORE(x, 1, release);
    STORE(y, 2, release);
}
THREAD(w22_release_b)
{
    STORE(y, 1, release);
    STORE(x, 2, release);
}
THREAD(w22_seq_cst_a)
{
    STORE(x, 1, seq_cst);
    STORE(y, 2, seq_cst);
}
THREAD(w22_seq_cst_b)
{
    STORE(y, 1, seq_cst);
    STORE(x, 2, seq_cst);
}
static void finish_xy(void)
{
    explore_outcome((uint64_t)(10 * x + y));
}

THREAD(iriw_a)
{
    STORE(x, 1, release);
}
THREAD(iriw_b)
{
    STORE(y, 1, release);
}
THREAD(iriw_c)
{
    r0 = LOAD(x, acquire);
    r1 = LOAD(y, acquire);
}
THREAD(iriw_d)
{
    r2 = LOAD(y, acquire);
    r3 = LOAD(x, acquire);
}
THREAD(iriw_sc_a)
{
    STORE(x, 1, seq_cst);
}
THREAD(iriw_sc_b)
{
    STORE(y, 1, seq_cst);
}
THREAD(iriw_sc_c)
{
    r0 = LOAD(x, seq_cst);
    r1 = LOAD(y, seq_cst);
}
THREAD(iriw_sc_d)
{
    r2 = LOAD(y, seq_cst);
    r3 = LOAD(x, seq_cst);
}
THREAD(iriw_f_a)
{
    STORE(x, 1, relaxed);
}
THREAD(iriw_f_b)
{
    STORE(y, 1, relaxed);
}
THREAD(iriw_f_c)
{
    r0 = LOAD(x, relaxed);
    FENCE(seq_cst);
    r1 = LOAD(y, relaxed);
}
THREAD(iriw_f_d)
{
    r2 = LOAD(y, relaxed);
    FENCE(seq_cst);
    r3 = LOAD(x, relaxed);
}

// Two fences, and between them a chain of relaxed accesses through a third CPU that stores after it
// has loaded. RC11 leaves the fences unordered: 1 1 0 would be allowed, too (docs/explore.md).
THREAD(third_a)
{
    STORE(x, 1, relaxed);
    FENCE(seq_cst);
    STORE(y, 1, relaxed);
}
THREAD(third_b)
{
    r0 = LOAD(y, relaxed);
    STORE(z, 1, relaxed);
}
THREAD(third_c)
{
    r1 = LOAD(z, relaxed);
    FENCE(seq_cst);
    r2 = LOAD(x, relaxed);
}
THREAD(w22_fence_a)
{
    STORE(x, 1, relaxed);
    FENCE(seq_cst);
    STORE(y, 2, relaxed);
}
THREAD(w22_fence_b)
{
    STORE(y, 1, relaxed);
    FENCE(seq_cst);
    STORE(x, 2, relaxed);
}

THREAD(corr_a)
{
    STORE(x, 1, relaxed);
    STORE(x, 2, relaxed);
}
THREAD(corr_b)
{
    r0 = LOAD(x, relaxed);
    r1 = LOAD(x, relaxed);
}
THREAD(coww_b)
{
    r0 = LOAD(x, relaxed);
}
THREAD(corw_a)
{
    r0 = LOAD(x, relaxed);
    STORE(x, 1, relaxed);
    r1 = LOAD(x, relaxed);
}
THREAD(corw_b)
{
    STORE(x, 2, relaxed);
}
THREAD(cowr_a)
{
    STORE(x, 1, relaxed);
    r0 = LOAD(x, relaxed);
}
THREAD(corr2_a)
{
    STORE(x, 1, relaxed);
}
THREAD(corr2_b)
{
    STORE(x, 2, relaxed);
}
THREAD(corr2_c)
{
    r0 = LOAD(x, relaxed);
    r1 = LOAD(x, relaxed);
}

THREAD(s_a)
{
    STORE(x, 2, relaxed);
    STORE(y, 1, release);
}
THREAD(s_b)
{
    r0 = LOAD(y, acquire);
    STORE(x, 1, relaxed);
}
static void finish_s(void)
{
    explore_outcome((uint64_t)(10 * r0 + x));
}
THREAD(r_a)
{
    STORE(x, 1, relaxed);
    STORE(y, 1, relaxed);
}
THREAD(r_b)
{
    STORE(y, 2, relaxed);
    r0 = LOAD(x, relaxed);
}
static void finish_r(void)
{
    explore_outcome((uint64_t)(10 * r0 + y));
}
THREAD(r_f_a)
{
    STORE(x, 1, relaxed);
    FENCE(seq_cst);
    STORE(y, 1, relaxed);
}
THREAD(r_f_b)
{
    STORE(y, 2, relaxed);
    FENCE(seq_cst);
    r0 = LOAD(x, relaxed);
}

THREAD(wrc_a)
{
    STORE(x, 1, relaxed);
}
THREAD(wrc_b)
{
    r0 = LOAD(x, relaxed);
    STORE(y, 1, release);
}
THREAD(wrc_c)
{
    r1 = LOAD(y, acquire);
    r2 = LOAD(x, relaxed);
}
THREAD(isa2_a)
{
    STORE(x, 1, relaxed);
    STORE(y, 1, release);
}
THREAD(isa2_b)
{
    r0 = LOAD(y, acquire);
    STORE(z, 1, release);
}
THREAD(isa2_c)
{
    r1 = LOAD(z, acquire);
    r2 = LOAD(x, relaxed);
}
THREAD(rwc_a)
{
    STORE(x, 1, relaxed);
}
THREAD(rwc_b)
{
    r0 = LOAD(x, acquire);
    r1 = LOAD(y, acquire);
}
THREAD(rwc_c)
{
    STORE(y, 1, relaxed);
    r2 = LOAD(x, relaxed);
}

// Release sequences: a read-modify-write goes on with one, a store of another thread ends it.
THREAD(rs_a)
{
    STORE(x, 1, relaxed);
    STORE(y, 1, release);
}
THREAD(rs_b)
{
    r0 = atomic_fetch_add_explicit(&y, 1, memory_order_relaxed);
}
THREAD(rs_c)
{
    r1 = LOAD(y, acquire);
    r2 = LOAD(x, relaxed);
}
THREAD(rs_broken_b)
{
    STORE(y, 3, relaxed);
}

THREAD(inc_a)
{
    r0 = atomic_fetch_add_explicit(&x, 1, memory_order_relaxed);
}
THREAD(inc_b)
{
    r1 = atomic_fetch_add_explicit(&x, 1, memory_order_relaxed);
}
THREAD(inc_c)
{
    r2 = atomic_fetch_add_explicit(&x, 1, memory_order_relaxed);
}
THREAD(cas_a)
{
    int e = 0;
    r0 = atomic_compare_exchange_strong_explicit(&x, &e, 1, memory_order_relaxed,
                                                 memory_order_relaxed);
}
THREAD(cas_b)
{
    int e = 0;
    r1 = atomic_compare_exchange_strong_explicit(&x, &e, 2, memory_order_relaxed,
                                                 memory_order_relaxed);
}
THREAD(casw_a)
{
    int e = 0;
    r0 = atomic_compare_exchange_strong_explicit(&x, &e, 1, memory_order_relaxed,
                                                 memory_order_relaxed);
    r1 = e;
}
THREAD(casw_b)
{
    STORE(x, 2, relaxed);
}
static void finish_casw(void)
{
    explore_outcome((uint64_t)(100 * r0 + 10 * r1 + x));
}
THREAD(xchg_a)
{
    r0 = atomic_exchange_explicit(&x, 1, memory_order_relaxed);
}
THREAD(xchg_b)
{
    STORE(x, 2, relaxed);
}

// Store buffering with read-modify-writes: they do not order other locations when relaxed.
THREAD(sbrmw_a)
{
    (void)atomic_exchange_explicit(&x, 1, memory_order_acq_rel);
    r0 = LOAD(y, relaxed);
}
THREAD(sbrmw_b)
{
    (void)atomic_exchange_explicit(&y, 1, memory_order_acq_rel);
    r1 = LOAD(x, relaxed);
}

// Waiting: nothing is lost and nothing hangs.
THREAD(wait_a)
{
    plain = 7;
    STORE(x, 1, release);
}
THREAD(wait_b)
{
    while (LOAD(x, acquire) == 0)
        explore_relax();
    r0 = plain;
}
THREAD(chain_b)
{
    while (LOAD(x, acquire) == 0)
        explore_relax();
    STORE(y, 1, release);
}
THREAD(chain_c)
{
    while (LOAD(y, acquire) == 0)
        explore_relax();
    r0 = plain;
}

// A ticket lock, as the kernel's.
static _Atomic int next, serving;
static int counter;
static void ticket_lock(void)
{
    int ticket = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
    while (LOAD(serving, acquire) != ticket)
        explore_relax();
}
static void ticket_unlock(void)
{
    STORE(serving, LOAD(serving, relaxed) + 1, release);
}
THREAD(ticket)
{
    ticket_lock();
    counter++;
    ticket_unlock();
}
static void setup_ticket(void)
{
    setup_memory();
    next = serving = 0;
    counter = 0;
}
static void finish_counter(void)
{
    explore_outcome((uint64_t)counter);
}

// Peterson's lock, with and without its fence.
static _Atomic int want[2], turn;
#define PETERSON(name, fence)                                                \
    THREAD(name)                                                             \
    {                                                                        \
        int me = (int)(intptr_t)argument;                                    \
        STORE(want[me], 1, relaxed);                                         \
        (void)atomic_exchange_explicit(&turn, 1 - me, memory_order_acq_rel); \
        fence;                                                               \
        if (LOAD(want[1 - me], acquire) && LOAD(turn, acquire) == 1 - me)    \
            return;                                                          \
        (me ? &r1 : &r0)[0] = 1;                                             \
    }
PETERSON(peterson, FENCE(seq_cst))
PETERSON(peterson_bad, )
static void setup_peterson(void)
{
    setup_memory();
    want[0] = want[1] = turn = 0;
}

// Choices and locks of the explorer's own.
THREAD(choose_a)
{
    r0 = (int)explore_choose(3);
}
THREAD(choose_b)
{
    r1 = (int)explore_choose(2);
}
static int the_lock;
THREAD(lock_a)
{
    explore_lock(&the_lock);
    counter = 2 * counter + 1;
    explore_unlock(&the_lock);
}
THREAD(lock_b)
{
    explore_lock(&the_lock);
    counter = 3 * counter + 1;
    explore_unlock(&the_lock);
}

// A seqlock: the reader sees a pair or tries again (given up here).
static _Atomic int sequence;
THREAD(seqlock_a)
{
    STORE(sequence, 1, relaxed);
    FENCE(release);
    STORE(x, 1, relaxed);
    STORE(y, 1, relaxed);
    STORE(sequence, 2, release);
}
THREAD(seqlock_b)
{
    int before = LOAD(sequence, acquire);
    int a = LOAD(x, relaxed), b = LOAD(y, relaxed);
    FENCE(acquire);
    int after = LOAD(sequence, relaxed);
    r0 = before == after && before % 2 == 0 ? 1 + a + 2 * b : 0;
}
THREAD(seqlock_bad_a)
{
    STORE(sequence, 1, relaxed); // no fence behind it
    STORE(x, 1, relaxed);
    STORE(y, 1, relaxed);
    STORE(sequence, 2, release);
}
static void setup_seqlock(void)
{
    setup_memory();
    sequence = 0;
}

struct litmus {
    const char *name;
    void (*setup)(void);
    void (*threads[4])(void *);
    void (*finish)(void);
    const char *weak, *sequential; // outcomes, sorted
};

static const struct litmus tests[] = {
    {"SB", setup_memory, {sb_relaxed_a, sb_relaxed_b}, finish4, "0 100 1000 1100", "100 1000 1100"},
    {"SB+rel+acq",
     setup_memory,
     {sb_release_a, sb_release_b},
     finish4,
     "0 100 1000 1100",
     "100 1000 1100"},
    {"SB+sc",
     setup_memory,
     {sb_seq_cst_a, sb_seq_cst_b},
     finish4,
     "100 1000 1100",
     "100 1000 1100"},
    {"SB+fences",
     setup_memory,
     {sb_fences_a, sb_fences_b},
     finish4,
     "100 1000 1100",
     "100 1000 1100"},
    {"SB+weak fences",
     setup_memory,
     {sb_weak_fences_a, sb_weak_fences_b},
     finish4,
     "0 100 1000 1100",
     "100 1000 1100"},
    {"SB+one fence",
     setup_memory,
     {sb_fences_a, sb_relaxed_b},
     finish4,
     "0 100 1000 1100",
     "100 1000 1100"},
    {"SB+rmw", setup_memory, {sbrmw_a, sbrmw_b}, finish4, "0 100 1000 1100", "100 1000 1100"},
    {"MP", setup_memory, {mp_relaxed_a, mp_relaxed_b}, finish4, "0 100 1000 1100", "0 100 1100"},
    {"MP+rel+acq",
     setup_memory,
     {mp_release_acquire_a, mp_release_acquire_b},
     finish4,
     "0 100 1100",
     "0 100 1100"},
    {"MP+rel+rlx",
     setup_memory,
     {mp_release_relaxed_a, mp_release_relaxed_b},
     finish4,
     "0 100 1000 1100",
     "0 100 1100"},
    {"MP+rlx+acq",
     setup_memory,
     {mp_relaxed_acquire_a, mp_relaxed_acquire_b},
     finish4,
     "0 100 1000 1100",
     "0 100 1100"},
    {"MP+fences", setup_memory, {mp_fences_a, mp_fences_b}, finish4, "0 100 1100", "0 100 1100"},
    {"MP+rel fence",
     setup_memory,
     {mp_release_fence_only_a, mp_release_fence_only_b},
     finish4,
     "0 100 1000 1100",
     "0 100 1100"},
    {"MP+acq fence",
     setup_memory,
     {mp_acquire_fence_only_a, mp_acquire_fence_only_b},
     finish4,
     "0 100 1000 1100",
     "0 100 1100"},
    {"MP+rel fence+acq",
     setup_memory,
     {mp_release_fence_only_a, mp_release_acquire_b},
     finish4,
     "0 100 1100",
     "0 100 1100"},
    {"MP+sc", setup_memory, {mp_seq_cst_a, mp_seq_cst_b}, finish4, "0 100 1100", "0 100 1100"},
    {"LB", setup_memory, {lb_a, lb_b}, finish4, "0 100 1000", "0 100 1000"}, // 1100 needs promises
    {"2+2W", setup_memory, {w22_a, w22_b}, finish_xy, "11 12 21 22", "12 21 22"},
    {"2+2W+rel",
     setup_memory,
     {w22_release_a, w22_release_b},
     finish_xy,
     "11 12 21 22",
     "12 21 22"},
    {"2+2W+sc", setup_memory, {w22_seq_cst_a, w22_seq_cst_b}, finish_xy, "12 21 22", "12 21 22"},
    {"2+2W+fences", setup_memory, {w22_fence_a, w22_fence_b}, finish_xy, "12 21 22", "12 21 22"},
    {"fences through a third",
     setup_memory,
     {third_a, third_b, third_c},
     finish4,
     "0 10 100 110 1000 1010 1110",
     "0 10 100 110 1000 1010 1110"},
    {"IRIW",
     setup_memory,
     {iriw_a, iriw_b, iriw_c, iriw_d},
     finish4,
     "0 1 10 11 100 101 110 111 1000 1001 1010 1011 1100 1101 1110 1111",
     "0 1 10 11 100 101 110 111 1000 1001 1011 1100 1101 1110 1111"},
    {"IRIW+sc",
     setup_memory,
     {iriw_sc_a, iriw_sc_b, iriw_sc_c, iriw_sc_d},
     finish4,
     "0 1 10 11 100 101 110 111 1000 1001 1011 1100 1101 1110 1111",
     "0 1 10 11 100 101 110 111 1000 1001 1011 1100 1101 1110 1111"},
    {"IRIW+fences",
     setup_memory,
     {iriw_f_a, iriw_f_b, iriw_f_c, iriw_f_d},
     finish4,
     "0 1 10 11 100 101 110 111 1000 1001 1011 1100 1101 1110 1111",
     "0 1 10 11 100 101 110 111 1000 1001 1011 1100 1101 1110 1111"},
    {"CoRR",
     setup_memory,
     {corr_a, corr_b},
     finish4,
     "0 100 200 1100 1200 2200",
     "0 100 200 1100 1200 2200"},
    {"CoWW", setup_memory, {corr_a, coww_b}, finish_xy, "20", "20"},
    {"CoRW", setup_memory, {corw_a, corw_b}, finish4, "100 200 2100", "100 200 2100"},
    {"CoWR", setup_memory, {cowr_a, corw_b}, finish4, "1000 2000", "1000 2000"},
    {"CoRR of two",
     setup_memory,
     {corr2_a, corr2_b, corr2_c},
     finish4,
     "0 100 200 1100 1200 2100 2200",
     "0 100 200 1100 1200 2100 2200"},
    {"S", setup_memory, {s_a, s_b}, finish_s, "1 2 11", "1 2 11"},
    {"R", setup_memory, {r_a, r_b}, finish_r, "1 2 11 12", "1 11 12"},
    {"R+fences", setup_memory, {r_f_a, r_f_b}, finish_r, "1 11 12", "1 11 12"},
    {"WRC",
     setup_memory,
     {wrc_a, wrc_b, wrc_c},
     finish4,
     "0 10 100 110 1000 1010 1110",
     "0 10 100 110 1000 1010 1110"},
    {"ISA2",
     setup_memory,
     {isa2_a, isa2_b, isa2_c},
     finish4,
     "0 10 100 110 1000 1010 1110",
     "0 10 100 110 1000 1010 1110"},
    {"RWC",
     setup_memory,
     {rwc_a, rwc_b, rwc_c},
     finish4,
     "0 10 100 110 1000 1010 1100 1110",
     "0 10 100 110 1010 1100 1110"},
    {"release sequence",
     setup_memory,
     {rs_a, rs_b, rs_c},
     finish4,
     "0 10 100 110 1000 1010 1110 1210",
     "0 10 100 110 1000 1010 1110 1210"},
    {"release sequence, broken",
     setup_memory,
     {rs_a, rs_broken_b, rs_c},
     finish4,
     "0 10 110 300 310",
     "0 10 110 300 310"},
    {"increments",
     setup_memory,
     {inc_a, inc_b, inc_c},
     finish4,
     "120 210 1020 1200 2010 2100",
     "120 210 1020 1200 2010 2100"},
    {"compare and swap", setup_memory, {cas_a, cas_b}, finish4, "100 1000", "100 1000"},
    {"compare against store", setup_memory, {casw_a, casw_b}, finish_casw, "22 102", "22 102"},
    {"exchange against store", setup_memory, {xchg_a, xchg_b}, finish4, "0 2000", "0 2000"},
    {"waiting", setup_memory, {wait_a, wait_b}, finish4, "7000", "7000"},
    {"waiting in a chain", setup_memory, {wait_a, chain_b, chain_c}, finish4, "7000", "7000"},
    {"ticket lock", setup_ticket, {ticket, ticket}, finish_counter, "2", "2"},
    {"ticket lock of three", setup_ticket, {ticket, ticket, ticket}, finish_counter, "3", "3"},
    {"Peterson", setup_peterson, {peterson, peterson}, finish4, "0 100 1000", "0 100 1000"},
    {"Peterson by exchange",
     setup_peterson,
     {peterson_bad, peterson_bad},
     finish4,
     "0 100 1000",
     "0 100 1000"},
    {"choices",
     setup_memory,
     {choose_a, choose_b},
     finish4,
     "0 100 1000 1100 2000 2100",
     "0 100 1000 1100 2000 2100"},
    {"locks", setup_ticket, {lock_a, lock_b}, finish_counter, "3 4", "3 4"},
    {"seqlock", setup_seqlock, {seqlock_a, seqlock_b}, finish4, "0 1000 4000", "0 1000 4000"},
    {"seqlock without fence",
     setup_seqlock,
     {seqlock_bad_a, seqlock_b},
     finish4,
     "0 1000 2000 3000 4000",
     "0 1000 4000"},
};

static const struct litmus *test;

static void setup(void)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    test->setup();
    for (unsigned i = 0; i < 4 && test->threads[i]; i++)
        explore_thread(names[i], test->threads[i], (void *)(intptr_t)i);
}

static void to_text(const struct explore_result *result, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < result->outcome_count; i++)
        at +=
            (size_t)snprintf(out + at, size - at, "%s%" PRIu64, i ? " " : "", result->outcomes[i]);
}

static bool check(bool sequential, const char *wanted)
{
    static struct explore_result result;
    struct explore_scenario scenario = {.name = test->name, .setup = setup, .finish = test->finish};
    struct explore_config how = {.sequential = sequential};
    explore_run(&scenario, &how, &result);
    char got[512];
    to_text(&result, got, sizeof got);
    bool right = !result.failed && result.complete && strcmp(got, wanted) == 0;
    printf("%s %-26s %-10s %6" PRIu64 " executions, %4" PRIu64 " pruned: %s\n",
           right ? "ok  " : "FAIL", test->name, sequential ? "sequential" : "weak",
           result.executions, result.pruned, got);
    if (!right)
        printf("     wanted %s; %s: %s [%s]\n", wanted, result.kind, result.message,
               result.schedule);
    return right;
}

int main(void)
{
    unsigned failures = 0;
    for (unsigned i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        test = &tests[i];
        failures += !check(false, test->weak);
        failures += !check(true, test->sequential);
    }
    printf("%zu litmus tests in two memory models, %u failed\n", sizeof tests / sizeof tests[0],
           failures);
    return failures > 0;
}
