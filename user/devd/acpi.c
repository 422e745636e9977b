// SPDX-License-Identifier: MIT
//
// The ACPI front end: PCI hosts from the MCFG, the serial port that the SPCR names (a PL011, as
// machines of Arm have it), that of a PC (isa_facts.h) on machines that say that they are PC-AT
// compatible, and the slots of virtio devices, which AML declares by constants (aml.h). Windows of PCI
// hosts are in AML that would have to be run: what the firmware assigned is kept.
//
// Sources: ACPI 6.5, 5.2.5 to 5.2.8 and 5.2.12; PCI Firmware Specification 3.2, 4.1.2; SPCR by
// Microsoft's specification 1.08. Layouts are ACPICA's.

#include <lib/acpi_tables.h>
#include <lib/string.h>

#include "aml.h"
#include "isa_facts.h"
#include "tree.h"

constexpr uint64_t TABLE_BYTES_MAX = 1024 * 1024;

static bool sums_to_zero(const void *start, uint64_t bytes)
{
    uint8_t sum = 0;
    for (uint64_t i = 0; i < bytes; i++)
        sum += ((const uint8_t *)start)[i];
    return sum == 0;
}

// The whole table at an address, if its sum is right.
static const struct acpi_table_header *open_table(const struct acpi_access *access,
                                                  uint64_t address)
{
    const struct acpi_table_header *header = access->map(address, sizeof(*header));
    if (header == nullptr || header->length < sizeof(*header) || header->length > TABLE_BYTES_MAX)
        return nullptr;
    uint32_t length = header->length;
    header = access->map(address, length);
    return header != nullptr && header->length == length && sums_to_zero(header, length) ? header
                                                                                         : nullptr;
}

static bool is_named(const struct acpi_table_header *table, const char *signature)
{
    return memcmp(table->signature, signature, ACPI_NAMESEG_SIZE) == 0;
}

// ---- MCFG

static void read_mcfg(struct tree *tree, const struct acpi_table_header *header)
{
    const char *end = (const char *)header + header->length;
    const char *at = (const char *)header + sizeof(struct acpi_table_mcfg);
    for (; at + sizeof(struct acpi_mcfg_allocation) <= end;
         at += sizeof(struct acpi_mcfg_allocation)) {
        struct acpi_mcfg_allocation entry;
        memcpy(&entry, at, sizeof(entry));
        if (tree->host_count == PCI_HOSTS || entry.pci_segment != 0 ||
            entry.start_bus_number > entry.end_bus_number || entry.address == 0 ||
            entry.address > UINT64_MAX - (((uint64_t)entry.end_bus_number + 1) << 20))
            continue;
        // The address is that of bus 0, whatever the first bus is.
        struct pci_host *host = &tree->hosts[tree->host_count++];
        *host = (struct pci_host){
            .ecam = entry.address + ((uint64_t)entry.start_bus_number << 20),
            .first_bus = entry.start_bus_number,
            .last_bus = entry.end_bus_number,
        };
        pci_host_send_messages(host, 0);
    }
}

// ---- MADT

// The global interrupt of an ISA interrupt: the same number, edge, unless an override says so.
static struct node_interrupt isa_interrupt(const struct acpi_table_header *madt, uint8_t source)
{
    struct node_interrupt interrupt = {.line = source, .trigger = TRIGGER_EDGE};
    const char *end = (const char *)madt + madt->length;
    const char *at = (const char *)madt + sizeof(struct acpi_table_madt);
    while (at + sizeof(struct acpi_subtable_header) <= end) {
        struct acpi_subtable_header head;
        memcpy(&head, at, sizeof(head));
        if (head.length < sizeof(head) || head.length > end - at)
            break;
        struct acpi_madt_interrupt_override over;
        if (head.type == ACPI_MADT_TYPE_INTERRUPT_OVERRIDE && head.length >= sizeof(over)) {
            memcpy(&over, at, sizeof(over));
            if (over.source_irq == source) {
                bool level = (over.inti_flags & ACPI_MADT_TRIGGER_MASK) == ACPI_MADT_TRIGGER_LEVEL;
                bool low =
                    (over.inti_flags & ACPI_MADT_POLARITY_MASK) == ACPI_MADT_POLARITY_ACTIVE_LOW;
                interrupt.line = over.global_irq;
                interrupt.trigger = !level ? TRIGGER_EDGE
                                    : low  ? TRIGGER_LEVEL_LOW
                                           : TRIGGER_LEVEL_HIGH;
            }
        }
        at += head.length;
    }
    return interrupt;
}

static void add_isa_device(struct tree *tree, const struct acpi_table_header *madt,
                           const char *name, const char *compatible, uint16_t base, uint16_t ports,
                           uint8_t interrupt)
{
    struct node *node = tree_add(tree);
    if (node == nullptr)
        return;
    (void)text_copy(node->name, sizeof(node->name), name);
    node_add_compatible(node, compatible);
    node->ranges[node->range_count++] =
        (struct node_range){.base = base, .bytes = ports, .io = true};
    node->interrupts[node->interrupt_count++] = isa_interrupt(madt, interrupt);
}

static void read_madt(struct tree *tree, const struct acpi_table_header *header)
{
    struct acpi_table_madt madt;
    if (header->length < sizeof(madt))
        return;
    memcpy(&madt, header, sizeof(madt));
    if ((madt.flags & ACPI_MADT_PCAT_COMPAT) == 0)
        return;
    add_isa_device(tree, header, "com1", "ns16550a", ISA_COM1, ISA_COM1_PORTS, ISA_COM1_INTERRUPT);
    add_isa_device(tree, header, "cmos", "motorola,mc146818", ISA_CMOS, ISA_CMOS_PORTS,
                   ISA_CMOS_INTERRUPT);
}

// ---- SPCR

constexpr uint8_t SPCR_INTERRUPT_GIC = 1 << 3; // the global number is that of a GIC: an INTID
constexpr uint64_t PL011_BYTES = 0x1000;       // the table does not say

static void read_spcr(struct tree *tree, const struct acpi_table_header *header)
{
    struct acpi_table_spcr spcr;
    if (header->length < sizeof(spcr))
        return;
    memcpy(&spcr, header, sizeof(spcr));
    const bool known = spcr.interface_type == ACPI_DBG2_ARM_PL011 ||
                       spcr.interface_type == ACPI_DBG2_ARM_SBSA_32BIT ||
                       spcr.interface_type == ACPI_DBG2_ARM_SBSA_GENERIC;
    const uint64_t address = spcr.serial_port.address;
    if (!known || spcr.serial_port.space_id != ACPI_ADR_SPACE_SYSTEM_MEMORY || address == 0 ||
        address > UINT64_MAX - PL011_BYTES || (spcr.interrupt_type & SPCR_INTERRUPT_GIC) == 0)
        return;
    struct node *node = tree_add(tree);
    if (node == nullptr)
        return;
    (void)text_copy(node->name, sizeof(node->name), "serial");
    node_add_compatible(node, "arm,pl011");
    node->ranges[node->range_count++] = (struct node_range){.base = address, .bytes = PL011_BYTES};
    node->interrupts[node->interrupt_count++] =
        (struct node_interrupt){.line = spcr.interrupt, .trigger = TRIGGER_LEVEL_HIGH};
}

// ---- DSDT and SSDTs: slots of virtio devices

static void add_declared(void *context, const struct aml_device *device)
{
    struct tree *tree = context;
    // The id is QEMU's, and Linux's; its ranges and interrupts are those of "virtio,mmio".
    if (strcmp(device->hid, "LNRO0005") != 0 || device->range_count == 0)
        return;
    struct node *node = tree_add(tree);
    if (node == nullptr)
        return;
    (void)text_copy(node->name, sizeof(node->name), device->name);
    node_add_compatible(node, "virtio,mmio");
    for (uint8_t i = 0; i < device->range_count && node->range_count < NODE_RANGES; i++) {
        const struct aml_range *range = &device->ranges[i];
        node->ranges[node->range_count++] =
            (struct node_range){.base = range->base, .bytes = range->bytes, .io = range->io};
    }
    for (uint8_t i = 0; i < device->interrupt_count && node->interrupt_count < NODE_INTERRUPTS; i++)
        node->interrupts[node->interrupt_count++] = (struct node_interrupt){
            .line = device->interrupts[i].line, .trigger = device->interrupts[i].trigger};
}

static void read_definitions(struct tree *tree, const struct acpi_table_header *table)
{
    aml_devices(table + 1, table->length - sizeof(*table), add_declared, tree);
}

static void read_fadt(struct tree *tree, const struct acpi_access *access,
                      const struct acpi_table_header *header)
{
    struct acpi_table_fadt fadt = {};
    memcpy(&fadt, header, header->length < sizeof(fadt) ? header->length : sizeof(fadt));
    const uint64_t address = fadt.Xdsdt != 0 ? fadt.Xdsdt : fadt.dsdt;
    const struct acpi_table_header *dsdt = address != 0 ? open_table(access, address) : nullptr;
    if (dsdt != nullptr && is_named(dsdt, ACPI_SIG_DSDT))
        read_definitions(tree, dsdt);
}

// ---- the list

static void read_table(struct tree *tree, const struct acpi_access *access, uint64_t address)
{
    const struct acpi_table_header *table = address != 0 ? open_table(access, address) : nullptr;
    if (table == nullptr)
        return;
    if (is_named(table, ACPI_SIG_MCFG))
        read_mcfg(tree, table);
    else if (is_named(table, ACPI_SIG_MADT))
        read_madt(tree, table);
    else if (is_named(table, ACPI_SIG_SPCR))
        read_spcr(tree, table);
    else if (is_named(table, ACPI_SIG_FADT))
        read_fadt(tree, access, table);
    else if (is_named(table, ACPI_SIG_SSDT))
        read_definitions(tree, table);
}

static bool read_list(struct tree *tree, const struct acpi_access *access, uint64_t address,
                      const char *signature, uint32_t width)
{
    const struct acpi_table_header *list = address != 0 ? open_table(access, address) : nullptr;
    if (list == nullptr || !is_named(list, signature))
        return false;
    const char *entries = (const char *)(list + 1);
    uint32_t count = (list->length - (uint32_t)sizeof(*list)) / width;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t entry = 0;
        memcpy(&entry, entries + (uint64_t)i * width, width);
        read_table(tree, access, entry);
    }
    return true;
}

bool tree_from_acpi(struct tree *tree, const struct acpi_access *access, uint64_t rsdp_address)
{
    struct acpi_table_rsdp rsdp = {};
    const void *at = access->map(rsdp_address, sizeof(struct acpi_rsdp_common));
    if (at == nullptr || !sums_to_zero(at, sizeof(struct acpi_rsdp_common)))
        return false;
    memcpy(&rsdp, at, sizeof(struct acpi_rsdp_common));
    // ACPI 1.0, as QEMU's q35 has it, ends here; later ones go on.
    if (rsdp.revision >= 2 && (at = access->map(rsdp_address, sizeof(rsdp))) != nullptr)
        memcpy(&rsdp, at, sizeof(rsdp));
    if (memcmp(rsdp.signature, ACPI_SIG_RSDP, sizeof(rsdp.signature)) != 0)
        return false;
    return read_list(tree, access, rsdp.xsdt_physical_address, ACPI_SIG_XSDT, sizeof(uint64_t)) ||
           read_list(tree, access, rsdp.rsdt_physical_address, ACPI_SIG_RSDT, sizeof(uint32_t));
}
