// SPDX-License-Identifier: MIT
//
// build: user/devd/acpi.c user/devd/aml.c user/devd/aml_resources.c
//
// What devd adds to the tree of a PC's ACPI tables: the serial port and the clock that no table
// names, and virtio slots that AML declares. The tables are made here, whole and damaged.
#include <lib/acpi_tables.h>
#include <stdint.h>
#include <user/devd/acpi.h>

#include "test.h"

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t tree_memory[1 << 13];
static struct hwtree_builder builder;
static const struct hwtree *tree;
static struct hwtree_acpi acpi;

// ---- tables: each a copy of exactly its length

static uint8_t *tables[8];
static unsigned table_count;

static void begin_tables(void)
{
    while (table_count > 0)
        free(tables[--table_count]);
    acpi = (struct hwtree_acpi){};
}

static uint8_t *put_table(const char *signature, const void *body, size_t bytes)
{
    struct acpi_table_header header = {.length = (uint32_t)(sizeof(header) + bytes)};
    uint8_t *table = malloc(header.length), sum = 0;
    memcpy(header.signature, signature, 4);
    memcpy(table, &header, sizeof(header));
    memcpy(table + sizeof(header), body, bytes);
    for (size_t i = 0; i < header.length; i++)
        sum = (uint8_t)(sum + table[i]);
    table[offsetof(struct acpi_table_header, checksum)] = (uint8_t)-sum;
    EXPECT(hwtree_acpi_add(&acpi, table, header.length));
    return tables[table_count++] = table;
}

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

// Device VR00 in AML, with this id, registers of 0x200 bytes at 0xfeb02c00, and an interrupt.
static uint8_t *put_slot(const char *signature, const char *hid, uint8_t line, uint8_t flags)
{
    uint8_t body[] = {0x5b, 0x82, 0x40 | 11, 3, 'V', 'R', '0', '0', 0x08, '_', 'H', 'I', 'D', 0x0d,
                      0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, '_', 'C', 'R', 'S', 0x11, 26, 0x0a, 23,
                      // registers, an interrupt, the end
                      0x86, 9, 0, 1, 0, 0x2c, 0xb0, 0xfe, 0, 2, 0, 0, //
                      0x89, 6, 0, flags, 1, line, 0, 0, 0, 0x79, 0};
    memcpy(body + 14, hid, 8);
    body[2] = (uint8_t)(0x40 | ((sizeof(body) - 2) & 15));
    body[3] = (uint8_t)((sizeof(body) - 2) >> 4);
    return put_table(signature, body, sizeof(body));
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

// ---- slots

TEST(slots_that_aml_declares)
{
    begin_tables();
    put_madt(0);
    (void)put_slot("DSDT", "LNRO0005", 46, 1);
    read_all();
    expect_device("/virtio@feb02c00", "virtio,mmio", HWTREE_SPACE_MEMORY, 0xfeb0'2c00, 0x200);
    expect_interrupt("/virtio@feb02c00", "/io-apic@fec10000", 46, HWTREE_TRIGGER_LEVEL,
                     HWTREE_POLARITY_HIGH);
    begin_tables();
    put_madt(0);
    (void)put_slot("SSDT", "LNRO0005", 5, 1 | 2);
    read_all();
    expect_interrupt("/virtio@feb02c00", "/io-apic@fec00000", 5, HWTREE_TRIGGER_EDGE,
                     HWTREE_POLARITY_HIGH);
    begin_tables();
    put_madt(0);
    (void)put_slot("SSDT", "LNRO0005", 5, 1 | 4);
    read_all();
    expect_interrupt("/virtio@feb02c00", "/io-apic@fec00000", 5, HWTREE_TRIGGER_LEVEL,
                     HWTREE_POLARITY_LOW);
}

TEST(what_is_no_slot_is_not_added)
{
    begin_tables();
    put_madt(0);
    (void)put_slot("DSDT", "LNRO0006", 46, 1);
    read_all();
    EXPECT(find("/virtio@feb02c00") == HWTREE_NONE);
    begin_tables();
    put_madt(0);
    (void)put_slot("OEM1", "LNRO0005", 46, 1); // no table of AML
    read_all();
    EXPECT(find("/virtio@feb02c00") == HWTREE_NONE);
}

TEST(a_line_that_no_controller_has_is_said)
{
    begin_tables();
    (void)put_slot("DSDT", "LNRO0005", 46, 1);
    read_all();
    EXPECT(hwtree_node(tree, find("/virtio@feb02c00"))->interrupts.count == 0);
    EXPECT(tree->problems[HWTREE_NOT_CONTROLLER] == 1);
}

TEST(damage)
{
    unsigned slots = 0;
    for (unsigned round = 0; round < 20'000; round++) {
        begin_tables();
        put_madt(round & 1 ? ACPI_MADT_PCAT_COMPAT : 0);
        put_fadt((uint16_t)random_next(), sizeof(struct acpi_table_fadt));
        uint8_t *slot = put_slot("DSDT", "LNRO0005", 46, 1);
        size_t header = sizeof(struct acpi_table_header);
        for (unsigned n = 0; n <= round % 3; n++)
            slot[header + random_next() % (acpi.tables[2].bytes - header)] = (uint8_t)random_next();
        if (round % 3 == 0)
            acpi.tables[2].bytes -= (uint32_t)(random_next() % (acpi.tables[2].bytes - header));
        read_all();
        slots += hwtree_compatible(tree, HWTREE_NONE, "virtio,mmio") != HWTREE_NONE;
        EXPECT((find("/com1") != HWTREE_NONE) == (round % 2 == 1));
    }
    EXPECT(slots > 1000);
}
