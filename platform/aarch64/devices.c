// SPDX-License-Identifier: MIT
//
// Starts the drivers of the devices that a description names. A driver that refuses says why; here
// it is reported with the place in the tables.
#include "machine.h"

#include <arch/start.h>
#include <hal/bcm_pm.h>
#include <hal/generic_timer.h>
#include <hal/pl011.h>
#include <hal/psci.h>
#include <hal/spin_table.h>
#include <hal/syscon.h>
#include <hal/uart_bcm_aux.h>
#include <platform/boot_info.h>

static_assert(BOOT_CPUS_MAX <= GICV3_CPUS_MAX && REDISTRIBUTOR_REGIONS_MAX <= GICV3_REGIONS_MAX);

void start_console(const struct machine_description *machine)
{
    if (machine->console.registers.value == 0)
        return;
    switch (machine->console.kind) {
    case CONSOLE_PL011:
        hal.console = pl011_init(machine->console.registers, machine->console.bytes);
        return;
    case CONSOLE_BCM_AUX:
        hal.console = uart_bcm_aux_init(machine->console.registers, machine->console.bytes);
        return;
    }
}

// The virtual timer wherever there is one: it is EL1's own under any hypervisor.
static uint32_t start_timer(const struct machine_description *machine)
{
    const bool physical = machine->timer_virtual == 0;
    hal.clock = generic_timer_init(machine->timer_hz, physical);
    if (hal.clock == nullptr)
        panic("%s: neither the stated frequency nor CNTFRQ_EL0 is one of a timer", machine->source);
    return physical ? machine->timer_physical : machine->timer_virtual;
}

static void start_gicv2(const struct machine_description *machine)
{
    const struct gicv2_config config = {
        .distributor = machine->distributor,
        .cpu_interface = machine->cpu_interface,
        .timer_line = start_timer(machine),
        .timer_quiet = generic_timer_quiet,
    };
    const char *wrong = gicv2_init(&config, &hal.irq);
    if (wrong != nullptr)
        panic("%s: %s: %s", machine->source, machine->gic_name, wrong);
    for (uint32_t i = 0; i < machine->frame_count; i++) {
        wrong = gicv2m_add(&machine->frames[i]);
        if (wrong != nullptr)
            klog("%s: the message frame at 0x%lx is not used: %s", machine->source,
                 machine->frames[i].registers.value, wrong);
    }
}

// Its tables are in RAM that is set aside here.
static const char *start_its(paddr_t registers, struct boot_info *boot)
{
    uint64_t bytes;
    const char *wrong = gicv3_its_probe(registers, &bytes);
    if (wrong != nullptr)
        return wrong;
    const paddr_t memory = boot_take_ram(boot, bytes, GICV3_ITS_ALIGNMENT);
    return memory.value != 0 ? gicv3_its_start(memory) : "there is no RAM for its tables";
}

static void start_gicv3(const struct machine_description *machine, struct boot_info *boot)
{
    const struct gicv3_config config = {
        .distributor = machine->distributor,
        .regions = machine->redistributors,
        .region_count = machine->redistributor_count,
        .timer_line = start_timer(machine),
        .timer_quiet = generic_timer_quiet,
    };
    const char *wrong = gicv3_init(&config, &hal.irq);
    if (wrong != nullptr)
        panic("%s: %s: %s", machine->source, machine->gic_name, wrong);
    for (uint32_t i = 0; i < machine->its_count; i++) {
        wrong = start_its(machine->its[i], boot);
        if (wrong != nullptr)
            klog("%s: the ITS at 0x%lx is not used: %s", machine->source, machine->its[i].value,
                 wrong);
    }
}

// ---- the other CPUs, and power

static struct {
    uint64_t affinity;
    paddr_t release;
} waiting[BOOT_CPUS_MAX]; // in a spin table
static uint32_t waiting_count;
static bool has_psci;

static bool start_cpu(uint64_t affinity, paddr_t entry, uint64_t argument)
{
    for (uint32_t i = 0; i < waiting_count; i++) {
        if (waiting[i].affinity != affinity)
            continue;
        entry = arch_parked_prepare(affinity, argument);
        if (entry.value == 0)
            return false;
        spin_table_release(waiting[i].release, entry);
        return true;
    }
    return has_psci && psci_cpu_start(affinity, entry, argument);
}

static void use_power(const struct machine_description *machine)
{
    if (machine->psci != CONDUIT_NONE) {
        hal.power = psci_init(machine->psci == CONDUIT_HVC ? PSCI_HVC : PSCI_SMC);
        hal.cpu_start = start_cpu;
        has_psci = true;
        return;
    }
    hal.power = syscon_power_init(&machine->syscon_off, &machine->syscon_reboot);
    if (hal.power == nullptr && machine->bcm_pm.registers.value != 0)
        hal.power =
            bcm_pm_init(machine->bcm_pm.registers, machine->bcm_pm.bytes, machine->bcm_pm.can_halt);
}

static void use_spin_table(const struct machine_description *machine, const struct boot_info *boot)
{
    for (uint32_t i = 0; i < boot->cpu_count; i++) {
        if (machine->releases[i].value == 0)
            continue;
        waiting[waiting_count].affinity = boot->cpu_ids[i];
        waiting[waiting_count++].release = machine->releases[i];
        hal.cpu_start = start_cpu;
    }
}

void start_devices(const struct machine_description *machine, struct boot_info *boot)
{
    use_power(machine);
    use_spin_table(machine, boot);
    switch (machine->gic) {
    case GIC_V2:
        start_gicv2(machine);
        return;
    case GIC_V3:
        start_gicv3(machine, boot);
        return;
    case GIC_NONE:
        panic("%s: there is no interrupt controller that the kernel can drive", machine->source);
    }
}
