// SPDX-License-Identifier: MIT
//
// Device registers in memory, as arch_device_map maps them: accesses to one device stay in order.
// Order between devices, or between a device and memory, is the caller's business.
#pragma once

#include <arch/arch.h>
#include <stdint.h>

static inline uint32_t mmio_read32(const volatile void *base, uint64_t offset)
{
    return *(const volatile uint32_t *)((const volatile char *)base + offset);
}

// The first look at a device that firmware has named. false: nothing is there.
[[nodiscard]] static inline bool mmio_probe32(const volatile void *base, uint64_t offset,
                                              uint32_t *value)
{
    return arch_device_probe((const volatile uint32_t *)((const volatile char *)base + offset),
                             value);
}

static inline void mmio_write32(volatile void *base, uint64_t offset, uint32_t value)
{
    *(volatile uint32_t *)((volatile char *)base + offset) = value;
}

static inline uint64_t mmio_read64(const volatile void *base, uint64_t offset)
{
    return *(const volatile uint64_t *)((const volatile char *)base + offset);
}

static inline void mmio_write64(volatile void *base, uint64_t offset, uint64_t value)
{
    *(volatile uint64_t *)((volatile char *)base + offset) = value;
}
