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
    uint64_t budget;
    bool canary;         // look for the planted bug, too
    const char *reached; // a file for the addresses of code that was reached
} options = {.budget = 20'000, .canary = true};

static void explore(const struct kernel_scenario *scenario, const char *bug,
                    const struct explore_config *how)
{
    harness_choose(scenario);
    seeded_bug = bug;
    const struct explore_scenario as = {
        .name = scenario->name, .setup = harness_setup, .finish = harness_finish};
    explore_run(&as, how, &result);
}

static void print_failure(const char *name, const char *bug, bool sequential)
{
    printf("failed %s: %s\nschedule %s:%s:%s%s%s\n", result.kind, result.message, name,
           sequential ? "sequential" : "weak", result.schedule, bug ? ":" : "", bug ? bug : "");
}

static const char *search_word(void)
{
    return result.complete ? "complete" : "budget";
}

static bool look_for_canary(const struct kernel_scenario *scenario)
{
    struct explore_config how = {.budget = options.budget};
    explore(scenario, scenario->canary, &how);
    printf("canary kind=%s at=%lu", result.failed ? result.kind : "missed",
           (unsigned long)result.failed_at);
    bool found = result.failed;
    if (scenario->weak_only) { // what only weak memory shows is not found without it
        how = (struct explore_config){.sequential = true, .budget = 5 * options.budget};
        explore(scenario, scenario->canary, &how);
        printf(" sequential=%s", result.failed ? "found" : result.complete ? "missed" : "budget");
    }
    printf("\n");
    return found;
}

static const struct kernel_scenario *again;

static const struct explore_result *explore_again(const struct explore_config *how)
{
    explore(again, nullptr, how);
    return &result;
}

static bool run(const struct kernel_scenario *scenario)
{
    struct explore_config how = {.budget = options.budget};
    explore(scenario, nullptr, &how);
    printf("row executions=%lu pruned=%lu events=%lu points=%lu outcomes=%u search=%s\n",
           (unsigned long)result.executions, (unsigned long)result.pruned,
           (unsigned long)result.events, (unsigned long)result.points, result.outcome_count,
           search_word());
    if (options.reached && !explore_write_reached(options.reached))
        return false;
    again = scenario;
    if (result.failed || (!scenario->finer && !whole_explains(&result, &how, explore_again))) {
        print_failure(scenario->name, nullptr, false);
        return false;
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
           (unsigned long)(result.failed ? result.failed_at : result.executions), search_word(),
           result.failed ? result.kind : "nothing failed", result.message);
    return 0;
}

static bool read_option(const char *word)
{
    if (strncmp(word, "budget=", 7) == 0)
        options.budget = strtoull(word + 7, nullptr, 0);
    else if (strcmp(word, "nocanary") == 0)
        options.canary = false;
    else if (strncmp(word, "reached=", 8) == 0)
        options.reached = word + 8;
    else
        return false;
    return true;
}

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s list | run NAME [budget=N] [nocanary] [reached=FILE] |\n"
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
