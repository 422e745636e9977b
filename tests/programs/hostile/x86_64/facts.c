// SPDX-License-Identifier: MIT
//
// x86_64: facts of QEMU's q35.
#include "../hostile.h"

const bool machine_has_ports = true;
const uint64_t spare_line = 20;
const uint64_t vector_table = 0xfe00'0000;
const uint64_t spare_ports = 0xe000;
const uint64_t spare_memory = 0x70'0000'0000;
