// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c tests/programs/trace/trace.c
//
// The random programs of tests/programs/trace on the simulated machine: twice the same trace. With
// TRACE=FILE they are written there, to be compared with those of a real machine
// (tests/system/test_trace.py): SEED=, FIRST=, PROGRAMS=, CALLS=, OUT0= to OUT3= as on that one's
// command line, BUG= a planted bug.
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "kernel_world.h"
#include "tests/programs/trace/trace.h"

uint64_t trace_account, trace_machine, trace_log;

constexpr size_t TRACE_BYTES = 8 << 20;
static struct {
    char text[TRACE_BYTES];
    size_t bytes;
} traces[2], *trace;

static struct actor *actor;

struct trace_result trace_call(uint64_t number, const uint64_t argument[6])
{
    struct outcome out = call_number(actor, number, argument);
    for (unsigned i = 0; i < 10 && out.status == STATUS_BLOCKED; i++) {
        advance(1'000'000);
        if (has_ended(actor))
            out = ended(actor);
    }
    if (out.status == STATUS_BLOCKED)
        test_fail(__FILE__, __LINE__, "call %lu waits for ever", (unsigned long)number);
    struct trace_result got = {.status = out.status};
    memcpy(got.value, out.value, sizeof got.value);
    return got;
}

struct abi_message_buffer *trace_buffer(void)
{
    return actor->thread->message;
}

uint64_t trace_now_ns(void)
{
    return host_ticks;
}

void trace_settle(void)
{
    settle();
}

void trace_line(const char *text)
{
    size_t length = strlen(text);
    if (trace->bytes + length + 1 >= TRACE_BYTES)
        test_fail(__FILE__, __LINE__, "the trace is too long");
    memcpy(trace->text + trace->bytes, text, length);
    trace->bytes += length;
    trace->text[trace->bytes++] = '\n';
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, nullptr, 0) : otherwise;
}

static void run(unsigned which, const struct trace_options *options)
{
    trace = &traces[which];
    trace->bytes = 0;
    seeded_bug = nullptr;
    world_begin((struct world_options){.asids = UINT32_MAX});
    actor = spawn(new_account(2000, 500), 10);
    trace_account = actor->account;
    trace_machine = grant(actor, world.boss, world.machine);
    trace_log = grant(actor, world.boss, world.log);
    advance(1000);
    seeded_bug = getenv("BUG");
    trace_run(options);
}

TEST(a_program_leaves_the_same_trace_again)
{
    struct trace_options options = {
        .seed = getenv("SEED") ? setting("SEED", 0) : test_seed(),
        .first = setting("FIRST", 0),
        .programs = setting("PROGRAMS", test_amount(20, 20)),
        .calls = setting("CALLS", 100),
        .left_out = {setting("OUT0", 0), setting("OUT1", 0), setting("OUT2", 0),
                     setting("OUT3", 0)},
    };
    run(0, &options);
    const char *name = getenv("TRACE");
    if (name) {
        FILE *file = fopen(name, "w");
        EXPECT(file && fwrite(traces[0].text, 1, traces[0].bytes, file) == traces[0].bytes);
        EXPECT(fclose(file) == 0);
        return;
    }
    world_end();
    run(1, &options);
    EXPECT_EQUAL(traces[0].bytes, traces[1].bytes);
    EXPECT(memcmp(traces[0].text, traces[1].text, traces[0].bytes) == 0);
    world_end();
}
