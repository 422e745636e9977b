// SPDX-License-Identifier: MIT
//
// /cpus (specification 3.7 and 3.8, and the "arm,cpus" binding): which CPUs there are and
// how the kernel can start them.
#include <platform/boot_info.h>
#include <platform/fdt.h>

#include <lib/string.h>

// "reg" here is the MPIDR affinity: one or two cells by /cpus, no size.
static bool read_id(const struct fdt *tree, uint32_t node, uint32_t cpus, uint64_t *id)
{
    uint32_t address_cells;
    if (!fdt_u32(tree, cpus, "#address-cells", &address_cells)) {
        fdt_complain(tree, cpus, "#address-cells", "is absent or malformed");
        return false;
    }
    const struct fdt_cells reg = fdt_cells(tree, node, "reg");
    if (reg.cells == nullptr || reg.count != address_cells || !fdt_u64(tree, node, "reg", id)) {
        fdt_complain(tree, node, "reg", "is no CPU number");
        return false;
    }
    return true;
}

static bool overlaps(uint64_t address, const struct boot_range *range)
{
    return address < range->end && range->start < address + sizeof(uint64_t);
}

// Why the kernel cannot write a CPU's release address; nullptr: it can.
static const char *release_refusal(uint64_t address, const struct boot_info *boot,
                                   const paddr_t *releases)
{
    const struct boot_range tables = {boot->tables.value, boot->tables.value + boot->tables_bytes};
    if (address == 0 || address % sizeof(uint64_t) != 0)
        return "is no multiple of 8: the CPU is left off";
    if (boot_find_ram(boot, address, address + sizeof(uint64_t)) == nullptr)
        return "is not in RAM: the CPU is left off";
    if (overlaps(address, &boot->kernel) || overlaps(address, &boot->bundle) ||
        overlaps(address, &tables))
        return "is where the kernel, its bundle or the device tree is: the CPU is left off";
    for (uint32_t i = 0; i < boot->cpu_count; i++)
        if (releases[i].value == address)
            return "is that of another CPU: the CPU is left off";
    return nullptr;
}

static bool read_release(const struct fdt *tree, uint32_t node, const struct boot_info *boot,
                         const paddr_t *releases, paddr_t *release)
{
    if (!fdt_has(tree, node, "cpu-release-addr")) {
        fdt_complain(tree, node, "cpu-release-addr", "is absent: the CPU is left off");
        return false;
    }
    if (!fdt_u64(tree, node, "cpu-release-addr", &release->value))
        return false;
    const char *refusal = release_refusal(release->value, boot, releases);
    if (refusal != nullptr)
        fdt_complain(tree, node, "cpu-release-addr", refusal);
    return refusal == nullptr;
}

// By PSCI, where *release is 0, or by a spin table.
static bool can_start(const struct fdt *tree, uint32_t node, const struct boot_info *boot,
                      const paddr_t *releases, paddr_t *release)
{
    const char *method =
        fdt_has(tree, node, "enable-method") ? fdt_text(tree, node, "enable-method") : nullptr;
    *release = (paddr_t){0};
    if (method != nullptr && strcmp(method, "psci") == 0)
        return true;
    if (method != nullptr && strcmp(method, "spin-table") == 0)
        return read_release(tree, node, boot, releases, release);
    fdt_complain(tree, node, "enable-method",
                 "is neither psci nor spin-table: the CPU is left off");
    return false;
}

static bool is_cpu(const struct fdt *tree, uint32_t node)
{
    const char *type =
        fdt_has(tree, node, "device_type") ? fdt_text(tree, node, "device_type") : nullptr;
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

void fdt_read_cpus(const struct fdt *tree, uint64_t boot_cpu, struct boot_info *boot,
                   paddr_t releases[static BOOT_CPUS_MAX])
{
    boot->cpu_ids[0] = boot_cpu;
    boot->cpu_count = 1;
    releases[0] = (paddr_t){0};

    const uint32_t cpus = fdt_find(tree, "/cpus", strlen("/cpus"));
    if (cpus == FDT_NONE) {
        klog("device tree: there is no node /cpus: only the boot CPU is known");
        return;
    }
    for (uint32_t node = cpus; fdt_next_child(tree, cpus, &node);) {
        uint64_t id;
        paddr_t release;
        if (!is_cpu(tree, node) || !fdt_enabled(tree, node) || !read_id(tree, node, cpus, &id) ||
            id == boot_cpu || !can_start(tree, node, boot, releases, &release))
            continue;
        if (is_listed(boot, id)) {
            fdt_complain(tree, node, "reg", "is the number of another CPU");
            continue;
        }
        if (boot->cpu_count == BOOT_CPUS_MAX) {
            fdt_complain(tree, node, nullptr, "is one CPU too many and is left off");
            continue;
        }
        if (release.value != 0) // firmware ought to have reserved it
            boot_add_reserved(boot, release.value, release.value + sizeof(uint64_t));
        releases[boot->cpu_count] = release;
        boot->cpu_ids[boot->cpu_count++] = id;
    }
}
