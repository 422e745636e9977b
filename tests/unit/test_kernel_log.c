// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// The log: how a line looks, what is kept, and who echoes it: in the ring and on the console.
#include "log.h"

#include <hal/hal.h>
#include <string.h>

#include "kernel_world.h"

constexpr size_t RING = 32 * 1024;
constexpr size_t LINE_TEXT = 304; // of one line of the kernel's; what is longer is cut

static struct actor *a;
static uint64_t log;

static void begin(void)
{
    world_begin((struct world_options){});
    a = spawn(new_account(100, 100), 10);
    log = grant(a, world.boss, world.log);
}

static char kept[RING + 1];

// All that is kept, in pieces as large as a message.
static size_t read_all(void)
{
    size_t length = 0;
    uint64_t cursor = 0;
    for (;;) {
        memset(a->thread->message->data, '#', ABI_MESSAGE_BYTES);
        struct outcome out = CALL(a, LOG_READ, log, cursor);
        EXPECT_STATUS(out.status, OK);
        EXPECT(out.value[0] <= ABI_MESSAGE_BYTES && length + out.value[0] <= RING);
        if (out.value[0] == 0)
            break;
        memcpy(kept + length, a->thread->message->data, out.value[0]);
        length += out.value[0];
        cursor = out.value[1];
    }
    kept[length] = 0;
    return length;
}

static void expect_tail(const char *text)
{
    size_t length = strlen(text);
    EXPECT(host_console_bytes >= length);
    host_console[host_console_bytes] = 0;
    if (strcmp(host_console + host_console_bytes - length, text) != 0)
        test_fail(__FILE__, __LINE__, "'%s' is not the end of the console, but '%s'", text,
                  host_console + host_console_bytes - length);
}

TEST(a_line_says_when_and_holds_nothing_that_a_terminal_obeys)
{
    begin();
    static const struct {
        uint64_t ns;
        const char *stamp;
    } times[] = {
        {1'234'567'899, "[   1.234567] "},
        {5'000'000'000, "[   5.000000] "},
        {5'999'999'999, "[   5.999999] "},
        {12'345'999'999'000, "[12345.999999] "},
    };
    memcpy(a->thread->message->data, " !~\x7f\x80\x1f\n[", 8);
    for (unsigned i = 0; i < ARRAY_SIZE(times); i++) {
        advance(times[i].ns - host_ticks);
        MUST(a, LOG_WRITE, log, 8);
        char line[64];
        snprintf(line, sizeof line, "\n%s !~    [\n", times[i].stamp);
        expect_tail(line);
    }
    world_end();
}

TEST(all_that_was_on_the_console_can_be_read_from_the_first_byte_on)
{
    begin();
    set_text(a, "from a program");
    MUST(a, LOG_WRITE, log, 14);
    size_t length = read_all();
    EXPECT_EQUAL(length, host_console_bytes);
    EXPECT(memcmp(kept, host_console, length) == 0);
    // From beyond the end there is nothing, and the cursor comes back to where the log ends.
    for (uint64_t beyond = length; beyond < length + 2; beyond++) {
        struct outcome out = CALL(a, LOG_READ, log, beyond);
        EXPECT_EQUAL(out.value[0], 0);
        EXPECT_EQUAL(out.value[1], length);
    }
    EXPECT_EQUAL(CALL(a, LOG_READ, log, UINT64_MAX).value[0], 0);
    // The ring keeps its size of the latest.
    for (unsigned i = 0; i < 130; i++)
        MUST(a, LOG_WRITE, log, 256);
    EXPECT(host_console_bytes < sizeof host_console - 1);
    EXPECT_EQUAL(read_all(), RING);
    EXPECT(memcmp(kept, host_console + host_console_bytes - RING, RING) == 0);
    world_end();
}

// ---- lines of the kernel

static char text[401];

static void say_text(void)
{
    klog("%s", text);
}

TEST(a_long_line_is_cut_and_ends_all_the_same)
{
    begin();
    static const size_t lengths[] = {0, 1, LINE_TEXT - 1, LINE_TEXT, LINE_TEXT + 1, 310, 320, 400};
    for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
        memset(text, 'x', lengths[i]);
        text[lengths[i]] = 0;
        size_t before = host_console_bytes;
        on_cpu(0, say_text);
        size_t shown = lengths[i] < LINE_TEXT ? lengths[i] : LINE_TEXT;
        EXPECT_EQUAL(host_console_bytes - before, strlen("[   0.000000] ") + 1 + shown);
        const char *line = host_console + before + strlen("[   0.000000] ");
        EXPECT(memcmp(line, text, shown) == 0);
        EXPECT_EQUAL(line[shown], '\n');
    }
    EXPECT_EQUAL(read_all(), host_console_bytes);
    EXPECT(memcmp(kept, host_console, host_console_bytes) == 0);
    world_end();
}

TEST(lines_before_there_is_a_machine)
{
    hal = (struct hal){};
    klog("nothing to say it on");
    host_reset(16 << 20, 0);
    host_ticks = 1'000'000'000; // a clock that was not calibrated yet
    klog("no locks yet");
    expect_tail("[   0.000000] no locks yet\n");
    begin();
    (void)read_all();
    EXPECT(strstr(kept, "nothing to say it on\n[   0.000000] no locks yet\n"));
    world_end();
}

// ---- who owns the console

static void say_something(void)
{
    klog("something");
}

static void stop_in_an_emergency(void)
{
    log_emergency();
    klog("the end");
}

TEST(a_driver_that_owns_the_console_is_alone_on_it)
{
    begin();
    uint64_t machine = grant(a, world.boss, world.machine);
    // Its neighbours are not the console.
    MUST(a, MACHINE_DEVICE_MEMORY, machine, a->account, 0xd000'0000, PAGE_SIZE, MEMORY_DEVICE);
    on_cpu(0, say_something);
    expect_tail("something\n");
    MUST(a, MACHINE_DEVICE_MEMORY, machine, a->account, hal.console->base, PAGE_SIZE,
         MEMORY_DEVICE);
    size_t before = host_console_bytes;
    on_cpu(0, say_something);
    MUST(a, LOG_WRITE, log, 4);
    EXPECT_EQUAL(host_console_bytes, before);
    EXPECT(read_all() > before); // but it is in the log
    on_cpu(0, stop_in_an_emergency);
    expect_tail("the end\n");
    world_end();
}

static const struct console *proper;

static void console_that_fails(const char *line, size_t bytes)
{
    static bool inside;
    if (!inside) {
        inside = true;
        log_emergency();
        klog("failed over '%.9s'", line + bytes - strlen("something\n"));
    }
    proper->write(line, bytes);
}

TEST(a_panic_in_the_middle_of_a_line_is_told)
{
    begin();
    static struct console broken;
    proper = hal.console;
    broken = *proper;
    broken.write = console_that_fails;
    hal.console = &broken;
    on_cpu(0, say_something); // the log is locked when it fails
    host_console[host_console_bytes] = 0;
    EXPECT(strstr(host_console, "failed over 'something'\n"));
    host_console_bytes = 0;
    on_cpu(0, say_something);
    expect_tail("something\n");
}
