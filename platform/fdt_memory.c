// SPDX-License-Identifier: MIT
//
// RAM and what is reserved of it: memory nodes, the reservation block, /reserved-memory.
#include <platform/boot_info.h>
#include <platform/fdt.h>

#include <lib/string.h>

static void add_memory_node(const struct fdt *tree, uint32_t node, struct boot_info *boot)
{
    struct fdt_region region;
    unsigned i = 0;
    for (; fdt_reg(tree, node, i, &region); i++)
        boot_add_ram(boot, region.address, region.address + region.bytes);
    if (i == 0)
        fdt_complain(tree, node, "reg", "names no memory");
}

// A child of /reserved-memory. One without "reg" asks for memory wherever there is some: for a
// driver to ask the system for, not for the kernel to choose.
static void add_reserved_node(const struct fdt *tree, uint32_t node, struct boot_info *boot)
{
    struct fdt_region region;
    if (!fdt_has(tree, node, "reg"))
        return;
    unsigned i = 0;
    for (; fdt_reg(tree, node, i, &region); i++) {
        if (fdt_has(tree, node, "no-map"))
            boot_remove_ram(boot, region.address, region.address + region.bytes);
        else
            boot_add_reserved(boot, region.address, region.address + region.bytes);
    }
    if (i == 0)
        panic("device tree: node %s, property reg: a reservation that cannot be read",
              fdt_name(tree, node));
}

static void add_reservation_block(const struct fdt *tree, struct boot_info *boot)
{
    uint64_t start, bytes, end;
    for (uint32_t i = 0; fdt_reservation(tree, i, &start, &bytes); i++) {
        if (__builtin_add_overflow(start, bytes, &end))
            panic("device tree: entry %u of the memory reservation block is malformed", i);
        boot_add_reserved(boot, start, end);
    }
}

static bool is_memory(const struct fdt *tree, uint32_t node)
{
    const char *type = fdt_text(tree, node, "device_type");
    return type != nullptr && strcmp(type, "memory") == 0 && fdt_enabled(tree, node);
}

void fdt_read_memory(const struct fdt *tree, struct boot_info *boot)
{
    for (uint32_t node = FDT_ROOT; fdt_next_child(tree, FDT_ROOT, &node);)
        if (is_memory(tree, node))
            add_memory_node(tree, node, boot);
    boot_info_normalise(boot);
    if (boot->ram_count == 0)
        panic("device tree: no memory node names any RAM");

    add_reservation_block(tree, boot);
    const uint32_t parent = fdt_find(tree, "/reserved-memory", strlen("/reserved-memory"));
    for (uint32_t node = parent; parent != FDT_NONE && fdt_next_child(tree, parent, &node);)
        if (fdt_enabled(tree, node))
            add_reserved_node(tree, node, boot);
    boot_info_normalise(boot);
}
