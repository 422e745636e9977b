// SPDX-License-Identifier: MIT
//
// The MADT: CPUs, interrupt controllers, and how the ISA bus is wired to them. ACPI 6.5, 5.2.12.
#include <lib/string.h>

#include "acpi_reader.h"

constexpr uint64_t LOCAL_APIC_BYTES = 0x1000, IO_APIC_BYTES = 0x1000;
constexpr uint64_t GICV2_DISTRIBUTOR_BYTES = 0x1000, GICV2_INTERFACE_BYTES = 0x2000;
constexpr uint64_t GICV3_DISTRIBUTOR_BYTES = 0x10000, GICV3_REDISTRIBUTOR_BYTES = 0x20000;
constexpr uint64_t ITS_BYTES = 0x20000, FRAME_BYTES = 0x1000;
constexpr uint32_t ALL_PROCESSORS = 0xff; // of a local APIC's NMI
// ACPI 5.1's GICC, which ends before what came later.
constexpr size_t GICC_BYTES_LEAST = 76;
constexpr uint16_t FADT_PSCI = 1 << 0;

struct madt {
    struct acpi_reader *reader;
    struct acpi_piece table;
    uint32_t cpus;       // the node of all of them
    uint32_t local_apic; // the node that stands for all of them
    uint32_t gic, isa;
    uint8_t gic_version;
    bool psci;
};

static bool any(const struct hwtree_node *node, uint64_t value)
{
    (void)node;
    (void)value;
    return true;
}

// ---- CPUs

static void add_cpu(struct madt *madt, uint64_t id, uint32_t uid, uint32_t flags,
                    enum hwtree_method method, uint64_t release)
{
    struct hwtree_builder *builder = madt->reader->builder;
    if (madt->cpus == HWTREE_NONE)
        madt->cpus = hwtree_add_named(builder, 0, "cpus");
    uint32_t node = madt->cpus == HWTREE_NONE
                        ? HWTREE_NONE
                        : hwtree_add_named(builder, madt->cpus, "cpu@%llx", (unsigned long long)id);
    if (node == HWTREE_NONE)
        return;
    struct hwtree_node *cpu = hwtree_edit(builder, node);
    cpu->kind = HWTREE_CPU;
    cpu->cpu = (struct hwtree_cpu){.id = id,
                                   .release = release,
                                   .uid = uid,
                                   .socket = HWTREE_NO_PLACE,
                                   .cluster = HWTREE_NO_PLACE,
                                   .core = HWTREE_NO_PLACE,
                                   .thread = HWTREE_NO_PLACE,
                                   .method = method};
    // By that number others know it, as by the "reg" of a device tree.
    hwtree_add_range(builder, node, &(struct hwtree_range){.base = id, .space = HWTREE_SPACE_BUS},
                     ACPI_SIG_MADT);
    cpu = hwtree_edit(builder, node);
    if ((flags & ACPI_MADT_ENABLED) == 0) { // a place where one may be put
        cpu->status = HWTREE_DISABLED;
        cpu->flags = 0;
    }
}

static void read_gicc(struct madt *madt, const struct acpi_piece *entry)
{
    struct acpi_madt_generic_interrupt gicc;
    if (!tables_copy(madt->reader, entry, &gicc, sizeof(gicc), GICC_BYTES_LEAST))
        return;
    enum hwtree_method method = madt->psci                 ? HWTREE_PSCI
                                : gicc.parked_address != 0 ? HWTREE_PARKED
                                                           : HWTREE_RUNNING;
    add_cpu(madt, gicc.arm_mpidr, gicc.uid, gicc.flags, method,
            method == HWTREE_PARKED ? gicc.parked_address : 0);
    if (gicc.performance_interrupt != 0 && (gicc.flags & ACPI_MADT_ENABLED) != 0)
        tables_pmu(madt->reader, entry, gicc.performance_interrupt,
                   (gicc.flags & ACPI_MADT_PERFORMANCE_IRQ_MODE) != 0);
}

// ---- the GIC

static void add_gic_range(struct madt *madt, const struct acpi_piece *piece, uint64_t base,
                          uint64_t bytes)
{
    const struct hwtree *tree = madt->reader->tree;
    if (base == 0 || madt->gic == HWTREE_NONE)
        return;
    if (bytes == 0) {
        tables_problem(madt->reader, piece, HWTREE_MALFORMED);
        return;
    }
    // Each CPU may say the same again.
    for (uint32_t i = 0; i < hwtree_node(tree, madt->gic)->ranges.count; i++)
        if (hwtree_range(tree, madt->gic, i)->base == base ||
            !hwtree_work(madt->reader->builder, 1))
            return;
    hwtree_add_range(madt->reader->builder, madt->gic,
                     &(struct hwtree_range){.base = base, .bytes = bytes}, piece->table);
}

static void add_gic_parts(struct madt *madt, uint32_t type, const struct acpi_piece *entry)
{
    struct acpi_madt_generic_redistributor gicr;
    struct acpi_madt_generic_interrupt gicc;
    if (type == ACPI_MADT_TYPE_GENERIC_REDISTRIBUTOR &&
        tables_copy(madt->reader, entry, &gicr, sizeof(gicr), sizeof(gicr))) {
        add_gic_range(madt, entry, gicr.base_address, gicr.length);
    } else if (type == ACPI_MADT_TYPE_GENERIC_INTERRUPT && entry->bytes >= GICC_BYTES_LEAST &&
               tables_copy(madt->reader, entry, &gicc, sizeof(gicc), GICC_BYTES_LEAST)) {
        if (madt->gic_version <= ACPI_MADT_GIC_VERSION_V2)
            add_gic_range(madt, entry, gicc.base_address, GICV2_INTERFACE_BYTES);
        else
            add_gic_range(madt, entry, gicc.gicr_base_address,
                          madt->gic_version == ACPI_MADT_GIC_VERSION_V4
                              ? 2 * GICV3_REDISTRIBUTOR_BYTES
                              : GICV3_REDISTRIBUTOR_BYTES);
    }
}

// Before ACPI 6.0 no version is said: redistributors tell a GICv3.
static uint8_t guess_version(struct madt *madt)
{
    struct acpi_piece entry;
    struct acpi_madt_generic_interrupt gicc;
    uint32_t type;
    for (uint32_t at = sizeof(struct acpi_table_madt);
         tables_entry(madt->reader, &madt->table, &at, ACPI_8_8, &type, &entry);) {
        if (type == ACPI_MADT_TYPE_GENERIC_REDISTRIBUTOR)
            return ACPI_MADT_GIC_VERSION_V3;
        if (type == ACPI_MADT_TYPE_GENERIC_INTERRUPT && entry.bytes >= GICC_BYTES_LEAST &&
            tables_copy(madt->reader, &entry, &gicc, sizeof(gicc), GICC_BYTES_LEAST) &&
            gicc.gicr_base_address != 0)
            return ACPI_MADT_GIC_VERSION_V3;
    }
    return ACPI_MADT_GIC_VERSION_V2;
}

static void read_gicd(struct madt *madt, const struct acpi_piece *entry)
{
    struct acpi_madt_generic_distributor gicd;
    struct hwtree_builder *builder = madt->reader->builder;
    if (!tables_copy(madt->reader, entry, &gicd, sizeof(gicd), sizeof(gicd)))
        return;
    if (madt->gic != HWTREE_NONE || gicd.version > ACPI_MADT_GIC_VERSION_V4) {
        tables_problem(madt->reader, entry,
                       madt->gic != HWTREE_NONE ? HWTREE_DUPLICATE : HWTREE_MALFORMED);
        return;
    }
    madt->gic_version =
        gicd.version != ACPI_MADT_GIC_VERSION_NONE ? gicd.version : guess_version(madt);
    bool v3 = madt->gic_version >= ACPI_MADT_GIC_VERSION_V3;
    struct hwtree_range range = {.base = gicd.base_address,
                                 .bytes = v3 ? GICV3_DISTRIBUTOR_BYTES : GICV2_DISTRIBUTOR_BYTES};
    madt->gic = tables_add(madt->reader, entry, "interrupt-controller", &range);
    if (madt->gic == HWTREE_NONE)
        return;
    const char *name = v3 ? "arm,gic-v3" : "arm,gic-400";
    hwtree_add_compatible(builder, madt->gic, name, strlen(name));
    struct hwtree_node *node = hwtree_edit(builder, madt->gic);
    node->kind = HWTREE_CONTROLLER;
    node->controller = (struct hwtree_controller){.variant = v3 ? HWTREE_CONTROLLER_GICV3
                                                                : HWTREE_CONTROLLER_GICV2,
                                                  .line_first = gicd.global_irq_base,
                                                  .id = HWTREE_NONE, // nobody names it by one
                                                  .gic_lines = 1};
    builder->tree->controller = madt->gic;
}

// An ITS or a frame, below the GIC.
static void add_message_controller(struct madt *madt, const struct acpi_piece *entry, uint64_t base,
                                   uint64_t bytes, const struct hwtree_controller *controller)
{
    struct hwtree_builder *builder = madt->reader->builder;
    if (madt->gic == HWTREE_NONE || base == 0) {
        tables_problem(madt->reader, entry, base == 0 ? HWTREE_MALFORMED : HWTREE_NOT_CONTROLLER);
        return;
    }
    bool its = controller->variant == HWTREE_CONTROLLER_GIC_ITS;
    uint32_t node =
        hwtree_add_named(builder, madt->gic, "msi-controller@%llx", (unsigned long long)base);
    if (node == HWTREE_NONE)
        return;
    const char *name = its ? "arm,gic-v3-its" : "arm,gic-v2m-frame";
    hwtree_add_compatible(builder, node, name, strlen(name));
    hwtree_edit(builder, node)->kind = HWTREE_CONTROLLER;
    hwtree_edit(builder, node)->controller = *controller;
    hwtree_add_range(builder, node, &(struct hwtree_range){.base = base, .bytes = bytes},
                     entry->table);
}

static void read_message_controller(struct madt *madt, uint32_t type,
                                    const struct acpi_piece *entry)
{
    struct acpi_madt_generic_translator its;
    struct acpi_madt_generic_msi_frame frame;
    if (type == ACPI_MADT_TYPE_GENERIC_TRANSLATOR &&
        tables_copy(madt->reader, entry, &its, sizeof(its), sizeof(its))) {
        add_message_controller(madt, entry, its.base_address, ITS_BYTES,
                               &(struct hwtree_controller){.variant = HWTREE_CONTROLLER_GIC_ITS,
                                                           .id = its.translation_id});
    } else if (type == ACPI_MADT_TYPE_GENERIC_MSI_FRAME &&
               tables_copy(madt->reader, entry, &frame, sizeof(frame), sizeof(frame))) {
        bool said = (frame.flags & ACPI_MADT_OVERRIDE_SPI_VALUES) != 0;
        add_message_controller(madt, entry, frame.base_address, FRAME_BYTES,
                               &(struct hwtree_controller){.variant = HWTREE_CONTROLLER_GIC_FRAME,
                                                           .line_first = said ? frame.spi_base : 0,
                                                           .line_count = said ? frame.spi_count : 0,
                                                           .id = HWTREE_NONE});
    }
}

// ---- APICs

static void read_io_apic(struct madt *madt, const struct acpi_piece *entry)
{
    struct acpi_madt_io_apic apic;
    if (!tables_copy(madt->reader, entry, &apic, sizeof(apic), sizeof(apic)))
        return;
    uint32_t node =
        tables_add(madt->reader, entry, "io-apic",
                   &(struct hwtree_range){.base = apic.address, .bytes = IO_APIC_BYTES});
    if (node == HWTREE_NONE)
        return;
    struct hwtree_node *n = hwtree_edit(madt->reader->builder, node);
    n->kind = HWTREE_CONTROLLER;
    n->controller = (struct hwtree_controller){
        .variant = HWTREE_CONTROLLER_IO_APIC, .line_first = apic.global_irq_base, .id = apic.id};
    if (madt->reader->tree->controller == HWTREE_NONE)
        madt->reader->builder->tree->controller = node;
}

// One node stands for the local APICs of all CPUs: their registers are at the same address.
static void add_local_apic(struct madt *madt, uint64_t address)
{
    struct acpi_piece entry;
    uint32_t type;
    for (uint32_t at = sizeof(struct acpi_table_madt);
         tables_entry(madt->reader, &madt->table, &at, ACPI_8_8, &type, &entry);) {
        struct acpi_madt_local_apic_override over;
        if (type == ACPI_MADT_TYPE_LOCAL_APIC_OVERRIDE && entry.bytes >= sizeof(over)) {
            memcpy(&over, entry.at, sizeof(over));
            address = over.address;
        }
    }
    struct hwtree_range range = {.base = address, .bytes = LOCAL_APIC_BYTES};
    madt->local_apic = tables_add(madt->reader, &madt->table, "local-apic", &range);
    if (madt->local_apic == HWTREE_NONE)
        return;
    struct hwtree_node *node = hwtree_edit(madt->reader->builder, madt->local_apic);
    node->kind = HWTREE_CONTROLLER;
    node->controller =
        (struct hwtree_controller){.variant = HWTREE_CONTROLLER_LOCAL_APIC, .id = HWTREE_NONE};
}

// The two bits each of trigger and polarity; `level` and `low` are what the bus has.
static void set_flags(struct hwtree_interrupt *interrupt, uint16_t flags)
{
    bool level = (flags & ACPI_MADT_TRIGGER_MASK) == ACPI_MADT_TRIGGER_LEVEL;
    bool low = (flags & ACPI_MADT_POLARITY_MASK) == ACPI_MADT_POLARITY_ACTIVE_LOW;
    interrupt->trigger = level ? HWTREE_TRIGGER_LEVEL : HWTREE_TRIGGER_EDGE;
    interrupt->polarity = low ? HWTREE_POLARITY_LOW : HWTREE_POLARITY_HIGH;
}

static void read_override(struct madt *madt, const struct acpi_piece *entry)
{
    struct acpi_madt_interrupt_override over;
    struct hwtree_interrupt interrupt;
    if (!tables_copy(madt->reader, entry, &over, sizeof(over), sizeof(over)) ||
        madt->isa == HWTREE_NONE)
        return;
    if (over.bus != 0 || over.source_irq >= 16) {
        tables_problem(madt->reader, entry, HWTREE_BAD_LINE);
        return;
    }
    if (!tables_gsi(madt->reader, entry, over.global_irq, &interrupt))
        return;
    static const char names[16][6] = {"irq0",  "irq1",  "irq2",  "irq3", "irq4",  "irq5",
                                      "irq6",  "irq7",  "irq8",  "irq9", "irq10", "irq11",
                                      "irq12", "irq13", "irq14", "irq15"};
    set_flags(&interrupt, over.inti_flags);
    interrupt.name = tables_text(madt->reader, names[over.source_irq]);
    hwtree_add_interrupt(madt->reader->builder, madt->isa, &interrupt);
}

static bool has_uid(const struct hwtree_node *node, uint64_t uid)
{
    return node->cpu.uid == uid;
}

// An NMI at an I/O APIC, or at the two inputs that a local APIC has.
static void read_nmi(struct madt *madt, uint32_t type, const struct acpi_piece *entry)
{
    struct acpi_madt_nmi_source source;
    struct acpi_madt_local_apic_nmi local;
    struct hwtree_interrupt interrupt;
    uint32_t node = madt->local_apic;
    if (type == ACPI_MADT_TYPE_NMI_SOURCE) {
        if (!tables_copy(madt->reader, entry, &source, sizeof(source), sizeof(source)) ||
            !tables_gsi(madt->reader, entry, source.global_irq, &interrupt))
            return;
        set_flags(&interrupt, source.inti_flags);
        node = interrupt.controller;
    } else {
        if (!tables_copy(madt->reader, entry, &local, sizeof(local), sizeof(local)) ||
            madt->local_apic == HWTREE_NONE)
            return;
        interrupt = (struct hwtree_interrupt){.line = local.lint, .controller = madt->local_apic};
        set_flags(&interrupt, local.inti_flags);
        if (local.lint > 1) {
            tables_problem(madt->reader, entry, HWTREE_BAD_LINE);
            return;
        }
        if (local.processor_id != ALL_PROCESSORS)
            node = tables_node(madt->reader, HWTREE_CPU, has_uid, local.processor_id);
        if (node == HWTREE_NONE) {
            tables_problem(madt->reader, entry, HWTREE_NO_TARGET);
            return;
        }
    }
    interrupt.name = tables_text(madt->reader, "nmi");
    hwtree_add_interrupt(madt->reader->builder, node, &interrupt);
}

// ---- the table

// Controllers first: the others refer to them.
static void read_controllers(struct madt *madt)
{
    struct acpi_piece entry;
    uint32_t type;
    for (uint32_t at = sizeof(struct acpi_table_madt);
         tables_entry(madt->reader, &madt->table, &at, ACPI_8_8, &type, &entry);) {
        if (type == ACPI_MADT_TYPE_GENERIC_DISTRIBUTOR)
            read_gicd(madt, &entry);
        else if (type == ACPI_MADT_TYPE_IO_APIC)
            read_io_apic(madt, &entry);
    }
}

static void read_cpus_and_parts(struct madt *madt)
{
    struct acpi_piece entry;
    struct acpi_madt_local_apic apic;
    struct acpi_madt_local_x2apic x2apic;
    uint32_t type;
    for (uint32_t at = sizeof(struct acpi_table_madt);
         tables_entry(madt->reader, &madt->table, &at, ACPI_8_8, &type, &entry);) {
        if (type == ACPI_MADT_TYPE_LOCAL_APIC &&
            tables_copy(madt->reader, &entry, &apic, sizeof(apic), sizeof(apic)))
            add_cpu(madt, apic.id, apic.processor_id, apic.lapic_flags, HWTREE_INIT, 0);
        else if (type == ACPI_MADT_TYPE_LOCAL_X2APIC &&
                 tables_copy(madt->reader, &entry, &x2apic, sizeof(x2apic), sizeof(x2apic)))
            add_cpu(madt, x2apic.local_apic_id, x2apic.uid, x2apic.lapic_flags, HWTREE_INIT, 0);
        else if (type == ACPI_MADT_TYPE_GENERIC_INTERRUPT)
            read_gicc(madt, &entry);
        add_gic_parts(madt, type, &entry);
    }
}

static void read_wiring(struct madt *madt)
{
    struct acpi_piece entry;
    uint32_t type;
    for (uint32_t at = sizeof(struct acpi_table_madt);
         tables_entry(madt->reader, &madt->table, &at, ACPI_8_8, &type, &entry);) {
        if (type == ACPI_MADT_TYPE_INTERRUPT_OVERRIDE)
            read_override(madt, &entry);
        else if (type == ACPI_MADT_TYPE_NMI_SOURCE || type == ACPI_MADT_TYPE_LOCAL_APIC_NMI)
            read_nmi(madt, type, &entry);
        else
            read_message_controller(madt, type, &entry);
    }
}

static bool starts_by_psci(struct acpi_reader *reader)
{
    struct acpi_table_fadt fadt;
    struct acpi_piece table =
        tables_find(reader, ACPI_SIG_FADT, offsetof(struct acpi_table_fadt, minor_revision));
    if (table.at == nullptr)
        return false;
    memset(&fadt, 0, sizeof(fadt));
    memcpy(&fadt, table.at, table.bytes < sizeof(fadt) ? table.bytes : sizeof(fadt));
    return (fadt.arm_boot_flags & FADT_PSCI) != 0;
}

void tables_madt(struct acpi_reader *reader)
{
    struct acpi_table_madt header;
    struct madt madt = {.reader = reader,
                        .table = tables_find(reader, ACPI_SIG_MADT, sizeof(header)),
                        .cpus = HWTREE_NONE,
                        .local_apic = HWTREE_NONE,
                        .gic = HWTREE_NONE,
                        .isa = HWTREE_NONE};
    if (madt.table.at == nullptr)
        return;
    memcpy(&header, madt.table.at, sizeof(header));
    // It is read several times: what comes behind a broken entry is counted once, and left out.
    struct acpi_piece entry;
    uint32_t type, at = sizeof(header);
    while (tables_entry(reader, &madt.table, &at, ACPI_8_8, &type, &entry)) {}
    madt.table.bytes = at;
    read_controllers(&madt);
    if (madt.gic == HWTREE_NONE) {
        add_local_apic(&madt, header.address);
        madt.isa = hwtree_add_named(reader->builder, 0, "isa");
    } else {
        madt.psci = starts_by_psci(reader);
        if (madt.psci)
            tables_psci(reader);
    }
    if (madt.isa != HWTREE_NONE) {
        hwtree_add_compatible(reader->builder, madt.isa, "isa", sizeof("isa"));
        if ((header.flags & ACPI_MADT_PCAT_COMPAT) != 0)
            hwtree_add_compatible(reader->builder, madt.isa, "pc-at", sizeof("pc-at"));
    }
    read_cpus_and_parts(&madt);
    read_wiring(&madt);
    if (tables_node(reader, HWTREE_CONTROLLER, any, 0) == HWTREE_NONE)
        tables_problem(reader, &madt.table, HWTREE_MISSING);
}
