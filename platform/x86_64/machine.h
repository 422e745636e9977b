// SPDX-License-Identifier: MIT
//
// What the kernel needs to know of the machine, pulled out of its ACPI tables.
#pragma once

#include <hal/x86_64/apic.h>
#include <hal/x86_64/clock_tsc.h>
#include <hal/x86_64/power.h>
#include <kernel/boot.h>
#include <platform/acpi.h>

// MADT: interrupt controllers and CPUs. CPU ids go into `boot` in the table's order. false: there
// is no sound MADT.
[[nodiscard]] bool machine_interrupts(struct acpi_tables *acpi, struct apic_config *config,
                                      struct boot_info *boot);

// For those who read tables: what has no room, or cannot be used, is named and left out.
void machine_add_cpu(struct boot_info *boot, uint32_t id);
void machine_add_io_apic(struct apic_config *config, uint64_t address, uint32_t first_line);

// FADT: how to power off and reset.
void machine_power(struct acpi_tables *acpi, struct acpi_power_config *config);

// A timer of known rate: the HPET, or the FADT's; where the tables name none that counts, the PC's
// own, or the time-stamp counter if the processor states its rate. false: there is none.
[[nodiscard]] bool machine_reference(struct acpi_tables *acpi, struct clock_reference *reference);
