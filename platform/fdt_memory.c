// SPDX-License-Identifier: MIT
//
// RAM and what is reserved of it: memory nodes, the reservation block, /reserved-memory.
#include <platform/boot_info.h>
#include <platform/fdt.h>

#include <lib/string.h>
#include <libfdt.h>

static void add_memory_node(const struct fdt_node *node, struct boot_info *boot)
{
    struct fdt_region region;
    unsigned i = 0;
    for (; fdt_reg(node, i, &region); i++)
        boot_add_ram(boot, region.address, region.address + region.bytes);
    if (i == 0)
        fdt_complain(node, "reg", "names no memory");
}

// A child of /reserved-memory. One without "reg" asks for memory wherever there is some: for a
// driver to ask the system for, not for the kernel to choose.
static void add_reserved_node(const struct fdt_node *node, struct boot_info *boot)
{
    struct fdt_region region;
    if (!fdt_has(node, "reg"))
        return;
    unsigned i = 0;
    for (; fdt_reg(node, i, &region); i++) {
        if (fdt_has(node, "no-map"))
            boot_remove_ram(boot, region.address, region.address + region.bytes);
        else
            boot_add_reserved(boot, region.address, region.address + region.bytes);
    }
    if (i == 0)
        panic("device tree: node %s, property reg: a reservation that cannot be read",
              fdt_name(node));
}

static void add_reservation_block(const void *tree, struct boot_info *boot)
{
    const int count = fdt_num_mem_rsv(tree);
    for (int i = 0; i < count; i++) {
        uint64_t start, bytes, end;
        if (fdt_get_mem_rsv(tree, i, &start, &bytes) != 0 ||
            __builtin_add_overflow(start, bytes, &end))
            panic("device tree: entry %d of the memory reservation block is malformed", i);
        boot_add_reserved(boot, start, end);
    }
}

static bool is_memory(const struct fdt_node *node)
{
    if (node->depth != 1 || !fdt_has(node, "device_type"))
        return false;
    const char *type = fdt_text(node, "device_type");
    return type != nullptr && strcmp(type, "memory") == 0 && fdt_enabled(node);
}

void fdt_read_memory(const void *tree, struct boot_info *boot)
{
    for (struct fdt_node node = fdt_begin(tree); fdt_next(&node);) {
        if (is_memory(&node))
            add_memory_node(&node, boot);
    }
    boot_info_normalise(boot);
    if (boot->ram_count == 0)
        panic("device tree: no memory node names any RAM");

    add_reservation_block(tree, boot);
    struct fdt_node parent;
    if (fdt_find(tree, "/reserved-memory", strlen("/reserved-memory"), &parent)) {
        for (struct fdt_node node = parent; fdt_next(&node) && node.depth > parent.depth;) {
            if (fdt_is_child(&node, &parent) && fdt_enabled(&node))
                add_reserved_node(&node, boot);
        }
    }
    boot_info_normalise(boot);
}
