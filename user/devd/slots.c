// SPDX-License-Identifier: MIT
//
// See slots.h.

#include "slots.h"

#include <lib/format.h>
#include <lib/string.h>
#include <lib/types.h>
#include <sdk/memory.h>
#include <sdk/start.h>
#include <sdk/virtio.h>

constexpr uint64_t WAIT_NS = NS_PER_S;

// The page that is mapped just now: slots that share one come after each other.
static struct {
    uint64_t address; // 0: none
    vmo_t vmo;
    void *mapped;
} page;

static void close_page(void)
{
    if (page.address == 0)
        return;
    if (page.mapped != nullptr)
        (void)memory_unmap(page.mapped);
    (void)object_destroy((handle_t){page.vmo.value});
    (void)handle_close((handle_t){page.vmo.value});
    page.address = 0;
    page.mapped = nullptr;
}

// OVERLAP for a while after the same page was closed: the kernel takes it down in the background.
static status_t open_page(uint64_t address)
{
    if (page.address == address)
        return STATUS_OK;
    close_page();
    const uint64_t deadline_ns = now_ns() + WAIT_NS;
    status_t status;
    while ((status = machine_device_memory(start.machine, start.account, address, PAGE_SIZE,
                                           MEMORY_DEVICE, &page.vmo)) == STATUS_OVERLAP &&
           now_ns() < deadline_ns)
        (void)thread_sleep(now_ns() + NS_PER_MS);
    if (status != STATUS_OK)
        return status;
    page.address = address;
    return memory_map_vmo(page.vmo, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, &page.mapped);
}

uint64_t slots_registers(const struct hwtree *hardware, uint32_t node)
{
    if (!hwtree_available(hardware, node) || !hwtree_is_compatible(hardware, node, "virtio,mmio") ||
        hwtree_node(hardware, node)->ranges.count == 0)
        return 0;
    const struct hwtree_range *range = hwtree_range(hardware, node, 0);
    return range->space == HWTREE_SPACE_MEMORY ? range->base : 0;
}

// The type of the device in a slot; 0: none that can be used.
static uint32_t type_in(const struct hwtree *hardware, uint32_t node)
{
    const struct hwtree_range *range = hwtree_range(hardware, node, 0);
    const char *name = hwtree_name(hardware, node);
    const uint64_t first = align_down(range->base, PAGE_SIZE), at = range->base - first;
    if (range->bytes < VIRTIO_MMIO_BYTES || at + VIRTIO_MMIO_BYTES > PAGE_SIZE)
        return 0;
    const status_t status = open_page(first);
    if (status != STATUS_OK) {
        log_line("%s cannot be looked at: %s", name, status_name(status));
        return 0;
    }
    const volatile uint8_t *registers = (volatile uint8_t *)page.mapped + at;
    if (virtio_mmio_is_legacy(registers))
        log_line("%s is left alone: it is a legacy virtio device", name);
    return virtio_mmio_type(registers);
}

uint32_t slots_look(struct hwtree_builder *builder)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < hwtree_count(builder->tree, HWTREE_NODES); i++) {
        if (slots_registers(builder->tree, i) == 0)
            continue;
        const uint32_t type = type_in(builder->tree, i);
        if (type == 0) {
            struct hwtree_node *empty = hwtree_edit(builder, i);
            empty->status = HWTREE_DISABLED;
            empty->flags &= (uint8_t)~HWTREE_AVAILABLE;
            continue;
        }
        char compatible[24];
        format_text(compatible, sizeof(compatible), "virtio:%u", type);
        hwtree_add_compatible(builder, i, compatible, sizeof(compatible));
        used++;
    }
    close_page();
    return used;
}
