// SPDX-License-Identifier: MIT
//
// Pins, their quarantine, and cache maintenance for devices. See dma.h.
#include "dma.h"

#include "cpu.h"
#include "frame.h"
#include "handlers.h"
#include "process.h"
#include "thread.h"

constexpr unsigned QUIET_BATCH = 32;

static struct {
    struct spinlock lock;
    struct tree pins GUARDED_BY(&lock); // by device
    uint64_t pages GUARDED_BY(&lock);
} quarantine;

static struct pin *pin_of(struct object *object)
{
    return (struct pin *)(void *)object;
}

void dma_init(void) NO_THREAD_SAFETY
{
    lock_init(&quarantine.lock, RANK_QUARANTINE);
    quarantine.pins = (struct tree){};
}

uint64_t dma_quarantined_pages(void)
{
    lock_acquire(&quarantine.lock);
    uint64_t pages = quarantine.pages;
    lock_release(&quarantine.lock);
    return pages;
}

// ---- making

status_t sys_machine_dma_space(struct entry *entry, const struct handle_lookup *mint,
                               const struct handle_lookup *account, uint64_t device)
{
    (void)mint;
    struct object *object;
    status_t status = create_with_handle(entry, account, OBJECT_DMASPACE, &object);
    if (status != STATUS_OK)
        return status;
    ((struct dmaspace *)(void *)object)->device = device;
    entry->result[0] = handle_publish(entry->process, object, RIGHTS_DMASPACE);
    return STATUS_OK;
}

// Whether the slice can be pinned. What it looks at never changes in a VMO's life.
static status_t vmo_allows(const struct handle_lookup *handle, uint64_t first, uint64_t pages)
    NO_THREAD_SAFETY
{
    const struct vmo *vmo = vmo_of(handle->object);
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    status_t status = STATUS_OK;
    if (vmo->device)
        status = STATUS_NOT_SUPPORTED;
    else if (first > vmo->pages || pages > vmo->pages - first)
        status = STATUS_INVALID;
    object_unlock(handle->object);
    return status;
}

// Takes the frames of the slice: from here on they outlive everything but the pin.
static status_t pin_attach(struct pin *pin, const struct handle_lookup *vmo_handle) NO_THREAD_SAFETY
{
    struct vmo *vmo = vmo_of(vmo_handle->object);
    if (!object_lock(&vmo->object, vmo_handle->generation))
        return STATUS_GONE;
    if (vmo_is_slice(vmo)) {
        pin->first += vmo->first;
        vmo = slice_to_whole(lookup_ref(vmo_handle));
        if (!vmo)
            return STATUS_GONE;
    }
    uint64_t pages = vmo_share_pages(vmo, pin->pages);
    status_t status = account_charge(pin->object.account, pages, 1);
    if (status == STATUS_OK) {
        pin->charged_pages = pages;
        pin->charged_objects = 1;
        pin->vmo = vmo;
        vmo->pin_count++;
        for (uint64_t i = 0; i < pin->pages; i++)
            frame_of(vmo_page(vmo, pin->first + i))->pins++;
        CHECK(M8, pin->charged_pages >= pin->pages);
    }
    object_unlock(&vmo->object);
    return status;
}

static bool dmaspace_device(const struct handle_lookup *handle, uint64_t *device) NO_THREAD_SAFETY
{
    if (!object_lock(handle->object, handle->generation))
        return false;
    *device = ((struct dmaspace *)(void *)handle->object)->device;
    object_unlock(handle->object);
    return true;
}

status_t sys_pin_create(struct entry *entry, const struct handle_lookup *dmaspace,
                        const struct handle_lookup *account, const struct handle_lookup *vmo,
                        uint64_t offset, uint64_t bytes, uint64_t direction)
{
    if ((offset | bytes) % PAGE_SIZE != 0 || bytes == 0 ||
        bytes >> PAGE_SHIFT > ABI_PIN_MAX_PAGES || direction == 0 || direction > DMA_BOTH)
        return STATUS_INVALID;
    uint32_t rights = direction & DMA_TO_DEVICE ? (uint32_t)RIGHT_READ : 0;
    rights |= direction & DMA_FROM_DEVICE ? (uint32_t)RIGHT_WRITE : 0;
    if ((vmo->rights & rights) != rights)
        return STATUS_NO_RIGHT;
    status_t status = vmo_allows(vmo, offset >> PAGE_SHIFT, bytes >> PAGE_SHIFT);
    if (status != STATUS_OK)
        return status;
    uint64_t device;
    if (!dmaspace_device(dmaspace, &device))
        return STATUS_GONE;
    struct object *object;
    status = create_with_handle(entry, account, OBJECT_PIN, &object);
    if (status != STATUS_OK)
        return status;
    struct pin *pin = pin_of(object);
    pin->device = device;
    pin->first = offset >> PAGE_SHIFT;
    pin->pages = bytes >> PAGE_SHIFT;
    pin->direction = direction;
    status = pin_attach(pin, vmo);
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 1);
        object_discard(object);
        return status;
    }
    entry->result[0] = handle_publish(entry->process, object, RIGHTS_PIN);
    return STATUS_OK;
}

// ---- use

static_assert(ABI_PIN_MAX_PAGES * sizeof(uint64_t) <= ABI_MESSAGE_BYTES);

status_t sys_pin_addresses(struct entry *entry, const struct handle_lookup *handle, uint64_t first)
    NO_THREAD_SAFETY
{
    struct pin *pin = pin_of(handle->object);
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    status_t status = first < pin->pages ? STATUS_OK : STATUS_INVALID;
    if (status == STATUS_OK) {
        uint64_t count = pin->pages - first;
        uint64_t *out = (uint64_t *)(void *)entry->thread->message->data;
        for (uint64_t i = 0; i < count; i++)
            out[i] = vmo_page(pin->vmo, pin->first + first + i).value;
        entry->result[0] = count;
    }
    object_unlock(handle->object);
    return status;
}

status_t sys_pin_sync(struct entry *entry, const struct handle_lookup *handle, uint64_t offset,
                      uint64_t bytes, uint64_t side) NO_THREAD_SAFETY
{
    (void)entry;
    struct pin *pin = pin_of(handle->object);
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    uint64_t size = pin->pages << PAGE_SHIFT;
    status_t status = STATUS_OK;
    if (offset > size || bytes > size - offset || bytes > ABI_PIN_SYNC_BYTES ||
        (side != SYNC_DEVICE && side != SYNC_CPU))
        status = STATUS_INVALID;
    while (status == STATUS_OK && bytes > 0) {
        uint64_t within = offset % PAGE_SIZE;
        uint64_t part = PAGE_SIZE - within < bytes ? PAGE_SIZE - within : bytes;
        uint8_t *page = arch_ram(vmo_page(pin->vmo, pin->first + (offset >> PAGE_SHIFT)));
        if (side == SYNC_DEVICE)
            arch_dma_clean(page + within, part);
        else
            arch_dma_invalidate(page + within, part);
        offset += part;
        bytes -= part;
    }
    object_unlock(handle->object);
    return status;
}

// ---- the end

status_t sys_pin_release(struct entry *entry, const struct handle_lookup *handle) NO_THREAD_SAFETY
{
    (void)entry;
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    object_transition(handle->object, PIN_RELEASED);
    object_kill_locked(handle->object, sched_priority());
    object_unlock(handle->object);
    return STATUS_OK;
}

static void quarantine_add(struct pin *pin)
{
    lock_acquire(&quarantine.lock);
    tree_insert(&quarantine.pins, &pin->quarantine_node, pin->device);
    quarantine.pages += pin->pages;
    account_quarantine(pin);
    lock_release(&quarantine.lock);
}

static bool is_quiet(const struct pin *pin)
{
    lock_acquire(&quarantine.lock);
    bool quiet = pin->quiet;
    lock_release(&quarantine.lock);
    return quiet;
}

bool quarantine_move_up(struct account *account)
{
    lock_acquire(&quarantine.lock);
    bool moved = account_quarantine_to_parent(account);
    lock_release(&quarantine.lock);
    return moved;
}

// Lets go of some of the frames, the first ones. The device cannot reach them any more. false: there
// are more.
static bool pin_detach(struct pin *pin) NO_THREAD_SAFETY
{
    struct vmo *vmo = pin->vmo;
    lock_acquire(&vmo->object.lock);
    for (unsigned i = 0; i < VM_STEP_PAGES && pin->pages > 0; i++) {
        struct frame *frame = frame_of(vmo_page(vmo, pin->first));
        CHECK(M4, frame->pins > 0);
        frame->pins--;
        vmo_page_released_locked(vmo, pin->first);
        pin->first++;
        pin->pages--;
    }
    bool all = pin->pages == 0;
    if (all) {
        vmo->pin_count--;
        vmo_user_gone_locked(vmo);
    }
    lock_release(&vmo->object.lock);
    if (all)
        account_uncharge(pin->object.account, pin->charged_pages, pin->charged_objects);
    return all;
}

static void change_state(struct object *object, enum pin_state state)
{
    lock_acquire(&object->lock);
    object_transition(object, state);
    lock_release(&object->lock);
}

enum step pin_teardown(struct object *object) NO_THREAD_SAFETY
{
    struct pin *pin = pin_of(object);
    if (object->state == PIN_ACTIVE && !SEEDED_BUG("M7")) {
        change_state(object, PIN_QUARANTINED);
        quarantine_add(pin);
    }
    if (object->state == PIN_QUARANTINED) {
        if (!is_quiet(pin))
            return STEP_WAIT; // until machine_device_quiet
        change_state(object, PIN_RELEASED);
    }
    return pin_detach(pin) ? STEP_DONE : STEP_MORE;
}

// Ends the quarantine of one pin of the device. Returns its pages, 0: there is none.
static uint64_t quiet_one(uint64_t device)
{
    uint64_t pages = 0;
    if (!SEEDED_BUG("M7 quiet"))
        lock_acquire(&quarantine.lock);
    struct tree_node *node = tree_find_at_least(&quarantine.pins, device);
    if (node && node->key == device) {
        struct pin *pin = CONTAINER_OF(node, struct pin, quarantine_node);
        tree_remove(&quarantine.pins, node);
        pages = pin->pages;
        quarantine.pages -= pages;
        pin->quiet = true;
        account_quarantine_ended(pin);
        operation_resume(&pin->object);
    }
    if (!SEEDED_BUG("M7 quiet"))
        lock_release(&quarantine.lock);
    return pages;
}

status_t sys_machine_device_quiet(struct entry *entry, const struct handle_lookup *mint,
                                  uint64_t device)
{
    (void)mint;
    uint64_t pages;
    for (unsigned i = 0; i < QUIET_BATCH && (pages = quiet_one(device)) > 0; i++)
        entry->result[0] += pages;
    return STATUS_OK;
}

void pin_inspect(struct object *object, struct abi_inspect *out)
{
    out->pin.bytes = pin_of(object)->pages << PAGE_SHIFT;
    out->pin.direction = pin_of(object)->direction;
}

void dmaspace_inspect(struct object *object, struct abi_inspect *out)
{
    out->dmaspace.device = ((struct dmaspace *)(void *)object)->device;
    out->dmaspace.identity = 1;
}
