// SPDX-License-Identifier: MIT
//
// What switches the machine off and resets it, as the device tree describes it. Bindings: "arm,psci",
// "syscon-poweroff", "syscon-reboot", "brcm,bcm2835-pm". What is found is used in this order (devices.c).
#include "machine.h"

#include <lib/string.h>

static void describe_psci(const void *tree, struct machine_description *machine)
{
    static const char *const names[] = {"arm,psci-1.0", "arm,psci-0.2"};
    struct fdt_node node;
    if (!fdt_find_compatible(tree, names, ARRAY_SIZE(names), &node))
        return;
    const char *method = fdt_has(&node, "method") ? fdt_text(&node, "method") : nullptr;
    if (method != nullptr && strcmp(method, "hvc") == 0)
        machine->psci = CONDUIT_HVC;
    else if (method != nullptr && strcmp(method, "smc") == 0)
        machine->psci = CONDUIT_SMC;
    else
        fdt_complain(&node, "method", "is neither hvc nor smc: there is no PSCI");
}

// ---- a system controller

// What is written: under the old binding the mask alone is there, and is the value of the whole register.
static bool read_value(const struct fdt_node *node, struct syscon_write *write)
{
    const bool has_value = fdt_has(node, "value"), has_mask = fdt_has(node, "mask");
    write->mask = UINT32_MAX;
    if (!has_value && !has_mask) {
        fdt_complain(node, "value", "is absent, and so is the mask");
        return false;
    }
    if (!has_value)
        return fdt_u32(node, "mask", &write->value);
    return fdt_u32(node, "value", &write->value) &&
           (!has_mask || fdt_u32(node, "mask", &write->mask));
}

// Where: by "regmap" and "offset"; a child of its controller may do without the first.
static bool find_register(const struct fdt_node *node, paddr_t *address)
{
    struct fdt_node controller;
    struct fdt_region registers;
    uint32_t phandle, offset;
    if (fdt_has(node, "regmap")) {
        if (!fdt_u32(node, "regmap", &phandle))
            return false;
        if (!fdt_by_phandle(node->tree, phandle, &controller)) {
            fdt_complain(node, "regmap", "names no node");
            return false;
        }
    } else if (!fdt_parent(node, &controller)) {
        return false;
    }
    if (!fdt_has(node, "offset")) {
        fdt_complain(node, "offset", "is absent");
        return false;
    }
    if (!fdt_u32(node, "offset", &offset))
        return false;
    uint32_t width = sizeof(uint32_t);
    if (fdt_has(&controller, "reg-io-width") && !fdt_u32(&controller, "reg-io-width", &width))
        return false;
    if (width != sizeof(uint32_t) || fdt_has(&controller, "big-endian")) {
        fdt_complain(&controller, nullptr, "has registers that are not read by this kernel");
        return false;
    }
    if (!fdt_compatible(&controller, "syscon") || !fdt_reg(&controller, 0, &registers)) {
        fdt_complain(&controller, nullptr, "is no system controller");
        return false;
    }
    if (registers.address % sizeof(uint32_t) != 0 || offset % sizeof(uint32_t) != 0 ||
        registers.bytes < sizeof(uint32_t) || offset > registers.bytes - sizeof(uint32_t)) {
        fdt_complain(node, "offset", "is that of no register");
        return false;
    }
    address->value = registers.address + offset;
    return true;
}

static void describe_syscon(const void *tree, const char *name, struct syscon_write *write)
{
    struct fdt_node node;
    struct syscon_write found;
    if (fdt_find_compatible(tree, &name, 1, &node) && read_value(&node, &found) &&
        find_register(&node, &found.address))
        *write = found;
}

// ---- Broadcom's

static void describe_bcm_pm(const void *tree, struct machine_description *machine)
{
    static const char *const names[] = {"brcm,bcm2835-pm", "brcm,bcm2835-pm-wdt"};
    struct fdt_node node;
    struct fdt_region registers;
    if (!fdt_find_compatible(tree, names, ARRAY_SIZE(names), &node) ||
        !fdt_reg(&node, 0, &registers))
        return;
    machine->bcm_pm.registers.value = registers.address;
    machine->bcm_pm.bytes = registers.bytes;
    machine->bcm_pm.can_halt = fdt_has(&node, "system-power-controller");
}

void describe_power(const void *tree, struct machine_description *machine)
{
    describe_psci(tree, machine);
    describe_syscon(tree, "syscon-poweroff", &machine->syscon_off);
    describe_syscon(tree, "syscon-reboot", &machine->syscon_reboot);
    describe_bcm_pm(tree, machine);
    if (machine->psci == CONDUIT_NONE && machine->syscon_off.address.value == 0 &&
        !machine->bcm_pm.can_halt)
        klog("device tree: nothing that the kernel knows switches the machine off");
}
