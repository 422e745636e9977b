// SPDX-License-Identifier: MIT
//
// What a PC has without a table that says so; see isa_facts.h.
#pragma once

#include "tree.h"

// A PCI host that is configured by I/O ports, if one answers there: to be tried where the tables
// name no other. Keeps the ports. false: there is none.
[[nodiscard]] bool isa_find_pci(struct tree *tree);
