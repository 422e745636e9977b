// SPDX-License-Identifier: MIT
//
// Finding ACPI tables for the kernel's start, over <firmware/acpi.h>: what is wrong is named in the
// log, and passed over. Tables are mapped read-only and stay mapped.
#pragma once

#include <firmware/acpi.h>
#include <kernel/boot.h>
#include <lib/types.h>

// Reads the RSDP at `rsdp` and the list of tables that it names. false: no usable list.
[[nodiscard]] bool acpi_open(struct acpi_tables *acpi, paddr_t rsdp);

// The first sound table with this signature and at least `least` bytes, header included; `.at` is
// null: there is none.
struct acpi_piece acpi_find(struct acpi_tables *acpi, const char *signature, size_t least);

// As acpi_next_entry, for types and lengths of a byte, and as acpi_copy, for entries.
bool acpi_next(const struct acpi_piece *table, uint32_t *at, uint32_t *type,
               struct acpi_piece *entry);
[[nodiscard]] bool acpi_take(const struct acpi_piece *entry, void *to, size_t bytes, size_t least);

// Where firmware puts its tables into RAM, they stay: reserves them, boot->tables too.
void acpi_reserve_tables(const struct acpi_tables *acpi, struct boot_info *boot);

// Searches a range of memory, 16 bytes at a time, for a sound RSDP; its address, or 0.
paddr_t acpi_scan(paddr_t start, size_t bytes);
