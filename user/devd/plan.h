// SPDX-License-Identifier: MIT
//
// Which pieces of a PCI function's registers its driver gets: page-aligned windows that cover
// what it needs and hold no page of the MSI-X table, which is the kernel's. Pure.
#pragma once

#include <stdint.h>

#include <abi/layout.h>

#include "tree.h"

constexpr unsigned PLAN_WINDOWS = 4;

struct plan_window {
    uint64_t address; // physical
    uint64_t bytes;
    uint64_t offset; // of the window in its BAR
    uint8_t bar;
};

struct plan {
    struct plan_window windows[PLAN_WINDOWS];
    uint32_t count;
};

// Makes the plan: for a virtio function the pages of its four structures, for others all memory
// BARs. false, with the reason: something that is needed has no address, shares a page with the
// MSI-X table, or there are too many pieces.
[[nodiscard]] bool plan_make(struct plan *plan, const struct pci_device *device, const char **why);

// Where a virtio structure is: its window and the offset in it. false: it is in none.
[[nodiscard]] bool plan_find(const struct plan *plan, const struct pci_virtio_region *region,
                             uint32_t *window, uint64_t *offset);

// Whether its messages stand in an MSI-X table that can be reached.
bool plan_has_table(const struct pci_device *device);

// How a function sends its message `vector`, as machine_message_interrupt takes it: by its MSI-X table,
// or else by its MSI capability, whose one message is all of them. false: not at all.
struct plan_message {
    uint64_t table, vector;
};
[[nodiscard]] bool plan_message(const struct pci_device *device, uint16_t vector,
                                struct plan_message *message);

bool pci_is_virtio(const struct pci_device *device);
