// SPDX-License-Identifier: MIT
//
// PCI configuration space by two I/O ports, on PCs whose tables name no memory for it: an address
// goes to the first, the word is then behind the second. Reaches 256 bytes of each function.
// Pure: the ports are reached through two functions.
//
// Source: PCI Local Bus Specification 3.0, 3.2.2.3.2 "Software Generation of Configuration
// Transactions".
#pragma once

#include <stdint.h>

enum pci_port : uint8_t { PCI_PORT_ADDRESS, PCI_PORT_DATA };

struct pci_ports {
    uint32_t (*read)(enum pci_port port);
    void (*write)(enum pci_port port, uint32_t value);
};

// Whether there is a host that answers at these ports.
[[nodiscard]] bool pci_ports_answer(const struct pci_ports *ports);

// One aligned word of the function `requester` (bus, device, function). Behind the 256 bytes are
// all ones, and writes are lost.
uint32_t pci_ports_read(const struct pci_ports *ports, uint16_t requester, uint32_t offset);
void pci_ports_write(const struct pci_ports *ports, uint16_t requester, uint32_t offset,
                     uint32_t value);
