// SPDX-License-Identifier: MIT
//
// Not instrumented. See whole.h: outcomes of the kernel as it is against those under one big lock,
// which are looked for at random first, and by everything where that does not find them.
#include "whole.h"

#include <stdlib.h>
#include <string.h>

bool whole_entries;

constexpr uint64_t RANDOM_EACH = 100, RANDOM_ALL = 3'000, EVERYTHING = 50'000;

static char big_lock;
static uint64_t outcome, wanted;

void whole_enter(void)
{
    if (whole_entries)
        explore_lock(&big_lock);
}

void whole_leave(void)
{
    if (whole_entries)
        explore_unlock(&big_lock);
}

void whole_outcome_begin(void)
{
    outcome = 0xcbf2'9ce4'8422'2325;
}

void whole_outcome_add(uint64_t value)
{
    outcome = (outcome ^ value) * 0x100'0000'01b3;
    outcome ^= outcome >> 29;
}

void whole_outcome_end(void)
{
    if (wanted && outcome == wanted)
        explore_fail("atomic", "no order of whole entries of the kernel gives these results");
    explore_outcome(outcome);
}

// The first that is not among the others; 0: none.
static uint64_t first_missing(const uint64_t *of, unsigned count, const bool *have)
{
    for (unsigned i = 0; i < count; i++)
        if (!have[i])
            return of[i];
    return 0;
}

static void note(const struct explore_result *found, bool *have, const struct explore_result *whole)
{
    for (unsigned i = 0, at = 0; i < found->outcome_count; i++) {
        while (at < whole->outcome_count && whole->outcomes[at] < found->outcomes[i])
            at++;
        have[i] |= at < whole->outcome_count && whole->outcomes[at] == found->outcomes[i];
    }
}

bool whole_explains(const struct explore_result *found, const struct explore_config *how,
                    const struct explore_result *(*explore)(const struct explore_config *))
{
    static struct explore_result all;
    static bool have[EXPLORE_OUTCOMES];
    all = *found; // `explore` writes over it
    memset(have, 0, sizeof have);
    whole_entries = true;
    // With weak memory: a flag that is read late is an interrupt that comes late.
    struct explore_config random = {.mode = EXPLORE_RANDOM, .budget = RANDOM_EACH};
    for (uint64_t tried = 0;
         tried < RANDOM_ALL && first_missing(all.outcomes, all.outcome_count, have);
         tried += RANDOM_EACH) {
        random.seed++;
        random.depth = random.seed % 8;
        note(&all, have, explore(&random));
    }
    if (first_missing(all.outcomes, all.outcome_count, have)) {
        const struct explore_config everything = {.budget = EVERYTHING};
        note(&all, have, explore(&everything));
    }
    whole_entries = false;
    wanted = first_missing(all.outcomes, all.outcome_count, have);
    if (wanted)
        (void)explore(how);
    bool explained = !wanted;
    wanted = 0;
    return explained;
}
