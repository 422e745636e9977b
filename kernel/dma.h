// SPDX-License-Identifier: MIT
//
// DMA spaces and pins. Without an IOMMU a DMA space is the identity: device addresses are
// physical ones, and the driver is trusted not to aim its device elsewhere.
//
// A pin keeps a slice of a VMO in memory and reachable for one device. M4: its frames cannot be
// freed or reused. It ends by pin_release, the driver's word that the device is done. A pin whose
// driver dies first goes into quarantine, keyed by device, and stays until whoever owns the
// device says that it is quiet.
//
//   ACTIVE -> RELEASED | QUARANTINED -> RELEASED
#pragma once

#include "account.h"
#include "vm.h"

struct dmaspace {
    struct object object;
    uint64_t device; // requester id
};
OBJECT_BODY(dmaspace);

enum pin_state : uint8_t { PIN_ACTIVE, PIN_QUARANTINED, PIN_RELEASED, PIN_STATES };

struct pin {
    struct object object;
    struct vmo *vmo;
    uint64_t device;
    uint64_t first, pages; // of the VMO; of a pin that ends, those that are still held
    uint64_t direction;    // enum abi_direction
    // What a pin always pays for, so that the memory can outlive whoever made it.
    uint64_t charged_pages, charged_objects;
    struct tree_node quarantine_node; // guarded by the quarantine's lock, like `quiet` and, while
    bool quiet;                       // the pin is there, object.account
};
OBJECT_BODY(pin);

void dma_init(void);
uint64_t dma_quarantined_pages(void);

// Moves one quarantined pin of a dying account to its parent. false: there is none.
bool quarantine_move_up(struct account *account);

enum step pin_teardown(struct object *object);
void pin_inspect(struct object *object, struct abi_inspect *out);
void dmaspace_inspect(struct object *object, struct abi_inspect *out);
