// SPDX-License-Identifier: MIT
//
// What tests of both front ends of the hardware tree share: the tree that was read last, and what is
// found in it.
#pragma once

#include <hwtree/front.h>
#include <string.h>

#include "test.h"

static const struct hwtree *tree;

static inline uint32_t find(const char *path)
{
    uint32_t node = hwtree_find(tree, path, strlen(path));
    EXPECT_NOTE(node != HWTREE_NONE, "%s", path);
    return node;
}

static inline uint32_t all_problems(void)
{
    uint32_t sum = 0;
    for (unsigned cause = 0; cause < HWTREE_CAUSES; cause++)
        sum += tree->problems[cause];
    return sum;
}
