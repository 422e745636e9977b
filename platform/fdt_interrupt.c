// SPDX-License-Identifier: MIT
//
// Interrupts of a node, by "interrupts-extended" or by "interrupts" and the nearest
// "interrupt-parent" (specification 2.4). Only what a GIC takes: three cells, or more from a GICv3
// with partitions, whose further cells are passed over.
#include <platform/fdt.h>

constexpr unsigned CELLS_MIN = 3, CELLS_MAX = 4;

static void take(const void *cells, unsigned at, struct fdt_interrupt *interrupt)
{
    *interrupt = (struct fdt_interrupt){
        .type = fdt_cell(cells, at),
        .number = fdt_cell(cells, at + 1),
        .flags = fdt_cell(cells, at + 2),
    };
}

static bool extended(const struct fdt_node *node, unsigned index, const struct fdt_node *controller,
                     unsigned width, struct fdt_interrupt *interrupt)
{
    unsigned count;
    const void *cells = fdt_cells(node, "interrupts-extended", &count);
    if (cells == nullptr)
        return false;
    for (unsigned i = 0, at = 0; at + 1 + width <= count; i++, at += 1 + width) {
        // Entries of other controllers have other lengths, so the walk ends at the first one.
        if (!fdt_has_phandle(controller, fdt_cell(cells, at))) {
            fdt_complain(node, "interrupts-extended", "names another interrupt controller");
            return false;
        }
        if (i == index) {
            take(cells, at + 1, interrupt);
            return true;
        }
    }
    return false;
}

// The nearest "interrupt-parent" of the node or an ancestor; else the nearest ancestor that is
// a controller itself.
static bool parent_is(const struct fdt_node *node, const struct fdt_node *controller)
{
    for (struct fdt_node at = *node; at.depth >= 0; at.depth--) {
        uint32_t phandle;
        if (fdt_has(&at, "interrupt-parent"))
            return fdt_u32(&at, "interrupt-parent", &phandle) &&
                   fdt_has_phandle(controller, phandle);
        if (at.depth < node->depth && fdt_has(&at, "interrupt-controller"))
            return fdt_offset(&at) == fdt_offset(controller);
    }
    return false;
}

bool fdt_interrupt(const struct fdt_node *node, unsigned index, const struct fdt_node *controller,
                   struct fdt_interrupt *interrupt)
{
    uint32_t width;
    if (!fdt_u32(controller, "#interrupt-cells", &width) || width < CELLS_MIN ||
        width > CELLS_MAX) {
        fdt_complain(controller, "#interrupt-cells", "is neither 3 nor 4");
        return false;
    }
    if (fdt_has(node, "interrupts-extended"))
        return extended(node, index, controller, width, interrupt);

    unsigned count;
    const void *cells = fdt_cells(node, "interrupts", &count);
    if (cells == nullptr || (index + 1) * width > count)
        return false;
    if (!parent_is(node, controller)) {
        fdt_complain(node, "interrupts", "go to another interrupt controller");
        return false;
    }
    take(cells, index * width, interrupt);
    return true;
}
