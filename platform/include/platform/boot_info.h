// SPDX-License-Identifier: MIT
//
// Filling struct boot_info, the same for every kind of firmware.
#pragma once

#include <kernel/boot.h>

// Add a range; an empty one, or one that wraps, is dropped. RAM that finds no room is left
// unused, with a message; a reservation that finds no room is a panic, for it cannot be ignored.
void boot_add_ram(struct boot_info *boot, uint64_t start, uint64_t end);
void boot_add_reserved(struct boot_info *boot, uint64_t start, uint64_t end);

// Takes a range out of the RAM: what must not even be mapped.
void boot_remove_ram(struct boot_info *boot, uint64_t start, uint64_t end);

// The range of RAM that holds all of [start, end); nullptr: there is none.
const struct boot_range *boot_find_ram(const struct boot_info *boot, uint64_t start, uint64_t end);

// Page-aligns (RAM inwards, reservations outwards), sorts and merges.
void boot_info_normalise(struct boot_info *boot);

// Takes `bytes` (not 0, whole pages) of RAM away from the kernel for good, at the upper end of what is
// free, and answers where. `alignment` is a power of two. The lists are normalised. 0: there is no
// such range.
[[nodiscard]] paddr_t boot_take_ram(struct boot_info *boot, uint64_t bytes, uint64_t alignment);
