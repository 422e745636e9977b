// SPDX-License-Identifier: MIT
//
// Nominal value types that kernel, arch, hal and platform share: mixing them up does not compile.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t value;
} paddr_t; // a physical address

constexpr size_t PAGE_SIZE = 4096;
constexpr unsigned PAGE_SHIFT = 12;

static inline paddr_t paddr_add(paddr_t p, uint64_t bytes)
{
    return (paddr_t){p.value + bytes};
}

static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline uint64_t align_down(uint64_t value, uint64_t alignment)
{
    return value & ~(alignment - 1);
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))
