// SPDX-License-Identifier: MIT
// build: lib/firmware/acpi.c lib/firmware/fdt.c lib/hwtree/acpi.c lib/hwtree/acpi_arm.c lib/hwtree/acpi_devices.c lib/hwtree/acpi_dmar.c lib/hwtree/acpi_madt.c lib/hwtree/acpi_numa.c lib/hwtree/acpi_pci.c lib/hwtree/acpi_pptt.c lib/hwtree/aml.c lib/hwtree/aml_resources.c lib/hwtree/aml_terms.c lib/hwtree/builder.c lib/hwtree/check.c lib/hwtree/diff.c lib/hwtree/fdt.c lib/hwtree/fdt_interrupts.c lib/hwtree/fdt_kinds.c lib/hwtree/fdt_pci.c lib/hwtree/fdt_ranges.c lib/hwtree/print.c lib/hwtree/properties.c lib/hwtree/read.c
//
// Blocks that say that they are a hardware tree: what the checker takes can be read, printed and
// compared, and nothing outside of it is read.
#include <hwtree/text.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static void swallow(struct hwtree_output *output, const char *text, size_t length)
{
    (void)output;
    FUZZ_EXPECT(length > 0 && memchr(text, 0, length) == nullptr);
}

void fuzz_begin(void)
{
}

static void read_all(const struct hwtree *tree)
{
    static char work[16384];
    struct hwtree_output output = {swallow};
    uint32_t visited = 0;
    for (uint32_t node = 0; node != HWTREE_NONE; node = hwtree_next(tree, node)) {
        char path[HWTREE_PATH_BYTES];
        uint32_t target, id;
        hwtree_path(tree, node, path, sizeof(path));
        FUZZ_EXPECT(++visited <= hwtree_count(tree, HWTREE_NODES));
        if (hwtree_device_id(tree, node, HWTREE_ID_IOMMU, &target, &id))
            FUZZ_EXPECT(target < hwtree_count(tree, HWTREE_NODES));
    }
    FUZZ_EXPECT(visited == hwtree_count(tree, HWTREE_NODES));
    (void)hwtree_compatible(tree, HWTREE_NONE, "arm,gic-v3");
    (void)hwtree_find(tree, "/cpus/cpu-map/core", 18);
    hwtree_print(tree, &output);
    hwtree_print_problems(tree, &output);
    hwtree_print_summary(tree, &output);
    FUZZ_EXPECT(hwtree_print_differences(tree, tree, work, sizeof(work), &output) == 0);
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    const char *why = nullptr;
    struct hwtree *tree = fuzz_copy(data, bytes);
    if (bytes >= sizeof(*tree) && tree->magic == HWTREE_MAGIC && tree->version == HWTREE_VERSION)
        fuzz_past_header();
    if (hwtree_check(tree, bytes, &why))
        read_all(tree);
    else
        FUZZ_EXPECT(why != nullptr);
    free(tree);
}

// A number somewhere in a section, most often a small one.
static void change(uint8_t *data, size_t bytes, struct dice *dice)
{
    const struct hwtree *tree = (const struct hwtree *)(const void *)data;
    size_t at = dice_below(dice, bytes / 4) * 4;
    unsigned section = (unsigned)dice_below(dice, 2 * HWTREE_SECTIONS);
    if (section < HWTREE_SECTIONS && tree->sections[section].first < bytes - 8)
        at = tree->sections[section].first +
             dice_below(dice, (bytes - tree->sections[section].first) / 4) * 4;
    if (at + 8 > bytes)
        return;
    if (dice_below(dice, 3) == 0)
        put_low_first(data + at, dice_number(dice), 4u << dice_below(dice, 2));
    else
        put_low_first(data + at + dice_below(dice, 4), dice_below(dice, 40), 1);
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    constexpr size_t HEAD = sizeof(struct hwtree);
    if (dice_below(dice, 8) == 0 || bytes < HEAD)
        bytes = mutate_bytes(data, bytes, room);
    if (bytes < HEAD && room >= HEAD) {
        memset(data + bytes, 0, HEAD - bytes);
        bytes = HEAD;
    }
    if (bytes < HEAD || dice_below(dice, 20) == 0)
        return bytes;
    bytes = bytes / 8 * 8;
    struct hwtree *tree = (struct hwtree *)(void *)data;
    for (uint64_t n = dice_below(dice, 4); n > 0; n--)
        change(data, bytes, dice);
    tree->magic = HWTREE_MAGIC;
    tree->version = HWTREE_VERSION;
    tree->header_bytes = HEAD;
    tree->bytes = (uint32_t)bytes;
    return bytes;
}
