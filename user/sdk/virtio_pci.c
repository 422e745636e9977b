// SPDX-License-Identifier: MIT
//
// See sdk/virtio_pci.h. Register offsets: Virtio 1.2, 4.1.4.3.

#include <sdk/virtio_pci.h>

#include <sdk/mmio.h>
#include <sdk/start.h>

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

enum virtio_status : uint8_t {
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64,
    VIRTIO_FAILED = 128,
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

bool virtio_pci_open(struct virtio_pci *virtio, const struct device *device, const char **why)
{
    uint64_t message = 0, multiplier = 0;
    uint32_t bytes;
    *virtio = (struct virtio_pci){};
    (void)device_numbers(device, "message", &message, 1);
    (void)device_numbers(device, "virtio.multiplier", &multiplier, 1);
    virtio->message = message != 0;
    virtio->notify_multiplier = (uint32_t)multiplier;
    virtio->common = find_region(device, "virtio.common", VIRTIO_COMMON_BYTES, &bytes);
    virtio->notify = find_region(device, "virtio.notify", 2, &virtio->notify_bytes);
    virtio->isr = find_region(device, "virtio.isr", 1, &bytes);
    virtio->config = find_region(device, "virtio.device", 4, &virtio->config_bytes);
    *why = virtio->common == nullptr                    ? "it has no common registers"
           : virtio->notify == nullptr                  ? "it has no notification registers"
           : !virtio->message && virtio->isr == nullptr ? "it has no interrupt status"
           : virtio->config == nullptr                  ? "it has no configuration"
                                                        : nullptr;
    return *why == nullptr;
}

static uint8_t status_of(const struct virtio_pci *virtio)
{
    return mmio_read8(virtio->common + COMMON_STATUS);
}

static void status_add(const struct virtio_pci *virtio, uint8_t bits)
{
    mmio_write8(virtio->common + COMMON_STATUS, status_of(virtio) | bits);
}

void virtio_common_reset(volatile uint8_t *common)
{
    mmio_write8(common + COMMON_STATUS, 0);
}

uint8_t virtio_common_status(const volatile uint8_t *common)
{
    return mmio_read8(common + COMMON_STATUS);
}

status_t virtio_pci_reset(const struct virtio_pci *virtio, uint64_t deadline_ns)
{
    virtio_common_reset(virtio->common);
    while (status_of(virtio) != 0) {
        uint64_t now = now_ns();
        if (now >= deadline_ns)
            return STATUS_TIMED_OUT;
        (void)thread_sleep(now + NS_PER_MS);
    }
    return STATUS_OK;
}

static uint64_t offered_features(const struct virtio_pci *virtio)
{
    mmio_write32(virtio->common + COMMON_DEVICE_FEATURE_SELECT, 0);
    uint64_t low = mmio_read32(virtio->common + COMMON_DEVICE_FEATURE);
    mmio_write32(virtio->common + COMMON_DEVICE_FEATURE_SELECT, 1);
    uint64_t high = mmio_read32(virtio->common + COMMON_DEVICE_FEATURE);
    return high << 32 | low;
}

bool virtio_pci_negotiate(const struct virtio_pci *virtio, uint64_t wanted, uint64_t *agreed,
                          const char **why)
{
    status_add(virtio, VIRTIO_ACKNOWLEDGE);
    status_add(virtio, VIRTIO_DRIVER);
    *agreed = offered_features(virtio) & wanted;
    if ((*agreed & VIRTIO_F_VERSION_1) == 0) {
        *why = "it is a legacy device, without VERSION_1";
        virtio_pci_give_up(virtio);
        return false;
    }
    mmio_write32(virtio->common + COMMON_DRIVER_FEATURE_SELECT, 0);
    mmio_write32(virtio->common + COMMON_DRIVER_FEATURE, (uint32_t)*agreed);
    mmio_write32(virtio->common + COMMON_DRIVER_FEATURE_SELECT, 1);
    mmio_write32(virtio->common + COMMON_DRIVER_FEATURE, (uint32_t)(*agreed >> 32));
    status_add(virtio, VIRTIO_FEATURES_OK);
    if ((status_of(virtio) & VIRTIO_FEATURES_OK) == 0) {
        *why = "it does not accept the features that it offered";
        virtio_pci_give_up(virtio);
        return false;
    }
    mmio_write16(virtio->common + COMMON_CONFIG_VECTOR, NO_VECTOR);
    return true;
}

uint16_t virtio_pci_queue_max(const struct virtio_pci *virtio, uint16_t queue)
{
    mmio_write16(virtio->common + COMMON_QUEUE_SELECT, queue);
    return mmio_read16(virtio->common + COMMON_QUEUE_SIZE);
}

static void write_address(volatile uint8_t *address, uint64_t value)
{
    mmio_write32(address, (uint32_t)value);
    mmio_write32(address + 4, (uint32_t)(value >> 32));
}

volatile uint8_t *virtio_pci_queue_start(const struct virtio_pci *virtio, uint16_t queue,
                                         uint16_t size,
                                         const struct virtio_queue_addresses *addresses,
                                         const char **why)
{
    volatile uint8_t *common = virtio->common;
    uint16_t vector = virtio->message ? 0 : NO_VECTOR;
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
    write_address(common + COMMON_QUEUE_DESCRIPTORS, addresses->descriptors);
    write_address(common + COMMON_QUEUE_AVAILABLE, addresses->available);
    write_address(common + COMMON_QUEUE_USED, addresses->used);
    mmio_write16(common + COMMON_QUEUE_ENABLE, 1);
    return virtio->notify + at;
}

void virtio_pci_run(const struct virtio_pci *virtio)
{
    status_add(virtio, VIRTIO_DRIVER_OK);
}

void virtio_pci_give_up(const struct virtio_pci *virtio)
{
    status_add(virtio, VIRTIO_FAILED);
}

bool virtio_pci_needs_reset(const struct virtio_pci *virtio)
{
    return (status_of(virtio) & VIRTIO_NEEDS_RESET) != 0;
}

uint8_t virtio_pci_cause(const struct virtio_pci *virtio)
{
    return mmio_read8(virtio->isr);
}

bool virtio_pci_config(const struct virtio_pci *virtio, uint32_t offset, uint32_t bytes,
                       uint64_t *value)
{
    if (offset > virtio->config_bytes || bytes > virtio->config_bytes - offset)
        return false;
    for (unsigned tries = 0; tries < 16; tries++) {
        uint8_t before = mmio_read8(virtio->common + COMMON_GENERATION);
        uint64_t v = mmio_read32(virtio->config + offset);
        if (bytes == 8)
            v |= (uint64_t)mmio_read32(virtio->config + offset + 4) << 32;
        if (mmio_read8(virtio->common + COMMON_GENERATION) == before) {
            *value = v;
            return true;
        }
    }
    return false;
}
