// SPDX-License-Identifier: MIT
//
// The PCI transport: see virtio_transport.h. Register offsets: Virtio 1.2, 4.1.4.3.

#include <sdk/mmio.h>

#include "virtio_transport.h"

enum common_register {
    COMMON_DEVICE_FEATURE_SELECT = 0,
    COMMON_DEVICE_FEATURE = 4,
    COMMON_DRIVER_FEATURE_SELECT = 8,
    COMMON_DRIVER_FEATURE = 12,
    COMMON_CONFIG_VECTOR = 16,
    COMMON_STATUS = 20,
    COMMON_GENERATION = 21,
    COMMON_QUEUE_SELECT = 22,
    COMMON_QUEUE_SIZE = 24,
    COMMON_QUEUE_VECTOR = 26,
    COMMON_QUEUE_ENABLE = 28,
    COMMON_QUEUE_NOTIFY = 30,
    COMMON_QUEUE_DESCRIPTORS = 32,
    COMMON_QUEUE_AVAILABLE = 40,
    COMMON_QUEUE_USED = 48,
};

constexpr uint16_t NO_VECTOR = 0xffff;

static volatile uint8_t *find_region(const struct device *device, const char *name, uint32_t least,
                                     uint32_t *bytes)
{
    uint64_t n[3]; // window, offset, bytes
    if (device_numbers(device, name, n, 3) != 3 || n[0] >= device->window_count)
        return nullptr;
    const struct device_window *window = &device->windows[n[0]];
    if (n[2] < least || n[1] > window->bytes || n[2] > window->bytes - n[1])
        return nullptr;
    *bytes = (uint32_t)n[2];
    return window->registers + n[1];
}

bool virtio_pci_find(struct virtio *virtio, const struct device *device, const char **why)
{
    uint64_t multiplier = 0;
    uint32_t bytes;
    (void)device_numbers(device, "virtio.multiplier", &multiplier, 1);
    virtio->notify_multiplier = (uint32_t)multiplier;
    virtio->registers = find_region(device, "virtio.common", VIRTIO_COMMON_BYTES, &bytes);
    virtio->notify = find_region(device, "virtio.notify", 2, &virtio->notify_bytes);
    virtio->isr = find_region(device, "virtio.isr", 1, &bytes);
    virtio->config = find_region(device, "virtio.device", 4, &virtio->config_bytes);
    *why = virtio->registers == nullptr                 ? "it has no common registers"
           : virtio->notify == nullptr                  ? "it has no notification registers"
           : !virtio->message && virtio->isr == nullptr ? "it has no interrupt status"
           : virtio->config == nullptr                  ? "it has no configuration"
                                                        : nullptr;
    return *why == nullptr;
}

static uint8_t pci_status(const volatile uint8_t *registers)
{
    return mmio_read8(registers + COMMON_STATUS);
}

static void pci_set_status(volatile uint8_t *registers, uint8_t status)
{
    mmio_write8(registers + COMMON_STATUS, status);
}

static uint32_t pci_offered(const struct virtio *virtio, uint32_t half)
{
    mmio_write32(virtio->registers + COMMON_DEVICE_FEATURE_SELECT, half);
    return mmio_read32(virtio->registers + COMMON_DEVICE_FEATURE);
}

static void pci_accept(const struct virtio *virtio, uint32_t half, uint32_t features)
{
    mmio_write32(virtio->registers + COMMON_DRIVER_FEATURE_SELECT, half);
    mmio_write32(virtio->registers + COMMON_DRIVER_FEATURE, features);
}

static uint16_t pci_queue_max(const struct virtio *virtio, uint16_t queue)
{
    mmio_write16(virtio->registers + COMMON_QUEUE_SELECT, queue);
    return mmio_read16(virtio->registers + COMMON_QUEUE_SIZE);
}

static volatile uint8_t *pci_queue_start(const struct virtio *virtio, uint16_t queue, uint16_t size,
                                         const struct virtio_queue_addresses *addresses,
                                         const char **why)
{
    volatile uint8_t *common = virtio->registers;
    uint16_t vector = virtio->message ? 0 : NO_VECTOR;
    mmio_write16(common + COMMON_CONFIG_VECTOR, NO_VECTOR);
    mmio_write16(common + COMMON_QUEUE_SELECT, queue);
    mmio_write16(common + COMMON_QUEUE_SIZE, size);
    mmio_write16(common + COMMON_QUEUE_VECTOR, vector);
    if (mmio_read16(common + COMMON_QUEUE_VECTOR) != vector) {
        *why = "it has no room for the queue's interrupt vector";
        return nullptr;
    }
    uint64_t at = (uint64_t)mmio_read16(common + COMMON_QUEUE_NOTIFY) * virtio->notify_multiplier;
    if (at + 2 > virtio->notify_bytes || at % 2 != 0) {
        *why = "its notification register lies outside its registers";
        return nullptr;
    }
    virtio_write_address(common + COMMON_QUEUE_DESCRIPTORS, addresses->descriptors);
    virtio_write_address(common + COMMON_QUEUE_AVAILABLE, addresses->available);
    virtio_write_address(common + COMMON_QUEUE_USED, addresses->used);
    mmio_write16(common + COMMON_QUEUE_ENABLE, 1);
    return virtio->notify + at;
}

static void pci_notify(volatile uint8_t *notify, uint16_t queue)
{
    mmio_write16(notify, queue);
}

static void pci_quiet(const struct virtio *virtio)
{
    (void)mmio_read8(virtio->isr); // reading lowers the line (4.1.4.5)
}

static uint32_t pci_generation(const struct virtio *virtio)
{
    return mmio_read8(virtio->registers + COMMON_GENERATION);
}

const struct virtio_transport virtio_pci = {
    .status = pci_status,
    .set_status = pci_set_status,
    .offered = pci_offered,
    .accept = pci_accept,
    .queue_max = pci_queue_max,
    .queue_start = pci_queue_start,
    .notify = pci_notify,
    .quiet = pci_quiet,
    .generation = pci_generation,
};
