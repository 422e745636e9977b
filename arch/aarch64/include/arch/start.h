// SPDX-License-Identifier: MIT
//
// What passes between arch/aarch64 and platform/aarch64 while the machine starts. Not for
// kernel/ or hal/.
//
// head.S turns the MMU on and calls arch_start, which calls platform_start: image and device
// window are mapped, RAM is not. The platform finds RAM and gives it to arch_ram_map.
#pragma once

#include <stdint.h>

#include <lib/types.h>

// How the machine was entered, and so what the loader told the address of.
enum arch_entry : uint32_t {
    ENTRY_LINUX = 0,    // a device tree
    ENTRY_HANDOVER = 1, // struct abi_handover
};

[[noreturn]] void platform_start(paddr_t told, enum arch_entry way);

// The kernel image with its .bss, page-aligned; end exclusive.
void arch_image_range(paddr_t *start, paddr_t *end);

// The calling CPU's affinity fields of MPIDR_EL1, as firmware tables name CPUs.
uint64_t arch_cpu_affinity(void);

// Has a CPU that firmware lets go at the answered address (physical) arrive as one that is started by
// arch_cpu_prepare's entry with `argument`. It comes with nothing but its affinity. .value 0: too many
// were prepared.
[[nodiscard]] paddr_t arch_parked_prepare(uint64_t affinity, uint64_t argument);

// The first physical address that the kernel cannot use: beyond the CPU's or the direct map's.
uint64_t arch_physical_limit(void);

// Maps RAM, page-aligned, into the direct map, with the largest blocks that fit, and the part
// that holds the kernel's code and constants read-only. false: the range is outside what
// can be mapped, overlaps an earlier one, or no table is left; a part may then be mapped.
[[nodiscard]] bool arch_ram_map(uint64_t start, uint64_t end);
