// SPDX-License-Identifier: MIT
//
// What a PC has without a table that says so; see isa_facts.h.
#pragma once

#include "tree.h"

// The first serial port, by the rule of the ISA bus: where no table says otherwise.
void isa_add_serial(struct tree *tree);

// A PCI host that is configured by I/O ports, if one answers there: to be tried where the tables
// name no other. Keeps the ports. false: there is none.
[[nodiscard]] bool isa_find_pci(struct tree *tree);
