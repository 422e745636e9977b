// SPDX-License-Identifier: MIT
//
// What the platform tells the kernel, and the kernel's first function.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <abi/layout.h>
#include <lib/types.h>

constexpr unsigned BOOT_RANGES_MAX = 64;
constexpr unsigned BOOT_CPUS_MAX = 64;

struct boot_range {
    uint64_t start,
        end; // physical, end exclusive; page-aligned inwards (ram) or outwards (reserved)
};

struct boot_info {
    // RAM as the firmware reports it, sorted, disjoint.
    uint32_t ram_count;
    struct boot_range ram[BOOT_RANGES_MAX];
    // What the kernel must not give away: its own image, the boot bundle, boot page tables,
    // firmware tables, firmware reservations. Sorted, disjoint after boot_info_normalise.
    uint32_t reserved_count;
    struct boot_range reserved[BOOT_RANGES_MAX];

    struct boot_range kernel; // the kernel image with its stack and boot tables
    struct boot_range bundle; // the boot bundle, page-aligned; empty: none was given

    enum abi_firmware firmware;
    paddr_t tables; // device tree or RSDP
    uint64_t tables_bytes;

    uint32_t cpu_count;              // usable CPUs that the firmware lists, boot CPU first
    uint64_t cpu_ids[BOOT_CPUS_MAX]; // APIC ids or MPIDR affinities

    char command_line[ABI_COMMAND_LINE];
};

// Takes over the machine on the boot CPU: sets everything up, starts the first process from the
// bundle and enters it. Interrupts are off; `hal` is set; all RAM, but for the image where it would
// be writable code, is mapped at arch_ram().
[[noreturn]] void kernel_main(struct boot_info *boot);

// Writes a line to the log and, until a driver owns it, to the debug UART. printf subset: %s %c
// %d %u %x %p with l/ll, 0 and width; %pc is not special: use {{pc:0x%lx:kernel}} for code.
[[gnu::format(printf, 1, 2)]] void klog(const char *format, ...);

// Reports a bug of ours or an unusable machine, with a backtrace, and stops.
[[noreturn, gnu::format(printf, 1, 2)]] void panic(const char *format, ...);
