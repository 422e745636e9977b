// SPDX-License-Identifier: MIT
// build: lib/firmware/acpi.c lib/firmware/fdt.c lib/hwtree/acpi.c lib/hwtree/acpi_arm.c lib/hwtree/acpi_devices.c lib/hwtree/acpi_dmar.c lib/hwtree/acpi_madt.c lib/hwtree/acpi_numa.c lib/hwtree/acpi_pci.c lib/hwtree/acpi_pptt.c lib/hwtree/aml.c lib/hwtree/aml_resources.c lib/hwtree/aml_terms.c lib/hwtree/builder.c lib/hwtree/check.c lib/hwtree/diff.c lib/hwtree/fdt.c lib/hwtree/fdt_interrupts.c lib/hwtree/fdt_kinds.c lib/hwtree/fdt_pci.c lib/hwtree/fdt_ranges.c lib/hwtree/print.c lib/hwtree/properties.c lib/hwtree/read.c
//
// Blocks that say that they are hardware trees, one and perhaps another one behind it: what the checker
// takes can be read, printed and compared, and nothing outside of it is read.
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

static uint32_t differences(const struct hwtree *before, const struct hwtree *after)
{
    static char work[16384];
    struct hwtree_output output = {swallow};
    return hwtree_print_differences(before, after, work, sizeof(work), &output);
}

static void read_all(const struct hwtree *tree)
{
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
    FUZZ_EXPECT(differences(tree, tree) == 0);
}

// The tree, on the heap, if it is one.
static struct hwtree *check(const uint8_t *data, size_t bytes)
{
    const char *why = nullptr;
    struct hwtree *tree = fuzz_copy(data, bytes);
    if (hwtree_check(tree, bytes, &why))
        return tree;
    FUZZ_EXPECT(why != nullptr);
    free(tree);
    return nullptr;
}

static bool has_header(const uint8_t *data, size_t bytes)
{
    struct hwtree head;
    if (bytes < sizeof(head))
        return false;
    memcpy(&head, data, sizeof(head));
    return head.magic == HWTREE_MAGIC && head.version == HWTREE_VERSION;
}

// How much of the input is the first tree.
static size_t bytes_of_first(const uint8_t *data, size_t bytes)
{
    struct hwtree head;
    if (bytes < sizeof(head))
        return bytes;
    memcpy(&head, data, sizeof(head));
    return head.bytes >= sizeof(head) && head.bytes < bytes ? head.bytes : bytes;
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    size_t first = bytes_of_first(data, bytes);
    if (has_header(data, first))
        fuzz_past_header();
    struct hwtree *tree = check(data, first);
    struct hwtree *other = first < bytes ? check(data + first, bytes - first) : nullptr;
    if (tree != nullptr)
        read_all(tree);
    if (tree != nullptr && other != nullptr) {
        (void)differences(tree, other);
        (void)differences(other, tree);
    }
    free(tree);
    free(other);
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

// A tree of whole words whose header fits it, whatever else is wrong with it.
static void change_tree(uint8_t *data, size_t bytes, struct dice *dice)
{
    struct hwtree *tree = (struct hwtree *)(void *)data;
    for (uint64_t n = dice_below(dice, 4); n > 0; n--)
        change(data, bytes, dice);
    tree->magic = HWTREE_MAGIC;
    tree->version = HWTREE_VERSION;
    tree->header_bytes = sizeof(*tree);
    tree->bytes = (uint32_t)bytes;
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
    size_t first = bytes_of_first(data, bytes) / 8 * 8;
    size_t rest = (bytes - first) / 8 * 8;
    if (dice_below(dice, 8) == 0) {
        rest = first <= room - first ? first : 0; // the same tree twice, or one alone
        memmove(data + first, data, rest);
    }
    if (rest < HEAD)
        rest = 0;
    if (rest == 0 || dice_below(dice, 2) == 0)
        change_tree(data, first, dice);
    if (rest != 0)
        change_tree(data + first, rest, dice);
    return first + rest;
}
