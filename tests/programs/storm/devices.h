// SPDX-License-Identifier: MIT
//
// Real devices that raise interrupts on demand: one over a line, one by messages of an MSI-X table,
// one by the message of an MSI capability.
#pragma once

#include <kit/kit.h>

struct device {
    const char *name;
    interrupt_t interrupt;
    bool forgets;        // what it says while it is put aside
    void (*raise)(void); // a level stays until quiet(); a message is sent once each time
    void (*quiet)(void);
};

void line_open(struct device *device);    // per architecture
void message_open(struct device *device); // message.c
void capability_open(struct device *device);

// Facts of QEMU's machines, per architecture: where the configuration space of PCI bus 0 is, and
// room for registers where firmware has not placed them (0: it has).
extern const uint64_t pci_ecam, pci_room;
