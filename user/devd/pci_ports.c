// SPDX-License-Identifier: MIT
//
// See pci_ports.h.

#include "pci_ports.h"

constexpr uint32_t ADDRESS_ENABLE = 1u << 31;
constexpr uint32_t REACH_BYTES = 256;

// The address register keeps what is written; where there is none, nothing does.
bool pci_ports_answer(const struct pci_ports *ports)
{
    constexpr uint32_t probes[] = {ADDRESS_ENABLE, ADDRESS_ENABLE | 0xff'fffc};
    const uint32_t before = ports->read(PCI_PORT_ADDRESS);
    bool answers = true;
    for (unsigned i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
        ports->write(PCI_PORT_ADDRESS, probes[i]);
        answers &= ports->read(PCI_PORT_ADDRESS) == probes[i];
    }
    ports->write(PCI_PORT_ADDRESS, before);
    return answers;
}

static bool aim(const struct pci_ports *ports, uint16_t requester, uint32_t offset)
{
    if (offset >= REACH_BYTES)
        return false;
    ports->write(PCI_PORT_ADDRESS, ADDRESS_ENABLE | (uint32_t)requester << 8 | (offset & 0xfc));
    return true;
}

uint32_t pci_ports_read(const struct pci_ports *ports, uint16_t requester, uint32_t offset)
{
    return aim(ports, requester, offset) ? ports->read(PCI_PORT_DATA) : UINT32_MAX;
}

void pci_ports_write(const struct pci_ports *ports, uint16_t requester, uint32_t offset,
                     uint32_t value)
{
    if (aim(ports, requester, offset))
        ports->write(PCI_PORT_DATA, value);
}
