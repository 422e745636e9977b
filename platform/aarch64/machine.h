// SPDX-License-Identifier: MIT
//
// The devices of the kernel itself: read from firmware tables into a description, and started from
// it. Starting sets their parts of `hal`.
#pragma once

#include <platform/acpi.h>
#include <platform/fdt.h>

#include "description.h"

// ---- describe_fdt.c: the description by the device tree

// The console first of all, so that the rest can be heard.
void describe_console(const struct fdt *tree, struct machine_description *machine);

// The rest. Panics where the kernel cannot run without; complains of and leaves out what it can do
// without.
void describe_devices(const struct fdt *tree, struct machine_description *machine);

// ---- describe_power.c: a part of it

void describe_power(const struct fdt *tree, struct machine_description *machine);

// ---- describe_acpi.c: the description by ACPI tables, as above

void acpi_describe_console(struct acpi_tables *acpi, struct machine_description *machine);
void acpi_describe_devices(struct acpi_tables *acpi, struct machine_description *machine);

// Lists the CPUs that can be started, `boot_cpu` (an MPIDR affinity) first.
void acpi_read_cpus(struct acpi_tables *acpi, uint64_t boot_cpu, struct boot_info *boot);

// ---- devices.c

void start_console(const struct machine_description *machine);

// Timer, interrupt controller, power. What a controller needs of RAM is taken out of `boot`, whose
// RAM is mapped. Panics where the kernel cannot run without.
void start_devices(const struct machine_description *machine, struct boot_info *boot);
