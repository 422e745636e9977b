// SPDX-License-Identifier: MIT
//
// The slot of a PCI Express port whose device may come and go while the machine runs: its power,
// its link, its attention button and its indicators. Pure: the registers are reached through
// struct pci_config, and the time is told, so that every order of events can be had on the host.
//
//   off --something is there--> powering-up --> linking --> settling --ARRIVED--> on
//   on --button--> asked --5 s--> leaving (LEAVES); a second press: back to on
//   on, asked --presence, link or power is lost--> leaving (LOST)
//   leaving --pcie_slot_release()--> powering-down --> dark --1 s, EMPTIED--> off
//   powering-up, linking, settling --nothing is there, or no link in 1 s--> powering-down
//
// Nothing here waits: a step is a few accesses, and each state but off, on and leaving ends by
// itself. A command that the port does not complete within a second is given up, and the next one
// is written over it. A port that is itself gone (all ones) is an empty slot without events.
//
// Sources: PCI Express Base Specification 5.0, 6.7 "PCI Express Native Hot-Plug", 7.5.3.8 "Link
// Status", 7.5.3.9 to 7.5.3.11 "Slot Capabilities, Control, Status"; 6.6.1 for the 100 ms before
// the first configuration access.
#pragma once

#include <stdint.h>

#include <abi/layout.h>

#include "pci_config.h"

constexpr uint64_t SLOT_BUTTON_NS = 5'000'000'000;  // 6.7.1.5: until a press counts
constexpr uint64_t SLOT_COMMAND_NS = 1'000'000'000; // 6.7.3.2: a command takes no longer
constexpr uint64_t SLOT_LINK_NS = 1'000'000'000;
constexpr uint64_t SLOT_SETTLE_NS = 100'000'000;
constexpr uint64_t SLOT_DARK_NS = 1'000'000'000; // 6.7.1.8: until power off can be relied on

enum pcie_slot_state : uint8_t {
    SLOT_OFF, // empty, or what is in it has no power
    SLOT_POWERING_UP,
    SLOT_LINKING,
    SLOT_SETTLING,
    SLOT_ON,
    SLOT_ASKED,   // the button was pressed: a second press takes it back
    SLOT_LEAVING, // who uses the device is being told
    SLOT_POWERING_DOWN,
    SLOT_DARK,
};

enum pcie_slot_event : uint8_t {
    SLOT_NOTHING,
    SLOT_ARRIVED, // its functions can be looked for now
    SLOT_LEAVES,  // somebody wants to take it out; it still works
    SLOT_LOST,    // it went without a word
    SLOT_EMPTIED, // the slot is off. After pcie_slot_release(), or what was in it never worked
};

struct pcie_slot {
    struct pci_config *config; // of the port
    struct pci_express express;
    enum pcie_slot_state state;
    bool present; // at the last look
    bool changed; // something was put in or taken out since the power was switched off
    bool obeyed;  // the last command was completed
    uint16_t wanted, written;
    uint64_t command_until_ns; // 0: no command is outstanding
    uint64_t deadline_ns;      // of the state
    uint32_t commands_late;    // those that were given up
    const char *why;           // of the last event, for people
};

// Takes a slot over, whatever was in charge of it before. `used`: functions behind the port answer,
// and are known already. `interrupts`: the port may raise its message, on each event.
void pcie_slot_start(struct pcie_slot *slot, struct pci_config *config,
                     const struct pci_express *express, bool used, bool interrupts,
                     uint64_t now_ns);

// Looks at the registers and goes on. To be called again until it says NOTHING; then when the port
// raises its message, when pcie_slot_deadline() has come, and after release and fail below.
enum pcie_slot_event pcie_slot_step(struct pcie_slot *slot, uint64_t now_ns);
uint64_t pcie_slot_deadline(const struct pcie_slot *slot); // ABI_DEADLINE_NEVER: none

// Nobody uses the device any more: ends SLOT_LEAVING.
void pcie_slot_release(struct pcie_slot *slot);

// What should be there does not answer: it is leaving, as if it had been lost.
void pcie_slot_fail(struct pcie_slot *slot, const char *why);

// Whether what was in the slot can do nothing any more: it is not there, or the port has completed
// the command that took its power.
bool pcie_slot_is_dark(const struct pcie_slot *slot);
