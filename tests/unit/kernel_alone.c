// SPDX-License-Identifier: MIT
//
// What kernel_world.c wants of a runner, for programs that are none: what is not as expected is said, and
// ends them. In place of kernel_test.c.
#include <stdarg.h>
#include <stdlib.h>

#include "kernel_test.h"
#include "splitmix.h"

void test_fail(const char *file, int line, const char *format, ...)
{
    fprintf(stderr, "FAIL: %s:%d: ", file, line);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    abort();
}

void test_expect_equal(uint64_t a, uint64_t b, const char *a_text, const char *b_text,
                       const char *file, int line)
{
    if (a != b)
        test_fail(file, line, "%s is %llu (0x%llx), not %s, which is %llu", a_text,
                  (unsigned long long)a, (unsigned long long)a, b_text, (unsigned long long)b);
}

uint64_t random_next(struct random *random)
{
    return splitmix(&random->state);
}

uint64_t random_below(struct random *random, uint64_t limit)
{
    return random_next(random) % limit;
}
