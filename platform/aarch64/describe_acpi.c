// SPDX-License-Identifier: MIT
//
// Console, interrupt controller, timer, CPUs and PSCI as ACPI tables describe them (ACPI 6.5: MADT
// 5.2.12.14 to .18, GTDT 5.2.25, FADT 5.2.9; SPCR by Microsoft's specification 1.08). What stands
// in AML is not read: nothing here does.
#include "machine.h"

#include <lib/acpi_tables.h>

constexpr uint32_t PPI_FIRST = 16, PPI_END = 32;
constexpr uint64_t MPIDR_AFFINITY = 0xff'00ff'ffff;
constexpr uint64_t PL011_BYTES = 0x1000;
// The first version's GICC structure ends behind the MPIDR.
constexpr size_t GICC_BYTES = offsetof(struct acpi_madt_generic_interrupt, efficiency_class);

// ---- the MADT's entries

struct entries {
    struct acpi_piece table;
    uint32_t at;
};

static struct entries entries_begin(struct acpi_tables *acpi)
{
    constexpr uint32_t header = sizeof(struct acpi_table_madt);
    return (struct entries){acpi_find(acpi, ACPI_SIG_MADT, header), header};
}

// Copies the next entry of a type, as much of it as there is; less than `least`: passed over.
static bool entries_next(struct entries *e, uint32_t type, size_t least, void *out, size_t size)
{
    struct acpi_piece entry;
    uint32_t found;
    while (acpi_next(&e->table, &e->at, &found, &entry))
        if (found == type && acpi_take(&entry, out, size, least))
            return true;
    return false;
}

static bool next_cpu(struct entries *e, struct acpi_madt_generic_interrupt *cpu)
{
    while (entries_next(e, ACPI_MADT_TYPE_GENERIC_INTERRUPT, GICC_BYTES, cpu, sizeof(*cpu)))
        if ((cpu->flags & ACPI_MADT_ENABLED) != 0)
            return true;
    return false;
}

// ---- console

static bool is_pl011(uint8_t type)
{
    return type == ACPI_DBG2_ARM_PL011 || type == ACPI_DBG2_ARM_SBSA_32BIT ||
           type == ACPI_DBG2_ARM_SBSA_GENERIC;
}

void acpi_describe_console(struct acpi_tables *acpi, struct machine_description *machine)
{
    machine->source = "ACPI";
    struct acpi_table_spcr spcr;
    const struct acpi_piece table = acpi_find(acpi, ACPI_SIG_SPCR, sizeof(spcr));
    if (table.at == nullptr || !acpi_copy(&table, &spcr, sizeof(spcr), sizeof(spcr)))
        return;
    if (!is_pl011(spcr.interface_type) || spcr.serial_port.space_id != ACPI_ADR_SPACE_SYSTEM_MEMORY)
        return;
    machine->console.registers.value = spcr.serial_port.address;
    machine->console.bytes = PL011_BYTES; // the table does not say
}

// ---- interrupt controller

static void describe_frames(struct acpi_tables *acpi, struct machine_description *machine)
{
    struct acpi_madt_generic_msi_frame f;
    for (struct entries e = entries_begin(acpi);
         entries_next(&e, ACPI_MADT_TYPE_GENERIC_MSI_FRAME, sizeof(f), &f, sizeof(f));) {
        struct gicv2m_frame frame = {.registers = {f.base_address}};
        if ((f.flags & ACPI_MADT_OVERRIDE_SPI_VALUES) != 0) {
            frame.base = f.spi_base;
            frame.count = f.spi_count;
        }
        if (machine->frame_count == MESSAGE_FRAMES_MAX)
            klog("ACPI: the message frame at 0x%lx is one too many and is not used",
                 f.base_address);
        else
            machine->frames[machine->frame_count++] = frame;
    }
}

static void describe_gicv2(struct acpi_tables *acpi, struct machine_description *machine)
{
    struct acpi_madt_generic_interrupt cpu;
    struct entries e = entries_begin(acpi);
    if (!next_cpu(&e, &cpu) || cpu.base_address == 0)
        panic("ACPI: no CPU of the MADT says where its interface to the GICv2 is");
    machine->gic = GIC_V2;
    machine->cpu_interface.value = cpu.base_address; // the same for all of them
    describe_frames(acpi, machine);
}

static void add_redistributors(struct machine_description *machine, uint64_t address,
                               uint64_t bytes)
{
    if (machine->redistributor_count == REDISTRIBUTOR_REGIONS_MAX)
        klog("ACPI: the redistributors at 0x%lx are more than can be used", address);
    else
        machine->redistributors[machine->redistributor_count++] =
            (struct gicv3_region){.registers = {address}, .bytes = bytes};
}

// Either regions of redistributors have entries of their own, or each CPU names its own one.
static void describe_redistributors(struct acpi_tables *acpi, struct machine_description *machine)
{
    constexpr uint64_t frames_bytes = 0x20000; // of one without a GICv4's
    struct acpi_madt_generic_redistributor region;
    struct acpi_madt_generic_interrupt cpu;
    for (struct entries e = entries_begin(acpi); entries_next(
             &e, ACPI_MADT_TYPE_GENERIC_REDISTRIBUTOR, sizeof(region), &region, sizeof(region));)
        add_redistributors(machine, region.base_address, region.length);
    if (machine->redistributor_count != 0)
        return;
    for (struct entries e = entries_begin(acpi); next_cpu(&e, &cpu);)
        if (cpu.gicr_base_address != 0)
            add_redistributors(machine, cpu.gicr_base_address, frames_bytes);
}

static void describe_gicv3(struct acpi_tables *acpi, struct machine_description *machine)
{
    machine->gic = GIC_V3;
    describe_redistributors(acpi, machine);
    if (machine->redistributor_count == 0)
        panic("ACPI: the MADT names no redistributors of the GICv3");
    struct acpi_madt_generic_translator its;
    for (struct entries e = entries_begin(acpi);
         entries_next(&e, ACPI_MADT_TYPE_GENERIC_TRANSLATOR, sizeof(its), &its, sizeof(its));) {
        if (machine->its_count == ITS_MAX)
            klog("ACPI: the ITS at 0x%lx is one too many and is not used", its.base_address);
        else
            machine->its[machine->its_count++].value = its.base_address;
    }
}

static void describe_controller(struct acpi_tables *acpi, struct machine_description *machine)
{
    struct acpi_madt_generic_distributor d;
    struct entries e = entries_begin(acpi);
    if (!entries_next(&e, ACPI_MADT_TYPE_GENERIC_DISTRIBUTOR, sizeof(d), &d, sizeof(d)))
        panic("ACPI: the MADT names no GIC distributor");
    machine->gic_name = "MADT";
    machine->distributor.value = d.base_address;
    switch (d.version) {
    case ACPI_MADT_GIC_VERSION_V2:
        describe_gicv2(acpi, machine);
        return;
    case ACPI_MADT_GIC_VERSION_V3:
    case ACPI_MADT_GIC_VERSION_V4:
        describe_gicv3(acpi, machine);
        return;
    default:
        panic("ACPI: the MADT names a GIC of version %u, which the kernel does not know",
              d.version);
    }
}

// ---- timer and power

// The flags matter little: a timer's line is level-triggered, and the GIC's PPIs are as they are.
static uint32_t timer_interrupt(uint32_t intid)
{
    return intid >= PPI_FIRST && intid < PPI_END ? intid : 0;
}

static void describe_timer(struct acpi_tables *acpi, struct machine_description *machine)
{
    constexpr size_t least = offsetof(struct acpi_table_gtdt, non_secure_el2_interrupt);
    struct acpi_table_gtdt gtdt;
    const struct acpi_piece table = acpi_find(acpi, ACPI_SIG_GTDT, least);
    if (table.at == nullptr || !acpi_copy(&table, &gtdt, sizeof(gtdt), least))
        panic("ACPI: there is no GTDT, so the timer's interrupt is unknown");
    machine->timer_virtual = timer_interrupt(gtdt.virtual_timer_interrupt);
    machine->timer_physical = timer_interrupt(gtdt.non_secure_el1_interrupt);
    if (machine->timer_virtual == 0 && machine->timer_physical == 0)
        panic("ACPI: the GTDT names no timer of EL1 with an interrupt of the CPU's own");
}

static uint16_t arm_flags(struct acpi_tables *acpi)
{
    constexpr size_t least = offsetof(struct acpi_table_fadt, minor_revision); // behind them
    struct acpi_table_fadt fadt;
    const struct acpi_piece table = acpi_find(acpi, ACPI_SIG_FADT, least);
    return table.at != nullptr && acpi_copy(&table, &fadt, sizeof(fadt), least)
               ? fadt.arm_boot_flags
               : 0;
}

static bool has_psci(struct acpi_tables *acpi)
{
    return (arm_flags(acpi) & ACPI_FADT_PSCI_COMPLIANT) != 0;
}

static void describe_psci(struct acpi_tables *acpi, struct machine_description *machine)
{
    if (!has_psci(acpi)) {
        klog("ACPI: no PSCI: the machine cannot be powered off");
        return;
    }
    machine->psci = (arm_flags(acpi) & ACPI_FADT_PSCI_USE_HVC) != 0 ? CONDUIT_HVC : CONDUIT_SMC;
}

void acpi_describe_devices(struct acpi_tables *acpi, struct machine_description *machine)
{
    describe_psci(acpi, machine);
    describe_controller(acpi, machine);
    describe_timer(acpi, machine);
}

// ---- CPUs

static bool is_listed(const struct boot_info *boot, uint64_t id)
{
    for (uint32_t i = 0; i < boot->cpu_count; i++)
        if (boot->cpu_ids[i] == id)
            return true;
    return false;
}

void acpi_read_cpus(struct acpi_tables *acpi, uint64_t boot_cpu, struct boot_info *boot)
{
    boot->cpu_ids[0] = boot_cpu;
    boot->cpu_count = 1;
    if (!has_psci(acpi))
        return; // by the parking protocol, which is not spoken here
    struct acpi_madt_generic_interrupt cpu;
    for (struct entries e = entries_begin(acpi); next_cpu(&e, &cpu);) {
        const uint64_t id = cpu.arm_mpidr & MPIDR_AFFINITY;
        if (id == boot_cpu)
            continue;
        if (is_listed(boot, id))
            klog("ACPI: the MADT names CPU 0x%lx twice", id);
        else if (boot->cpu_count == BOOT_CPUS_MAX)
            klog("ACPI: CPU 0x%lx is one CPU too many and is left off", id);
        else
            boot->cpu_ids[boot->cpu_count++] = id;
    }
}
