// SPDX-License-Identifier: MIT
//
// AArch64: facts of QEMU's virt. The table stands in a virtio-mmio slot without a device.
#include "../hostile.h"

const bool machine_has_ports = false;
const uint64_t spare_line = 200;
const uint64_t vector_table = 0x0a00'0100;
const uint64_t spare_ports = 0;
const uint64_t spare_memory = 0x70'0000'0000;
