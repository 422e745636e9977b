// SPDX-License-Identifier: MIT
//
// Finds the functions on the PCI buses, gives those an address that the firmware left without,
// and resolves their interrupt lines.
//
// Buses are those of the host and what bridges lead to, if the firmware gave them numbers; a
// bridge without is left alone, and so is what is behind it.

#include <lib/format.h>
#include <lib/string.h>
#include <lib/types.h>

#include "tree.h"

constexpr unsigned DEVICES = 32;
constexpr unsigned FUNCTIONS = 8;
constexpr unsigned BUS_DEPTH_MAX = 8;

static uint32_t read_word(struct pci_config *config, uint32_t offset)
{
    const struct device_config *function = CONTAINER_OF(config, struct device_config, config);
    return function->ports != nullptr ? pci_ports_read(function->ports, function->requester, offset)
                                      : function->space[offset / 4];
}

static void write_word(struct pci_config *config, uint32_t offset, uint32_t value)
{
    const struct device_config *function = CONTAINER_OF(config, struct device_config, config);
    if (function->ports != nullptr)
        pci_ports_write(function->ports, function->requester, offset, value);
    else
        function->space[offset / 4] = value;
}

static struct device_config config_of(const struct pci_host *host, volatile uint32_t *space,
                                      uint16_t requester)
{
    return (struct device_config){.config = {read_word, write_word},
                                  .space = space,
                                  .ports = host->ports,
                                  .requester = requester};
}

struct device_config device_config(const struct pci_device *device)
{
    return config_of(device->host, device->space, device->requester);
}

// What the scan carries along.
struct scan {
    struct tree *tree;
    struct pci_host *host;
    volatile uint32_t *(*map_bus)(uint64_t address);
    uint8_t seen[32]; // buses, a bit each: a bridge that leads back is not followed
};

static void scan_bus(struct scan *scan, uint8_t bus, unsigned depth);

// Keeps what the firmware assigned, where it makes sense; the rest is assigned in assign_bars.
static void keep_bars(struct pci_device *device)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct pci_bar *bar = &device->function.bars[i];
        if (bar->kind == PCI_BAR_MEMORY &&
            !pci_space_keep(&device->host->space, bar->address, bar->bytes))
            bar->address = 0;
    }
}

// A node of the hardware tree below its host's; HWTREE_NONE: there is no room.
static uint32_t add_node(struct scan *scan, uint16_t requester, const struct pci_function *function)
{
    struct hwtree_builder *builder = &scan->tree->builder;
    char name[24];
    uint32_t node = hwtree_add_named(builder, scan->host->node, "pci@%02x,%02x.%x", requester >> 8,
                                     requester >> 3 & 31, requester & 7);
    if (node == HWTREE_NONE)
        return node;
    format_text(name, sizeof(name), "pci:%04x:%04x", function->vendor, function->device);
    hwtree_add_compatible(builder, node, name, sizeof(name));
    format_text(name, sizeof(name), "pci-class:%06x", function->class_code);
    hwtree_add_compatible(builder, node, name, sizeof(name));
    struct hwtree_node *n = hwtree_edit(builder, node);
    const struct hwtree_node *host = hwtree_edit(builder, scan->host->node);
    n->kind = HWTREE_PCI_FUNCTION;
    n->flags |= host->flags & (HWTREE_COHERENT | HWTREE_LIMITED);
    n->dma = host->dma;
    n->pci_function = (struct hwtree_pci_function){.class_code = function->class_code,
                                                   .requester = requester,
                                                   .vendor = function->vendor,
                                                   .device = function->device,
                                                   .pin = function->interrupt_pin};
    return node;
}

static void add_function(struct scan *scan, volatile uint32_t *space, uint16_t requester,
                         const struct pci_function *function)
{
    struct tree *tree = scan->tree;
    uint32_t node = HWTREE_NONE;
    if (tree->function_count < PCI_FUNCTIONS)
        node = add_node(scan, requester, function);
    if (node == HWTREE_NONE) {
        tree->left_out++;
        return;
    }
    struct pci_device *device = &tree->functions[tree->function_count++];
    *device = (struct pci_device){.node = node,
                                  .host = scan->host,
                                  .space = space,
                                  .requester = requester,
                                  .function = *function};
    keep_bars(device);
}

static void scan_function(struct scan *scan, volatile uint32_t *space, uint16_t requester,
                          const struct pci_function *function, unsigned depth)
{
    add_function(scan, space, requester, function);
    if (!function->bridge)
        return;
    if (function->secondary_bus > scan->host->first_bus)
        scan_bus(scan, function->secondary_bus, depth + 1);
    else
        scan->tree->bridges_unused++;
}

static void scan_bus(struct scan *scan, uint8_t bus, unsigned depth)
{
    uint8_t bit = (uint8_t)(1u << bus % 8);
    if (bus < scan->host->first_bus || bus > scan->host->last_bus || depth > BUS_DEPTH_MAX ||
        (scan->seen[bus / 8] & bit) != 0)
        return;
    scan->seen[bus / 8] |= bit;
    volatile uint32_t *space = nullptr;
    if (scan->host->ports == nullptr) {
        space = scan->map_bus(scan->host->ecam + ((uint64_t)(bus - scan->host->first_bus) << 20));
        if (space == nullptr)
            return;
    }
    for (unsigned device = 0; device < DEVICES; device++) {
        unsigned functions = 1;
        for (unsigned f = 0; f < functions; f++) {
            uint16_t requester = (uint16_t)((unsigned)bus << 8 | device << 3 | f);
            volatile uint32_t *at =
                space != nullptr ? space + (size_t)(device << 3 | f) * 1024 : nullptr;
            struct device_config config = config_of(scan->host, at, requester);
            struct pci_function function;
            if (!pci_function_read(&config.config, &function))
                continue; // functions may have gaps, but there is always a first
            if (f == 0 && function.multifunction)
                functions = FUNCTIONS;
            scan_function(scan, at, requester, &function, depth);
        }
    }
}

// Finds places for BARs that have none. Functions behind bridges would need the bridge's windows
// set up too, which firmware that numbers buses has done.
static void assign_bars(struct pci_device *device)
{
    struct device_config config = device_config(device);
    bool on_root = device->requester >> 8 == device->host->first_bus;
    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct pci_bar *bar = &device->function.bars[i];
        uint64_t address;
        if (bar->kind != PCI_BAR_MEMORY)
            continue;
        if (bar->address == 0 && on_root && !device->function.bridge &&
            pci_space_place(&device->host->space, bar->bytes, bar->wide, &address)) {
            pci_command_change(&config.config, PCI_COMMAND_MEMORY, 0);
            pci_bar_assign(&config.config, &device->function, i, address);
        }
        if (bar->address != 0 && !pci_space_translate(&device->host->space, bar->address,
                                                      bar->bytes, &device->bar_address[i]))
            device->bar_address[i] = 0;
    }
}

// What was found about the registers goes into the hardware tree.
static void tell_bars(struct hwtree_builder *builder, const struct pci_device *device)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        char name[8];
        if (device->bar_address[i] == 0)
            continue;
        format_text(name, sizeof(name), "bar%u", i);
        struct hwtree_range range = {.base = device->bar_address[i],
                                     .bytes = device->function.bars[i].bytes,
                                     .name = hwtree_add_text(builder, name, sizeof(name))};
        hwtree_add_range(builder, device->node, &range, "bar");
    }
}

static void route_interrupt(struct hwtree_builder *builder, const struct pci_device *device)
{
    const struct hwtree *hardware = builder->tree;
    const struct hwtree_pci_host *host = &hwtree_node(hardware, device->host->node)->pci_host;
    uint32_t pin = device->function.interrupt_pin;
    uint32_t address = (uint32_t)device->requester << 8;
    // Behind bridges pins are swizzled from bus to bus; only the root's are in the map.
    if (pin == 0 || device->requester >> 8 != device->host->first_bus)
        return;
    for (uint32_t i = 0; i < host->routes.count; i++) {
        const struct hwtree_route *route = hwtree_route(hardware, device->host->node, i);
        if (route->address == (address & host->address_mask) &&
            route->pin == (pin & host->pin_mask)) {
            hwtree_add_interrupt(builder, device->node, &route->interrupt);
            return;
        }
    }
}

void tree_scan_pci(struct tree *tree, volatile uint32_t *(*map_bus)(uint64_t address))
{
    for (uint32_t i = 0; i < tree->host_count; i++) {
        struct scan scan = {.tree = tree, .host = &tree->hosts[i], .map_bus = map_bus};
        scan_bus(&scan, scan.host->first_bus, 0);
    }
    for (uint32_t i = 0; i < tree->function_count; i++) {
        assign_bars(&tree->functions[i]);
        tell_bars(&tree->builder, &tree->functions[i]);
        route_interrupt(&tree->builder, &tree->functions[i]);
    }
}
