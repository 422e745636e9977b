// SPDX-License-Identifier: MIT
//
// Finding ACPI tables. The firmware is not trusted: every length is checked against what holds
// it, every checksum is verified, and a bad table is named in the log and passed over. Tables are
// mapped read-only and stay mapped.
#pragma once

#include <kernel/boot.h>
#include <lib/types.h>

constexpr uint64_t ACPI_RSDP_BYTES = 36; // with its second part
constexpr unsigned ACPI_TABLES_MAX = 64;
constexpr size_t ACPI_TABLE_BYTES_MAX = 1u << 20; // of one that we read

struct acpi {
    unsigned count;
    struct {
        char signature[5];
        uint32_t bytes;
        uint64_t address;
    } tables[ACPI_TABLES_MAX];
};

// Reads the RSDP at `rsdp` and the list of tables that it names. false: no usable list.
[[nodiscard]] bool acpi_open(struct acpi *acpi, paddr_t rsdp);

// The first sound table with this signature, and its length, at least `at_least` bytes, header
// included; nullptr: there is none.
const void *acpi_find(const struct acpi *acpi, const char *signature, size_t at_least,
                      size_t *bytes);

// Where firmware puts its tables into RAM, they stay: reserves them, boot->tables too.
void acpi_reserve_tables(const struct acpi *acpi, struct boot_info *boot);

// Searches a range of memory, 16 bytes at a time, for a sound RSDP; its address, or 0.
paddr_t acpi_scan(paddr_t start, size_t bytes);
