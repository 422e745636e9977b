// SPDX-License-Identifier: MIT
//
// Virtio devices whose registers are in memory (Virtio 1.2, 4.2). The firmware names slots, as
// nodes that are compatible with "virtio,mmio"; whether one holds a device, and of which type, its
// registers say. Slots are smaller than a page, so that what gets one of them reaches the others of
// its page: the kernel hands out each page once, and a second device there is left without.
#pragma once

#include <hwtree/builder.h>

// Adds the slots that a kernel command line names, as virtual machine monitors do it for Linux:
//
//   virtio_mmio.device=SIZE@ADDRESS:INTERRUPT[:ID]
//
// SIZE may end in K. The interrupt is a line of the interrupt controller's numbering, a global one
// where there are several. What makes no sense is left out; `left_out` counts those.
void slots_from_command_line(struct hwtree_builder *builder, const char *line, uint32_t *left_out);

// Looks into all slots: those that hold a device become compatible with "virtio:TYPE", TYPE in
// decimal, and the empty ones are disabled. Answers how many hold one.
uint32_t slots_look(struct hwtree_builder *builder);

// Where the registers of a slot are, if the node is one that holds a device; else 0.
uint64_t slots_registers(const struct hwtree *hardware, uint32_t node);
