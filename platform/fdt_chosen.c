// SPDX-License-Identifier: MIT
//
// /chosen: what the loader tells the kernel (specification 3.6; the initrd properties are
// those of Linux).
#include <platform/fdt.h>

#include <lib/string.h>

static const char *const consoles[] = {"arm,pl011", "arm,sbsa-uart", "brcm,bcm2835-aux-uart"};

static bool is_console(const struct fdt *tree, uint32_t node)
{
    for (unsigned i = 0; i < ARRAY_SIZE(consoles); i++) {
        if (fdt_compatible(tree, node, consoles[i]))
            return fdt_enabled(tree, node);
    }
    return false;
}

static uint32_t find_chosen(const struct fdt *tree)
{
    return fdt_find(tree, "/chosen", strlen("/chosen"));
}

// stdout-path is a path or an alias, maybe followed by ':' and the line's settings.
static uint32_t named_console(const struct fdt *tree)
{
    const uint32_t chosen = find_chosen(tree);
    if (chosen == FDT_NONE || !fdt_has(tree, chosen, "stdout-path"))
        return FDT_NONE;
    const char *path = fdt_text(tree, chosen, "stdout-path");
    if (path == nullptr)
        return FDT_NONE;
    const char *colon = strchr(path, ':');
    const size_t length = colon != nullptr ? (size_t)(colon - path) : strlen(path);
    const uint32_t node = fdt_find(tree, path, length);
    if (node == FDT_NONE) {
        fdt_complain(tree, chosen, "stdout-path", "names no node");
    } else if (!is_console(tree, node)) {
        fdt_complain(tree, node, "compatible", "is no UART that the kernel can drive");
        return FDT_NONE;
    }
    return node;
}

uint32_t fdt_find_console(const struct fdt *tree)
{
    uint32_t node = named_console(tree);
    for (uint32_t i = 0; node == FDT_NONE && i < tree->count; i++)
        if (is_console(tree, i))
            node = i;
    return node;
}

static void read_bundle(const struct fdt *tree, uint32_t chosen, struct boot_info *boot)
{
    const bool has_start = fdt_has(tree, chosen, "linux,initrd-start");
    if (!has_start && !fdt_has(tree, chosen, "linux,initrd-end"))
        return;
    uint64_t start, end;
    if (!fdt_u64(tree, chosen, "linux,initrd-start", &start) ||
        !fdt_u64(tree, chosen, "linux,initrd-end", &end) || start >= end) {
        fdt_complain(tree, chosen, "linux,initrd-start", "and -end: no range of memory");
        return;
    }
    if (start % PAGE_SIZE != 0) {
        fdt_complain(tree, chosen, "linux,initrd-start", "the boot bundle is not page-aligned");
        return;
    }
    const uint64_t pages_end = align_up(end, PAGE_SIZE);
    for (uint32_t i = 0; i < boot->ram_count; i++) {
        if (start >= boot->ram[i].start && end <= boot->ram[i].end && pages_end >= end) {
            boot->bundle = (struct boot_range){start, pages_end};
            return;
        }
    }
    fdt_complain(tree, chosen, "linux,initrd-start", "the boot bundle is not in RAM");
}

void fdt_read_chosen(const struct fdt *tree, struct boot_info *boot)
{
    const uint32_t chosen = find_chosen(tree);
    if (chosen == FDT_NONE)
        return;
    if (fdt_has(tree, chosen, "bootargs")) {
        const char *line = fdt_text(tree, chosen, "bootargs");
        if (line != nullptr && !text_copy(boot->command_line, sizeof(boot->command_line), line))
            fdt_complain(tree, chosen, "bootargs", "is too long and was cut");
    }
    read_bundle(tree, chosen, boot);
}
