// SPDX-License-Identifier: MIT
//
// See sdk/virtio.h.

#include <sdk/virtio.h>

#include <sdk/mmio.h>
#include <sdk/start.h>

#include "virtio_transport.h"

enum virtio_status : uint8_t {
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64,
    VIRTIO_FAILED = 128,
    VIRTIO_ALL_ONES = 255,
};

static const struct virtio_transport *transport_of(enum virtio_transport_kind kind)
{
    return kind == VIRTIO_PCI ? &virtio_pci : &virtio_mmio;
}

bool virtio_open(struct virtio *virtio, const struct device *device, const char **why)
{
    uint64_t window, message = 0;
    const bool in_memory = device_numbers(device, "virtio.mmio", &window, 1) == 1;
    *virtio = (struct virtio){.transport = transport_of(in_memory ? VIRTIO_MMIO : VIRTIO_PCI)};
    (void)device_numbers(device, "message", &message, 1);
    virtio->message = message != 0;
    return in_memory ? virtio_mmio_find(virtio, device, why) : virtio_pci_find(virtio, device, why);
}

static uint8_t status_of(const struct virtio *virtio)
{
    return virtio->transport->status(virtio->registers);
}

static void status_add(const struct virtio *virtio, uint8_t bits)
{
    virtio->transport->set_status(virtio->registers, status_of(virtio) | bits);
}

void virtio_ask_reset(enum virtio_transport_kind kind, volatile uint8_t *registers)
{
    transport_of(kind)->set_status(registers, 0);
}

bool virtio_is_reset(enum virtio_transport_kind kind, const volatile uint8_t *registers)
{
    return transport_of(kind)->status(registers) == 0;
}

status_t virtio_reset(const struct virtio *virtio, uint64_t deadline_ns)
{
    virtio->transport->set_status(virtio->registers, 0);
    while (status_of(virtio) != 0) {
        uint64_t now = now_ns();
        if (status_of(virtio) == VIRTIO_ALL_ONES)
            return STATUS_GONE;
        if (now >= deadline_ns)
            return STATUS_TIMED_OUT;
        (void)thread_sleep(now + NS_PER_MS);
    }
    return STATUS_OK;
}

bool virtio_negotiate(const struct virtio *virtio, uint64_t wanted, uint64_t *agreed,
                      const char **why)
{
    const struct virtio_transport *transport = virtio->transport;
    status_add(virtio, VIRTIO_ACKNOWLEDGE);
    status_add(virtio, VIRTIO_DRIVER);
    *agreed =
        ((uint64_t)transport->offered(virtio, 1) << 32 | transport->offered(virtio, 0)) & wanted;
    if ((*agreed & VIRTIO_F_VERSION_1) == 0) {
        *why = "it is a legacy device, without VERSION_1";
        virtio_give_up(virtio);
        return false;
    }
    transport->accept(virtio, 0, (uint32_t)*agreed);
    transport->accept(virtio, 1, (uint32_t)(*agreed >> 32));
    status_add(virtio, VIRTIO_FEATURES_OK);
    if ((status_of(virtio) & VIRTIO_FEATURES_OK) == 0) {
        *why = "it does not accept the features that it offered";
        virtio_give_up(virtio);
        return false;
    }
    return true;
}

uint16_t virtio_queue_max(const struct virtio *virtio, uint16_t queue)
{
    return virtio->transport->queue_max(virtio, queue);
}

volatile uint8_t *virtio_queue_start(const struct virtio *virtio, uint16_t queue, uint16_t size,
                                     const struct virtio_queue_addresses *addresses,
                                     const char **why)
{
    return virtio->transport->queue_start(virtio, queue, size, addresses, why);
}

void virtio_notify(const struct virtio *virtio, volatile uint8_t *notify, uint16_t queue)
{
    virtio->transport->notify(notify, queue);
}

void virtio_run(const struct virtio *virtio)
{
    status_add(virtio, VIRTIO_DRIVER_OK);
}

void virtio_give_up(const struct virtio *virtio)
{
    status_add(virtio, VIRTIO_FAILED);
}

bool virtio_is_gone(const struct virtio *virtio)
{
    const uint8_t status = status_of(virtio);
    return status == VIRTIO_ALL_ONES || (status & VIRTIO_DRIVER_OK) == 0;
}

bool virtio_needs_reset(const struct virtio *virtio)
{
    return (status_of(virtio) & VIRTIO_NEEDS_RESET) != 0;
}

void virtio_quiet(const struct virtio *virtio)
{
    if (!virtio->message)
        virtio->transport->quiet(virtio);
}

bool virtio_config(const struct virtio *virtio, uint32_t offset, uint32_t bytes, uint64_t *value)
{
    if (offset > virtio->config_bytes || bytes > virtio->config_bytes - offset)
        return false;
    for (unsigned tries = 0; tries < 16; tries++) {
        uint32_t before = virtio->transport->generation(virtio);
        uint64_t v = mmio_read32(virtio->config + offset);
        if (bytes == 8)
            v |= (uint64_t)mmio_read32(virtio->config + offset + 4) << 32;
        if (virtio->transport->generation(virtio) == before) {
            *value = v;
            return true;
        }
    }
    return false;
}
