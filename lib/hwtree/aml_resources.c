// SPDX-License-Identifier: MIT
//
// See aml_resources.h.

#include "aml_resources.h"

#include <lib/string.h>

enum resource : uint8_t {
    SMALL_IRQ = 0x04, // 6.4.2.1
    SMALL_IO = 0x08,  // 6.4.2.5
    SMALL_FIXED_IO = 0x09,
    SMALL_END = 0x0f,
    LARGE_MEMORY_32 = 0x85, // 6.4.3.3: a place of several
    LARGE_FIXED_MEMORY_32 = 0x86,
    LARGE_SPACE_32 = 0x87, // 6.4.3.5: what a bridge passes on
    LARGE_SPACE_16 = 0x88,
    LARGE_INTERRUPT = 0x89, // 6.4.3.6
    LARGE_SPACE_64 = 0x8a,
};

enum space : uint8_t { SPACE_MEMORY, SPACE_IO };
constexpr uint8_t MEMORY_PREFETCHABLE = 3; // bits 1 and 2 of the flags of memory

constexpr uint8_t INTERRUPT_EDGE = 1u << 1;
constexpr uint8_t INTERRUPT_LOW = 1u << 2;
constexpr uint8_t IRQ_EDGE = 1u << 0;
constexpr uint8_t IRQ_LOW = 1u << 3;

static uint64_t number(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, at, bytes); // little-endian
    return value;
}

static void add_range(struct aml_device *device, uint64_t base, uint64_t bytes, bool io)
{
    if (device->range_count < AML_RANGES && bytes != 0)
        device->ranges[device->range_count++] = (struct aml_range){base, bytes, io};
}

static void add_interrupt(struct aml_device *device, uint64_t line, bool edge, bool low)
{
    if (device->interrupt_count < AML_INTERRUPTS)
        device->interrupts[device->interrupt_count++] =
            (struct aml_interrupt){line, edge ? HWTREE_TRIGGER_EDGE : HWTREE_TRIGGER_LEVEL,
                                   low ? HWTREE_POLARITY_LOW : HWTREE_POLARITY_HIGH};
}

// Granularity, first, last, offset of the CPU's side, and length, of `width` bytes each.
static void read_space(uint8_t kind, unsigned width, const uint8_t *data, uint32_t length,
                       struct aml_device *device)
{
    if (length < 3 + 5 * width || data[0] > SPACE_IO || device->window_count == AML_WINDOWS)
        return;
    const uint64_t bus = number(data + 3 + width, width),
                   offset = number(data + 3 + 3 * width, width),
                   bytes = number(data + 3 + 4 * width, width);
    // No port has a number of more than 16 bits: those are memory, at the CPU's side.
    const bool io = data[0] == SPACE_IO, ports = io && bus + offset <= UINT16_MAX;
    if (bytes == 0)
        return;
    device->windows[device->window_count++] =
        (struct hwtree_window){.bus = bus,
                               .cpu = bus + offset,
                               .bytes = bytes,
                               .space = ports ? HWTREE_SPACE_IO : HWTREE_SPACE_MEMORY,
                               .io = io,
                               .wide = !io && kind == LARGE_SPACE_64,
                               .prefetchable = !io && (data[2] >> 1 & 3) == MEMORY_PREFETCHABLE};
}

static void read_large(uint8_t kind, const uint8_t *data, uint32_t length,
                       struct aml_device *device)
{
    if (kind == LARGE_FIXED_MEMORY_32 && length >= 9)
        add_range(device, number(data + 1, 4), number(data + 5, 4), false);
    if (kind == LARGE_SPACE_16 || kind == LARGE_SPACE_32 || kind == LARGE_SPACE_64)
        read_space(kind,
                   kind == LARGE_SPACE_16   ? 2
                   : kind == LARGE_SPACE_32 ? 4
                                            : 8,
                   data, length, device);
    if (kind != LARGE_INTERRUPT || length < 2)
        return;
    for (unsigned i = 0; i < data[1] && 2 + 4 * (i + 1) <= length; i++)
        add_interrupt(device, number(data + 2 + 4 * i, 4), (data[0] & INTERRUPT_EDGE) != 0,
                      (data[0] & INTERRUPT_LOW) != 0);
}

static void read_small(uint8_t kind, const uint8_t *data, uint32_t length,
                       struct aml_device *device)
{
    if (kind == SMALL_IO && length >= 7 && number(data + 1, 2) == number(data + 3, 2))
        add_range(device, number(data + 1, 2), data[6], true);
    if (kind == SMALL_FIXED_IO && length >= 3)
        add_range(device, number(data, 2), data[2], true);
    if (kind != SMALL_IRQ || length < 2)
        return;
    const uint8_t flags = length >= 3 ? data[2] : IRQ_EDGE; // 6.4.2.1: edge and high if not said
    for (unsigned i = 0; i < 16; i++)
        if ((number(data, 2) >> i & 1) != 0)
            add_interrupt(device, i, (flags & IRQ_EDGE) != 0, (flags & IRQ_LOW) != 0);
}

void aml_resources(const uint8_t *bytes, uint64_t count, struct aml_device *device)
{
    for (uint64_t at = 0; at < count;) {
        const uint8_t head = bytes[at];
        const bool large = (head & 0x80) != 0;
        const uint64_t skip = large ? 3 : 1;
        if (skip > count - at)
            return;
        const uint32_t length = large ? (uint32_t)number(bytes + at + 1, 2) : head & 7;
        if (length > count - at - skip)
            return;
        const uint8_t kind = large ? head : head >> 3;
        if (kind == SMALL_END)
            return;
        if (large)
            read_large(kind, bytes + at + skip, length, device);
        else
            read_small(kind, bytes + at + skip, length, device);
        at += skip + length;
    }
}
