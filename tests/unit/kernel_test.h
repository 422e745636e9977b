// SPDX-License-Identifier: MIT
//
// Tests of kernel/ on the simulated machine. Each TEST runs in a process of its own, so that a
// crash, a hang or a panic of the kernel is one failed test. Prints `ok NAME` or
// `FAIL NAME: why` for each, and `done` as its last word.
//
//   SEED=n   the seed of tests that draw random numbers (printed when one fails)
//   T=part   only tests whose name holds `part`
#pragma once

#include <stdint.h>
#include <stdio.h>

struct test {
    const char *name;
    void (*run)(void);
    const char *panics; // the kernel must stop with a panic that says so; nullptr: it must not
    struct test *next;
};

void test_register(struct test *test);

#define TEST_THAT_PANICS(name_, text)                                    \
    static void test_##name_(void);                                      \
    [[gnu::constructor]] static void test_register_##name_(void)         \
    {                                                                    \
        static struct test test = {#name_, test_##name_, text, nullptr}; \
        test_register(&test);                                            \
    }                                                                    \
    static void test_##name_(void)
#define TEST(name_) TEST_THAT_PANICS(name_, nullptr)

// Ends the test.
[[noreturn, gnu::format(printf, 3, 4)]] void test_fail(const char *file, int line,
                                                       const char *format, ...);
[[gnu::format(printf, 1, 2)]] void test_note(const char *format, ...);

#define EXPECT(condition)                                         \
    do {                                                          \
        if (!(condition))                                         \
            test_fail(__FILE__, __LINE__, "not: %s", #condition); \
    } while (0)

#define EXPECT_EQUAL(a, b) \
    test_expect_equal((uint64_t)(a), (uint64_t)(b), #a, #b, __FILE__, __LINE__)
void test_expect_equal(uint64_t a, uint64_t b, const char *a_text, const char *b_text,
                       const char *file, int line);

// Called, when set, in a test's process as it ends. `drawn`: it has drawn random numbers.
extern void (*test_on_end)(const struct test *test, bool drawn);

// ---- random numbers

struct random {
    uint64_t state;
};

uint64_t random_next(struct random *random);
// 0 to limit - 1
uint64_t random_below(struct random *random, uint64_t limit);

// SEED, or one from the clock; told when the test fails.
uint64_t test_seed(void);
bool test_long(void); // whether `make test-long` runs
// How many random things to try: so many times the usual number in `make test-long`, and few of
// them for each mutant (SKERRY_TEST_FEW).
unsigned test_amount(unsigned usual, unsigned times);

// For tests of the tests: runs `run` in a process of its own. Returns whether the kernel stopped
// with a panic that holds `panics`; counts what its checks evaluated.
bool test_run_panics(void (*run)(void), const char *panics, char *said, unsigned long size);
extern uint64_t *test_evaluations; // of each invariant, in all processes of this program
