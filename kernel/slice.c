// SPDX-License-Identifier: MIT
//
// Slices: VMOs that show a range of another one, to hand out less of it, and to take back what was
// handed out.
//
// A slice has no pages. It knows the whole VMO, which has them, and where in that it begins: a slice
// of a slice is as near to it as any other. A mapping or pin that is made through a slice is one of the
// whole, at the whole's offset; the slice lists its mappings besides. What a slice was cut out of, its
// parent, counts it as a handle, and when it ends, ends its slices first, one a step. If the whole ends,
// nothing can be mapped, pinned or cut out meanwhile: it no longer resolves.
//
// Locks: all lists of slices, and of mappings made through one, are guarded by the whole's lock. A
// slice that is found alive by its generation under that lock is on its parent's list, and stays so
// until the lock is free: its teardown has still to come there. No two VMOs are locked at once.
#include "handlers.h"
#include "process.h"
#include "thread.h"
#include "vm.h"

static struct vmo *whole_of(struct vmo *vmo)
{
    return vmo_is_slice(vmo) ? vmo_of(vmo->whole.object) : vmo;
}

// ---- use

struct vmo *slice_to_whole(struct object_ref slice) NO_THREAD_SAFETY
{
    struct object_ref whole = vmo_of(slice.object)->whole;
    object_unlock(slice.object);
    if (!object_lock_inner(whole, RANK_VMO))
        return nullptr;
    if (object_is(slice.object, slice.generation) || SEEDED_BUG("O2 slice dead"))
        return vmo_of(whole.object);
    object_unlock(whole.object);
    return nullptr;
}

static void list_mapping(struct vmo *slice, struct mapping *mapping)
{
    mapping->slice = slice;
    list_push_back(&slice->mappings, &mapping->slice_node);
    counter_add(&slice->shown, 1);
}

static void unlist_mapping(struct mapping *mapping)
{
    list_remove(&mapping->slice_node);
    counter_set(&mapping->slice->shown, counter_read(&mapping->slice->shown) - 1);
    mapping->slice = nullptr;
}

void slice_mapped(struct vmo *slice, struct mapping *mapping)
{
    mapping->offset_pages += slice->first;
    list_mapping(slice, mapping);
}

void slice_unmapped(struct mapping *mapping)
{
    struct vmo *slice = mapping->slice;
    unlist_mapping(mapping);
    if (object_dies(&slice->object))
        operation_resume(&slice->object);
}

// ---- making

// Whether the range can be cut out. What it looks at never changes in a VMO's life.
static status_t check_range(const struct handle_lookup *handle, uint64_t first, uint64_t pages)
    NO_THREAD_SAFETY
{
    const struct vmo *vmo = vmo_of(handle->object);
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    status_t status = STATUS_OK;
    if ((first > vmo->pages || pages > vmo->pages - first) && !SEEDED_BUG("M2 slice"))
        status = STATUS_INVALID;
    object_unlock(handle->object);
    return status;
}

// Cuts a slice of so many pages out of its parent, and publishes it.
static status_t cut(struct vmo *slice, struct object_ref parent_ref) NO_THREAD_SAFETY
{
    struct vmo *parent = vmo_of(parent_ref.object);
    if (!object_ref_lock(parent_ref))
        return STATUS_GONE;
    slice->parent = parent_ref;
    slice->whole = vmo_is_slice(parent) ? parent->whole : parent_ref;
    slice->first += parent->first;
    slice->device = parent->device;
    slice->tables = parent->tables;
    object_handle_added_locked(&parent->object);
    if (vmo_is_slice(parent) && !slice_to_whole(parent_ref))
        return STATUS_GONE; // with one of the two: the parent's handles count no more, or soon
    // With the whole still locked: the end of the parent ends the slices that it finds.
    list_push_back(&parent->slices, &slice->slice_node);
    object_publish(&slice->object);
    object_unlock(slice->whole.object);
    return STATUS_OK;
}

status_t sys_vmo_slice(struct entry *entry, const struct handle_lookup *account,
                       const struct handle_lookup *parent, uint64_t offset, uint64_t bytes,
                       uint32_t rights) NO_THREAD_SAFETY
{
    if ((offset | bytes) % PAGE_SIZE != 0 || bytes == 0 ||
        ((rights & ~parent->rights) && !SEEDED_BUG("O1 slice")))
        return STATUS_INVALID;
    CHECK(O1, (rights & ~parent->rights) == 0);
    status_t status = check_range(parent, offset >> PAGE_SHIFT, bytes >> PAGE_SHIFT);
    if (status != STATUS_OK)
        return status;
    struct object *object;
    status = create_with_handle(entry, account, OBJECT_VMO, &object);
    if (status != STATUS_OK)
        return status;
    struct vmo *slice = vmo_of(object);
    vmo_lists_init(slice);
    slice->first = offset >> PAGE_SHIFT;
    slice->pages = bytes >> PAGE_SHIFT;
    object->state = VMO_READY;
    struct object_ref ref = object_reference(object);
    status = cut(slice, lookup_ref(parent));
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 1);
        object_discard(object);
        return status;
    }
    entry->result[0] = handle_install_reserved(entry->process, ref, OBJECT_VMO, rights);
    return STATUS_OK;
}

// ---- the end

enum step slices_end(struct vmo *vmo, bool revoke) NO_THREAD_SAFETY
{
    struct vmo *whole = whole_of(vmo);
    struct object_ref slice = {};
    lock_acquire(&whole->object.lock);
    struct list_node *node = SEEDED_BUG("O2 slice") ? nullptr : list_pop_front(&vmo->slices);
    if (node) {
        struct vmo *next = CONTAINER_OF(node, struct vmo, slice_node);
        list_push_back(&vmo->ending_slices, node);
        slice = object_reference(&next->object);
        if (revoke)
            // operation_resume, or the kill, has it seen: release is against load buffering alone.
            atomic_store_explicit(&next->revoked, true, memory_order_release);
    }
    bool none = list_empty(&vmo->ending_slices);
    lock_release(&whole->object.lock);
    if (!slice.object)
        return none ? STEP_DONE : STEP_WAIT; // the last of them resumes this
    // One that ends already is told that its mappings go, too.
    if (!object_kill(slice, vmo->object.operation.runnable.priority))
        operation_resume(slice.object);
    return STEP_MORE;
}

// Mappings that stay are from now on its parent's matter: a step's worth of them.
static void hand_up(struct vmo *slice)
{
    struct vmo *parent = vmo_of(slice->parent.object);
    for (unsigned i = 0; i < VM_STEP_PAGES && !list_empty(&slice->mappings); i++) {
        struct mapping *mapping =
            CONTAINER_OF(list_first(&slice->mappings), struct mapping, slice_node);
        unlist_mapping(mapping);
        if (vmo_is_slice(parent))
            list_mapping(parent, mapping);
    }
}

// Without mappings and slices of its own: nobody comes here by it any more.
static void leave_parent(struct vmo *slice)
{
    struct object *parent = slice->parent.object;
    list_remove(&slice->slice_node);
    if (object_dies(parent))
        operation_resume(parent);
}

enum step slice_teardown(struct vmo *slice) NO_THREAD_SAFETY
{
    struct object *object = &slice->object;
    struct vmo *whole = vmo_of(slice->whole.object);
    // As for a whole VMO: device authority never outlives its account, nor what was taken away.
    bool revoke = atomic_load_explicit(&slice->revoked, memory_order_relaxed) ||
                  (slice->device && account_closed(object->account));
    enum step step = slices_end(slice, revoke);
    if (step != STEP_DONE)
        return step;
    lock_acquire(&whole->object.lock);
    if (!revoke && !slice->device)
        hand_up(slice);
    struct list_node *node = list_first(&slice->mappings);
    struct object_ref mapping = {};
    if (node)
        mapping = object_reference(&CONTAINER_OF(node, struct mapping, slice_node)->object);
    else
        leave_parent(slice);
    lock_release(&whole->object.lock);
    if (!mapping.object) {
        object_handle_dropped(slice->parent);
        return STEP_DONE;
    }
    if (!revoke && !slice->device)
        return STEP_MORE; // to hand up
    if (revoke)
        (void)object_kill(mapping, object->operation.runnable.priority);
    return STEP_WAIT; // for its end, or that of one that maps registers
}
