// SPDX-License-Identifier: MIT
//
// Reading a flattened device tree for the kernel's start, over <firmware/fdt.h> (Devicetree
// Specification 0.4).
//
// The tree is untrusted input. Every reader checks what it reads, says in the log which node and
// property is wrong, and answers false; the caller decides whether it can do without.
#pragma once

#include <firmware/fdt.h>
#include <kernel/boot.h>
#include <lib/types.h>

struct fdt_region {
    uint64_t address, bytes; // physical
};

// ---- fdt.c: the tree, and checked values

// Maps the tree at `address`, checks its header and finds its nodes; one tree at a time. nullptr:
// there is no device tree there. Of one that breaks off, what comes before is used.
const struct fdt *fdt_open(paddr_t address, uint64_t *bytes);

// The first node that is enabled and compatible with one of the names, or FDT_NONE.
uint32_t fdt_find_compatible(const struct fdt *tree, const char *const *names, unsigned count);

// Whether the node's status is absent, "okay" or "ok".
bool fdt_enabled(const struct fdt *tree, uint32_t node);
bool fdt_compatible(const struct fdt *tree, uint32_t node, const char *with);

// Says what is wrong with a property, or with the node if `property` is nullptr.
void fdt_complain(const struct fdt *tree, uint32_t node, const char *property, const char *what);

bool fdt_has(const struct fdt *tree, uint32_t node, const char *property);
// nullptr if it is absent (silently), or not a NUL-terminated text (with a complaint).
const char *fdt_text(const struct fdt *tree, uint32_t node, const char *property);
// `.cells` is nullptr if it is absent, or not made of cells, as above.
struct fdt_cells fdt_cells(const struct fdt *tree, uint32_t node, const char *property);
bool fdt_u32(const struct fdt *tree, uint32_t node, const char *property, uint32_t *value);
// A number of one or two cells, by the property's length.
bool fdt_u64(const struct fdt *tree, uint32_t node, const char *property, uint64_t *value);

// Whether others speak of the node by this number (specification 2.3.3), and the first that is so.
bool fdt_has_phandle(const struct fdt *tree, uint32_t node, uint32_t phandle);
uint32_t fdt_by_phandle(const struct fdt *tree, uint32_t phandle);

// ---- fdt_reg.c

// Entry `index` of "reg", translated through the "ranges" of every bus above. false and silent if
// there is no such entry.
bool fdt_reg(const struct fdt *tree, uint32_t node, unsigned index, struct fdt_region *region);

// ---- fdt_interrupt.c

// The first three cells of interrupt `index` of the node, which must be wired to `controller` with
// three cells or four, as a GIC has them. false and silent if there is no such interrupt.
struct fdt_interrupt {
    uint32_t type, number, flags;
};
bool fdt_interrupt(const struct fdt *tree, uint32_t node, unsigned index, uint32_t controller,
                   struct fdt_interrupt *interrupt);

// ---- fdt_memory.c

// Fills boot->ram and boot->reserved from memory nodes, reservations and /reserved-memory.
// What must not be mapped is no RAM. Panics if there is none.
void fdt_read_memory(const struct fdt *tree, struct boot_info *boot);

// ---- fdt_chosen.c

// The UART that /chosen names, or else the first that is `compatible`, or FDT_NONE.
uint32_t fdt_find_console(const struct fdt *tree);

// Command line and boot bundle.
void fdt_read_chosen(const struct fdt *tree, struct boot_info *boot);

// ---- fdt_cpus.c

// Lists the CPUs that can be started, `boot_cpu` (an MPIDR affinity) first, and the release address of
// each, 0 where it is started by PSCI. boot->ram is normalised; kernel, bundle and tables are known.
// The release addresses are reserved, which normalises nothing.
void fdt_read_cpus(const struct fdt *tree, uint64_t boot_cpu, struct boot_info *boot,
                   paddr_t releases[static BOOT_CPUS_MAX]);
