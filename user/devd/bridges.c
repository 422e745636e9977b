// SPDX-License-Identifier: MIT
//
// See bridges.h.

#include "bridges.h"

#include <lib/types.h>

constexpr uint64_t WINDOW_BYTES_MIN = 2 << 20; // as much as firmware gives to a port with a slot
constexpr uint64_t WINDOW_BYTES_MAX = 1 << 28;
constexpr unsigned FUNCTION_WORDS = 1024;
constexpr unsigned ROOT_FUNCTIONS = 256;

// Any header that looks like a bridge's counts: a number too many is left out, and none is given
// twice.
void bridges_begin(struct pci_host *host, volatile uint32_t *space)
{
    unsigned last = host->first_bus;
    for (unsigned i = 0; i < ROOT_FUNCTIONS; i++) {
        const volatile uint32_t *function = space + (size_t)i * FUNCTION_WORDS;
        uint32_t id = function[0] & 0xffff;
        if (id == 0xffff || id == 0 || (function[3] >> 16 & 0x7f) != 1)
            continue;
        uint32_t subordinate = function[6] >> 16 & 0xff;
        if (subordinate > last)
            last = subordinate;
    }
    host->next_bus = last < host->last_bus ? (uint8_t)(last + 1) : 0;
}

bool bridge_number(struct pci_host *host, struct pci_config *config, struct pci_function *function)
{
    // Where the host's windows are not known nothing can be placed behind it either.
    if (host->next_bus == 0 || host->space.window_count == 0)
        return false;
    function->secondary_bus = function->subordinate_bus = host->next_bus;
    host->next_bus = host->next_bus < host->last_bus ? (uint8_t)(host->next_bus + 1) : 0;
    pci_bridge_number(config, host->first_bus, function->secondary_bus, function->subordinate_bus);
    return true;
}

void bridge_room(struct tree *tree, struct pci_host *host, struct pci_config *config,
                 uint16_t requester, const struct pci_function *function)
{
    struct pci_bridge_window windows[PCI_BRIDGE_WINDOWS];
    if (tree->room_count == PCI_ROOMS)
        return;
    struct pci_room *room = &tree->rooms[tree->room_count++];
    *room = (struct pci_room){.host = host,
                              .bridge = requester,
                              .first = function->secondary_bus,
                              .last = function->subordinate_bus};
    pci_bridge_windows(config, windows);
    for (unsigned i = 0; i < PCI_BRIDGE_WINDOWS; i++) {
        // What the firmware opened outside of what the host passes on leads nowhere.
        if (windows[i].bytes == 0 ||
            !pci_space_keep(&host->space, windows[i].address, windows[i].bytes))
            continue;
        // Registers that forget what is read from them must not be reached ahead of time: only
        // those of 64 bits, which say so themselves, go into the second window.
        room->space.windows[room->space.window_count++] =
            (struct pci_window){.bus_address = windows[i].address,
                                .cpu_address = windows[i].address,
                                .bytes = windows[i].bytes,
                                .wide = i == PCI_BRIDGE_PREFETCH};
        room->open = true;
    }
}

struct pci_room *room_of(struct tree *tree, const struct pci_host *host, uint8_t bus)
{
    for (uint32_t i = 0; i < tree->room_count; i++)
        if (tree->rooms[i].host == host && bus >= tree->rooms[i].first &&
            bus <= tree->rooms[i].last)
            return &tree->rooms[i];
    return nullptr;
}

// A power of two in which all registers of the room find a place, each aligned to its size.
static uint64_t bytes_wanted(const struct tree *tree, const struct pci_room *room)
{
    uint64_t sum = 0, bytes = WINDOW_BYTES_MIN;
    for (uint32_t i = 0; i < tree->function_count; i++)
        for (unsigned k = 0; k < PCI_BARS && tree->functions[i].room == room; k++) {
            const struct pci_bar *bar = &tree->functions[i].function.bars[k];
            if (bar->kind == PCI_BAR_MEMORY && bar->bytes <= WINDOW_BYTES_MAX)
                sum += 2 * bar->bytes;
        }
    while (bytes < sum && bytes < WINDOW_BYTES_MAX)
        bytes *= 2;
    return bytes;
}

static void open_room(struct tree *tree, struct pci_room *room, struct pci_device *bridge)
{
    struct pci_host *host = bridge->host;
    struct device_config config = device_config(bridge);
    const uint64_t bytes = bytes_wanted(tree, room);
    uint64_t address;
    if (!pci_space_place(&host->space, bytes, false, (struct pci_vector_pages){}, &address) ||
        address + bytes > 1ull << 32)
        return;
    pci_bridge_open(&config.config, address, bytes);
    room->space.windows[room->space.window_count++] =
        (struct pci_window){.bus_address = address, .cpu_address = address, .bytes = bytes};
    room->open = true;
}

// The room behind a function; null: it is no bridge, or has none.
static struct pci_room *room_behind(struct tree *tree, const struct pci_device *bridge)
{
    if (!bridge->function.bridge || bridge->room != nullptr)
        return nullptr;
    struct pci_room *room = room_of(tree, bridge->host, bridge->function.secondary_bus);
    return room != nullptr && room->first == bridge->function.secondary_bus ? room : nullptr;
}

void bridges_open(struct tree *tree)
{
    for (uint32_t i = 0; i < tree->function_count; i++) {
        struct pci_room *room = room_behind(tree, &tree->functions[i]);
        if (room != nullptr && !room->open)
            open_room(tree, room, &tree->functions[i]);
    }
}

void bridges_switch_on(struct tree *tree)
{
    for (uint32_t i = 0; i < tree->function_count; i++) {
        struct device_config config = device_config(&tree->functions[i]);
        if (room_behind(tree, &tree->functions[i]) != nullptr)
            pci_command_change(&config.config, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
    }
}
