// SPDX-License-Identifier: MIT
//
// The transport by registers in memory: see virtio_transport.h. Offsets: Virtio 1.2, 4.2.2. Each
// register is read and written as one 32-bit word.

#include <sdk/mmio.h>

#include "virtio_transport.h"

enum mmio_register {
    MMIO_MAGIC = 0x000,
    MMIO_VERSION = 0x004,
    MMIO_DEVICE_TYPE = 0x008,
    MMIO_DEVICE_FEATURE = 0x010,
    MMIO_DEVICE_FEATURE_SELECT = 0x014,
    MMIO_DRIVER_FEATURE = 0x020,
    MMIO_DRIVER_FEATURE_SELECT = 0x024,
    MMIO_QUEUE_SELECT = 0x030,
    MMIO_QUEUE_SIZE_MAX = 0x034,
    MMIO_QUEUE_SIZE = 0x038,
    MMIO_QUEUE_READY = 0x044,
    MMIO_QUEUE_NOTIFY = 0x050,
    MMIO_INTERRUPT_STATUS = 0x060,
    MMIO_INTERRUPT_ACKNOWLEDGE = 0x064,
    MMIO_STATUS = 0x070,
    MMIO_QUEUE_DESCRIPTORS = 0x080,
    MMIO_QUEUE_AVAILABLE = 0x090,
    MMIO_QUEUE_USED = 0x0a0,
    MMIO_GENERATION = 0x0fc,
};

constexpr uint32_t MAGIC = 0x7472'6976; // "virt"
constexpr uint32_t VERSION_LEGACY = 1;
constexpr uint32_t VERSION_MODERN = 2;

bool virtio_mmio_is_legacy(const volatile uint8_t *registers)
{
    return mmio_read32(registers + MMIO_MAGIC) == MAGIC &&
           mmio_read32(registers + MMIO_VERSION) == VERSION_LEGACY &&
           mmio_read32(registers + MMIO_DEVICE_TYPE) != 0;
}

uint32_t virtio_mmio_type(const volatile uint8_t *registers)
{
    if (mmio_read32(registers + MMIO_MAGIC) != MAGIC ||
        mmio_read32(registers + MMIO_VERSION) != VERSION_MODERN)
        return 0;
    return mmio_read32(registers + MMIO_DEVICE_TYPE);
}

bool virtio_mmio_find(struct virtio *virtio, const struct device *device, const char **why)
{
    uint64_t window = 0;
    (void)device_numbers(device, "virtio.mmio", &window, 1);
    if (window >= device->window_count ||
        device->windows[window].bytes < VIRTIO_MMIO_BYTES + sizeof(uint32_t)) {
        *why = "it has no registers";
        return false;
    }
    virtio->registers = device->windows[window].registers;
    virtio->config = virtio->registers + VIRTIO_MMIO_BYTES;
    virtio->config_bytes = (uint32_t)device->windows[window].bytes - VIRTIO_MMIO_BYTES;
    *why = "it is a legacy device, or none";
    return virtio_mmio_type(virtio->registers) != 0;
}

static uint8_t memory_status(const volatile uint8_t *registers)
{
    return (uint8_t)mmio_read32(registers + MMIO_STATUS);
}

static void memory_set_status(volatile uint8_t *registers, uint8_t status)
{
    mmio_write32(registers + MMIO_STATUS, status);
}

static uint32_t memory_offered(const struct virtio *virtio, uint32_t half)
{
    mmio_write32(virtio->registers + MMIO_DEVICE_FEATURE_SELECT, half);
    return mmio_read32(virtio->registers + MMIO_DEVICE_FEATURE);
}

static void memory_accept(const struct virtio *virtio, uint32_t half, uint32_t features)
{
    mmio_write32(virtio->registers + MMIO_DRIVER_FEATURE_SELECT, half);
    mmio_write32(virtio->registers + MMIO_DRIVER_FEATURE, features);
}

static uint16_t memory_queue_max(const struct virtio *virtio, uint16_t queue)
{
    mmio_write32(virtio->registers + MMIO_QUEUE_SELECT, queue);
    uint32_t most = mmio_read32(virtio->registers + MMIO_QUEUE_SIZE_MAX);
    return most < UINT16_MAX ? (uint16_t)most : UINT16_MAX;
}

static volatile uint8_t *memory_queue_start(const struct virtio *virtio, uint16_t queue,
                                            uint16_t size,
                                            const struct virtio_queue_addresses *addresses,
                                            const char **why)
{
    volatile uint8_t *registers = virtio->registers;
    mmio_write32(registers + MMIO_QUEUE_SELECT, queue);
    if (mmio_read32(registers + MMIO_QUEUE_READY) != 0) {
        *why = "its queue is in use after a reset";
        return nullptr;
    }
    mmio_write32(registers + MMIO_QUEUE_SIZE, size);
    virtio_write_address(registers + MMIO_QUEUE_DESCRIPTORS, addresses->descriptors);
    virtio_write_address(registers + MMIO_QUEUE_AVAILABLE, addresses->available);
    virtio_write_address(registers + MMIO_QUEUE_USED, addresses->used);
    mmio_write32(registers + MMIO_QUEUE_READY, 1);
    return registers + MMIO_QUEUE_NOTIFY;
}

static void memory_notify(volatile uint8_t *notify, uint16_t queue)
{
    mmio_write32(notify, queue);
}

static void memory_quiet(const struct virtio *virtio)
{
    const uint32_t causes = mmio_read32(virtio->registers + MMIO_INTERRUPT_STATUS);
    mmio_write32(virtio->registers + MMIO_INTERRUPT_ACKNOWLEDGE, causes);
}

static uint32_t memory_generation(const struct virtio *virtio)
{
    return mmio_read32(virtio->registers + MMIO_GENERATION);
}

const struct virtio_transport virtio_mmio = {
    .status = memory_status,
    .set_status = memory_set_status,
    .offered = memory_offered,
    .accept = memory_accept,
    .queue_max = memory_queue_max,
    .queue_start = memory_queue_start,
    .notify = memory_notify,
    .quiet = memory_quiet,
    .generation = memory_generation,
};
