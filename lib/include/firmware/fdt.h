// SPDX-License-Identifier: MIT
//
// Walking a flattened device tree (Devicetree Specification 0.4, 5), for the kernel's start and for
// the hardware tree.
//
// The blob is not trusted. One pass checks the structure and makes a table of the nodes, in the
// caller's memory; from then on a node is its number in that table, which is below those of all
// nodes that stand behind it, and its parent's number is below its own. Nothing is read outside of
// the blob. What is wrong is told to the caller, who knows whom to tell.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr uint32_t FDT_NONE = UINT32_MAX; // no node
constexpr uint32_t FDT_ROOT = 0;
constexpr uint32_t FDT_HEADER_BYTES = 40;
constexpr unsigned FDT_DEPTH_MAX = 63; // levels: what is below them is passed over

enum fdt_fault : uint8_t {
    FDT_SOUND,
    // Of a blob:
    FDT_NO_TREE,
    FDT_BAD_HEADER,
    FDT_TOO_LONG,
    FDT_NOT_ALIGNED,
    FDT_BREAKS_OFF,
    FDT_TOO_MANY,
    // Of "ranges":
    FDT_NO_ROWS,
    FDT_WRONG_LENGTH,
    FDT_NOT_COVERED,
    FDT_WRAPS,
};
const char *fdt_fault_text(enum fdt_fault fault); // what the blob, or the property, does

struct fdt_place {
    uint32_t offset; // in the structure
    uint32_t parent;
};

struct fdt {
    const uint8_t *blob, *structure;
    const char *strings;
    uint32_t structure_bytes, strings_bytes; // strings: with the last end of one
    struct fdt_place *nodes;
    uint32_t count;
    uint32_t end;      // how far the structure was walked
    uint32_t too_deep; // the first node below which some were passed over, or FDT_NONE
    enum fdt_fault fault;
};

// How long the blob says that it is, by its first 8 bytes; 0: it is none.
uint32_t fdt_total_bytes(const void *blob);

// Checks a blob, of which `bytes` bytes can be read, and finds its nodes, at most `room`. With
// FDT_BREAKS_OFF and FDT_TOO_MANY those that come before can be used, else nothing.
enum fdt_fault fdt_read(struct fdt *fdt, const void *blob, size_t bytes, struct fdt_place *nodes,
                        uint32_t room);

// Entry `index` of the memory reservation block; false: there is none.
bool fdt_reservation(const struct fdt *fdt, uint32_t index, uint64_t *start, uint64_t *bytes);

// ---- nodes

static inline uint32_t fdt_parent(const struct fdt *fdt, uint32_t node)
{
    return fdt->nodes[node].parent;
}

// `for (uint32_t child = node; fdt_next_child(fdt, node, &child);)` visits the children.
bool fdt_next_child(const struct fdt *fdt, uint32_t node, uint32_t *child);

static inline const char *fdt_name(const struct fdt *fdt, uint32_t node) // with its unit address
{
    return (const char *)fdt->structure + fdt->nodes[node].offset + 4;
}

// The node that a path or an alias names, or FDT_NONE; the text need not end after `length`.
uint32_t fdt_find(const struct fdt *fdt, const char *path, size_t length);

// ---- properties

struct fdt_value {
    const void *at; // in the blob; nullptr: the property is absent
    uint32_t bytes;
};
struct fdt_value fdt_get(const struct fdt *fdt, uint32_t node, const char *name);

// Takes the next property of a node; begin with *at = 0.
bool fdt_next_property(const struct fdt *fdt, uint32_t node, uint32_t *at, const char **name,
                       struct fdt_value *value);

// The value as a text; nullptr: it is none, or has no end.
const char *fdt_as_text(struct fdt_value value);
// Takes the next of a list of texts; nullptr: there is none, or, if bytes are left, it has no end.
const char *fdt_next_text(struct fdt_value *list);
// The place of a text in a list, or FDT_NONE.
uint32_t fdt_text_index(struct fdt_value list, const char *text);

// The value as cells.
struct fdt_cells {
    const uint32_t *cells; // nullptr: the property is absent
    uint32_t count;
    bool whole; // the length is a multiple of four
};

static inline struct fdt_cells fdt_as_cells(struct fdt_value value)
{
    return (struct fdt_cells){value.at, value.bytes / 4, value.bytes % 4 == 0};
}

static inline uint32_t fdt_cell(const uint32_t *cells, uint32_t index)
{
    return __builtin_bswap32(cells[index]);
}

// `count` cells, two at most, from `index` on, as one number.
static inline uint64_t fdt_number(const uint32_t *cells, uint32_t index, uint32_t count)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < count; i++)
        value = value << 32 | fdt_cell(cells, index + i);
    return value;
}

// ---- addresses

// An address on a bus: one or two cells are `low`, three have another in front of them.
struct fdt_address {
    uint32_t high;
    uint64_t low;
};
struct fdt_address fdt_address(const uint32_t *cells, uint32_t index, uint32_t count);

// How a row of "ranges" is divided, and which bits of `high` tell addresses apart.
struct fdt_row {
    uint32_t child, parent, size, high_mask;
};
// How many cells it has; 0: it cannot be a row.
uint32_t fdt_row_cells(const struct fdt_row *row);

// From an address on a bus to one on the bus above, by the row of its "ranges" that covers `bytes`
// bytes there. What is wrong, or FDT_SOUND. (Without rows, addresses are the same.)
enum fdt_fault fdt_translate(struct fdt_cells ranges, const struct fdt_row *row,
                             struct fdt_address *address, uint64_t bytes);
