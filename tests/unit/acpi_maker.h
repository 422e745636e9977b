// SPDX-License-Identifier: MIT
//
// Makes ACPI tables, for tests of what reads them. Each is a copy of exactly its length, so that a
// sanitizer sees what is read behind it, and stands in the list `acpi`.
#pragma once

#include <hwtree/front.h>
#include <lib/acpi_tables.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

static struct hwtree_acpi acpi;
static uint8_t *tables[16];
static unsigned table_count;

static inline void begin_tables(void)
{
    while (table_count > 0)
        free(tables[--table_count]);
    acpi = (struct hwtree_acpi){};
}

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

static inline uint8_t *put_table(const char *signature, const void *body, size_t bytes)
{
    const size_t whole = sizeof(struct acpi_table_header) + bytes;
    uint8_t *table = malloc(whole);
    make_table(table, signature, body, bytes);
    EXPECT(hwtree_acpi_add(&acpi, table, whole));
    return tables[table_count++] = table;
}

// A structure that begins with a table's header.
#define PUT(signature, table)                                             \
    put_table(signature, (const char *)&(table) + sizeof((table).header), \
              sizeof(table) - sizeof((table).header))
