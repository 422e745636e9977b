// SPDX-License-Identifier: MIT
//
// Writes AML, for tests (ACPI 6.5, 20.2). Packages are opened and closed, their lengths are in two bytes.
#pragma once

#include <stdint.h>
#include <string.h>

static uint8_t aml[4096];
static size_t aml_used, open_at[64], open_count;

static inline void aml_begin(void)
{
    aml_used = open_count = 0;
}

static inline void aml_put(const void *bytes, size_t count)
{
    memcpy(aml + aml_used, bytes, count);
    aml_used += count;
}

#define AML(...) aml_put((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static inline void aml_text(const char *text)
{
    aml_put(text, strlen(text));
}

static inline void aml_open(const char *op, const char *name)
{
    aml_text(op);
    open_at[open_count++] = aml_used;
    AML(0, 0);
    aml_text(name);
}

static inline void aml_close(void)
{
    const size_t at = open_at[--open_count], length = aml_used - at;
    aml[at] = (uint8_t)(0x40 | (length & 15));
    aml[at + 1] = (uint8_t)(length >> 4);
}

static inline void aml_named(const char *name, const char *text)
{
    AML(0x08);
    aml_text(name);
    AML(0x0d);
    aml_put(text, strlen(text) + 1);
}
