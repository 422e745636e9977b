// SPDX-License-Identifier: MIT
//
// SRAT and SLIT: which memory, CPUs and controllers are near each other. ACPI 6.5, 5.2.16, 5.2.17.
#include <lib/string.h>

#include "acpi_reader.h"

constexpr uint64_t LOCALITIES_MAX = 256;

static bool has_id(const struct hwtree_node *node, uint64_t id)
{
    return node->cpu.id == id;
}

static bool has_uid(const struct hwtree_node *node, uint64_t uid)
{
    return node->cpu.uid == uid;
}

static bool is_its(const struct hwtree_node *node, uint64_t id)
{
    return node->controller.variant == HWTREE_CONTROLLER_GIC_ITS && node->controller.id == id;
}

static void place(struct acpi_reader *reader, const struct acpi_piece *entry, enum hwtree_kind kind,
                  tables_is *is, uint64_t value, uint32_t domain)
{
    uint32_t node = tables_node(reader, kind, is, value);
    if (!hwtree_work(reader->builder, hwtree_count(reader->tree, HWTREE_NODES)))
        return;
    if (node == HWTREE_NONE)
        tables_problem(reader, entry, HWTREE_NO_TARGET);
    else
        hwtree_edit(reader->builder, node)->numa = domain;
}

static void read_memory(struct acpi_reader *reader, const struct acpi_piece *entry)
{
    struct acpi_srat_mem_affinity memory;
    if (!tables_copy(reader, entry, &memory, sizeof(memory), sizeof(memory)) ||
        (memory.flags & ACPI_SRAT_MEM_ENABLED) == 0 || memory.length == 0)
        return;
    uint32_t node =
        tables_add(reader, entry, "memory",
                   &(struct hwtree_range){.base = memory.base_address, .bytes = memory.length});
    if (node == HWTREE_NONE)
        return;
    struct hwtree_node *n = hwtree_edit(reader->builder, node);
    n->kind = HWTREE_MEMORY;
    n->numa = memory.proximity_domain;
    n->memory.flags =
        ((memory.flags & ACPI_SRAT_MEM_HOT_PLUGGABLE) != 0 ? HWTREE_MEMORY_HOTPLUG : 0) |
        ((memory.flags & ACPI_SRAT_MEM_NON_VOLATILE) != 0 ? HWTREE_MEMORY_PERSISTENT : 0);
}

static void read_affinity(struct acpi_reader *reader, uint32_t type, const struct acpi_piece *entry)
{
    struct acpi_srat_cpu_affinity cpu;
    struct acpi_srat_x2apic_cpu_affinity x2apic;
    struct acpi_srat_gicc_affinity gicc;
    struct acpi_srat_gic_its_affinity its;
    if (type == ACPI_SRAT_TYPE_MEMORY_AFFINITY) {
        read_memory(reader, entry);
    } else if (type == ACPI_SRAT_TYPE_CPU_AFFINITY &&
               tables_copy(reader, entry, &cpu, sizeof(cpu), sizeof(cpu)) &&
               (cpu.flags & ACPI_SRAT_CPU_USE_AFFINITY) != 0) {
        uint32_t domain = cpu.proximity_domain_lo;
        for (unsigned i = 0; i < 3; i++)
            domain |= (uint32_t)cpu.proximity_domain_hi[i] << (8 * (i + 1));
        place(reader, entry, HWTREE_CPU, has_id, cpu.apic_id, domain);
    } else if (type == ACPI_SRAT_TYPE_X2APIC_CPU_AFFINITY &&
               tables_copy(reader, entry, &x2apic, sizeof(x2apic), sizeof(x2apic)) &&
               (x2apic.flags & ACPI_SRAT_CPU_ENABLED) != 0) {
        place(reader, entry, HWTREE_CPU, has_id, x2apic.apic_id, x2apic.proximity_domain);
    } else if (type == ACPI_SRAT_TYPE_GICC_AFFINITY &&
               tables_copy(reader, entry, &gicc, sizeof(gicc), sizeof(gicc)) &&
               (gicc.flags & ACPI_SRAT_GICC_ENABLED) != 0) {
        place(reader, entry, HWTREE_CPU, has_uid, gicc.acpi_processor_uid, gicc.proximity_domain);
    } else if (type == ACPI_SRAT_TYPE_GIC_ITS_AFFINITY &&
               tables_copy(reader, entry, &its, sizeof(its), sizeof(its))) {
        place(reader, entry, HWTREE_CONTROLLER, is_its, its.its_id, its.proximity_domain);
    }
}

static void read_slit(struct acpi_reader *reader)
{
    struct acpi_table_slit slit;
    const size_t head = offsetof(struct acpi_table_slit, entry);
    struct acpi_piece table = tables_find(reader, ACPI_SIG_SLIT, (uint32_t)head);
    if (table.at == nullptr)
        return;
    memcpy(&slit, table.at, head);
    uint64_t count = slit.locality_count;
    if (count > LOCALITIES_MAX || count * count > table.bytes - head) {
        tables_problem(reader, &table, HWTREE_MALFORMED);
        return;
    }
    const uint8_t *matrix = (const uint8_t *)table.at + head;
    for (uint32_t from = 0; from < count; from++)
        for (uint32_t to = 0; to < count && hwtree_work(reader->builder, 1); to++)
            hwtree_add_distance(reader->builder, from, to, matrix[from * count + to]);
}

void tables_numa(struct acpi_reader *reader)
{
    struct acpi_piece table = tables_find(reader, ACPI_SIG_SRAT, sizeof(struct acpi_table_srat));
    struct acpi_piece entry;
    uint32_t type;
    for (uint32_t at = sizeof(struct acpi_table_srat);
         tables_entry(reader, &table, &at, ACPI_8_8, &type, &entry);)
        read_affinity(reader, type, &entry);
    read_slit(reader);
}
