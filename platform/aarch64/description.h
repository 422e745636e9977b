// SPDX-License-Identifier: MIT
//
// What the firmware's tables say of the devices that the kernel itself drives, and no more: plain
// data, filled by one reader for each kind of table (describe_fdt.c) and used by devices.c, which
// starts the drivers and does not know who wrote it. Nothing in it was looked at in hardware yet.
#pragma once

#include <hal/gicv2.h>
#include <hal/gicv3.h>
#include <hal/hal.h>
#include <hal/syscon.h>
#include <kernel/boot.h>

// A reader of tables has read at most so many; what there is besides, it says and leaves out.
constexpr unsigned REDISTRIBUTOR_REGIONS_MAX = BOOT_CPUS_MAX; // ACPI may name one for each CPU
constexpr unsigned ITS_MAX = GICV3_ITS_MAX;
constexpr unsigned MESSAGE_FRAMES_MAX = GICV2M_FRAMES_MAX;

enum gic_kind : uint8_t { GIC_NONE, GIC_V2, GIC_V3 };

// A PL011, or what an SBSA machine has of one; the mini UART of a BCM2835 and those after it.
enum console_kind : uint8_t { CONSOLE_PL011, CONSOLE_BCM_AUX };

enum conduit : uint8_t { CONDUIT_NONE, CONDUIT_HVC, CONDUIT_SMC }; // none: there is no PSCI

// An address is physical; 0: there is no such thing. An INTID of 0: not described.
struct machine_description {
    const char *source; // "device tree", for messages
    struct {
        paddr_t registers;
        uint64_t bytes;
        enum console_kind kind;
    } console;

    enum gic_kind gic;
    const char *gic_name; // its node or table, for messages
    paddr_t distributor;
    paddr_t cpu_interface; // of a GICv2; a GICv3's is system registers

    // Of a GICv3, in the order in which the tables name them.
    struct gicv3_region redistributors[REDISTRIBUTOR_REGIONS_MAX];
    uint32_t redistributor_count;
    paddr_t its[ITS_MAX]; // of messages; the first frame (control) of each
    uint32_t its_count;

    // Of a GICv2.
    struct gicv2m_frame frames[MESSAGE_FRAMES_MAX];
    uint32_t frame_count;

    uint32_t timer_virtual, timer_physical; // INTIDs of the EL1 timers: PPIs, so 16 to 31
    uint32_t timer_hz;                      // where CNTFRQ_EL0 is wrong; 0: it is right

    // What switches the machine off and resets it: the first of these that is there is used.
    enum conduit psci;
    struct syscon_write syscon_off, syscon_reboot;
    struct {
        paddr_t registers;
        uint64_t bytes;
        bool can_halt;
    } bcm_pm; // of a BCM2835 and those after it

    // By the place of a CPU in boot_info.cpu_ids: where it waits; 0: it is started by PSCI.
    paddr_t releases[BOOT_CPUS_MAX];
};
