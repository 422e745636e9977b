// SPDX-License-Identifier: MIT
//
// Makes a hardware tree in memory of the caller's. The memory is divided among the sections at the
// start; what does not fit is left out and counted (HWTREE_NO_ROOM), never written elsewhere. The
// unfinished tree can be read with the functions of hwtree.h; those that go to children and siblings
// know the nodes that were there at the last hwtree_link(). hwtree_finish() links once more, and
// moves the sections together.
//
// Texts and names come from firmware: they are copied, and a name that is none is mended and
// counted.
#pragma once

#include <hwtree/hwtree.h>

constexpr size_t HWTREE_BYTES_MIN = 16 * 1024;

struct hwtree_builder {
    struct hwtree *tree;
    uint32_t capacity[HWTREE_SECTIONS]; // in elements
    uint64_t work;                      // steps that the front ends may still do
};

// `memory` is aligned to 8. false: it is less than HWTREE_BYTES_MIN or more than 2 GiB.
[[nodiscard]] bool hwtree_begin(struct hwtree_builder *builder, void *memory, size_t bytes,
                                enum hwtree_origin origin);

// Makes the block as short as it can be; its length. Nothing can be added any more.
size_t hwtree_finish(struct hwtree_builder *builder);

// A node below `parent` (HWTREE_NONE: the root, which is the first). Its number, or HWTREE_NONE:
// there is no room.
uint32_t hwtree_add_node(struct hwtree_builder *builder, uint32_t parent, const char *name,
                         size_t length);
[[gnu::format(printf, 3, 4)]] uint32_t hwtree_add_named(struct hwtree_builder *builder,
                                                        uint32_t parent, const char *format, ...);
void hwtree_link(struct hwtree_builder *builder);
struct hwtree_node *hwtree_edit(struct hwtree_builder *builder, uint32_t node);

// A text; 0, the empty one, if there is no room.
uint32_t hwtree_add_text(struct hwtree_builder *builder, const char *text, size_t length);
// One more name behind those that the node is compatible with.
void hwtree_add_compatible(struct hwtree_builder *builder, uint32_t node, const char *text,
                           size_t length);

// One more element of a node's list. What makes no sense is counted as a problem of the node, with
// `property`.
void hwtree_add_range(struct hwtree_builder *builder, uint32_t node,
                      const struct hwtree_range *range, const char *property);
void hwtree_add_interrupt(struct hwtree_builder *builder, uint32_t node,
                          const struct hwtree_interrupt *interrupt);
void hwtree_add_dma(struct hwtree_builder *builder, uint32_t node, const struct hwtree_dma *dma);
void hwtree_add_id(struct hwtree_builder *builder, uint32_t node, const struct hwtree_id *id);
void hwtree_add_window(struct hwtree_builder *builder, uint32_t host,
                       const struct hwtree_window *window);
void hwtree_add_route(struct hwtree_builder *builder, uint32_t host,
                      const struct hwtree_route *route);
void hwtree_add_alias(struct hwtree_builder *builder, const char *name, uint32_t node);
void hwtree_add_distance(struct hwtree_builder *builder, uint32_t from, uint32_t to,
                         uint32_t distance);

// Counts something that is not in the tree, and where it was to be found.
void hwtree_problem(struct hwtree_builder *builder, uint32_t node, enum hwtree_cause cause,
                    const char *property, uint32_t value);

// Takes `steps` from what may still be done. false: it is used up.
bool hwtree_work(struct hwtree_builder *builder, uint64_t steps);

// Begins with what a finished tree holds, in a builder that is empty, so that a tree can follow one
// that others read. Without the nodes of which `keep` says no, and what is below them. `numbers`
// gets the number of each node of `from` in the copy, HWTREE_NONE for those left out. false: not
// all of it fits.
[[nodiscard]] bool hwtree_copy(struct hwtree_builder *builder, const struct hwtree *from,
                               bool (*keep)(const struct hwtree *from, uint32_t node,
                                            void *context),
                               void *context, uint32_t *numbers);

// What both front ends look at once everything is there: memory that overlaps, CPUs with the same
// id, no CPU at all.
void hwtree_cross_check(struct hwtree_builder *builder);
