// SPDX-License-Identifier: MIT
//
// /cpus (specification 3.7 and 3.8, and the "arm,cpus" binding): which CPUs there are and
// whether the kernel can start them.
#include <platform/fdt.h>

#include <lib/string.h>

// "reg" here is the MPIDR affinity: one or two cells by /cpus, no size.
static bool read_id(const struct fdt_node *node, const struct fdt_node *cpus, uint64_t *id)
{
    uint32_t address_cells;
    unsigned count;
    if (!fdt_u32(cpus, "#address-cells", &address_cells)) {
        fdt_complain(cpus, "#address-cells", "is absent or malformed");
        return false;
    }
    if (fdt_cells(node, "reg", &count) == nullptr || count != address_cells ||
        !fdt_u64(node, "reg", id)) {
        fdt_complain(node, "reg", "is no CPU number");
        return false;
    }
    return true;
}

static bool can_start(const struct fdt_node *node)
{
    const char *method = fdt_has(node, "enable-method") ? fdt_text(node, "enable-method") : nullptr;
    if (method != nullptr && strcmp(method, "psci") == 0)
        return true;
    fdt_complain(node, "enable-method", "is not psci: the CPU is left off");
    return false;
}

static bool is_cpu(const struct fdt_node *node)
{
    const char *type = fdt_has(node, "device_type") ? fdt_text(node, "device_type") : nullptr;
    return type != nullptr && strcmp(type, "cpu") == 0;
}

static bool is_listed(const struct boot_info *boot, uint64_t id)
{
    for (uint32_t i = 0; i < boot->cpu_count; i++) {
        if (boot->cpu_ids[i] == id)
            return true;
    }
    return false;
}

void fdt_read_cpus(const void *tree, uint64_t boot_cpu, struct boot_info *boot)
{
    boot->cpu_ids[0] = boot_cpu;
    boot->cpu_count = 1;

    struct fdt_node cpus;
    if (!fdt_find(tree, "/cpus", strlen("/cpus"), &cpus)) {
        klog("device tree: there is no node /cpus: only the boot CPU is known");
        return;
    }
    for (struct fdt_node node = cpus; fdt_next(&node) && node.depth > cpus.depth;) {
        uint64_t id;
        if (!fdt_is_child(&node, &cpus) || !is_cpu(&node) || !fdt_enabled(&node) ||
            !read_id(&node, &cpus, &id) || id == boot_cpu || !can_start(&node))
            continue;
        if (is_listed(boot, id)) {
            fdt_complain(&node, "reg", "is the number of another CPU");
            continue;
        }
        if (boot->cpu_count == BOOT_CPUS_MAX) {
            fdt_complain(&node, nullptr, "is one CPU too many and is left off");
            continue;
        }
        boot->cpu_ids[boot->cpu_count++] = id;
    }
}
