// SPDX-License-Identifier: MIT
//
// From an execution that fails to a simpler one that fails in the same way: parts of the scenario
// are left out, then runs of events joined, then loads made to read the newest store, by trying.
// Each try follows the path so far as a guide, wherever that leads.
#include <ctype.h>
#include <string.h>

#include "search.h"

constexpr unsigned TRIES = 3000, TRIES_A_PART = 300;

static struct step best[EVENTS_MAX], candidate[EVENTS_MAX];
static unsigned best_length, tries;
static const struct explore_scenario *shrunk;
static struct explore_config how;
static struct explore_result *original, trial;

// The same kind, the same words: addresses and numbers may be others.
static bool is_same_failure(void)
{
    const char *a = original->message, *b = trial.message;
    if (!trial.failed || strcmp(original->kind, trial.kind) != 0)
        return false;
    for (;; a++, b++) {
        while (isxdigit((unsigned char)*a))
            a++;
        while (isxdigit((unsigned char)*b))
            b++;
        if (*a != *b)
            return false;
        if (!*a)
            return true;
    }
}

static void keep_path(void)
{
    best_length = event_count;
    for (unsigned i = 0; i < event_count; i++)
        best[i] = (struct step){path[i].thread, path[i].plain};
    *original = trial;
}

static bool fails(const struct step *steps, unsigned length, uint64_t budget)
{
    guide = steps;
    guide_length = length;
    how.budget = budget;
    explore_run(shrunk, &how, &trial);
    tries += (unsigned)(trial.executions + trial.pruned) + trial.failed;
    guide = nullptr;
    return is_same_failure();
}

// Not where the failure is what did not happen in the end: it may be the part's absence.
static void without_parts(void)
{
    static const char *const absences[] = {"lost", "deadlock", "check"};
    for (unsigned i = 0; i < sizeof absences / sizeof absences[0]; i++)
        if (strcmp(original->kind, absences[i]) == 0)
            return;
    unsigned parts = part_count < 64 ? part_count : 64;
    for (unsigned part = 0; part < parts; part++) {
        parts_left_out |= 1ull << part;
        // As it was, or else whatever is found soon.
        if (fails(best, best_length, 1) || fails(best, 0, TRIES_A_PART))
            keep_path();
        else
            parts_left_out &= ~(1ull << part);
    }
}

// ---- fewer switches

static unsigned run_end(unsigned start)
{
    unsigned end = start;
    while (end < best_length && best[end].thread == best[start].thread)
        end++;
    return end;
}

static unsigned count_runs(const struct step *steps, unsigned length)
{
    unsigned runs = 0;
    for (unsigned i = 0; i < length; i++)
        runs += i == 0 || steps[i].thread != steps[i - 1].thread;
    return runs;
}

// Two runs in the other order, which joins them with their neighbours.
static bool swap_runs(unsigned first, unsigned second, unsigned end)
{
    memcpy(candidate, best, sizeof best[0] * best_length);
    memcpy(candidate + first, best + second, sizeof best[0] * (end - second));
    memcpy(candidate + first + (end - second), best + first, sizeof best[0] * (second - first));
    unsigned runs = count_runs(best, best_length);
    if (!fails(candidate, best_length, 1))
        return false;
    for (unsigned i = 0; i < event_count; i++)
        candidate[i].thread = path[i].thread;
    if (count_runs(candidate, event_count) >= runs)
        return false;
    keep_path();
    return true;
}

static bool with_fewer_runs(void)
{
    for (unsigned first = 0; first < best_length && tries < TRIES;) {
        unsigned second = run_end(first), end = run_end(second);
        if (second == best_length)
            return false;
        if (swap_runs(first, second, end))
            return true;
        first = second;
    }
    return false;
}

static void with_newer_values(void)
{
    for (unsigned i = 0; i < best_length && tries < TRIES; i++) {
        if (best[i].choice == 0)
            continue;
        memcpy(candidate, best, sizeof best[0] * best_length);
        candidate[i].choice = 0;
        if (fails(candidate, best_length, 1))
            keep_path();
    }
}

unsigned explore_shrink(const struct explore_scenario *scenario,
                        const struct explore_config *wanted, struct explore_result *result)
{
    shrunk = scenario;
    original = result;
    how = *wanted;
    how.state = nullptr;
    how.mode = EXPLORE_DPOR;
    how.bounded = false;
    tries = 0;
    trial = *result;
    keep_path(); // of the run that has just failed
    without_parts();
    while (tries < TRIES && with_fewer_runs())
        ;
    with_newer_values();
    return tries;
}
