// SPDX-License-Identifier: MIT
//
// The hardware tree: one form for all devices of a machine, whatever told of them. Two front ends
// fill it, the device tree (fdt.c) and ACPI tables (acpi.c); a scan of the PCI buses that they
// name (pci_scan.c) adds the functions found there. What reads it (device.c) does not know which.
//
// Everything in a node is absolute: CPU addresses, the interrupt controller's own line numbers.
// Firmware tables are untrusted: a node that makes no sense is left out, and more than there is
// room for is left out too, and said.
#pragma once

#include <stdint.h>

#include <abi/layout.h>

#include "pci_config.h"
#include "pci_ports.h"
#include "windows.h"

constexpr unsigned NODES = 96;
constexpr unsigned NODE_COMPATIBLES = 3;
constexpr unsigned NODE_RANGES = 4;
constexpr unsigned NODE_INTERRUPTS = 2;
constexpr unsigned PCI_HOSTS = 2;
constexpr unsigned PCI_ROUTES = 64;
constexpr unsigned PCI_MESSAGE_ROUTES = 16;

struct node_range {
    uint64_t base, bytes;
    bool io; // I/O ports
};

struct node_interrupt {
    uint64_t line;
    enum abi_trigger trigger;
};

struct pci_host;

// A PCI function: its configuration space, and where the CPU finds its BARs.
struct node_pci {
    struct pci_host *host;    // null: the node is no PCI function
    volatile uint32_t *space; // null: by the host's ports
    uint16_t requester;       // bus, device, function
    struct pci_function function;
    uint64_t bar_address[PCI_BARS]; // 0: not usable

    // Where its messages go, and who it is there: as machine_message_interrupt takes them.
    bool messages; // false: nowhere
    uint64_t message_controller;
    uint32_t message_device;
};

struct node {
    char name[32];
    char compatible[NODE_COMPATIBLES][64]; // best first
    struct node_range ranges[NODE_RANGES];
    struct node_interrupt interrupts[NODE_INTERRUPTS];
    uint8_t compatible_count, range_count, interrupt_count;
    bool virtio_slot; // a virtio device whose registers are the first range: see slots.h
    struct node_pci pci;
};

// Which line a function's pin is wired to; `address` is the device and function part of a PCI
// address in a device tree (bits 15-8), masked.
struct pci_route {
    uint32_t address, pin;
    struct node_interrupt interrupt;
};

// Functions with requester ids `first` to `first + count - 1`, masked, send messages to a controller
// that knows them as `device` and those that follow it.
struct pci_message_route {
    uint32_t first, count, device;
    uint64_t controller; // its registers; 0: there is only one
};

struct pci_host {
    uint64_t ecam;                 // physical address of the configuration space of bus `first_bus`
    const struct pci_ports *ports; // the other way to reach it; null: by ecam
    uint8_t first_bus, last_bus;
    struct pci_space space;
    struct pci_route routes[PCI_ROUTES];
    uint32_t route_count, route_address_mask, route_pin_mask;
    struct pci_message_route message_routes[PCI_MESSAGE_ROUTES];
    uint32_t message_route_count, message_requester_mask;
};

struct tree {
    struct node nodes[NODES];
    struct pci_host hosts[PCI_HOSTS];
    uint32_t node_count, host_count;
    uint32_t left_out;       // nodes for which there was no room
    uint32_t bridges_unused; // PCI bridges to which the firmware gave no bus number
};

// Adds an empty node, or answers null and counts it as left out.
struct node *tree_add(struct tree *tree);
void node_add_compatible(struct node *node, const char *text);

// Fills the tree from a device tree blob of `bytes` bytes; false: it is none.
[[nodiscard]] bool tree_from_fdt(struct tree *tree, const void *fdt, uint64_t bytes);

// Fills the tree from the ACPI tables that the RSDP leads to. `map` answers `bytes` bytes of
// physical memory, or null.
struct acpi_access {
    const void *(*map)(uint64_t address, uint64_t bytes);
};
[[nodiscard]] bool tree_from_acpi(struct tree *tree, const struct acpi_access *access,
                                  uint64_t rsdp);

// Messages of all the host's functions go to one controller, which knows them by requester ids.
void pci_host_send_messages(struct pci_host *host, uint64_t controller);

// Scans the buses of all hosts. `map_bus` maps the 1 MiB of configuration space of one bus.
void tree_scan_pci(struct tree *tree, volatile uint32_t *(*map_bus)(uint64_t address));

// The access functions for a node that is a PCI function.
struct node_config {
    struct pci_config config;
    volatile uint32_t *space;
    const struct pci_ports *ports;
    uint16_t requester;
};
struct node_config node_config(const struct node *node);
