// SPDX-License-Identifier: MIT
//
// Text from a tree, piece by piece.
#pragma once

#include <hwtree/text.h>

struct hwtree_writer {
    struct hwtree_output *output;
    const struct hwtree *tree;
    unsigned indent; // of a line that begins, in steps
    bool in_line;
    // Nodes of `tree` that are written by the paths of the same ones of another tree: for each node
    // that one, or HWTREE_NONE. Null: none is.
    const struct hwtree *other;
    const uint32_t *twins;
};

[[gnu::format(printf, 2, 3)]] void hwtree_write(struct hwtree_writer *writer, const char *format,
                                                ...);
// A text in quotes, whatever is in it.
void hwtree_write_quoted(struct hwtree_writer *writer, const char *text);
// The path of a node.
void hwtree_write_path(struct hwtree_writer *writer, uint32_t node);
// All properties of a node, each in one line.
void hwtree_write_properties(struct hwtree_writer *writer, uint32_t node);

const char *hwtree_controller_name(enum hwtree_controller_variant variant);
const char *hwtree_timer_name(enum hwtree_timer_variant variant);
