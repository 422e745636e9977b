// SPDX-License-Identifier: MIT
//
// Two real devices that raise interrupts on demand, one over a line, one by messages.
#pragma once

#include <kit/kit.h>

struct device {
    const char *name;
    interrupt_t interrupt;
    void (*raise)(void); // a level stays until quiet(); a message is sent once each time
    void (*quiet)(void);
};

void line_open(struct device *device);    // per architecture
void message_open(struct device *device); // message.c

// Facts of QEMU's machines, per architecture: where the configuration space of PCI bus 0 is, and
// room for registers where firmware has not placed them (0: it has).
extern const uint64_t pci_ecam, pci_room;
