// SPDX-License-Identifier: MIT
//
// The tree as a whole, and checked values: see <platform/fdt.h>.
#include <platform/fdt.h>

#include <arch/arch.h>
#include <lib/string.h>

constexpr size_t FDT_BYTES_MAX = 2u << 20; // the arm64 boot protocol's limit
constexpr uint32_t NODES_MAX = 4096;

static struct fdt_place nodes[NODES_MAX];
static struct fdt opened;

const struct fdt *fdt_open(paddr_t address, uint64_t *bytes)
{
    if (address.value == 0 || address.value % 8 != 0)
        return nullptr;
    const void *blob = arch_device_map(address, FDT_HEADER_BYTES, ARCH_MEMORY_NORMAL);
    *bytes = blob != nullptr ? fdt_total_bytes(blob) : 0;
    if (*bytes < FDT_HEADER_BYTES || *bytes > FDT_BYTES_MAX)
        return nullptr;
    blob = arch_device_map(address, *bytes, ARCH_MEMORY_NORMAL);
    if (blob == nullptr)
        return nullptr;
    const enum fdt_fault fault = fdt_read(&opened, blob, *bytes, nodes, NODES_MAX);
    if (fault != FDT_SOUND)
        klog("device tree: it %s, at offset %u; %u nodes were read", fdt_fault_text(fault),
             opened.end, opened.count);
    return fault == FDT_SOUND || fault == FDT_BREAKS_OFF || fault == FDT_TOO_MANY ? &opened
                                                                                  : nullptr;
}

uint32_t fdt_find_compatible(const struct fdt *tree, const char *const *names, unsigned count)
{
    for (uint32_t node = 0; node < tree->count; node++)
        for (unsigned i = 0; i < count; i++)
            if (fdt_compatible(tree, node, names[i]) && fdt_enabled(tree, node))
                return node;
    return FDT_NONE;
}

bool fdt_enabled(const struct fdt *tree, uint32_t node)
{
    if (!fdt_has(tree, node, "status"))
        return true;
    const char *status = fdt_text(tree, node, "status");
    return status != nullptr && (strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0);
}

bool fdt_compatible(const struct fdt *tree, uint32_t node, const char *with)
{
    return fdt_text_index(fdt_get(tree, node, "compatible"), with) != FDT_NONE;
}

// ---- checked values

void fdt_complain(const struct fdt *tree, uint32_t node, const char *property, const char *what)
{
    const char *name = node != FDT_ROOT ? fdt_name(tree, node) : "/";
    if (property != nullptr)
        klog("device tree: node %s, property %s: %s", name, property, what);
    else
        klog("device tree: node %s: %s", name, what);
}

bool fdt_has(const struct fdt *tree, uint32_t node, const char *property)
{
    return fdt_get(tree, node, property).at != nullptr;
}

const char *fdt_text(const struct fdt *tree, uint32_t node, const char *property)
{
    const struct fdt_value value = fdt_get(tree, node, property);
    const char *text = fdt_as_text(value);
    if (value.at != nullptr && text == nullptr)
        fdt_complain(tree, node, property, "is not a text");
    return text;
}

struct fdt_cells fdt_cells(const struct fdt *tree, uint32_t node, const char *property)
{
    const struct fdt_cells cells = fdt_as_cells(fdt_get(tree, node, property));
    if (cells.whole)
        return cells;
    fdt_complain(tree, node, property, "is not a list of cells");
    return (struct fdt_cells){};
}

// A number of so many cells at most.
static bool read_number(const struct fdt *tree, uint32_t node, const char *property, uint32_t most,
                        const char *refusal, uint64_t *value)
{
    const struct fdt_cells cells = fdt_cells(tree, node, property);
    if (cells.cells == nullptr)
        return false;
    if (cells.count < 1 || cells.count > most) {
        fdt_complain(tree, node, property, refusal);
        return false;
    }
    *value = fdt_number(cells.cells, 0, cells.count);
    return true;
}

bool fdt_u32(const struct fdt *tree, uint32_t node, const char *property, uint32_t *value)
{
    uint64_t wide;
    if (!read_number(tree, node, property, 1, "is not one cell", &wide))
        return false;
    *value = (uint32_t)wide;
    return true;
}

bool fdt_u64(const struct fdt *tree, uint32_t node, const char *property, uint64_t *value)
{
    return read_number(tree, node, property, 2, "is not one or two cells", value);
}

bool fdt_has_phandle(const struct fdt *tree, uint32_t node, uint32_t phandle)
{
    // The latter is its old name.
    const char *name = fdt_has(tree, node, "phandle") ? "phandle" : "linux,phandle";
    uint32_t own;
    return fdt_u32(tree, node, name, &own) && own == phandle;
}

uint32_t fdt_by_phandle(const struct fdt *tree, uint32_t phandle)
{
    for (uint32_t node = 0; node < tree->count; node++)
        if (fdt_has_phandle(tree, node, phandle))
            return node;
    return FDT_NONE;
}
