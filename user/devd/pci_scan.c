// SPDX-License-Identifier: MIT
//
// Finds the functions on the PCI buses, gives those an address that the firmware left without,
// and resolves their interrupt lines.
//
// Buses are those of the host and what bridges lead to. Those that the firmware left without a
// number get one (bridges.c); where that cannot be, what is behind them is left alone.

#include <lib/format.h>
#include <lib/string.h>
#include <lib/types.h>

#include "bridges.h"

constexpr unsigned DEVICES = 32;
constexpr unsigned FUNCTIONS = 8;
constexpr unsigned BUS_DEPTH_MAX = 8;
constexpr unsigned FUNCTION_SHIFT = 12; // of a function's configuration space in memory

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

static void write_half(struct pci_config *config, uint32_t offset, uint16_t value)
{
    const struct device_config *function = CONTAINER_OF(config, struct device_config, config);
    volatile uint16_t *halves = (volatile uint16_t *)(volatile void *)function->space;
    halves[offset / 2] = value;
}

static struct device_config config_of(const struct pci_host *host, volatile uint32_t *space,
                                      uint16_t requester)
{
    return (struct device_config){
        .config = {read_word, write_word, host->ports == nullptr ? write_half : nullptr},
        .space = space,
        .ports = host->ports,
        .requester = requester};
}

struct device_config device_config(const struct pci_device *device)
{
    return config_of(device->host, device->space, device->requester);
}

uint64_t device_space(const struct pci_device *device)
{
    return device->host->ecam +
           ((uint64_t)(device->requester - (device->host->first_bus << 8)) << FUNCTION_SHIFT);
}

// What the scan carries along.
struct scan {
    struct tree *tree;
    struct pci_host *host;
    uint8_t seen[32]; // buses, a bit each: a bridge that leads back is not followed
};

static void scan_bus(struct scan *scan, uint8_t bus, unsigned depth);

// Where the registers of a function have their places.
static struct pci_space *space_of(const struct pci_device *device)
{
    return device->room != nullptr ? &device->room->space : &device->host->space;
}

static struct pci_vector_pages vectors_in(const struct pci_device *device, unsigned bar)
{
    const struct pci_msix *msix = &device->function.msix;
    if (msix->capability == 0 || msix->table_bar != bar)
        return (struct pci_vector_pages){};
    return (struct pci_vector_pages){
        .first = align_down(msix->table_offset, PAGE_SIZE),
        .end = align_up(msix->table_offset + 16ull * msix->vectors, PAGE_SIZE)};
}

// Keeps what the firmware assigned, where it makes sense; the rest is assigned in assign_bars.
static void keep_bars(struct pci_device *device)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct pci_bar *bar = &device->function.bars[i];
        if (bar->kind == PCI_BAR_MEMORY &&
            !pci_space_keep(space_of(device), bar->address, bar->bytes))
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

// A free place in the table; null: there is none.
static struct pci_device *free_function(struct tree *tree)
{
    for (uint32_t i = 0; i < tree->function_count; i++)
        if (tree->functions[i].node == HWTREE_NONE)
            return &tree->functions[i];
    return tree->function_count < PCI_FUNCTIONS ? &tree->functions[tree->function_count++]
                                                : nullptr;
}

static void add_function(struct scan *scan, volatile uint32_t *space, uint16_t requester,
                         const struct pci_function *function)
{
    struct tree *tree = scan->tree;
    struct pci_device *device = free_function(tree);
    uint32_t node = device != nullptr ? add_node(scan, requester, function) : HWTREE_NONE;
    if (node == HWTREE_NONE) {
        if (device != nullptr)
            device->node = HWTREE_NONE;
        tree->left_out++;
        return;
    }
    *device = (struct pci_device){.node = node,
                                  .host = scan->host,
                                  .room = room_of(tree, scan->host, (uint8_t)(requester >> 8)),
                                  .space = space,
                                  .requester = requester,
                                  .function = *function};
    keep_bars(device);
}

static void scan_function(struct scan *scan, volatile uint32_t *space, uint16_t requester,
                          struct pci_function *function, unsigned depth)
{
    struct device_config config = config_of(scan->host, space, requester);
    struct pci_host *host = scan->host;
    bool leads = function->bridge && function->secondary_bus > host->first_bus;
    if (function->bridge && !leads && depth == 0)
        leads = bridge_number(host, &config.config, function);
    add_function(scan, space, requester, function);
    if (leads && depth == 0 && host->ports == nullptr)
        bridge_room(scan->tree, host, &config.config, requester, function);
    if (leads)
        scan_bus(scan, function->secondary_bus, depth + 1);
    else if (function->bridge)
        scan->tree->bridges_unused++;
}

// The configuration space of a bus; null: it cannot be reached. What was mapped stays mapped, so
// that the bus of a slot, which is looked at again, is kept.
static volatile uint32_t *bus_space(struct scan *scan, uint8_t bus)
{
    struct pci_room *room = room_of(scan->tree, scan->host, bus);
    const uint64_t offset = (uint64_t)(bus - scan->host->first_bus) << 20;
    if (room == nullptr || room->first != bus)
        return scan->tree->map_bus(scan->host->ecam + offset);
    if (room->config == nullptr)
        room->config = scan->tree->map_bus(scan->host->ecam + offset);
    return room->config;
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
        space = bus_space(scan, bus);
        if (space == nullptr)
            return;
        if (depth == 0)
            bridges_begin(scan->host, space);
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

// Finds places for BARs that have none.
static void assign_bars(struct pci_device *device)
{
    struct device_config config = device_config(device);
    struct pci_space *space = space_of(device);
    bool on_root = device->requester >> 8 == device->host->first_bus;
    bool placed = on_root || (device->room != nullptr && device->room->open);
    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct pci_bar *bar = &device->function.bars[i];
        uint64_t address;
        if (bar->kind != PCI_BAR_MEMORY)
            continue;
        if (bar->address == 0 && placed &&
            pci_space_place(space, bar->bytes, bar->wide, vectors_in(device, i), &address)) {
            pci_command_change(&config.config, PCI_COMMAND_MEMORY, 0);
            pci_bar_assign(&config.config, &device->function, i, address);
        }
        if (bar->address != 0 && !pci_space_translate(&device->host->space, bar->address,
                                                      bar->bytes, &device->bar_address[i]))
            device->bar_address[i] = 0;
        if (bar->address != 0)
            pci_space_note_vectors(space, bar->address, vectors_in(device, i));
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
    const struct pci_room *room = device->room;
    // Only pins of the root bus are in the map. A bridge passes those behind it on, turned by the
    // number of the device (PCI-to-PCI Bridge 1.2, 9.1).
    if (pin != 0 && room != nullptr && device->requester >> 8 == room->first) {
        pin = (pin - 1 + (device->requester >> 3 & 31)) % 4 + 1;
        address = (uint32_t)room->bridge << 8;
    } else if (pin == 0 || device->requester >> 8 != device->host->first_bus) {
        return;
    }
    for (uint32_t i = 0; i < host->routes.count; i++) {
        const struct hwtree_route *route = hwtree_route(hardware, device->host->node, i);
        if (route->address == (address & host->address_mask) &&
            route->pin == (pin & host->pin_mask)) {
            hwtree_add_interrupt(builder, device->node, &route->interrupt);
            return;
        }
    }
}

static void settle(struct tree *tree, struct pci_device *device)
{
    assign_bars(device);
    tell_bars(&tree->builder, device);
    route_interrupt(&tree->builder, device);
}

void tree_scan_pci(struct tree *tree, volatile uint32_t *(*map_bus)(uint64_t address))
{
    tree->map_bus = map_bus;
    for (uint32_t i = 0; i < tree->host_count; i++) {
        struct scan scan = {.tree = tree, .host = &tree->hosts[i]};
        scan_bus(&scan, scan.host->first_bus, 0);
    }
    bridges_open(tree);
    for (uint32_t i = 0; i < tree->function_count; i++)
        settle(tree, &tree->functions[i]);
    bridges_switch_on(tree);
}

bool tree_answers(const struct pci_device *device)
{
    struct device_config config = device_config(device);
    return pci_answers(&config.config);
}

// ---- a tree that follows

static bool on_bus(const struct pci_device *device, uint8_t bus)
{
    return device->node != HWTREE_NONE && bus != 0 && device->requester >> 8 == bus;
}

static bool stays(const struct hwtree *from, uint32_t node, void *context)
{
    const uint8_t *leaves = context;
    const struct hwtree_node *n = hwtree_node(from, node);
    return n->kind != HWTREE_PCI_FUNCTION || *leaves == 0 ||
           n->pci_function.requester >> 8 != *leaves;
}

static void renumber(struct tree *tree, uint8_t leaves, const uint32_t *numbers)
{
    for (uint32_t i = 0; i < tree->host_count; i++)
        tree->hosts[i].node = numbers[tree->hosts[i].node];
    for (uint32_t i = 0; i < tree->function_count; i++) {
        struct pci_device *device = &tree->functions[i];
        if (on_bus(device, leaves) && device->room != nullptr)
            pci_space_clear(&device->room->space);
        if (device->node != HWTREE_NONE)
            device->node = numbers[device->node];
    }
}

// What arrives has no addresses, whatever its registers say.
static uint32_t scan_arrived(struct tree *tree, uint8_t bus)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < tree->room_count; i++) {
        struct pci_host *host = tree->rooms[i].host;
        if (tree->rooms[i].first != bus)
            continue;
        struct scan scan = {.tree = tree, .host = host};
        scan_bus(&scan, bus, 1);
    }
    for (uint32_t i = 0; i < tree->function_count; i++)
        if (on_bus(&tree->functions[i], bus)) {
            settle(tree, &tree->functions[i]);
            found++;
        }
    return found;
}

bool tree_follow(struct tree *tree, void *memory, size_t bytes, uint8_t leaves, uint8_t arrives,
                 uint32_t numbers[static TREE_NODES_MAX], uint32_t *found)
{
    struct hwtree_builder builder;
    *found = 0;
    if (hwtree_count(tree->hardware, HWTREE_NODES) > TREE_NODES_MAX ||
        !hwtree_begin(&builder, memory, bytes, tree->hardware->origin) ||
        !hwtree_copy(&builder, tree->hardware, stays, &leaves, numbers))
        return false;
    tree->builder = builder;
    tree->hardware = builder.tree;
    renumber(tree, leaves, numbers);
    if (arrives != 0)
        *found = scan_arrived(tree, arrives);
    return true;
}
