// SPDX-License-Identifier: MIT
//
// A device that has a driver: from the tree to a running driver, and back when the driver ends.
//
//   unclaimed --a driver matches--> resetting --it answered--> driven
//                                       ^                        |
//                                       +---- the driver ended --+
//   resetting --it does not answer, or its objects cannot be minted--> failed
//
// The way back is the order of docs/drivers.md: interrupts are taken away, bus mastering is
// stopped, the registers and the DMA space are taken away, the device is reset through a mapping
// of our own and has to answer, the kernel is told that it is quiet, which ends the pins of the
// driver that died; and only then everything is minted anew. The way in is the same, so that a
// device that firmware or a former devd left running is quiet too before anybody gets it.
//
// The kernel takes destroyed objects down in the background, so that minting over the same
// registers can still answer OVERLAP for a moment: each step is tried again until its deadline.
//
// Invariant: at any time either devd or one driver can reach the registers, never both.
#pragma once

#include <stdint.h>

#include <sdk/driver_report.h>
#include <sdk/states.h>
#include <sdk/syscalls.h>

#include "plan.h"
#include "tree.h"

constexpr unsigned DEVICES_MAX = 16;
constexpr unsigned DEVICE_HANDLES_MAX = 7;

struct driven {
    uint32_t node;          // of the hardware tree
    struct pci_device *pci; // null: it is no PCI function
    uint64_t slot;          // registers of a virtio device in memory (slots.h); 0: it is none
    const char *name;
    uint64_t id; // the requester id of a PCI function, or above all of those
    enum device_state state;
    uint64_t epoch;
    char driver[16];        // what the manifest names
    char service[16];       // under which it runs
    const char *compatible; // the name that matched

    // What was minted for the driver that runs; destroyed when it ends.
    struct plan plan;
    vmo_t windows[PLAN_WINDOWS];
    iorange_t io;
    interrupt_t interrupt;
    bool message;
    dmaspace_t dma;

    // While resetting.
    enum { RESET_ASK, RESET_ANSWER, RESET_GIVE } step;
    uint64_t deadline_ns; // of the step
    vmo_t common_vmo;
    void *common_mapped;
    volatile uint8_t *common;

    vmo_t report_vmo;
    struct driver_report *report;
};

// Finds drivers for the nodes of the tree, which is finished, and begins to start them.
void devices_start(struct tree *tree);

// init says that the driver of this device is gone.
void device_driver_ended(uint64_t id);

// Goes on with devices that are resetting. Answers when it has to be called again, at the latest;
// ABI_DEADLINE_NEVER: not before something else happens.
uint64_t devices_poll(void);

uint32_t devices_count(void);
const struct driven *device_at(uint32_t index);
