// SPDX-License-Identifier: MIT
//
// The device tree front end: every enabled node with registers, at the root or on a simple bus,
// and the PCI hosts with their windows and interrupt routes.
//
// Sources: Devicetree Specification 0.4, 2.3, 2.4, 4.5; the bindings "host-generic-pci" and
// "arm,gic", "arm,gic-v3" and "pci-msi"; PCI Bus Binding to IEEE 1275.

#include <lib/string.h>
#include <libfdt.h>

#include "tree.h"

constexpr unsigned DEPTH_MAX = 4;
constexpr uint32_t GIC_CELLS = 3, GIC_CELLS_MAX = 4; // of an interrupt: a GICv3's may have one more

// What a node needs to know of those above it.
struct context {
    struct tree *tree;
    const void *fdt;
    uint32_t interrupt_parent; // phandle; 0: none
    const fdt32_t *ranges;     // of the bus, null: addresses are the CPU's
    int ranges_cells;          // in all
    int child_cells, parent_cells, size_cells;
};

static uint64_t cells(const fdt32_t *at, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 32 | fdt32_to_cpu(at[i]);
    return value;
}

static const fdt32_t *property(const void *fdt, int node, const char *name, int *count)
{
    int bytes;
    const fdt32_t *at = fdt_getprop(fdt, node, name, &bytes);
    *count = at != nullptr ? bytes / 4 : 0;
    return at;
}

static uint32_t cell(const void *fdt, int node, const char *name, uint32_t otherwise)
{
    int count;
    const fdt32_t *at = property(fdt, node, name, &count);
    return count >= 1 ? fdt32_to_cpu(at[0]) : otherwise;
}

static bool is_enabled(const void *fdt, int node)
{
    int bytes;
    const char *status = fdt_getprop(fdt, node, "status", &bytes);
    return status == nullptr || fdt_stringlist_contains(status, bytes, "okay") ||
           fdt_stringlist_contains(status, bytes, "ok");
}

static bool is_compatible(const void *fdt, int node, const char *name)
{
    return fdt_node_check_compatible(fdt, node, name) == 0;
}

// From an address on the bus to the CPU's.
static bool translate(const struct context *context, uint64_t *address, uint64_t bytes)
{
    if (context->ranges == nullptr)
        return true;
    int step = context->child_cells + context->parent_cells + context->size_cells;
    for (int at = 0; at + step <= context->ranges_cells; at += step) {
        const fdt32_t *row = context->ranges + at;
        uint64_t child = cells(row, context->child_cells);
        uint64_t parent = cells(row + context->child_cells, context->parent_cells);
        uint64_t size =
            cells(row + context->child_cells + context->parent_cells, context->size_cells);
        if (*address >= child && bytes <= size && *address - child <= size - bytes) {
            return !__builtin_add_overflow(parent, *address - child, address) &&
                   *address <= UINT64_MAX - bytes;
        }
    }
    return false;
}

// From an address of the bus that `bus` is to that of the bus above.
static bool translate_up(const void *fdt, int bus, int above, uint64_t *address)
{
    struct context step = {.child_cells = fdt_address_cells(fdt, bus),
                           .parent_cells = fdt_address_cells(fdt, above),
                           .size_cells = fdt_size_cells(fdt, bus)};
    if (fdt_getprop(fdt, bus, "ranges", nullptr) == nullptr || step.child_cells < 1 ||
        step.child_cells > 2 || step.parent_cells < 1 || step.parent_cells > 2 ||
        step.size_cells < 1 || step.size_cells > 2)
        return false;
    step.ranges = property(fdt, bus, "ranges", &step.ranges_cells);
    if (step.ranges_cells == 0)
        step.ranges = nullptr; // the same addresses
    return translate(&step, address, 1);
}

// Where the CPU finds the first registers of a node anywhere in the tree. 0: that is not said.
static uint64_t registers_of(const void *fdt, int node)
{
    int count, bus = fdt_parent_offset(fdt, node);
    const fdt32_t *at = property(fdt, node, "reg", &count);
    if (bus < 0 || fdt_address_cells(fdt, bus) < 1 || fdt_address_cells(fdt, bus) > 2 ||
        count < fdt_address_cells(fdt, bus))
        return 0;
    uint64_t address = cells(at, fdt_address_cells(fdt, bus));
    for (unsigned depth = 0; bus > 0; depth++) {
        int above = fdt_parent_offset(fdt, bus);
        if (above < 0 || depth == DEPTH_MAX || !translate_up(fdt, bus, above, &address))
            return 0;
        bus = above;
    }
    return address;
}

// A GIC's interrupt specifier: kind, number, flags. Kinds above 1 are of a GICv3's extended ranges,
// which the kernel does not drive.
static bool gic_interrupt(const fdt32_t *at, struct node_interrupt *interrupt)
{
    uint32_t kind = fdt32_to_cpu(at[0]), number = fdt32_to_cpu(at[1]);
    if (kind > 1 || number > 1019)
        return false;
    interrupt->line = number + (kind == 0 ? 32 : 16); // shared, or private to a CPU
    switch (fdt32_to_cpu(at[2]) & 0xf) {
    case 4:
        interrupt->trigger = TRIGGER_LEVEL_HIGH;
        return true;
    case 8:
        interrupt->trigger = TRIGGER_LEVEL_LOW;
        return true;
    default:
        interrupt->trigger = TRIGGER_EDGE;
        return true;
    }
}

// How many cells an interrupt of this controller has; 0: it is no GIC.
static int gic_cells(const void *fdt, int node)
{
    uint32_t count = cell(fdt, node, "#interrupt-cells", 0);
    if (fdt_getprop(fdt, node, "interrupt-controller", nullptr) == nullptr || count < GIC_CELLS ||
        count > GIC_CELLS_MAX)
        return 0;
    return (int)count;
}

static void read_interrupts(const struct context *context, int offset, struct node *node)
{
    int count;
    const fdt32_t *at = property(context->fdt, offset, "interrupts", &count);
    int parent = fdt_node_offset_by_phandle(context->fdt, context->interrupt_parent);
    int step = parent >= 0 ? gic_cells(context->fdt, parent) : 0;
    if (step == 0)
        return;
    for (int i = 0; i + step <= count; i += step)
        if (node->interrupt_count < NODE_INTERRUPTS &&
            gic_interrupt(at + i, &node->interrupts[node->interrupt_count]))
            node->interrupt_count++;
}

static void read_ranges(const struct context *context, int offset, int parent, struct node *node)
{
    int count, address_cells = fdt_address_cells(context->fdt, parent);
    int size_cells = fdt_size_cells(context->fdt, parent);
    const fdt32_t *at = property(context->fdt, offset, "reg", &count);
    if (address_cells < 1 || address_cells > 2 || size_cells < 1 || size_cells > 2)
        return;
    for (int i = 0; i + address_cells + size_cells <= count; i += address_cells + size_cells) {
        uint64_t base = cells(at + i, address_cells);
        uint64_t bytes = cells(at + i + address_cells, size_cells);
        if (node->range_count < NODE_RANGES && bytes > 0 && base <= UINT64_MAX - bytes &&
            translate(context, &base, bytes))
            node->ranges[node->range_count++] = (struct node_range){.base = base, .bytes = bytes};
    }
}

static void read_device(const struct context *context, int offset, int parent)
{
    struct node *node = tree_add(context->tree);
    if (node == nullptr)
        return;
    const char *name = fdt_get_name(context->fdt, offset, nullptr);
    (void)text_copy(node->name, sizeof(node->name), name != nullptr ? name : "");
    int count = fdt_stringlist_count(context->fdt, offset, "compatible");
    for (int i = 0; i < count; i++) {
        const char *text = fdt_stringlist_get(context->fdt, offset, "compatible", i, nullptr);
        if (text != nullptr)
            node_add_compatible(node, text);
    }
    read_ranges(context, offset, parent, node);
    read_interrupts(context, offset, node);
}

// ---- PCI hosts

// Windows: a PCI address of three cells whose first says what kind of space, a CPU address, a size.
static void read_windows(const void *fdt, int offset, int parent_cells, struct pci_host *host)
{
    int count, step = 3 + parent_cells + 2;
    const fdt32_t *at = property(fdt, offset, "ranges", &count);
    for (int i = 0; i + step <= count; i += step) {
        uint32_t space = fdt32_to_cpu(at[i]) >> 24 & 3; // 1: I/O, 2: 32 bits, 3: 64 bits
        struct pci_window window = {
            .bus_address = cells(at + i + 1, 2),
            .cpu_address = cells(at + i + 3, parent_cells),
            .bytes = cells(at + i + 3 + parent_cells, 2),
            .wide = space == 3,
        };
        if (space < 2 || window.bytes == 0 || window.bus_address > UINT64_MAX - window.bytes ||
            window.cpu_address > UINT64_MAX - window.bytes)
            continue;
        if (!window.wide && window.bus_address + window.bytes > 1ull << 32)
            continue;
        if (host->space.window_count < PCI_WINDOWS)
            host->space.windows[host->space.window_count++] = window;
    }
}

// Rows of the interrupt map: PCI address (3 cells), pin, controller, address and specifier there.
static void read_routes(const void *fdt, int offset, struct pci_host *host)
{
    int count, mask_count;
    const fdt32_t *at = property(fdt, offset, "interrupt-map", &count);
    const fdt32_t *mask = property(fdt, offset, "interrupt-map-mask", &mask_count);
    host->route_address_mask = mask_count >= 4 ? fdt32_to_cpu(mask[0]) : UINT32_MAX;
    host->route_pin_mask = mask_count >= 4 ? fdt32_to_cpu(mask[3]) : UINT32_MAX;
    for (int i = 0; i + 5 <= count;) {
        int gic = fdt_node_offset_by_phandle(fdt, fdt32_to_cpu(at[i + 4]));
        int width = gic >= 0 ? gic_cells(fdt, gic) : 0;
        if (width == 0)
            return; // the length of this row is not known
        uint32_t address_cells = cell(fdt, gic, "#address-cells", 0);
        if (address_cells > 4)
            return;
        int skip = (int)address_cells;
        if (i + 5 + skip + width > count)
            return;
        struct pci_route route = {.address = fdt32_to_cpu(at[i]) & host->route_address_mask,
                                  .pin = fdt32_to_cpu(at[i + 3]) & host->route_pin_mask};
        if (gic_interrupt(at + i + 5 + skip, &route.interrupt) && host->route_count < PCI_ROUTES)
            host->routes[host->route_count++] = route;
        i += 5 + skip + width;
    }
}

static bool is_message_controller(const void *fdt, int node)
{
    return node >= 0 && fdt_getprop(fdt, node, "msi-controller", nullptr) != nullptr;
}

// Rows of the message map: the first requester id, controller, what that one knows it by, how many;
// or all of them to one controller, by "msi-parent". A host with neither sends no messages.
static void read_message_routes(const void *fdt, int offset, struct pci_host *host)
{
    int count;
    const fdt32_t *at = property(fdt, offset, "msi-map", &count);
    if (at == nullptr) {
        int only = fdt_node_offset_by_phandle(fdt, cell(fdt, offset, "msi-parent", 0));
        uint64_t controller = is_message_controller(fdt, only) ? registers_of(fdt, only) : 0;
        if (controller != 0)
            pci_host_send_messages(host, controller);
        return;
    }
    host->message_requester_mask = cell(fdt, offset, "msi-map-mask", UINT32_MAX);
    for (int i = 0; i + 4 <= count; i += 4) {
        int node = fdt_node_offset_by_phandle(fdt, fdt32_to_cpu(at[i + 1]));
        struct pci_message_route route = {.first = fdt32_to_cpu(at[i]),
                                          .device = fdt32_to_cpu(at[i + 2]),
                                          .count = fdt32_to_cpu(at[i + 3])};
        if (is_message_controller(fdt, node))
            route.controller = registers_of(fdt, node);
        if (route.controller != 0 && host->message_route_count < PCI_MESSAGE_ROUTES)
            host->message_routes[host->message_route_count++] = route;
    }
}

static void read_pci_host(const struct context *context, int offset, int parent)
{
    const void *fdt = context->fdt;
    int address_cells = fdt_address_cells(fdt, parent), count;
    struct node registers = {};
    read_ranges(context, offset, parent, &registers);
    if (context->tree->host_count == PCI_HOSTS || registers.range_count == 0 || address_cells < 1 ||
        address_cells > 2)
        return;
    const fdt32_t *range = property(fdt, offset, "bus-range", &count);
    uint64_t first = count >= 2 ? fdt32_to_cpu(range[0]) & 0xff : 0;
    uint64_t last = count >= 2 ? fdt32_to_cpu(range[1]) & 0xff : 0xff;
    uint64_t buses = registers.ranges[0].bytes >> 20; // that the registers have room for
    if (buses == 0 || first > last)
        return;
    if (last - first >= buses)
        last = first + buses - 1;
    struct pci_host *host = &context->tree->hosts[context->tree->host_count++];
    *host = (struct pci_host){
        .ecam = registers.ranges[0].base, .first_bus = (uint8_t)first, .last_bus = (uint8_t)last};
    read_windows(fdt, offset, address_cells, host);
    read_routes(fdt, offset, host);
    read_message_routes(fdt, offset, host);
}

// ---- the walk

static void walk(struct context context, int parent, unsigned depth)
{
    const void *fdt = context.fdt;
    context.interrupt_parent = cell(fdt, parent, "interrupt-parent", context.interrupt_parent);
    const uint32_t inherited = context.interrupt_parent;
    for (int node = fdt_first_subnode(fdt, parent); node >= 0; node = fdt_next_subnode(fdt, node)) {
        if (!is_enabled(fdt, node))
            continue;
        context.interrupt_parent = cell(fdt, node, "interrupt-parent", inherited);
        if (is_compatible(fdt, node, "pci-host-ecam-generic")) {
            read_pci_host(&context, node, parent);
        } else if (is_compatible(fdt, node, "simple-bus") && depth < DEPTH_MAX) {
            // A bus inside a bus with addresses of its own: only the inner step is translated.
            struct context inner = context;
            inner.ranges = property(fdt, node, "ranges", &inner.ranges_cells);
            inner.child_cells = fdt_address_cells(fdt, node);
            inner.parent_cells = fdt_address_cells(fdt, parent);
            inner.size_cells = fdt_size_cells(fdt, node);
            bool sane = inner.child_cells >= 1 && inner.child_cells <= 2 &&
                        inner.parent_cells >= 1 && inner.parent_cells <= 2 &&
                        inner.size_cells >= 1 && inner.size_cells <= 2;
            if (inner.ranges_cells == 0)
                inner.ranges = nullptr;
            if (sane)
                walk(inner, node, depth + 1);
        } else if (fdt_getprop(fdt, node, "reg", nullptr) != nullptr &&
                   fdt_getprop(fdt, node, "compatible", nullptr) != nullptr) {
            read_device(&context, node, parent);
        }
    }
}

// libfdt adds the length of a property to its place without a look at the overflow: a length of -12
// leads back to the property itself, and every walk that comes there stands still.
static bool leads_on(const void *fdt)
{
    for (int at = 0, next;; at = next) {
        if (fdt_next_tag(fdt, at, &next) == FDT_END)
            return true;
        if (next <= at)
            return false;
    }
}

bool tree_from_fdt(struct tree *tree, const void *fdt, uint64_t bytes)
{
    if (bytes < sizeof(struct fdt_header) || fdt_check_header(fdt) != 0 ||
        fdt_totalsize(fdt) > bytes)
        return false;
    // libfdt reads whole cells, and takes their alignment for granted (specification, 5.2).
    if ((uintptr_t)fdt % 8 != 0 || fdt_off_dt_struct(fdt) % 4 != 0)
        return false;
    if (!leads_on(fdt))
        return false;
    walk((struct context){.tree = tree, .fdt = fdt}, 0, 0);
    return true;
}
