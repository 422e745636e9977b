// SPDX-License-Identifier: MIT
//
// The MADT (ACPI 6.5, 5.2.12): CPUs, I/O APICs, and where ISA interrupts differ from the rule.
#include "machine.h"

#include <lib/acpi_tables.h>

// MPS INTI flags of an override.
constexpr unsigned INTI_POLARITY_MASK = 3;
constexpr unsigned INTI_ACTIVE_LOW = 3;
constexpr unsigned INTI_TRIGGER_SHIFT = 2;
constexpr unsigned INTI_LEVEL = 3;

void machine_add_cpu(struct boot_info *boot, uint32_t id)
{
    if (id > apic_id_max()) {
        klog("boot: the CPU with APIC id %u needs an x2APIC and is not used", id);
        return;
    }
    for (uint32_t i = 0; i < boot->cpu_count; i++)
        if (boot->cpu_ids[i] == id)
            return; // by an entry of the other kind
    if (boot->cpu_count == BOOT_CPUS_MAX) {
        klog("boot: more than %u CPUs, the one with APIC id %u is not used", BOOT_CPUS_MAX, id);
        return;
    }
    boot->cpu_ids[boot->cpu_count++] = id;
}

void machine_add_io_apic(struct apic_config *config, uint64_t address, uint32_t first_line)
{
    if (config->io_count == IO_APICS_MAX) {
        klog("boot: more than %u I/O APICs, the one at 0x%lx is not used", IO_APICS_MAX, address);
        return;
    }
    config->io[config->io_count].address = (paddr_t){address};
    config->io[config->io_count++].first_line = first_line;
}

// An override that conforms to the bus only renumbers, which concerns whoever knows ISA numbers.
static void add_override(struct apic_config *config,
                         const struct acpi_madt_interrupt_override *override)
{
    const unsigned polarity = override->inti_flags & INTI_POLARITY_MASK;
    const unsigned trigger = override->inti_flags >> INTI_TRIGGER_SHIFT & INTI_POLARITY_MASK;
    if (polarity == 0 || trigger == 0)
        return;
    if (config->override_count == ISA_OVERRIDES_MAX) {
        klog("acpi: more than %u interrupt overrides, line %u is not overridden", ISA_OVERRIDES_MAX,
             override->global_irq);
        return;
    }
    enum abi_trigger meaning = TRIGGER_EDGE;
    if (trigger == INTI_LEVEL)
        meaning = polarity == INTI_ACTIVE_LOW ? TRIGGER_LEVEL_LOW : TRIGGER_LEVEL_HIGH;
    config->overrides[config->override_count].line = override->global_irq;
    config->overrides[config->override_count++].trigger = meaning;
}

// Entries name the CPUs that they mean. That some have an NMI where others have an ordinary
// interrupt does not happen: what is no NMI is masked on all of them.
static void add_nmi(struct apic_config *config, uint8_t input)
{
    if (input < 2)
        config->nmi_inputs |= (uint8_t)(1u << input);
}

static void read_entry(uint32_t type, const struct acpi_piece *entry, struct apic_config *config,
                       struct boot_info *boot)
{
    union {
        struct acpi_madt_local_apic cpu;
        struct acpi_madt_local_x2apic wide_cpu;
        struct acpi_madt_io_apic io;
        struct acpi_madt_interrupt_override source;
        struct acpi_madt_local_apic_nmi nmi;
        struct acpi_madt_local_x2apic_nmi wide_nmi;
        struct acpi_madt_local_apic_override address;
    } e;
    switch (type) {
    case ACPI_MADT_TYPE_LOCAL_APIC:
        if (acpi_take(entry, &e, sizeof(e.cpu), sizeof(e.cpu)) &&
            (e.cpu.lapic_flags & ACPI_MADT_ENABLED) != 0)
            machine_add_cpu(boot, e.cpu.id);
        break;
    case ACPI_MADT_TYPE_LOCAL_X2APIC:
        if (acpi_take(entry, &e, sizeof(e.wide_cpu), sizeof(e.wide_cpu)) &&
            (e.wide_cpu.lapic_flags & ACPI_MADT_ENABLED) != 0)
            machine_add_cpu(boot, e.wide_cpu.local_apic_id);
        break;
    case ACPI_MADT_TYPE_IO_APIC:
        if (acpi_take(entry, &e, sizeof(e.io), sizeof(e.io)))
            machine_add_io_apic(config, e.io.address, e.io.global_irq_base);
        break;
    case ACPI_MADT_TYPE_INTERRUPT_OVERRIDE:
        if (acpi_take(entry, &e, sizeof(e.source), sizeof(e.source)))
            add_override(config, &e.source);
        break;
    case ACPI_MADT_TYPE_LOCAL_APIC_NMI:
        if (acpi_take(entry, &e, sizeof(e.nmi), sizeof(e.nmi)))
            add_nmi(config, e.nmi.lint);
        break;
    case ACPI_MADT_TYPE_LOCAL_X2APIC_NMI:
        if (acpi_take(entry, &e, sizeof(e.wide_nmi), sizeof(e.wide_nmi)))
            add_nmi(config, e.wide_nmi.lint);
        break;
    case ACPI_MADT_TYPE_LOCAL_APIC_OVERRIDE:
        if (acpi_take(entry, &e, sizeof(e.address), sizeof(e.address)))
            config->local = (paddr_t){e.address.address};
        break;
    default:
        break;
    }
}

bool machine_interrupts(struct acpi_tables *acpi, struct apic_config *config,
                        struct boot_info *boot)
{
    struct acpi_table_madt header;
    struct acpi_piece entry, madt = acpi_find(acpi, ACPI_SIG_MADT, sizeof(header));
    if (madt.at == nullptr || !acpi_copy(&madt, &header, sizeof(header), sizeof(header)))
        return false;
    *config = (struct apic_config){.local = {header.address}};
    uint32_t type;
    for (uint32_t at = sizeof(header); acpi_next(&madt, &at, &type, &entry);)
        read_entry(type, &entry, config, boot);
    return true;
}
