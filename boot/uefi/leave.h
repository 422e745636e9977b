// SPDX-License-Identifier: MIT
//
// The end of the firmware's time. The handover is filled for each map that the firmware tells, the
// last of which it takes for true. Runs in host tests, over services that stand in.
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

// Fills the handover and leaves boot services; answers the handover. Null: they could not be left, or
// the kernel cannot be where it has to be; why was said, if the firmware still listens.
struct abi_handover *leave_firmware(efi_handle_t image, const struct given *given);
