// SPDX-License-Identifier: MIT
//
// See acpi.h. Sources: ACPI 6.5, 5.2.9.3 "IA-PC Boot Architecture Flags", 5.2.11; layouts are
// ACPICA's.

#include "acpi.h"

#include <lib/acpi_tables.h>
#include <lib/string.h>

#include "aml.h"
#include "isa_facts.h"

static bool is_named(const void *table, const char *signature)
{
    return memcmp(table, signature, ACPI_NAMESEG_SIZE) == 0;
}

// ---- a PC

// The node, or HWTREE_NONE: there is no room.
static uint32_t add_isa_device(struct hwtree_builder *builder, const char *name,
                               const char *compatible, uint16_t base, uint16_t ports,
                               uint8_t source)
{
    struct hwtree_interrupt interrupt;
    uint32_t node = hwtree_add_node(builder, 0, name, strlen(name));
    if (node == HWTREE_NONE)
        return node;
    hwtree_add_compatible(builder, node, compatible, strlen(compatible));
    hwtree_add_range(builder, node,
                     &(struct hwtree_range){.base = base, .bytes = ports, .space = HWTREE_SPACE_IO},
                     name);
    if (hwtree_acpi_isa(builder->tree, source, &interrupt))
        hwtree_add_interrupt(builder, node, &interrupt);
    return node;
}

// The first serial port, where no table names another one.
static void add_com1(struct hwtree_builder *builder)
{
    if (builder->tree->console != HWTREE_NONE)
        return;
    uint32_t node =
        add_isa_device(builder, "com1", "ns16550a", ISA_COM1, ISA_COM1_PORTS, ISA_COM1_INTERRUPT);
    if (node == HWTREE_NONE)
        return;
    hwtree_edit(builder, node)->kind = HWTREE_CONSOLE;
    builder->tree->console = node;
}

// Tables from before there was that flag have 0 there.
static bool has_cmos_clock(const struct hwtree_acpi *acpi)
{
    for (unsigned i = 0; i < acpi->count; i++) {
        struct acpi_table_fadt fadt = {};
        const uint32_t bytes = acpi->tables[i].bytes;
        if (!is_named(acpi->tables[i].table, ACPI_SIG_FADT))
            continue;
        memcpy(&fadt, acpi->tables[i].table, bytes < sizeof(fadt) ? bytes : sizeof(fadt));
        return (fadt.boot_flags & ACPI_FADT_NO_CMOS_RTC) == 0;
    }
    return true;
}

static void add_pc(struct hwtree_builder *builder, const struct hwtree_acpi *acpi)
{
    if (hwtree_compatible(builder->tree, HWTREE_NONE, "pc-at") == HWTREE_NONE)
        return;
    add_com1(builder);
    if (has_cmos_clock(acpi))
        (void)add_isa_device(builder, "cmos", "motorola,mc146818", ISA_CMOS, ISA_CMOS_PORTS,
                             ISA_CMOS_INTERRUPT);
}

void acpi_describe_pc(struct hwtree_builder *builder)
{
    static const struct hwtree_acpi none;
    if (hwtree_add_node(builder, HWTREE_NONE, "", 0) == HWTREE_NONE)
        return;
    hwtree_add_compatible(builder, 0, "pc-at", sizeof("pc-at"));
    uint32_t controller = hwtree_add_named(builder, 0, "interrupt-controller");
    if (controller == HWTREE_NONE)
        return;
    struct hwtree_node *node = hwtree_edit(builder, controller);
    node->kind = HWTREE_CONTROLLER;
    node->controller =
        (struct hwtree_controller){.variant = HWTREE_CONTROLLER_IO_APIC, .id = HWTREE_NONE};
    builder->tree->controller = controller;
    add_pc(builder, &none);
}

// ---- DSDT and SSDTs: slots of virtio devices

static void add_interrupt(struct hwtree_builder *builder, uint32_t node, uint32_t index,
                          const struct aml_interrupt *declared)
{
    struct hwtree_interrupt interrupt;
    if (declared->line > UINT32_MAX ||
        !hwtree_acpi_gsi(builder->tree, (uint32_t)declared->line, &interrupt)) {
        hwtree_problem(builder, node, HWTREE_NOT_CONTROLLER, "_CRS", index);
        return;
    }
    interrupt.trigger =
        declared->trigger == TRIGGER_EDGE ? HWTREE_TRIGGER_EDGE : HWTREE_TRIGGER_LEVEL;
    interrupt.polarity =
        declared->trigger == TRIGGER_LEVEL_LOW ? HWTREE_POLARITY_LOW : HWTREE_POLARITY_HIGH;
    hwtree_add_interrupt(builder, node, &interrupt);
}

static void add_declared(void *context, const struct aml_device *device)
{
    struct hwtree_builder *builder = context;
    // The id is QEMU's, and Linux's; its ranges and interrupts are those of "virtio,mmio".
    if (strcmp(device->hid, "LNRO0005") != 0 || device->range_count == 0)
        return;
    uint32_t node =
        hwtree_add_named(builder, 0, "virtio@%llx", (unsigned long long)device->ranges[0].base);
    if (node == HWTREE_NONE)
        return;
    hwtree_add_compatible(builder, node, "virtio,mmio", sizeof("virtio,mmio"));
    for (uint8_t i = 0; i < device->range_count; i++) {
        const struct aml_range *range = &device->ranges[i];
        hwtree_add_range(
            builder, node,
            &(struct hwtree_range){.base = range->base,
                                   .bytes = range->bytes,
                                   .space = range->io ? HWTREE_SPACE_IO : HWTREE_SPACE_MEMORY},
            "_CRS");
    }
    for (uint8_t i = 0; i < device->interrupt_count; i++)
        add_interrupt(builder, node, i, &device->interrupts[i]);
}

void acpi_add_devices(struct hwtree_builder *builder, const struct hwtree_acpi *acpi)
{
    constexpr uint32_t HEADER = sizeof(struct acpi_table_header);
    add_pc(builder, acpi);
    for (unsigned i = 0; i < acpi->count; i++) {
        const char *table = acpi->tables[i].table;
        if (is_named(table, ACPI_SIG_DSDT) || is_named(table, ACPI_SIG_SSDT))
            aml_devices(table + HEADER, acpi->tables[i].bytes - HEADER, add_declared, builder);
    }
}
