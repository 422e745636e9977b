// SPDX-License-Identifier: MIT
//
// The program's main: explores one scenario, then looks for its planted bug, and says what came of
// it as lines of "word name=value ...", which run.py reads.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"
#include "whole.h"

extern const struct kernel_scenario *const __start_scenarios[], *const __stop_scenarios[];

static struct explore_result result;

static struct options {
    uint64_t budget, seed;
    unsigned depth;
    bool random;
    bool canary, sequential; // look for the planted bug, and without weak memory
    bool bounds;             // of what is not finished: up to how many preemptions it is
    bool resume;
    const char *state;   // a file: what is unfinished goes on from there
    const char *bug;     // planted, as if it were not known
    const char *reached; // a file for the addresses of code that was reached
} options = {.budget = 20'000, .depth = 3, .canary = true, .sequential = true, .bounds = true};

// How the sequential search for a bug that needs weak memory is bounded: it must come to its end.
constexpr uint64_t SEQUENTIAL_BUDGET = 2'000'000;

// What is not finished begins with the other orders of what comes last. This part of the budget goes
// to executions at random, which differ from the beginning on.
constexpr uint64_t RANDOM_SHARE = 20;

static void explore(const struct kernel_scenario *scenario, const char *bug,
                    const struct explore_config *how)
{
    harness_choose(scenario);
    seeded_bug = bug;
    const struct explore_scenario as = {
        .name = scenario->name, .setup = harness_setup, .finish = harness_finish};
    explore_run(&as, how, &result);
}

static void print_schedule(const char *word, const char *name)
{
    printf("%s %s:weak:%s%s%s\n", word, name, result.schedule, options.bug ? ":" : "",
           options.bug ? options.bug : "");
}

static void print_failure(const struct kernel_scenario *scenario, const struct explore_config *how)
{
    printf("failed %s: %s\n", result.kind, result.message);
    print_schedule("schedule", scenario->name);
    fflush(stdout);
    const struct explore_scenario as = {
        .name = scenario->name, .setup = harness_setup, .finish = harness_finish};
    unsigned tries = explore_shrink(&as, how, &result);
    printf("after %u more executions %s: %s\n", tries, result.kind, result.message);
    print_schedule("shrunk", scenario->name);
}

static struct explore_config how_to(const struct kernel_scenario *scenario)
{
    bool random = options.random || scenario->random;
    bool later = options.canary && scenario->budget > options.budget;
    return (struct explore_config){.mode = random ? EXPLORE_RANDOM : EXPLORE_DPOR,
                                   .seed = options.seed,
                                   .depth = options.depth,
                                   .budget = later ? scenario->budget : options.budget};
}

// Within the same budget.
static bool look_for_canary(const struct kernel_scenario *scenario)
{
    struct explore_config how = how_to(scenario);
    explore(scenario, scenario->canary, &how);
    printf("canary kind=%s at=%lu", result.failed ? result.kind : "missed",
           (unsigned long)result.failed_at);
    bool right = result.failed &&
                 (!scenario->canary_kind || strcmp(result.kind, scenario->canary_kind) == 0);
    if (right && scenario->weak_only && options.sequential) {
        how = (struct explore_config){.sequential = true, .budget = SEQUENTIAL_BUDGET};
        explore(scenario, scenario->canary, &how);
        right = result.complete && !result.failed;
        printf(" sequential=%s", result.failed ? "found" : right ? "missed" : "unfinished");
    }
    printf("\n");
    if (!right)
        printf("the planted bug \"%s\" is not found, or not only under weak memory\n",
               scenario->canary);
    return right;
}

// What is too large to finish: complete up to how many preemptions, each within the budget.
static void find_bound(const struct kernel_scenario *scenario)
{
    int bound = -1;
    do {
        struct explore_config how = {
            .budget = options.budget, .bounded = true, .bound = (unsigned)(bound + 1)};
        explore(scenario, options.bug, &how);
        bound += result.complete;
    } while (result.complete);
    if (bound >= 0)
        printf("bound preemptions=%d executions=%lu\n", bound,
               (unsigned long)(result.executions + result.pruned));
}

static void print_row(bool random)
{
    printf("row executions=%lu pruned=%lu resumed=%lu events=%lu points=%lu outcomes=%u "
           "search=%s\n",
           (unsigned long)result.executions, (unsigned long)result.pruned,
           (unsigned long)result.resumed, (unsigned long)result.events,
           (unsigned long)result.points, result.outcome_count,
           result.complete ? "complete"
           : random        ? "random"
                           : "budget");
}

static const struct kernel_scenario *again;

static const struct explore_result *explore_again(const struct explore_config *how)
{
    explore(again, options.bug, how);
    return &result;
}

static bool run(const struct kernel_scenario *scenario)
{
    struct explore_config how = how_to(scenario);
    how.state = how.mode == EXPLORE_DPOR ? options.state : nullptr;
    how.resume = options.resume;
    explore(scenario, options.bug, &how);
    print_row(how.mode == EXPLORE_RANDOM);
    if (options.reached && !explore_write_reached(options.reached))
        return false;
    if (result.failed) {
        print_failure(scenario, &how);
        return false;
    }
    bool complete = result.complete;
    again = scenario;
    how.state = nullptr;
    how.resume = false;
    if (!scenario->finer && !whole_explains(&result, &how, explore_again)) {
        printf("failed %s: %s\n", result.kind, result.message);
        print_schedule("schedule", scenario->name);
        return false;
    }
    if (!complete && options.bounds && how.mode == EXPLORE_DPOR) {
        find_bound(scenario);
        if (!result.failed) {
            how.mode = EXPLORE_RANDOM;
            how.budget = options.budget / RANDOM_SHARE;
            explore(scenario, options.bug, &how);
        }
        if (result.failed) {
            print_failure(scenario, &how);
            return false;
        }
    }
    fflush(stdout);
    return !options.canary || !scenario->canary || look_for_canary(scenario);
}

static int replay(const struct kernel_scenario *scenario, char **words, int count)
{
    struct explore_config how = {.sequential = count > 0 && strcmp(words[0], "sequential") == 0,
                                 .schedule = count > 1 ? words[1] : ""};
    explore(scenario, count > 2 ? words[2] : nullptr, &how);
    printf("%s: %s\n", result.failed ? result.kind : "nothing failed", result.message);
    return 0;
}

// One search, for a planted bug maybe, and nothing else.
static int search(const struct kernel_scenario *scenario, char **words, int count)
{
    struct explore_config how = {.sequential = count > 0 && strcmp(words[0], "sequential") == 0,
                                 .budget = count > 1 ? strtoull(words[1], nullptr, 0) : 0};
    explore(scenario, count > 2 ? words[2] : nullptr, &how);
    printf("%s %lu %s %s: %s\n", scenario->name,
           (unsigned long)(result.failed ? result.failed_at : result.executions),
           result.complete ? "complete" : "open", result.failed ? result.kind : "nothing failed",
           result.message);
    return 0;
}

static bool read_option(const char *word)
{
    const char *value = strchr(word, '=');
    size_t length = value ? (size_t)(value++ - word) : strlen(word);
#define IS(name) (length == sizeof(name) - 1 && memcmp(word, name, length) == 0)
    if (IS("nocanary"))
        options.canary = false;
    else if (IS("nosequential"))
        options.sequential = false;
    else if (IS("nobounds"))
        options.bounds = false;
    else if (IS("random"))
        options.random = true;
    else if (IS("resume"))
        options.resume = true;
    else if (!value)
        return false;
    else if (IS("budget"))
        options.budget = strtoull(value, nullptr, 0);
    else if (IS("seed"))
        options.seed = strtoull(value, nullptr, 0);
    else if (IS("depth"))
        options.depth = (unsigned)strtoul(value, nullptr, 0);
    else if (IS("bug"))
        options.bug = value;
    else if (IS("state"))
        options.state = value;
    else if (IS("reached"))
        options.reached = value;
    else
        return false;
#undef IS
    return true;
}

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s list | run NAME [budget=N] [nocanary] [nosequential] [nobounds]\n"
            "       [random] [seed=N] [depth=N] [state=FILE] [resume] [bug=NAME] [reached=FILE] |\n"
            "       replay NAME weak|sequential SCHEDULE [bug] |\n"
            "       search NAME weak|sequential BUDGET [bug]\n",
            program);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return usage(argv[0]);
    for (const struct kernel_scenario *const *at = __start_scenarios; at < __stop_scenarios; at++) {
        const struct kernel_scenario *scenario = *at;
        if (strcmp(argv[1], "list") == 0) {
            printf("%s\n", scenario->name);
            continue;
        }
        if (argc < 3 || strcmp(scenario->name, argv[2]) != 0)
            continue;
        if (strcmp(argv[1], "replay") == 0)
            return replay(scenario, argv + 3, argc - 3);
        if (strcmp(argv[1], "search") == 0)
            return search(scenario, argv + 3, argc - 3);
        for (int i = 3; i < argc; i++)
            if (!read_option(argv[i]))
                return usage(argv[0]);
        return strcmp(argv[1], "run") == 0 ? !run(scenario) : usage(argv[0]);
    }
    return strcmp(argv[1], "list") == 0 ? 0 : usage(argv[0]);
}
