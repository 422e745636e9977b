// SPDX-License-Identifier: MIT
//
// The sections of a block, for those who make and check it.
#pragma once

#include <hwtree/builder.h>
#include <lib/string.h>

static const uint8_t hwtree_element_bytes[HWTREE_SECTIONS] = {
    [HWTREE_NODES] = sizeof(struct hwtree_node),
    [HWTREE_RANGES] = sizeof(struct hwtree_range),
    [HWTREE_INTERRUPTS] = sizeof(struct hwtree_interrupt),
    [HWTREE_DMA] = sizeof(struct hwtree_dma),
    [HWTREE_IDS] = sizeof(struct hwtree_id),
    [HWTREE_WINDOWS] = sizeof(struct hwtree_window),
    [HWTREE_ROUTES] = sizeof(struct hwtree_route),
    [HWTREE_ALIASES] = sizeof(struct hwtree_alias),
    [HWTREE_DISTANCES] = sizeof(struct hwtree_distance),
    [HWTREE_PROBLEMS] = sizeof(struct hwtree_problem),
    [HWTREE_TEXT] = 1,
};

// What names of nodes consist of (T5): Devicetree Specification 0.4, 2.2.1.
static inline bool hwtree_is_name_character(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != 0 && strchr(",._+-@", c) != nullptr);
}

// Takes over the whole section of DMA ranges of another tree, into one that has none, so that lists
// have the same places in both. false: there is no room.
[[nodiscard]] bool hwtree_add_all_dma(struct hwtree_builder *builder, const struct hwtree *from);
