// SPDX-License-Identifier: MIT
//
// GICv2 with its optional message frames (GICv2m). Lines are INTIDs: 0-15 SGIs, 16-31 the CPU's
// own (PPIs), 32-1019 shared (SPIs).
#pragma once

#include <hal/hal.h>

constexpr unsigned GICV2M_FRAMES_MAX = 8;

struct gicv2m_frame {
    paddr_t registers;
    uint32_t base, count; // SPIs; count 0: ask the frame
};

struct gicv2_config {
    paddr_t distributor, cpu_interface;
    uint32_t timer_line;       // reported as IRQ_TIMER
    void (*timer_quiet)(void); // called when it is claimed
};

// Takes the controller over, everything masked. On failure says why and leaves *irq alone.
const char *gicv2_init(const struct gicv2_config *config, const struct irq_controller **irq);

// Adds a frame, after gicv2_init. nullptr, or why it is not used.
const char *gicv2m_add(const struct gicv2m_frame *frame);
