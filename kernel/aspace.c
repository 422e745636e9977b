// SPDX-License-Identifier: MIT
//
// Address spaces and mappings: map, unmap, and their teardown, in bounded steps. See vm.h.
#include <lib/string.h>

#include "cpu.h"
#include "frame.h"
#include "handlers.h"
#include "process.h"
#include "thread.h"
#include "vm.h"

static paddr_t kernel_root; // what a CPU translates user addresses through when no process may

// Address-space numbers in use, where the machine has them; 0 is the kernel's.
constexpr uint32_t ASID_MAX = 65535;
static struct {
    struct spinlock lock;
    uint32_t limit;
    uint64_t used[(ASID_MAX + 1) / 64] GUARDED_BY(&lock);
} asids;

void vm_init(void) NO_THREAD_SAFETY
{
    lock_init(&asids.lock, RANK_SLOTS);
    asids.limit = arch_asid_limit();
    ASSERT(asids.limit <= ASID_MAX);
    memset(asids.used, 0xff, sizeof asids.used); // what is not there is never free
    for (uint32_t number = 1; number <= asids.limit; number++)
        asids.used[number / 64] &= ~(1ull << number % 64);
    kernel_root = frame_allocate(FRAME_TABLE, nullptr);
    arch_root_init(arch_ram(kernel_root));
}

static status_t asid_allocate(uint16_t *out)
{
    *out = 0;
    if (asids.limit == 0)
        return STATUS_OK;
    if (RUNS_OUT("address-space numbers"))
        return STATUS_NO_RESOURCE;
    status_t status = STATUS_NO_RESOURCE;
    lock_acquire(&asids.lock);
    for (uint32_t word = 0; word < ARRAY_SIZE(asids.used) && status != STATUS_OK; word++) {
        uint64_t free = ~asids.used[word];
        if (!free)
            continue;
        uint32_t number = word * 64 + (uint32_t)__builtin_ctzll(free);
        asids.used[word] |= 1ull << number % 64;
        *out = (uint16_t)number;
        status = STATUS_OK;
    }
    lock_release(&asids.lock);
    return status;
}

static void asid_free(uint16_t asid)
{
    if (asid == 0)
        return;
    arch_tlb_flush_asid(asid); // before its next owner loads it (M6)
    lock_acquire(&asids.lock);
    asids.used[asid / 64] &= ~(1ull << asid % 64);
    lock_release(&asids.lock);
}

void aspace_load_kernel(void)
{
    arch_root_load(kernel_root, 0);
}

status_t aspace_new(struct account *account, struct aspace **out)
{
    uint16_t asid;
    status_t status = asid_allocate(&asid);
    if (status != STATUS_OK)
        return status;
    struct object *object = object_new(account, OBJECT_ASPACE);
    struct aspace *aspace = (struct aspace *)(void *)object;
    aspace->root = frame_allocate(FRAME_TABLE, object);
    aspace->asid = asid;
    arch_root_init(arch_ram(aspace->root));
    *out = aspace;
    return STATUS_OK;
}

void aspace_discard(struct aspace *aspace)
{
    frame_free(aspace->root);
    asid_free(aspace->asid);
    account_uncharge(aspace->object.account, 1, 0);
    object_discard(&aspace->object);
}

// ---- mapping

static bool range_valid(uint64_t address, uint64_t pages)
{
    return address % PAGE_SIZE == 0 && pages > 0 && address >= ABI_USER_MIN &&
           address < ABI_USER_MAX && pages <= (ABI_USER_MAX - address) >> PAGE_SHIFT;
}

static bool overlaps(const struct aspace *aspace, uint64_t address, uint64_t pages)
{
    uint64_t end = address + (pages << PAGE_SHIFT);
    struct tree_node *node = tree_find_at_most(&aspace->mappings, end - 1);
    if (!node)
        return false;
    const struct mapping *before = CONTAINER_OF(node, struct mapping, node);
    return before->address + (before->pages << PAGE_SHIFT) > address;
}

// What a new mapping is to be; `vmo.object` nullptr: a message buffer.
struct wanted {
    struct object_ref vmo;
    uint64_t address, pages, offset_pages, protection;
    uint32_t vmo_rights;
    paddr_t buffer;
    struct object *buffer_thread;
};

// Whether the VMO, locked, can be mapped so. One that is found alive by a handle is READY.
static status_t vmo_allows(const struct vmo *vmo, const struct wanted *wanted)
    REQUIRES(vmo->object.lock)
{
    if (wanted->offset_pages > vmo->pages || wanted->pages > vmo->pages - wanted->offset_pages)
        return STATUS_INVALID;
    if ((wanted->protection & PROT_EXECUTE && vmo->device) ||
        (wanted->protection & PROT_WRITE && vmo->tables))
        return STATUS_INVALID;
    return STATUS_OK;
}

// Pays for a mapping and makes it. The address space and the VMO are locked.
static status_t mapping_make(struct aspace *aspace, struct vmo *vmo, const struct wanted *wanted,
                             struct mapping **out)
{
    struct account *account = aspace->object.account;
    if (overlaps(aspace, wanted->address, wanted->pages) && !SEEDED_BUG("M2 overlap"))
        return STATUS_OVERLAP;
    bool foreign = vmo && vmo->object.account != account && !SEEDED_BUG("M8");
    uint64_t pages = foreign && !vmo->device ? vmo_share_pages(vmo, wanted->pages) : 0;
    // Where it is known beforehand that frames lie side by side, and as large pages want them.
    bool large = vmo && vmo->linear &&
                 (vmo_page(vmo, wanted->offset_pages).value - wanted->address) % LARGE_BYTES == 0;
    uint64_t tables = pagetable_missing(aspace, wanted->address, wanted->pages, large);
    status_t status = account_charge(account, pages + tables, 1u + foreign);
    if (status != STATUS_OK)
        return status;
    struct object *object = object_new(account, OBJECT_MAPPING);
    struct mapping *mapping = mapping_of(object);
    CHECK(M8, !vmo || vmo->device || vmo->object.account == account || pages >= wanted->pages);
    mapping->aspace = aspace;
    mapping->vmo = vmo;
    mapping->address = wanted->address;
    mapping->pages = wanted->pages;
    mapping->offset_pages = wanted->offset_pages;
    mapping->protection = wanted->protection;
    mapping->vmo_rights = wanted->vmo_rights;
    mapping->buffer = wanted->buffer;
    mapping->buffer_thread = wanted->buffer_thread;
    mapping->charged_pages = pages;
    mapping->charged_objects = foreign;
    mapping->charged_tables = tables;
    tree_insert(&aspace->mappings, &mapping->node, mapping->address);
    if (vmo) {
        vmo->mapping_count++;
        vmo->unpaid += !foreign;
        vmo->populating++;
        mapping->populating = true;
        list_push_back(&vmo->mappings, &mapping->vmo_node);
    }
    *out = mapping;
    return STATUS_OK;
}

static enum step mapping_populate(struct object *object);

// Makes and files a mapping, nothing populated yet. Its operation is the caller's to run: whoever
// kills the mapping meanwhile, on another CPU, leaves the teardown to it.
static status_t mapping_create(struct object_ref aspace_ref, const struct wanted *wanted,
                               struct mapping **out) NO_THREAD_SAFETY
{
    if (!object_ref_lock(aspace_ref))
        return STATUS_GONE;
    struct aspace *aspace = (struct aspace *)(void *)aspace_ref.object;
    struct vmo *vmo = vmo_of(wanted->vmo.object), *slice = nullptr;
    status_t status = STATUS_OK;
    if (vmo && !object_lock_inner(wanted->vmo, RANK_VMO)) {
        object_unlock(&aspace->object);
        return STATUS_GONE;
    }
    if (vmo)
        status = vmo_allows(vmo, wanted);
    if (status == STATUS_OK && vmo && vmo_is_slice(vmo)) {
        slice = vmo;
        vmo = slice_to_whole(wanted->vmo);
        status = vmo ? STATUS_OK : STATUS_GONE;
    }
    if (status == STATUS_OK)
        status = mapping_make(aspace, vmo, wanted, out);
    if (status == STATUS_OK && slice)
        slice_mapped(slice, *out);
    // With both still locked: the end of a revoked VMO kills the mappings that it finds.
    if (status == STATUS_OK) {
        struct object *object = &(*out)->object;
        operation_claim(object, mapping_populate, sched_priority());
        object_publish(object);
    }
    if (vmo)
        object_unlock(&vmo->object);
    object_unlock(&aspace->object);
    return status;
}

static paddr_t page_of(const struct mapping *mapping, uint64_t page)
{
    return mapping->vmo ? vmo_page(mapping->vmo, mapping->offset_pages + page) : mapping->buffer;
}

static enum arch_memory memory_of(const struct mapping *mapping)
{
    const struct vmo *vmo = mapping->vmo;
    return vmo && vmo->device && !vmo->tables ? ARCH_MEMORY_DEVICE : ARCH_MEMORY_NORMAL;
}

static uint64_t protection_of(const struct mapping *mapping)
{
    return mapping->protection | (SEEDED_BUG("M2") ? PROT_WRITE : 0);
}

static uint64_t address_of(const struct mapping *mapping, uint64_t page)
{
    return mapping->address + (page << PAGE_SHIFT);
}

// Sets entries of one table, the next ones. The address space and the VMO are locked.
static void set_pages(struct mapping *mapping, unsigned count) NO_THREAD_SAFETY
{
    struct vmo *vmo = mapping->vmo;
    paddr_t pages[VM_STEP_COST];
    pages[0] = mapping->buffer;
    if (vmo)
        vmo_frames(vmo, mapping->offset_pages + mapping->cursor, count, pages);
    if (mapping->protection & PROT_EXECUTE)
        for (unsigned i = 0; i < count; i++)
            arch_code_sync(arch_ram(pages[i]), PAGE_SIZE);
    if ((!vmo || !vmo->device) && !SEEDED_BUG("M3"))
        frames_mapped(pages, count);
    pagetable_set(mapping->aspace, address_of(mapping, mapping->cursor), pages, count,
                  protection_of(mapping), memory_of(mapping), &mapping->charged_tables);
    mapping->cursor += count;
    mapping->held += count;
}

// Whether the next pages, of which there are enough, can be a large one. Where they need not lie side by side it costs a look at
// each, but only where the first lies as a large page would.
static bool large_next(const struct mapping *mapping)
{
    uint64_t address = address_of(mapping, mapping->cursor);
    return address % LARGE_BYTES == 0 &&
           page_of(mapping, mapping->cursor).value % LARGE_BYTES == 0 &&
           pagetable_large_fits(mapping->aspace, address) &&
           vmo_adjacent(mapping->vmo, mapping->offset_pages + mapping->cursor, LARGE_PAGES);
}

static void set_large(struct mapping *mapping) NO_THREAD_SAFETY
{
    paddr_t first = page_of(mapping, mapping->cursor);
    pagetable_set_large(mapping->aspace, address_of(mapping, mapping->cursor),
                        pte_make_large(first, protection_of(mapping), memory_of(mapping)),
                        &mapping->charged_tables);
    if (!mapping->vmo->device) {
        struct frame *frames = frame_of(first);
        for (unsigned i = 0; i < LARGE_PAGES; i++)
            frames[i].mappings++;
    }
    mapping->cursor += LARGE_PAGES;
    mapping->held += LARGE_PAGES;
}

// Before a large entry shows code: a part of its pages, as far as `*budget` goes. false: that is not all.
static bool sync_large(struct mapping *mapping, uint64_t page, unsigned *budget)
{
    if (!(mapping->protection & PROT_EXECUTE))
        return true;
    if (mapping->synced < page)
        mapping->synced = page;
    for (; *budget >= VM_CODE_COST && mapping->synced < page + LARGE_PAGES; mapping->synced++) {
        arch_code_sync(arch_ram(page_of(mapping, mapping->synced)), PAGE_SIZE);
        *budget -= VM_CODE_COST;
    }
    return mapping->synced == page + LARGE_PAGES;
}

// Changes the next entry: one page, or a large one once all of its code can be fetched.
static void change_entry(struct mapping *mapping, unsigned *budget)
{
    uint64_t page = mapping->changed, address = address_of(mapping, page);
    paddr_t frame = page_of(mapping, page);
    uint64_t protection = protection_of(mapping);
    enum arch_memory memory = memory_of(mapping);
    if (pte_large(pagetable_get(mapping->aspace, address))) {
        if (!sync_large(mapping, page, budget) || *budget < VM_CODE_COST)
            return;
        pagetable_change(mapping->aspace, address, pte_make_large(frame, protection, memory));
        mapping->changed += LARGE_PAGES;
    } else {
        if (mapping->protection & PROT_EXECUTE)
            arch_code_sync(arch_ram(frame), PAGE_SIZE);
        pagetable_change(mapping->aspace, address, pte_make_page(frame, protection, memory));
        mapping->changed++;
    }
    *budget -= VM_CODE_COST;
}

// The mapping takes no more pages of its VMO, which is locked.
static void populating_over_locked(struct mapping *mapping) NO_THREAD_SAFETY
{
    if (!mapping->populating)
        return;
    mapping->populating = false;
    mapping->vmo->populating--;
    vmo_user_gone_locked(mapping->vmo);
}

// Sets up to a step's worth of entries, or takes a table out of the way. The address space and the VMO are
// locked.
static void populate_some(struct mapping *mapping) NO_THREAD_SAFETY
{
    unsigned budget = VM_STEP_COST, cost = mapping->protection & PROT_EXECUTE ? VM_CODE_COST : 1;
    while (mapping->cursor < mapping->pages && budget >= cost) {
        uint64_t count = mapping->pages - mapping->cursor;
        if (count >= LARGE_PAGES && large_next(mapping)) {
            if (!sync_large(mapping, mapping->cursor, &budget) || budget < VM_LARGE_COST)
                return;
            if (pagetable_take_empty(mapping->aspace, address_of(mapping, mapping->cursor),
                                     &mapping->old_table))
                return;
            set_large(mapping);
            budget -= VM_LARGE_COST;
            continue;
        }
        unsigned some = budget / cost;
        unsigned of_table =
            (unsigned)(LARGE_PAGES -
                       (address_of(mapping, mapping->cursor) >> PAGE_SHIFT) % LARGE_PAGES);
        some = some < of_table ? some : of_table;
        some = some < count ? some : (unsigned)count;
        set_pages(mapping, some);
        budget -= some * cost;
    }
}

// No walk goes through it any more.
static void old_table_free(struct mapping *mapping)
{
    frame_free(mapping->old_table);
    mapping->old_table = (paddr_t){};
    account_uncharge(mapping->object.account, 1, 0);
}

static enum step mapping_populate(struct object *object) NO_THREAD_SAFETY
{
    struct mapping *mapping = mapping_of(object);
    if (mapping->old_table.value)
        old_table_free(mapping);
    if (object_dies(object))
        return STEP_DONE;
    lock_acquire(&mapping->aspace->object.lock);
    if (mapping->vmo)
        lock_acquire(&mapping->vmo->object.lock);
    populate_some(mapping);
    // The VMO's teardown waits until all have what they paid for.
    if (mapping->cursor == mapping->pages)
        populating_over_locked(mapping);
    if (mapping->vmo)
        lock_release(&mapping->vmo->object.lock);
    arch_table_sync();
    lock_release(&mapping->aspace->object.lock);
    if (mapping->old_table.value &&
        !tlb_flush(mapping->aspace, address_of(mapping, mapping->cursor), LARGE_PAGES,
                   &object->operation))
        return STEP_FLUSH;
    if (mapping->cursor < mapping->pages)
        return STEP_MORE;
    // Tables that another mapping added meanwhile need not be paid for twice.
    account_uncharge(object->account, mapping->charged_tables, 0);
    mapping->charged_tables = 0;
    return STEP_DONE;
}

void mapping_settled_locked(struct object *object)
{
    object_transition(object, MAPPING_ACTIVE);
    object_wake_all_locked(object, STATUS_OK);
}

status_t aspace_map_now(struct aspace *aspace, struct vmo *vmo, uint64_t offset_pages,
                        uint64_t address, uint64_t pages, uint64_t protection)
{
    struct wanted wanted = {.vmo = object_reference(&vmo->object),
                            .address = address,
                            .pages = pages,
                            .offset_pages = offset_pages,
                            .protection = protection};
    struct mapping *mapping;
    status_t status = mapping_create(object_reference(&aspace->object), &wanted, &mapping);
    if (status != STATUS_OK)
        return status;
    while (!operation_run(&mapping->object.operation))
        sched_dequeue(cpu_self(), &mapping->object.operation.runnable);
    return STATUS_OK;
}

status_t aspace_map_message_buffer(struct aspace *aspace, uint64_t address, paddr_t page,
                                   struct object *thread, struct object_ref *out)
{
    if (!range_valid(address, 1))
        return STATUS_INVALID;
    struct wanted wanted = {.address = address,
                            .pages = 1,
                            .protection = PROT_READ | PROT_WRITE,
                            .buffer = page,
                            .buffer_thread = thread};
    struct mapping *mapping;
    status_t status = mapping_create(object_reference(&aspace->object), &wanted, &mapping);
    if (status != STATUS_OK)
        return status == STATUS_GONE ? STATUS_BAD_STATE : status;
    *out = object_reference(&mapping->object);
    (void)operation_run(&mapping->object.operation);
    return STATUS_OK;
}

static status_t check_protection(uint64_t protection, uint32_t vmo_rights)
{
    constexpr uint64_t WX = PROT_WRITE | PROT_EXECUTE;
    if (!(protection & PROT_READ) || protection & ~(PROT_READ | WX))
        return STATUS_INVALID;
    if ((protection & WX) == WX && !SEEDED_BUG("M5"))
        return STATUS_INVALID;
    uint32_t rights = RIGHT_READ;
    rights |= protection & PROT_WRITE ? (uint32_t)RIGHT_WRITE : 0;
    rights |= protection & PROT_EXECUTE ? (uint32_t)RIGHT_EXECUTE : 0;
    return (vmo_rights & rights) == rights ? STATUS_OK : STATUS_NO_RIGHT;
}

// Makes the caller wait for the operation on an object that runs in the background.
static status_t wait_for_operation(struct object *object) NO_THREAD_SAFETY
{
    lock_acquire(&object->lock);
    status_t status = thread_block(object, &object->waiters, WAIT_OPERATION, ABI_DEADLINE_NEVER);
    lock_release(&object->lock);
    return status;
}

status_t sys_vm_map(struct entry *entry, const struct handle_lookup *aspace_handle,
                    const struct handle_lookup *vmo_handle, uint64_t offset, uint64_t address,
                    uint64_t bytes, uint64_t protection)
{
    (void)entry;
    if ((offset | bytes) % PAGE_SIZE != 0 || !range_valid(address, bytes >> PAGE_SHIFT))
        return STATUS_INVALID;
    status_t status = check_protection(protection, vmo_handle->rights);
    if (status != STATUS_OK)
        return status;
    struct wanted wanted = {.vmo = lookup_ref(vmo_handle),
                            .address = address,
                            .pages = bytes >> PAGE_SHIFT,
                            .offset_pages = offset >> PAGE_SHIFT,
                            .protection = protection,
                            .vmo_rights = vmo_handle->rights};
    struct mapping *mapping;
    status = mapping_create(lookup_ref(aspace_handle), &wanted, &mapping);
    if (status != STATUS_OK)
        return status;
    // The first step, and for a small mapping the only one, is done at once. What is left is in
    // this CPU's run queue: it cannot end before the caller waits for it.
    if (operation_run(&mapping->object.operation))
        return STATUS_OK;
    return wait_for_operation(&mapping->object);
}

// ---- unmapping

// Clears up to a step's worth of entries, from the end. The frames are still held.
static void clear_some(struct mapping *mapping) NO_THREAD_SAFETY
{
    struct aspace *aspace = mapping->aspace;
    unsigned budget = VM_STEP_COST;
    lock_acquire(&aspace->object.lock);
    while (mapping->cursor > 0 && budget > 0) {
        uint64_t last = address_of(mapping, mapping->cursor - 1);
        uint64_t of_table = (last >> PAGE_SHIFT) % LARGE_PAGES + 1;
        uint64_t count = mapping->cursor < of_table ? mapping->cursor : of_table;
        count = count < budget ? count : budget;
        uint64_t cleared = pagetable_clear(aspace, last, (unsigned)count);
        mapping->cursor -= cleared;
        budget -= cleared > count ? 1 : (unsigned)count;
    }
    lock_release(&aspace->object.lock);
}

// Of a block only the counts change: it goes whole.
static void release_of_block(struct mapping *mapping)
{
    uint64_t count = mapping->held < LARGE_PAGES ? mapping->held : LARGE_PAGES;
    mapping->held -= count;
    struct frame *frames = frame_of(page_of(mapping, mapping->held));
    for (uint64_t i = 0; i < count; i++) {
        CHECK(M3, frames[i].mappings > 0);
        frames[i].mappings--;
    }
}

// Nobody can reach them any more: lets go of a step's worth of frames, from the end.
static void release_some(struct mapping *mapping) NO_THREAD_SAFETY
{
    struct vmo *vmo = mapping->vmo;
    uint64_t count = mapping->held < VM_STEP_PAGES ? mapping->held : VM_STEP_PAGES;
    if (vmo && vmo->device) { // has no frames
        mapping->held = 0;
        return;
    }
    if (vmo)
        lock_acquire(&vmo->object.lock);
    if (vmo && vmo->block.page) {
        release_of_block(mapping);
        count = 0;
    }
    for (uint64_t i = 0; i < count; i++) {
        mapping->held--;
        paddr_t page = page_of(mapping, mapping->held);
        CHECK(M3, frame_of(page)->mappings > 0);
        frame_of(page)->mappings--;
        if (vmo)
            vmo_page_released_locked(vmo, mapping->offset_pages + mapping->held);
    }
    if (vmo)
        lock_release(&vmo->object.lock);
}

static void mapping_detach(struct mapping *mapping) NO_THREAD_SAFETY
{
    struct aspace *aspace = mapping->aspace;
    struct vmo *vmo = mapping->vmo;
    lock_acquire(&aspace->object.lock);
    tree_remove(&aspace->mappings, &mapping->node);
    operation_resume(&aspace->object); // its teardown may wait for the last mapping
    lock_release(&aspace->object.lock);
    account_uncharge(mapping->object.account, mapping->charged_pages + mapping->charged_tables,
                     mapping->charged_objects);
    if (vmo) {
        lock_acquire(&vmo->object.lock);
        list_remove(&mapping->vmo_node);
        if (mapping->slice)
            slice_unmapped(mapping);
        vmo->mapping_count--;
        vmo->unpaid -= mapping->charged_objects == 0;
        populating_over_locked(mapping);
        vmo_user_gone_locked(vmo);
        lock_release(&vmo->object.lock);
    } else {
        atomic_store_explicit(&thread_of(mapping->buffer_thread)->buffer_unmapped, true,
                              ORDER("weak unmapped", memory_order_release));
        operation_resume(mapping->buffer_thread);
    }
}

enum step mapping_teardown(struct object *object) NO_THREAD_SAFETY
{
    struct mapping *mapping = mapping_of(object);
    if (object->state != MAPPING_CLEARING) {
        lock_acquire(&object->lock);
        object_transition(object, MAPPING_CLEARING);
        lock_release(&object->lock);
    }
    if (mapping->cursor > 0)
        clear_some(mapping);
    if (mapping->cursor > 0)
        return STEP_MORE;
    // One flush for the whole range.
    if (!mapping->flushed) {
        mapping->flushed = true;
        if (mapping->held > 0 &&
            !tlb_flush(mapping->aspace, mapping->address, mapping->held, &object->operation))
            return STEP_FLUSH;
    }
    if (mapping->held > 0)
        release_some(mapping);
    if (mapping->held > 0)
        return STEP_MORE;
    mapping_detach(mapping);
    lock_acquire(&object->lock);
    object_wake_all_locked(object, STATUS_OK);
    lock_release(&object->lock);
    return STEP_DONE;
}

// The mapping that begins at an address of a locked address space. None: no reference.
static struct mapping *mapping_at(struct aspace *aspace, uint64_t address)
{
    struct tree_node *node = tree_find_at_most(&aspace->mappings, address);
    struct mapping *mapping = node ? CONTAINER_OF(node, struct mapping, node) : nullptr;
    return mapping && mapping->address == address && mapping->vmo ? mapping : nullptr;
}

status_t sys_vm_unmap(struct entry *entry, const struct handle_lookup *aspace_handle,
                      uint64_t address) NO_THREAD_SAFETY
{
    (void)entry;
    struct aspace *aspace = (struct aspace *)(void *)aspace_handle->object;
    if (!object_lock(&aspace->object, aspace_handle->generation))
        return STATUS_GONE;
    struct mapping *mapping = mapping_at(aspace, address);
    struct object_ref ref = mapping ? object_reference(&mapping->object) : (struct object_ref){};
    object_unlock(&aspace->object);
    if (!object_ref_lock(ref))
        return STATUS_NOT_FOUND; // none, or somebody else unmaps it already
    struct object *object = ref.object;
    bool mine = object->operation.phase == OPERATION_IDLE;
    object_kill_locked(object, sched_priority());
    // It is still being made or changed: the teardown follows, maybe on another CPU.
    status_t status = STATUS_OK;
    if (!mine)
        status = thread_block(object, &object->waiters, WAIT_OPERATION, ABI_DEADLINE_NEVER);
    object_unlock(object);
    if (!mine)
        return status;
    // The first step is done at once; what is left is in this CPU's run queue.
    sched_dequeue(cpu_self(), &object->operation.runnable);
    return operation_run(&object->operation) ? STATUS_OK : wait_for_operation(object);
}

// ---- changing the protection

// Goes on to its end even if the mapping dies meanwhile: its caller is promised the new protection.
static enum step mapping_protect(struct object *object) NO_THREAD_SAFETY
{
    struct mapping *mapping = mapping_of(object);
    struct aspace *aspace = mapping->aspace;
    if (mapping->changed < mapping->pages) {
        lock_acquire(&aspace->object.lock);
        mapping->protection = mapping->wanted_protection;
        unsigned budget = VM_STEP_COST;
        while (budget >= VM_CODE_COST && mapping->changed < mapping->pages)
            change_entry(mapping, &budget);
        lock_release(&aspace->object.lock);
        if (mapping->changed < mapping->pages)
            return STEP_MORE;
        // Also where it allows more: a CPU may hold what allowed less.
        if (!SEEDED_BUG("M6 protect") &&
            !tlb_flush(aspace, mapping->address, mapping->pages, &object->operation))
            return STEP_FLUSH;
    }
    return STEP_DONE;
}

status_t sys_vm_protect(struct entry *entry, const struct handle_lookup *aspace_handle,
                        uint64_t address, uint64_t protection) NO_THREAD_SAFETY
{
    (void)entry;
    status_t status = check_protection(protection, RIGHTS_VMO); // whether any mapping can have it
    if (status != STATUS_OK)
        return status;
    struct aspace *aspace = (struct aspace *)(void *)aspace_handle->object;
    if (!object_lock(&aspace->object, aspace_handle->generation))
        return STATUS_GONE;
    struct mapping *mapping = mapping_at(aspace, address);
    struct object_ref ref = {};
    if (mapping) {
        ref = object_reference(&mapping->object);
        status = check_protection(protection, mapping->vmo_rights);
    }
    object_unlock(&aspace->object);
    if (status != STATUS_OK)
        return status;
    if (!object_ref_lock(ref))
        return STATUS_NOT_FOUND; // none, or somebody unmaps it
    struct object *object = ref.object;
    if (object->state == MAPPING_ACTIVE) {
        object_transition(object, MAPPING_PROTECTING);
        mapping->wanted_protection = protection;
        mapping->changed = mapping->synced = 0;
        operation_claim(object, mapping_protect, sched_priority());
    } else {
        status = STATUS_BAD_STATE;
    }
    object_unlock(object);
    if (status != STATUS_OK)
        return status;
    // As for vm_map.
    return operation_run(&object->operation) ? STATUS_OK : wait_for_operation(object);
}

// ---- the end of an address space

enum step aspace_teardown(struct object *object) NO_THREAD_SAFETY
{
    struct aspace *aspace = (struct aspace *)(void *)object;
    // The process resumes it when its last thread has ended.
    if (!atomic_load_explicit(&aspace->quiet, memory_order_acquire))
        return STEP_WAIT;
    lock_acquire(&object->lock);
    struct tree_node *node = tree_first(&aspace->mappings);
    struct object_ref mapping = {};
    if (node)
        mapping = object_reference(&CONTAINER_OF(node, struct mapping, node)->object);
    lock_release(&object->lock);
    if (mapping.object) {
        // One at a time; one that is clearing already resumes this when it is gone.
        if (object_kill(mapping, object->operation.runnable.priority))
            return STEP_MORE;
        return STEP_WAIT;
    }
    if (!aspace->left) {
        aspace->left = true;
        if (!tlb_leave(aspace, &object->operation))
            return STEP_FLUSH;
    }
    unsigned looked = 0;
    for (unsigned i = 0; i < 4 && looked < VM_STEP_LOOKS; i++) {
        bool freed = pagetable_free_one(aspace, &looked);
        if (!freed)
            frame_free(aspace->root);
        account_uncharge(object->account, 1, 0);
        if (!freed) {
            asid_free(aspace->asid);
            process_aspace_gone(aspace->process);
            return STEP_DONE;
        }
    }
    return STEP_MORE;
}

void aspace_inspect(struct object *object, struct abi_inspect *out)
{
    struct aspace *aspace = (struct aspace *)(void *)object;
    out->aspace.mappings = aspace->mappings.count;
    out->aspace.pages = aspace->pages;
    out->aspace.table_pages = aspace->table_pages;
    out->aspace.large_pages = aspace->large_pages;
}
