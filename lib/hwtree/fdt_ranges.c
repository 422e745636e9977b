// SPDX-License-Identifier: MIT
//
// Registers and DMA, through the buses above: "reg", "ranges", "dma-ranges" (Devicetree
// Specification 0.4, 2.3.6 to 2.3.9), and addresses of three cells on PCI (PCI Bus Binding to
// IEEE 1275, 2.2.1).
#include <lib/string.h>

#include "fdt_reader.h"

// How a row of "ranges" or "dma-ranges" of a bus is divided.
static struct fdt_row row_of(const struct fdt_reader *reader, uint32_t bus)
{
    const struct hwtree_fdt_node *own = &reader->nodes[bus];
    const struct hwtree_fdt_node *above = &reader->nodes[reader_parent(reader, bus)];
    return (struct fdt_row){
        .child = own->address_cells,
        .parent = above->address_cells,
        .size = own->size_cells,
        .high_mask = (own->flags & FDT_PCI) != 0 ? FDT_PCI_SPACE : UINT32_MAX,
    };
}

enum reader_translation reader_translate(struct fdt_reader *reader, uint32_t node,
                                         const char *property, uint32_t index, uint32_t bus,
                                         struct fdt_address address, uint64_t bytes,
                                         uint64_t *physical)
{
    for (; bus != 0; bus = reader_parent(reader, bus)) {
        struct fdt_cells ranges = reader_cells(reader, bus, "ranges");
        if (ranges.cells == nullptr)
            return FDT_LOCAL;
        if (ranges.count == 0)
            continue; // the same addresses above
        const struct fdt_row row = row_of(reader, bus);
        if (!hwtree_work(reader->builder, ranges.count / 3)) {
            hwtree_problem(reader->builder, node, HWTREE_TOO_LONG, property, index);
            return FDT_REFUSED;
        }
        const enum fdt_fault fault = fdt_translate(ranges, &row, &address, bytes);
        if (fault == FDT_SOUND)
            continue;
        if (fault == FDT_NO_ROWS)
            hwtree_problem(reader->builder, bus, HWTREE_NO_CELLS, "ranges", 0);
        else if (fault == FDT_WRONG_LENGTH)
            hwtree_problem(reader->builder, bus, HWTREE_MALFORMED, "ranges", 0);
        else
            hwtree_problem(reader->builder, node,
                           fault == FDT_WRAPS ? HWTREE_WRAPS : HWTREE_OUTSIDE, property, index);
        return FDT_REFUSED;
    }
    *physical = address.low;
    return FDT_TRANSLATED;
}

static void read_register(struct fdt_reader *reader, uint32_t node, uint32_t index,
                          struct fdt_address address, uint64_t bytes, uint32_t name)
{
    uint32_t bus = reader_parent(reader, node);
    const struct hwtree_fdt_node *above = &reader->nodes[bus];
    struct hwtree_range range = {.base = address.low, .bytes = bytes, .name = name};
    bool pci = (above->flags & FDT_PCI) != 0 && above->address_cells == 3;
    if (pci && (address.high & FDT_PCI_SPACE) == 0) {
        range = (struct hwtree_range){
            .base = address.high >> 8 & 0xffff, .space = HWTREE_SPACE_CONFIG, .name = name};
    } else if (above->size_cells == 0) {
        range.space = HWTREE_SPACE_BUS;
    } else {
        enum reader_translation how =
            reader_translate(reader, node, "reg", index, bus, address, bytes, &range.base);
        if (how == FDT_REFUSED)
            return;
        if (how == FDT_LOCAL)
            range.space = HWTREE_SPACE_BUS;
        else if (bytes == 0)
            return; // an entry that is kept free
    }
    hwtree_add_range(reader->builder, node, &range, "reg");
}

void reader_read_registers(struct fdt_reader *reader, uint32_t node)
{
    struct fdt_cells reg = reader_cells(reader, node, "reg");
    if (reg.cells == nullptr || node == 0)
        return;
    const struct hwtree_fdt_node *above = &reader->nodes[reader_parent(reader, node)];
    uint32_t address_cells = above->address_cells, size_cells = above->size_cells;
    uint32_t step = address_cells + size_cells;
    if (address_cells < 1 || address_cells > 3 || size_cells > 2) {
        hwtree_problem(reader->builder, node, HWTREE_NO_CELLS, "reg", 0);
        return;
    }
    if (!reg.whole || reg.count % step != 0)
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, "reg", reg.count / step);
    struct fdt_value names = reader_property(reader, node, "reg-names");
    for (uint32_t at = 0; at + step <= reg.count && hwtree_work(reader->builder, 1); at += step)
        read_register(reader, node, at / step, fdt_address(reg.cells, at, address_cells),
                      fdt_number(reg.cells, at + address_cells, size_cells),
                      reader_next_text(reader, &names));
}

// ---- DMA

// One row, through what the bus above reaches: cut to it, in as many pieces as there are.
static void add_dma(struct fdt_reader *reader, uint32_t bus, const struct hwtree_dma *row)
{
    const struct hwtree_node *above = hwtree_node(reader->tree, reader_parent(reader, bus));
    if (row->bytes == 0 || row->bytes - 1 > UINT64_MAX - row->cpu ||
        row->bytes - 1 > UINT64_MAX - row->device) {
        // A size of 0 is how 2^64 looks in two cells.
        hwtree_problem(reader->builder, bus, HWTREE_WRAPS, "dma-ranges", 0);
        return;
    }
    if ((above->flags & HWTREE_LIMITED) == 0) {
        hwtree_add_dma(reader->builder, bus, row);
        return;
    }
    uint64_t last = row->cpu + (row->bytes - 1);
    for (uint32_t i = 0; i < above->dma.count && hwtree_work(reader->builder, 1); i++) {
        const struct hwtree_dma up = *hwtree_dma(reader->tree, reader_parent(reader, bus), i);
        uint64_t up_last = up.device + (up.bytes - 1);
        uint64_t from = row->cpu > up.device ? row->cpu : up.device;
        uint64_t to = last < up_last ? last : up_last;
        if (from > to)
            continue;
        struct hwtree_dma piece = {.device = row->device + (from - row->cpu),
                                   .cpu = up.cpu + (from - up.device),
                                   .bytes = to - from + 1};
        hwtree_add_dma(reader->builder, bus, &piece);
    }
}

void reader_read_dma(struct fdt_reader *reader, uint32_t node)
{
    if (node == 0)
        return;
    struct fdt_cells ranges = reader_cells(reader, node, "dma-ranges");
    const struct hwtree_node *above = hwtree_node(reader->tree, reader_parent(reader, node));
    if (ranges.count == 0) { // nothing is said, or that nothing changes: as the bus above
        hwtree_edit(reader->builder, node)->dma = above->dma;
        hwtree_edit(reader->builder, node)->flags |= above->flags & HWTREE_LIMITED;
        return;
    }
    const struct fdt_row row = row_of(reader, node);
    const uint32_t step = fdt_row_cells(&row);
    if (step == 0 || !ranges.whole || ranges.count % step != 0) {
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, "dma-ranges", 0);
        return;
    }
    hwtree_edit(reader->builder, node)->flags |= HWTREE_LIMITED;
    for (uint32_t at = 0; at < ranges.count && hwtree_work(reader->builder, 1); at += step) {
        struct hwtree_dma dma = {
            .device = fdt_address(ranges.cells, at, row.child).low,
            .cpu = fdt_address(ranges.cells, at + row.child, row.parent).low,
            .bytes = fdt_number(ranges.cells, at + row.child + row.parent, row.size),
        };
        add_dma(reader, node, &dma);
    }
}
