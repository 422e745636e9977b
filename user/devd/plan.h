// SPDX-License-Identifier: MIT
//
// Which pieces of a PCI function's registers its driver gets: page-aligned windows that cover
// what it needs and hold no page of the MSI-X table, which is the kernel's. Pure.
#pragma once

#include <stdint.h>

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

// The physical address of the MSI-X table; 0: it cannot be reached.
uint64_t plan_msix_table(const struct pci_device *device);

bool pci_is_virtio(const struct pci_device *device);
