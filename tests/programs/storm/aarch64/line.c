// SPDX-License-Identifier: MIT
//
// AArch64: facts of QEMU's virt. The line is the kit's device's: its level stays up until it is quieted.
#include "../devices.h"

#include <kit/device.h>

const uint64_t pci_ecam = 0x40'1000'0000, pci_room = 0x2000'0000;

void line_open(struct device *device)
{
    *device = (struct device){.name = "line", .raise = device_trigger, .quiet = device_quiet};
    if (!device_open(&device->interrupt))
        give_up("the device of the line is not there");
}
