// SPDX-License-Identifier: MIT
//
// VMOs: their frames, filled and freed in bounded steps. See vm.h.
#include <lib/string.h>

#include "cpu.h"
#include "frame.h"
#include "handlers.h"
#include "machine.h"
#include "process.h"
#include "thread.h"
#include "vm.h"

// ---- the index

uint64_t vmo_index_pages(uint64_t pages)
{
    if (pages <= VMO_INLINE_PAGES)
        return 0;
    if (pages <= VMO_LEAF_PAGES)
        return 1;
    return 1 + (pages + VMO_LEAF_PAGES - 1) / VMO_LEAF_PAGES;
}

uint64_t vmo_share_pages(const struct vmo *vmo, uint64_t pages)
{
    return pages + (vmo->linear ? 0 : vmo_index_pages(vmo->pages));
}

static uint32_t *index_slot(struct vmo *vmo, uint64_t page)
{
    ASSERT(page < vmo->pages);
    if (vmo->pages <= VMO_INLINE_PAGES)
        return &vmo->inlined[page];
    if (vmo->pages <= VMO_LEAF_PAGES)
        return &vmo->leaf[page];
    return &vmo->root[page / VMO_LEAF_PAGES][page % VMO_LEAF_PAGES];
}

paddr_t vmo_page(struct vmo *vmo, uint64_t page)
{
    if (vmo->linear)
        return (paddr_t){vmo->device_base + (page << PAGE_SHIFT)};
    return (paddr_t){((uint64_t)*index_slot(vmo, page) - 1) << PAGE_SHIFT};
}

void vmo_frames(struct vmo *vmo, uint64_t page, unsigned count, paddr_t *out)
{
    if (vmo->linear) {
        for (unsigned i = 0; i < count; i++)
            out[i].value = vmo->device_base + ((page + i) << PAGE_SHIFT);
        return;
    }
    while (count > 0) {
        const uint32_t *slots = index_slot(vmo, page);
        uint64_t of_leaf = VMO_LEAF_PAGES - page % VMO_LEAF_PAGES;
        unsigned some = count < of_leaf ? count : (unsigned)of_leaf;
        for (unsigned i = 0; i < some; i++)
            out[i].value = ((uint64_t)slots[i] - 1) << PAGE_SHIFT;
        page += some;
        out += some;
        count -= some;
    }
}

bool vmo_adjacent(struct vmo *vmo, uint64_t page, uint64_t pages)
{
    if (vmo->linear)
        return true;
    uint32_t first = *index_slot(vmo, page);
    for (uint64_t i = 1; i < pages; i++)
        if (*index_slot(vmo, page + i) != first + i)
            return false;
    return true;
}

static void index_allocate(struct vmo *vmo)
{
    if (vmo->block.page || vmo->pages <= VMO_INLINE_PAGES)
        return;
    uint32_t *page = arch_ram(frame_allocate(FRAME_KERNEL, &vmo->object));
    if (vmo->pages <= VMO_LEAF_PAGES)
        vmo->leaf = page;
    else
        vmo->root = (uint32_t **)(void *)page;
}

static void index_free(struct vmo *vmo)
{
    if (vmo->device || vmo->block.page || vmo->pages <= VMO_INLINE_PAGES)
        return;
    if (vmo->pages > VMO_LEAF_PAGES)
        for (uint64_t i = 0; i * VMO_LEAF_PAGES < vmo->pages; i++)
            if (vmo->root[i])
                frame_free(arch_ram_address(vmo->root[i]));
    frame_free(
        arch_ram_address(vmo->pages <= VMO_LEAF_PAGES ? (void *)vmo->leaf : (void *)vmo->root));
}

// ---- filling

// Allocates up to a step's worth of frames; true: the VMO is full.
static bool fill_some(struct vmo *vmo)
{
    for (unsigned i = 0; i < VMO_FILL_STEP_PAGES && vmo->filled < vmo->pages; i++, vmo->filled++) {
        if (vmo->block.page) {
            frame_use(vmo_page(vmo, vmo->filled), &vmo->object);
            continue;
        }
        if (vmo->pages > VMO_LEAF_PAGES && vmo->filled % VMO_LEAF_PAGES == 0)
            vmo->root[vmo->filled / VMO_LEAF_PAGES] =
                arch_ram(frame_allocate(FRAME_KERNEL, &vmo->object));
        paddr_t page = frame_allocate(FRAME_USER, &vmo->object);
        *index_slot(vmo, vmo->filled) = (uint32_t)(page.value >> PAGE_SHIFT) + 1;
    }
    return vmo->filled == vmo->pages;
}

static enum step vmo_fill(struct object *object) NO_THREAD_SAFETY
{
    struct vmo *vmo = vmo_of(object);
    if (object_dies(object))
        return STEP_DONE;
    if (!fill_some(vmo))
        return STEP_MORE;
    lock_acquire(&object->lock);
    object_transition(object, VMO_READY);
    struct list_node *node = list_first(&object->waiters);
    struct thread *thread = node ? CONTAINER_OF(node, struct thread, wait_node) : nullptr;
    bool wanted = thread && thread_win(thread);
    if (wanted) {
        object_handle_added_locked(object);
        struct handle_transfer transfer = {object, object_reference(object).generation, RIGHTS_VMO,
                                           0, OBJECT_VMO};
        thread->reserved_handles--;
        arch_context_set_result(thread->context, 0, handle_place(thread->process, &transfer));
        thread_wake(thread, STATUS_OK);
    } else {
        object_kill_locked(object, object->operation.runnable.priority);
    }
    object_unlock(object);
    return STEP_DONE;
}

// ---- making

void vmo_lists_init(struct vmo *vmo)
{
    list_init(&vmo->mappings);
    list_init(&vmo->slices);
    list_init(&vmo->ending_slices);
}

// Not published.
static status_t vmo_create(struct object_ref account_ref, uint64_t pages, bool contiguous,
                           struct vmo **out)
{
    struct account *account = (struct account *)(void *)account_ref.object;
    uint64_t charge = contiguous ? 0 : pages + vmo_index_pages(pages);
    status_t status = account_charge_ref(account_ref, charge, 1);
    if (status != STATUS_OK)
        return status;
    struct block block = {};
    if (contiguous)
        status = block_take(account, block_order(pages), &block);
    if (status != STATUS_OK) {
        if (account_closed(account)) // its blocks move up already
            status = STATUS_BAD_STATE;
        account_uncharge(account, 0, 1);
        return status;
    }
    struct vmo *vmo = vmo_of(object_new(account, OBJECT_VMO));
    vmo_lists_init(vmo);
    vmo->pages = pages;
    vmo->block = block;
    vmo->linear = contiguous;
    vmo->device_base = (uint64_t)block.page << PAGE_SHIFT;
    vmo->charged_pages = charge;
    index_allocate(vmo);
    *out = vmo;
    return STATUS_OK;
}

status_t vmo_create_now(struct object_ref account, uint64_t pages, struct vmo **out)
    NO_THREAD_SAFETY
{
    status_t status = vmo_create(account, pages, false, out);
    if (status == STATUS_OK) {
        while (!fill_some(*out)) {}
        (*out)->object.state = VMO_READY;
        object_publish(&(*out)->object);
    }
    return status;
}

status_t vmo_create_physical(struct object_ref account, uint64_t start, uint64_t pages, bool tables,
                             struct vmo **out) NO_THREAD_SAFETY
{
    status_t status = account_charge_ref(account, 0, 1);
    if (status != STATUS_OK)
        return status;
    struct vmo *vmo = vmo_of(object_new((struct account *)(void *)account.object, OBJECT_VMO));
    vmo_lists_init(vmo);
    vmo->pages = pages;
    vmo->device = vmo->linear = true;
    vmo->tables = tables;
    vmo->device_base = start;
    vmo->object.state = VMO_READY;
    *out = vmo;
    return STATUS_OK;
}

status_t sys_vmo_create(struct entry *entry, const struct handle_lookup *account, uint64_t bytes,
                        uint64_t flags) NO_THREAD_SAFETY
{
    if (bytes == 0 || bytes > VMO_MAX_PAGES << PAGE_SHIFT || flags & ~(uint64_t)VMO_CONTIGUOUS)
        return STATUS_INVALID;
    uint64_t pages = align_up(bytes, PAGE_SIZE) >> PAGE_SHIFT;
    bool contiguous = flags & VMO_CONTIGUOUS;
    if (contiguous && pages > ABI_CONTIGUOUS_MAX_PAGES)
        return STATUS_INVALID;
    status_t status = handles_reserve(entry->process, 1);
    if (status != STATUS_OK)
        return status;
    struct vmo *vmo;
    status = vmo_create(lookup_ref(account), pages, contiguous, &vmo);
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 1);
        return status;
    }
    struct object *object = &vmo->object;
    if (pages <= VMO_FILL_STEP_PAGES) {
        fill_some(vmo);
        object->state = VMO_READY;
        entry->result[0] = handle_publish(entry->process, object, RIGHTS_VMO);
        return STATUS_OK;
    }
    lock_acquire(&object->lock);
    entry->thread->reserved_handles = 1;
    thread_block(object, &object->waiters, WAIT_OPERATION, ABI_DEADLINE_NEVER);
    operation_start(object, vmo_fill, sched_priority());
    object_publish(object);
    lock_release(&object->lock);
    return STATUS_BLOCKED;
}

// ---- freeing

static void free_page(struct vmo *vmo, uint64_t page)
{
    uint32_t *slot = index_slot(vmo, page);
    frame_free((paddr_t){((uint64_t)*slot - 1) << PAGE_SHIFT});
    *slot = 0;
}

void vmo_page_released_locked(struct vmo *vmo, uint64_t page)
{
    if (vmo->object.state != VMO_ORPHANED || vmo->populating > 0 || vmo->block.page)
        return; // what is over a device never comes to be one; a block goes whole
    const struct frame *frame = frame_of(vmo_page(vmo, page));
    if (frame->mappings == 0 && (frame->pins == 0 || SEEDED_BUG("M4")))
        free_page(vmo, page);
}

void vmo_user_gone_locked(struct vmo *vmo)
{
    if (object_dies(&vmo->object))
        operation_resume(&vmo->object);
}

// The owner's account is being destroyed, and others still use the memory: they paid for it.
static void orphan(struct vmo *vmo) NO_THREAD_SAFETY
{
    if (vmo->block.page && !SEEDED_BUG("A4 outlives"))
        block_outlives(&vmo->block);
    account_uncharge(vmo->object.account, vmo->charged_pages, 0);
    account_forget(&vmo->object);
}

// Nobody uses the block any more. true: all of its frames are retired, and it has been given back.
static bool block_end(struct vmo *vmo)
{
    for (unsigned i = 0; i < VMO_RETIRE_STEP_PAGES && vmo->cursor < vmo->filled; i++, vmo->cursor++)
        frame_retire(vmo_page(vmo, vmo->cursor));
    if (vmo->cursor < vmo->filled)
        return false;
    block_give(&vmo->block);
    return true;
}

enum step vmo_teardown(struct object *object) NO_THREAD_SAFETY
{
    struct vmo *vmo = vmo_of(object);
    if (vmo_is_slice(vmo))
        return slice_teardown(vmo);
    bool account_dies = object->account && account_closed(object->account);
    // Device authority never outlives its account; memory that others map does, they paid for it.
    bool revoke =
        atomic_load_explicit(&vmo->revoked, memory_order_relaxed) || (vmo->device && account_dies);
    lock_acquire(&object->lock);
    bool sliced = !list_empty(&vmo->slices) || !list_empty(&vmo->ending_slices);
    struct list_node *node = list_first(&vmo->mappings);
    struct object_ref mapping = {};
    if (node)
        mapping = object_reference(&CONTAINER_OF(node, struct mapping, vmo_node)->object);
    bool used = vmo->mapping_count > 0 || vmo->pin_count > 0;
    bool populating = vmo->populating > 0;
    // What its own account's mappings still reach is not anybody else's to pay for.
    bool unpaid = vmo->unpaid > 0;
    if (vmo->object.state != VMO_ORPHANED && !vmo->device)
        object_transition(object, VMO_ORPHANED);
    lock_release(&object->lock);
    enum step step = sliced ? slices_end(vmo, revoke) : STEP_DONE;
    if (step != STEP_DONE)
        return step;
    if (revoke && mapping.object) {
        // Mappings that are clearing already only need to be waited for.
        if (object_kill(mapping, object->operation.runnable.priority))
            return STEP_MORE;
        return STEP_WAIT;
    }
    if (populating)
        return STEP_WAIT;
    // Frees what nobody maps or pins; over a device there is none. A page that is released later frees
    // itself.
    uint64_t end = vmo->cursor + VMO_FILL_STEP_PAGES;
    lock_acquire(&object->lock);
    for (; !vmo->block.page && vmo->cursor < vmo->filled && vmo->cursor < end; vmo->cursor++)
        if (*index_slot(vmo, vmo->cursor))
            vmo_page_released_locked(vmo, vmo->cursor);
    lock_release(&object->lock);
    if (!vmo->block.page && vmo->cursor < vmo->filled)
        return STEP_MORE;
    if (account_dies && unpaid)
        return STEP_WAIT;     // those go with the account, and resume this
    if (used && account_dies) // a revoked one has no mapping left, but it may be pinned
        orphan(vmo);
    if (used)
        return STEP_WAIT; // the last one resumes this, be it meanwhile
    if (vmo->block.page && !block_end(vmo))
        return STEP_MORE;
    if (vmo->device)
        machine_memory_returned(vmo);
    index_free(vmo);
    if (object->account)
        account_uncharge(object->account, vmo->charged_pages, 0);
    return STEP_DONE;
}

void vmo_inspect(struct object *object, struct abi_inspect *out)
{
    struct vmo *vmo = vmo_of(object);
    out->vmo.bytes = vmo->pages << PAGE_SHIFT;
    out->vmo.mappings = vmo_is_slice(vmo) ? counter_read(&vmo->shown) : vmo->mapping_count;
    out->vmo.pins = vmo->pin_count;
    out->vmo.device = vmo->device;
    out->vmo.contiguous = vmo->block.page != 0;
}
