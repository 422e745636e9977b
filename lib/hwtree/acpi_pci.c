// SPDX-License-Identifier: MIT
//
// PCI hosts with registers in memory, and where messages of PCI functions go. PCI Firmware
// Specification 3.2, 4.1.2.
#include "acpi_reader.h"

constexpr uint32_t REQUESTERS = 1u << 16;

void tables_mcfg(struct acpi_reader *reader)
{
    struct acpi_piece table = tables_find(reader, ACPI_SIG_MCFG, sizeof(struct acpi_table_mcfg));
    for (uint32_t at = sizeof(struct acpi_table_mcfg); at < table.bytes;
         at += sizeof(struct acpi_mcfg_allocation)) {
        struct acpi_mcfg_allocation entry;
        uint32_t left = table.bytes - at;
        struct acpi_piece piece = {table.at + at, left, table.table, at};
        if (!tables_copy(reader, &piece, &entry, sizeof(entry), sizeof(entry)))
            return;
        if (entry.start_bus_number > entry.end_bus_number || entry.address == 0 ||
            entry.address > UINT64_MAX - (256ull << 20)) {
            tables_problem(reader, &piece, HWTREE_MALFORMED);
            continue;
        }
        // The address is that of bus 0, whatever the first bus is.
        struct hwtree_range range = {
            .base = entry.address + ((uint64_t)entry.start_bus_number << 20),
            .bytes = (uint64_t)(entry.end_bus_number - entry.start_bus_number + 1) << 20};
        uint32_t host = tables_add(reader, &piece, "pci", &range);
        if (host == HWTREE_NONE)
            return;
        hwtree_add_compatible(reader->builder, host, "pci-host-ecam-generic",
                              sizeof("pci-host-ecam-generic"));
        struct hwtree_node *node = hwtree_edit(reader->builder, host);
        node->kind = HWTREE_PCI_HOST;
        node->pci_host = (struct hwtree_pci_host){.segment = entry.pci_segment,
                                                  .first_bus = entry.start_bus_number,
                                                  .last_bus = entry.end_bus_number,
                                                  .ecam = node->ranges.count > 0};
    }
}

// ---- messages

static bool takes_messages(const struct hwtree *hardware, uint32_t node)
{
    const struct hwtree_node *n = hwtree_node(hardware, node);
    return n->kind == HWTREE_CONTROLLER && hwtree_available(hardware, node) &&
           (n->controller.variant == HWTREE_CONTROLLER_GIC_ITS ||
            n->controller.variant == HWTREE_CONTROLLER_GIC_FRAME ||
            n->controller.variant == HWTREE_CONTROLLER_LOCAL_APIC);
}

static bool is_frame(const struct hwtree *hardware, uint32_t node)
{
    return hwtree_node(hardware, node)->controller.variant == HWTREE_CONTROLLER_GIC_FRAME;
}

// HWTREE_NONE: there is none, or more than one.
static uint32_t message_controller(const struct hwtree *hardware)
{
    uint32_t found = HWTREE_NONE;
    for (uint32_t i = 0; i < hwtree_count(hardware, HWTREE_NODES); i++) {
        if (!takes_messages(hardware, i))
            continue;
        if (found == HWTREE_NONE)
            found = i;
        else if (!is_frame(hardware, i) || !is_frame(hardware, found))
            return HWTREE_NONE;
    }
    return found;
}

static bool has_message_map(const struct hwtree *hardware, uint32_t host)
{
    for (uint32_t i = 0; i < hwtree_node(hardware, host)->ids.count; i++)
        if (hwtree_id(hardware, host, i)->kind == HWTREE_ID_MSI)
            return true;
    return false;
}

void hwtree_acpi_messages(struct hwtree_builder *builder)
{
    const struct hwtree *tree = builder->tree;
    struct hwtree_id id = {.kind = HWTREE_ID_MSI,
                           .target = message_controller(tree),
                           .input_mask = UINT32_MAX,
                           .count = REQUESTERS};
    for (uint32_t i = 0; id.target != HWTREE_NONE && i < hwtree_count(tree, HWTREE_NODES); i++)
        if (hwtree_node(tree, i)->kind == HWTREE_PCI_HOST && !has_message_map(tree, i))
            hwtree_add_id(builder, i, &id);
}
