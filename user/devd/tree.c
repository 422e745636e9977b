// SPDX-License-Identifier: MIT
//
// See tree.h.

#include "tree.h"

#include <hwtree/front.h>

constexpr uint64_t BUS_SHIFT = 20; // of the configuration space of one bus

static void add_window(struct pci_space *space, const struct hwtree_window *window)
{
    if (window->io || space->window_count == PCI_WINDOWS)
        return;
    space->windows[space->window_count++] = (struct pci_window){.bus_address = window->bus,
                                                                .cpu_address = window->cpu,
                                                                .bytes = window->bytes,
                                                                .wide = window->wide != 0};
}

static void add_host(struct tree *tree, uint32_t node)
{
    const struct hwtree_pci_host *facts = &hwtree_node(tree->hardware, node)->pci_host;
    const struct hwtree_range *registers = hwtree_range(tree->hardware, node, 0);
    uint64_t buses = registers->bytes >> BUS_SHIFT; // that the registers have room for
    // Requester ids of other segments would be those of the first.
    if (tree->host_count == PCI_HOSTS || facts->segment != 0 || buses == 0 ||
        registers->space != HWTREE_SPACE_MEMORY)
        return;
    struct pci_host *host = &tree->hosts[tree->host_count++];
    *host = (struct pci_host){.node = node,
                              .ecam = registers->base,
                              .first_bus = facts->first_bus,
                              .last_bus = facts->last_bus};
    if ((uint64_t)(host->last_bus - host->first_bus) >= buses)
        host->last_bus = (uint8_t)(host->first_bus + buses - 1);
    for (uint32_t i = 0; i < facts->windows.count; i++)
        add_window(&host->space, hwtree_window(tree->hardware, node, i));
}

void tree_find_hosts(struct tree *tree)
{
    const struct hwtree *hardware = tree->hardware = tree->builder.tree;
    for (uint32_t i = 0; i < hwtree_count(hardware, HWTREE_NODES); i++) {
        const struct hwtree_node *node = hwtree_node(hardware, i);
        if (node->kind == HWTREE_PCI_HOST && node->pci_host.ecam && hwtree_available(hardware, i))
            add_host(tree, i);
    }
}

void tree_add_port_host(struct tree *tree, const struct pci_ports *ports,
                        const struct hwtree_range *where)
{
    uint32_t node =
        tree->host_count == PCI_HOSTS
            ? HWTREE_NONE
            : hwtree_add_named(&tree->builder, 0, "pci@%llx", (unsigned long long)where->base);
    if (node == HWTREE_NONE)
        return;
    hwtree_add_range(&tree->builder, node, where, "ports");
    struct hwtree_node *n = hwtree_edit(&tree->builder, node);
    n->kind = HWTREE_PCI_HOST;
    n->pci_host = (struct hwtree_pci_host){.last_bus = UINT8_MAX};
    tree->hosts[tree->host_count++] =
        (struct pci_host){.node = node, .ports = ports, .last_bus = UINT8_MAX};
}

// ---- messages

void tree_send_messages(struct tree *tree)
{
    if (tree->hardware->origin == HWTREE_ACPI)
        hwtree_acpi_messages(&tree->builder);
}

bool tree_messages(const struct tree *tree, uint32_t node, uint32_t *device, uint64_t *controller)
{
    uint32_t target;
    *controller = 0; // those of local APICs name the CPU themselves
    if (tree->messages_off ||
        !hwtree_device_id(tree->hardware, node, HWTREE_ID_MSI, &target, device))
        return false;
    const struct hwtree_node *n = hwtree_node(tree->hardware, target);
    if (n->kind == HWTREE_CONTROLLER && n->controller.variant == HWTREE_CONTROLLER_LOCAL_APIC)
        return true;
    for (uint32_t i = 0; i < n->ranges.count && *controller == 0; i++)
        if (hwtree_range(tree->hardware, target, i)->space == HWTREE_SPACE_MEMORY)
            *controller = hwtree_range(tree->hardware, target, i)->base;
    return *controller != 0;
}

// ---- the finished tree

uint64_t tree_finish(struct tree *tree)
{
    return hwtree_finish(&tree->builder);
}

struct pci_device *tree_function(struct tree *tree, uint32_t node)
{
    for (uint32_t i = 0; i < tree->function_count; i++)
        if (tree->functions[i].node == node)
            return &tree->functions[i];
    return nullptr;
}

// The controllers whose lines the kernel knows by the same numbers.
static bool is_kernels(const struct hwtree_node *node)
{
    return node->kind == HWTREE_CONTROLLER &&
           (node->controller.variant == HWTREE_CONTROLLER_GICV2 ||
            node->controller.variant == HWTREE_CONTROLLER_GICV3 ||
            node->controller.variant == HWTREE_CONTROLLER_IO_APIC);
}

const struct hwtree_interrupt *tree_interrupt(const struct tree *tree, uint32_t node)
{
    for (uint32_t i = 0; i < hwtree_node(tree->hardware, node)->interrupts.count; i++) {
        const struct hwtree_interrupt *interrupt = hwtree_interrupt(tree->hardware, node, i);
        if (is_kernels(hwtree_node(tree->hardware, interrupt->controller)))
            return interrupt;
    }
    return nullptr;
}
