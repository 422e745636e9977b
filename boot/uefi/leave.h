// SPDX-License-Identifier: MIT
//
// The end of the firmware's time: the handover is prepared while there still is memory to be had,
// filled when there is no firmware any more. Runs in host tests, over services that stand in.
#pragma once

#include "loader.h"

// What is handed over besides memory. Zeros: there is none.
struct given {
    struct kernel kernel;
    struct file bundle, signature;
    const char *command_line;
    uint64_t rsdp, device_tree, device_tree_bytes;
};

// Takes the memory that leaving needs. False: why was said.
[[nodiscard]] bool leave_prepare(const struct given *given);

// Leaves boot services and fills the handover, whose address it answers. Null: they could not be
// left; why was said, if the firmware still listens.
struct abi_handover *leave_firmware(efi_handle_t image, const struct given *given);
