// SPDX-License-Identifier: MIT
//
// Walking ACPI tables, for the kernel's start and for the hardware tree (ACPI 6.5, 5.2.5 to 5.2.8).
// The firmware is not trusted: nothing is read outside of what was mapped, and what is wrong is
// told to the caller, who knows whom to tell. Nothing here keeps state of its own, or allocates.
#pragma once

#include <stddef.h>
#include <stdint.h>

// ---- the list of tables

constexpr unsigned ACPI_TABLES_MAX = 64;
constexpr uint32_t ACPI_TABLE_BYTES_MAX = 1u << 20; // of one that is read
constexpr uint32_t ACPI_RSDP_BYTES = 36;            // with its second part

// Maps `bytes` bytes of physical memory for reading, for good; nullptr: they cannot be.
typedef const void *acpi_map(void *context, uint64_t address, uint64_t bytes);

enum acpi_fault : uint8_t {
    ACPI_SOUND,
    ACPI_UNMAPPED,
    ACPI_BAD_LENGTH,
    ACPI_BAD_SUM,
    ACPI_OTHER_TABLE, // what is there is not the table that it should be
};
const char *acpi_fault_text(enum acpi_fault fault); // what the table does, as "has a ..."

struct acpi_table {
    uint64_t address;  // 0: it was put into the list without one
    const void *at;    // all of it, with a right sum; nullptr: it was not opened, or has a fault
    uint32_t bytes;    // as its header says
    char signature[5]; // printable
    enum acpi_fault fault;
};

struct acpi_tables {
    acpi_map *map;
    void *context;
    unsigned count;
    unsigned left_out; // for which there was no room
    struct acpi_table list[ACPI_TABLES_MAX];
};

// Whether an RSDP is there; of revision 2 and later all of it must be readable, else the first 20 bytes.
bool acpi_is_rsdp(const void *at);

// Lists the tables that the RSDP at an address leads to; `map` and `context` are set. Of each, only
// the header is looked at. false: there is no RSDP, or no list that can be read; the list that
// cannot be is in the list, with its fault.
[[nodiscard]] bool acpi_tables_read(struct acpi_tables *tables, uint64_t rsdp);

// Adds the table at an address, by its header; it must have the signature, unless that is nullptr.
// nullptr: there is no room.
struct acpi_table *acpi_tables_add(struct acpi_tables *tables, uint64_t address,
                                   const char *signature);
// Adds one that is in memory, of at most so many bytes, opened, and its fault if it has one.
struct acpi_table *acpi_tables_put(struct acpi_tables *tables, const void *at, uint64_t bytes);

// Maps the whole table and looks at its sum; once. nullptr: it has a fault.
const void *acpi_table_open(const struct acpi_tables *tables, struct acpi_table *table);
bool acpi_table_is(const struct acpi_table *table, const char *signature);

// ---- what is in a table

// A table, or an entry of one.
struct acpi_piece {
    const char *at; // nullptr: there is none
    uint32_t bytes;
    const char *table; // the signature
    uint32_t offset;   // of the piece in the table
};

// Copies the beginning of a piece into a structure of `bytes` bytes; what it does not have is 0.
// false: it has fewer than `least`.
[[nodiscard]] bool acpi_copy(const struct acpi_piece *piece, void *to, size_t bytes, size_t least);

// The part of a piece from `offset` on; `.at` is null: it is not all there.
struct acpi_piece acpi_part(const struct acpi_piece *piece, uint64_t offset, uint64_t bytes);

// How an entry begins: so many bits of type, and of length.
enum acpi_form : uint8_t { ACPI_8_8, ACPI_8_16, ACPI_16_16 };

// Takes the entry at `*at`, and moves on behind it. false: the table ends there, or the entry, which
// `entry` gives the place of, is broken: `*at` is below table->bytes.
bool acpi_next_entry(const struct acpi_piece *table, uint32_t *at, enum acpi_form form,
                     uint32_t *type, struct acpi_piece *entry);
