// SPDX-License-Identifier: MIT
//
// What DSDT and SSDTs say by constants: devices that no bus shows, and what the namespace knows of a
// PCI host, which is its windows and where its pins lead. ACPI 6.5, 6.2.13 and 6.4; the ids are those
// that Arm ("ARMH"), Linaro ("LNRO") and QEMU gave.
#include <lib/string.h>

#include "acpi_reader.h"
#include "aml.h"

constexpr uint32_t HEADER = sizeof(struct acpi_table_header);
constexpr unsigned LINKS = 32;
constexpr unsigned SLOTS = 32, PINS = 4; // of a bus
constexpr unsigned DEVICE_SHIFT = 11;    // in the high cell of a PCI address

static const struct {
    char hid[9];
    const char *name;
    const char *compatible[2];
} known[] = {
    {"LNRO0005", "virtio", {"virtio,mmio"}},
    {"ARMH0011", "serial", {"arm,pl011", "arm,primecell"}},
    {"ARMH0061", "gpio", {"arm,pl061", "arm,primecell"}},
    {"QEMU0002", "fw-cfg", {"qemu,fw-cfg-mmio"}},
};

struct definitions {
    struct acpi_reader *reader;
    struct {
        char name[5];
        struct hwtree_interrupt interrupt;
    } links[LINKS]; // devices that stand for an interrupt
    unsigned link_count;
};

// The rows of one host, while they are read: where each pin leads.
struct routes {
    struct hwtree_interrupt pins[SLOTS][PINS]; // of controller HWTREE_NONE: nothing is said
    const struct definitions *definitions;     // behind: a sanitizer takes a last array for open
};

static bool resolve(const struct acpi_reader *reader, const struct aml_interrupt *declared,
                    struct hwtree_interrupt *interrupt)
{
    if (declared->line > UINT32_MAX ||
        !hwtree_acpi_gsi(reader->tree, (uint32_t)declared->line, interrupt))
        return false;
    interrupt->trigger = declared->trigger;
    interrupt->polarity = declared->polarity;
    return true;
}

// ---- devices

static void add_resources(struct definitions *definitions, uint32_t node,
                          const struct aml_device *device)
{
    struct hwtree_builder *builder = definitions->reader->builder;
    struct hwtree_interrupt interrupt;
    for (uint8_t i = 0; i < device->range_count; i++) {
        const struct aml_range *range = &device->ranges[i];
        hwtree_add_range(
            builder, node,
            &(struct hwtree_range){.base = range->base,
                                   .bytes = range->bytes,
                                   .space = range->io ? HWTREE_SPACE_IO : HWTREE_SPACE_MEMORY},
            "_CRS");
    }
    for (uint8_t i = 0; i < device->interrupt_count; i++)
        if (resolve(definitions->reader, &device->interrupts[i], &interrupt))
            hwtree_add_interrupt(builder, node, &interrupt);
        else
            hwtree_problem(builder, node, HWTREE_NOT_CONTROLLER, "_CRS", i);
}

static void add_device(struct definitions *definitions, const struct aml_device *device,
                       unsigned kind)
{
    struct acpi_reader *reader = definitions->reader;
    const struct aml_range *first = &device->ranges[0];
    if (device->range_count == 0 ||
        tables_at(reader, first->io ? HWTREE_SPACE_IO : HWTREE_SPACE_MEMORY, first->base) !=
            HWTREE_NONE)
        return; // a table has told of it
    uint32_t node = hwtree_add_named(reader->builder, 0, "%s@%llx", known[kind].name,
                                     (unsigned long long)first->base);
    if (node == HWTREE_NONE)
        return;
    for (unsigned i = 0; i < 2 && known[kind].compatible[i] != nullptr; i++)
        hwtree_add_compatible(reader->builder, node, known[kind].compatible[i],
                              strlen(known[kind].compatible[i]));
    if (device->coherent)
        hwtree_edit(reader->builder, node)->flags |= HWTREE_COHERENT;
    add_resources(definitions, node, device);
}

// ---- PCI hosts

// I/O ports, memory of 32 bits, memory of 64 bits.
static unsigned order(const struct hwtree_window *window)
{
    return window->io ? 0 : window->wide ? 2 : 1;
}

static void on_route(void *context, const struct aml_route *route)
{
    struct routes *routes = context;
    const struct definitions *definitions = routes->definitions;
    if (route->device >= SLOTS || route->pin >= PINS)
        return;
    struct hwtree_interrupt *pin = &routes->pins[route->device][route->pin];
    if (route->link[0] == 0) {
        // What stands there alone is a PCI interrupt: a level, low (6.2.13).
        const struct aml_interrupt interrupt = {route->line, HWTREE_TRIGGER_LEVEL,
                                                HWTREE_POLARITY_LOW};
        if (!resolve(definitions->reader, &interrupt, pin))
            pin->controller = HWTREE_NONE;
        return;
    }
    for (unsigned i = 0; i < definitions->link_count; i++)
        if (strcmp(definitions->links[i].name, route->link) == 0)
            *pin = definitions->links[i].interrupt;
}

static bool is_same(const struct hwtree_interrupt *a, const struct hwtree_interrupt *b)
{
    return a->controller == b->controller && a->line == b->line && a->trigger == b->trigger &&
           a->polarity == b->polarity;
}

static bool are_alike(const struct routes *routes, unsigned bit)
{
    for (unsigned slot = 0; slot < SLOTS; slot++)
        for (unsigned pin = 0; pin < PINS; pin++)
            if (!is_same(&routes->pins[slot][pin], &routes->pins[slot & ~bit][pin]))
                return false;
    return true;
}

// As few rows as say the same: a bit of the device's number that makes no difference is masked.
static void add_routes(struct hwtree_builder *builder, uint32_t host, const struct routes *routes)
{
    uint32_t mask = SLOTS - 1;
    for (unsigned bit = SLOTS / 2; bit > 0; bit /= 2)
        if (are_alike(routes, bit))
            mask &= ~bit;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        for (unsigned pin = 0; pin < PINS && (slot & ~mask) == 0; pin++)
            if (routes->pins[slot][pin].controller != HWTREE_NONE)
                hwtree_add_route(builder, host,
                                 &(struct hwtree_route){.address = slot << DEVICE_SHIFT,
                                                        .pin = pin + 1,
                                                        .interrupt = routes->pins[slot][pin]});
    if (hwtree_node(builder->tree, host)->pci_host.routes.count == 0)
        return;
    hwtree_edit(builder, host)->pci_host.address_mask = mask << DEVICE_SHIFT;
    hwtree_edit(builder, host)->pci_host.pin_mask = 7;
}

static void describe_host(struct definitions *definitions, const struct aml_device *device)
{
    struct hwtree_builder *builder = definitions->reader->builder;
    uint32_t host =
        tables_node(definitions->reader, HWTREE_PCI_HOST, tables_is_host, device->segment);
    if (host == HWTREE_NONE)
        return;
    const struct hwtree_pci_host *facts = &hwtree_node(builder->tree, host)->pci_host;
    if (facts->first_bus != device->bus || facts->windows.count > 0 || facts->routes.count > 0)
        return; // another one on the same segment
    if (device->coherent)
        hwtree_edit(builder, host)->flags |= HWTREE_COHERENT;
    for (unsigned step = 0; step < 3; step++)
        for (uint8_t i = 0; i < device->window_count; i++)
            if (order(&device->windows[i]) == step)
                hwtree_add_window(builder, host, &device->windows[i]);
    struct routes routes = {.definitions = definitions};
    for (unsigned i = 0; i < SLOTS * PINS; i++)
        routes.pins[i / PINS][i % PINS].controller = HWTREE_NONE;
    aml_routes(device, on_route, &routes);
    add_routes(builder, host, &routes);
}

// ---- the tables

static void on_link(void *context, const struct aml_device *device)
{
    struct definitions *definitions = context;
    if (strcmp(device->hid, "PNP0C0F") != 0 || device->interrupt_count == 0 ||
        definitions->link_count == LINKS)
        return;
    struct hwtree_interrupt interrupt;
    if (!resolve(definitions->reader, &device->interrupts[0], &interrupt))
        return;
    memcpy(definitions->links[definitions->link_count].name, device->name, sizeof(device->name));
    definitions->links[definitions->link_count++].interrupt = interrupt;
}

static void on_device(void *context, const struct aml_device *device)
{
    struct definitions *definitions = context;
    if (strcmp(device->hid, "PNP0A08") == 0 || strcmp(device->hid, "PNP0A03") == 0)
        describe_host(definitions, device);
    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(device->hid, known[i].hid) == 0)
            add_device(definitions, device, i);
}

static void read_definitions(struct definitions *definitions,
                             void (*found)(void *context, const struct aml_device *device))
{
    const struct acpi_tables *acpi = definitions->reader->acpi;
    for (unsigned i = 0; i < acpi->count; i++) {
        const struct acpi_table *table = &acpi->list[i];
        if (table->at != nullptr &&
            (acpi_table_is(table, ACPI_SIG_DSDT) || acpi_table_is(table, ACPI_SIG_SSDT)))
            aml_devices((const char *)table->at + HEADER, table->bytes - HEADER, found,
                        definitions);
    }
}

// Twice: what pins lead to may be declared behind the host.
void tables_definitions(struct acpi_reader *reader)
{
    struct definitions definitions = {.reader = reader};
    read_definitions(&definitions, on_link);
    read_definitions(&definitions, on_device);
}
