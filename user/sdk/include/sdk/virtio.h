// SPDX-License-Identifier: MIT
//
// A modern virtio device as its driver sees it: status, features, queues, configuration, whichever
// way its registers are reached. devd found them and says where they are in the properties
//
//   on PCI        virtio.common=WINDOW:OFFSET:BYTES   virtio.notify=...   virtio.isr=...
//                 virtio.device=...   virtio.multiplier=N
//   in memory     virtio.mmio=WINDOW
//   of both       message=1 (a message interrupt; else a line)
//
// Source: Virtio 1.2, 3.1 "Device Initialization", 4.1 "Virtio Over PCI Bus", 4.2 "Virtio Over
// MMIO".
#pragma once

#include <stdint.h>

#include <sdk/driver.h>

constexpr uint64_t VIRTIO_F_VERSION_1 = 1ull << 32;
constexpr uint64_t VIRTIO_F_ACCESS_PLATFORM = 1ull << 33;

enum virtio_transport_kind : uint8_t { VIRTIO_NONE, VIRTIO_PCI, VIRTIO_MMIO };

// What has to be there of the registers: of the common ones on PCI, and of all before the device's
// configuration in memory.
constexpr uint32_t VIRTIO_COMMON_BYTES = 56;
constexpr uint32_t VIRTIO_MMIO_BYTES = 0x100;

struct virtio_transport;

struct virtio {
    const struct virtio_transport *transport;
    volatile uint8_t *registers; // on PCI the common ones
    volatile uint8_t *notify, *isr, *config;
    uint32_t notify_bytes, config_bytes, notify_multiplier;
    bool message; // a message of its own, rather than a line whose cause is read
};

struct virtio_queue_addresses {
    uint64_t descriptors, available, used;
};

// Finds the registers. false: something is missing; `why` says what.
[[nodiscard]] bool virtio_open(struct virtio *virtio, const struct device *device,
                               const char **why);

// Resets the device and waits for it until the deadline. Errors: TIMED_OUT; GONE, at once.
[[nodiscard]] status_t virtio_reset(const struct virtio *virtio, uint64_t deadline_ns);

// Takes of the offered features those in `wanted`. false: VERSION_1 is not offered, or the
// device does not accept the choice; it is told that we gave up.
[[nodiscard]] bool virtio_negotiate(const struct virtio *virtio, uint64_t wanted, uint64_t *agreed,
                                    const char **why);

// The greatest size of a queue; 0: there is no such queue.
uint16_t virtio_queue_max(const struct virtio *virtio, uint16_t queue);

// Tells the device where a queue is, and enables it. Returns where to notify it, or null with
// `why`.
volatile uint8_t *virtio_queue_start(const struct virtio *virtio, uint16_t queue, uint16_t size,
                                     const struct virtio_queue_addresses *addresses,
                                     const char **why);

// Tells the device that a queue has something new; `notify` is from virtio_queue_start.
void virtio_notify(const struct virtio *virtio, volatile uint8_t *notify, uint16_t queue);

// The driver is ready: from now on the device looks at its queues.
void virtio_run(const struct virtio *virtio);

// Tells the device that the driver will not use it.
void virtio_give_up(const struct virtio *virtio);

// Of a device that runs (virtio_run): whether nothing is there any more. Registers of what was taken
// out read as all ones, or on an emulated PC as zeroes; the status of a device that runs is neither
// (Virtio 1.2, 2.1).
bool virtio_is_gone(const struct virtio *virtio);

// Whether the device says that it needs a reset. Not to be asked of one that is gone.
bool virtio_needs_reset(const struct virtio *virtio);

// Lowers the line that the device has raised. Nothing is to be done where it sends messages.
void virtio_quiet(const struct virtio *virtio);

// Reads `bytes` (4 or 8) of the device's configuration, the same ones twice. false: it is not
// that long, or does not stop changing.
[[nodiscard]] bool virtio_config(const struct virtio *virtio, uint32_t offset, uint32_t bytes,
                                 uint64_t *value);

// ---- for devd, which has only the registers

// Asks a device to reset itself, and whether it is done.
void virtio_ask_reset(enum virtio_transport_kind kind, volatile uint8_t *registers);
bool virtio_is_reset(enum virtio_transport_kind kind, const volatile uint8_t *registers);

// The type of the device (Virtio 1.2, 5) behind registers in memory. 0: none is there, or it is a
// legacy one.
uint32_t virtio_mmio_type(const volatile uint8_t *registers);
bool virtio_mmio_is_legacy(const volatile uint8_t *registers);
