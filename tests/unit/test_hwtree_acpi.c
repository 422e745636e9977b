// SPDX-License-Identifier: MIT
//
// The ACPI front end of the hardware tree: tables made here, of a PC and of an Arm machine, whole
// and damaged. Each tree that comes out is held against the checker.
#include <hwtree/front.h>
#include <stdint.h>

#include "acpi_maker.h"
#include "hwtree_test.h"

constexpr size_t TREE_BYTES = 128 * 1024;

static uint64_t tree_memory[TREE_BYTES / 8];
static struct hwtree_builder builder;
static struct acpi_tables acpi;

// ---- making tables, in memory from address 0 on

static uint8_t memory[16384];
static size_t memory_used;
static uint32_t list[16];
static unsigned list_count;

static const void *map(void *context, uint64_t address, uint64_t bytes)
{
    EXPECT(context == &memory_used);
    if (address >= sizeof(memory) || bytes > sizeof(memory) - address)
        return nullptr;
    return memory + address;
}

static void begin_tables(void)
{
    memset(memory, 0, sizeof(memory));
    memory_used = 64;
    list_count = 0;
}

// A table of a header and what is behind it.
static uint8_t *put_table(const char *signature, const void *body, size_t bytes)
{
    memory_used = (memory_used + 15) / 16 * 16;
    uint8_t *at = memory + memory_used;
    make_table(at, signature, body, bytes);
    list[list_count++] = (uint32_t)memory_used;
    memory_used += sizeof(struct acpi_table_header) + bytes;
    return at;
}

static void end_tables(void)
{
    struct acpi_table_rsdp rsdp = {};
    (void)put_table("RSDT", list, list_count * 4);
    memcpy(rsdp.signature, "RSD PTR ", 8);
    rsdp.rsdt_physical_address = list[list_count - 1];
    memcpy(memory, &rsdp, sizeof(rsdp));
    finish_sum(memory, sizeof(struct acpi_rsdp_common), offsetof(struct acpi_table_rsdp, checksum));
}

static bool read_tables(void)
{
    const char *why = "";
    if (!hwtree_acpi_find(&acpi, map, &memory_used, 0))
        return false;
    EXPECT(hwtree_begin(&builder, tree_memory, TREE_BYTES, HWTREE_ACPI));
    hwtree_read_acpi(&builder, &acpi);
    tree = builder.tree;
    EXPECT_NOTE(hwtree_check(tree, hwtree_finish(&builder), &why), "%s", why);
    return true;
}

static void expect_problem(enum hwtree_cause cause, const char *table, uint32_t offset)
{
    const struct hwtree_problem *problem = hwtree_at(tree, HWTREE_PROBLEMS);
    EXPECT_NOTE(all_problems() == 1 && hwtree_count(tree, HWTREE_PROBLEMS) == 1, "%u",
                all_problems());
    const char *name = hwtree_text(tree, problem->property);
    EXPECT_NOTE(problem->cause == cause && strcmp(name, table) == 0 && problem->value == offset,
                "%s %s %u", hwtree_cause_name(problem->cause), name, problem->value);
}

static void expect_interrupt(uint32_t node, uint32_t index, const char *controller, uint64_t line,
                             enum hwtree_trigger trigger, enum hwtree_polarity polarity)
{
    EXPECT(index < hwtree_node(tree, node)->interrupts.count);
    const struct hwtree_interrupt *interrupt = hwtree_interrupt(tree, node, index);
    EXPECT_NOTE(interrupt->line == line && interrupt->controller == find(controller) &&
                    interrupt->trigger == trigger && interrupt->polarity == polarity,
                "%u: line %lu", index, interrupt->line);
}

static void expect_range(uint32_t node, uint32_t index, uint64_t base, uint64_t bytes)
{
    EXPECT(index < hwtree_node(tree, node)->ranges.count);
    const struct hwtree_range *range = hwtree_range(tree, node, index);
    EXPECT_NOTE(range->base == base && range->bytes == bytes && range->space == HWTREE_SPACE_MEMORY,
                "%#lx", range->base);
}

// ---- a PC

struct [[gnu::packed]] pc_madt {
    struct acpi_table_header header;
    uint32_t address, flags;
    struct acpi_madt_local_apic cpus[3];
    struct acpi_madt_local_x2apic x2apic;
    struct acpi_madt_io_apic io_apics[2];
    struct acpi_madt_interrupt_override over;
    struct acpi_madt_local_apic_nmi nmi;
    struct acpi_madt_nmi_source source;
};

static struct pc_madt pc_madt(void)
{
    return (struct pc_madt){
        .address = 0xfee0'0000,
        .flags = ACPI_MADT_PCAT_COMPAT,
        .cpus = {{{0, 8}, 0, 0, 1}, {{0, 8}, 1, 4, 1}, {{0, 8}, 2, 6, 0}},
        .x2apic = {{9, 16}, 0, 0x300, 1, 7},
        .io_apics = {{{1, 12}, 8, 0, 0xfec0'0000, 0}, {{1, 12}, 9, 0, 0xfec1'0000, 24}},
        .over = {{2, 10}, 0, 4, 30, ACPI_MADT_TRIGGER_LEVEL | ACPI_MADT_POLARITY_ACTIVE_LOW},
        .nmi = {{4, 6}, 0xff, 0, 1},
        .source = {{3, 8}, ACPI_MADT_TRIGGER_LEVEL, 17},
    };
}

struct [[gnu::packed]] mcfg {
    struct acpi_table_header header;
    uint8_t reserved[8];
    struct acpi_mcfg_allocation rows[2];
};

static struct acpi_table_fadt pc_fadt(void)
{
    return (struct acpi_table_fadt){
        .sci_interrupt = 9,
        .pm_timer_block = 0x608,
        .pm_timer_length = 4,
        .pm1a_event_block = 0x600,
        .pm1_event_length = 4,
        .flags = ACPI_FADT_32BIT_TIMER | ACPI_FADT_RESET_REGISTER,
        .reset_register = {.space_id = ACPI_ADR_SPACE_SYSTEM_IO, .address = 0xcf9},
    };
}

struct [[gnu::packed]] pc_srat {
    struct acpi_table_srat srat;
    struct acpi_srat_cpu_affinity cpu;
    struct acpi_srat_x2apic_cpu_affinity x2apic;
    struct acpi_srat_mem_affinity memory[2];
};

struct [[gnu::packed]] dmar {
    struct acpi_table_dmar dmar;
    struct acpi_dmar_hardware_unit unit;
    struct acpi_dmar_device_scope scope;
    struct acpi_dmar_pci_path path;
    struct acpi_dmar_device_scope apic;
    struct acpi_dmar_pci_path apic_path;
    struct acpi_dmar_hardware_unit all;
    struct acpi_dmar_reserved_memory reserved;
};

static void make_pc(const struct pc_madt *madt)
{
    struct mcfg mcfg = {
        .rows = {{.address = 0xb000'0000, .start_bus_number = 2, .end_bus_number = 9},
                 {.address = 0xc000'0000, .pci_segment = 1, .end_bus_number = 0}}};
    struct acpi_table_fadt fadt = pc_fadt();
    struct acpi_table_hpet hpet = {.id = 1u << 13, .address = {.address = 0xfed0'0000}};
    struct pc_srat srat = {.cpu = {{0, 16},
                                   .proximity_domain_lo = 1,
                                   .apic_id = 4,
                                   .flags = 1,
                                   .proximity_domain_hi = {2}},
                           .x2apic = {{2, 24}, .proximity_domain = 5, .apic_id = 0x300, .flags = 1},
                           .memory = {{{1, 40}, 1, 0, 0x10'0000, 0x700'0000, 0, 1, 0},
                                      {{1, 40}, 1, 0, 0x1'0000'0000, 0x1000, 0, 3, 0}}};
    struct [[gnu::packed]] {
        struct acpi_table_header header;
        uint64_t count;
        uint8_t entry[4];
    } slit = {.count = 2, .entry = {10, 20, 21, 10}};
    struct dmar dmar = {
        .unit = {{0, 32}, 0, 0, 0, 0xfed9'0000},
        .scope = {1, 8, 0, 0, 3},
        .path = {4, 5},
        .apic = {3, 8, 0, 9, 0xf0},
        .apic_path = {31, 0},
        .all = {{0, 16}, ACPI_DMAR_INCLUDE_ALL, 0, 0, 0xfed9'1000},
        .reserved = {{1, 24}, 0, 0, 0x7000'0000, 0x7000'ffff},
    };
    begin_tables();
    (void)PUT("APIC", *madt);
    (void)PUT("MCFG", mcfg);
    (void)PUT("FACP", fadt);
    (void)PUT("HPET", hpet);
    (void)put_table("SRAT", (char *)&srat + 36, sizeof(srat) - 36);
    (void)PUT("SLIT", slit);
    (void)put_table("DMAR", (char *)&dmar + 36, sizeof(dmar) - 36);
    end_tables();
}

TEST(a_pc)
{
    struct pc_madt madt = pc_madt();
    make_pc(&madt);
    EXPECT(read_tables() && all_problems() == 0);
    // CPUs
    const struct hwtree_node *cpu = hwtree_node(tree, find("/cpus/cpu@4"));
    EXPECT(cpu->cpu.id == 4 && cpu->cpu.uid == 1 && cpu->cpu.method == HWTREE_INIT);
    EXPECT(cpu->numa == 0x201 && hwtree_node(tree, find("/cpus/cpu@300"))->numa == 5);
    EXPECT(hwtree_node(tree, find("/cpus/cpu@300"))->cpu.uid == 7);
    EXPECT(!hwtree_available(tree, find("/cpus/cpu@6")) &&
           hwtree_available(tree, find("/cpus/cpu@0")));
    // controllers
    const struct hwtree_node *apic = hwtree_node(tree, find("/io-apic@fec10000"));
    EXPECT(apic->controller.variant == HWTREE_CONTROLLER_IO_APIC &&
           apic->controller.line_first == 24);
    EXPECT(tree->controller == find("/io-apic@fec00000"));
    expect_interrupt(find("/local-apic@fee00000"), 0, "/local-apic@fee00000", 1,
                     HWTREE_TRIGGER_EDGE, HWTREE_POLARITY_HIGH);
    expect_interrupt(find("/io-apic@fec00000"), 0, "/io-apic@fec00000", 17, HWTREE_TRIGGER_LEVEL,
                     HWTREE_POLARITY_HIGH);
    // the ISA bus: overridden, and not
    struct hwtree_interrupt isa;
    EXPECT(hwtree_acpi_isa(tree, 4, &isa) && isa.line == 30);
    EXPECT(isa.controller == find("/io-apic@fec10000"));
    EXPECT(isa.trigger == HWTREE_TRIGGER_LEVEL && isa.polarity == HWTREE_POLARITY_LOW);
    EXPECT(hwtree_acpi_isa(tree, 3, &isa) && isa.line == 3 && isa.trigger == HWTREE_TRIGGER_EDGE);
    EXPECT(!hwtree_acpi_isa(tree, 16, &isa));
    EXPECT(hwtree_is_compatible(tree, find("/isa"), "pc-at"));
    // PCI hosts: the address is that of bus 0
    uint32_t host = find("/pci@b0200000"), target, id;
    EXPECT(hwtree_node(tree, host)->pci_host.first_bus == 2 &&
           hwtree_node(tree, host)->pci_host.ecam);
    EXPECT(hwtree_range(tree, host, 0)->bytes == 8ull << 20);
    EXPECT(hwtree_node(tree, find("/pci@c0000000"))->pci_host.segment == 1);
    // timers and power
    EXPECT(hwtree_node(tree, find("/timer@608"))->timer.bits == 32);
    EXPECT(hwtree_node(tree, find("/timer@fed00000"))->timer.variant == HWTREE_TIMER_HPET);
    EXPECT(hwtree_range(tree, find("/acpi"), 1)->base == 0xcf9);
    expect_interrupt(find("/acpi"), 0, "/io-apic@fec00000", 9, HWTREE_TRIGGER_EDGE,
                     HWTREE_POLARITY_HIGH);
    // memory and distances
    EXPECT(hwtree_node(tree, find("/memory@100000000"))->memory.flags == HWTREE_MEMORY_HOTPLUG);
    EXPECT(hwtree_count(tree, HWTREE_DISTANCES) == 4);
    EXPECT(((const struct hwtree_distance *)hwtree_at(tree, HWTREE_DISTANCES))[2].distance == 21);
    // IOMMUs: one for a function and an I/O APIC, one for all others
    EXPECT(hwtree_node(tree, host)->ids.count == 3);
    EXPECT(hwtree_id(tree, host, 0)->input == (3 << 8 | 4 << 3 | 5));
    EXPECT(hwtree_id(tree, host, 0)->target == find("/iommu@fed90000"));
    EXPECT(hwtree_id(tree, host, 1)->target == find("/iommu@fed91000"));
    EXPECT(hwtree_id(tree, host, 2)->kind == HWTREE_ID_MSI);
    EXPECT(hwtree_id(tree, host, 2)->target == find("/local-apic@fee00000"));
    EXPECT(hwtree_device_id(tree, find("/io-apic@fec10000"), HWTREE_ID_IOMMU, &target, &id));
    EXPECT(id == 0xf0f8 && hwtree_node(tree, find("/iommu@fed91000"))->iommu.everything);
    EXPECT(hwtree_range(tree, find("/reserved@70000000"), 0)->bytes == 0x1'0000);
}

TEST(what_cannot_be_right_is_located)
{
    constexpr uint32_t CPUS = 44, X2APIC = CPUS + 24, IO_APICS = X2APIC + 16, OVER = IO_APICS + 24;
    constexpr uint32_t NMI = OVER + 10, SOURCE = NMI + 6;
    struct pc_madt madt = pc_madt();
    madt.source.header.length = 200; // behind the end
    make_pc(&madt);
    EXPECT(read_tables());
    expect_problem(HWTREE_MALFORMED, "APIC", SOURCE);
    EXPECT(hwtree_node(tree, find("/io-apic@fec00000"))->interrupts.count == 0);

    madt = pc_madt();
    madt.nmi.lint = 2;
    make_pc(&madt);
    EXPECT(read_tables());
    expect_problem(HWTREE_BAD_LINE, "APIC", NMI);

    madt = pc_madt();
    madt.nmi.processor_id = 77;
    make_pc(&madt);
    EXPECT(read_tables());
    expect_problem(HWTREE_NO_TARGET, "APIC", NMI);

    madt = pc_madt();
    madt.over.source_irq = 16;
    make_pc(&madt);
    EXPECT(read_tables());
    expect_problem(HWTREE_BAD_LINE, "APIC", OVER);

    madt = pc_madt();
    madt.cpus[1].id = 0; // of which SRAT says something, too
    make_pc(&madt);
    EXPECT(read_tables() && tree->problems[HWTREE_DUPLICATE] == 1);
    EXPECT(tree->problems[HWTREE_NO_TARGET] == 1 && all_problems() == 2);
}

TEST(bad_tables_are_left_out)
{
    struct pc_madt madt = pc_madt();
    make_pc(&madt);
    memory[list[1] + 9]++; // the sum of the MCFG
    EXPECT(read_tables());
    expect_problem(HWTREE_BAD_TABLE, "MCFG", 1);
    EXPECT(hwtree_child(tree, 0, "pci@b0200000") == HWTREE_NONE);
    begin_tables();
    EXPECT(!read_tables()); // no RSDP
    end_tables();
    EXPECT(read_tables()); // no tables: no CPUs
    expect_problem(HWTREE_MISSING, "cpus", 0);
    EXPECT(!hwtree_acpi_find(&acpi, map, &memory_used, sizeof(memory) - 8));
}

// ---- an Arm machine

struct [[gnu::packed]] arm_madt {
    struct acpi_table_header header;
    uint32_t address, flags;
    struct acpi_madt_generic_interrupt cpus[2];
    struct acpi_madt_generic_distributor gicd;
    struct acpi_madt_generic_redistributor gicr;
    struct acpi_madt_generic_translator its;
};

static struct arm_madt arm_madt(void)
{
    return (struct arm_madt){
        .cpus = {{.header = {11, 80}, .uid = 10, .flags = 1, .arm_mpidr = 0},
                 {.header = {11, 80}, .uid = 11, .flags = 1, .arm_mpidr = 0x100}},
        .gicd = {.header = {12, 24}, .base_address = 0x800'0000, .version = 3},
        .gicr = {.header = {14, 16}, .base_address = 0x80a'0000, .length = 0xf6'0000},
        .its = {.header = {15, 20}, .translation_id = 5, .base_address = 0x808'0000},
    };
}

struct [[gnu::packed]] iort {
    struct acpi_table_iort iort;
    struct [[gnu::packed]] {
        uint8_t type;
        uint16_t length;
        uint8_t revision;
        uint32_t identifier, mapping_count, mapping_offset, its_count, its;
    } group;
    struct [[gnu::packed]] {
        uint8_t type;
        uint16_t length;
        uint8_t revision;
        uint32_t identifier, mapping_count, mapping_offset;
        struct acpi_iort_smmu_v3 smmu;
        struct acpi_iort_id_mapping row, single;
    } smmu;
    struct [[gnu::packed]] {
        uint8_t type;
        uint16_t length;
        uint8_t revision;
        uint32_t identifier, mapping_count, mapping_offset;
        struct acpi_iort_root_complex root;
        struct acpi_iort_id_mapping rows[2];
    } root;
};

static struct iort iort(void)
{
    const uint32_t group = offsetof(struct iort, group), smmu = offsetof(struct iort, smmu);
    return (struct iort){
        .iort = {.node_count = 3, .node_offset = sizeof(struct acpi_table_iort)},
        .group = {0, sizeof(((struct iort *)nullptr)->group), 0, 0, 0, 0, 1, 5},
        .smmu = {4,
                 sizeof(((struct iort *)nullptr)->smmu),
                 0,
                 0,
                 2,
                 offsetof(struct iort, smmu.row) - smmu,
                 {.base_address = 0x905'0000},
                 {0x8000, 0xff, 0x100, group, 0},
                 {0x8000, 0, 0x777, group, ACPI_IORT_ID_SINGLE_MAPPING}},
        .root = {2,
                 sizeof(((struct iort *)nullptr)->root),
                 0,
                 0,
                 2,
                 offsetof(struct iort, root.rows) - offsetof(struct iort, root),
                 {.pci_segment_number = 0},
                 {{0, 0x1ff, 0x8000, smmu, 0}, {0x200, 0xff, 0x4000, group, 0}}},
    };
}

static void make_arm(const struct arm_madt *madt, const struct iort *iort)
{
    struct mcfg mcfg = {.rows = {{.address = 0x40'1000'0000, .end_bus_number = 255}}};
    struct acpi_table_fadt fadt = {.flags = ACPI_FADT_HW_REDUCED, .arm_boot_flags = 3};
    struct acpi_table_gtdt gtdt = {
        .secure_el1_interrupt = 29,
        .non_secure_el1_interrupt = 30,
        .virtual_timer_interrupt = 27,
        .virtual_timer_flags = ACPI_GTDT_INTERRUPT_POLARITY,
        .non_secure_el2_interrupt = 26,
        .non_secure_el2_flags = ACPI_GTDT_INTERRUPT_MODE,
    };
    struct acpi_table_spcr spcr = {.interface_type = 3,
                                   .serial_port = {.address = 0x900'0000},
                                   .interrupt_type = 8,
                                   .interrupt = 33,
                                   .baud_rate = 7};
    struct [[gnu::packed]] {
        struct acpi_table_header header;
        uint32_t offset, count;
        struct acpi_dbg2_device devices[2];
        struct acpi_generic_address addresses[2];
    } dbg2 = {.offset = 44, .count = 1};
    dbg2.devices[0] = (struct acpi_dbg2_device){.length = sizeof(dbg2) - 44,
                                                .register_count = 1,
                                                .port_type = ACPI_DBG2_SERIAL_PORT,
                                                .port_subtype = 0xe,
                                                .base_address_offset = 2 * sizeof(dbg2.devices[0])};
    dbg2.addresses[0] = (struct acpi_generic_address){.address = 0x910'0000};
    begin_tables();
    (void)PUT("APIC", *madt);
    (void)put_table("MCFG", (char *)&mcfg + 36, 8 + 16);
    (void)PUT("FACP", fadt);
    (void)PUT("GTDT", gtdt);
    (void)PUT("SPCR", spcr);
    (void)PUT("DBG2", dbg2);
    (void)put_table("IORT", (const char *)iort + 36, sizeof(*iort) - 36);
    end_tables();
}

TEST(an_arm_machine)
{
    struct arm_madt madt = arm_madt();
    struct iort table = iort();
    make_arm(&madt, &table);
    EXPECT(read_tables() && all_problems() == 0);
    const struct hwtree_node *cpu = hwtree_node(tree, find("/cpus/cpu@100"));
    EXPECT(cpu->cpu.method == HWTREE_PSCI && cpu->cpu.id == 0x100 && cpu->cpu.uid == 11);
    uint32_t gic = find("/interrupt-controller@8000000");
    EXPECT(tree->controller == gic);
    EXPECT(hwtree_node(tree, gic)->controller.variant == HWTREE_CONTROLLER_GICV3);
    EXPECT(hwtree_node(tree, gic)->ranges.count == 2);
    EXPECT(hwtree_range(tree, gic, 1)->base == 0x80a'0000 &&
           hwtree_range(tree, gic, 1)->bytes == 0xf6'0000);
    const char *its = "/interrupt-controller@8000000/msi-controller@8080000";
    EXPECT(hwtree_node(tree, find(its))->controller.id == 5);
    const char *path = "/interrupt-controller@8000000";
    expect_interrupt(find("/timer"), 2, path, 27, HWTREE_TRIGGER_LEVEL, HWTREE_POLARITY_LOW);
    expect_interrupt(find("/timer"), 3, path, 26, HWTREE_TRIGGER_EDGE, HWTREE_POLARITY_HIGH);
    EXPECT(tree->console == find("/serial@9000000"));
    EXPECT(hwtree_node(tree, tree->console)->console.baud == 115200);
    EXPECT(hwtree_is_compatible(tree, tree->console, "arm,pl011"));
    expect_interrupt(tree->console, 0, path, 33, HWTREE_TRIGGER_LEVEL, HWTREE_POLARITY_HIGH);
    EXPECT(hwtree_is_compatible(tree, find("/serial@9100000"), "arm,sbsa-uart"));
    // ids: through the SMMU, of which only a part goes on to the ITS, and beside it
    uint32_t host = find("/pci@4010000000");
    EXPECT(hwtree_node(tree, host)->ids.count == 3);
    const struct hwtree_id *id = hwtree_id(tree, host, 0);
    EXPECT(id->kind == HWTREE_ID_IOMMU && id->target == find("/iommu@9050000"));
    EXPECT(id->input == 0 && id->count == 0x200 && id->output == 0x8000);
    id = hwtree_id(tree, host, 1);
    EXPECT(id->kind == HWTREE_ID_MSI && id->target == find(its));
    EXPECT(id->input == 0 && id->count == 0x100 && id->output == 0x100);
    id = hwtree_id(tree, host, 2);
    EXPECT(id->kind == HWTREE_ID_MSI && id->input == 0x200 && id->output == 0x4000);
}

// The only serial port is an SPCR's with these fields: its node, or HWTREE_NONE.
static uint32_t read_serial(uint8_t type, uint8_t space, uint64_t address, uint8_t interrupt_type)
{
    struct arm_madt madt = arm_madt();
    struct acpi_table_spcr spcr = {.interface_type = type,
                                   .serial_port = {.space_id = space, .address = address},
                                   .interrupt_type = interrupt_type,
                                   .interrupt = 33};
    begin_tables();
    (void)PUT("APIC", madt);
    (void)PUT("SPCR", spcr);
    end_tables();
    EXPECT(read_tables());
    return tree->console;
}

TEST(serial_ports)
{
    for (unsigned type = 0; type < 32; type++) {
        uint32_t node = read_serial((uint8_t)type, 0, 0x900'0000, 8);
        bool pl011 = type == 3, sbsa = type == 13 || type == 14, other = type < 3 || type == 18;
        if (!pl011 && !sbsa) {
            EXPECT_NOTE(node == HWTREE_NONE || other || type == 5, "type %u", type);
            EXPECT(node == HWTREE_NONE || !hwtree_is_compatible(tree, node, "arm,pl011"));
            continue;
        }
        EXPECT_NOTE(node != HWTREE_NONE && hwtree_node(tree, node)->kind == HWTREE_CONSOLE,
                    "type %u", type);
        EXPECT(hwtree_is_compatible(tree, node, pl011 ? "arm,pl011" : "arm,sbsa-uart"));
        EXPECT(hwtree_node(tree, node)->ranges.count == 1);
        expect_range(node, 0, 0x900'0000, 0x1000);
        expect_interrupt(node, 0, "/interrupt-controller@8000000", 33, HWTREE_TRIGGER_LEVEL,
                         HWTREE_POLARITY_HIGH);
    }
    uint32_t ports = read_serial(3, 1, 0x3f8, 8);
    EXPECT(ports == HWTREE_NONE || hwtree_range(tree, ports, 0)->space == HWTREE_SPACE_IO);
    EXPECT(read_serial(3, 0, 0, 8) == HWTREE_NONE);   // switched off
    uint32_t none = read_serial(3, 0, 0x900'0000, 0); // no interrupt is said
    EXPECT(hwtree_node(tree, none)->interrupts.count == 0);
    uint32_t end = read_serial(3, 0, UINT64_MAX - 0xffe, 8); // wraps
    EXPECT(end == HWTREE_NONE || hwtree_node(tree, end)->ranges.count == 0);
    EXPECT(tree->problems[HWTREE_WRAPS] == 1);
    end = read_serial(3, 0, UINT64_MAX - 0xfff, 8);
    expect_range(end, 0, UINT64_MAX - 0xfff, 0x1000);
}

static bool is_listed(const char *signature)
{
    for (unsigned i = 0; i < acpi.count; i++)
        if (acpi.list[i].at != nullptr && acpi_table_is(&acpi.list[i], signature))
            return true;
    return false;
}

// Only the FADT leads to it, by one address or the other.
TEST(the_dsdt_is_listed)
{
    for (unsigned way = 0; way < 5; way++) {
        begin_tables();
        uint8_t *dsdt = put_table(way == 3 ? "SSDT" : "DSDT", "\x08", 1);
        uint32_t address = list[--list_count];
        struct acpi_table_fadt fadt = {.flags = ACPI_FADT_HW_REDUCED};
        if (way == 1)
            fadt.Xdsdt = address, fadt.dsdt = 1;
        else if (way != 2)
            fadt.dsdt = address;
        if (way == 4)
            dsdt[36] = 0; // its sum is wrong
        (void)PUT("FACP", fadt);
        end_tables();
        EXPECT(read_tables());
        EXPECT_NOTE(is_listed("DSDT") == (way < 2) && !is_listed("SSDT"), "%u", way);
        const enum acpi_fault faults[] = {ACPI_SOUND, ACPI_SOUND, ACPI_SOUND, ACPI_OTHER_TABLE,
                                          ACPI_BAD_SUM};
        EXPECT_NOTE(acpi.count == (way == 2 ? 1 : 2) &&
                        acpi.list[acpi.count - 1].fault == faults[way],
                    "%u: %u", way, acpi.count);
        EXPECT(way == 2 || acpi_table_is(&acpi.list[1], "DSDT"));
    }
}

TEST(ids_through_an_smmu_are_cut)
{
    struct arm_madt madt = arm_madt();
    struct iort table = iort();
    table.smmu.row.input_base = 0x8040;
    table.smmu.row.id_count = 0xf;
    make_arm(&madt, &table);
    EXPECT(read_tables() && all_problems() == 0);
    const struct hwtree_id *id = hwtree_id(tree, find("/pci@4010000000"), 1);
    EXPECT(id->input == 0x40 && id->count == 16 && id->output == 0x100);
    table.smmu.row.input_base = 0x8200; // behind all that the host sends
    make_arm(&madt, &table);
    EXPECT(read_tables() && hwtree_node(tree, find("/pci@4010000000"))->ids.count == 2);
}

// Three ITSs: a group of one for the first buses, one of two for the others, past the SMMU.
struct [[gnu::packed]] iort_of_groups {
    struct acpi_table_iort iort;
    struct [[gnu::packed]] {
        uint8_t type;
        uint16_t length;
        uint8_t revision;
        uint32_t identifier, mapping_count, mapping_offset, its_count, its[3];
    } groups[2];
    struct [[gnu::packed]] {
        uint8_t type;
        uint16_t length;
        uint8_t revision;
        uint32_t identifier, mapping_count, mapping_offset;
        struct acpi_iort_root_complex root;
        struct acpi_iort_id_mapping rows[2];
    } root;
};

struct [[gnu::packed]] madt_of_three {
    struct arm_madt arm;
    struct acpi_madt_generic_translator its[2];
};

static void make_groups(const struct iort_of_groups *table)
{
    struct mcfg mcfg = {.rows = {{.address = 0x40'1000'0000, .end_bus_number = 255}}};
    struct madt_of_three madt = {.arm = arm_madt()};
    for (unsigned i = 0; i < 2; i++)
        madt.its[i] =
            (struct acpi_madt_generic_translator){.header = {15, 20},
                                                  .translation_id = 7 + i,
                                                  .base_address = 0x818'0000 + 0x10'0000 * i};
    begin_tables();
    (void)put_table("APIC", (const char *)&madt + 36, sizeof(madt) - 36);
    (void)put_table("MCFG", (char *)&mcfg + 36, 8 + 16);
    (void)put_table("IORT", (const char *)table + 36, sizeof(*table) - 36);
    end_tables();
}

TEST(which_its_a_requester_reaches)
{
    const uint32_t first = offsetof(struct iort_of_groups, groups),
                   second = offsetof(struct iort_of_groups, groups[1]);
    struct iort_of_groups table = {
        .iort = {.node_count = 3, .node_offset = first},
        .groups = {{0, sizeof(table.groups[0]), 0, 0, 0, 0, 1, {5}},
                   {0, sizeof(table.groups[0]), 0, 0, 0, 0, 3, {99, 8, 7}}},
        .root = {2,
                 sizeof(table.root),
                 0,
                 0,
                 2,
                 offsetof(struct iort_of_groups, root.rows) - offsetof(struct iort_of_groups, root),
                 {.pci_segment_number = 0},
                 {{0, 0x1ff, 0x1'0000, first, 0}, {0x200, 0xff, 0x40, second, 0}}}};
    make_groups(&table);
    EXPECT(read_tables() && all_problems() == 0);
    uint32_t host = find("/pci@4010000000");
    EXPECT(hwtree_node(tree, host)->ids.count == 2);
    const struct hwtree_id *id = hwtree_id(tree, host, 0);
    EXPECT(id->target == find("/interrupt-controller@8000000/msi-controller@8080000"));
    EXPECT(id->input == 0 && id->count == 0x200 && id->output == 0x1'0000);
    // The first of its group is not in the MADT.
    id = hwtree_id(tree, host, 1);
    EXPECT(id->target == find("/interrupt-controller@8000000/msi-controller@8280000"));
    EXPECT(id->input == 0x200 && id->count == 0x100 && id->output == 0x40);

    table.groups[1].its[1] = table.groups[1].its[2] = 98; // nor any other
    make_groups(&table);
    EXPECT(read_tables());
    expect_problem(HWTREE_NO_TARGET, "IORT", second);
    table.groups[1].its_count = 4; // more than there are
    make_groups(&table);
    EXPECT(read_tables() && all_problems() == 2);
    EXPECT(tree->problems[HWTREE_MALFORMED] == 1 && tree->problems[HWTREE_NO_TARGET] == 1);
    // Without an IORT three of them are too many to choose from.
    table.iort.node_count = 0;
    make_groups(&table);
    EXPECT(read_tables() && hwtree_node(tree, find("/pci@4010000000"))->ids.count == 0);
}

TEST(versions_of_the_gic)
{
    struct arm_madt madt = arm_madt();
    struct iort table = iort();
    madt.gicd.version = 0; // not said: redistributors tell
    make_arm(&madt, &table);
    EXPECT(read_tables());
    EXPECT(hwtree_node(tree, tree->controller)->controller.variant == HWTREE_CONTROLLER_GICV3);

    // Redistributors, CPU by CPU, and no interfaces of a GICv2.
    madt.gicr.header.type = 0x80;
    for (unsigned i = 0; i < 2; i++) {
        madt.cpus[i].base_address = 0x801'0000;
        madt.cpus[i].gicr_base_address = 0x80a'0000 + 0x2'0000 * i;
    }
    make_arm(&madt, &table);
    EXPECT(read_tables() && all_problems() == 0);
    EXPECT(hwtree_node(tree, tree->controller)->ranges.count == 3);
    EXPECT(hwtree_range(tree, tree->controller, 2)->base == 0x80c'0000);
    EXPECT(hwtree_range(tree, tree->controller, 2)->bytes == 0x2'0000);

    madt.gicd.version = 2;
    madt.cpus[0].base_address = madt.cpus[1].base_address = 0x801'0000;
    make_arm(&madt, &table);
    EXPECT(read_tables() && all_problems() == 0);
    EXPECT(hwtree_node(tree, tree->controller)->controller.variant == HWTREE_CONTROLLER_GICV2);
    EXPECT(hwtree_node(tree, tree->controller)->ranges.count == 2); // both CPUs say the same
    EXPECT(hwtree_range(tree, tree->controller, 1)->base == 0x801'0000);

    madt.gicd.version = 9;
    make_arm(&madt, &table);
    EXPECT(read_tables() && tree->controller == HWTREE_NONE);
    EXPECT(tree->problems[HWTREE_NOT_CONTROLLER] > 0); // the timer's interrupts, and more
}

TEST(an_iort_that_makes_no_sense)
{
    struct arm_madt madt = arm_madt();
    struct iort table = iort();
    const uint32_t root = offsetof(struct iort, root), rows = offsetof(struct iort, root.rows);
    table.root.rows[1].output_reference = 7;
    make_arm(&madt, &table);
    EXPECT(read_tables());
    expect_problem(HWTREE_NO_TARGET, "IORT", root);

    table = iort();
    table.root.rows[1].id_count = UINT32_MAX;
    make_arm(&madt, &table);
    EXPECT(read_tables());
    expect_problem(HWTREE_MALFORMED, "IORT", rows + 20);

    table = iort();
    table.root.mapping_count = 3; // the third is behind the node
    make_arm(&madt, &table);
    EXPECT(read_tables());
    expect_problem(HWTREE_MALFORMED, "IORT", root);

    table = iort();
    table.iort.node_count = 4;
    make_arm(&madt, &table);
    EXPECT(read_tables());
    expect_problem(HWTREE_MALFORMED, "IORT", sizeof(table));

    table = iort();
    table.group.its = 6;
    make_arm(&madt, &table);
    EXPECT(read_tables());
    expect_problem(HWTREE_NO_TARGET, "IORT", offsetof(struct iort, group));

    table = iort();
    table.root.rows[0].output_reference = root; // to itself
    make_arm(&madt, &table);
    EXPECT(read_tables());
    expect_problem(HWTREE_NO_TARGET, "IORT", root);
}

// ---- damage

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

TEST(survives_damage)
{
    struct pc_madt pc = pc_madt();
    struct arm_madt arm = arm_madt();
    struct iort table = iort();
    for (unsigned round = 0; round < 30'000; round++) {
        if (round & 1)
            make_pc(&pc);
        else
            make_arm(&arm, &table);
        for (unsigned n = 0; n <= round % 4; n++) {
            // A table's body, under a sum that is right.
            uint8_t *at = memory + list[random_next() % (list_count - 1)];
            uint32_t length;
            memcpy(&length, at + 4, 4);
            at[36 + random_next() % (length - 36)] =
                (uint8_t)(round & 2 ? random_next() : random_next() % 40);
            finish_sum(at, length, offsetof(struct acpi_table_header, checksum));
        }
        if (round % 16 == 0)
            memory[random_next() % memory_used] = (uint8_t)random_next();
        (void)read_tables();
    }
}
