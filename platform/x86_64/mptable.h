// SPDX-License-Identifier: MIT
//
// The MP configuration table, which lists CPUs and interrupt controllers of PCs without ACPI
// (Intel MultiProcessor Specification 1.4, chapter 4). Untrusted, as all tables are.
#pragma once

#include <hal/x86_64/apic.h>
#include <kernel/boot.h>

// Searches the places where firmware may leave it. Its address, and its length in bytes; 0: there
// is no sound one.
paddr_t mptable_find(uint32_t *bytes);

// The same of memory from `start` on; for mptable_find.
paddr_t mptable_search(paddr_t start, size_t count, uint32_t *bytes);

// Reads the table that was found. CPU ids go into `boot` in the table's order.
void mptable_interrupts(paddr_t table, uint32_t bytes, struct apic_config *config,
                        struct boot_info *boot);
