// SPDX-License-Identifier: MIT
//
// The treap behind <lib/tree.h>: keys in search order, priorities in heap order.
#include <lib/tree.h>

static uint32_t next_priority(struct tree *tree)
{
    uint32_t x = tree->seed += 0x9e37'79b9;
    x = (x ^ x >> 16) * 0x85eb'ca6b;
    x = (x ^ x >> 13) * 0xc2b2'ae35;
    return x ^ x >> 16;
}

// Puts `child` where `node` hangs below its parent.
static void replace(struct tree *tree, struct tree_node *node, struct tree_node *child)
{
    struct tree_node *parent = node->parent;
    if (!parent)
        tree->root = child;
    else if (parent->left == node)
        parent->left = child;
    else
        parent->right = child;
    if (child)
        child->parent = parent;
}

// Lifts `node` above its parent.
static void rotate_up(struct tree *tree, struct tree_node *node)
{
    struct tree_node *parent = node->parent;
    replace(tree, parent, node);
    struct tree_node *moved;
    if (parent->left == node) {
        moved = parent->left = node->right;
        node->right = parent;
    } else {
        moved = parent->right = node->left;
        node->left = parent;
    }
    parent->parent = node;
    if (moved)
        moved->parent = parent;
}

void tree_insert(struct tree *tree, struct tree_node *node, uint64_t key)
{
    *node = (struct tree_node){.key = key, .priority = next_priority(tree), .linked = true};
    struct tree_node **link = &tree->root;
    while (*link) {
        node->parent = *link;
        link = key < (*link)->key ? &(*link)->left : &(*link)->right;
    }
    *link = node;
    while (node->parent && node->parent->priority < node->priority)
        rotate_up(tree, node);
    tree->count++;
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
    while (node->left && node->right)
        rotate_up(tree, node->left->priority > node->right->priority ? node->left : node->right);
    replace(tree, node, node->left ? node->left : node->right);
    node->linked = false;
    tree->count--;
}

struct tree_node *tree_first(const struct tree *tree)
{
    struct tree_node *node = tree->root;
    while (node && node->left)
        node = node->left;
    return node;
}

struct tree_node *tree_next(const struct tree_node *node)
{
    if (node->right) {
        struct tree_node *next = node->right;
        while (next->left)
            next = next->left;
        return next;
    }
    while (node->parent && node->parent->right == node)
        node = node->parent;
    return node->parent;
}

struct tree_node *tree_find_at_most(const struct tree *tree, uint64_t key)
{
    struct tree_node *found = nullptr;
    for (struct tree_node *node = tree->root; node;) {
        if (node->key <= key) {
            found = node;
            node = node->right;
        } else {
            node = node->left;
        }
    }
    return found;
}

struct tree_node *tree_find_at_least(const struct tree *tree, uint64_t key)
{
    struct tree_node *found = nullptr;
    for (struct tree_node *node = tree->root; node;) {
        if (node->key >= key) {
            found = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return found;
}
