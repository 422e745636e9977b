// SPDX-License-Identifier: MIT
//
// Memory that a device reaches. See sdk/driver.h.

#include <sdk/driver.h>

#include <lib/string.h>
#include <lib/types.h>
#include <sdk/memory.h>
#include <sdk/start.h>
#include <sdk/thread.h>

// The device's addresses of all pages, as many at a time as the message buffer takes.
static status_t read_addresses(struct dma_buffer *buffer, uint64_t pages)
{
    for (uint64_t first = 0; first < pages;) {
        uint64_t count;
        status_t status = pin_addresses(buffer->pin, first, &count);
        if (status != STATUS_OK)
            return status;
        if (count == 0 || count > pages - first)
            return STATUS_INVALID;
        memcpy(&buffer->addresses[first], message_buffer()->data, count * sizeof(uint64_t));
        first += count;
    }
    return STATUS_OK;
}

status_t dma_pin(struct dma_buffer *buffer, const struct device *device, vmo_t vmo, uint64_t offset,
                 uint64_t bytes, enum abi_direction direction)
{
    *buffer = (struct dma_buffer){.bytes = bytes};
    uint64_t pages = align_up(bytes, PAGE_SIZE) / PAGE_SIZE;
    if (pages > DMA_MAX_PAGES)
        return STATUS_TOO_BIG;
    status_t status = pin_create(device->dma, start.account, vmo, offset, pages * PAGE_SIZE,
                                 direction, &buffer->pin);
    if (status != STATUS_OK)
        return status;
    status = read_addresses(buffer, pages);
    if (status != STATUS_OK)
        dma_release(buffer);
    return status;
}

status_t dma_create(struct dma_buffer *buffer, const struct device *device, uint64_t bytes,
                    enum abi_direction direction)
{
    vmo_t vmo;
    void *memory;
    status_t status = memory_create(bytes, 0, &vmo, &memory);
    if (status != STATUS_OK)
        return status;
    status = dma_pin(buffer, device, vmo, 0, bytes, direction);
    if (status != STATUS_OK) {
        (void)memory_unmap(memory);
        (void)handle_close((handle_t){vmo.value});
        return status;
    }
    buffer->memory = memory;
    buffer->vmo = vmo;
    return STATUS_OK;
}

void dma_sync(const struct dma_buffer *buffer, uint64_t offset, uint64_t bytes,
              enum abi_sync_side side)
{
    while (bytes > 0) {
        const uint64_t part = bytes < ABI_PIN_SYNC_BYTES ? bytes : ABI_PIN_SYNC_BYTES;
        const status_t status = pin_sync(buffer->pin, offset, part, side);
        if (status != STATUS_OK) // the pin is ours and the range is in it
            fail("pin_sync: %s", status_name(status));
        offset += part;
        bytes -= part;
    }
}

void dma_release(struct dma_buffer *buffer)
{
    if (buffer->pin.value != 0) {
        (void)pin_release(buffer->pin);
        (void)handle_close((handle_t){buffer->pin.value});
    }
    if (buffer->memory != nullptr)
        (void)memory_unmap(buffer->memory);
    if (buffer->vmo.value != 0)
        (void)handle_close((handle_t){buffer->vmo.value});
    *buffer = (struct dma_buffer){};
}
