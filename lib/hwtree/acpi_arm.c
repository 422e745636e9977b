// SPDX-License-Identifier: MIT
//
// GTDT and IORT: the timers of Arm machines, and which ids devices have at SMMUs and ITSs; PSCI, and
// performance counters. ACPI
// 6.5, 5.2.25; Arm DEN 0049E, "IO Remapping Table".
#include <lib/string.h>

#include "acpi_reader.h"

// ---- timers

static void add_timer_interrupt(struct acpi_reader *reader, const struct acpi_piece *table,
                                uint32_t node, uint32_t gsi, uint32_t flags, const char *name)
{
    struct hwtree_interrupt interrupt;
    if (gsi == 0 || !tables_gsi(reader, table, gsi, &interrupt))
        return;
    bool edge = (flags & ACPI_GTDT_INTERRUPT_MODE) != 0;
    bool low = (flags & ACPI_GTDT_INTERRUPT_POLARITY) != 0;
    interrupt.trigger = edge ? HWTREE_TRIGGER_EDGE : HWTREE_TRIGGER_LEVEL;
    interrupt.polarity = low ? HWTREE_POLARITY_LOW : HWTREE_POLARITY_HIGH;
    interrupt.name = tables_text(reader, name);
    hwtree_add_interrupt(reader->builder, node, &interrupt);
}

static void read_timer_blocks(struct acpi_reader *reader, const struct acpi_piece *table,
                              const struct acpi_table_gtdt *gtdt)
{
    struct acpi_piece entry;
    struct acpi_gtdt_timer_block block;
    uint32_t type, at = gtdt->platform_timer_offset;
    for (uint32_t i = 0; i < gtdt->platform_timer_count && at < table->bytes &&
                         tables_entry(reader, table, &at, ACPI_8_16, &type, &entry);
         i++) {
        if (type != ACPI_GTDT_TYPE_TIMER_BLOCK ||
            !tables_copy(reader, &entry, &block, sizeof(block), sizeof(block)))
            continue;
        uint32_t node =
            tables_add(reader, &entry, "timer",
                       &(struct hwtree_range){.base = block.block_address, .bytes = 0x1000});
        if (node == HWTREE_NONE)
            return;
        hwtree_edit(reader->builder, node)->kind = HWTREE_TIMER;
        hwtree_edit(reader->builder, node)->timer.variant = HWTREE_TIMER_ARM_FRAMES;
    }
}

void tables_gtdt(struct acpi_reader *reader)
{
    struct acpi_table_gtdt gtdt;
    struct acpi_piece table = tables_find(reader, ACPI_SIG_GTDT, sizeof(gtdt));
    if (table.at == nullptr || !tables_copy(reader, &table, &gtdt, sizeof(gtdt), sizeof(gtdt)))
        return;
    uint32_t node = hwtree_add_named(reader->builder, 0, "timer");
    if (node == HWTREE_NONE)
        return;
    hwtree_add_compatible(reader->builder, node, "arm,armv8-timer", sizeof("arm,armv8-timer"));
    hwtree_edit(reader->builder, node)->kind = HWTREE_TIMER;
    hwtree_edit(reader->builder, node)->timer.variant = HWTREE_TIMER_ARM;
    add_timer_interrupt(reader, &table, node, gtdt.secure_el1_interrupt, gtdt.secure_el1_flags,
                        "sec-phys");
    add_timer_interrupt(reader, &table, node, gtdt.non_secure_el1_interrupt,
                        gtdt.non_secure_el1_flags, "phys");
    add_timer_interrupt(reader, &table, node, gtdt.virtual_timer_interrupt,
                        gtdt.virtual_timer_flags, "virt");
    add_timer_interrupt(reader, &table, node, gtdt.non_secure_el2_interrupt,
                        gtdt.non_secure_el2_flags, "hyp-phys");
    read_timer_blocks(reader, &table, &gtdt);
}

// ---- what has a table of its own in none

void tables_psci(struct acpi_reader *reader)
{
    uint32_t node = hwtree_add_named(reader->builder, 0, "psci");
    if (node != HWTREE_NONE)
        hwtree_add_compatible(reader->builder, node, "arm,psci-0.2", sizeof("arm,psci-0.2"));
}

void tables_pmu(struct acpi_reader *reader, const struct acpi_piece *piece, uint32_t gsi, bool edge)
{
    const struct hwtree *tree = reader->tree;
    struct hwtree_interrupt interrupt;
    uint32_t node = hwtree_compatible(tree, HWTREE_NONE, "arm,armv8-pmuv3");
    // Each CPU says it again, and a line of its own has the same number at all of them.
    for (uint32_t i = 0; node != HWTREE_NONE && i < hwtree_node(tree, node)->interrupts.count; i++)
        if (hwtree_interrupt(tree, node, i)->line == gsi || !hwtree_work(reader->builder, 1))
            return;
    if (!tables_gsi(reader, piece, gsi, &interrupt))
        return;
    if (node == HWTREE_NONE) {
        node = hwtree_add_named(reader->builder, 0, "pmu");
        if (node == HWTREE_NONE)
            return;
        hwtree_add_compatible(reader->builder, node, "arm,armv8-pmuv3", sizeof("arm,armv8-pmuv3"));
    }
    interrupt.trigger = edge ? HWTREE_TRIGGER_EDGE : HWTREE_TRIGGER_LEVEL;
    interrupt.polarity = HWTREE_POLARITY_HIGH;
    hwtree_add_interrupt(reader->builder, node, &interrupt);
}

// ---- IORT: nodes refer to each other by their offsets in the table

constexpr unsigned IORT_NODES = 64;
constexpr size_t HEAD = offsetof(struct acpi_iort_node, node_data);

struct iort {
    struct acpi_reader *reader;
    struct acpi_piece table;
    struct {
        struct acpi_piece piece;
        uint8_t type;
        uint32_t node; // in the tree, or HWTREE_NONE
    } nodes[IORT_NODES];
    unsigned count;
};

static bool is_its(const struct hwtree_node *node, uint64_t id)
{
    return node->controller.variant == HWTREE_CONTROLLER_GIC_ITS && node->controller.id == id;
}

// Not said of them is the trigger; the architecture has edges (Arm IHI 0070, 3.18.1).
static void add_smmu_facts(struct iort *iort, uint32_t node, const struct acpi_piece *piece,
                           const struct acpi_iort_smmu_v3 *smmu)
{
    const struct {
        uint32_t gsi;
        const char *name;
    } lines[] = {{smmu->event_gsiv, "eventq"},
                 {smmu->pri_gsiv, "priq"},
                 {smmu->sync_gsiv, "cmdq-sync"},
                 {smmu->gerr_gsiv, "gerror"}};
    struct hwtree_interrupt interrupt;
    for (unsigned i = 0; i < 4; i++) {
        if (lines[i].gsi == 0 || !tables_gsi(iort->reader, piece, lines[i].gsi, &interrupt))
            continue;
        interrupt.trigger = HWTREE_TRIGGER_EDGE;
        interrupt.polarity = HWTREE_POLARITY_HIGH;
        interrupt.name = tables_text(iort->reader, lines[i].name);
        hwtree_add_interrupt(iort->reader->builder, node, &interrupt);
    }
    if ((smmu->flags & ACPI_IORT_SMMU_V3_COHACC_OVERRIDE) != 0)
        hwtree_edit(iort->reader->builder, node)->flags |= HWTREE_COHERENT;
}

static uint32_t add_smmu(struct iort *iort, uint8_t type, const struct acpi_piece *piece)
{
    struct acpi_iort_smmu smmu;
    struct acpi_iort_smmu_v3 v3;
    struct acpi_piece data = tables_part(iort->reader, piece, HEAD, piece->bytes - HEAD);
    struct hwtree_range range = {};
    if (type == ACPI_IORT_NODE_SMMU_V3) {
        if (!tables_copy(iort->reader, &data, &v3, sizeof(v3), 40))
            return HWTREE_NONE;
        range = (struct hwtree_range){.base = v3.base_address, .bytes = 0x20000};
    } else {
        if (!tables_copy(iort->reader, &data, &smmu, sizeof(smmu), 20))
            return HWTREE_NONE;
        range = (struct hwtree_range){.base = smmu.base_address, .bytes = smmu.span};
    }
    if (range.bytes == 0) {
        tables_problem(iort->reader, piece, HWTREE_MALFORMED);
        return HWTREE_NONE;
    }
    uint32_t node = tables_add(iort->reader, piece, "iommu", &range);
    if (node == HWTREE_NONE)
        return node;
    const char *name = type == ACPI_IORT_NODE_SMMU_V3 ? "arm,smmu-v3" : "arm,smmu-v2";
    hwtree_add_compatible(iort->reader->builder, node, name, strlen(name));
    hwtree_edit(iort->reader->builder, node)->kind = HWTREE_IOMMU;
    hwtree_edit(iort->reader->builder, node)->iommu.variant =
        type == ACPI_IORT_NODE_SMMU_V3 ? HWTREE_IOMMU_SMMUV3 : HWTREE_IOMMU_SMMU;
    if (type == ACPI_IORT_NODE_SMMU_V3)
        add_smmu_facts(iort, node, piece, &v3);
    return node;
}

// The first ITS of a group that the MADT names: each of a group takes what is sent to any of it.
static uint32_t find_its(struct iort *iort, const struct acpi_piece *data)
{
    uint32_t count, id, node = HWTREE_NONE;
    if (!tables_copy(iort->reader, data, &count, sizeof(count), sizeof(count)))
        return node;
    for (uint32_t i = 0; i < count && node == HWTREE_NONE; i++) {
        struct acpi_piece part = tables_part(iort->reader, data, 4 + (uint64_t)i * 4, sizeof(id));
        if (part.at == nullptr || !hwtree_work(iort->reader->builder, 1))
            break;
        memcpy(&id, part.at, sizeof(id));
        node = tables_node(iort->reader, HWTREE_CONTROLLER, is_its, id);
    }
    return node;
}

// The node of the tree that an IORT node is about.
static uint32_t find_node(struct iort *iort, uint8_t type, const struct acpi_piece *piece)
{
    struct acpi_iort_root_complex root;
    struct acpi_piece data = tables_part(iort->reader, piece, HEAD, piece->bytes - HEAD);
    uint32_t node;
    switch (type) {
    case ACPI_IORT_NODE_SMMU:
    case ACPI_IORT_NODE_SMMU_V3:
        return add_smmu(iort, type, piece);
    case ACPI_IORT_NODE_ITS_GROUP:
        node = find_its(iort, &data);
        break;
    case ACPI_IORT_NODE_PCI_ROOT_COMPLEX:
        if (!tables_copy(iort->reader, &data, &root, sizeof(root), 16))
            return HWTREE_NONE;
        node = tables_node(iort->reader, HWTREE_PCI_HOST, tables_is_host, root.pci_segment_number);
        break;
    default: // named components are told by AML
        return HWTREE_NONE;
    }
    if (node == HWTREE_NONE)
        tables_problem(iort->reader, piece, HWTREE_NO_TARGET);
    return node;
}

static void list_nodes(struct iort *iort, uint32_t count, uint32_t at)
{
    for (uint32_t i = 0; i < count; i++) {
        struct acpi_iort_node head;
        struct acpi_piece entry;
        uint32_t type;
        if (!tables_entry(iort->reader, &iort->table, &at, ACPI_8_16, &type, &entry)) {
            if (entry.at == nullptr && at >= iort->table.bytes)
                tables_problem(iort->reader, &entry, HWTREE_MALFORMED); // fewer than it says
            return;
        }
        if (!tables_copy(iort->reader, &entry, &head, HEAD, HEAD))
            return;
        if (iort->count == IORT_NODES) {
            tables_problem(iort->reader, &entry, HWTREE_NO_ROOM);
            return;
        }
        iort->nodes[iort->count].piece = entry;
        iort->nodes[iort->count].type = (uint8_t)type;
        iort->nodes[iort->count++].node = find_node(iort, (uint8_t)type, &entry);
    }
}

static int by_offset(const struct iort *iort, uint32_t offset)
{
    for (unsigned i = 0; i < iort->count; i++)
        if (iort->nodes[i].piece.offset == offset)
            return (int)i;
    return -1;
}

// Row `index` of a node's mappings. false: there is none, or it is broken.
static bool mapping(struct iort *iort, unsigned node, uint32_t index,
                    struct acpi_iort_id_mapping *row)
{
    struct acpi_iort_node head;
    const struct acpi_piece *piece = &iort->nodes[node].piece;
    memcpy(&head, piece->at, HEAD);
    if (index >= head.mapping_count || !hwtree_work(iort->reader->builder, 1))
        return false;
    struct acpi_piece part = tables_part(
        iort->reader, piece, head.mapping_offset + (uint64_t)index * sizeof(*row), sizeof(*row));
    if (part.at == nullptr)
        return false;
    memcpy(row, part.at, sizeof(*row));
    if (row->id_count == UINT32_MAX || row->id_count > UINT32_MAX - row->input_base ||
        row->id_count > UINT32_MAX - row->output_base) {
        tables_problem(iort->reader, &part, HWTREE_MALFORMED);
        return false;
    }
    return true;
}

static void add_id(struct iort *iort, uint32_t host, enum hwtree_id_kind kind, uint32_t target,
                   uint32_t input, uint32_t count, uint32_t output)
{
    struct hwtree_id id = {.kind = kind,
                           .target = target,
                           .input = input,
                           .input_mask = UINT32_MAX,
                           .count = count,
                           .output = output};
    hwtree_add_id(iort->reader->builder, host, &id);
}

// What the SMMU sends on: its output ids, which are part of the row's outputs, at an ITS.
static void through_smmu(struct iort *iort, uint32_t host, unsigned smmu,
                         const struct acpi_iort_id_mapping *row)
{
    struct acpi_iort_id_mapping up;
    for (uint32_t i = 0; mapping(iort, smmu, i, &up); i++) {
        int target = by_offset(iort, up.output_reference);
        if ((up.flags & ACPI_IORT_ID_SINGLE_MAPPING) != 0) // for its own messages
            continue;
        if (target < 0 || iort->nodes[target].type != ACPI_IORT_NODE_ITS_GROUP) {
            tables_problem(iort->reader, &iort->nodes[smmu].piece, HWTREE_NO_TARGET);
            continue;
        }
        uint32_t first = row->output_base > up.input_base ? row->output_base : up.input_base;
        uint32_t row_last = row->output_base + row->id_count;
        uint32_t up_last = up.input_base + up.id_count;
        uint32_t last = row_last < up_last ? row_last : up_last;
        if (first <= last && iort->nodes[target].node != HWTREE_NONE)
            add_id(iort, host, HWTREE_ID_MSI, iort->nodes[target].node,
                   row->input_base + (first - row->output_base), last - first + 1,
                   up.output_base + (first - up.input_base));
    }
}

static void read_root(struct iort *iort, unsigned root)
{
    struct acpi_iort_id_mapping row;
    uint32_t host = iort->nodes[root].node;
    for (uint32_t i = 0; host != HWTREE_NONE && mapping(iort, root, i, &row); i++) {
        int target = by_offset(iort, row.output_reference);
        if (target < 0) {
            tables_problem(iort->reader, &iort->nodes[root].piece, HWTREE_NO_TARGET);
            continue;
        }
        uint32_t node = iort->nodes[target].node;
        uint8_t type = iort->nodes[target].type;
        bool smmu = type == ACPI_IORT_NODE_SMMU || type == ACPI_IORT_NODE_SMMU_V3;
        if (!smmu && type != ACPI_IORT_NODE_ITS_GROUP)
            tables_problem(iort->reader, &iort->nodes[root].piece, HWTREE_NO_TARGET);
        else if (node != HWTREE_NONE)
            add_id(iort, host, smmu ? HWTREE_ID_IOMMU : HWTREE_ID_MSI, node, row.input_base,
                   row.id_count + 1, row.output_base);
        if (smmu)
            through_smmu(iort, host, (unsigned)target, &row);
    }
}

void tables_iort(struct acpi_reader *reader)
{
    struct acpi_table_iort header;
    struct iort iort = {.reader = reader,
                        .table = tables_find(reader, ACPI_SIG_IORT, sizeof(header))};
    if (iort.table.at == nullptr)
        return;
    memcpy(&header, iort.table.at, sizeof(header));
    list_nodes(&iort, header.node_count, header.node_offset);
    for (unsigned i = 0; i < iort.count; i++)
        if (iort.nodes[i].type == ACPI_IORT_NODE_PCI_ROOT_COMPLEX)
            read_root(&iort, i);
}
