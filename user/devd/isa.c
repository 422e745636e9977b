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
    struct pci_host *host = &tree->hosts[tree->host_count++];
    *host = (struct pci_host){.ports = &ports, .last_bus = UINT8_MAX};
    pci_host_send_messages(host, 0);
    return true;
}

void isa_add_serial(struct tree *tree)
{
    struct node *node = tree_add(tree);
    if (node == nullptr)
        return;
    (void)text_copy(node->name, sizeof(node->name), "com1");
    node_add_compatible(node, "ns16550a");
    node->ranges[node->range_count++] =
        (struct node_range){.base = ISA_COM1, .bytes = ISA_COM1_PORTS, .io = true};
    node->interrupts[node->interrupt_count++] =
        (struct node_interrupt){.line = ISA_COM1_INTERRUPT, .trigger = TRIGGER_EDGE};
}
