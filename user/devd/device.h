// SPDX-License-Identifier: MIT
//
// A device that has a driver: from the tree to a running driver, and back when the driver ends.
//
//   unclaimed --a driver matches--> resetting --it answered--> driven
//                                       ^                        |
//                                       +---- the driver ended --+
//   resetting --it does not answer, or its objects cannot be minted--> failed
//
// One in a slot (plug.c) may go:
//
//   driven --its slot says so--> leaving --its driver ended--> resetting --it answered--> gone
//   resetting --it does not answer, nor its configuration space--> lost --its slot is off--> gone
//   gone --something is in its slot again--> resetting, or unclaimed
//
// What was pinned for a device that went is let go when it has answered its reset, or when its slot
// is off: what has no power, or is not there, writes nowhere.
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
    uint32_t node;          // of the hardware tree; HWTREE_NONE: it is gone
    struct pci_device *pci; // null: it is no PCI function, or gone
    uint64_t slot;          // registers of a virtio device in memory (slots.h); 0: it is none
    char name[32];
    uint64_t id; // the requester id of a PCI function, or above all of those
    enum device_state state;
    uint64_t epoch;
    char driver[16];     // what the manifest names
    char service[16];    // under which it runs
    char compatible[64]; // the name that matched
    bool leaves;         // its slot wants it out
    bool fresh;          // it came back, and nobody has driven it since

    // What was minted for the driver that runs; destroyed when it ends.
    struct plan plan;
    vmo_t windows[PLAN_WINDOWS];
    iorange_t io;
    interrupt_t interrupt;
    bool message;
    dmaspace_t dma;

    // While resetting.
    enum { RESET_ASK, RESET_ANSWER, RESET_GIVE, RESET_LOST } step;
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

// ---- devices in slots, by their bus

// The functions there want to go: their drivers are ended, and they are made quiet.
void devices_leave(uint8_t bus);

// Whether the slot may be switched off: all of them have answered, or do not any more.
[[nodiscard]] bool devices_are_out(uint8_t bus);

// Whether one of them does not answer any more, though nobody took it out.
[[nodiscard]] bool devices_are_lost(uint8_t bus);

// The slot is off. `dark`: so is what was in it; else what it may still write to is never let go.
void devices_gone(uint8_t bus, bool dark);

// The tree was followed by another one: nodes have these numbers now.
void devices_renumber(const uint32_t *numbers);

// There is something on this bus that was not there before: finds drivers, and begins to start them.
void devices_arrived(struct tree *tree, uint8_t bus);

uint32_t devices_count(void);
const struct driven *device_at(uint32_t index);
