// SPDX-License-Identifier: MIT
//
// What the PVH loader handed over.
#pragma once

#include <kernel/boot.h>

// Fills RAM, reservations, bundle, command line, and `tables` (0 where the loader gave no RSDP)
// from the start_info at this physical address. Copies everything: afterwards the loader's
// structures are just RAM. Ends the boot where it makes no sense.
void pvh_read(uint64_t start_info, struct boot_info *boot);
