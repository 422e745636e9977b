// SPDX-License-Identifier: MIT
//
// What a PCI function says about itself in its configuration space: identity, base address
// registers with their sizes, and the capabilities that devd uses (MSI, MSI-X, PCI Express, virtio). Pure: config
// space is reached through two functions, so that garbage can be parsed on the host.
//
// The device is not trusted: a capability list that loops, leads outside or overlaps nothing
// sensible ends where it stops making sense; a base address register whose size is no power of
// two is left out.
//
// Sources: PCI Local Bus Specification 3.0, 6.1, 6.2.5.1, 6.7, 6.8; PCI-to-PCI Bridge
// Architecture Specification 1.2, 3.2; PCI Express Base Specification 5.0, 7.5.3; Virtio 1.2, 4.1.4.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Access to the configuration space of one function: aligned 32-bit words; halves of them where
// what stands beside must not be written. `write_half` may be null: there is no such way.
struct pci_config {
    uint32_t (*read)(struct pci_config *config, uint32_t offset);
    void (*write)(struct pci_config *config, uint32_t offset, uint32_t value);
    void (*write_half)(struct pci_config *config, uint32_t offset, uint16_t value);
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

// What a port of PCI Express says of the slot behind it. PCI Express 5.0, 7.5.3.
struct pci_express {
    uint16_t capability; // its offset; 0: it is no port, or nothing can be plugged in behind it
    uint8_t vector;      // of its messages: where its events go
    bool link_reports;   // it tells whether the link is active
    bool button, power_controller, no_command_completed;
    uint16_t slot; // its number, as it stands on the chassis
};

struct pci_function {
    uint16_t vendor, device;
    uint32_t class_code; // class, subclass, interface: 24 bits
    bool bridge, multifunction;
    uint8_t secondary_bus, subordinate_bus; // of a bridge; 0: not set up
    uint8_t interrupt_pin;                  // 1 to 4; 0: none
    struct pci_bar bars[PCI_BARS];
    struct pci_msix msix;
    uint16_t msi; // its capability's offset; 0: none. The kernel writes it
    struct pci_express express;
    struct pci_virtio_region virtio[PCI_VIRTIO_KINDS]; // by kind; 0 is unused
    uint32_t virtio_notify_multiplier;
};

// Whether a function answers at all.
[[nodiscard]] bool pci_answers(struct pci_config *config);

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

// Which buses are behind a bridge: its own, the first and the last behind it. PCI-to-PCI Bridge 1.2,
// 3.2.5.2 to 3.2.5.4.
void pci_bridge_number(struct pci_config *config, uint8_t primary, uint8_t secondary,
                       uint8_t subordinate);

// What a bridge passes on: two windows, of memory and of memory that may be prefetched; a window of
// 0 bytes is closed. PCI-to-PCI Bridge 1.2, 3.2.5.8 to 3.2.5.10.
struct pci_bridge_window {
    uint64_t address, bytes;
};
enum pci_bridge_windows : uint8_t { PCI_BRIDGE_MEMORY, PCI_BRIDGE_PREFETCH, PCI_BRIDGE_WINDOWS };
constexpr uint64_t PCI_BRIDGE_UNIT = 1 << 20; // of their addresses and lengths
void pci_bridge_windows(struct pci_config *config,
                        struct pci_bridge_window windows[static PCI_BRIDGE_WINDOWS]);

// Opens the window of memory, below 4 GiB and in units, and closes the others.
void pci_bridge_open(struct pci_config *config, uint64_t address, uint64_t bytes);

// Clears and sets bits of the command register.
void pci_command_change(struct pci_config *config, uint32_t clear, uint32_t set);

// Switches MSI-X on or off as a whole. The vectors' own masks are the kernel's.
void pci_msix_switch(struct pci_config *config, const struct pci_msix *msix, bool on);
