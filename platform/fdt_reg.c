// SPDX-License-Identifier: MIT
//
// Registers of a node, translated to physical addresses (specification 2.3.5 to 2.3.8).
#include <platform/fdt.h>

// How a bus writes the addresses and sizes of its children; the defaults are those of the
// specification.
struct bus_cells {
    uint32_t address, size;
};

static bool read_bus_cells(const struct fdt *tree, uint32_t bus, struct bus_cells *cells)
{
    *cells = (struct bus_cells){2, 1};
    if (fdt_has(tree, bus, "#address-cells") &&
        !fdt_u32(tree, bus, "#address-cells", &cells->address))
        return false;
    if (fdt_has(tree, bus, "#size-cells") && !fdt_u32(tree, bus, "#size-cells", &cells->size))
        return false;
    if (cells->address < 1 || cells->address > 2 || cells->size > 2) {
        fdt_complain(tree, bus, "#address-cells", "and #size-cells: not a memory bus");
        return false;
    }
    return true;
}

// From an address on `bus` to one on the bus above it.
static bool translate(const struct fdt *tree, uint32_t bus, struct fdt_region *region)
{
    struct bus_cells child, parent;
    if (!fdt_has(tree, bus, "ranges")) {
        fdt_complain(tree, bus, "ranges", "is absent: nothing on this bus has a physical address");
        return false;
    }
    const struct fdt_cells ranges = fdt_cells(tree, bus, "ranges");
    if (ranges.cells == nullptr)
        return false;
    if (ranges.count == 0)
        return true; // one to one
    if (!read_bus_cells(tree, bus, &child) || !read_bus_cells(tree, fdt_parent(tree, bus), &parent))
        return false;
    const struct fdt_row row = {child.address, parent.address, child.size, UINT32_MAX};
    struct fdt_address address = {.low = region->address};
    const enum fdt_fault fault = fdt_translate(ranges, &row, &address, region->bytes);
    region->address = address.low;
    if (fault != FDT_SOUND)
        fdt_complain(tree, bus, "ranges", fdt_fault_text(fault));
    return fault == FDT_SOUND;
}

bool fdt_reg(const struct fdt *tree, uint32_t node, unsigned index, struct fdt_region *region)
{
    struct bus_cells cells;
    uint32_t bus = fdt_parent(tree, node);
    const struct fdt_cells reg = fdt_cells(tree, node, "reg");
    if (reg.cells == nullptr || bus == FDT_NONE || !read_bus_cells(tree, bus, &cells))
        return false;
    const uint32_t entry = cells.address + cells.size;
    if (reg.count % entry != 0) {
        fdt_complain(tree, node, "reg", "has the wrong length");
        return false;
    }
    if (index >= reg.count / entry)
        return false;
    *region = (struct fdt_region){
        .address = fdt_number(reg.cells, index * entry, cells.address),
        .bytes = fdt_number(reg.cells, index * entry + cells.address, cells.size),
    };
    for (; bus != FDT_ROOT; bus = fdt_parent(tree, bus))
        if (!translate(tree, bus, region))
            return false;
    uint64_t end;
    if (__builtin_add_overflow(region->address, region->bytes, &end)) {
        fdt_complain(tree, node, "reg", "goes beyond the end of the address space");
        return false;
    }
    return true;
}
