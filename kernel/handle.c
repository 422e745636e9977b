// SPDX-License-Identifier: MIT
//
// Handle tables. See process.h for the layout and the rules.
#include <arch/arch.h>

#include "cpu.h"
#include "frame.h"
#include "handlers.h"
#include "process.h"
#include "thread.h"

constexpr uint64_t GENERATION_MAX = UINT32_MAX;
constexpr uint32_t NO_SLOT = UINT32_MAX;

static uint64_t make_tag(uint64_t generation, enum handle_phase phase)
{
    return generation << 2 | phase;
}

static struct handle_entry *entry_at(struct process *process, uint32_t slot)
{
    if (slot >= HANDLES_MAX)
        return nullptr;
    // Pairs with the store in grow_locked.
    struct handle_entry *page = atomic_load_explicit(&process->pages[slot / HANDLES_PER_PAGE],
                                                     ORDER("weak page read", memory_order_acquire));
    return page ? &page[slot % HANDLES_PER_PAGE] : nullptr;
}

// ---- lookup

static void read_contents(const struct handle_entry *entry, uint16_t slot,
                          struct handle_transfer *out)
{
    uint64_t word = atomic_load_explicit(&entry->word, memory_order_relaxed);
    out->generation = atomic_load_explicit(&entry->object_generation, memory_order_relaxed);
    out->object = object_at((uint32_t)(word & 0xff'ffff));
    out->rights = (uint32_t)(word >> 32);
    out->slot = slot;
    out->type = (enum abi_object)(word >> 24 & 0xff);
}

// What a live entry says, read without a lock: a writer clears the tag first and sets it last.
static bool read_entry(struct process *process, uint64_t handle, struct handle_transfer *out)
{
    struct handle_entry *entry = entry_at(process, (uint32_t)handle);
    if (!entry)
        return false;
    uint64_t tag = atomic_load_explicit(&entry->tag, ORDER("weak lookup", memory_order_acquire));
    if (tag != make_tag(handle >> 32, HANDLE_LIVE))
        return false;
    read_contents(entry, (uint16_t)handle, out);
    if (!SEEDED_BUG("weak again"))
        atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&entry->tag, memory_order_relaxed) == tag;
}

status_t handle_lookup(struct entry *entry, uint64_t handle, enum abi_object type, uint32_t rights,
                       struct handle_lookup *out)
{
    struct handle_transfer found;
    if (!read_entry(entry->process, handle, &found))
        return STATUS_BAD_HANDLE;
    if (type != OBJECT_NONE && found.type != type)
        return STATUS_WRONG_TYPE;
    if ((found.rights & rights) != rights)
        return STATUS_NO_RIGHT;
    *out = (struct handle_lookup){found.object, found.generation, handle, found.rights, found.type};
    return object_is(found.object, found.generation) ? STATUS_OK : STATUS_GONE;
}

status_t handle_lookup_optional(struct entry *entry, uint64_t handle, enum abi_object type,
                                uint32_t rights, struct handle_lookup *out)
{
    if (handle == 0) {
        *out = (struct handle_lookup){};
        return STATUS_OK;
    }
    return handle_lookup(entry, handle, type, rights, out);
}

// ---- room

static void free_slot_locked(struct process *process, uint32_t slot, uint64_t generation)
    REQUIRES(process->table_lock)
{
    struct handle_entry *entry = entry_at(process, slot);
    if (generation >= GENERATION_MAX) {
        process->handles_retired++; // its next value would be an old one
        atomic_store_explicit(&entry->tag, make_tag(0, HANDLE_FREE), memory_order_release);
        return;
    }
    entry->next_free = NO_SLOT;
    // Nobody goes by it without the lock: release is against load buffering alone.
    atomic_store_explicit(&entry->tag, make_tag(generation + 1, HANDLE_FREE), memory_order_release);
    if (process->free_head == NO_SLOT)
        process->free_head = slot;
    else
        entry_at(process, process->free_tail)->next_free = slot;
    process->free_tail = slot;
}

// Pays for one more page. It is there when the first handle needs it: what is given back before that
// was never seen by anybody who reads without the lock.
static bool pay_page_locked(struct process *process) REQUIRES(process->table_lock)
{
    uint8_t page = process->pages_paid;
    if (page == HANDLE_PAGES_MAX || account_charge(process->object.account, 1, 0) != STATUS_OK)
        return false;
    process->pages_paid++;
    return true;
}

// Gives back what was paid for and is not needed (any more): a call that fails leaves nothing behind.
static void give_back_locked(struct process *process) REQUIRES(process->table_lock)
{
    uint32_t needed = process->handles_used + process->handles_reserved + process->handles_retired;
    while (process->pages_paid > process->handle_pages &&
           needed <= (process->pages_paid - 1u) * HANDLES_PER_PAGE) {
        process->pages_paid--;
        account_uncharge(process->object.account, 1, 0);
    }
}

static void grow_locked(struct process *process) REQUIRES(process->table_lock)
{
    uint8_t page = process->handle_pages;
    ASSERT(page < process->pages_paid);
    atomic_store_explicit(&process->pages[page],
                          arch_ram(frame_allocate(FRAME_KERNEL, &process->object)),
                          ORDER("weak page", memory_order_release));
    process->handle_pages++;
    for (uint32_t i = 0; i < HANDLES_PER_PAGE; i++)
        free_slot_locked(process, page * HANDLES_PER_PAGE + i, 0);
}

status_t handles_reserve(struct process *process, uint32_t count)
{
    if (count > 0 && RUNS_OUT("handles"))
        return STATUS_NO_HANDLES;
    status_t status = STATUS_OK;
    if (!SEEDED_BUG("O reserve"))
        lock_acquire(&process->table_lock);
    while (status == STATUS_OK && process->pages_paid * HANDLES_PER_PAGE - process->handles_used -
                                          process->handles_reserved - process->handles_retired <
                                      count)
        if (!pay_page_locked(process))
            status = STATUS_NO_HANDLES;
    if (status == STATUS_OK && process->ending)
        status = STATUS_NO_HANDLES;
    if (status == STATUS_OK)
        process->handles_reserved += count;
    else
        give_back_locked(process);
    if (!SEEDED_BUG("O reserve"))
        lock_release(&process->table_lock);
    return status;
}

void handles_unreserve(struct process *process, uint32_t count)
{
    lock_acquire(&process->table_lock);
    ASSERT(process->handles_reserved >= count);
    process->handles_reserved -= count;
    give_back_locked(process);
    lock_release(&process->table_lock);
}

// ---- installing

uint64_t handle_place(struct process *process, const struct handle_transfer *transfer)
{
    lock_acquire(&process->table_lock);
    ASSERT(process->handles_reserved > 0);
    if (process->free_head == NO_SLOT)
        grow_locked(process);
    process->handles_reserved--;
    process->handles_used++;
    uint32_t slot = process->free_head;
    struct handle_entry *entry = entry_at(process, slot);
    process->free_head = (uint32_t)entry->next_free;
    uint64_t generation = entry->tag >> 2;
    CHECK(O3, (entry->tag & 3) == HANDLE_FREE && generation > 0);
    // Pairs with the one in read_entry: who sees the new word sees that the old tag is gone. (What
    // cleared the tag was a release, which does not keep later stores behind it.)
    if (!SEEDED_BUG("weak reuse"))
        atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&entry->word,
                          object_index(transfer->object) | (uint64_t)transfer->type << 24 |
                              (uint64_t)transfer->rights << 32,
                          memory_order_relaxed);
    atomic_store_explicit(&entry->object_generation, transfer->generation, memory_order_relaxed);
    atomic_store_explicit(&entry->tag, make_tag(generation, HANDLE_LIVE),
                          ORDER("weak tag", memory_order_release));
    lock_release(&process->table_lock);
    return generation << 32 | slot;
}

uint64_t handle_install_reserved(struct process *process, struct object_ref ref,
                                 enum abi_object type, uint32_t rights) NO_THREAD_SAFETY
{
    if (object_ref_lock(ref)) {
        object_handle_added_locked(ref.object);
        object_unlock(ref.object);
    }
    struct handle_transfer transfer = {ref.object, ref.generation, rights, 0, type};
    return handle_place(process, &transfer);
}

uint64_t handle_publish(struct process *process, struct object *object, uint32_t rights)
{
    struct object_ref ref = object_reference(object);
    enum abi_object type = object->type;
    object_publish(object);
    return handle_install_reserved(process, ref, type, rights);
}

status_t create_with_handle(struct entry *entry, const struct handle_lookup *account,
                            enum abi_object type, struct object **out)
{
    status_t status = handles_reserve(entry->process, 1);
    if (status != STATUS_OK)
        return status;
    status = account_charge_ref(lookup_ref(account), 0, 1);
    if (status == STATUS_OK)
        *out = object_new((struct account *)(void *)account->object, type);
    else
        handles_unreserve(entry->process, 1);
    return status;
}

// ---- taking out

status_t handles_hold(struct process *process, const uint64_t *values, uint32_t count,
                      const struct object *except0, const struct object *except1,
                      struct handle_transfer *out)
{
    status_t status = STATUS_OK;
    uint32_t held = 0;
    lock_acquire(&process->table_lock);
    for (; held < count; held++) {
        struct handle_transfer *transfer = &out[held];
        if (!read_entry(process, values[held], transfer)) {
            status = STATUS_BAD_HANDLE; // also the second one of a pair of equals
            break;
        }
        if (!(transfer->rights & RIGHT_TRANSFER))
            status = STATUS_NO_RIGHT;
        else if (!object_is(transfer->object, transfer->generation))
            status = STATUS_GONE;
        else if (transfer->object == except0 || transfer->object == except1)
            status = STATUS_INVALID;
        if (status != STATUS_OK)
            break;
        // To a lookup it is gone; who puts it back or takes it out is the holder. As in
        // free_slot_locked.
        atomic_store_explicit(&entry_at(process, transfer->slot)->tag,
                              make_tag(values[held] >> 32, HANDLE_HELD), memory_order_release);
    }
    if (status != STATUS_OK)
        while (held-- > 0)
            atomic_store_explicit(&entry_at(process, out[held].slot)->tag,
                                  make_tag(values[held] >> 32, HANDLE_LIVE),
                                  ORDER("weak back", memory_order_release));
    lock_release(&process->table_lock);
    return status;
}

void handles_held(struct process *process, const uint16_t *held, uint32_t count,
                  struct handle_transfer *out)
{
    lock_acquire(&process->table_lock);
    for (uint32_t i = 0; i < count; i++) {
        const struct handle_entry *entry = entry_at(process, held[i]);
        CHECK(O3, (entry->tag & 3) == HANDLE_HELD);
        read_contents(entry, held[i], &out[i]);
    }
    lock_release(&process->table_lock);
}

void handles_commit(struct process *process, const uint16_t *held, uint32_t count)
{
    if (count == 0 || SEEDED_BUG("O3"))
        return;
    lock_acquire(&process->table_lock);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t tag = entry_at(process, held[i])->tag;
        CHECK(O3, (tag & 3) == HANDLE_HELD);
        process->handles_used--;
        free_slot_locked(process, held[i], tag >> 2);
    }
    give_back_locked(process);
    lock_release(&process->table_lock);
}

// Without the lock: what is held is its holder's alone until its tag says otherwise.
void handles_restore(struct process *process, const uint16_t *held, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct handle_entry *entry = entry_at(process, held[i]);
        CHECK(O3, (entry->tag & 3) == HANDLE_HELD);
        atomic_store_explicit(&entry->tag, make_tag(entry->tag >> 2, HANDLE_LIVE),
                              ORDER("weak restore", memory_order_release));
    }
}

status_t handle_move(struct process *from, const struct handle_lookup *handle, struct process *to,
                     uint64_t *value)
{
    status_t status = handles_reserve(to, 1);
    if (status != STATUS_OK)
        return status;
    struct handle_transfer transfer;
    status = handles_hold(from, &handle->handle, 1, nullptr, nullptr, &transfer);
    if (status != STATUS_OK) {
        handles_unreserve(to, 1);
        return status;
    }
    handles_commit(from, &transfer.slot, 1);
    *value = handle_place(to, &transfer);
    return STATUS_OK;
}

// ---- system calls

// Takes one slot out, whatever its object's state, and drops the reference.
static status_t close_slot(struct process *process, uint64_t handle) NO_THREAD_SAFETY
{
    struct handle_transfer found;
    if (!SEEDED_BUG("O3 close"))
        lock_acquire(&process->table_lock);
    bool live = read_entry(process, handle, &found);
    if (live) {
        process->handles_used--;
        free_slot_locked(process, found.slot, handle >> 32);
        give_back_locked(process);
    }
    if (!SEEDED_BUG("O3 close"))
        lock_release(&process->table_lock);
    if (!live)
        return STATUS_BAD_HANDLE;
    object_handle_dropped((struct object_ref){found.object, found.generation});
    return STATUS_OK;
}

// Closes whatever is in one slot. For the teardown of a process: nothing is held any more.
void handle_close_slot(struct process *process, uint32_t slot)
{
    struct handle_entry *entry = entry_at(process, slot);
    if (entry && (entry->tag & 3) == HANDLE_LIVE)
        (void)close_slot(process, (entry->tag >> 2) << 32 | slot);
}

status_t sys_handle_close(struct entry *entry, uint64_t handle)
{
    return close_slot(entry->process, handle);
}

status_t sys_handle_duplicate(struct entry *entry, const struct handle_lookup *handle,
                              uint32_t rights) NO_THREAD_SAFETY
{
    if ((rights & ~handle->rights) && !SEEDED_BUG("O1"))
        return STATUS_INVALID;
    status_t status = handles_reserve(entry->process, 1);
    if (status != STATUS_OK)
        return status;
    if (!object_lock(handle->object, handle->generation)) {
        handles_unreserve(entry->process, 1);
        return STATUS_GONE;
    }
    CHECK(O1, (rights & ~handle->rights) == 0);
    object_handle_added_locked(handle->object);
    object_unlock(handle->object);
    struct handle_transfer transfer = {handle->object, handle->generation, rights, 0, handle->type};
    entry->result[0] = handle_place(entry->process, &transfer);
    return STATUS_OK;
}
