// SPDX-License-Identifier: MIT
//
// The ACPI front end, inside. A problem is told at the root, with the signature of the table and the
// offset of the entry in it.
//
//   acpi.c          the list of tables; HPET, FADT, SPCR, DBG2
//   acpi_madt.c     CPUs and interrupt controllers
//   acpi_pci.c      MCFG, and where messages go
//   acpi_numa.c     SRAT, SLIT
//   acpi_pptt.c     how CPUs belong together
//   acpi_arm.c      GTDT, IORT, and what Arm machines have besides
//   acpi_dmar.c     DMAR
//   acpi_devices.c  what DSDT and SSDTs say by constants, which aml*.c read
//
// Sources: ACPI 6.5, 5.2; layouts are ACPICA's.
#pragma once

#include <hwtree/front.h>
#include <lib/acpi_tables.h>

struct acpi_reader {
    struct hwtree_builder *builder;
    const struct hwtree *tree; // the builder's
    const struct acpi_tables *acpi;
};

// As in <firmware/acpi.h>, over one reader's tables; what is wrong is counted.
struct acpi_piece tables_find(struct acpi_reader *reader, const char *signature, uint32_t least);
[[nodiscard]] bool tables_copy(struct acpi_reader *reader, const struct acpi_piece *piece, void *to,
                               size_t bytes, size_t least);
struct acpi_piece tables_part(struct acpi_reader *reader, const struct acpi_piece *piece,
                              uint64_t offset, uint64_t bytes);
bool tables_entry(struct acpi_reader *reader, const struct acpi_piece *table, uint32_t *at,
                  enum acpi_form form, uint32_t *type, struct acpi_piece *entry);
void tables_problem(struct acpi_reader *reader, const struct acpi_piece *piece,
                    enum hwtree_cause cause);

// A node with one range.
uint32_t tables_add(struct acpi_reader *reader, const struct acpi_piece *piece, const char *name,
                    const struct hwtree_range *range);
// A name that is in the texts already, or is added.
uint32_t tables_text(struct acpi_reader *reader, const char *text);

// What the global system interrupt `gsi` is to its controller. false, and counted: nobody has it.
[[nodiscard]] bool tables_gsi(struct acpi_reader *reader, const struct acpi_piece *piece,
                              uint32_t gsi, struct hwtree_interrupt *interrupt);

// The first node of a kind for which `is` answers true.
typedef bool tables_is(const struct hwtree_node *node, uint64_t value);
uint32_t tables_node(const struct acpi_reader *reader, enum hwtree_kind kind, tables_is *is,
                     uint64_t value);
// The node whose registers begin there, or HWTREE_NONE.
uint32_t tables_at(const struct acpi_reader *reader, enum hwtree_space space, uint64_t base);
bool tables_is_host(const struct hwtree_node *node, uint64_t segment);

void tables_madt(struct acpi_reader *reader);
void tables_mcfg(struct acpi_reader *reader);
void tables_pptt(struct acpi_reader *reader);
void tables_definitions(struct acpi_reader *reader);
void tables_numa(struct acpi_reader *reader);
// The CPUs' performance counters have this global system interrupt, each CPU's own one or another.
void tables_pmu(struct acpi_reader *reader, const struct acpi_piece *piece, uint32_t gsi,
                bool edge);
// There is PSCI 0.2 or later.
void tables_psci(struct acpi_reader *reader);
void tables_gtdt(struct acpi_reader *reader);
void tables_iort(struct acpi_reader *reader);
void tables_dmar(struct acpi_reader *reader);
