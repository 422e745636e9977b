// SPDX-License-Identifier: MIT
//
// What the two ways to a virtio device differ in: virtio_pci.c and virtio_mmio.c. The rest is in
// virtio.c.
#pragma once

#include <sdk/mmio.h>
#include <sdk/virtio.h>

struct virtio_transport {
    uint8_t (*status)(const volatile uint8_t *registers);
    void (*set_status)(volatile uint8_t *registers, uint8_t status);
    // Features 32 at a time: `half` 0 or 1.
    uint32_t (*offered)(const struct virtio *virtio, uint32_t half);
    void (*accept)(const struct virtio *virtio, uint32_t half, uint32_t features);
    uint16_t (*queue_max)(const struct virtio *virtio, uint16_t queue);
    volatile uint8_t *(*queue_start)(const struct virtio *virtio, uint16_t queue, uint16_t size,
                                     const struct virtio_queue_addresses *addresses,
                                     const char **why);
    void (*notify)(volatile uint8_t *notify, uint16_t queue);
    void (*quiet)(const struct virtio *virtio);
    uint32_t (*generation)(const struct virtio *virtio); // of the configuration
};

// An address in two registers: neither transport has to take 64 bits at once.
static inline void virtio_write_address(volatile uint8_t *registers, uint64_t address)
{
    mmio_write32(registers, (uint32_t)address);
    mmio_write32(registers + 4, (uint32_t)(address >> 32));
}

extern const struct virtio_transport virtio_pci, virtio_mmio;

// Each fills in where its registers are. false: something is missing.
[[nodiscard]] bool virtio_pci_find(struct virtio *virtio, const struct device *device,
                                   const char **why);
[[nodiscard]] bool virtio_mmio_find(struct virtio *virtio, const struct device *device,
                                    const char **why);
