// SPDX-License-Identifier: MIT
//
// The ACPI front end: what the parts share, and the tables that are short. See acpi_reader.h.
// ACPI 6.5, 5.2.9; IA-PC HPET 1.0a, 3.2.4; Microsoft's SPCR and DBG2.
#include "acpi_reader.h"

#include <lib/format.h>
#include <lib/string.h>

constexpr uint64_t HPET_BYTES = 0x400;
constexpr uint32_t PM_TIMER_HZ = 3'579'545;
constexpr uint64_t PL011_BYTES = 0x1000;
constexpr uint64_t UART_16550_REGISTERS = 8;
constexpr unsigned ISA_SOURCES = 16;

// ---- pieces

struct acpi_piece tables_find(struct acpi_reader *reader, const char *signature, uint32_t least)
{
    for (unsigned i = 0; i < reader->acpi->count; i++) {
        const struct acpi_table *table = &reader->acpi->list[i];
        const struct acpi_piece piece = {table->at, table->bytes, signature, 0};
        if (piece.at == nullptr || !acpi_table_is(table, signature))
            continue;
        if (piece.bytes >= least)
            return piece;
        tables_problem(reader, &piece, HWTREE_MALFORMED);
    }
    return (struct acpi_piece){.table = signature};
}

void tables_problem(struct acpi_reader *reader, const struct acpi_piece *piece,
                    enum hwtree_cause cause)
{
    hwtree_problem(reader->builder, 0, cause, piece->table, piece->offset);
}

bool tables_copy(struct acpi_reader *reader, const struct acpi_piece *piece, void *to, size_t bytes,
                 size_t least)
{
    if (acpi_copy(piece, to, bytes, least))
        return true;
    tables_problem(reader, piece, HWTREE_MALFORMED);
    return false;
}

struct acpi_piece tables_part(struct acpi_reader *reader, const struct acpi_piece *piece,
                              uint64_t offset, uint64_t bytes)
{
    const struct acpi_piece part = acpi_part(piece, offset, bytes);
    if (part.at == nullptr)
        tables_problem(reader, piece, HWTREE_MALFORMED);
    return part;
}

bool tables_entry(struct acpi_reader *reader, const struct acpi_piece *table, uint32_t *at,
                  enum acpi_form form, uint32_t *type, struct acpi_piece *entry)
{
    if (acpi_next_entry(table, at, form, type, entry) && hwtree_work(reader->builder, 1))
        return true;
    if (*at < table->bytes)
        tables_problem(reader, entry, HWTREE_MALFORMED);
    return false;
}

// ---- nodes

uint32_t tables_add(struct acpi_reader *reader, const struct acpi_piece *piece, const char *name,
                    const struct hwtree_range *range)
{
    uint32_t node =
        hwtree_add_named(reader->builder, 0, "%s@%llx", name, (unsigned long long)range->base);
    if (node != HWTREE_NONE)
        hwtree_add_range(reader->builder, node, range, piece->table);
    return node;
}

uint32_t tables_text(struct acpi_reader *reader, const char *text)
{
    return hwtree_add_text(reader->builder, text, strlen(text));
}

uint32_t tables_node(const struct acpi_reader *reader, enum hwtree_kind kind, tables_is *is,
                     uint64_t value)
{
    for (uint32_t i = 0; i < hwtree_count(reader->tree, HWTREE_NODES); i++)
        if (hwtree_node(reader->tree, i)->kind == kind && is(hwtree_node(reader->tree, i), value))
            return i;
    return HWTREE_NONE;
}

uint32_t tables_at(const struct acpi_reader *reader, enum hwtree_space space, uint64_t base)
{
    for (uint32_t i = 0; i < hwtree_count(reader->tree, HWTREE_NODES); i++) {
        if (!hwtree_work(reader->builder, 1))
            break;
        if (hwtree_node(reader->tree, i)->ranges.count > 0 &&
            hwtree_range(reader->tree, i, 0)->space == space &&
            hwtree_range(reader->tree, i, 0)->base == base)
            return i;
    }
    return HWTREE_NONE;
}

bool tables_is_host(const struct hwtree_node *node, uint64_t segment)
{
    return node->pci_host.segment == segment;
}

// The I/O APIC with the highest first input that is not above, or the GIC.
static uint32_t find_controller(const struct hwtree *tree, uint32_t gsi)
{
    uint32_t found = HWTREE_NONE;
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_NODES); i++) {
        const struct hwtree_node *node = hwtree_node(tree, i);
        if (node->kind != HWTREE_CONTROLLER)
            continue;
        bool gic = node->controller.variant == HWTREE_CONTROLLER_GICV2 ||
                   node->controller.variant == HWTREE_CONTROLLER_GICV3;
        if (!gic && node->controller.variant != HWTREE_CONTROLLER_IO_APIC)
            continue;
        if (node->controller.line_first <= gsi &&
            (found == HWTREE_NONE ||
             node->controller.line_first >= hwtree_node(tree, found)->controller.line_first))
            found = i;
    }
    return found;
}

bool hwtree_acpi_gsi(const struct hwtree *tree, uint32_t gsi, struct hwtree_interrupt *interrupt)
{
    *interrupt = (struct hwtree_interrupt){.line = gsi, .controller = find_controller(tree, gsi)};
    return interrupt->controller != HWTREE_NONE;
}

bool tables_gsi(struct acpi_reader *reader, const struct acpi_piece *piece, uint32_t gsi,
                struct hwtree_interrupt *interrupt)
{
    if (hwtree_acpi_gsi(reader->tree, gsi, interrupt))
        return true;
    tables_problem(reader, piece, HWTREE_NOT_CONTROLLER);
    return false;
}

bool hwtree_acpi_isa(const struct hwtree *tree, uint8_t source, struct hwtree_interrupt *interrupt)
{
    char name[8];
    uint32_t isa = hwtree_compatible(tree, HWTREE_NONE, "isa");
    format_text(name, sizeof(name), "irq%u", source);
    for (uint32_t i = 0; isa != HWTREE_NONE && i < hwtree_node(tree, isa)->interrupts.count; i++) {
        const struct hwtree_interrupt *over = hwtree_interrupt(tree, isa, i);
        if (strcmp(hwtree_text(tree, over->name), name) != 0)
            continue;
        *interrupt = *over;
        interrupt->name = 0;
        return true;
    }
    *interrupt = (struct hwtree_interrupt){.line = source,
                                           .controller = find_controller(tree, source),
                                           .trigger = HWTREE_TRIGGER_EDGE,
                                           .polarity = HWTREE_POLARITY_HIGH};
    return source < ISA_SOURCES && interrupt->controller != HWTREE_NONE;
}

// ---- timers and power

static void read_hpet(struct acpi_reader *reader)
{
    struct acpi_table_hpet hpet;
    struct acpi_piece table = tables_find(reader, ACPI_SIG_HPET, sizeof(hpet));
    if (table.at == nullptr || !tables_copy(reader, &table, &hpet, sizeof(hpet), sizeof(hpet)))
        return;
    if (hpet.address.space_id != ACPI_ADR_SPACE_SYSTEM_MEMORY || hpet.address.address == 0) {
        tables_problem(reader, &table, HWTREE_MALFORMED);
        return;
    }
    uint32_t node =
        tables_add(reader, &table, "timer",
                   &(struct hwtree_range){.base = hpet.address.address, .bytes = HPET_BYTES});
    if (node == HWTREE_NONE)
        return;
    hwtree_edit(reader->builder, node)->kind = HWTREE_TIMER;
    hwtree_edit(reader->builder, node)->timer = (struct hwtree_timer){
        .variant = HWTREE_TIMER_HPET, .bits = (hpet.id & 1u << 13) != 0 ? 64 : 32};
}

// A register block of the FADT: the extended form if it is there.
static struct hwtree_range block(const struct acpi_generic_address *extended, uint32_t legacy,
                                 uint32_t bytes)
{
    struct hwtree_range range = {.base = legacy, .bytes = bytes, .space = HWTREE_SPACE_IO};
    if (extended->address == 0)
        return range;
    range.base = extended->address;
    if (extended->space_id == ACPI_ADR_SPACE_SYSTEM_MEMORY)
        range.space = HWTREE_SPACE_MEMORY;
    else if (extended->space_id != ACPI_ADR_SPACE_SYSTEM_IO)
        range.base = 0;
    return range;
}

static void add_block(struct acpi_reader *reader, uint32_t node, struct hwtree_range range,
                      const char *name)
{
    if (range.base == 0 || range.bytes == 0)
        return;
    range.name = tables_text(reader, name);
    hwtree_add_range(reader->builder, node, &range, ACPI_SIG_FADT);
}

static void read_fadt(struct acpi_reader *reader)
{
    struct acpi_table_fadt fadt;
    struct acpi_piece table = tables_find(reader, ACPI_SIG_FADT, 116); // ACPI 1.0's
    if (table.at == nullptr || !tables_copy(reader, &table, &fadt, sizeof(fadt), 116) ||
        (fadt.flags & ACPI_FADT_HW_REDUCED) != 0)
        return;
    uint32_t power = hwtree_add_named(reader->builder, 0, "acpi");
    if (power == HWTREE_NONE)
        return;
    add_block(reader, power,
              block(&fadt.xpm1a_event_block, fadt.pm1a_event_block, fadt.pm1_event_length),
              "pm1a-event");
    add_block(reader, power,
              block(&fadt.xpm1a_control_block, fadt.pm1a_control_block, fadt.pm1_control_length),
              "pm1a-control");
    if ((fadt.flags & ACPI_FADT_RESET_REGISTER) != 0)
        add_block(reader, power, block(&fadt.reset_register, 0, 1), "reset");
    struct hwtree_interrupt interrupt;
    if (fadt.sci_interrupt < ISA_SOURCES
            ? hwtree_acpi_isa(reader->tree, (uint8_t)fadt.sci_interrupt, &interrupt)
            : tables_gsi(reader, &table, fadt.sci_interrupt, &interrupt)) {
        interrupt.name = tables_text(reader, "sci");
        hwtree_add_interrupt(reader->builder, power, &interrupt);
    }
    struct hwtree_range timer = block(&fadt.xpm_timer_block, fadt.pm_timer_block, 4);
    if (timer.base == 0 || fadt.pm_timer_length == 0)
        return;
    uint32_t node = tables_add(reader, &table, "timer", &timer);
    if (node == HWTREE_NONE)
        return;
    hwtree_edit(reader->builder, node)->kind = HWTREE_TIMER;
    hwtree_edit(reader->builder, node)->timer =
        (struct hwtree_timer){.variant = HWTREE_TIMER_PM,
                              .hz = PM_TIMER_HZ,
                              .bits = (fadt.flags & ACPI_FADT_32BIT_TIMER) != 0 ? 32 : 24};
}

// ---- serial ports

// DBG2's subtypes, which SPCR uses too.
static const char *uart_name(uint32_t subtype, uint64_t *bytes)
{
    *bytes = UART_16550_REGISTERS;
    switch (subtype) {
    case ACPI_DBG2_16550_COMPATIBLE:
    case ACPI_DBG2_16550_SUBSET:
    case ACPI_DBG2_16550_WITH_GAS:
        return "ns16550a";
    case ACPI_DBG2_16550_NVIDIA:
        *bytes *= 4;
        return "nvidia,tegra20-uart";
    case ACPI_DBG2_ARM_PL011:
        *bytes = PL011_BYTES;
        return "arm,pl011";
    case ACPI_DBG2_ARM_SBSA_32BIT:
    case ACPI_DBG2_ARM_SBSA_GENERIC:
        *bytes = PL011_BYTES;
        return "arm,sbsa-uart";
    default:
        return nullptr;
    }
}

// The node of the port, which may be there already.
static uint32_t add_uart(struct acpi_reader *reader, const struct acpi_piece *piece,
                         uint32_t subtype, const struct acpi_generic_address *address)
{
    uint64_t bytes;
    const char *name = uart_name(subtype, &bytes);
    if (address->address == 0 || name == nullptr)
        return HWTREE_NONE;
    struct hwtree_range range = {.base = address->address, .bytes = bytes};
    if (address->space_id == ACPI_ADR_SPACE_SYSTEM_IO) {
        range.space = HWTREE_SPACE_IO;
    } else if (address->space_id != ACPI_ADR_SPACE_SYSTEM_MEMORY) {
        tables_problem(reader, piece, HWTREE_MALFORMED);
        return HWTREE_NONE;
    }
    uint32_t node = tables_at(reader, range.space, range.base);
    if (node != HWTREE_NONE)
        return node;
    node = tables_add(reader, piece, "serial", &range);
    if (node == HWTREE_NONE)
        return node;
    hwtree_add_compatible(reader->builder, node, name, strlen(name));
    if (strcmp(name, "arm,pl011") == 0) // as all of these have registers that tell what they are
        hwtree_add_compatible(reader->builder, node, "arm,primecell", sizeof("arm,primecell"));
    return node;
}

static void read_spcr(struct acpi_reader *reader)
{
    static const uint32_t bauds[] = {[3] = 9600, [4] = 19200, [6] = 57600, [7] = 115200};
    struct acpi_table_spcr spcr;
    struct acpi_piece table = tables_find(reader, ACPI_SIG_SPCR, 80); // the first revision's
    if (table.at == nullptr || !tables_copy(reader, &table, &spcr, sizeof(spcr), 80))
        return;
    uint32_t node = add_uart(reader, &table, spcr.interface_type, &spcr.serial_port);
    if (node == HWTREE_NONE)
        return;
    hwtree_edit(reader->builder, node)->kind = HWTREE_CONSOLE;
    if (spcr.baud_rate < sizeof(bauds) / sizeof(bauds[0]))
        hwtree_edit(reader->builder, node)->console.baud = bauds[spcr.baud_rate];
    reader->builder->tree->console = node;
    struct hwtree_interrupt interrupt;
    // Bit 0: a PC's interrupt; bits 1 to 3: a global system interrupt.
    if ((spcr.interrupt_type & 0xe) != 0) {
        if (!tables_gsi(reader, &table, spcr.interrupt, &interrupt))
            return;
        if ((spcr.interrupt_type & 8) != 0) {
            interrupt.trigger = HWTREE_TRIGGER_LEVEL;
            interrupt.polarity = HWTREE_POLARITY_HIGH;
        }
    } else if ((spcr.interrupt_type & 1) == 0 ||
               !hwtree_acpi_isa(reader->tree, spcr.pc_interrupt, &interrupt)) {
        return;
    }
    hwtree_add_interrupt(reader->builder, node, &interrupt);
}

static void read_dbg2(struct acpi_reader *reader)
{
    struct acpi_table_dbg2 dbg2;
    struct acpi_piece table = tables_find(reader, ACPI_SIG_DBG2, sizeof(dbg2));
    if (table.at == nullptr || !tables_copy(reader, &table, &dbg2, sizeof(dbg2), sizeof(dbg2)))
        return;
    uint32_t at = dbg2.info_offset < table.bytes ? dbg2.info_offset : table.bytes, type;
    struct acpi_piece entry;
    // Each begins with a revision and its length.
    for (uint32_t i = 0;
         i < dbg2.info_count && tables_entry(reader, &table, &at, ACPI_8_16, &type, &entry); i++) {
        struct acpi_dbg2_device device;
        struct acpi_generic_address address;
        if (!tables_copy(reader, &entry, &device, sizeof(device), sizeof(device)))
            return;
        if (device.port_type != ACPI_DBG2_SERIAL_PORT || device.register_count == 0)
            continue;
        struct acpi_piece part =
            tables_part(reader, &entry, device.base_address_offset, sizeof(address));
        if (part.at == nullptr)
            continue;
        memcpy(&address, part.at, sizeof(address));
        (void)add_uart(reader, &entry, device.port_subtype, &address);
    }
}

// ---- all

// No list names the DSDT.
static void add_dsdt(struct acpi_tables *acpi)
{
    for (unsigned i = 0; i < acpi->count; i++) {
        const struct acpi_piece piece = {.at = acpi->list[i].at, .bytes = acpi->list[i].bytes};
        struct acpi_table_fadt fadt;
        if (piece.at == nullptr || !acpi_table_is(&acpi->list[i], ACPI_SIG_FADT) ||
            !acpi_copy(&piece, &fadt, sizeof(fadt), 0))
            continue;
        const uint64_t address = fadt.Xdsdt != 0 ? fadt.Xdsdt : fadt.dsdt;
        struct acpi_table *dsdt =
            address != 0 ? acpi_tables_add(acpi, address, ACPI_SIG_DSDT) : nullptr;
        if (dsdt != nullptr)
            (void)acpi_table_open(acpi, dsdt);
        return;
    }
}

bool hwtree_acpi_find(struct acpi_tables *acpi, acpi_map *map, void *context, uint64_t rsdp)
{
    *acpi = (struct acpi_tables){.map = map, .context = context};
    if (!acpi_tables_read(acpi, rsdp))
        return false;
    for (unsigned i = 0; i < acpi->count; i++)
        (void)acpi_table_open(acpi, &acpi->list[i]);
    add_dsdt(acpi);
    return true;
}

void hwtree_read_acpi(struct hwtree_builder *builder, const struct acpi_tables *acpi)
{
    struct acpi_reader reader = {.builder = builder, .tree = builder->tree, .acpi = acpi};
    if (hwtree_add_node(builder, HWTREE_NONE, "", 0) == HWTREE_NONE)
        return;
    for (unsigned i = 0; i < acpi->count; i++)
        if (acpi->list[i].fault != ACPI_SOUND)
            hwtree_problem(builder, 0, HWTREE_BAD_TABLE, acpi->list[i].signature, i);
    tables_madt(&reader);
    hwtree_link(builder);
    tables_mcfg(&reader);
    read_fadt(&reader);
    read_hpet(&reader);
    tables_gtdt(&reader);
    read_spcr(&reader);
    read_dbg2(&reader);
    tables_numa(&reader);
    tables_iort(&reader);
    tables_dmar(&reader);
    tables_pptt(&reader);
    tables_definitions(&reader);
    hwtree_acpi_messages(builder);
    hwtree_link(builder);
    hwtree_cross_check(builder);
}
