// SPDX-License-Identifier: MIT
//
// Between the files of the GICv3 driver.
#pragma once

#include <hal/gicv3.h>

constexpr uint32_t GIC_FIRST_SPI = 32;
constexpr uint32_t GIC_FIRST_LPI = 8192;
constexpr uint32_t GIC_LINES_MAX = 1020; // 1020-1023 mean "nothing"

// ---- gicv3_redistributor.c

// Waits until bits read as they should, for a bounded time. false: they never did.
bool gicv3_wait32(const volatile void *registers, uint64_t offset, uint32_t mask, uint32_t value);

// A CPU's redistributor; `registers` is nullptr where there is none.
struct redistributor {
    volatile void *registers; // RD_base; SGI_base follows 64 KiB later
    paddr_t address;
    uint64_t type; // GICR_TYPER
};

// Maps the regions. nullptr, or why they are not usable.
const char *redistributors_init(const struct gicv3_region *regions, unsigned count);

// The one of the CPU with this MPIDR affinity.
struct redistributor redistributor_find(uint64_t affinity);

// Wakes it, and has all of its own lines in group 1, disabled and of one priority. nullptr, or why
// the CPU cannot be used.
const char *redistributor_start(const struct redistributor *redistributor);
void redistributor_enable(const struct redistributor *redistributor, uint32_t line);

// Switches LPIs on: their properties for 2^`id_bits` INTIDs in all, and which of them are pending,
// in memory that is clean and zero. nullptr, or why not.
const char *redistributor_enable_lpis(const struct redistributor *redistributor, paddr_t properties,
                                      paddr_t pending, unsigned id_bits);

// What ICC_SGI1R_EL1 takes to raise SGI 0 on the CPU of this affinity, alone. false: the CPU cannot
// be named. `range_selector`: both ends know Aff0 above 15.
bool sgi_target(uint64_t affinity, bool range_selector, uint64_t *value);

// ---- gicv3.c

// The redistributor that all lines and messages go to. Valid after gicv3_init.
const struct redistributor *gicv3_boot_redistributor(void);

// How many bits an INTID has; 0: the distributor knows no LPIs.
unsigned gicv3_lpi_id_bits(void);

// Makes the controller take messages.
void gicv3_enable_messages(void);

// ---- gicv3_messages.c, by line

bool message_allocate(paddr_t controller, uint64_t device, uint32_t *line, uint64_t *address,
                      uint32_t *data);
void message_free(uint32_t line);
void message_set_masked(uint32_t line, bool masked);
