// SPDX-License-Identifier: MIT
//
// Mappings: a range of an address space shows a range of a VMO. Map, unmap and protect are
// operations of the mapping, which end in bounded steps; what a step does to the page table stands
// in mapping_entries.c. See vm.h.
#include "mapping.h"
#include "cpu.h"
#include "frame.h"
#include "handlers.h"
#include "process.h"
#include "thread.h"

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

// The mapping takes no more pages of its VMO, which is locked.
static void populating_over_locked(struct mapping *mapping) NO_THREAD_SAFETY
{
    if (!mapping->populating)
        return;
    mapping->populating = false;
    mapping->vmo->populating--;
    vmo_user_gone_locked(mapping->vmo);
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
    mapping_set_some(mapping);
    // The VMO's teardown waits until all have what they paid for.
    if (mapping->cursor == mapping->pages)
        populating_over_locked(mapping);
    if (mapping->vmo)
        lock_release(&mapping->vmo->object.lock);
    arch_table_sync();
    lock_release(&mapping->aspace->object.lock);
    if (mapping->old_table.value &&
        !tlb_flush(mapping->aspace, mapping_address(mapping, mapping->cursor), LARGE_PAGES,
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
        mapping_clear_some(mapping);
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
        mapping_release_some(mapping);
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
        mapping_change_some(mapping);
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
