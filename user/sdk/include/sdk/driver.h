// SPDX-License-Identifier: MIT
//
// What a driver for a device on a bus is made of: its device as devd handed it over, and memory
// that the device can reach.
//
//     static struct device device;
//     device_receive(&device);          // waits for init's device_start
//     ... device.windows[0].registers, device.interrupts[0], device.dma ...
//     dma_create(&buffer, &device, bytes, DMA_BOTH);
//
// A driver owns no configuration space: identity, base addresses, bus mastering and the MSI-X
// table are devd's and the kernel's. What devd knows and the driver needs is in the properties,
// lines of the form "name=value" whose value is a list of numbers with ':' between them.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <sdk/device.h>
#include <sdk/driver_report.h>
#include <sdk/syscalls.h>

constexpr unsigned DEVICE_WINDOWS = 4;
constexpr unsigned DEVICE_INTERRUPTS = 2;
constexpr unsigned DEVICE_PROPERTY_BYTES = 1024;

struct device_window {
    volatile uint8_t *registers; // mapped
    uint64_t bytes;
};

struct device {
    uint64_t id;    // as devd numbers it; the requester id of a PCI function
    uint64_t epoch; // counts the starts of this device
    struct device_window windows[DEVICE_WINDOWS];
    interrupt_t interrupts[DEVICE_INTERRUPTS];
    uint32_t window_count, interrupt_count;
    iorange_t io;                 // .value 0: none
    dmaspace_t dma;               // .value 0: none
    struct driver_report *report; // read by devd; null: none
    char compatible[64];
    char properties[DEVICE_PROPERTY_BYTES];
};

// Waits for the device on the bootstrap channel and maps its registers. To be called before
// service_start. Errors: those of channel_receive and vm_map; TOO_BIG: more objects than a
// struct device holds.
[[nodiscard]] status_t device_receive(struct device *device);

// The numbers of a property; returns how many, at most `max`. 0: there is no such property, or it
// holds no number.
unsigned device_numbers(const struct device *device, const char *name, uint64_t *numbers,
                        unsigned max);

// The text of a property, cut to `size`; false: there is no such property.
[[nodiscard]] bool device_text(const struct device *device, const char *name, char *text,
                               size_t size);

constexpr unsigned DMA_MAX_PAGES = 64;

// Memory that the device reaches. Between dma_sync calls it belongs to one side.
struct dma_buffer {
    void *memory; // as the CPU sees it; null where the driver only pins
    vmo_t vmo;    // .value 0: somebody else's
    pin_t pin;
    uint64_t bytes;
    uint64_t addresses[DMA_MAX_PAGES]; // as the device sees it, page by page
};

// Creates, maps and pins memory, at most DMA_MAX_PAGES. Errors: those of vmo_create, vm_map and
// pin_create; TOO_BIG.
[[nodiscard]] status_t dma_create(struct dma_buffer *buffer, const struct device *device,
                                  uint64_t bytes, enum abi_direction direction);

// Pins a slice of somebody's VMO, at our account's charge. Errors: those of pin_create; TOO_BIG.
[[nodiscard]] status_t dma_pin(struct dma_buffer *buffer, const struct device *device, vmo_t vmo,
                               uint64_t offset, uint64_t bytes, enum abi_direction direction);

// Hands a part of the buffer to the device (SYNC_DEVICE) or back to the CPU (SYNC_CPU).
void dma_sync(const struct dma_buffer *buffer, uint64_t offset, uint64_t bytes,
              enum abi_sync_side side);

// Ends the pin: the device is done with the memory, and says the driver so. Unmaps and closes
// what dma_create made.
void dma_release(struct dma_buffer *buffer);
