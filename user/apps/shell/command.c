// SPDX-License-Identifier: MIT
//
// The table of commands, and how one is run.
#include <stdarg.h>

#include "shell.h"

static int command_help(const struct words *words);
static int command_echo(const struct words *words);
static int command_sleep(const struct words *words);

static const struct command commands[] = {
    {"help", "", "this list", 1, 1, command_help},
    {"ls", "[-l] [PATH]...", "names in a folder; -l: with sizes", 1, WORDS_MAX, command_ls},
    {"cat", "PATH...", "what is in files", 2, WORDS_MAX, command_cat},
    {"sha256sum", "PATH...", "checksums of files", 2, WORDS_MAX, command_sha256sum},
    {"echo", "[WORD]...", "prints its words", 1, WORDS_MAX, command_echo},
    {"ps", "", "services: state, CPU, threads, CPU time, restarts", 1, 1, command_ps},
    {"mem", "", "accounts: pages and objects in use, most ever, limit", 1, 1, command_mem},
    {"drivers", "", "devices and their drivers", 1, 1, command_drivers},
    {"hwtree", "[short]", "the machine's hardware, as device-tree source or in short", 1, 2,
     command_hwtree},
    {"irq", "", "interrupts: of each line, and of each CPU", 1, 1, command_irq},
    {"cpus", "", "CPUs: load since the last look, switches, what others asked", 1, 1, command_cpus},
    {"date", "", "the time of day, UTC, by the machine's clock", 1, 1, command_date},
    {"log", "", "the kernel's log", 1, 1, command_log},
    {"kill", "SERVICE", "ends a service; it is started again", 2, 2, command_kill},
    {"crash", "HOW",
     "runs a program that crashes: null kernel write execute stack undefined privileged breakpoint",
     2, 2, command_crash},
    {"run", "PROGRAM [WORD]...", "runs a program of the manifest", 2, WORDS_MAX,
     command_run_program},
    {"wait", "", "waits for the jobs that were started with '&'", 1, 1, command_wait},
    {"sleep", "SECONDS", "waits; fractions are allowed", 2, 2, command_sleep},
    {"poweroff", "", "turns the machine off", 1, 1, command_power},
    {"reboot", "", "starts the machine again", 1, 1, command_power},
};

int complain(const char *command, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    format_text_v(text, sizeof(text), format, arguments);
    va_end(arguments);
    print("%s: %s\n", command, text);
    return 1;
}

static int command_help(const struct words *words)
{
    (void)words;
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        char usage[40];
        format_text(usage, sizeof(usage), "%s %s", commands[i].name, commands[i].arguments);
        print("  %-22s %s\n", usage, commands[i].help);
    }
    return 0;
}

static int command_echo(const struct words *words)
{
    for (unsigned i = 1; i < words->count; i++) {
        print_bytes(words->word[i], strlen(words->word[i]));
        if (i + 1 < words->count)
            print(" ");
    }
    print("\n");
    return 0;
}

// Seconds with up to nine decimals, at most some years.
static bool parse_seconds(const char *text, uint64_t *ns)
{
    uint64_t value = 0, unit = NS_PER_S;
    bool point = false, digits = false;
    for (; *text != 0; text++) {
        if (*text == '.' && !point) {
            point = true;
        } else if (*text >= '0' && *text <= '9' && value < UINT64_MAX / 100 && unit > 0) {
            uint64_t digit = (uint64_t)(*text - '0');
            digits = true;
            if (point)
                unit /= 10;
            value = point ? value + digit * unit : value * 10 + digit * NS_PER_S;
        } else {
            return false;
        }
    }
    *ns = value;
    return digits;
}

static int command_sleep(const struct words *words)
{
    uint64_t ns;
    if (!parse_seconds(words->word[1], &ns))
        return complain("sleep", "'%s' is no number of seconds", words->word[1]);
    print_done();
    status_t status = thread_sleep(now_ns() + ns);
    if (status == STATUS_CANCELLED)
        return 1; // the ^C says it
    return status == STATUS_OK ? 0 : complain("sleep", "%s", status_name(status));
}

int command_run(const struct words *words)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        const struct command *c = &commands[i];
        if (strcmp(c->name, words->word[0]) != 0)
            continue;
        if (words->count < c->words_min || words->count > c->words_max)
            return complain(c->name, "usage: %s %s", c->name, c->arguments);
        return c->run(words);
    }
    return complain(words->word[0], "no such command; 'help' lists them");
}

int commands_run(char *text)
{
    int failed = 0;
    while (text != nullptr && !atomic_load(&interrupted)) {
        struct words words;
        const char *wrong = words_split(&text, &words);
        if (wrong != nullptr)
            failed = complain("shell", "%s", wrong);
        else if (words.count != 0)
            failed |= words.background ? job_start(&words) : command_run(&words);
        print_done();
    }
    return failed;
}
