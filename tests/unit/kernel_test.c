// SPDX-License-Identifier: MIT
//
// The runner behind kernel_test.h.
#include "kernel_test.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sanitizer/common_interface_defs.h>

#include "check.h"
#include "host.h"
#include "pages.h"
#include "splitmix.h"

constexpr unsigned TIME_LIMIT_S = 120;

enum ending { ENDED_NOT, ENDED_WELL, ENDED_FAILED, ENDED_PANIC };

// What a test's process leaves behind, shared with the runner.
static struct report {
    enum ending ending;
    uint64_t seed; // 0: none was drawn
    char why[4096];
    uint64_t evaluations[INVARIANT_COUNT];
} *report;

uint64_t *test_evaluations;
void (*test_on_end)(const struct test *test, bool drawn);
static const struct test *current; // in its process
static struct test *tests, **tests_end = &tests;

void test_register(struct test *test)
{
    *tests_end = test;
    tests_end = &test->next;
}

// ---- in the test's process

// Where branches are counted (`make coverage`). The process ends without its exit handlers.
[[gnu::weak]] int __llvm_profile_write_file(void);

[[noreturn]] static void end(enum ending ending)
{
    report->ending = ending;
    for (unsigned i = 0; i < INVARIANT_COUNT; i++)
        report->evaluations[i] += counter_read(&invariant_evaluations[i]);
    if (test_on_end && current)
        test_on_end(current, report->seed != 0);
    fflush(stdout);
    if (__llvm_profile_write_file)
        (void)__llvm_profile_write_file();
    _exit(0);
}

void test_fail(const char *file, int line, const char *format, ...)
{
    size_t used = (size_t)snprintf(report->why, sizeof report->why, "%s:%d: ", file, line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(report->why + used, sizeof report->why - used, format, arguments);
    va_end(arguments);
    end(ENDED_FAILED);
}

void test_expect_equal(uint64_t a, uint64_t b, const char *a_text, const char *b_text,
                       const char *file, int line)
{
    if (a != b)
        test_fail(file, line, "%s is %llu (0x%llx), not %s, which is %llu", a_text,
                  (unsigned long long)a, (unsigned long long)a, b_text, (unsigned long long)b);
}

// The end of the console, with the kernel's marks of addresses turned into names.
static void halted(void)
{
    constexpr size_t KEEP = 2500;
    host_console[host_console_bytes] = 0;
    const char *at = host_console + (host_console_bytes > KEEP ? host_console_bytes - KEEP : 0);
    size_t used = 0;
    while (*at && used + 200 < sizeof report->why) {
        unsigned long pc;
        if (sscanf(at, "{{ra:0x%lx", &pc) == 1 && strchr(at, '}')) {
            char name[160] = "?";
            __sanitizer_symbolize_pc((void *)(pc - 1), "%f %s:%l", name, sizeof name);
            used += (size_t)sprintf(report->why + used, "%s", name);
            at = strchr(at, '}') + 2;
        } else {
            report->why[used++] = *at++;
        }
    }
    report->why[used] = 0;
    end(ENDED_PANIC);
}

void test_note(const char *format, ...)
{
    printf("note: ");
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

uint64_t random_next(struct random *random)
{
    return splitmix(&random->state);
}

uint64_t random_below(struct random *random, uint64_t limit)
{
    return random_next(random) % limit;
}

uint64_t test_seed(void)
{
    const char *given = getenv("SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given && *given ? strtoull(given, nullptr, 0)
                                    : ((uint64_t)now.tv_nsec << 20 ^ (uint64_t)now.tv_sec) >> 8;
    report->seed = seed ? seed : 1;
    return report->seed;
}

bool test_long(void)
{
    const char *value = getenv("SKERRY_TEST_LONG");
    return value && *value;
}

unsigned test_amount(unsigned usual, unsigned times)
{
    const char *few = getenv("SKERRY_TEST_FEW");
    return test_long() ? usual * times : few && *few ? usual / 50 + 1 : usual;
}

// ---- the runner

static int run_apart(void (*run)(void), unsigned limit_s)
{
    memset(report, 0, sizeof *report);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(limit_s);
        host_on_halt = halted;
        memset(invariant_evaluations, 0, sizeof invariant_evaluations);
        run();
        end(ENDED_WELL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    for (unsigned i = 0; i < INVARIANT_COUNT; i++)
        test_evaluations[i] += report->evaluations[i];
    return status;
}

bool test_run_panics(void (*run)(void), const char *panics, char *said, unsigned long size)
{
    // The caller is a test's process itself: what it has drawn and counted so far is kept.
    struct report *outer = report;
    report = pages_new_shared(sizeof *report);
    (void)run_apart(run, 10);
    bool caught = report->ending == ENDED_PANIC && strstr(report->why, panics);
    const char *panic = strstr(report->why, "PANIC");
    snprintf(said, size, "%s",
             report->ending == ENDED_WELL ? "nothing was reported"
             : panic                      ? panic
                                          : report->why);
    said[strcspn(said, "\n")] = 0;
    pages_delete(report, sizeof *report);
    report = outer;
    return caught;
}

static void print_indented(const char *text)
{
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        printf("    %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

static bool judge(const struct test *test, int status)
{
    char why[256] = "";
    if (report->ending == ENDED_FAILED)
        snprintf(why, sizeof why, "%.200s", report->why);
    else if (WIFSIGNALED(status))
        snprintf(why, sizeof why, "signal %s", strsignal(WTERMSIG(status)));
    else if (report->ending == ENDED_NOT)
        snprintf(why, sizeof why, "ended with status %d", WEXITSTATUS(status));
    else if (report->ending == ENDED_PANIC && !test->panics)
        snprintf(why, sizeof why, "the kernel panicked");
    else if (test->panics && report->ending == ENDED_WELL)
        snprintf(why, sizeof why, "nothing was reported, not '%s'", test->panics);
    else if (test->panics && !strstr(report->why, test->panics))
        snprintf(why, sizeof why, "the kernel stopped for another reason than '%s'", test->panics);
    if (!why[0]) {
        printf("ok %s\n", test->name);
        return true;
    }
    if (report->ending == ENDED_PANIC)
        print_indented(report->why);
    if (report->seed)
        printf("    replay with SEED=%llu\n", (unsigned long long)report->seed);
    printf("FAIL %s: %s\n", test->name, why);
    return false;
}

static bool run_test(const struct test *test)
{
    current = test;
    return judge(test, run_apart(test->run, TIME_LIMIT_S * (test_long() ? 10 : 1)));
}

// For other runners: `list`, and `run NAME`.
static int serve(int argc, char **argv)
{
    bool lists = strcmp(argv[1], "list") == 0;
    for (struct test *test = tests; test; test = test->next)
        if (lists)
            printf("%s\n", test->name);
        else if (argc > 2 && strcmp(test->name, argv[2]) == 0)
            return run_test(test) ? 0 : 1;
    return lists ? 0 : 2;
}

int main(int argc, char **argv)
{
    report = pages_new_shared(sizeof *report);
    test_evaluations = pages_new_shared(INVARIANT_COUNT * sizeof(uint64_t));
    if (argc > 1)
        return serve(argc, argv);
    const char *wanted = getenv("T");
    const char *slash = wanted ? strrchr(wanted, '/') : nullptr;
    const char *part = slash ? slash + 1 : nullptr; // T=host/PROGRAM/NAME chooses by the last
    bool all_well = true;
    for (struct test *test = tests; test; test = test->next) {
        if (part && !strstr(test->name, part))
            continue;
        all_well &= run_test(test);
    }
    printf("done\n");
    return all_well ? 0 : 1;
}
