// SPDX-License-Identifier: MIT
//
// What is on the disk: the file `disk` of the boot bundle, which init hands over as memory that can be read and
// nothing else. init keeps it, so that it outlives every incarnation of the driver. It is looked at through
// one window that moves, so that a disk of any size costs the driver's account the same.
#pragma once

#include <stdint.h>

#include <sdk/syscalls.h>

struct store {
    vmo_t memory;
    uint64_t bytes;         // a multiple of the page size
    uint64_t window;        // the address where a part of it is mapped
    uint64_t mapped, where; // how many bytes are mapped there now, and from which offset on
};

// Takes the memory. Errors: INVALID: it is empty; those of object_inspect.
[[nodiscard]] status_t store_open(struct store *store, vmo_t memory);

// Copies from the disk. The range is in it. Errors: those of vm_map.
[[nodiscard]] status_t store_read(struct store *store, uint64_t offset, uint8_t *to,
                                  uint64_t bytes);
