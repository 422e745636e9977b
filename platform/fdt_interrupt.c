// SPDX-License-Identifier: MIT
//
// Interrupts of a node, by "interrupts-extended" or by "interrupts" and the nearest
// "interrupt-parent" (specification 2.4). Only what a GIC takes: three cells, or more from a GICv3
// with partitions, whose further cells are passed over.
#include <platform/fdt.h>

constexpr unsigned CELLS_MIN = 3, CELLS_MAX = 4;

static void take(const uint32_t *cells, unsigned at, struct fdt_interrupt *interrupt)
{
    *interrupt = (struct fdt_interrupt){
        .type = fdt_cell(cells, at),
        .number = fdt_cell(cells, at + 1),
        .flags = fdt_cell(cells, at + 2),
    };
}

static bool extended(const struct fdt *tree, uint32_t node, unsigned index, uint32_t controller,
                     unsigned width, struct fdt_interrupt *interrupt)
{
    const struct fdt_cells list = fdt_cells(tree, node, "interrupts-extended");
    for (unsigned i = 0, at = 0; at + 1 + width <= list.count; i++, at += 1 + width) {
        // Entries of other controllers have other lengths, so the walk ends at the first one.
        if (!fdt_has_phandle(tree, controller, fdt_cell(list.cells, at))) {
            fdt_complain(tree, node, "interrupts-extended", "names another interrupt controller");
            return false;
        }
        if (i == index) {
            take(list.cells, at + 1, interrupt);
            return true;
        }
    }
    return false;
}

// The nearest "interrupt-parent" of the node or an ancestor; else the nearest ancestor that is
// a controller itself.
static bool parent_is(const struct fdt *tree, uint32_t node, uint32_t controller)
{
    for (uint32_t at = node; at != FDT_NONE; at = fdt_parent(tree, at)) {
        uint32_t phandle;
        if (fdt_has(tree, at, "interrupt-parent"))
            return fdt_u32(tree, at, "interrupt-parent", &phandle) &&
                   fdt_has_phandle(tree, controller, phandle);
        if (at != node && fdt_has(tree, at, "interrupt-controller"))
            return at == controller;
    }
    return false;
}

bool fdt_interrupt(const struct fdt *tree, uint32_t node, unsigned index, uint32_t controller,
                   struct fdt_interrupt *interrupt)
{
    uint32_t width;
    if (!fdt_u32(tree, controller, "#interrupt-cells", &width) || width < CELLS_MIN ||
        width > CELLS_MAX) {
        fdt_complain(tree, controller, "#interrupt-cells", "is neither 3 nor 4");
        return false;
    }
    if (fdt_has(tree, node, "interrupts-extended"))
        return extended(tree, node, index, controller, width, interrupt);

    const struct fdt_cells list = fdt_cells(tree, node, "interrupts");
    if ((index + 1) * width > list.count)
        return false;
    if (!parent_is(tree, node, controller)) {
        fdt_complain(tree, node, "interrupts", "go to another interrupt controller");
        return false;
    }
    take(list.cells, index * width, interrupt);
    return true;
}
