// SPDX-License-Identifier: MIT
//
// Interrupts: from a node, through nexus nodes, to the controller that takes them, and what the
// controller calls the line (Devicetree Specification 0.4, 2.4; binding "arm,gic").
#include <lib/string.h>

#include "fdt_reader.h"

constexpr unsigned HOPS_MAX = 16; // nexus nodes on the way of one interrupt
constexpr unsigned KEY_CELLS_MAX = 8;

// ---- where interrupts go

// From a node to the next one above it in the tree of interrupts that has "#interrupt-cells".
static uint32_t interrupt_parent(struct fdt_reader *reader, uint32_t node)
{
    const uint32_t start = node;
    for (unsigned hops = 0; hops < HOPS_MAX + HWTREE_DEPTH_MAX; hops++) {
        uint32_t phandle, parent = reader_parent(reader, node);
        struct fdt_cells said = reader_cells(reader, node, "interrupt-parent");
        if (said.count >= 1) {
            phandle = fdt_cell(said.cells, 0);
            parent = reader_by_phandle(reader, phandle);
            if (parent == HWTREE_NONE) {
                hwtree_problem(reader->builder, node, HWTREE_NO_TARGET, "interrupt-parent",
                               phandle);
                return HWTREE_NONE;
            }
        } else if (parent < start && reader->nodes[parent].interrupt_cells == FDT_NO_CELLS) {
            return reader->nodes[parent].interrupt_parent; // it was found already
        }
        if (parent == HWTREE_NONE || reader->nodes[parent].interrupt_cells != FDT_NO_CELLS)
            return parent;
        node = parent;
    }
    hwtree_problem(reader->builder, node, HWTREE_LOOP, "interrupt-parent", 0);
    return HWTREE_NONE;
}

void reader_find_interrupt_parents(struct fdt_reader *reader)
{
    for (uint32_t i = 0; i < reader->count; i++) {
        uint32_t parent = interrupt_parent(reader, i);
        reader->nodes[i].interrupt_parent = parent;
        hwtree_edit(reader->builder, i)->interrupt_parent = parent;
    }
}

// ---- what a controller calls a line

// The low four bits of most bindings' flags.
static void set_flags(struct hwtree_interrupt *interrupt, uint32_t flags)
{
    static const struct {
        enum hwtree_trigger trigger;
        enum hwtree_polarity polarity;
    } meanings[16] = {
        [1] = {HWTREE_TRIGGER_EDGE, HWTREE_POLARITY_HIGH},
        [2] = {HWTREE_TRIGGER_EDGE, HWTREE_POLARITY_LOW},
        [3] = {HWTREE_TRIGGER_EDGE, HWTREE_POLARITY_BOTH},
        [4] = {HWTREE_TRIGGER_LEVEL, HWTREE_POLARITY_HIGH},
        [8] = {HWTREE_TRIGGER_LEVEL, HWTREE_POLARITY_LOW},
    };
    interrupt->trigger = meanings[flags & 0xf].trigger;
    interrupt->polarity = meanings[flags & 0xf].polarity;
}

// A GIC's specifier: type, number, flags; the types are shared, private, and both again in the
// extended ranges of a GICv3 (binding "arm,gic-v3").
static enum hwtree_cause gic_line(const struct reader_specifier *specifier,
                                  struct hwtree_interrupt *interrupt)
{
    static const struct {
        uint32_t first, count;
    } types[] = {{32, 988}, {16, 16}, {4096, 1024}, {1056, 64}};
    uint32_t type = fdt_cell(specifier->cells, 0), number = fdt_cell(specifier->cells, 1);
    if (type >= sizeof(types) / sizeof(types[0]) || number >= types[type].count)
        return HWTREE_BAD_LINE;
    interrupt->line = types[type].first + number;
    set_flags(interrupt, fdt_cell(specifier->cells, 2));
    return HWTREE_CAUSES;
}

// The cells before the flags as one number: the first is the highest.
static enum hwtree_cause packed_line(const struct reader_specifier *specifier, bool flags,
                                     struct hwtree_interrupt *interrupt)
{
    uint32_t numbers = specifier->count - (flags ? 1 : 0);
    unsigned bits = numbers <= 2 ? 32 : 16;
    if (numbers == 0 || numbers > 4)
        return HWTREE_NO_CELLS;
    for (uint32_t i = 0; i < numbers; i++) {
        uint32_t cell = fdt_cell(specifier->cells, i);
        if (bits == 16 && cell > UINT16_MAX)
            return HWTREE_BAD_LINE;
        interrupt->line = interrupt->line << (numbers == 1 ? 0 : bits) | cell;
    }
    if (flags)
        set_flags(interrupt, fdt_cell(specifier->cells, numbers));
    return HWTREE_CAUSES;
}

static enum hwtree_cause decode(const struct fdt_reader *reader, uint32_t controller,
                                const struct reader_specifier *specifier,
                                struct hwtree_interrupt *interrupt)
{
    uint8_t flags = reader->nodes[controller].flags;
    *interrupt = (struct hwtree_interrupt){.controller = controller};
    if ((flags & FDT_GIC_LINES) != 0)
        return specifier->count >= 3 ? gic_line(specifier, interrupt) : HWTREE_NO_CELLS;
    bool with_flags = specifier->count >= 2 && (flags & FDT_LINES_ONLY) == 0;
    return packed_line(specifier, with_flags, interrupt);
}

// ---- nexus nodes

// How many cells the unit addresses have that a map of `node` looks at: its own, or those of the
// nearest node above that says so.
uint32_t reader_map_address_cells(const struct fdt_reader *reader, uint32_t node)
{
    while (node != 0 && (reader->nodes[node].flags & FDT_OWN_CELLS) == 0)
        node = reader_parent(reader, node);
    return reader->nodes[node].address_cells;
}

enum hwtree_cause reader_map_row(struct fdt_reader *reader, uint32_t node,
                                 const struct fdt_cells *map, uint32_t *at,
                                 struct reader_map_row *row)
{
    uint32_t key = reader_map_address_cells(reader, node) + reader->nodes[node].interrupt_cells;
    if (!hwtree_work(reader->builder, 1))
        return HWTREE_TOO_LONG;
    if (map->count - *at < key + 1)
        return HWTREE_MALFORMED;
    row->key = map->cells + *at;
    row->parent = reader_by_phandle(reader, fdt_cell(map->cells, *at + key));
    if (row->parent == HWTREE_NONE)
        return HWTREE_NO_TARGET;
    const struct hwtree_fdt_node *parent = &reader->nodes[row->parent];
    if (parent->interrupt_cells == FDT_NO_CELLS)
        return HWTREE_NOT_CONTROLLER;
    // A controller that says nothing has no unit addresses.
    uint32_t unit = (parent->flags & FDT_OWN_CELLS) != 0 ? parent->address_cells : 0;
    if (unit == FDT_NO_CELLS || map->count - *at - key - 1 < unit + parent->interrupt_cells)
        return HWTREE_MALFORMED;
    row->specifier = (struct reader_specifier){
        .unit = row->key + key + 1,
        .unit_count = unit,
        .cells = row->key + key + 1 + unit,
        .count = parent->interrupt_cells,
    };
    *at += key + 1 + unit + parent->interrupt_cells;
    return HWTREE_CAUSES;
}

// One step: the specifier that the map makes of this one, and who is given it.
static enum hwtree_cause through_nexus(struct fdt_reader *reader, uint32_t *node,
                                       const struct fdt_cells *map,
                                       struct reader_specifier *specifier)
{
    uint32_t unit_cells = reader_map_address_cells(reader, *node);
    uint32_t key[KEY_CELLS_MAX], cells = unit_cells + specifier->count;
    struct fdt_cells mask = reader_cells(reader, *node, "interrupt-map-mask");
    if (unit_cells == FDT_NO_CELLS || cells > KEY_CELLS_MAX)
        return HWTREE_NO_CELLS;
    if (!map->whole || (mask.cells != nullptr && (!mask.whole || mask.count != cells)))
        return HWTREE_MALFORMED;
    for (uint32_t i = 0; i < cells; i++) {
        uint32_t cell = i >= unit_cells             ? fdt_cell(specifier->cells, i - unit_cells)
                        : i < specifier->unit_count ? fdt_cell(specifier->unit, i)
                                                    : 0;
        key[i] = cell & (mask.cells != nullptr ? fdt_cell(mask.cells, i) : UINT32_MAX);
    }
    for (uint32_t at = 0; at < map->count;) {
        struct reader_map_row row;
        enum hwtree_cause cause = reader_map_row(reader, *node, map, &at, &row);
        if (cause != HWTREE_CAUSES)
            return cause;
        uint32_t same = 0;
        while (same < cells &&
               (fdt_cell(row.key, same) &
                (mask.cells != nullptr ? fdt_cell(mask.cells, same) : UINT32_MAX)) == key[same])
            same++;
        if (same < cells)
            continue;
        *specifier = row.specifier;
        *node = row.parent;
        return HWTREE_CAUSES;
    }
    return HWTREE_NO_ROW;
}

enum hwtree_cause reader_resolve(struct fdt_reader *reader, uint32_t at,
                                 struct reader_specifier specifier,
                                 struct hwtree_interrupt *interrupt)
{
    for (unsigned hops = 0; hops < HOPS_MAX; hops++) {
        if ((reader->nodes[at].flags & FDT_CONTROLLER) != 0)
            return decode(reader, at, &specifier, interrupt);
        struct fdt_cells map = reader_cells(reader, at, "interrupt-map");
        if (map.cells == nullptr)
            return HWTREE_NOT_CONTROLLER;
        enum hwtree_cause cause = through_nexus(reader, &at, &map, &specifier);
        if (cause != HWTREE_CAUSES)
            return cause;
    }
    return HWTREE_LOOP;
}

// ---- a node's interrupts

struct list {
    const char *property;
    struct fdt_value names;
    uint32_t index;
    struct fdt_cells reg;
};

static void read_one(struct fdt_reader *reader, uint32_t node, struct list *list, uint32_t at,
                     const uint32_t *cells)
{
    struct hwtree_interrupt interrupt;
    struct reader_specifier specifier = {.unit = list->reg.cells,
                                         .unit_count = list->reg.count,
                                         .cells = cells,
                                         .count = reader->nodes[at].interrupt_cells};
    enum hwtree_cause cause = reader_resolve(reader, at, specifier, &interrupt);
    uint32_t name = reader_next_text(reader, &list->names);
    if (cause != HWTREE_CAUSES) {
        hwtree_problem(reader->builder, node, cause, list->property, list->index);
        return;
    }
    interrupt.name = name;
    hwtree_add_interrupt(reader->builder, node, &interrupt);
}

static void read_extended(struct fdt_reader *reader, uint32_t node, struct list *list,
                          const struct fdt_cells *cells)
{
    for (uint32_t at = 0; at < cells->count && hwtree_work(reader->builder, 1); list->index++) {
        uint32_t phandle = fdt_cell(cells->cells, at++);
        if (phandle == 0) // a place that is kept free
            continue;
        uint32_t parent = reader_by_phandle(reader, phandle);
        enum hwtree_cause cause = HWTREE_CAUSES;
        if (parent == HWTREE_NONE)
            cause = HWTREE_NO_TARGET;
        else if (reader->nodes[parent].interrupt_cells == FDT_NO_CELLS)
            cause = HWTREE_NOT_CONTROLLER;
        else if (cells->count - at < reader->nodes[parent].interrupt_cells)
            cause = HWTREE_MALFORMED;
        if (cause != HWTREE_CAUSES) {
            hwtree_problem(reader->builder, node, cause, list->property, list->index);
            return; // where the next one begins is not known
        }
        read_one(reader, node, list, parent, cells->cells + at);
        at += reader->nodes[parent].interrupt_cells;
    }
}

static void read_plain(struct fdt_reader *reader, uint32_t node, struct list *list,
                       const struct fdt_cells *cells)
{
    uint32_t parent = reader->nodes[node].interrupt_parent;
    if (parent == HWTREE_NONE) {
        hwtree_problem(reader->builder, node, HWTREE_NO_TARGET, list->property, 0);
        return;
    }
    uint32_t step = reader->nodes[parent].interrupt_cells;
    if (step == 0) {
        hwtree_problem(reader->builder, node, HWTREE_NO_CELLS, list->property, 0);
        return;
    }
    if (!cells->whole || cells->count % step != 0)
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, list->property,
                       cells->count / step);
    for (uint32_t at = 0; at + step <= cells->count && hwtree_work(reader->builder, 1);
         at += step, list->index++)
        read_one(reader, node, list, parent, cells->cells + at);
}

void reader_read_interrupts(struct fdt_reader *reader, uint32_t node)
{
    struct list list = {.property = "interrupts-extended"};
    struct fdt_cells cells = reader_cells(reader, node, list.property);
    bool extended = cells.cells != nullptr;
    if (!extended)
        cells = reader_cells(reader, node, list.property = "interrupts");
    if (cells.cells == nullptr)
        return;
    list.names = reader_property(reader, node, "interrupt-names");
    if (list.names.at == nullptr && hwtree_is_compatible(reader->tree, node, "arm,armv8-timer")) {
        // Binding "arm,arch_timer": without names these, in this order.
        static const char names[] = "sec-phys\0phys\0virt\0hyp-phys\0hyp-virt";
        list.names = (struct fdt_value){names, sizeof(names)};
    }
    list.reg = reader_cells(reader, node, "reg");
    if (extended)
        read_extended(reader, node, &list, &cells);
    else
        read_plain(reader, node, &list, &cells);
}
