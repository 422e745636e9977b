// SPDX-License-Identifier: MIT
//
// The two front ends. What they read is not trusted: whatever it is, nothing outside of it is read,
// the work is bounded (HWTREE_TOO_LONG), and what makes no sense is counted, with its place.
#pragma once

#include <firmware/acpi.h>
#include <firmware/fdt.h>
#include <hwtree/builder.h>

// ---- device trees

// What the front end remembers of each node while it reads; of no interest to others.
struct hwtree_fdt_node {
    uint32_t by_phandle; // a list of nodes, sorted by their phandles
    uint32_t interrupt_parent;
    uint8_t address_cells, size_cells;
    uint8_t interrupt_cells; // UINT8_MAX: it has none
    uint8_t flags;
};

// Reads a flattened device tree into a tree that was begun and has no nodes; `nodes` has as many as
// `fdt` has. false: it is none, or its structure is broken, as `fdt->fault` says.
[[nodiscard]] bool hwtree_read_fdt(struct hwtree_builder *builder, const struct fdt *fdt,
                                   struct hwtree_fdt_node *nodes);

// ---- ACPI

// Lists and opens the tables that the RSDP at an address leads to, and the DSDT, to which the FADT does.
// false: there is no RSDP, or no list.
[[nodiscard]] bool hwtree_acpi_find(struct acpi_tables *acpi, acpi_map *map, void *context,
                                    uint64_t rsdp);

// Reads the tables into a tree that was begun and has no nodes. Of AML, what stands there as constants.
void hwtree_read_acpi(struct hwtree_builder *builder, const struct acpi_tables *acpi);

// Where messages go, for PCI hosts of which no table says it: to the only controller that takes any,
// or the first frame of a GICv2. A host that was added later needs this once more.
void hwtree_acpi_messages(struct hwtree_builder *builder);

// The line that is number `gsi` of all I/O APICs' inputs together, or a GIC's INTID; its trigger is not
// known. false: no controller has it.
[[nodiscard]] bool hwtree_acpi_gsi(const struct hwtree *tree, uint32_t gsi,
                                   struct hwtree_interrupt *interrupt);

// Where the interrupt `source` of the ISA bus comes in: as an override of the MADT says, or else at
// the I/O APIC's input of the same number, by edge. false: there is no I/O APIC.
[[nodiscard]] bool hwtree_acpi_isa(const struct hwtree *tree, uint8_t source,
                                   struct hwtree_interrupt *interrupt);
