// SPDX-License-Identifier: MIT
//
// The DMAR table: Intel's IOMMUs, and which functions are behind which of them. Intel VT-d
// specification 4.1, 8.
#include <lib/string.h>

#include "acpi_reader.h"

constexpr uint64_t UNIT_BYTES = 0x1000;
constexpr uint32_t REQUESTERS = 0x10000;

enum scope_type : uint8_t {
    SCOPE_ENDPOINT = 1,
    SCOPE_BRIDGE = 2,
    SCOPE_IO_APIC = 3,
};

static bool is_io_apic(const struct hwtree_node *node, uint64_t id)
{
    return node->controller.variant == HWTREE_CONTROLLER_IO_APIC && node->controller.id == id;
}

static void add_id(struct acpi_reader *reader, uint32_t node, uint32_t unit, uint32_t input,
                   uint32_t count, uint32_t output)
{
    struct hwtree_id id = {.kind = HWTREE_ID_IOMMU,
                           .target = unit,
                           .input = input,
                           .input_mask = UINT32_MAX,
                           .count = count,
                           .output = output};
    hwtree_add_id(reader->builder, node, &id);
}

// A device that the unit is for: a bus, and a path of which only the last step matters when it has
// one; what is behind further bridges is found by the bus numbers that firmware gave them.
static void read_scope(struct acpi_reader *reader, uint32_t unit, uint32_t host, uint32_t type,
                       const struct acpi_piece *entry)
{
    struct acpi_dmar_device_scope scope;
    struct acpi_dmar_pci_path step;
    if (!tables_copy(reader, entry, &scope, sizeof(scope), sizeof(scope) + sizeof(step)))
        return;
    memcpy(&step, entry->at + sizeof(scope), sizeof(step));
    if (entry->bytes >= sizeof(scope) + 2 * sizeof(step))
        return;
    uint32_t requester =
        (uint32_t)scope.bus << 8 | (uint32_t)(step.device & 31) << 3 | (step.function & 7);
    if (type == SCOPE_IO_APIC) {
        uint32_t apic = tables_node(reader, HWTREE_CONTROLLER, is_io_apic, scope.enumeration_id);
        if (apic == HWTREE_NONE)
            tables_problem(reader, entry, HWTREE_NO_TARGET);
        else
            add_id(reader, apic, unit, 0, 1, requester);
    } else if (host != HWTREE_NONE && (type == SCOPE_ENDPOINT || type == SCOPE_BRIDGE)) {
        add_id(reader, host, unit, requester, 1, requester);
    }
}

static void read_unit(struct acpi_reader *reader, const struct acpi_piece *entry)
{
    struct acpi_dmar_hardware_unit unit;
    if (!tables_copy(reader, entry, &unit, sizeof(unit), sizeof(unit)))
        return;
    uint32_t node = tables_add(reader, entry, "iommu",
                               &(struct hwtree_range){.base = unit.address, .bytes = UNIT_BYTES});
    if (node == HWTREE_NONE)
        return;
    bool all = (unit.flags & ACPI_DMAR_INCLUDE_ALL) != 0;
    hwtree_edit(reader->builder, node)->kind = HWTREE_IOMMU;
    hwtree_edit(reader->builder, node)->iommu = (struct hwtree_iommu){
        .variant = HWTREE_IOMMU_DMAR, .segment = unit.segment, .everything = all};
    uint32_t host = tables_node(reader, HWTREE_PCI_HOST, tables_is_host, unit.segment);
    struct acpi_piece scope;
    uint32_t type;
    for (uint32_t at = sizeof(unit); tables_entry(reader, entry, &at, ACPI_8_8, &type, &scope);)
        read_scope(reader, node, host, type, &scope);
    // The table has such a unit last: whoever looks for a function finds the others before it.
    if (all && host != HWTREE_NONE)
        add_id(reader, host, node, 0, REQUESTERS, 0);
}

static void read_reserved(struct acpi_reader *reader, const struct acpi_piece *entry)
{
    struct acpi_dmar_reserved_memory memory;
    if (!tables_copy(reader, entry, &memory, sizeof(memory), sizeof(memory)))
        return;
    if (memory.base_address > memory.end_address) {
        tables_problem(reader, entry, HWTREE_MALFORMED);
        return;
    }
    struct hwtree_range range = {.base = memory.base_address,
                                 .bytes = memory.end_address - memory.base_address + 1};
    if (range.bytes == 0)
        return;
    uint32_t node = tables_add(reader, entry, "reserved", &range);
    if (node != HWTREE_NONE)
        hwtree_edit(reader->builder, node)->kind = HWTREE_RESERVED;
}

void tables_dmar(struct acpi_reader *reader)
{
    struct acpi_piece table = tables_find(reader, ACPI_SIG_DMAR, sizeof(struct acpi_table_dmar));
    struct acpi_piece entry;
    uint32_t type;
    for (uint32_t at = sizeof(struct acpi_table_dmar);
         tables_entry(reader, &table, &at, ACPI_16_16, &type, &entry);) {
        if (type == ACPI_DMAR_TYPE_HARDWARE_UNIT)
            read_unit(reader, &entry);
        else if (type == ACPI_DMAR_TYPE_RESERVED_MEMORY)
            read_reserved(reader, &entry);
    }
}
