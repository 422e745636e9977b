// SPDX-License-Identifier: MIT
//
// Reading a flattened device tree (Devicetree Specification 0.4). libfdt knows the format; the
// walk is ours.
//
// The tree is untrusted input. Every reader checks what it reads, says in the log which node and
// property is wrong, and answers false; the caller decides whether it can do without.
//
// A node is known together with the path to it, because cells, ranges and interrupt parents are
// its ancestors' business.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <kernel/boot.h>
#include <lib/types.h>

constexpr int FDT_DEPTH_MAX = 16;

struct fdt_node {
    const void *tree;
    int index;                  // in the order of the tree
    int depth;                  // of the root: 0; -1: no node yet
    int offsets[FDT_DEPTH_MAX]; // of the ancestors and, at `depth`, the node itself
};

struct fdt_region {
    uint64_t address, bytes; // physical
};

// ---- fdt.c: the tree and its nodes

// Maps the tree at `address`, checks its header and finds its nodes; one tree at a time. nullptr:
// there is no device tree there. Of one that breaks off, what comes before is used.
const void *fdt_open(paddr_t address, uint64_t *bytes);

// `for (struct fdt_node n = fdt_begin(tree); fdt_next(&n);)` visits every node, the root first.
// Nodes deeper than FDT_DEPTH_MAX are passed over.
struct fdt_node fdt_begin(const void *tree);
bool fdt_next(struct fdt_node *node);

// The node that a path or an alias names; the text need not end after `length`.
bool fdt_find(const void *tree, const char *path, size_t length, struct fdt_node *node);

bool fdt_parent(const struct fdt_node *node, struct fdt_node *parent);

// The first node that is enabled and compatible with one of the names.
bool fdt_find_compatible(const void *tree, const char *const *names, unsigned count,
                         struct fdt_node *node);

int fdt_offset(const struct fdt_node *node);
const char *fdt_name(const struct fdt_node *node); // with its unit address; for people

// The value of a property, inside the tree. nullptr: it is absent.
const void *fdt_value(const struct fdt_node *node, const char *name, unsigned *bytes);

// Whether the node is a child of `parent` itself.
bool fdt_is_child(const struct fdt_node *node, const struct fdt_node *parent);

// Whether its status is absent, "okay" or "ok".
bool fdt_enabled(const struct fdt_node *node);
bool fdt_compatible(const struct fdt_node *node, const char *with);

// ---- fdt_property.c: checked values

// Says what is wrong with a property, or with the node if `property` is nullptr.
void fdt_complain(const struct fdt_node *node, const char *property, const char *what);

bool fdt_has(const struct fdt_node *node, const char *property);
// nullptr if it is absent (silently), or not a NUL-terminated text (with a complaint).
const char *fdt_text(const struct fdt_node *node, const char *property);
// An array of 32-bit cells, to be read with fdt_cell. nullptr as above.
const void *fdt_cells(const struct fdt_node *node, const char *property, unsigned *count);
uint32_t fdt_cell(const void *cells, unsigned index);
bool fdt_u32(const struct fdt_node *node, const char *property, uint32_t *value);
// A number of one or two cells, by the property's length.
bool fdt_u64(const struct fdt_node *node, const char *property, uint64_t *value);

// Whether others speak of the node by this number (specification 2.3.3), and the first that is so.
bool fdt_has_phandle(const struct fdt_node *node, uint32_t phandle);
bool fdt_by_phandle(const void *tree, uint32_t phandle, struct fdt_node *node);

// Entry `index` of "reg", translated through the "ranges" of every bus above. false and silent if
// there is no such entry.
bool fdt_reg(const struct fdt_node *node, unsigned index, struct fdt_region *region);

// ---- fdt_interrupt.c

// The first three cells of interrupt `index` of the node, which must be wired to `controller` with
// three cells or four, as a GIC has them. false and silent if there is no such interrupt.
struct fdt_interrupt {
    uint32_t type, number, flags;
};
bool fdt_interrupt(const struct fdt_node *node, unsigned index, const struct fdt_node *controller,
                   struct fdt_interrupt *interrupt);

// ---- fdt_memory.c

// Fills boot->ram and boot->reserved from memory nodes, reservations and /reserved-memory.
// What must not be mapped is no RAM. Panics if there is none.
void fdt_read_memory(const void *tree, struct boot_info *boot);

// ---- fdt_chosen.c

// The UART that /chosen names, or else the first that is `compatible`.
bool fdt_find_console(const void *tree, struct fdt_node *node);

// Command line and boot bundle.
void fdt_read_chosen(const void *tree, struct boot_info *boot);

// ---- fdt_cpus.c

// Lists the CPUs that can be started, `boot_cpu` (an MPIDR affinity) first, and the release address of
// each, 0 where it is started by PSCI. boot->ram is normalised; kernel, bundle and tables are known.
// The release addresses are reserved, which normalises nothing.
void fdt_read_cpus(const void *tree, uint64_t boot_cpu, struct boot_info *boot,
                   paddr_t releases[static BOOT_CPUS_MAX]);
