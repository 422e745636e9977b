// SPDX-License-Identifier: MIT
//
// The PPTT: which CPUs are threads of one core, cores of one cluster, clusters of one socket. ACPI 6.5,
// 5.2.30. Nodes refer to the ones above by their offsets in the table; a node without one is a socket.
// Numbers are those of the order in the table, among the nodes of one parent.
#include <lib/string.h>

#include "acpi_reader.h"

constexpr unsigned PROCESSORS = 512;
constexpr unsigned LEVELS = 8;

struct processor {
    uint32_t offset, parent, flags, id;
    uint16_t place; // among the nodes of its parent
};

struct pptt {
    struct acpi_reader *reader;
    struct processor all[PROCESSORS];
    unsigned count;
};

static const struct processor *find(const struct pptt *pptt, uint32_t offset)
{
    for (unsigned i = 0; i < pptt->count; i++)
        if (pptt->all[i].offset == offset)
            return &pptt->all[i];
    return nullptr;
}

static void list(struct pptt *pptt, const struct acpi_piece *table)
{
    struct acpi_piece entry;
    uint32_t type, at = sizeof(struct acpi_table_header);
    while (tables_entry(pptt->reader, table, &at, ACPI_8_8, &type, &entry)) {
        struct acpi_pptt_processor p;
        if (type != ACPI_PPTT_TYPE_PROCESSOR ||
            !tables_copy(pptt->reader, &entry, &p, sizeof(p), sizeof(p)))
            continue;
        if (pptt->count == PROCESSORS || !hwtree_work(pptt->reader->builder, pptt->count)) {
            tables_problem(pptt->reader, &entry, HWTREE_NO_ROOM);
            return;
        }
        struct processor *new = &pptt->all[pptt->count];
        *new = (struct processor){entry.offset, p.parent, p.flags, p.acpi_processor_id, 0};
        for (unsigned i = 0; i < pptt->count; i++)
            new->place += pptt->all[i].parent == p.parent;
        pptt->count++;
    }
}

static bool has_uid(const struct hwtree_node *node, uint64_t uid)
{
    return node->cpu.uid == uid;
}

// From the CPU upwards: a thread, if it says so; then a core; then clusters, of which the lowest
// counts; then the socket.
static void place_cpu(struct pptt *pptt, const struct processor *cpu)
{
    uint32_t node = tables_node(pptt->reader, HWTREE_CPU, has_uid, cpu->id);
    if (node == HWTREE_NONE || !hwtree_work(pptt->reader->builder, LEVELS * pptt->count))
        return;
    struct hwtree_cpu *facts = &hwtree_edit(pptt->reader->builder, node)->cpu;
    uint16_t *steps[] = {&facts->thread, &facts->core, &facts->cluster};
    unsigned step = (cpu->flags & ACPI_PPTT_ACPI_PROCESSOR_IS_THREAD) != 0 ? 0 : 1;
    for (unsigned level = 0; cpu != nullptr && level < LEVELS; level++) {
        if ((cpu->flags & ACPI_PPTT_PHYSICAL_PACKAGE) != 0) {
            facts->socket = cpu->place;
            return;
        }
        if (step < 3)
            *steps[step++] = cpu->place;
        cpu = cpu->parent != 0 ? find(pptt, cpu->parent) : nullptr;
    }
}

void tables_pptt(struct acpi_reader *reader)
{
    struct acpi_piece table = tables_find(reader, ACPI_SIG_PPTT, sizeof(struct acpi_table_header));
    if (table.at == nullptr)
        return;
    struct pptt pptt = {.reader = reader};
    list(&pptt, &table);
    constexpr uint32_t cpu = ACPI_PPTT_ACPI_PROCESSOR_ID_VALID | ACPI_PPTT_ACPI_LEAF_NODE;
    for (unsigned i = 0; i < pptt.count; i++)
        if ((pptt.all[i].flags & cpu) == cpu)
            place_cpu(&pptt, &pptt.all[i]);
}
