// SPDX-License-Identifier: MIT
//
// What the runner (runner.c) asks of the harness: a scenario's two ends.
#pragma once

#include "harness.h"

void harness_choose(const struct kernel_scenario *scenario);
void harness_setup(void);
void harness_finish(void);
