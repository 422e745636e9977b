// SPDX-License-Identifier: MIT
//
// Host tests: TEST(name) { EXPECT(condition); ... }. Each file is one program. It runs its tests
// in order, prints `ok NAME` or `FAIL NAME: why` for each, and `done` at the end: a program that
// died before that has failed. The first EXPECT that does not hold ends its test.
#pragma once

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

static struct test *test_first, **test_last = &test_first;
static jmp_buf test_end;
static char test_why[1024];

#define TEST(id)                                             \
    static void test_##id(void);                             \
    [[gnu::constructor]] static void test_add_##id(void)     \
    {                                                        \
        static struct test test = {#id, test_##id, nullptr}; \
        *test_last = &test;                                  \
        test_last = &test.next;                              \
    }                                                        \
    static void test_##id(void)

#define EXPECT(condition) EXPECT_NOTE(condition, "%s", "")

// With a note that says for which input.
#define EXPECT_NOTE(condition, ...)                                                                \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            int test_length = snprintf(test_why, sizeof(test_why), "%s:%d: %s ", __FILE__,         \
                                       __LINE__, #condition);                                      \
            snprintf(test_why + test_length, sizeof(test_why) - (size_t)test_length, __VA_ARGS__); \
            longjmp(test_end, 1);                                                                  \
        }                                                                                          \
    } while (false)

int main(void)
{
    int failed = 0;
    for (struct test *test = test_first; test != nullptr; test = test->next) {
        if (setjmp(test_end) == 0) {
            test->run();
            printf("ok %s\n", test->name);
        } else {
            failed = 1;
            printf("FAIL %s: %s\n", test->name, test_why);
        }
        fflush(stdout);
    }
    printf("done\n");
    return failed;
}
