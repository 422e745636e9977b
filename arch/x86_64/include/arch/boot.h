// SPDX-License-Identifier: MIT
//
// How the platform makes the kernel's own page tables, once, on the boot CPU, before
// kernel_main. Not part of <arch/arch.h>: kernel/ and hal/ have no use for it.
//
//   arch_paging_begin      where tables may be built: RAM below LAYOUT_BOOT_MAPPED
//   arch_paging_map_ram    for each range of RAM
//   arch_paging_finish     switches to the new tables; nothing is mapped below any more
#pragma once

#include <stdint.h>

#include <lib/types.h>

// Physical addresses, page-aligned, end exclusive. Tables are taken from `start` upwards.
void arch_paging_begin(uint64_t start, uint64_t end);

// Maps a range of RAM into the direct map. Ranges must not overlap. false: it is above what the
// direct map reaches, or there is no room for tables.
[[nodiscard]] bool arch_paging_map_ram(uint64_t start, uint64_t end);

// false: no room for tables, nothing was switched. Else *used_end is the end of the tables.
[[nodiscard]] bool arch_paging_finish(uint64_t *used_end);

// A page of RAM below 1 MiB, for ever: where the other CPUs begin.
void arch_start_page_set(paddr_t page);
