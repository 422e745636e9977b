// SPDX-License-Identifier: MIT
//
// See plan.h.

#include "plan.h"

#include <lib/types.h>

bool pci_is_virtio(const struct pci_device *device)
{
    return device->function.virtio[PCI_VIRTIO_COMMON].bytes != 0;
}

bool plan_has_table(const struct pci_device *device)
{
    const struct pci_msix *msix = &device->function.msix;
    return msix->capability != 0 && device->bar_address[msix->table_bar] != 0;
}

bool plan_message(const struct pci_device *device, uint16_t vector, struct plan_message *message)
{
    const struct pci_msix *msix = &device->function.msix;
    if (plan_has_table(device)) {
        *message = (struct plan_message){device->bar_address[msix->table_bar] + msix->table_offset,
                                         vector};
        return vector < msix->vectors;
    }
    // Without configuration space in memory the kernel cannot write the capability.
    if (device->function.msi == 0 || device->host->ports != nullptr)
        return false;
    *message = (struct plan_message){device_space(device) + device->function.msi, ABI_VECTOR_MSI};
    return true;
}

// The pages of a BAR that hold the MSI-X table: [first, end), empty if it is elsewhere.
static void vector_pages(const struct pci_device *device, uint8_t bar, uint64_t *first,
                         uint64_t *end)
{
    const struct pci_msix *msix = &device->function.msix;
    *first = *end = 0;
    if (msix->capability == 0 || msix->table_bar != bar)
        return;
    *first = align_down(msix->table_offset, PAGE_SIZE);
    *end = align_up(msix->table_offset + 16ull * msix->vectors, PAGE_SIZE);
}

// Adds pages [start, end) of a BAR, joined with what touches them.
static bool add_pages(struct plan *plan, const struct pci_device *device, uint8_t bar,
                      uint64_t start, uint64_t end, const char **why)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        struct plan_window *w = &plan->windows[i];
        if (w->bar != bar || start > w->offset + w->bytes || w->offset > end)
            continue;
        // Joined, it may touch others: take it out and add the sum.
        start = start < w->offset ? start : w->offset;
        end = end > w->offset + w->bytes ? end : w->offset + w->bytes;
        *w = plan->windows[--plan->count];
        return add_pages(plan, device, bar, start, end, why);
    }
    if (plan->count == PLAN_WINDOWS) {
        *why = "its registers are in too many pieces";
        return false;
    }
    plan->windows[plan->count++] = (struct plan_window){.address = device->bar_address[bar] + start,
                                                        .bytes = end - start,
                                                        .offset = start,
                                                        .bar = bar};
    return true;
}

static bool usable_bar(const struct pci_device *device, uint8_t bar, const char **why)
{
    uint64_t address = device->bar_address[bar];
    if (address == 0)
        *why = "its registers have no address";
    else if (address % PAGE_SIZE != 0)
        *why = "its registers share a page with something else";
    return *why == nullptr;
}

static bool plan_virtio(struct plan *plan, const struct pci_device *device, const char **why)
{
    for (unsigned kind = PCI_VIRTIO_COMMON; kind < PCI_VIRTIO_KINDS; kind++) {
        const struct pci_virtio_region *region = &device->function.virtio[kind];
        uint64_t vectors, vectors_end;
        if (region->bytes == 0)
            continue;
        if (!usable_bar(device, region->bar, why))
            return false;
        uint64_t start = align_down(region->offset, PAGE_SIZE);
        uint64_t end = align_up((uint64_t)region->offset + region->bytes, PAGE_SIZE);
        vector_pages(device, region->bar, &vectors, &vectors_end);
        if (start < vectors_end && vectors < end) {
            *why = "its registers share a page with the MSI-X table";
            return false;
        }
        if (!add_pages(plan, device, region->bar, start, end, why))
            return false;
    }
    return true;
}

static bool plan_bars(struct plan *plan, const struct pci_device *device, const char **why)
{
    for (uint8_t bar = 0; bar < PCI_BARS; bar++) {
        const struct pci_bar *b = &device->function.bars[bar];
        uint64_t vectors, vectors_end, end = align_up(b->bytes, PAGE_SIZE);
        if (b->kind != PCI_BAR_MEMORY)
            continue;
        if (!usable_bar(device, bar, why))
            return false;
        vector_pages(device, bar, &vectors, &vectors_end);
        if (vectors_end == 0) {
            if (!add_pages(plan, device, bar, 0, end, why))
                return false;
            continue;
        }
        if (vectors > 0 && !add_pages(plan, device, bar, 0, vectors, why))
            return false;
        if (vectors_end < end && !add_pages(plan, device, bar, vectors_end, end, why))
            return false;
    }
    return true;
}

bool plan_make(struct plan *plan, const struct pci_device *device, const char **why)
{
    *plan = (struct plan){};
    *why = nullptr;
    return pci_is_virtio(device) ? plan_virtio(plan, device, why) : plan_bars(plan, device, why);
}

bool plan_find(const struct plan *plan, const struct pci_virtio_region *region, uint32_t *window,
               uint64_t *offset)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct plan_window *w = &plan->windows[i];
        if (w->bar == region->bar && region->offset >= w->offset &&
            (uint64_t)region->offset + region->bytes <= w->offset + w->bytes) {
            *window = i;
            *offset = region->offset - w->offset;
            return true;
        }
    }
    return false;
}
