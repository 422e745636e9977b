// SPDX-License-Identifier: MIT
//
// See acpi.h. Sources: ACPI 6.5, 5.2.9.3 "IA-PC Boot Architecture Flags", 5.2.11; layouts are
// ACPICA's.

#include "acpi.h"

#include <lib/acpi_tables.h>
#include <lib/string.h>

#include "isa_facts.h"

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
static bool has_cmos_clock(const struct acpi_tables *acpi)
{
    for (unsigned i = 0; i < acpi->count; i++) {
        const struct acpi_piece table = {.at = acpi->list[i].at, .bytes = acpi->list[i].bytes};
        struct acpi_table_fadt fadt;
        if (table.at != nullptr && acpi_table_is(&acpi->list[i], ACPI_SIG_FADT) &&
            acpi_copy(&table, &fadt, sizeof(fadt), 0))
            return (fadt.boot_flags & ACPI_FADT_NO_CMOS_RTC) == 0;
    }
    return true;
}

static void add_pc(struct hwtree_builder *builder, const struct acpi_tables *acpi)
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
    static const struct acpi_tables none;
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

void acpi_add_devices(struct hwtree_builder *builder, const struct acpi_tables *acpi)
{
    add_pc(builder, acpi);
}
