// SPDX-License-Identifier: MIT
//
// The tree as a whole: opening it, walking it, going from a node to its ancestors.
#include <platform/fdt.h>

#include <arch/arch.h>
#include <lib/string.h>
#include <libfdt.h>

constexpr size_t FDT_BYTES_MAX = 2u << 20; // the arm64 boot protocol's limit
constexpr size_t FDT_HEADER_BYTES = 40;

const void *fdt_open(paddr_t address, uint64_t *bytes)
{
    if (address.value == 0 || address.value % 8 != 0)
        return nullptr;
    const void *tree = arch_device_map(address, FDT_HEADER_BYTES, ARCH_MEMORY_NORMAL);
    if (tree == nullptr || fdt_magic(tree) != FDT_MAGIC)
        return nullptr;
    *bytes = fdt_totalsize(tree);
    if (*bytes < FDT_HEADER_BYTES || *bytes > FDT_BYTES_MAX)
        return nullptr;
    tree = arch_device_map(address, *bytes, ARCH_MEMORY_NORMAL);
    if (tree == nullptr || fdt_check_header(tree) != 0)
        return nullptr;
    // libfdt takes these alignments for granted (specification 5.6).
    if (fdt_off_dt_struct(tree) % 4 != 0 || fdt_off_mem_rsvmap(tree) % 8 != 0)
        return nullptr;
    return tree;
}

struct fdt_node fdt_begin(const void *tree)
{
    return (struct fdt_node){.tree = tree, .depth = -1};
}

bool fdt_next(struct fdt_node *node)
{
    int offset = node->depth < 0 ? -1 : node->offsets[node->depth];
    int depth = node->depth;
    for (;;) {
        offset = fdt_next_node(node->tree, offset, &depth);
        if (offset < 0 || depth < 0)
            return false; // the end; a tree that breaks off ends there
        if (depth < FDT_DEPTH_MAX) {
            node->depth = depth;
            node->offsets[depth] = offset;
            return true;
        }
    }
}

bool fdt_at(const void *tree, int offset, struct fdt_node *node)
{
    for (*node = fdt_begin(tree); fdt_next(node);) {
        if (fdt_offset(node) == offset)
            return true;
    }
    return false;
}

bool fdt_parent(const struct fdt_node *node, struct fdt_node *parent)
{
    if (node->depth <= 0)
        return false;
    *parent = *node;
    parent->depth--;
    return true;
}

int fdt_offset(const struct fdt_node *node)
{
    return node->offsets[node->depth];
}

const char *fdt_name(const struct fdt_node *node)
{
    int length;
    const char *name = fdt_get_name(node->tree, fdt_offset(node), &length);
    if (name == nullptr)
        return "?";
    return length == 0 ? "/" : name;
}

bool fdt_is_child(const struct fdt_node *node, const struct fdt_node *parent)
{
    return node->depth == parent->depth + 1 && node->offsets[parent->depth] == fdt_offset(parent);
}

bool fdt_enabled(const struct fdt_node *node)
{
    if (!fdt_has(node, "status"))
        return true;
    const char *status = fdt_text(node, "status");
    return status != nullptr && (strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0);
}

bool fdt_compatible(const struct fdt_node *node, const char *with)
{
    int length;
    const char *list = fdt_getprop(node->tree, fdt_offset(node), "compatible", &length);
    return list != nullptr && fdt_stringlist_contains(list, length, with) != 0;
}
