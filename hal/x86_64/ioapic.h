// SPDX-License-Identifier: MIT
//
// The I/O APICs as one array of input lines (Intel 82093AA data sheet).
#pragma once

#include <hal/x86_64/apic.h>

// Finds out how many lines there are and masks them all. nullptr: done.
const char *ioapic_init(const struct apic_config *config, uint32_t *lines);

// Whether some I/O APIC has the line. The rest take only such lines.
bool ioapic_has(uint32_t line);

// Routes a line to a vector of the CPU with APIC id `target`, masked.
void ioapic_route(uint32_t line, enum abi_trigger trigger, uint8_t vector, uint32_t target);
void ioapic_set_mask(uint32_t line, bool masked);
