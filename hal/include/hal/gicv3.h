// SPDX-License-Identifier: MIT
//
// GICv3 and GICv4 (as a GICv3) with affinity routing and the CPU interface in system registers.
// Lines 0 to 1019 are INTIDs as GICv2 has them; messages, which an ITS turns into LPIs, have lines
// from GICV3_MESSAGE_LINE on.
#pragma once

#include <hal/hal.h>

constexpr unsigned GICV3_REGIONS_MAX = 64;
constexpr unsigned GICV3_ITS_MAX = 8;
constexpr unsigned GICV3_CPUS_MAX = 64;
constexpr uint32_t GICV3_MESSAGE_LINE = 1024;
constexpr uint32_t GICV3_MESSAGES = 512;

// Redistributors one after the other, one for each CPU, found by the affinity that they state.
struct gicv3_region {
    paddr_t registers;
    uint64_t bytes;
    uint64_t stride; // from one to the next; 0: as they say themselves
};

struct gicv3_config {
    paddr_t distributor;
    const struct gicv3_region *regions;
    unsigned region_count;
    uint32_t timer_line;       // reported as IRQ_TIMER
    void (*timer_quiet)(void); // called when it is claimed
};

// Takes the controller over, everything masked; hal.clock is set. On failure says why and leaves
// *irq alone.
const char *gicv3_init(const struct gicv3_config *config, const struct irq_controller **irq);

// Messages, after gicv3_init, one ITS after the other. Its tables are in RAM that nobody else uses
// for as long as the machine runs: the probe says how much of it, aligned to GICV3_ITS_ALIGNMENT;
// what is in it does not matter. nullptr, or why the ITS is not used.
constexpr uint64_t GICV3_ITS_ALIGNMENT = 65536;
const char *gicv3_its_probe(paddr_t registers, uint64_t *bytes);
const char *gicv3_its_start(paddr_t memory); // the one that was probed last
