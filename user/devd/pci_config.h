// SPDX-License-Identifier: MIT
//
// What a PCI function says about itself in its configuration space: identity, base address
// registers with their sizes, and the capabilities that devd uses (MSI-X, virtio). Pure: config
// space is reached through two functions, so that garbage can be parsed on the host.
//
// The device is not trusted: a capability list that loops, leads outside or overlaps nothing
// sensible ends where it stops making sense; a base address register whose size is no power of
// two is left out.
//
// Sources: PCI Local Bus Specification 3.0, 6.1, 6.2.5.1, 6.7, 6.8.2; PCI-to-PCI Bridge
// Architecture Specification 1.2, 3.2; Virtio 1.2, 4.1.4.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Access to the configuration space of one function: aligned 32-bit words.
struct pci_config {
    uint32_t (*read)(struct pci_config *config, uint32_t offset);
    void (*write)(struct pci_config *config, uint32_t offset, uint32_t value);
};

constexpr unsigned PCI_BARS = 6;

enum pci_bar_kind : uint8_t { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEMORY };

struct pci_bar {
    enum pci_bar_kind kind;
    bool wide;        // 64 bits: it takes the next register too
    uint64_t address; // on the bus; 0: not assigned
    uint64_t bytes;   // a power of two
};

struct pci_msix {
    uint16_t capability; // its offset; 0: none
    uint16_t vectors;
    uint8_t table_bar, pending_bar;
    uint32_t table_offset, pending_offset;
};

// Virtio 1.2, 4.1.4: cfg_type
enum pci_virtio_kind : uint8_t {
    PCI_VIRTIO_COMMON = 1,
    PCI_VIRTIO_NOTIFY = 2,
    PCI_VIRTIO_ISR = 3,
    PCI_VIRTIO_DEVICE = 4,
    PCI_VIRTIO_KINDS = 5,
};

struct pci_virtio_region {
    uint32_t bytes; // 0: absent
    uint32_t offset;
    uint8_t bar;
};

struct pci_function {
    uint16_t vendor, device;
    uint32_t class_code; // class, subclass, interface: 24 bits
    bool bridge, multifunction;
    uint8_t secondary_bus, subordinate_bus; // of a bridge; 0: not set up
    uint8_t interrupt_pin;                  // 1 to 4; 0: none
    struct pci_bar bars[PCI_BARS];
    struct pci_msix msix;
    struct pci_virtio_region virtio[PCI_VIRTIO_KINDS]; // by kind; 0 is unused
    uint32_t virtio_notify_multiplier;
};

// Reads all of it. Sizing the registers switches the function's decoding off for a moment. false:
// no function is there.
[[nodiscard]] bool pci_function_read(struct pci_config *config, struct pci_function *function);

// Gives a memory BAR an address; decoding must be off.
void pci_bar_assign(struct pci_config *config, struct pci_function *function, unsigned bar,
                    uint64_t address);

enum pci_command : uint32_t {
    PCI_COMMAND_IO = 1 << 0,
    PCI_COMMAND_MEMORY = 1 << 1,
    PCI_COMMAND_BUS_MASTER = 1 << 2,
    PCI_COMMAND_LINE_OFF = 1 << 10,
};

// Clears and sets bits of the command register.
void pci_command_change(struct pci_config *config, uint32_t clear, uint32_t set);

// Switches MSI-X on or off as a whole. The vectors' own masks are the kernel's.
void pci_msix_switch(struct pci_config *config, const struct pci_msix *msix, bool on);
