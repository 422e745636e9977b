// SPDX-License-Identifier: MIT
//
// A modern virtio device on PCI, as its driver sees it: status, features, queues, configuration.
// devd found the registers and says where they are in the properties
//
//   virtio.common=WINDOW:OFFSET:BYTES   virtio.notify=...   virtio.isr=...   virtio.device=...
//   virtio.multiplier=N                 message=1 (a message interrupt; else a line)
//
// Source: Virtio 1.2, 3.1 "Device Initialization", 4.1 "Virtio Over PCI Bus".
#pragma once

#include <stdint.h>

#include <sdk/driver.h>
#include <sdk/mmio.h>

constexpr uint64_t VIRTIO_F_VERSION_1 = 1ull << 32;
constexpr uint64_t VIRTIO_F_ACCESS_PLATFORM = 1ull << 33;

constexpr uint32_t VIRTIO_COMMON_BYTES = 56;

struct virtio_pci {
    volatile uint8_t *common, *notify, *isr, *config;
    uint32_t notify_bytes, config_bytes, notify_multiplier;
    bool message; // vector 0 of MSI-X, rather than a line whose cause is read from `isr`
};

// Finds the registers. false: something is missing; `why` says what.
[[nodiscard]] bool virtio_pci_open(struct virtio_pci *virtio, const struct device *device,
                                   const char **why);

// Asks a device to reset itself: it is done when the status reads 0. For devd too, which has only
// the common registers.
void virtio_common_reset(volatile uint8_t *common);
uint8_t virtio_common_status(const volatile uint8_t *common);

// Resets the device and waits for it until the deadline. Errors: TIMED_OUT.
[[nodiscard]] status_t virtio_pci_reset(const struct virtio_pci *virtio, uint64_t deadline_ns);

// Takes of the offered features those in `wanted`. false: VERSION_1 is not offered, or the
// device does not accept the choice; it is told that we gave up.
[[nodiscard]] bool virtio_pci_negotiate(const struct virtio_pci *virtio, uint64_t wanted,
                                        uint64_t *agreed, const char **why);

// The greatest size of a queue; 0: there is no such queue.
uint16_t virtio_pci_queue_max(const struct virtio_pci *virtio, uint16_t queue);

struct virtio_queue_addresses {
    uint64_t descriptors, available, used;
};

// Tells the device where a queue is, and enables it. Returns where to notify it, or null with
// `why`.
volatile uint8_t *virtio_pci_queue_start(const struct virtio_pci *virtio, uint16_t queue,
                                         uint16_t size,
                                         const struct virtio_queue_addresses *addresses,
                                         const char **why);

// Tells the device that a queue has something new; `notify` is from virtio_pci_queue_start.
static inline void virtio_notify(volatile uint8_t *notify, uint16_t queue)
{
    mmio_write16(notify, queue);
}

// The driver is ready: from now on the device looks at its queues.
void virtio_pci_run(const struct virtio_pci *virtio);

// Tells the device that the driver will not use it.
void virtio_pci_give_up(const struct virtio_pci *virtio);

// Whether the device says that it needs a reset.
bool virtio_pci_needs_reset(const struct virtio_pci *virtio);

// What raised the line; reading it lowers the line. Only for line interrupts.
uint8_t virtio_pci_cause(const struct virtio_pci *virtio);

// Reads `bytes` (4 or 8) of the device's configuration, the same ones twice. false: it is not
// that long, or does not stop changing.
[[nodiscard]] bool virtio_pci_config(const struct virtio_pci *virtio, uint32_t offset,
                                     uint32_t bytes, uint64_t *value);
