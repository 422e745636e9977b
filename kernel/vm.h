// SPDX-License-Identifier: MIT
//
// Memory: VMOs own frames, mappings tie a range of a VMO to a range of an address space, and
// map and unmap are the only mutators of page tables.
//
// Shared memory is paid by everyone who maps or pins it: a mapping in an account other than the
// VMO's pays for its pages, the VMO's index and the VMO's slot, so that the VMO outlives its own
// account at no one's expense (ORPHANED).
//
// A slice is a VMO that shows a range of another one, the whole, which has the pages (slice.c).
//
//   VMO       FILLING -> READY -> ORPHANED     (teardown waits for mappings and pins)
//   mapping   POPULATING -> ACTIVE -> CLEARING
//
// Lock order: address space, then VMO.
#pragma once

#include <arch/arch.h>
#include <lib/tree.h>

#include "account.h"
#include "counter.h"
#include "tlb.h"

struct cpu;
struct mapping;
struct process;

constexpr uint64_t VMO_MAX_PAGES = 1u << 18; // 1 GiB
constexpr unsigned VM_STEP_PAGES = 48;       // let go of in one step
// What one step does about entries: as many pages, or what costs as much.
constexpr unsigned VM_STEP_COST = 144;
constexpr unsigned VM_CODE_COST =
    3; // of a page of code, which is synchronised, or of an entry's change
constexpr unsigned VM_LARGE_COST = 36;   // of a large page: 512 frames are counted
constexpr unsigned VM_STEP_LOOKS = 1536; // at entries of tables, for those to free
constexpr uint64_t LARGE_PAGES = 512, LARGE_BYTES = LARGE_PAGES * PAGE_SIZE;
constexpr unsigned VMO_FILL_STEP_PAGES = 16;    // allocated and zeroed, or freed, in one step
constexpr unsigned VMO_RETIRE_STEP_PAGES = 256; // of a block: nothing is freed with each

// ---- address spaces

struct aspace {
    struct object object; // its lock guards all of this
    paddr_t root;
    uint16_t asid;
    struct tree mappings; // by first address
    uint64_t pages;       // mapped
    uint64_t large_pages; // entries that show 2 MiB each
    uint64_t table_pages; // charged
    struct process *process;
    struct tlb_holders holders;
    _Atomic bool quiet; // no thread of the process will run again
    bool left;          // no CPU translates through it any more; of its teardown
};
OBJECT_BODY(aspace);

// ---- VMOs

enum vmo_state : uint8_t { VMO_FILLING, VMO_READY, VMO_ORPHANED, VMO_STATES };

constexpr unsigned VMO_INLINE_PAGES = 16;
constexpr unsigned VMO_LEAF_PAGES = PAGE_SIZE / sizeof(uint32_t);

struct vmo {
    struct object object; // its lock guards all of this
    uint64_t pages;
    bool device, tables;        // tables: cached, read-only
    bool linear;                // device memory or a block: no index, all at device_base
    struct block block;         // of contiguous memory; none: frames of all kinds of places
    _Atomic bool revoked;       // taken away on purpose: mappings go too
    uint64_t device_base;       // physical
    struct tree_node mint_node; // guarded by the machine's lock
    uint64_t filled;            // pages that have frames
    uint64_t cursor;            // of freeing
    uint64_t charged_pages;     // to its account: pages and index
    uint32_t mapping_count, pin_count;
    uint32_t unpaid;      // mappings of its own account, which pay for nothing
    uint32_t populating;  // mappings that still take pages: while there are any, none is freed
    struct list mappings; // by vmo_node; of a slice, by slice_node, guarded by the whole's lock
    // Guarded by the whole's lock: cut out of it, by slice_node, and those of them that it has ended.
    struct list slices, ending_slices;
    struct object_ref whole; // of a slice: who has the pages
    uint64_t first;          // page of the whole, where a slice begins
    union {
        // Frame numbers + 1 (0: none): in the slot, in one leaf, or in a root of leaves.
        uint32_t inlined[VMO_INLINE_PAGES];
        uint32_t *leaf;
        uint32_t **root;
        struct {                         // of a slice
            struct object_ref parent;    // what it is cut out of
            struct list_node slice_node; // guarded by the whole's lock
            struct counter shown;        // mappings made through it; written under the whole's lock
        };
    };
};
OBJECT_BODY(vmo);

static inline struct vmo *vmo_of(struct object *object)
{
    return (struct vmo *)(void *)object;
}

// Pages of index that a VMO of this size needs, where its frames are not in one block.
uint64_t vmo_index_pages(uint64_t pages);

// What shows or pins so many of its pages in another account's name pays: those and the index.
uint64_t vmo_share_pages(const struct vmo *vmo, uint64_t pages);

// The address of a page. The VMO is locked, or cannot change (mapped or pinned).
paddr_t vmo_page(struct vmo *vmo, uint64_t page);

// The addresses of `count` pages from `page` on.
void vmo_frames(struct vmo *vmo, uint64_t page, unsigned count, paddr_t *out);

void vmo_lists_init(struct vmo *vmo);

// Whether so many pages from `page` on lie side by side. The VMO as for vmo_page.
bool vmo_adjacent(struct vmo *vmo, uint64_t page, uint64_t pages);

// One mapping or pin of a page less. The VMO is locked; afterwards its teardown may go on.
void vmo_page_released_locked(struct vmo *vmo, uint64_t page) REQUIRES(vmo->object.lock);
void vmo_user_gone_locked(struct vmo *vmo) REQUIRES(vmo->object.lock);

// A VMO over physical memory that is not the kernel's: device registers or firmware tables.
// Not published.
[[nodiscard]] status_t vmo_create_physical(struct object_ref account, uint64_t start,
                                           uint64_t pages, bool tables, struct vmo **out);

// ---- slices (slice.c)

static inline bool vmo_is_slice(const struct vmo *vmo)
{
    return vmo->whole.object;
}

// From a slice that is locked to the whole: locked instead of it. Locks of lower ranks may be held.
// nullptr: one of the two has gone, and neither is locked.
[[nodiscard]] struct vmo *slice_to_whole(struct object_ref slice) NO_THREAD_SAFETY;

// A mapping is made through a slice, with its offset in that; or it goes. The whole is locked.
void slice_mapped(struct vmo *slice, struct mapping *mapping);
void slice_unmapped(struct mapping *mapping);

// A step of the end of all slices of a VMO that ends itself; `revoke`: with what is mapped through
// them. STEP_DONE: there are none.
enum step slices_end(struct vmo *vmo, bool revoke);
enum step slice_teardown(struct vmo *slice);

enum step vmo_teardown(struct object *object);
void vmo_inspect(struct object *object, struct abi_inspect *out);
void vmo_check(struct object *object);

// ---- mappings

enum mapping_state : uint8_t {
    MAPPING_POPULATING,
    MAPPING_ACTIVE,
    MAPPING_PROTECTING,
    MAPPING_CLEARING,
    MAPPING_STATES,
};

struct mapping {
    struct object object;
    struct tree_node node; // guarded by the address space's lock
    struct aspace *aspace;
    struct vmo *vmo;           // nullptr: a message buffer
    struct list_node vmo_node; // guarded by the VMO's lock, as are the next two
    struct vmo *slice;         // that it was made through; nullptr: none
    struct list_node slice_node;
    uint64_t address, pages, offset_pages;
    uint64_t cursor;            // pages whose entries are set; clearing counts down
    uint64_t held;              // pages whose frames it holds: let go of after the flush
    bool flushed;               // all that was cleared
    bool populating;            // counted by the VMO; guarded by the VMO's lock
    uint64_t protection;        // guarded by the address space's lock
    uint64_t wanted_protection; // PROTECTING
    uint64_t changed;           // pages whose entries say so; flushed once all do
    paddr_t old_table;          // that stood where a large page is to be; freed after the flush
    uint64_t synced;     // pages that instruction fetches may see, where a large entry follows
    uint32_t vmo_rights; // of the handle that it was made with
    paddr_t buffer;
    struct object *buffer_thread;            // waits for the end of its buffer's mapping
    uint64_t charged_pages, charged_objects; // for a VMO of another account
    uint64_t charged_tables;                 // reserved for the page table, not yet used
};
OBJECT_BODY(mapping);

static inline struct mapping *mapping_of(struct object *object)
{
    return (struct mapping *)(void *)object;
}

// `account` is charged for it already: a page and an object. It is not published.
[[nodiscard]] status_t aspace_new(struct account *account, struct aspace **out);
void aspace_discard(struct aspace *aspace); // and the charge for its page

// Makes this CPU translate through no address space. For tlb_enter.
void aspace_load_kernel(void);

// Maps one kernel-owned frame as a thread's message buffer. Errors as vm_map. The mapping goes
// before the thread's teardown frees the frame.
[[nodiscard]] status_t aspace_map_message_buffer(struct aspace *aspace, uint64_t address,
                                                 paddr_t page, struct object *thread,
                                                 struct object_ref *mapping);

// Maps at start-up, for the first process: populated before it returns.
[[nodiscard]] status_t aspace_map_now(struct aspace *aspace, struct vmo *vmo, uint64_t offset_pages,
                                      uint64_t address, uint64_t pages, uint64_t protection);
[[nodiscard]] status_t vmo_create_now(struct object_ref account, uint64_t pages, struct vmo **out);

enum step aspace_teardown(struct object *object);
enum step mapping_teardown(struct object *object);
void mapping_settled_locked(struct object *object) REQUIRES(object->lock);
void aspace_inspect(struct object *object, struct abi_inspect *out);
void vm_init(void);

// ---- page tables (pagetable.c): the only writer of user page-table entries

// How many table pages [address, address + pages) still lacks. `large`: where no table stands, large
// pages will be put as far as whole ones fit.
uint64_t pagetable_missing(struct aspace *aspace, uint64_t address, uint64_t pages, bool large);

// Shows frames in `count` entries of one table, adding tables from what was reserved (`*reserved` counts
// down).
void pagetable_set(struct aspace *aspace, uint64_t address, const paddr_t *pages, unsigned count,
                   uint64_t protection, enum arch_memory memory, uint64_t *reserved);

// The same for a large page. An empty table that still stands there is taken away first: true if there was
// one. The caller flushes before he frees it and puts the large page.
bool pagetable_take_empty(struct aspace *aspace, uint64_t address, paddr_t *table);
void pagetable_set_large(struct aspace *aspace, uint64_t address, pte_t leaf, uint64_t *reserved);

// Changes the protection of an entry that is set, to a leaf of its kind. The caller flushes.
void pagetable_change(struct aspace *aspace, uint64_t address, pte_t leaf);

// Clears the entry of `address` and those before it in its table, `count` in all; or the large page that
// it is in. Returns how many pages are no longer shown. The caller flushes.
uint64_t pagetable_clear(struct aspace *aspace, uint64_t address, unsigned count);

// The entry that shows an address, maybe a large one; or none.
pte_t pagetable_get(struct aspace *aspace, uint64_t address);

// Frees one empty-of-mappings table below the root; counts the entries that it looked at. false: there
// is none.
bool pagetable_free_one(struct aspace *aspace, unsigned *looked);
