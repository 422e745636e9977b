// SPDX-License-Identifier: MIT
//
// The tree as a whole: opening it, walking it, going from a node to its ancestors.
//
// The nodes are found once, in one pass that checks the structure, and kept in a table, and
// properties are looked up here: by libfdt alone, which walks from the start and checks
// everything each time, reading one machine's tree took four million instructions.
#include <platform/fdt.h>

#include <arch/arch.h>
#include <lib/string.h>
#include <libfdt.h>

constexpr size_t FDT_BYTES_MAX = 2u << 20; // the arm64 boot protocol's limit
constexpr size_t FDT_HEADER_BYTES = 40;
constexpr int NODES_MAX = 4096;

constexpr uint32_t FDT_VERSION = 17; // the first that says how long its parts are

// In the order of the tree; a node's parent is the nearest one before it with a lower depth.
struct node_entry {
    int32_t offset; // in the structure block, as libfdt counts
    int16_t depth;
};
static struct node_entry nodes[NODES_MAX];
static int node_count;

// The structure block and the strings block.
static const uint8_t *block;
static const char *strings;
static uint32_t block_bytes, strings_bytes;

// Reads a word of the structure block, if it is there. `at` is a multiple of 4.
static bool read_word(uint64_t at, uint32_t *word)
{
    if (at > block_bytes || block_bytes - at < 4)
        return false;
    *word = fdt32_to_cpu(*(const fdt32_t *)(const void *)(block + at));
    return true;
}

// Fills `nodes`. false: the structure is broken, at the token that begins at *at.
static bool find_nodes(uint32_t *at)
{
    uint32_t token, length;
    int depth = -1;
    node_count = 0;
    for (*at = 0; read_word(*at, &token);) {
        uint64_t next = *at + 4;
        if (token == FDT_BEGIN_NODE) {
            const uint8_t *end = memchr(block + next, 0, block_bytes - next);
            depth++;
            if (end == nullptr || node_count == NODES_MAX || depth > INT16_MAX)
                return false;
            nodes[node_count++] =
                (struct node_entry){.offset = (int32_t)*at, .depth = (int16_t)depth};
            next = (uint64_t)(end + 1 - block);
        } else if (token == FDT_END_NODE) {
            if (--depth < 0)
                return depth == -1 && node_count > 0; // the root's
        } else if (token == FDT_PROP) {
            if (!read_word(next, &length) || depth < 0)
                return false;
            next += 8 + (uint64_t)length;
        } else if (token != FDT_NOP) {
            return false;
        }
        if (next > block_bytes)
            return false;
        *at = (uint32_t)align_up(next, 4);
    }
    return false;
}

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
    if (fdt_version(tree) < FDT_VERSION || fdt_off_dt_struct(tree) % 4 != 0 ||
        fdt_off_mem_rsvmap(tree) % 8 != 0)
        return nullptr;
    block = (const uint8_t *)tree + fdt_off_dt_struct(tree);
    block_bytes = fdt_size_dt_struct(tree);
    strings = (const char *)tree + fdt_off_dt_strings(tree);
    strings_bytes = fdt_size_dt_strings(tree);
    uint32_t at;
    if (!find_nodes(&at))
        klog("device tree: the structure breaks off at offset %u; %d nodes were read", at,
             node_count);
    return tree;
}

struct fdt_node fdt_begin(const void *tree)
{
    return (struct fdt_node){.tree = tree, .index = -1, .depth = -1};
}

bool fdt_next(struct fdt_node *node)
{
    while (++node->index < node_count) {
        const struct node_entry entry = nodes[node->index];
        if (entry.depth < FDT_DEPTH_MAX) {
            node->depth = entry.depth;
            node->offsets[entry.depth] = entry.offset;
            return true;
        }
    }
    return false;
}

// Whether a node is called `component`, with its unit address or, as the specification allows in
// a path, without.
static bool is_called(const struct fdt_node *node, const char *component, size_t length)
{
    const char *name = fdt_name(node);
    return strncmp(name, component, length) == 0 &&
           (name[length] == 0 ||
            (name[length] == '@' && memchr(component, '@', length) == nullptr));
}

static bool find_child(struct fdt_node *node, const char *component, size_t length)
{
    const struct fdt_node parent = *node;
    while (fdt_next(node) && node->depth > parent.depth) {
        if (fdt_is_child(node, &parent) && is_called(node, component, length))
            return true;
    }
    return false;
}

static bool find_alias(const void *tree, const char *alias, size_t length, struct fdt_node *node)
{
    struct fdt_node aliases;
    char name[32]; // the specification allows 31 characters
    if (length >= sizeof(name) || !fdt_find(tree, "/aliases", strlen("/aliases"), &aliases))
        return false;
    memcpy(name, alias, length);
    name[length] = 0;
    const char *path = fdt_has(&aliases, name) ? fdt_text(&aliases, name) : nullptr;
    return path != nullptr && path[0] == '/' && fdt_find(tree, path, strlen(path), node);
}

bool fdt_find(const void *tree, const char *path, size_t length, struct fdt_node *node)
{
    if (length == 0)
        return false;
    if (path[0] != '/')
        return find_alias(tree, path, length, node);
    *node = fdt_begin(tree);
    if (!fdt_next(node)) // the root
        return false;
    for (size_t at = 1; at < length;) {
        const char *slash = memchr(path + at, '/', length - at);
        const size_t part = slash != nullptr ? (size_t)(slash - (path + at)) : length - at;
        if (!find_child(node, path + at, part))
            return false;
        at += part + 1;
    }
    return true;
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
    const char *name = (const char *)block + fdt_offset(node) + 4;
    return name[0] == 0 ? "/" : name;
}

static bool string_is(uint32_t offset, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    return offset < strings_bytes && strings_bytes - offset >= bytes &&
           memcmp(strings + offset, text, bytes) == 0;
}

const void *fdt_value(const struct fdt_node *node, const char *name, unsigned *bytes)
{
    const char *own_name = (const char *)block + fdt_offset(node) + 4;
    uint64_t at = (uint64_t)fdt_offset(node) + 4 + align_up(strlen(own_name) + 1, 4);
    uint32_t token, length, string;
    // Properties come before children. Past a break in the structure nothing is sure.
    for (; read_word(at, &token) && (token == FDT_PROP || token == FDT_NOP);) {
        at += 4;
        if (token == FDT_NOP)
            continue;
        if (!read_word(at, &length) || !read_word(at + 4, &string) ||
            length > block_bytes - (at + 8))
            return nullptr;
        if (string_is(string, name)) {
            *bytes = length;
            return block + at + 8;
        }
        at += 8 + align_up(length, 4);
    }
    return nullptr;
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

bool fdt_find_compatible(const void *tree, const char *const *names, unsigned count,
                         struct fdt_node *node)
{
    for (*node = fdt_begin(tree); fdt_next(node);) {
        for (unsigned i = 0; i < count; i++) {
            if (fdt_compatible(node, names[i]) && fdt_enabled(node))
                return true;
        }
    }
    return false;
}

bool fdt_compatible(const struct fdt_node *node, const char *with)
{
    unsigned length;
    const char *list = fdt_value(node, "compatible", &length);
    if (list == nullptr)
        return false;
    // libfdt's own function compares one byte more than there may be.
    const size_t wanted = strlen(with);
    for (size_t at = 0; at < length;) {
        const size_t found = strnlen(list + at, length - at);
        if (found == length - at)
            return false; // the last one has no end
        if (found == wanted && memcmp(list + at, with, wanted) == 0)
            return true;
        at += found + 1;
    }
    return false;
}
