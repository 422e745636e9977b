// SPDX-License-Identifier: MIT
//
// Small device trees for tests: nodes and properties one after the other, then the blob.
//
//     struct dt_maker m = dt_make();
//     dt_node(&m, "");
//     dt_cells(&m, "#address-cells", 1, (uint32_t[]){2});
//     DT_CELLS(&m, "reg", 0, 0x1000, 0, 0x100);
//     dt_end(&m);
//     size_t bytes = dt_finish(&m);     // m.blob
#pragma once

#include <libfdt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

constexpr size_t DT_MAKER_BYTES = 1u << 20;

struct dt_maker {
    char *structure, *strings;
    size_t at, strings_bytes;
    void *blob;
};

static void dt_word(struct dt_maker *maker, uint32_t word)
{
    word = cpu_to_fdt32(word);
    if (maker->at + 4 > DT_MAKER_BYTES)
        abort();
    memcpy(maker->structure + maker->at, &word, 4);
    maker->at += 4;
}

static void dt_bytes(struct dt_maker *maker, const void *bytes, size_t count)
{
    if (maker->at + count + 4 > DT_MAKER_BYTES)
        abort();
    memcpy(maker->structure + maker->at, bytes, count);
    memset(maker->structure + maker->at + count, 0, 3);
    maker->at = (maker->at + count + 3) / 4 * 4;
}

static struct dt_maker dt_make(void)
{
    return (struct dt_maker){.structure = malloc(DT_MAKER_BYTES), .strings = malloc(4096)};
}

static void dt_node(struct dt_maker *maker, const char *name)
{
    dt_word(maker, FDT_BEGIN_NODE);
    dt_bytes(maker, name, strlen(name) + 1);
}

static void dt_end(struct dt_maker *maker)
{
    dt_word(maker, FDT_END_NODE);
}

static void dt_prop(struct dt_maker *maker, const char *name, const void *value, size_t bytes)
{
    size_t at = 0;
    while (at < maker->strings_bytes && strcmp(maker->strings + at, name) != 0)
        at += strlen(maker->strings + at) + 1;
    if (at == maker->strings_bytes) {
        memcpy(maker->strings + at, name, strlen(name) + 1);
        maker->strings_bytes += strlen(name) + 1;
    }
    dt_word(maker, FDT_PROP);
    dt_word(maker, (uint32_t)bytes);
    dt_word(maker, (uint32_t)at);
    dt_bytes(maker, value, bytes);
}

static void dt_string(struct dt_maker *maker, const char *name, const char *text)
{
    dt_prop(maker, name, text, strlen(text) + 1);
}

static void dt_cells(struct dt_maker *maker, const char *name, size_t count, const uint32_t *cells)
{
    uint32_t swapped[256];
    if (count > 256)
        abort();
    for (size_t i = 0; i < count; i++)
        swapped[i] = cpu_to_fdt32(cells[i]);
    dt_prop(maker, name, swapped, 4 * count);
}

#define DT_CELLS(maker, name, ...)                                              \
    dt_cells(maker, name, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), \
             (uint32_t[]){__VA_ARGS__})

// A reservation of the blob; zeros: none.
static size_t dt_finish_reserved(struct dt_maker *maker, uint64_t address, uint64_t bytes)
{
    dt_word(maker, FDT_END);
    size_t reservations = bytes > 0 ? 32 : 16, head = sizeof(struct fdt_header);
    size_t structure = head + reservations, strings = structure + maker->at;
    size_t total = (strings + maker->strings_bytes + 7) / 8 * 8;
    uint64_t entry[2] = {cpu_to_fdt64(address), cpu_to_fdt64(bytes)};
    char *blob = maker->blob = calloc(1, total);
    struct fdt_header header = {
        .magic = cpu_to_fdt32(FDT_MAGIC),
        .totalsize = cpu_to_fdt32((uint32_t)total),
        .off_dt_struct = cpu_to_fdt32((uint32_t)structure),
        .off_dt_strings = cpu_to_fdt32((uint32_t)strings),
        .off_mem_rsvmap = cpu_to_fdt32((uint32_t)head),
        .version = cpu_to_fdt32(17),
        .last_comp_version = cpu_to_fdt32(16),
        .size_dt_strings = cpu_to_fdt32((uint32_t)maker->strings_bytes),
        .size_dt_struct = cpu_to_fdt32((uint32_t)maker->at),
    };
    memcpy(blob, &header, head);
    if (bytes > 0)
        memcpy(blob + head, entry, sizeof(entry));
    memcpy(blob + structure, maker->structure, maker->at);
    memcpy(blob + strings, maker->strings, maker->strings_bytes);
    free(maker->structure);
    free(maker->strings);
    return total;
}

[[maybe_unused]] static size_t dt_finish(struct dt_maker *maker)
{
    return dt_finish_reserved(maker, 0, 0);
}
