// SPDX-License-Identifier: MIT
//
// See isa.h.

#include "isa.h"

#include <lib/string.h>
#include <sdk/start.h>
#include <sdk/syscalls.h>

#include "isa_facts.h"

static iorange_t pci_range;

static uint32_t pci_read(enum pci_port port)
{
    uint64_t value = UINT32_MAX;
    (void)io_read(pci_range, port == PCI_PORT_ADDRESS ? 0 : 4, 4, &value);
    return (uint32_t)value;
}

static void pci_write(enum pci_port port, uint32_t value)
{
    (void)io_write(pci_range, port == PCI_PORT_ADDRESS ? 0 : 4, 4, value);
}

bool isa_find_pci(struct tree *tree)
{
    static const struct pci_ports ports = {pci_read, pci_write};
    if (tree->host_count == PCI_HOSTS || machine_io_range(start.machine, start.account, ISA_PCI,
                                                          ISA_PCI_PORTS, &pci_range) != STATUS_OK)
        return false;
    if (!pci_ports_answer(&ports)) {
        (void)object_destroy((handle_t){pci_range.value});
        (void)handle_close((handle_t){pci_range.value});
        return false;
    }
    tree_add_port_host(
        tree, &ports,
        &(struct hwtree_range){.base = ISA_PCI, .bytes = ISA_PCI_PORTS, .space = HWTREE_SPACE_IO});
    return true;
}
