// SPDX-License-Identifier: MIT
//
// The windows through which a PCI host passes addresses on to its bus, and the choice of places
// in them for base address registers that the firmware left unassigned. Pure.
#pragma once

#include <stdint.h>

constexpr unsigned PCI_WINDOWS = 4;
constexpr unsigned PCI_PLACES = 256;
constexpr unsigned PCI_VECTOR_PAGES = 32;

struct pci_window {
    uint64_t bus_address; // what stands in the register
    uint64_t cpu_address; // where the CPU finds it
    uint64_t bytes;
    bool wide; // in a 64-bit space: only for 64-bit registers
};

struct pci_space {
    // No windows at all: those of the host are not known, the firmware's addresses are believed,
    // and nothing can be assigned.
    struct pci_window windows[PCI_WINDOWS];
    unsigned window_count;
    struct {
        uint64_t start, bytes; // on the bus
    } places[PCI_PLACES];
    unsigned place_count;
    // Pages in which MSI-X tables lay. The kernel keeps those for ever, so that where a device went,
    // the next one has its table there, or nothing.
    uint64_t vectors[PCI_VECTOR_PAGES]; // on the bus
    unsigned vector_count;
};

// The pages of a base address register that hold an MSI-X table: [first, end), empty if none do.
struct pci_vector_pages {
    uint64_t first, end; // offsets
};

// Takes note of a place that is in use already. false: it is in no window, or somebody has it.
[[nodiscard]] bool pci_space_keep(struct pci_space *space, uint64_t address, uint64_t bytes);

// Finds a free place, aligned to its size and to at least a page, so that no two devices share
// one. Wide registers prefer wide windows. What lay where MSI-X tables were does not get there, but
// with its own table. false: there is none.
[[nodiscard]] bool pci_space_place(struct pci_space *space, uint64_t bytes, bool wide,
                                   struct pci_vector_pages vectors, uint64_t *address);

// Takes note of the MSI-X table of what lies at `address`.
void pci_space_note_vectors(struct pci_space *space, uint64_t address,
                            struct pci_vector_pages vectors);

// All places are free again. Pages of MSI-X tables stay what they are.
void pci_space_clear(struct pci_space *space);

// Where the CPU finds a range of bus addresses. false: in no window.
[[nodiscard]] bool pci_space_translate(const struct pci_space *space, uint64_t bus_address,
                                       uint64_t bytes, uint64_t *cpu_address);
