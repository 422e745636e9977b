// SPDX-License-Identifier: MIT
//
// An intrusive search tree ordered by a 64-bit key; equal keys keep their order of insertion.
// A treap: expected O(log n), no recursion, no allocation. The priorities are a hash of a
// counter, so that a run repeats exactly and no input chooses them.
#pragma once

#include <stdint.h>

#include <lib/types.h>

struct tree_node {
    struct tree_node *parent, *left, *right;
    uint64_t key;
    uint32_t priority;
    bool linked;
};

struct tree {
    struct tree_node *root;
    uint32_t count;
    uint32_t seed;
};

void tree_insert(struct tree *tree, struct tree_node *node, uint64_t key);
void tree_remove(struct tree *tree, struct tree_node *node);

struct tree_node *tree_first(const struct tree *tree);
struct tree_node *tree_next(const struct tree_node *node);

// The last node whose key is at most `key`, or nullptr.
struct tree_node *tree_find_at_most(const struct tree *tree, uint64_t key);

// The first node whose key is at least `key`, or nullptr.
struct tree_node *tree_find_at_least(const struct tree *tree, uint64_t key);
