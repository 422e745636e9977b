// SPDX-License-Identifier: MIT
//
// The two front ends. What they read is not trusted: whatever it is, nothing outside of it is read,
// the work is bounded (HWTREE_TOO_LONG), and what makes no sense is counted, with its place.
#pragma once

#include <hwtree/builder.h>

// ---- device trees

// What the front end remembers of each node while it reads; of no interest to others.
struct hwtree_fdt_node {
    uint64_t names; // a bit for each name that a property of it may have
    int32_t offset;
    uint32_t properties; // how many it has
    uint32_t by_phandle; // a list of nodes, sorted by their phandles
    uint32_t interrupt_parent;
    uint8_t address_cells, size_cells;
    uint8_t interrupt_cells; // UINT8_MAX: it has none
    uint8_t flags;
};

// Reads a flattened device tree of at most `bytes` bytes into a tree that was begun and has no
// nodes. `memory` has room for `nodes` nodes; further ones are left out. false: it is no device
// tree (version 16 and later), or its structure is broken; `why` says how.
[[nodiscard]] bool hwtree_read_fdt(struct hwtree_builder *builder, const void *fdt, size_t bytes,
                                   struct hwtree_fdt_node *memory, uint32_t nodes,
                                   const char **why);

// ---- ACPI

constexpr unsigned HWTREE_ACPI_TABLES = 64;

struct hwtree_acpi {
    struct {
        const void *table; // whole, of the length in its header
        uint32_t bytes;
    } tables[HWTREE_ACPI_TABLES];
    unsigned count;
    unsigned bad; // tables that were left out: unreadable, or with a wrong length or sum
    char bad_names[HWTREE_ACPI_TABLES][5];
};

// Maps `bytes` bytes of physical memory for reading; null: they cannot be.
typedef const void *hwtree_acpi_map(void *context, uint64_t address, uint64_t bytes);

// Lists the tables that the RSDP at an address leads to, and the DSDT, to which the FADT does. false:
// there is no RSDP, or no list.
[[nodiscard]] bool hwtree_acpi_find(struct hwtree_acpi *acpi, hwtree_acpi_map *map, void *context,
                                    uint64_t rsdp);
// Adds one table of `bytes` bytes, if length and sum are right; false: they are not, and it is
// counted.
bool hwtree_acpi_add(struct hwtree_acpi *acpi, const void *table, uint64_t bytes);

// Reads the tables into a tree that was begun and has no nodes. Of AML, what stands there as constants.
void hwtree_read_acpi(struct hwtree_builder *builder, const struct hwtree_acpi *acpi);

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
