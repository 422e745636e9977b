// SPDX-License-Identifier: MIT
//
// The device tree front end: the blob as a whole, its nodes, and what they say. See fdt_reader.h.
#include <lib/format.h>
#include <lib/string.h>

#include "fdt_reader.h"

// ---- properties

// How much work a look at the properties of a node is: by what they take of the structure.
static uint32_t work_of(const struct fdt *fdt, uint32_t node)
{
    constexpr uint32_t STEP = 64;
    const uint32_t end = node + 1 < fdt->count ? fdt->nodes[node + 1].offset : fdt->end;
    return 1 + (end - fdt->nodes[node].offset) / STEP;
}

struct fdt_value reader_property(struct fdt_reader *reader, uint32_t node, const char *name)
{
    if (!hwtree_work(reader->builder, work_of(reader->fdt, node)))
        return (struct fdt_value){};
    return fdt_get(reader->fdt, node, name);
}

bool reader_has(struct fdt_reader *reader, uint32_t node, const char *name)
{
    return reader_property(reader, node, name).at != nullptr;
}

struct fdt_cells reader_cells(struct fdt_reader *reader, uint32_t node, const char *name)
{
    return fdt_as_cells(reader_property(reader, node, name));
}

bool reader_u32(struct fdt_reader *reader, uint32_t node, const char *name, uint32_t *value)
{
    struct fdt_cells cells = reader_cells(reader, node, name);
    if (cells.cells == nullptr)
        return false;
    if (cells.count != 1 || !cells.whole) {
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, name, 0);
        return false;
    }
    *value = fdt_cell(cells.cells, 0);
    return true;
}

const char *reader_text(struct fdt_reader *reader, uint32_t node, const char *name)
{
    const struct fdt_value value = reader_property(reader, node, name);
    const char *text = fdt_as_text(value);
    if (value.at != nullptr && text == nullptr)
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, name, 0);
    return text;
}

uint32_t reader_next_text(struct fdt_reader *reader, struct fdt_value *list)
{
    const char *text = fdt_next_text(list);
    return text != nullptr ? hwtree_add_text(reader->builder, text, strlen(text)) : 0;
}

// ---- phandles: `by_phandle` of the first nodes is a list of nodes, sorted by a heap

static uint32_t phandle_at(const struct fdt_reader *reader, uint32_t place)
{
    return hwtree_node(reader->tree, reader->nodes[place].by_phandle)->phandle;
}

static void sift(struct fdt_reader *reader, uint32_t place, uint32_t count)
{
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= count)
            return;
        if (child + 1 < count && phandle_at(reader, child + 1) > phandle_at(reader, child))
            child++;
        if (phandle_at(reader, place) >= phandle_at(reader, child))
            return;
        uint32_t node = reader->nodes[place].by_phandle;
        reader->nodes[place].by_phandle = reader->nodes[child].by_phandle;
        reader->nodes[child].by_phandle = node;
        place = child;
    }
}

static void sort_phandles(struct fdt_reader *reader)
{
    for (uint32_t i = 0; i < reader->count; i++)
        if (hwtree_node(reader->tree, i)->phandle != 0)
            reader->nodes[reader->phandles++].by_phandle = i;
    for (uint32_t i = reader->phandles / 2; i-- > 0;)
        sift(reader, i, reader->phandles);
    for (uint32_t end = reader->phandles; end-- > 1;) {
        uint32_t node = reader->nodes[0].by_phandle;
        reader->nodes[0].by_phandle = reader->nodes[end].by_phandle;
        reader->nodes[end].by_phandle = node;
        sift(reader, 0, end);
    }
    for (uint32_t i = 1; i < reader->phandles; i++)
        if (phandle_at(reader, i) == phandle_at(reader, i - 1))
            hwtree_problem(reader->builder, reader->nodes[i].by_phandle, HWTREE_DUPLICATE,
                           "phandle", phandle_at(reader, i));
}

uint32_t reader_by_phandle(const struct fdt_reader *reader, uint32_t phandle)
{
    uint32_t first = 0, end = reader->phandles;
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if (phandle_at(reader, middle) < phandle)
            first = middle + 1;
        else
            end = middle;
    }
    return first < reader->phandles && phandle != 0 && phandle_at(reader, first) == phandle
               ? reader->nodes[first].by_phandle
               : HWTREE_NONE;
}

// ---- what all nodes have

// A number of cells; what is none becomes FDT_NO_CELLS.
static uint8_t read_cells(struct fdt_reader *reader, uint32_t node, const char *name,
                          uint8_t otherwise)
{
    struct fdt_cells cells = reader_cells(reader, node, name);
    if (cells.cells == nullptr)
        return otherwise;
    if (cells.count == 1 && cells.whole && fdt_cell(cells.cells, 0) <= 16)
        return (uint8_t)fdt_cell(cells.cells, 0);
    hwtree_problem(reader->builder, node, HWTREE_NO_CELLS, name, 0);
    return FDT_NO_CELLS;
}

static enum hwtree_status read_status(struct fdt_reader *reader, uint32_t node)
{
    const char *status = reader_text(reader, node, "status");
    if (status == nullptr || strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0)
        return HWTREE_OKAY;
    if (strcmp(status, "reserved") == 0)
        return HWTREE_FIRMWARE_USE;
    if (strncmp(status, "fail", 4) == 0)
        return HWTREE_FAILED;
    if (strcmp(status, "disabled") != 0)
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, "status", 0);
    return HWTREE_DISABLED;
}

static void read_common(struct fdt_reader *reader, uint32_t number)
{
    struct hwtree_fdt_node *found = &reader->nodes[number];
    struct hwtree_node *node = hwtree_edit(reader->builder, number);
    struct fdt_value names = reader_property(reader, number, "compatible");
    for (const char *name; (name = fdt_next_text(&names)) != nullptr;)
        hwtree_add_compatible(reader->builder, number, name, strlen(name));
    if (names.bytes > 0)
        hwtree_problem(reader->builder, number, HWTREE_MALFORMED, "compatible", 0);
    uint32_t handle = 0;
    if (!reader_u32(reader, number, "phandle", &handle))
        (void)reader_u32(reader, number, "linux,phandle", &handle);
    node->phandle = handle != UINT32_MAX ? handle : 0;
    node->status = read_status(reader, number);
    bool above = number == 0 || hwtree_available(reader->tree, node->parent);
    node->flags = above && node->status == HWTREE_OKAY ? HWTREE_AVAILABLE : 0;
    if (number > 0)
        node->flags |= hwtree_node(reader->tree, node->parent)->flags & HWTREE_COHERENT;
    if (reader_has(reader, number, "dma-coherent"))
        node->flags |= HWTREE_COHERENT;
    else if (reader_has(reader, number, "dma-noncoherent"))
        node->flags &= (uint8_t)~HWTREE_COHERENT;
    // Devicetree Specification 0.4, 2.3.5: two and one if nothing is said; not inherited.
    found->address_cells = read_cells(reader, number, "#address-cells", 2);
    found->size_cells = read_cells(reader, number, "#size-cells", 1);
    found->interrupt_cells = read_cells(reader, number, "#interrupt-cells", FDT_NO_CELLS);
    if (reader_has(reader, number, "#address-cells"))
        found->flags |= FDT_OWN_CELLS;
    if (reader_has(reader, number, "interrupt-controller"))
        found->flags |= FDT_CONTROLLER;
    const char *type = reader_text(reader, number, "device_type");
    if (type != nullptr && (strcmp(type, "pci") == 0 || strcmp(type, "pciex") == 0))
        found->flags |= FDT_PCI;
    reader_classify(reader, number);
}

// ---- the whole

static void add_nodes(struct fdt_reader *reader)
{
    const struct fdt *fdt = reader->fdt;
    for (uint32_t i = 0; i < fdt->count; i++) {
        const char *name = fdt_name(fdt, i);
        if (hwtree_add_node(reader->builder, fdt_parent(fdt, i), name, strlen(name)) == HWTREE_NONE)
            break; // nor is there room for those behind it
        reader->nodes[reader->count++] = (struct hwtree_fdt_node){.interrupt_parent = HWTREE_NONE,
                                                                  .interrupt_cells = FDT_NO_CELLS};
    }
    if (fdt->fault == FDT_TOO_MANY)
        hwtree_problem(reader->builder, 0, HWTREE_NO_ROOM, "name", fdt->count);
    if (fdt->too_deep < reader->count)
        hwtree_problem(reader->builder, fdt->too_deep, HWTREE_TOO_DEEP, "name", 0);
}

// Reservations of the blob itself (Devicetree Specification 0.4, 5.3), which have no nodes.
static void add_reservations(struct fdt_reader *reader)
{
    uint64_t address, bytes;
    for (uint32_t i = 0; fdt_reservation(reader->fdt, i, &address, &bytes); i++) {
        if (bytes == 0)
            continue;
        uint32_t node =
            hwtree_add_named(reader->builder, 0, "memreserve@%llx", (unsigned long long)address);
        if (node == HWTREE_NONE)
            return;
        hwtree_edit(reader->builder, node)->kind = HWTREE_RESERVED;
        hwtree_add_range(reader->builder, node,
                         &(struct hwtree_range){.base = address, .bytes = bytes}, "memreserve");
    }
}

bool hwtree_read_fdt(struct hwtree_builder *builder, const struct fdt *fdt,
                     struct hwtree_fdt_node *nodes)
{
    struct fdt_reader reader = {
        .builder = builder, .tree = builder->tree, .fdt = fdt, .nodes = nodes};
    if (fdt->fault != FDT_SOUND && fdt->fault != FDT_TOO_MANY)
        return false;
    add_nodes(&reader);
    if (reader.count == 0)
        return false;
    for (uint32_t i = 0; i < reader.count; i++)
        read_common(&reader, i);
    hwtree_link(builder);
    sort_phandles(&reader);
    reader_find_interrupt_parents(&reader);
    for (uint32_t i = 0; i < reader.count; i++) {
        if (builder->work == 0) {
            hwtree_problem(builder, i, HWTREE_TOO_LONG, "reg", 0);
            break;
        }
        reader_read_kind(&reader, i);
        reader_read_registers(&reader, i);
        reader_read_dma(&reader, i);
        reader_read_interrupts(&reader, i);
        reader_read_ids(&reader, i);
    }
    reader_read_whole(&reader);
    add_reservations(&reader);
    hwtree_cross_check(builder);
    return true;
}
