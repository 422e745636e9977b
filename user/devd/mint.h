// SPDX-License-Identifier: MIT
//
// Makes the kernel objects of one device, exactly those that its driver needs, and destroys them.
#pragma once

#include "device.h"

// The tree that nodes are in; before anything else.
void mint_begin(const struct tree *tree);

// Mints everything for a driver of `d`; on an error nothing stays. `what` says what failed.
[[nodiscard]] status_t mint_all(struct driven *d, const char **what);

// Mints the interrupt for a function's message `vector`. NOT_FOUND: it has no such message, or nothing
// here takes it.
[[nodiscard]] status_t mint_message(const struct tree *whole, const struct pci_device *device,
                                    uint16_t vector, interrupt_t *interrupt);

// Destroys all that was minted, wherever handles to it are.
void mint_destroy(struct driven *d);

// Starts the driver through init: hands over copies of the handles with the rights that a driver
// needs, and the properties that tell it where things are.
[[nodiscard]] status_t mint_hand_over(struct driven *d, const char *fault);
