// SPDX-License-Identifier: MIT
//
// What switches the machine off and resets it, as the device tree describes it. Bindings: "arm,psci",
// "syscon-poweroff", "syscon-reboot", "brcm,bcm2835-pm". What is found is used in this order (devices.c).
#include "machine.h"

#include <lib/string.h>

static void describe_psci(const struct fdt *tree, struct machine_description *machine)
{
    static const char *const names[] = {"arm,psci-1.0", "arm,psci-0.2"};
    const uint32_t node = fdt_find_compatible(tree, names, ARRAY_SIZE(names));
    if (node == FDT_NONE)
        return;
    const char *method = fdt_has(tree, node, "method") ? fdt_text(tree, node, "method") : nullptr;
    if (method != nullptr && strcmp(method, "hvc") == 0)
        machine->psci = CONDUIT_HVC;
    else if (method != nullptr && strcmp(method, "smc") == 0)
        machine->psci = CONDUIT_SMC;
    else
        fdt_complain(tree, node, "method", "is neither hvc nor smc: there is no PSCI");
}

// ---- a system controller

// What is written: under the old binding the mask alone is there, and is the value of the whole register.
static bool read_value(const struct fdt *tree, uint32_t node, struct syscon_write *write)
{
    const bool has_value = fdt_has(tree, node, "value"), has_mask = fdt_has(tree, node, "mask");
    write->mask = UINT32_MAX;
    if (!has_value && !has_mask) {
        fdt_complain(tree, node, "value", "is absent, and so is the mask");
        return false;
    }
    if (!has_value)
        return fdt_u32(tree, node, "mask", &write->value);
    return fdt_u32(tree, node, "value", &write->value) &&
           (!has_mask || fdt_u32(tree, node, "mask", &write->mask));
}

// Where: by "regmap" and "offset"; a child of its controller may do without the first.
static bool find_register(const struct fdt *tree, uint32_t node, paddr_t *address)
{
    struct fdt_region registers;
    uint32_t phandle, offset, controller = fdt_parent(tree, node);
    if (fdt_has(tree, node, "regmap")) {
        if (!fdt_u32(tree, node, "regmap", &phandle))
            return false;
        controller = fdt_by_phandle(tree, phandle);
        if (controller == FDT_NONE) {
            fdt_complain(tree, node, "regmap", "names no node");
            return false;
        }
    }
    if (controller == FDT_NONE)
        return false;
    if (!fdt_has(tree, node, "offset")) {
        fdt_complain(tree, node, "offset", "is absent");
        return false;
    }
    if (!fdt_u32(tree, node, "offset", &offset))
        return false;
    uint32_t width = sizeof(uint32_t);
    if (fdt_has(tree, controller, "reg-io-width") &&
        !fdt_u32(tree, controller, "reg-io-width", &width))
        return false;
    if (width != sizeof(uint32_t) || fdt_has(tree, controller, "big-endian")) {
        fdt_complain(tree, controller, nullptr, "has registers that are not read by this kernel");
        return false;
    }
    if (!fdt_compatible(tree, controller, "syscon") || !fdt_reg(tree, controller, 0, &registers)) {
        fdt_complain(tree, controller, nullptr, "is no system controller");
        return false;
    }
    if (registers.address % sizeof(uint32_t) != 0 || offset % sizeof(uint32_t) != 0 ||
        registers.bytes < sizeof(uint32_t) || offset > registers.bytes - sizeof(uint32_t)) {
        fdt_complain(tree, node, "offset", "is that of no register");
        return false;
    }
    address->value = registers.address + offset;
    return true;
}

static void describe_syscon(const struct fdt *tree, const char *name, struct syscon_write *write)
{
    struct syscon_write found;
    const uint32_t node = fdt_find_compatible(tree, &name, 1);
    if (node != FDT_NONE && read_value(tree, node, &found) &&
        find_register(tree, node, &found.address))
        *write = found;
}

// ---- Broadcom's

static void describe_bcm_pm(const struct fdt *tree, struct machine_description *machine)
{
    static const char *const names[] = {"brcm,bcm2835-pm", "brcm,bcm2835-pm-wdt"};
    struct fdt_region registers;
    const uint32_t node = fdt_find_compatible(tree, names, ARRAY_SIZE(names));
    if (node == FDT_NONE || !fdt_reg(tree, node, 0, &registers))
        return;
    machine->bcm_pm.registers.value = registers.address;
    machine->bcm_pm.bytes = registers.bytes;
    machine->bcm_pm.can_halt = fdt_has(tree, node, "system-power-controller");
}

void describe_power(const struct fdt *tree, struct machine_description *machine)
{
    describe_psci(tree, machine);
    describe_syscon(tree, "syscon-poweroff", &machine->syscon_off);
    describe_syscon(tree, "syscon-reboot", &machine->syscon_reboot);
    describe_bcm_pm(tree, machine);
    if (machine->psci == CONDUIT_NONE && machine->syscon_off.address.value == 0 &&
        !machine->bcm_pm.can_halt)
        klog("device tree: nothing that the kernel knows switches the machine off");
}
