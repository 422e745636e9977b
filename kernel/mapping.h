// SPDX-License-Identifier: MIT
//
// Between a mapping's operations (mapping.c) and its entries in the page table (mapping_entries.c):
// each function does at most a step's worth, and says by the mapping's cursors how far it came.
#pragma once

#include "vm.h"

// Where page `page` of the mapping is shown.
static inline uint64_t mapping_address(const struct mapping *mapping, uint64_t page)
{
    return mapping->address + (page << PAGE_SHIFT);
}

// Sets entries from `cursor` on, and holds their frames; or takes an empty table out of the way of a large
// page (`old_table`), which is flushed next. The address space and the VMO are locked.
void mapping_set_some(struct mapping *mapping) NO_THREAD_SAFETY;

// Gives entries from `changed` on the mapping's protection. The address space is locked.
void mapping_change_some(struct mapping *mapping);

// Clears entries below `cursor`, from the end. The frames are still held.
void mapping_clear_some(struct mapping *mapping) NO_THREAD_SAFETY;

// Nobody can reach them any more: lets go of frames below `held`, from the end.
void mapping_release_some(struct mapping *mapping) NO_THREAD_SAFETY;
