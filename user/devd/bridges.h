// SPDX-License-Identifier: MIT
//
// PCI bridges on a root bus: numbers and windows for those that the firmware left without, and the
// rooms of what is behind them. A bridge further down is the firmware's affair.
#pragma once

#include "tree.h"

// The first bus number of a host behind those that its bridges have. `space`: the configuration
// space of its root bus.
void bridges_begin(struct pci_host *host, volatile uint32_t *space);

// Gives a bridge on the root bus the next number. false: there is none left.
[[nodiscard]] bool bridge_number(struct pci_host *host, struct pci_config *config,
                                 struct pci_function *function);

// Makes the room of a bridge that has its numbers, of the windows that are open.
void bridge_room(struct tree *tree, struct pci_host *host, struct pci_config *config,
                 uint16_t requester, const struct pci_function *function);

// The room in which a bus is; null: none.
struct pci_room *room_of(struct tree *tree, const struct pci_host *host, uint8_t bus);

// Opens windows for the rooms that have none, each large enough for what was found there and for
// what may be plugged in.
void bridges_open(struct tree *tree);

// Lets all bridges with a room pass on, once their own registers have their places.
void bridges_switch_on(struct tree *tree);
