// SPDX-License-Identifier: MIT
//
// Console, interrupt controller and timer as the device tree describes them. Bindings: "arm,gic",
// "arm,gic-v3", "arm,gic-v2m-frame", "arm,gic-v3-its", "arm,armv8-timer".
#include "machine.h"

#include <lib/string.h>

constexpr uint32_t INTERRUPT_PPI = 1; // first cell of a GIC interrupt
constexpr uint32_t FIRST_PPI = 16, FIRST_SPI = 32;
// Places among the timer's interrupts: secure, non-secure, virtual, hypervisor.
constexpr unsigned TIMER_PHYSICAL = 1, TIMER_VIRTUAL = 2;

void describe_console(const struct fdt *tree, struct machine_description *machine)
{
    struct fdt_region registers;
    machine->source = "device tree";
    const uint32_t node = fdt_find_console(tree);
    if (node == FDT_NONE || !fdt_reg(tree, node, 0, &registers))
        return;
    machine->console.registers.value = registers.address;
    machine->console.bytes = registers.bytes;
    machine->console.kind =
        fdt_compatible(tree, node, "brcm,bcm2835-aux-uart") ? CONSOLE_BCM_AUX : CONSOLE_PL011;
}

// As fdt_next_child, of those that are enabled and compatible.
static bool next_child(const struct fdt *tree, uint32_t parent, uint32_t *node,
                       const char *compatible)
{
    while (fdt_next_child(tree, parent, node)) {
        if (fdt_compatible(tree, *node, compatible) && fdt_enabled(tree, *node))
            return true;
    }
    return false;
}

// ---- timer

// The INTID of one of the timer's interrupts, by its name or else its place; 0: there is none.
static uint32_t timer_interrupt(const struct fdt *tree, uint32_t timer, uint32_t controller,
                                const char *name, unsigned place)
{
    if (fdt_has(tree, timer, "interrupt-names")) {
        place = fdt_text_index(fdt_get(tree, timer, "interrupt-names"), name);
        if (place == FDT_NONE)
            return 0;
    }
    struct fdt_interrupt interrupt;
    if (!fdt_interrupt(tree, timer, place, controller, &interrupt))
        return 0;
    if (interrupt.type != INTERRUPT_PPI || interrupt.number >= FIRST_SPI - FIRST_PPI) {
        fdt_complain(tree, timer, "interrupts", "has a timer that is not the CPU's own");
        return 0;
    }
    return FIRST_PPI + interrupt.number;
}

static void describe_timer(const struct fdt *tree, uint32_t controller,
                           struct machine_description *machine)
{
    static const char *const names[] = {"arm,armv8-timer"};
    const uint32_t timer = fdt_find_compatible(tree, names, ARRAY_SIZE(names));
    if (timer == FDT_NONE)
        panic("device tree: no node is compatible with %s", names[0]);
    if (fdt_has(tree, timer, "clock-frequency") &&
        !fdt_u32(tree, timer, "clock-frequency", &machine->timer_hz))
        machine->timer_hz = 0;
    machine->timer_virtual = timer_interrupt(tree, timer, controller, "virt", TIMER_VIRTUAL);
    machine->timer_physical = timer_interrupt(tree, timer, controller, "phys", TIMER_PHYSICAL);
    if (machine->timer_virtual == 0 && machine->timer_physical == 0)
        panic("device tree: node %s, property interrupts: no interrupt of a timer of EL1",
              fdt_name(tree, timer));
}

// ---- GICv2

static void describe_frames(const struct fdt *tree, uint32_t gic,
                            struct machine_description *machine)
{
    for (uint32_t node = gic; next_child(tree, gic, &node, "arm,gic-v2m-frame");) {
        struct fdt_region registers;
        if (!fdt_reg(tree, node, 0, &registers)) {
            fdt_complain(tree, node, "reg", "is absent or malformed: the frame is not used");
            continue;
        }
        struct gicv2m_frame frame = {.registers = {registers.address}};
        // Where the frame's own register is wrong, both properties overrule it.
        if (fdt_has(tree, node, "arm,msi-base-spi") &&
            (!fdt_u32(tree, node, "arm,msi-base-spi", &frame.base) ||
             !fdt_u32(tree, node, "arm,msi-num-spis", &frame.count))) {
            fdt_complain(tree, node, "arm,msi-num-spis",
                         "is absent or malformed: the frame is not used");
            continue;
        }
        if (machine->frame_count == MESSAGE_FRAMES_MAX)
            fdt_complain(tree, node, nullptr, "is one message frame too many and is not used");
        else
            machine->frames[machine->frame_count++] = frame;
    }
}

static void describe_gicv2(const struct fdt *tree, uint32_t gic,
                           struct machine_description *machine)
{
    struct fdt_region distributor, cpu_interface;
    if (!fdt_reg(tree, gic, 0, &distributor) || !fdt_reg(tree, gic, 1, &cpu_interface))
        panic("device tree: node %s, property reg: a GICv2 has two register ranges",
              fdt_name(tree, gic));
    machine->gic = GIC_V2;
    machine->distributor.value = distributor.address;
    machine->cpu_interface.value = cpu_interface.address;
    describe_frames(tree, gic, machine);
}

// ---- GICv3

// reg: the distributor, then "#redistributor-regions" regions, then ranges for GICv2's sake.
static void describe_redistributors(const struct fdt *tree, uint32_t gic,
                                    struct machine_description *machine)
{
    uint32_t regions = 1;
    uint64_t stride = 0;
    if (fdt_has(tree, gic, "#redistributor-regions") &&
        !fdt_u32(tree, gic, "#redistributor-regions", &regions)) {
        fdt_complain(tree, gic, "#redistributor-regions", "is no number: 1 is assumed");
        regions = 1;
    }
    if (fdt_has(tree, gic, "redistributor-stride") &&
        !fdt_u64(tree, gic, "redistributor-stride", &stride))
        fdt_complain(tree, gic, "redistributor-stride",
                     "is no number: the registers have to say it");
    for (uint32_t i = 0; i < regions; i++) {
        struct fdt_region region;
        if (!fdt_reg(tree, gic, 1 + i, &region)) {
            fdt_complain(tree, gic, "reg", "names fewer redistributor regions than there are");
            return;
        }
        if (machine->redistributor_count == REDISTRIBUTOR_REGIONS_MAX) {
            fdt_complain(tree, gic, "reg", "names more redistributor regions than can be used");
            return;
        }
        machine->redistributors[machine->redistributor_count++] = (struct gicv3_region){
            .registers = {region.address}, .bytes = region.bytes, .stride = stride};
    }
}

static void describe_its(const struct fdt *tree, uint32_t gic, struct machine_description *machine)
{
    for (uint32_t node = gic; next_child(tree, gic, &node, "arm,gic-v3-its");) {
        struct fdt_region registers;
        if (!fdt_reg(tree, node, 0, &registers))
            fdt_complain(tree, node, "reg", "is absent or malformed: the ITS is not used");
        else if (machine->its_count == ITS_MAX)
            fdt_complain(tree, node, nullptr, "is one ITS too many and is not used");
        else
            machine->its[machine->its_count++].value = registers.address;
    }
}

static void describe_gicv3(const struct fdt *tree, uint32_t gic,
                           struct machine_description *machine)
{
    struct fdt_region distributor;
    machine->gic = GIC_V3;
    if (!fdt_reg(tree, gic, 0, &distributor))
        panic("device tree: node %s, property reg: a GICv3 has a distributor", fdt_name(tree, gic));
    machine->distributor.value = distributor.address;
    describe_redistributors(tree, gic, machine);
    if (machine->redistributor_count == 0)
        panic("device tree: node %s, property reg: a GICv3 has redistributors",
              fdt_name(tree, gic));
    describe_its(tree, gic, machine);
    for (uint32_t node = gic; fdt_next_child(tree, gic, &node);) {
        if (strcmp(fdt_name(tree, node), "ppi-partitions") == 0)
            fdt_complain(tree, node, nullptr,
                         "is not used: devices with interrupts that only some CPUs have get none");
    }
}

// Which reader goes with which controller.
static const struct {
    const char *compatible;
    void (*describe)(const struct fdt *tree, uint32_t gic, struct machine_description *machine);
} controllers[] = {
    {"arm,cortex-a15-gic", describe_gicv2},
    {"arm,gic-400", describe_gicv2},
    {"arm,cortex-a7-gic", describe_gicv2},
    {"arm,gic-v3", describe_gicv3},
};

static bool describe_controller(const struct fdt *tree, uint32_t node,
                                struct machine_description *machine)
{
    for (unsigned i = 0; i < ARRAY_SIZE(controllers); i++) {
        if (!fdt_compatible(tree, node, controllers[i].compatible))
            continue;
        machine->gic_name = fdt_name(tree, node);
        controllers[i].describe(tree, node, machine);
        return true;
    }
    return false;
}

void describe_devices(const struct fdt *tree, struct machine_description *machine)
{
    describe_power(tree, machine);
    for (uint32_t node = 0; node < tree->count; node++) {
        if (fdt_has(tree, node, "interrupt-controller") && fdt_enabled(tree, node) &&
            describe_controller(tree, node, machine)) {
            describe_timer(tree, node, machine);
            return;
        }
    }
    panic("device tree: no node is an interrupt controller that the kernel knows");
}
