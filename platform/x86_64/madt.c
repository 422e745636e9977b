// SPDX-License-Identifier: MIT
//
// The MADT (ACPI 6.5, 5.2.12): CPUs, I/O APICs, and where ISA interrupts differ from the rule.
#include "machine.h"

#include <lib/acpi_tables.h>
#include <lib/string.h>

// MPS INTI flags of an override.
constexpr unsigned INTI_POLARITY_MASK = 3;
constexpr unsigned INTI_ACTIVE_LOW = 3;
constexpr unsigned INTI_TRIGGER_SHIFT = 2;
constexpr unsigned INTI_LEVEL = 3;

// The shortest sound entry of a type that is read here; 0: the type is not read.
static size_t entry_bytes(uint8_t type)
{
    switch (type) {
    case ACPI_MADT_TYPE_LOCAL_APIC:
        return sizeof(struct acpi_madt_local_apic);
    case ACPI_MADT_TYPE_IO_APIC:
        return sizeof(struct acpi_madt_io_apic);
    case ACPI_MADT_TYPE_INTERRUPT_OVERRIDE:
        return sizeof(struct acpi_madt_interrupt_override);
    case ACPI_MADT_TYPE_LOCAL_APIC_NMI:
        return sizeof(struct acpi_madt_local_apic_nmi);
    case ACPI_MADT_TYPE_LOCAL_APIC_OVERRIDE:
        return sizeof(struct acpi_madt_local_apic_override);
    case ACPI_MADT_TYPE_LOCAL_X2APIC:
        return sizeof(struct acpi_madt_local_x2apic);
    case ACPI_MADT_TYPE_LOCAL_X2APIC_NMI:
        return sizeof(struct acpi_madt_local_x2apic_nmi);
    default:
        return 0;
    }
}

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

static void read_entry(const struct acpi_subtable_header *entry, struct apic_config *config,
                       struct boot_info *boot)
{
    const void *at = entry;
    switch (entry->type) {
    case ACPI_MADT_TYPE_LOCAL_APIC: {
        const struct acpi_madt_local_apic *cpu = at;
        if ((cpu->lapic_flags & ACPI_MADT_ENABLED) != 0)
            machine_add_cpu(boot, cpu->id);
        break;
    }
    case ACPI_MADT_TYPE_LOCAL_X2APIC: {
        const struct acpi_madt_local_x2apic *cpu = at;
        if ((cpu->lapic_flags & ACPI_MADT_ENABLED) != 0)
            machine_add_cpu(boot, cpu->local_apic_id);
        break;
    }
    case ACPI_MADT_TYPE_IO_APIC: {
        const struct acpi_madt_io_apic *io = at;
        machine_add_io_apic(config, io->address, io->global_irq_base);
        break;
    }
    case ACPI_MADT_TYPE_INTERRUPT_OVERRIDE:
        add_override(config, at);
        break;
    case ACPI_MADT_TYPE_LOCAL_APIC_NMI: {
        const struct acpi_madt_local_apic_nmi *nmi = at;
        add_nmi(config, nmi->lint);
        break;
    }
    case ACPI_MADT_TYPE_LOCAL_X2APIC_NMI: {
        const struct acpi_madt_local_x2apic_nmi *nmi = at;
        add_nmi(config, nmi->lint);
        break;
    }
    case ACPI_MADT_TYPE_LOCAL_APIC_OVERRIDE: {
        const struct acpi_madt_local_apic_override *override = at;
        config->local = (paddr_t){override->address};
        break;
    }
    default:
        break;
    }
}

bool machine_interrupts(const struct acpi *acpi, struct apic_config *config, struct boot_info *boot)
{
    size_t bytes;
    const struct acpi_table_madt *madt = acpi_find(acpi, ACPI_SIG_MADT, sizeof(*madt), &bytes);
    if (madt == nullptr)
        return false;
    *config = (struct apic_config){.local = {madt->address}};

    const char *start = (const char *)madt;
    for (size_t at = sizeof(*madt); at < bytes;) {
        const struct acpi_subtable_header *entry = (const void *)(start + at);
        if (bytes - at < sizeof(*entry) || entry->length < sizeof(*entry) ||
            entry->length > bytes - at || entry->length < entry_bytes(entry->type)) {
            klog("acpi: the MADT is broken at byte %lu, the rest is ignored", at);
            break;
        }
        read_entry(entry, config, boot);
        at += entry->length;
    }
    return true;
}
