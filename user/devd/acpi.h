// SPDX-License-Identifier: MIT
//
// Devices of a PC that no table names (isa_facts.h). Pure; the tables are untrusted.
#pragma once

#include <hwtree/front.h>

// Adds them to a tree that hwtree_read_acpi() has made of the same tables.
void acpi_add_devices(struct hwtree_builder *builder, const struct acpi_tables *acpi);

// Makes the tree of a PC whose tables name CPUs and interrupt controllers only (an MP table), which are the
// kernel's: one I/O APIC, and what a PC has.
void acpi_describe_pc(struct hwtree_builder *builder);
