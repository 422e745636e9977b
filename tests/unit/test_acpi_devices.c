// SPDX-License-Identifier: MIT
//
// build: user/devd/acpi.c
//
// What devd adds to the tree of a PC's ACPI tables: the serial port and the clock that no table names.
#include <user/devd/acpi.h>

#include "acpi_copies.h"

static uint64_t tree_memory[1 << 13];
static struct hwtree_builder builder;
static const struct hwtree *tree;

// Two I/O APICs, of 24 inputs each, and an override of ISA interrupt 4.
static void put_madt(uint32_t flags)
{
    struct [[gnu::packed]] {
        uint32_t apic, flags;
        struct acpi_madt_io_apic io_apics[2];
        struct acpi_madt_interrupt_override over;
    } madt = {.flags = flags,
              .io_apics = {{.header = {ACPI_MADT_TYPE_IO_APIC, 12}, .address = 0xfec0'0000},
                           {.header = {ACPI_MADT_TYPE_IO_APIC, 12},
                            .address = 0xfec1'0000,
                            .global_irq_base = 24}},
              .over = {.header = {ACPI_MADT_TYPE_INTERRUPT_OVERRIDE, 10},
                       .source_irq = 4,
                       .global_irq = 20,
                       .inti_flags = ACPI_MADT_TRIGGER_LEVEL | ACPI_MADT_POLARITY_ACTIVE_LOW}};
    (void)put_table("APIC", &madt, sizeof(madt));
}

static void put_fadt(uint16_t boot_flags, uint32_t bytes)
{
    struct acpi_table_fadt fadt = {.boot_flags = boot_flags};
    (void)put_table("FACP", (const char *)&fadt + sizeof(fadt.header), bytes - sizeof(fadt.header));
}

static void read_all(void)
{
    const char *why = "";
    EXPECT(hwtree_begin(&builder, tree_memory, sizeof(tree_memory), HWTREE_ACPI));
    hwtree_read_acpi(&builder, &acpi);
    acpi_add_devices(&builder, &acpi);
    tree = builder.tree;
    EXPECT_NOTE(hwtree_check(tree, hwtree_finish(&builder), &why), "%s", why);
}

static uint32_t find(const char *path)
{
    return hwtree_find(tree, path, strlen(path));
}

static void expect_device(const char *path, const char *compatible, enum hwtree_space space,
                          uint64_t base, uint64_t bytes)
{
    uint32_t node = find(path);
    EXPECT_NOTE(node != HWTREE_NONE && hwtree_available(tree, node), "%s", path);
    EXPECT(hwtree_node(tree, node)->compatible.count == 1);
    EXPECT(hwtree_is_compatible(tree, node, compatible));
    EXPECT(hwtree_node(tree, node)->ranges.count == 1);
    const struct hwtree_range *range = hwtree_range(tree, node, 0);
    EXPECT(range->space == space && range->base == base && range->bytes == bytes);
}

static void expect_interrupt(const char *path, const char *controller, uint64_t line,
                             enum hwtree_trigger trigger, enum hwtree_polarity polarity)
{
    uint32_t node = find(path);
    EXPECT(hwtree_node(tree, node)->interrupts.count == 1);
    const struct hwtree_interrupt *interrupt = hwtree_interrupt(tree, node, 0);
    EXPECT_NOTE(interrupt->line == line && interrupt->controller == find(controller), "%s: %lu",
                path, interrupt->line);
    EXPECT(interrupt->trigger == trigger && interrupt->polarity == polarity);
}

// ---- a PC

TEST(a_pc_has_a_serial_port_and_a_clock)
{
    begin_tables();
    put_madt(ACPI_MADT_PCAT_COMPAT);
    read_all();
    expect_device("/com1", "ns16550a", HWTREE_SPACE_IO, 0x3f8, 8);
    expect_interrupt("/com1", "/io-apic@fec00000", 20, HWTREE_TRIGGER_LEVEL, HWTREE_POLARITY_LOW);
    EXPECT(tree->console == find("/com1"));
    EXPECT(hwtree_node(tree, tree->console)->kind == HWTREE_CONSOLE);
    expect_device("/cmos", "motorola,mc146818", HWTREE_SPACE_IO, 0x70, 2);
    expect_interrupt("/cmos", "/io-apic@fec00000", 8, HWTREE_TRIGGER_EDGE, HWTREE_POLARITY_HIGH);

    begin_tables();
    put_madt(0); // not PC-AT compatible
    read_all();
    EXPECT(find("/com1") == HWTREE_NONE && find("/cmos") == HWTREE_NONE);
    EXPECT(tree->console == HWTREE_NONE);
}

TEST(a_port_that_a_table_names_is_the_only_one)
{
    struct acpi_table_spcr spcr = {
        .serial_port = {.space_id = 1, .address = 0x2f8}, .interrupt_type = 1, .pc_interrupt = 3};
    begin_tables();
    put_madt(ACPI_MADT_PCAT_COMPAT);
    (void)put_table("SPCR", (const char *)&spcr + sizeof(spcr.header),
                    sizeof(spcr) - sizeof(spcr.header));
    read_all();
    EXPECT(find("/com1") == HWTREE_NONE && tree->console == find("/serial@2f8"));
    EXPECT(find("/cmos") != HWTREE_NONE);
}

TEST(a_clock_that_is_said_to_be_missing_is_not_there)
{
    for (unsigned bit = 0; bit < 16; bit++) {
        begin_tables();
        put_madt(ACPI_MADT_PCAT_COMPAT);
        put_fadt((uint16_t)(1u << bit), sizeof(struct acpi_table_fadt));
        read_all();
        EXPECT_NOTE((find("/cmos") == HWTREE_NONE) == (bit == 5), "%u", bit);
        EXPECT(find("/com1") != HWTREE_NONE);
    }
    begin_tables();
    put_madt(ACPI_MADT_PCAT_COMPAT);
    put_fadt(UINT16_MAX, offsetof(struct acpi_table_fadt, boot_flags)); // it ends before the flags
    read_all();
    EXPECT(find("/cmos") != HWTREE_NONE);
}
