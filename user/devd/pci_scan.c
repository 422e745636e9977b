// SPDX-License-Identifier: MIT
//
// Finds the functions on the PCI buses, gives those an address that the firmware left without,
// and resolves their interrupt lines and where their messages go.
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
    const struct node_config *function = CONTAINER_OF(config, struct node_config, config);
    return function->ports != nullptr ? pci_ports_read(function->ports, function->requester, offset)
                                      : function->space[offset / 4];
}

static void write_word(struct pci_config *config, uint32_t offset, uint32_t value)
{
    const struct node_config *function = CONTAINER_OF(config, struct node_config, config);
    if (function->ports != nullptr)
        pci_ports_write(function->ports, function->requester, offset, value);
    else
        function->space[offset / 4] = value;
}

static struct node_config config_of(const struct pci_host *host, volatile uint32_t *space,
                                    uint16_t requester)
{
    return (struct node_config){.config = {read_word, write_word},
                                .space = space,
                                .ports = host->ports,
                                .requester = requester};
}

struct node_config node_config(const struct node *node)
{
    return config_of(node->pci.host, node->pci.space, node->pci.requester);
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
static void keep_bars(struct node *node)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct pci_bar *bar = &node->pci.function.bars[i];
        if (bar->kind == PCI_BAR_MEMORY &&
            !pci_space_keep(&node->pci.host->space, bar->address, bar->bytes))
            bar->address = 0;
    }
}

static void add_function(struct scan *scan, volatile uint32_t *space, uint16_t requester,
                         const struct pci_function *function)
{
    struct node *node = tree_add(scan->tree);
    if (node == nullptr)
        return;
    format_text(node->name, sizeof(node->name), "pci:%02x:%02x.%x", requester >> 8,
                requester >> 3 & 31, requester & 7);
    format_text(node->compatible[0], sizeof(node->compatible[0]), "pci:%04x:%04x", function->vendor,
                function->device);
    format_text(node->compatible[1], sizeof(node->compatible[1]), "pci-class:%06x",
                function->class_code);
    node->compatible_count = 2;
    node->pci = (struct node_pci){
        .host = scan->host, .space = space, .requester = requester, .function = *function};
    keep_bars(node);
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
            struct node_config config = config_of(scan->host, at, requester);
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
static void assign_bars(struct node *node)
{
    struct node_pci *pci = &node->pci;
    struct node_config config = node_config(node);
    bool on_root = pci->requester >> 8 == pci->host->first_bus;
    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct pci_bar *bar = &pci->function.bars[i];
        uint64_t address;
        if (bar->kind != PCI_BAR_MEMORY)
            continue;
        if (bar->address == 0 && on_root && !pci->function.bridge &&
            pci_space_place(&pci->host->space, bar->bytes, bar->wide, &address)) {
            pci_command_change(&config.config, PCI_COMMAND_MEMORY, 0);
            pci_bar_assign(&config.config, &pci->function, i, address);
        }
        if (bar->address != 0 &&
            !pci_space_translate(&pci->host->space, bar->address, bar->bytes, &pci->bar_address[i]))
            pci->bar_address[i] = 0;
    }
}

static void route_interrupt(struct node *node)
{
    const struct pci_host *host = node->pci.host;
    uint32_t pin = node->pci.function.interrupt_pin;
    uint32_t address = (uint32_t)node->pci.requester << 8;
    // Behind bridges pins are swizzled from bus to bus; only the root's are in the map.
    if (pin == 0 || node->pci.requester >> 8 != host->first_bus)
        return;
    for (uint32_t i = 0; i < host->route_count; i++) {
        const struct pci_route *route = &host->routes[i];
        if (route->address == (address & host->route_address_mask) &&
            route->pin == (pin & host->route_pin_mask)) {
            node->interrupts[0] = route->interrupt;
            node->interrupt_count = 1;
            return;
        }
    }
}

static void route_messages(struct node *node)
{
    struct node_pci *pci = &node->pci;
    const uint32_t requester = pci->requester & pci->host->message_requester_mask;
    for (uint32_t i = 0; i < pci->host->message_route_count; i++) {
        const struct pci_message_route *route = &pci->host->message_routes[i];
        if (requester < route->first || requester - route->first >= route->count)
            continue;
        pci->messages = true;
        pci->message_controller = route->controller;
        pci->message_device = route->device + (requester - route->first);
        return;
    }
}

void tree_scan_pci(struct tree *tree, volatile uint32_t *(*map_bus)(uint64_t address))
{
    uint32_t first = tree->node_count;
    for (uint32_t i = 0; i < tree->host_count; i++) {
        struct scan scan = {.tree = tree, .host = &tree->hosts[i], .map_bus = map_bus};
        scan_bus(&scan, scan.host->first_bus, 0);
    }
    for (uint32_t i = first; i < tree->node_count; i++) {
        assign_bars(&tree->nodes[i]);
        route_interrupt(&tree->nodes[i]);
        route_messages(&tree->nodes[i]);
    }
}
