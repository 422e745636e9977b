// SPDX-License-Identifier: MIT
//
// Random programs of system calls, and what came of them, in words that are the same on every machine.
//
// A program is drawn from a seed and its number by the ABI's table: some calls over a few objects, with
// handles by the order in which they appeared, and with wrong arguments of every kind. It is drawn and
// performed by the same source on the simulated machine (tests/unit/test_kernel_trace.c) and in user
// space (main.c). Each call leaves one line:
//
//     PROGRAM.INDEX CALL(ARGUMENTS) = STATUS RESULTS
//
// Handles and tokens stand there by their numbers; moments as past, soon or never. What is left out,
// since it is the machine's own: times, ids, addresses of memory, the machine's and the log's figures.
#pragma once

#include <stdint.h>

#include <abi/layout.h>

constexpr unsigned TRACE_CALLS_MAX = 200; // in a program

struct trace_options {
    uint64_t seed;
    uint64_t first, programs; // which programs
    uint64_t calls;           // in each
    // Calls that are left out, to find the least that shows a difference: bit i of word i / 64. Those
    // that stay are drawn as they were.
    uint64_t left_out[(TRACE_CALLS_MAX + 63) / 64];
};
void trace_run(const struct trace_options *options);

// ---- what the machine is for it, with one CPU, the caller's priority 10, and nobody else awake

struct trace_result {
    uint64_t status, value[4];
};
struct trace_result trace_call(uint64_t number, const uint64_t argument[6]);
struct abi_message_buffer *trace_buffer(void);
uint64_t trace_now_ns(void);
void trace_settle(void); // until all that the last call has caused is done
void trace_line(const char *text);

// The caller's own: an account to pay, and the machine with MINT. Never given to a program as they are.
extern uint64_t trace_account, trace_machine, trace_log;
