// SPDX-License-Identifier: MIT
//
// Address space of the own process, handed out upwards from MEMORY_FIRST and never used again:
// an address that was unmapped stays a fault. A page is left free before each mapping. Not for
// use from two threads at once.
#pragma once

#include <stdint.h>

#include <sdk/syscalls.h>

constexpr uint64_t MEMORY_FIRST = 0x1'0000'0000;

// Maps `bytes` (rounded up to pages) of fresh zeroed memory, readable and writable, charged to
// the own account. Errors: those of vmo_create and vm_map.
[[nodiscard]] status_t memory_map(uint64_t bytes, void **address);

// The same, and hands out the VMO, for sharing or pinning. `flags`: enum abi_vmo_flags.
[[nodiscard]] status_t memory_create(uint64_t bytes, uint64_t flags, vmo_t *vmo, void **address);

// Maps a range of a VMO; offset is a multiple of the page size, bytes are rounded up.
// `protection`: enum abi_protection. Errors: those of vm_map.
[[nodiscard]] status_t memory_map_vmo(vmo_t vmo, uint64_t offset, uint64_t bytes,
                                      uint64_t protection, void **address);

// Removes a mapping that one of the above made, by its address. Errors: those of vm_unmap.
status_t memory_unmap(const void *address);

// Only hands out addresses: `bytes`, aligned to `alignment`, a power of two of at least a page.
uint64_t memory_reserve(uint64_t bytes, uint64_t alignment);
