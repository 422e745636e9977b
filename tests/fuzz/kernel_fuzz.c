// SPDX-License-Identifier: MIT
//
// See kernel_fuzz.h. Also what kernel_world.c wants of a runner of tests.
#include "kernel_fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "kernel_draw.h"
#include "kernel_pages.h"

constexpr size_t RAM_BYTES = 3 << 19;
constexpr unsigned COMPARED = 256; // of so many inputs, before one all memory is compared

// ---- instead of kernel_test.c

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
        test_fail(file, line, "%s is 0x%llx, not %s, which is 0x%llx", a_text,
                  (unsigned long long)a, b_text, (unsigned long long)b);
}

uint64_t random_next(struct random *random)
{
    struct dice dice = {random->state};
    uint64_t value = dice_next(&dice);
    random->state = dice.state;
    return value;
}

uint64_t random_below(struct random *random, uint64_t limit)
{
    return random_next(random) % limit;
}

// ---- the world

void kernel_begin(void)
{
    seeded_bug = getenv("BUG");
    world_begin((struct world_options){.ram_bytes = RAM_BYTES, .cpus = 2, .asids = 40});
}

void kernel_ready(void)
{
    settle();
    world_check(); // what it allocates is there for all inputs
    world_save();
}

void kernel_restore(void)
{
    static unsigned inputs;
    world_restore();
    if (inputs++ % COMPARED == 0)
        FUZZ_EXPECT(world_is_restored());
}

void kernel_end(void)
{
    host_line_level(0, false);
    world_end_after_quarantine(DRAW_DEVICE);
}
