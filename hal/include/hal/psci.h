// SPDX-License-Identifier: MIT
//
// Power by PSCI 0.2 and later (DEN 0022).
#pragma once

#include <hal/hal.h>

enum psci_conduit : uint8_t { PSCI_HVC, PSCI_SMC };

const struct power *psci_init(enum psci_conduit conduit);

// hal.cpu_start, after psci_init: CPU_ON (5.1.4). `affinity` as MPIDR_EL1 has it.
bool psci_cpu_start(uint64_t affinity, paddr_t entry, uint64_t argument);
