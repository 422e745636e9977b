// SPDX-License-Identifier: MIT
//
// Power by PSCI 0.2 and later (DEN 0022).
#pragma once

#include <hal/hal.h>

enum psci_conduit : uint8_t { PSCI_HVC, PSCI_SMC };

const struct power *psci_init(enum psci_conduit conduit);
