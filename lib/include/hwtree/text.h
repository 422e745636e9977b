// SPDX-License-Identifier: MIT
//
// Hardware trees as text, for people: the whole as device-tree source, and the difference of two.
#pragma once

#include <hwtree/hwtree.h>

// Where text goes: `put` is called with pieces of it.
struct hwtree_output {
    void (*put)(struct hwtree_output *output, const char *text, size_t length);
};

// The tree as device-tree source (version 1) that a compiler takes. All addresses are absolute:
// every bus has an empty `ranges`. An interrupt is three cells: as a GIC's binding has them, or the
// line, high half first, and the flags of the usual bindings (1 rising, 2 falling, 4 high, 8 low).
// What has no binding is in properties that begin with "skerry,".
void hwtree_print(const struct hwtree *tree, struct hwtree_output *output);

// What could not be resolved, a line each: path, property, what is wrong.
void hwtree_print_problems(const struct hwtree *tree, struct hwtree_output *output);

// One line for each kind of thing that a kernel looks for, and how much was resolved.
void hwtree_print_summary(const struct hwtree *tree, struct hwtree_output *output);

// The differences between two trees that were checked, a line each:
//   - PATH                    a node that only the first has; + one that only the second has
//   - PATH: PROPERTY = ...;   a property that only the first has of a node that both have; + likewise
//   ~ PATH: PROPERTY = ...; | ...;   what the first says of it, and what the second does
// Nodes are the same if those above them are and they have one name, or else are of one kind and have
// registers that begin at one place: names are free. The path is that of the first tree. What is the same
// of neighbours with numbered names is one line: "PATH (and 31 like it)".
// Their number, of lines. `memory` holds 4 bytes for each node of both, and the properties of a node four
// times; a node that does not fit is compared as far as it does. UINT32_MAX: there is less.
uint32_t hwtree_print_differences(const struct hwtree *a, const struct hwtree *b, char *memory,
                                  size_t bytes, struct hwtree_output *output);
