// SPDX-License-Identifier: MIT
//
// A resource template, as _CRS answers it (ACPI 6.5, 6.4): registers in memory, I/O ports and
// interrupts of fixed places. What is in other spaces, or finds no room, is left out.
#pragma once

#include "aml.h"

void aml_resources(const uint8_t *bytes, uint64_t count, struct aml_device *device);
