// SPDX-License-Identifier: MIT
//
// Devices that come and go while the machine runs: the slots of PCI Express ports (pcie_slot.h), the
// interrupts of those ports, which devd takes itself, and what follows from their events, for the
// hardware tree and for the devices (device.h).
//
// An event of the tree is another tree, which follows it: whoever has the one before may go on
// reading it.
#pragma once

#include <sdk/loop.h>

#include "tree.h"

// Takes the slots of all ports over. Before devices_start(), after the tree is finished.
// `follow` makes the tree that follows (tree_follow) and keeps it; false: there is no room.
void plugs_start(struct tree *tree, struct loop *loop,
                 bool (*follow)(uint8_t leaves, uint8_t arrives, uint32_t *found));

// Goes on with all slots. Answers when it has to be called again, as devices_poll().
uint64_t plugs_poll(void);

uint32_t plugs_count(void);
