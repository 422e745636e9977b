// SPDX-License-Identifier: MIT
//
// Which nodes of the hardware tree may have a driver, and which one.
#pragma once

#include "device.h"

// Whether a driver may have the node: it has registers, and is none of what the kernel drives.
[[nodiscard]] bool match_is_device(const struct hwtree *hardware, uint32_t node);

// Asks init for the driver that the manifest names for the node of `d`, by the names that it is
// compatible with, best first; fills `driver` and `compatible`. false: there is none.
[[nodiscard]] bool match_driver(struct driven *d, const struct hwtree *hardware);

// Whether registers of two nodes lie in one page.
[[nodiscard]] bool match_shares_page(const struct hwtree *hardware, uint32_t a, uint32_t b);
