// SPDX-License-Identifier: MIT
//
// PCI hosts, and the ids by which interrupt controllers and IOMMUs know devices. Bindings: PCI Bus
// Binding to IEEE 1275, "host-generic-pci", "pci-msi", "pci-iommu", "msi", "iommu".
#include <lib/string.h>

#include "fdt_reader.h"

constexpr uint32_t HOST_CELLS = 3;
constexpr uint32_t REQUESTERS = 0x10000; // bus, device and function have 16 bits

static void read_window(struct fdt_reader *reader, uint32_t node, const struct fdt_cells *ranges,
                        uint32_t at, uint32_t parent_cells)
{
    struct fdt_address bus = fdt_address(ranges->cells, at, HOST_CELLS);
    uint32_t space = bus.high >> 24 & 3; // 0 configuration, 1 I/O, 2 of 32 bits, 3 of 64
    struct hwtree_window window = {
        .bus = bus.low,
        .bytes = fdt_number(ranges->cells, at + HOST_CELLS + parent_cells, 2),
        .io = space == 1,
        .wide = space == 3,
        .prefetchable = bus.high >> 30 & 1,
    };
    if (space == 0 || window.bytes == 0)
        return; // configuration space is told by "reg"
    if (!window.wide && (window.bus > UINT32_MAX || window.bytes - 1 > UINT32_MAX - window.bus)) {
        // Some say 32 bits, and give an address that has more: the address is believed.
        hwtree_problem(reader->builder, node, HWTREE_WRAPS, "ranges", at);
        window.wide = 1;
    }
    if (reader_translate(reader, node, "ranges", at, reader_parent(reader, node),
                         fdt_address(ranges->cells, at + HOST_CELLS, parent_cells), window.bytes,
                         &window.cpu) == FDT_TRANSLATED)
        hwtree_add_window(reader->builder, node, &window);
}

static void read_windows(struct fdt_reader *reader, uint32_t node)
{
    struct fdt_cells ranges = reader_cells(reader, node, "ranges");
    uint32_t parent_cells = reader->nodes[reader_parent(reader, node)].address_cells;
    uint32_t step = HOST_CELLS + parent_cells + 2;
    if (parent_cells < 1 || parent_cells > 2 || !ranges.whole || ranges.count % step != 0 ||
        reader->nodes[node].address_cells != HOST_CELLS || reader->nodes[node].size_cells != 2) {
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, "ranges", 0);
        return;
    }
    for (uint32_t at = 0; at < ranges.count && hwtree_work(reader->builder, 1); at += step)
        read_window(reader, node, &ranges, at, parent_cells);
}

// The whole map, row by row: functions are not in the device tree.
static void read_routes(struct fdt_reader *reader, uint32_t node)
{
    struct fdt_cells map = reader_cells(reader, node, "interrupt-map");
    struct fdt_cells mask = reader_cells(reader, node, "interrupt-map-mask");
    struct hwtree_pci_host *host = &hwtree_edit(reader->builder, node)->pci_host;
    bool masked = mask.count == HOST_CELLS + 1;
    host->address_mask = masked ? fdt_cell(mask.cells, 0) : UINT32_MAX;
    host->pin_mask = masked ? fdt_cell(mask.cells, HOST_CELLS) : UINT32_MAX;
    if (reader->nodes[node].interrupt_cells != 1 ||
        reader_map_address_cells(reader, node) != HOST_CELLS) {
        if (map.count > 0)
            hwtree_problem(reader->builder, node, HWTREE_NO_CELLS, "interrupt-map", 0);
        return;
    }
    uint32_t index = 0;
    for (uint32_t at = 0; at < map.count; index++) {
        struct reader_map_row row;
        struct hwtree_route route;
        enum hwtree_cause cause = reader_map_row(reader, node, &map, &at, &row);
        if (cause != HWTREE_CAUSES) {
            hwtree_problem(reader->builder, node, cause, "interrupt-map", index);
            return; // the length of this row is not known
        }
        cause = reader_resolve(reader, row.parent, row.specifier, &route.interrupt);
        if (cause != HWTREE_CAUSES) {
            hwtree_problem(reader->builder, node, cause, "interrupt-map", index);
            continue;
        }
        route.address = fdt_cell(row.key, 0) & host->address_mask;
        route.pin = fdt_cell(row.key, HOST_CELLS) & host->pin_mask;
        hwtree_add_route(reader->builder, node, &route);
    }
}

void reader_read_pci_host(struct fdt_reader *reader, uint32_t node)
{
    struct hwtree_node *n = hwtree_edit(reader->builder, node);
    struct fdt_cells buses = reader_cells(reader, node, "bus-range");
    n->pci_host = (struct hwtree_pci_host){.last_bus = 0xff};
    if (buses.count >= 2 && fdt_cell(buses.cells, 0) <= fdt_cell(buses.cells, 1) &&
        fdt_cell(buses.cells, 1) <= 0xff) {
        n->pci_host.first_bus = (uint8_t)fdt_cell(buses.cells, 0);
        n->pci_host.last_bus = (uint8_t)fdt_cell(buses.cells, 1);
    } else if (buses.cells != nullptr) {
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, "bus-range", 0);
    }
    (void)reader_u32(reader, node, "linux,pci-domain", &n->pci_host.segment);
    read_windows(reader, node);
    read_routes(reader, node);
}

// ---- ids

// Rows of an id of the device's, a target, an id there, and how many of them.
static void read_map(struct fdt_reader *reader, uint32_t node, enum hwtree_id_kind kind,
                     const char *property, const char *mask_property)
{
    constexpr uint32_t ROW = 4;
    struct fdt_cells map = reader_cells(reader, node, property);
    uint32_t mask = UINT32_MAX;
    (void)reader_u32(reader, node, mask_property, &mask);
    if (map.cells != nullptr && (!map.whole || map.count % ROW != 0)) {
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, property, map.count / ROW);
        return;
    }
    for (uint32_t at = 0; at + ROW <= map.count && hwtree_work(reader->builder, 1); at += ROW) {
        struct hwtree_id id = {
            .kind = kind,
            .target = reader_by_phandle(reader, fdt_cell(map.cells, at + 1)),
            .input = fdt_cell(map.cells, at),
            .input_mask = mask,
            .count = fdt_cell(map.cells, at + 3),
            .output = fdt_cell(map.cells, at + 2),
        };
        if (id.count == 0)
            continue; // a place that the boot loader fills
        if (id.target == HWTREE_NONE)
            hwtree_problem(reader->builder, node, HWTREE_NO_TARGET, property, at / ROW);
        else
            hwtree_add_id(reader->builder, node, &id);
    }
}

// Phandles, each with as many cells behind it as its target says.
static void read_list(struct fdt_reader *reader, uint32_t node, enum hwtree_id_kind kind,
                      const char *property, const char *cells_property, uint32_t inputs)
{
    struct fdt_cells list = reader_cells(reader, node, property);
    for (uint32_t at = 0, index = 0; at < list.count && hwtree_work(reader->builder, 1); index++) {
        struct hwtree_id id = {.kind = kind,
                               .target = reader_by_phandle(reader, fdt_cell(list.cells, at++)),
                               .input_mask = UINT32_MAX,
                               .count = inputs};
        uint32_t cells = 0;
        enum hwtree_cause cause = HWTREE_CAUSES;
        if (id.target == HWTREE_NONE)
            cause = HWTREE_NO_TARGET;
        else if (!reader_u32(reader, id.target, cells_property, &cells) && kind == HWTREE_ID_IOMMU)
            cause = HWTREE_NO_CELLS;
        else if (cells > list.count - at)
            cause = HWTREE_MALFORMED;
        if (cause != HWTREE_CAUSES) {
            hwtree_problem(reader->builder, node, cause, property, index);
            return;
        }
        if (cells >= 1)
            id.output = fdt_cell(list.cells, at);
        if (cells >= 2)
            id.output_mask = fdt_cell(list.cells, at + 1);
        hwtree_add_id(reader->builder, node, &id);
        at += cells;
    }
}

void reader_read_ids(struct fdt_reader *reader, uint32_t node)
{
    bool host = hwtree_node(reader->tree, node)->kind == HWTREE_PCI_HOST;
    read_map(reader, node, HWTREE_ID_MSI, "msi-map", "msi-map-mask");
    read_map(reader, node, HWTREE_ID_IOMMU, "iommu-map", "iommu-map-mask");
    // A host without a map passes its functions' ids on as they are.
    if (!reader_has(reader, node, "msi-map"))
        read_list(reader, node, HWTREE_ID_MSI, "msi-parent", "#msi-cells", host ? REQUESTERS : 1);
    read_list(reader, node, HWTREE_ID_IOMMU, "iommus", "#iommu-cells", 1);
}
