// SPDX-License-Identifier: MIT
//
// Machine: the only mint of device authority. What is exclusive (registers, ports, lines) is
// minted once at a time. Message-vector tables belong to the kernel: no VMO covers one.
#pragma once

#include "account.h"
#include "vm.h"

struct boot_info;

constexpr unsigned VECTOR_ENTRY_BYTES = 16; // of an MSI-X table (PCI 3.0, 6.8.2.6)

struct machine {
    struct object object;
};
OBJECT_BODY(machine);

struct iorange {
    struct object object;
    struct tree_node node; // guarded by the machine's lock
    uint32_t base, count;
};
OBJECT_BODY(iorange);

void machine_init(const struct boot_info *boot);

// The Machine object that the first process gets, which nothing ends; machine_tell raises signals on it. No
// lock is held.
void machine_opened(struct object *object);
void machine_tell(uint32_t signals);

// A device VMO has ended: its range can be minted again.
void machine_memory_returned(struct vmo *vmo);

// Whether any part of the range is the kernel's own: RAM, its image, the boot bundle.
bool machine_owns(uint64_t start, uint64_t end);

// Takes an entry of the message-vector table at `table`, for one interrupt at a time, filed by `node`, and
// the pages from the table's first to the entry's last for the kernel, for ever; where `table` is 0, an MSI
// capability, whose page remains whoever's it is. `*mapped` is the entry.
// OVERLAP: another interrupt has a part of it, a page is minted or what the kernel drives is in it, or there
// is no room for so many. NO_RESOURCE: no room to map it.
[[nodiscard]] status_t machine_vector_take(struct tree_node *node, uint64_t table, uint64_t entry,
                                           uint8_t **mapped);
void machine_vector_returned(struct tree_node *node);

enum step iorange_teardown(struct object *object);
void iorange_inspect(struct object *object, struct abi_inspect *out);
