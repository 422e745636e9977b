// SPDX-License-Identifier: MIT
//
// Reading what a loader hands over (<abi/handover.h>, docs/boot.md). It is as untrusted as any
// table of the firmware.
#pragma once

#include <abi/handover.h>
#include <kernel/boot.h>

// What describes the machine. 0: there is none.
struct handover_tables {
    uint64_t rsdp, device_tree, device_tree_bytes;
};

// Says how long the block is whose first part, a struct abi_handover, can be read; 0: it is no
// handover that this kernel understands.
uint32_t handover_bytes(const void *block);

// The block's first `reach` bytes can be read. Fills RAM, the bundle and its reservation, and the command line, and says what describes the
// machine. Copies everything: afterwards the block is just RAM. Returns nullptr, or what is wrong,
// for people; `tables` is filled as far as it was understood.
[[nodiscard]] const char *handover_read(const void *block, uint64_t reach, struct boot_info *boot,
                                        struct handover_tables *tables);
