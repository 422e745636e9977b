// SPDX-License-Identifier: MIT
//
// Local APIC and I/O APICs as one interrupt controller. The local APICs are in x2APIC mode where
// they can be; this is found out at run time, and all CPUs are in the same. Line numbers:
//
//   0 to gsi_count - 1   global system interrupts, as the firmware's tables number them
//   above                message vectors
//
// The local APIC's timer is driven here too; hal/x86_64/clock_tsc.c is its user.
#pragma once

#include <hal/hal.h>

constexpr unsigned IO_APICS_MAX = 8;
constexpr unsigned ISA_OVERRIDES_MAX = 16;
constexpr uint32_t IO_APIC_FOLLOWS = UINT32_MAX; // as first line: behind those of the one before

struct apic_config {
    paddr_t local;
    uint8_t nmi_inputs; // bit n: the local APIC's LINTn is a non-maskable interrupt

    unsigned io_count;
    struct {
        paddr_t address;
        uint32_t first_line;
    } io[IO_APICS_MAX];

    // Lines whose trigger the firmware states; it wins over what a driver asks for.
    unsigned override_count;
    struct {
        uint32_t line;
        enum abi_trigger trigger;
    } overrides[ISA_OVERRIDES_MAX];
};

// Takes over the interrupt controllers of the machine, everything masked, the i8259 pair at the
// given ports included. nullptr: done, apic_controller works. Otherwise what is wrong.
const char *apic_init(const struct apic_config *config, uint16_t i8259_first,
                      uint16_t i8259_second);

// Whether the I/O APIC that is number `index` in the configuration did not answer, and is not used.
bool ioapic_is_silent(unsigned index);

extern struct irq_controller apic_controller;

// hal.cpu_start; needs hal.clock. `entry` is a page below 1 MiB.
bool apic_cpu_start(uint64_t id, paddr_t entry, uint64_t argument);

// The calling CPU's local APIC id.
uint32_t apic_id(void);

// The largest id of a CPU that can be started and interrupted here. Before apic_init too.
uint32_t apic_id_max(void);
