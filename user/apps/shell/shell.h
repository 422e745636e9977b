// SPDX-License-Identifier: MIT
//
// The shell. Two threads: the first edits lines and watches for Ctrl-C, the second runs commands,
// so that a command that waits can be interrupted. With cmd= on the kernel's command line there
// is only one, which runs these commands and powers the machine off.
//
//   main.c       start; the two ways to run
//   line.c       line editing       words.c    splitting and decoding (both pure)
//   terminal.c   the console's two channels
//   command.c    the table of commands
//   jobs.c       commands that run beside the shell, each in a process of its own
//   files.c      ls, cat, sha256sum      system.c   ps, mem, drivers, hwtree, irq, kill...
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <proto/init.h>
#include <sdk/sdk.h>
#include <sdk/service.h>

#include "words.h"

// Set by Ctrl-C while a command runs. Long commands look at it.
extern atomic_bool interrupted;

// ---- terminal.c

// A thread's own channel to the console, opened again when the console was restarted.
struct terminal {
    channel_t end; // .value 0: not connected
};
extern struct terminal output; // of the thread that runs commands

status_t terminal_open(struct terminal *terminal);
status_t terminal_write(struct terminal *terminal, const void *text, size_t bytes);
void terminal_flush(struct terminal *terminal);

// For commands: gathered, and written at the end of the command or when much has gathered.
[[gnu::format(printf, 1, 2)]] void print(const char *format, ...);
void print_bytes(const void *text, size_t bytes);
void print_done(void);

// ---- command.c

// Runs a command of words; 0: it succeeded.
int command_run(const struct words *words);
// Runs commands separated by ';', all of them; 0: every one succeeded. The text is taken apart.
int commands_run(char *text);

struct command {
    const char *name, *arguments, *help;
    unsigned words_min, words_max; // the name counts
    int (*run)(const struct words *words);
};

// ---- jobs.c

// Starts a command as a job; 0: it runs.
int job_start(const struct words *words);
int command_wait(const struct words *words);
// main of a job: the same program, started by init under another name.
int job_main(const char *command);

// Says what went wrong with a command, and returns 1.
[[gnu::format(printf, 2, 3)]] int complain(const char *command, const char *format, ...);

int command_ls(const struct words *words);
int command_cat(const struct words *words);
int command_sha256sum(const struct words *words);
int command_ps(const struct words *words);
int command_mem(const struct words *words);
int command_drivers(const struct words *words);
int command_hwtree(const struct words *words);
int command_irq(const struct words *words);
int command_date(const struct words *words);
int command_cpus(const struct words *words);
int command_log(const struct words *words);
int command_kill(const struct words *words);
int command_crash(const struct words *words);
int command_run_program(const struct words *words);
int command_power(const struct words *words);
