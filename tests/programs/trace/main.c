// SPDX-License-Identifier: MIT
//
// The random programs of trace.h as user code. On the command line: seed=, first=, programs=, calls=,
// and out0= to out3=, the calls that are left out, in words of 64.
#include "trace.h"

#include <kit/kit.h>

const char *const program_name = "trace";

constexpr uint64_t PRIORITY = 10;
enum signal : uint32_t { ALL_DONE = 1, ASKED = 2, NOTHING_LEFT = 4 };

uint64_t trace_account, trace_machine, trace_log;
static event_t event;

struct trace_result trace_call(uint64_t number, const uint64_t a[6])
{
    const struct raw_result got = raw_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    return (struct trace_result){got.status,
                                 {got.value[0], got.value[1], got.value[2], got.value[3]}};
}

struct abi_message_buffer *trace_buffer(void)
{
    return message_buffer();
}

uint64_t trace_now_ns(void)
{
    return now_ns();
}

static void wait_for(uint32_t signal)
{
    uint32_t before;
    must(object_wait((handle_t){event.value}, signal, ABI_DEADLINE_NEVER, &before), "object_wait");
    must(event_clear(event, signal, &before), "event_clear");
}

// Of the lowest priority: it runs when nothing else does.
static void rest(void *argument)
{
    (void)argument;
    for (;;) {
        wait_for(ASKED);
        must(event_signal(event, NOTHING_LEFT), "event_signal");
    }
}

void trace_settle(void)
{
    must(event_signal(event, ASKED), "event_signal");
    wait_for(NOTHING_LEFT);
}

void trace_line(const char *text)
{
    say("%s", text);
}

static void run(void *argument)
{
    (void)argument;
    struct trace_options options = {
        .seed = command_line_number("seed", 1),
        .first = command_line_number("first", 0),
        .programs = command_line_number("programs", 10),
        .calls = command_line_number("calls", 100),
        .left_out = {command_line_number("out0", 0), command_line_number("out1", 0),
                     command_line_number("out2", 0), command_line_number("out3", 0)},
    };
    trace_run(&options);
    must(event_signal(event, ALL_DONE), "event_signal");
    (void)thread_sleep(ABI_DEADLINE_NEVER);
}

void root_main(void)
{
    thread_t runner, rester;
    trace_account = start.account.value;
    trace_machine = start.machine.value;
    trace_log = start.log.value;
    must(event_create(start.account, &event), "event_create");
    must(thread_spawn(rest, nullptr, 0, &rester), "thread_spawn");
    must(thread_spawn(run, nullptr, PRIORITY, &runner), "thread_spawn");
    wait_for(ALL_DONE);
}

void child_main(void)
{
}
