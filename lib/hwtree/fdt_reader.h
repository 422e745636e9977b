// SPDX-License-Identifier: MIT
//
// The device tree front end, inside. Node n of the blob is node n of the tree. Each of the parts
// looks at one node at a time, after all of them have been found (fdt.c):
//
//   fdt_ranges.c      registers, and what DMA reaches, through the buses above
//   fdt_interrupts.c  interrupts, through nexus nodes, to a controller
//   fdt_pci.c         PCI hosts; ids at interrupt controllers and IOMMUs
//   fdt_kinds.c       what kind a node is, and its facts
//
// Sources: Devicetree Specification 0.4; for what it leaves open, the bindings that are named at
// each place.
#pragma once

#include <hwtree/front.h>

constexpr uint8_t FDT_NO_CELLS = UINT8_MAX;

// struct hwtree_fdt_node, flags
enum {
    FDT_CONTROLLER = 1 << 0, // has "interrupt-controller"
    FDT_OWN_CELLS = 1 << 1,  // has "#address-cells"
    FDT_PCI = 1 << 2,        // a PCI host or bridge: addresses of three cells
    FDT_GIC_LINES = 1 << 3,  // its specifiers are those of a GIC
    FDT_LINES_ONLY = 1 << 4, // its specifiers have no flags
};

struct fdt_reader {
    struct hwtree_builder *builder;
    const struct hwtree *tree; // the builder's
    const struct fdt *fdt;
    struct hwtree_fdt_node *nodes;
    uint32_t count;
    uint32_t phandles; // how many nodes have one
};

constexpr uint32_t FDT_PCI_SPACE = 0x0300'0000; // of the high cell: 0 configuration, 1 I/O, 2, 3

// ---- fdt.c

// What a node says; takes work, and answers as if it were absent when there is none left.
struct fdt_value reader_property(struct fdt_reader *reader, uint32_t node, const char *name);
bool reader_has(struct fdt_reader *reader, uint32_t node, const char *name);
struct fdt_cells reader_cells(struct fdt_reader *reader, uint32_t node, const char *name);
bool reader_u32(struct fdt_reader *reader, uint32_t node, const char *name, uint32_t *value);
// A text that ends within its property, or null.
const char *reader_text(struct fdt_reader *reader, uint32_t node, const char *name);
// The node with this phandle, or HWTREE_NONE.
uint32_t reader_by_phandle(const struct fdt_reader *reader, uint32_t phandle);
// Adds the next of a list of texts. 0: there is none.
uint32_t reader_next_text(struct fdt_reader *reader, struct fdt_value *list);

static inline uint32_t reader_parent(const struct fdt_reader *reader, uint32_t node)
{
    return hwtree_node(reader->tree, node)->parent;
}

// ---- fdt_ranges.c

enum reader_translation : uint8_t {
    FDT_TRANSLATED,
    FDT_LOCAL,   // a bus above has no "ranges": the CPU cannot address it
    FDT_REFUSED, // counted as a problem
};
// From an address on the bus `bus` to the CPU's; what is wrong is counted for `node`.
enum reader_translation reader_translate(struct fdt_reader *reader, uint32_t node,
                                         const char *property, uint32_t index, uint32_t bus,
                                         struct fdt_address address, uint64_t bytes,
                                         uint64_t *physical);
void reader_read_registers(struct fdt_reader *reader, uint32_t node);
void reader_read_dma(struct fdt_reader *reader, uint32_t node);

// ---- fdt_interrupts.c

// Finds where the interrupts of every node go by default.
void reader_find_interrupt_parents(struct fdt_reader *reader);
void reader_read_interrupts(struct fdt_reader *reader, uint32_t node);
// Follows a specifier that `at` is given, from a child with this unit address. The answer is
// HWTREE_CAUSES if it came to a controller, or the cause why not.
struct reader_specifier {
    const uint32_t *unit;
    uint32_t unit_count;
    const uint32_t *cells;
    uint32_t count;
};
enum hwtree_cause reader_resolve(struct fdt_reader *reader, uint32_t at,
                                 struct reader_specifier specifier,
                                 struct hwtree_interrupt *interrupt);
// Reads the row of an "interrupt-map" of `node` at cell `*at`, and moves on behind it. The answer
// is HWTREE_CAUSES if it could be read.
struct reader_map_row {
    const uint32_t *key;
    uint32_t parent;
    struct reader_specifier specifier;
};
enum hwtree_cause reader_map_row(struct fdt_reader *reader, uint32_t node,
                                 const struct fdt_cells *map, uint32_t *at,
                                 struct reader_map_row *row);
uint32_t reader_map_address_cells(const struct fdt_reader *reader, uint32_t node);

// ---- fdt_pci.c

void reader_read_pci_host(struct fdt_reader *reader, uint32_t node);
void reader_read_ids(struct fdt_reader *reader, uint32_t node);

// ---- fdt_kinds.c

// Sets the flags of a controller by what it is compatible with.
void reader_classify(struct fdt_reader *reader, uint32_t node);
void reader_read_kind(struct fdt_reader *reader, uint32_t node);
// What is said in one place for the whole: the console, aliases, places of CPUs, distances.
void reader_read_whole(struct fdt_reader *reader);
