// SPDX-License-Identifier: MIT
//
// /chosen: what the loader tells the kernel (specification 3.6; the initrd properties are
// those of Linux).
#include <platform/fdt.h>

#include <lib/string.h>

static const char *const consoles[] = {"arm,pl011", "arm,sbsa-uart", "brcm,bcm2835-aux-uart"};

static bool is_console(const struct fdt_node *node)
{
    for (unsigned i = 0; i < ARRAY_SIZE(consoles); i++) {
        if (fdt_compatible(node, consoles[i]))
            return fdt_enabled(node);
    }
    return false;
}

static bool find_chosen(const void *tree, struct fdt_node *node)
{
    return fdt_find(tree, "/chosen", strlen("/chosen"), node);
}

// stdout-path is a path or an alias, maybe followed by ':' and the line's settings.
static bool named_console(const void *tree, struct fdt_node *node)
{
    struct fdt_node chosen;
    if (!find_chosen(tree, &chosen) || !fdt_has(&chosen, "stdout-path"))
        return false;
    const char *path = fdt_text(&chosen, "stdout-path");
    if (path == nullptr)
        return false;
    const char *colon = strchr(path, ':');
    const size_t length = colon != nullptr ? (size_t)(colon - path) : strlen(path);
    if (!fdt_find(tree, path, length, node)) {
        fdt_complain(&chosen, "stdout-path", "names no node");
        return false;
    }
    if (!is_console(node)) {
        fdt_complain(node, "compatible", "is no UART that the kernel can drive");
        return false;
    }
    return true;
}

bool fdt_find_console(const void *tree, struct fdt_node *node)
{
    if (named_console(tree, node))
        return true;
    for (*node = fdt_begin(tree); fdt_next(node);) {
        if (is_console(node))
            return true;
    }
    return false;
}

static void read_bundle(const struct fdt_node *chosen, struct boot_info *boot)
{
    const bool has_start = fdt_has(chosen, "linux,initrd-start");
    if (!has_start && !fdt_has(chosen, "linux,initrd-end"))
        return;
    uint64_t start, end;
    if (!fdt_u64(chosen, "linux,initrd-start", &start) ||
        !fdt_u64(chosen, "linux,initrd-end", &end) || start >= end) {
        fdt_complain(chosen, "linux,initrd-start", "and -end: no range of memory");
        return;
    }
    if (start % PAGE_SIZE != 0) {
        fdt_complain(chosen, "linux,initrd-start", "the boot bundle is not page-aligned");
        return;
    }
    const uint64_t pages_end = align_up(end, PAGE_SIZE);
    for (uint32_t i = 0; i < boot->ram_count; i++) {
        if (start >= boot->ram[i].start && end <= boot->ram[i].end && pages_end >= end) {
            boot->bundle = (struct boot_range){start, pages_end};
            return;
        }
    }
    fdt_complain(chosen, "linux,initrd-start", "the boot bundle is not in RAM");
}

void fdt_read_chosen(const void *tree, struct boot_info *boot)
{
    struct fdt_node chosen;
    if (!find_chosen(tree, &chosen))
        return;
    if (fdt_has(&chosen, "bootargs")) {
        const char *line = fdt_text(&chosen, "bootargs");
        if (line != nullptr && !text_copy(boot->command_line, sizeof(boot->command_line), line))
            fdt_complain(&chosen, "bootargs", "is too long and was cut");
    }
    read_bundle(&chosen, boot);
}
