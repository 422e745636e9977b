// SPDX-License-Identifier: MIT
//
// Finds console, interrupt controller, timer and PSCI in the device tree and starts their
// drivers. Bindings: "arm,gic", "arm,gic-v2m-frame", "arm,armv8-timer", "arm,psci".
#include "machine.h"

#include <hal/generic_timer.h>
#include <hal/gicv2.h>
#include <hal/pl011.h>
#include <hal/psci.h>
#include <lib/string.h>
#include <libfdt.h>

constexpr uint32_t INTERRUPT_PPI = 1; // first cell of a GIC interrupt
constexpr uint32_t FIRST_PPI = 16, FIRST_SPI = 32;
constexpr unsigned TIMER_VIRTUAL = 2; // secure, non-secure, virtual, hypervisor

void machine_find_console(const void *tree)
{
    struct fdt_node node;
    struct fdt_region registers;
    if (!fdt_find_console(tree, &node) || !fdt_reg(&node, 0, &registers))
        return;
    hal.console = pl011_init((paddr_t){registers.address}, registers.bytes);
}

// The first node that is enabled and compatible with one of the names.
static bool find(const void *tree, const char *const *names, unsigned count, struct fdt_node *node)
{
    for (*node = fdt_begin(tree); fdt_next(node);) {
        for (unsigned i = 0; i < count; i++) {
            if (fdt_compatible(node, names[i]) && fdt_enabled(node))
                return true;
        }
    }
    return false;
}

// ---- timer

static uint32_t timer_interrupt(const struct fdt_node *timer, const struct fdt_node *controller)
{
    int named = fdt_stringlist_search(timer->tree, fdt_offset(timer), "interrupt-names", "virt");
    unsigned index = named >= 0 ? (unsigned)named : TIMER_VIRTUAL;
    struct fdt_interrupt interrupt;
    if (!fdt_interrupt(timer, index, controller, &interrupt) || interrupt.type != INTERRUPT_PPI ||
        interrupt.number >= FIRST_SPI - FIRST_PPI)
        panic("device tree: node %s, property interrupts: no interrupt of the virtual timer",
              fdt_name(timer));
    return FIRST_PPI + interrupt.number;
}

static uint32_t start_timer(const void *tree, const struct fdt_node *controller)
{
    static const char *const names[] = {"arm,armv8-timer"};
    struct fdt_node timer;
    uint32_t hz = 0;
    if (!find(tree, names, ARRAY_SIZE(names), &timer))
        panic("device tree: no node is compatible with %s", names[0]);
    if (fdt_has(&timer, "clock-frequency") && !fdt_u32(&timer, "clock-frequency", &hz))
        hz = 0;
    hal.clock = generic_timer_init(hz);
    if (hal.clock == nullptr)
        panic("device tree: node %s: neither clock-frequency nor CNTFRQ_EL0 is a frequency",
              fdt_name(&timer));
    return timer_interrupt(&timer, controller);
}

// ---- interrupt controller

static void add_message_frames(const struct fdt_node *gic)
{
    for (struct fdt_node node = *gic; fdt_next(&node) && node.depth > gic->depth;) {
        if (!fdt_is_child(&node, gic) || !fdt_compatible(&node, "arm,gic-v2m-frame") ||
            !fdt_enabled(&node))
            continue;
        struct fdt_region registers;
        if (!fdt_reg(&node, 0, &registers)) {
            fdt_complain(&node, "reg", "is absent or malformed: the frame is not used");
            continue;
        }
        struct gicv2m_frame frame = {.registers = {registers.address}};
        // Where the frame's own register is wrong, both properties overrule it.
        if (fdt_has(&node, "arm,msi-base-spi") &&
            (!fdt_u32(&node, "arm,msi-base-spi", &frame.base) ||
             !fdt_u32(&node, "arm,msi-num-spis", &frame.count))) {
            fdt_complain(&node, "arm,msi-num-spis",
                         "is absent or malformed: the frame is not used");
            continue;
        }
        const char *wrong = gicv2m_add(&frame);
        if (wrong != nullptr)
            fdt_complain(&node, nullptr, wrong);
    }
}

static void start_gicv2(const void *tree, const struct fdt_node *gic)
{
    struct fdt_region distributor, cpu_interface;
    if (!fdt_reg(gic, 0, &distributor) || !fdt_reg(gic, 1, &cpu_interface))
        panic("device tree: node %s, property reg: a GICv2 has two register ranges", fdt_name(gic));
    const struct gicv2_config config = {
        .distributor = {distributor.address},
        .cpu_interface = {cpu_interface.address},
        .timer_line = start_timer(tree, gic),
        .timer_quiet = generic_timer_quiet,
    };
    const char *wrong = gicv2_init(&config, &hal.irq);
    if (wrong != nullptr)
        panic("device tree: node %s: %s", fdt_name(gic), wrong);
    add_message_frames(gic);
}

// Which driver goes with which controller.
static const struct {
    const char *compatible;
    void (*start)(const void *tree, const struct fdt_node *node);
} controllers[] = {
    {"arm,cortex-a15-gic", start_gicv2},
    {"arm,gic-400", start_gicv2},
    {"arm,cortex-a7-gic", start_gicv2},
    {"arm,gic-v3", nullptr},
};

static void start_controller(const void *tree)
{
    for (struct fdt_node node = fdt_begin(tree); fdt_next(&node);) {
        if (!fdt_has(&node, "interrupt-controller") || !fdt_enabled(&node))
            continue;
        for (unsigned i = 0; i < ARRAY_SIZE(controllers); i++) {
            if (!fdt_compatible(&node, controllers[i].compatible))
                continue;
            if (controllers[i].start == nullptr)
                panic("device tree: node %s: the kernel cannot drive an interrupt controller of "
                      "kind %s; it can drive GICv2",
                      fdt_name(&node), controllers[i].compatible);
            controllers[i].start(tree, &node);
            return;
        }
    }
    panic("device tree: no node is an interrupt controller that the kernel knows");
}

// ---- power

static void use_psci(enum psci_conduit conduit)
{
    hal.power = psci_init(conduit);
    hal.cpu_start = psci_cpu_start;
}

static void find_power(const void *tree)
{
    static const char *const names[] = {"arm,psci-1.0", "arm,psci-0.2"};
    struct fdt_node node;
    if (!find(tree, names, ARRAY_SIZE(names), &node)) {
        klog("device tree: no PSCI 0.2 or later: the machine cannot be powered off");
        return;
    }
    const char *method = fdt_has(&node, "method") ? fdt_text(&node, "method") : nullptr;
    if (method != nullptr && strcmp(method, "hvc") == 0)
        use_psci(PSCI_HVC);
    else if (method != nullptr && strcmp(method, "smc") == 0)
        use_psci(PSCI_SMC);
    else
        fdt_complain(&node, "method", "is neither hvc nor smc: the machine cannot be powered off");
}

void machine_find_devices(const void *tree)
{
    find_power(tree);
    start_controller(tree);
}
