// SPDX-License-Identifier: MIT
//
// ACPI tables for tests: each is a copy of exactly its length, so that a sanitizer sees what is read
// behind it, and stands in the list `acpi`.
#pragma once

#include <hwtree/front.h>
#include <stdlib.h>

#include "acpi_maker.h"
#include "test.h"

static struct acpi_tables acpi;
static uint8_t *tables[16];
static unsigned table_count;

static inline void begin_tables(void)
{
    while (table_count > 0)
        free(tables[--table_count]);
    acpi = (struct acpi_tables){};
}

static inline uint8_t *put_table(const char *signature, const void *body, size_t bytes)
{
    const size_t whole = sizeof(struct acpi_table_header) + bytes;
    uint8_t *table = malloc(whole);
    make_table(table, signature, body, bytes);
    EXPECT(acpi_tables_put(&acpi, table, whole)->fault == ACPI_SOUND);
    return tables[table_count++] = table;
}
