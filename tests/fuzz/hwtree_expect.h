// SPDX-License-Identifier: MIT
//
// What must hold of every hardware tree that a front end made, whatever it was made of: the checker
// takes it, it can be printed and compared, and lines are those of their controllers.
#pragma once

#include <hwtree/builder.h>
#include <hwtree/text.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

// Each piece is looked at by the sanitizer.
static void swallow(struct hwtree_output *output, const char *text, size_t length)
{
    (void)output;
    FUZZ_EXPECT(length > 0 && memchr(text, 0, length) == nullptr);
}

static void expect_sound_interrupt(const struct hwtree *tree,
                                   const struct hwtree_interrupt *interrupt)
{
    const struct hwtree_node *controller = hwtree_node(tree, interrupt->controller);
    if (tree->origin == HWTREE_DEVICE_TREE && controller->kind == HWTREE_CONTROLLER &&
        controller->controller.gic_lines)
        FUZZ_EXPECT(interrupt->line >= 16 && interrupt->line < 5120);
}

static void expect_sound_nodes(const struct hwtree *tree)
{
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_NODES); i++) {
        const struct hwtree_node *node = hwtree_node(tree, i);
        char path[HWTREE_PATH_BYTES];
        uint32_t target, id;
        hwtree_path(tree, i, path, sizeof(path));
        FUZZ_EXPECT(path[0] == '/' && hwtree_depth(tree, i) < HWTREE_DEPTH_MAX);
        for (uint32_t k = 0; k < node->interrupts.count; k++)
            expect_sound_interrupt(tree, hwtree_interrupt(tree, i, k));
        for (uint32_t k = 0; k < node->ranges.count; k++) {
            const struct hwtree_range *range = hwtree_range(tree, i, k);
            FUZZ_EXPECT(range->bytes > 0 || range->space != HWTREE_SPACE_MEMORY);
        }
        if (hwtree_device_id(tree, i, HWTREE_ID_MSI, &target, &id))
            FUZZ_EXPECT(target < hwtree_count(tree, HWTREE_NODES));
        FUZZ_EXPECT(i == 0 || !hwtree_available(tree, i) || hwtree_available(tree, node->parent));
    }
}

// Text takes longer than reading: of one tree in eight, by its length.
static void read_sound_hardware(const struct hwtree *tree)
{
    static char work[16384];
    struct hwtree_output output = {swallow};
    expect_sound_nodes(tree);
    if (tree->bytes / 8 % 8 != 0)
        return;
    hwtree_print(tree, &output);
    hwtree_print_problems(tree, &output);
    hwtree_print_summary(tree, &output);
    FUZZ_EXPECT(hwtree_print_differences(tree, tree, work, sizeof(work), &output) == 0);
}

// Which node is left out of a tree that follows; HWTREE_NONE: none.
[[maybe_unused]] static bool keep_all_but(const struct hwtree *from, uint32_t node, void *context)
{
    FUZZ_EXPECT(node < hwtree_count(from, HWTREE_NODES));
    return node != *(const uint32_t *)context;
}

// What follows it, whole or without one node, is sound too; and the whole one says the same.
[[maybe_unused]] static void expect_sound_copy(const struct hwtree *tree)
{
    static uint64_t memory[64 * 1024];
    static uint32_t numbers[8192];
    static char work[4096];
    struct hwtree_output output = {swallow};
    const uint32_t count = hwtree_count(tree, HWTREE_NODES);
    uint32_t left_out[] = {HWTREE_NONE, tree->bytes / 8 % count};
    FUZZ_EXPECT(count <= sizeof(numbers) / sizeof(numbers[0]));
    for (unsigned i = 0; i < 2; i++) {
        struct hwtree_builder builder;
        const char *why = nullptr;
        FUZZ_EXPECT(hwtree_begin(&builder, memory, sizeof(memory), tree->origin));
        FUZZ_EXPECT(hwtree_copy(&builder, tree, keep_all_but, &left_out[i], numbers));
        FUZZ_EXPECT(hwtree_check(builder.tree, hwtree_finish(&builder), &why));
        for (unsigned s = 0; s < HWTREE_TEXT && i == 0; s++)
            FUZZ_EXPECT(hwtree_count(builder.tree, s) <= hwtree_count(tree, s));
        if (i == 0 && tree->bytes / 8 % 8 == 0)
            FUZZ_EXPECT(hwtree_print_differences(tree, builder.tree, work, sizeof(work), &output) ==
                        0);
    }
}

// In a copy of exactly its length.
[[maybe_unused]] static void expect_sound_hardware(struct hwtree_builder *builder)
{
    const char *why = nullptr;
    size_t bytes = hwtree_finish(builder);
    FUZZ_EXPECT(bytes == builder->tree->bytes && hwtree_check(builder->tree, bytes, &why));
    struct hwtree *copy = fuzz_copy(builder->tree, bytes);
    read_sound_hardware(copy);
    expect_sound_copy(copy);
    free(copy);
}
