// SPDX-License-Identifier: MIT
//
// The sequential meaning of a scenario: the same calls with one lock around the whole kernel, let
// go only where a CPU idles and between two steps of a long operation. What the kernel's own locks
// and orders allow must be among what this allows.
#pragma once

#include "explore.h"

extern bool whole_entries; // one big lock is used

void whole_enter(void);
void whole_leave(void);

// Of one execution: everything that its calls answered, as one number.
void whole_outcome_begin(void);
void whole_outcome_add(uint64_t value);
void whole_outcome_end(void); // fails, if it is the one that is looked for

// Whether each of the outcomes is found with the big lock as well. If not, the scenario is explored
// again as `how` says, up to one without, and fails there. `explore` runs the scenario.
bool whole_explains(const struct explore_result *found, const struct explore_config *how,
                    const struct explore_result *(*explore)(const struct explore_config *));
