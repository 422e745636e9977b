// SPDX-License-Identifier: MIT
//
// See windows.h.

#include "windows.h"

#include <lib/types.h>

static bool inside(const struct pci_window *window, uint64_t address, uint64_t bytes)
{
    return address >= window->bus_address && bytes <= window->bytes &&
           address - window->bus_address <= window->bytes - bytes;
}

// The place that overlaps the range, or null.
static bool taken(const struct pci_space *space, uint64_t address, uint64_t bytes, uint64_t *end)
{
    for (unsigned i = 0; i < space->place_count; i++) {
        uint64_t start = space->places[i].start, length = space->places[i].bytes;
        if (address < start + length && start < address + bytes) {
            *end = start + length;
            return true;
        }
    }
    return false;
}

static bool note(struct pci_space *space, uint64_t address, uint64_t bytes)
{
    if (space->place_count == PCI_PLACES)
        return false;
    space->places[space->place_count].start = address;
    space->places[space->place_count].bytes = bytes;
    space->place_count++;
    return true;
}

bool pci_space_keep(struct pci_space *space, uint64_t address, uint64_t bytes)
{
    uint64_t cpu, end;
    if (address == 0 || bytes == 0 || address > UINT64_MAX - bytes)
        return false;
    return pci_space_translate(space, address, bytes, &cpu) &&
           !taken(space, address, bytes, &end) && note(space, address, bytes);
}

// Whether something other than a table would come to lie where one was.
static bool meets_vectors(const struct pci_space *space, uint64_t address, uint64_t bytes,
                          struct pci_vector_pages own)
{
    for (unsigned i = 0; i < space->vector_count; i++) {
        uint64_t page = space->vectors[i];
        if (page < address || page - address >= bytes)
            continue;
        if (page - address < own.first || page - address >= own.end)
            return true;
    }
    return false;
}

static bool place_in(struct pci_space *space, const struct pci_window *window, uint64_t bytes,
                     struct pci_vector_pages vectors, uint64_t *address)
{
    uint64_t alignment = bytes < PAGE_SIZE ? PAGE_SIZE : bytes;
    uint64_t at = window->bus_address == 0 ? alignment : window->bus_address; // 0: unassigned
    for (;;) {
        uint64_t end;
        if (at > UINT64_MAX - alignment)
            return false;
        at = align_up(at, alignment);
        if (!inside(window, at, alignment))
            return false;
        if (taken(space, at, alignment, &end)) {
            at = end;
        } else if (meets_vectors(space, at, alignment, vectors)) {
            at++; // to the next place
        } else {
            *address = at;
            return note(space, at, alignment);
        }
    }
}

bool pci_space_place(struct pci_space *space, uint64_t bytes, bool wide,
                     struct pci_vector_pages vectors, uint64_t *address)
{
    if (bytes == 0 || (bytes & (bytes - 1)) != 0)
        return false;
    for (unsigned i = 0; wide && i < space->window_count; i++)
        if (space->windows[i].wide && place_in(space, &space->windows[i], bytes, vectors, address))
            return true;
    for (unsigned i = 0; i < space->window_count; i++)
        if (!space->windows[i].wide && place_in(space, &space->windows[i], bytes, vectors, address))
            return true;
    return false;
}

void pci_space_note_vectors(struct pci_space *space, uint64_t address,
                            struct pci_vector_pages vectors)
{
    for (uint64_t offset = vectors.first; offset < vectors.end; offset += PAGE_SIZE) {
        bool known = false;
        for (unsigned i = 0; i < space->vector_count; i++)
            known |= space->vectors[i] == address + offset;
        if (!known && space->vector_count < PCI_VECTOR_PAGES)
            space->vectors[space->vector_count++] = address + offset;
    }
}

void pci_space_clear(struct pci_space *space)
{
    space->place_count = 0;
}

bool pci_space_translate(const struct pci_space *space, uint64_t bus_address, uint64_t bytes,
                         uint64_t *cpu_address)
{
    *cpu_address = bus_address;
    for (unsigned i = 0; i < space->window_count; i++) {
        const struct pci_window *window = &space->windows[i];
        if (inside(window, bus_address, bytes)) {
            *cpu_address = window->cpu_address + (bus_address - window->bus_address);
            return true;
        }
    }
    return space->window_count == 0;
}
