// SPDX-License-Identifier: MIT
//
// The devices of the machine: its hardware tree (<hwtree/hwtree.h>, docs/hwtree.md), made of the
// firmware's tables by the front ends in lib/hwtree, to which a scan of the PCI buses that they
// name (pci_scan.c) adds the functions found there; and what only devd needs of those functions:
// their configuration space. What reads the tree (device.c) does not know which firmware it was.
//
// A function that finds no room is left out, and said.
#pragma once

#include <hwtree/builder.h>

#include "pci_config.h"
#include "pci_ports.h"
#include "windows.h"

constexpr unsigned PCI_FUNCTIONS = 96;
constexpr unsigned PCI_HOSTS = 4;
constexpr unsigned PCI_ROOMS = 16;
constexpr unsigned TREE_NODES_MAX = 3072;

// A PCI host whose configuration space is mapped as memory, or behind ports.
struct pci_host {
    uint32_t node;
    uint64_t ecam;                 // physical address of the configuration space of bus `first_bus`
    const struct pci_ports *ports; // the other way to reach it; null: by ecam
    uint8_t first_bus, last_bus;
    uint8_t next_bus; // the first number that no bridge has; 0: there is none
    struct pci_space space;
};

// What a bridge on the root bus passes on: the places of the functions on buses [first, last].
struct pci_room {
    struct pci_host *host;
    uint16_t bridge; // its requester id
    uint8_t first, last;
    bool open;                 // it has a window
    volatile uint32_t *config; // configuration space of its first bus, once that was looked at
    struct pci_space space;
};

// A PCI function: its configuration space, and where the CPU finds its BARs.
struct pci_device {
    uint32_t node; // HWTREE_NONE: it is gone, and its place is free
    struct pci_host *host;
    struct pci_room *room;    // null: it stands on the root bus, or its bridge has none
    volatile uint32_t *space; // null: by the host's ports
    uint16_t requester;       // bus, device, function
    bool pluggable;           // it stands behind a port that plug.c watches
    struct pci_function function;
    uint64_t bar_address[PCI_BARS]; // 0: not usable
};

struct tree {
    struct hwtree_builder builder; // until tree_finish()
    const struct hwtree *hardware;
    struct pci_host hosts[PCI_HOSTS];
    struct pci_device functions[PCI_FUNCTIONS];
    struct pci_room rooms[PCI_ROOMS];
    uint32_t host_count, function_count, room_count;
    bool messages_off;       // devices interrupt by their lines, whatever they could send
    uint32_t left_out;       // functions for which there was no room
    uint32_t bridges_unused; // PCI bridges without a bus number
    volatile uint32_t *(*map_bus)(uint64_t address);
};

// Lists the PCI hosts that the tree knows, once a front end has filled it.
void tree_find_hosts(struct tree *tree);

// Adds a PCI host that is reached by ports, which no table names.
void tree_add_port_host(struct tree *tree, const struct pci_ports *ports,
                        const struct hwtree_range *where);

// ACPI says where messages of a PCI host go only if they go to an ITS (IORT). Other hosts' go to the
// only controller that there is, which knows the functions by their requester ids; of several
// frames, which are all the same to a device, to the first.
void tree_send_messages(struct tree *tree);

// Scans the buses of all hosts. Bridges on a root bus that the firmware gave no number or no window
// get them, if the host's windows are known. `map_bus` maps the 1 MiB of configuration space of one bus.
void tree_scan_pci(struct tree *tree, volatile uint32_t *(*map_bus)(uint64_t address));

// Makes the tree that follows this one, which is finished, in memory of `bytes` bytes: without the
// functions on `leaves`, with those found on `arrives`, which is a bus behind a port of this tree;
// 0: none. `found`: how many. Nodes have other numbers afterwards: `numbers` gets, for each one
// before, the one now, and the tree's own functions have theirs. The tree before stays where it is.
// false: it does not fit, and all is as before.
[[nodiscard]] bool tree_follow(struct tree *tree, void *memory, size_t bytes, uint8_t leaves,
                               uint8_t arrives, uint32_t numbers[static TREE_NODES_MAX],
                               uint32_t *found);

// Nothing is added any more: the tree becomes as short as it can be. Its length.
uint64_t tree_finish(struct tree *tree);

// The function that is this node of the tree; null: it is none.
struct pci_device *tree_function(struct tree *tree, uint32_t node);

// Whether the function answers, at the place that it had.
[[nodiscard]] bool tree_answers(const struct pci_device *device);

// The first interrupt of a node at the controller that the kernel drives; null: it has none.
const struct hwtree_interrupt *tree_interrupt(const struct tree *tree, uint32_t node);

// Where the messages of a node go, and who it is there: as machine_message_interrupt takes them.
// false: nowhere.
[[nodiscard]] bool tree_messages(const struct tree *tree, uint32_t node, uint32_t *device,
                                 uint64_t *controller);

// The access functions for a PCI function.
struct device_config {
    struct pci_config config;
    volatile uint32_t *space;
    const struct pci_ports *ports;
    uint16_t requester;
};
struct device_config device_config(const struct pci_device *device);

// Where the function's configuration space begins in physical memory; its host has it there.
uint64_t device_space(const struct pci_device *device);
