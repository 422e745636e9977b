// SPDX-License-Identifier: MIT
//
// Properties: texts, cells, and registers translated to physical addresses.
#include <platform/fdt.h>

#include <lib/string.h>
#include <libfdt.h>

void fdt_complain(const struct fdt_node *node, const char *property, const char *what)
{
    if (property != nullptr)
        klog("device tree: node %s, property %s: %s", fdt_name(node), property, what);
    else
        klog("device tree: node %s: %s", fdt_name(node), what);
}

bool fdt_has(const struct fdt_node *node, const char *property)
{
    unsigned bytes;
    return fdt_value(node, property, &bytes) != nullptr;
}

const char *fdt_text(const struct fdt_node *node, const char *property)
{
    unsigned length;
    const char *text = fdt_value(node, property, &length);
    if (text == nullptr)
        return nullptr;
    if (length == 0 || memchr(text, 0, length) == nullptr) {
        fdt_complain(node, property, "is not a text");
        return nullptr;
    }
    return text;
}

const void *fdt_cells(const struct fdt_node *node, const char *property, unsigned *count)
{
    unsigned length;
    const void *cells = fdt_value(node, property, &length);
    if (cells == nullptr)
        return nullptr;
    if (length % 4 != 0) {
        fdt_complain(node, property, "is not a list of cells");
        return nullptr;
    }
    *count = length / 4;
    return cells;
}

uint32_t fdt_cell(const void *cells, unsigned index)
{
    return fdt32_ld((const fdt32_t *)cells + index);
}

// One or two cells as a number.
static uint64_t cell_number(const void *cells, unsigned index, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++)
        value = value << 32 | fdt_cell(cells, index + i);
    return value;
}

bool fdt_u32(const struct fdt_node *node, const char *property, uint32_t *value)
{
    unsigned count;
    const void *cells = fdt_cells(node, property, &count);
    if (cells == nullptr)
        return false;
    if (count != 1) {
        fdt_complain(node, property, "is not one cell");
        return false;
    }
    *value = fdt_cell(cells, 0);
    return true;
}

bool fdt_u64(const struct fdt_node *node, const char *property, uint64_t *value)
{
    unsigned count;
    const void *cells = fdt_cells(node, property, &count);
    if (cells == nullptr)
        return false;
    if (count != 1 && count != 2) {
        fdt_complain(node, property, "is not one or two cells");
        return false;
    }
    *value = cell_number(cells, 0, count);
    return true;
}

// Not by libfdt, which can stand still at a property whose length is -12.
bool fdt_has_phandle(const struct fdt_node *node, uint32_t phandle)
{
    const char *name = fdt_has(node, "phandle") ? "phandle" : "linux,phandle"; // its old name
    uint32_t own;
    return fdt_u32(node, name, &own) && own == phandle;
}

bool fdt_by_phandle(const void *tree, uint32_t phandle, struct fdt_node *node)
{
    for (*node = fdt_begin(tree); fdt_next(node);) {
        if (fdt_has_phandle(node, phandle))
            return true;
    }
    return false;
}

// ---- registers

// How a bus writes the addresses and sizes of its children; the defaults are those of the
// specification (2.3.5).
struct bus_cells {
    unsigned address, size;
};

static bool read_bus_cells(const struct fdt_node *bus, struct bus_cells *cells)
{
    uint32_t address = 2, size = 1;
    if (fdt_has(bus, "#address-cells") && !fdt_u32(bus, "#address-cells", &address))
        return false;
    if (fdt_has(bus, "#size-cells") && !fdt_u32(bus, "#size-cells", &size))
        return false;
    if (address < 1 || address > 2 || size > 2) {
        fdt_complain(bus, "#address-cells", "and #size-cells: not a memory bus");
        return false;
    }
    *cells = (struct bus_cells){address, size};
    return true;
}

// From an address on `bus` to one on the bus above it (2.3.8).
static bool translate(const struct fdt_node *bus, struct fdt_region *region)
{
    struct fdt_node above;
    struct bus_cells child, parent;
    unsigned count;
    if (!fdt_has(bus, "ranges")) {
        fdt_complain(bus, "ranges", "is absent: nothing on this bus has a physical address");
        return false;
    }
    const void *ranges = fdt_cells(bus, "ranges", &count);
    if (ranges == nullptr)
        return false;
    if (count == 0)
        return true; // one to one
    if (!fdt_parent(bus, &above) || !read_bus_cells(bus, &child) ||
        !read_bus_cells(&above, &parent))
        return false;
    const unsigned entry = child.address + parent.address + child.size;
    if (count % entry != 0) {
        fdt_complain(bus, "ranges", "has the wrong length");
        return false;
    }
    for (unsigned i = 0; i < count; i += entry) {
        const uint64_t from = cell_number(ranges, i, child.address);
        const uint64_t to = cell_number(ranges, i + child.address, parent.address);
        const uint64_t size = cell_number(ranges, i + child.address + parent.address, child.size);
        if (region->address < from || region->address - from >= size ||
            region->bytes > size - (region->address - from))
            continue;
        if (__builtin_add_overflow(to, region->address - from, &region->address)) {
            fdt_complain(bus, "ranges", "goes beyond the end of the address space");
            return false;
        }
        return true;
    }
    fdt_complain(bus, "ranges", "does not cover a child's registers");
    return false;
}

bool fdt_reg(const struct fdt_node *node, unsigned index, struct fdt_region *region)
{
    struct fdt_node bus;
    struct bus_cells cells;
    unsigned count;
    const void *reg = fdt_cells(node, "reg", &count);
    if (reg == nullptr || !fdt_parent(node, &bus) || !read_bus_cells(&bus, &cells))
        return false;
    const unsigned entry = cells.address + cells.size;
    if (count % entry != 0) {
        fdt_complain(node, "reg", "has the wrong length");
        return false;
    }
    if (index >= count / entry)
        return false;
    *region = (struct fdt_region){
        .address = cell_number(reg, index * entry, cells.address),
        .bytes = cell_number(reg, index * entry + cells.address, cells.size),
    };
    for (; bus.depth > 0; bus.depth--) {
        if (!translate(&bus, region))
            return false;
    }
    uint64_t end;
    if (__builtin_add_overflow(region->address, region->bytes, &end)) {
        fdt_complain(node, "reg", "goes beyond the end of the address space");
        return false;
    }
    return true;
}
