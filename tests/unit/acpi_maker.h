// SPDX-License-Identifier: MIT
//
// Makes ACPI tables, for tests of what reads them.
#pragma once

#include <lib/acpi_tables.h>
#include <stdint.h>
#include <string.h>

static inline void finish_sum(uint8_t *table, size_t bytes, size_t at)
{
    uint8_t sum = 0;
    table[at] = 0;
    for (size_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + table[i]);
    table[at] = (uint8_t)-sum;
}

// A header, what is behind it, and the sum, `bytes` + sizeof(struct acpi_table_header) at `table`.
static inline void make_table(uint8_t *table, const char *signature, const void *body, size_t bytes)
{
    struct acpi_table_header header = {.length = (uint32_t)(sizeof(header) + bytes)};
    memcpy(header.signature, signature, 4);
    memcpy(table, &header, sizeof(header));
    memcpy(table + sizeof(header), body, bytes);
    finish_sum(table, header.length, offsetof(struct acpi_table_header, checksum));
}

// A structure that begins with a table's header.
#define PUT(signature, table)                                             \
    put_table(signature, (const char *)&(table) + sizeof((table).header), \
              sizeof(table) - sizeof((table).header))
