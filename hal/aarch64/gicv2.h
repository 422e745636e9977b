// SPDX-License-Identifier: MIT
//
// Between gicv2.c and gicv2m.c.
#pragma once

#include <hal/gicv2.h>

constexpr uint32_t GIC_FIRST_SPI = 32;

void gicv2_mask(uint32_t line);
void gicv2_clear_pending(uint32_t line);
void gicv2_configure(uint32_t line, enum abi_trigger trigger);
uint32_t gicv2_lines(void);

// Whether the line is one that a message frame raises.
bool gicv2m_owns(uint32_t line);
bool gicv2m_allocate(paddr_t controller, uint64_t device, uint32_t *line, uint64_t *address,
                     uint32_t *data);
void gicv2m_free(uint32_t line);

// Makes the controller take messages.
void gicv2_enable_messages(void);
