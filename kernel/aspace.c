// SPDX-License-Identifier: MIT
//
// Address spaces and mappings: map, unmap, and their teardown, in bounded steps. See vm.h.
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

void vm_init(void)
{
    lock_init(&asids.lock, RANK_SLOTS);
    asids.limit = arch_asid_limit();
    kernel_root = frame_allocate(FRAME_TABLE, nullptr);
    arch_root_init(arch_ram(kernel_root));
}

static status_t asid_allocate(uint16_t *out)
{
    *out = 0;
    if (asids.limit == 0)
        return STATUS_OK;
    status_t status = STATUS_NO_RESOURCE;
    lock_acquire(&asids.lock);
    for (uint32_t word = 0; word < ARRAY_SIZE(asids.used) && status != STATUS_OK; word++) {
        uint64_t free = ~asids.used[word] & (word == 0 ? ~1ull : ~0ull);
        uint32_t number = word * 64 + (free ? (uint32_t)__builtin_ctzll(free) : 0);
        if (!free)
            continue;
        if (number > asids.limit)
            break;
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

void aspace_load(struct cpu *cpu, struct aspace *aspace)
{
    if (cpu->aspace == aspace)
        return;
    cpu->aspace = aspace;
    if (aspace)
        arch_root_load(aspace->root, aspace->asid);
    else
        arch_root_load(kernel_root, 0);
}

status_t aspace_create(struct account *account, struct process *process, struct aspace **out)
{
    status_t status = account_charge(account, 1, 0);
    if (status != STATUS_OK)
        return status;
    uint16_t asid;
    status = asid_allocate(&asid);
    struct object *object;
    if (status == STATUS_OK) {
        status = object_create(account, OBJECT_ASPACE, &object);
        if (status != STATUS_OK)
            asid_free(asid);
    }
    if (status != STATUS_OK) {
        account_uncharge(account, 1, 0);
        return status;
    }
    struct aspace *aspace = (struct aspace *)(void *)object;
    aspace->root = frame_allocate(FRAME_TABLE, object);
    aspace->asid = asid;
    aspace->process = process;
    arch_root_init(arch_ram(aspace->root));
    *out = aspace;
    return STATUS_OK;
}

// ---- mapping

static bool range_valid(uint64_t address, uint64_t pages)
{
    return address % PAGE_SIZE == 0 && pages > 0 && pages <= VMO_MAX_PAGES &&
           address >= ABI_USER_MIN && address < ABI_USER_MAX &&
           pages <= (ABI_USER_MAX - address) >> PAGE_SHIFT;
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

// Files a mapping with its address space and its VMO, both locked, and pays for it.
static status_t mapping_attach(struct mapping *mapping) NO_THREAD_SAFETY
{
    struct aspace *aspace = mapping->aspace;
    struct vmo *vmo = mapping->vmo;
    if (overlaps(aspace, mapping->address, mapping->pages))
        return STATUS_OVERLAP;
    if (vmo) {
        if (vmo->object.life != LIFE_LIVE)
            return STATUS_GONE;
        if (vmo->object.state != VMO_READY)
            return STATUS_BAD_STATE;
        if (mapping->offset_pages > vmo->pages ||
            mapping->pages > vmo->pages - mapping->offset_pages)
            return STATUS_INVALID;
        if (vmo->object.account != mapping->object.account && !SEEDED_BUG("M8")) {
            mapping->charged_pages = vmo->device ? 0 : mapping->pages + vmo_index_pages(vmo->pages);
            mapping->charged_objects = 1;
        }
    }
    mapping->charged_tables = pagetable_missing(aspace, mapping->address, mapping->pages);
    status_t status =
        account_charge(mapping->object.account, mapping->charged_pages + mapping->charged_tables,
                       mapping->charged_objects);
    if (status != STATUS_OK)
        return status;
    CHECK(M8, !vmo || vmo->device || vmo->object.account == mapping->object.account ||
                  mapping->charged_pages >= mapping->pages);
    tree_insert(&aspace->mappings, &mapping->node, mapping->address);
    if (vmo) {
        vmo->mapping_count++;
        vmo->unpaid += mapping->charged_objects == 0;
        vmo->populating++;
        mapping->populating = true;
        list_push_back(&vmo->mappings, &mapping->vmo_node);
    }
    return STATUS_OK;
}

static enum step mapping_populate(struct object *object);

// Makes and files a mapping, nothing populated yet. Its operation is the caller's to run: whoever
// kills the mapping meanwhile, on another CPU, leaves the teardown to it.
static status_t mapping_create(struct aspace *aspace, uint64_t generation, struct vmo *vmo,
                               const struct mapping *wanted, struct mapping **out) NO_THREAD_SAFETY
{
    struct account *account = aspace->object.account;
    if (!account)
        return STATUS_GONE;
    struct object *object;
    status_t status = object_create(account, OBJECT_MAPPING, &object);
    if (status != STATUS_OK)
        return status;
    struct mapping *mapping = mapping_of(object);
    object->operation.step = mapping_populate;
    object->operation.runnable.priority = sched_priority();
    object->operation.phase = OPERATION_RUNNING;
    mapping->aspace = aspace;
    mapping->vmo = vmo;
    mapping->address = wanted->address;
    mapping->pages = wanted->pages;
    mapping->offset_pages = wanted->offset_pages;
    mapping->protection = wanted->protection;
    mapping->buffer = wanted->buffer;
    mapping->buffer_thread = wanted->buffer_thread;
    list_node_init(&mapping->vmo_node);
    if (!object_lock(&aspace->object, generation)) {
        status = STATUS_GONE;
    } else {
        if (vmo)
            lock_acquire(&vmo->object.lock);
        status = mapping_attach(mapping);
        if (vmo)
            lock_release(&vmo->object.lock);
        object_unlock(&aspace->object);
    }
    if (status != STATUS_OK) {
        mapping->aspace = nullptr; // nothing to clear
        mapping->charged_pages = mapping->charged_objects = mapping->charged_tables = 0;
        object_kill(object_reference(object), sched_priority());
        (void)operation_run(&object->operation); // which begins the teardown
        return status;
    }
    *out = mapping;
    return STATUS_OK;
}

static void set_entry(struct mapping *mapping, uint64_t page) NO_THREAD_SAFETY
{
    struct vmo *vmo = mapping->vmo;
    paddr_t frame = vmo ? vmo_page(vmo, mapping->offset_pages + page) : mapping->buffer;
    bool registers = vmo && vmo->device && !vmo->tables;
    uint64_t protection = mapping->protection | (SEEDED_BUG("M2") ? PROT_WRITE : 0);
    pagetable_set(
        mapping->aspace, mapping->address + (page << PAGE_SHIFT),
        pte_make_page(frame, protection, registers ? ARCH_MEMORY_DEVICE : ARCH_MEMORY_NORMAL),
        &mapping->charged_tables);
    if (!vmo || !vmo->device)
        if (!SEEDED_BUG("M3"))
            frame_of(frame)->mappings++;
    if (mapping->protection & PROT_EXECUTE)
        arch_code_sync(arch_ram(frame), PAGE_SIZE);
    mapping->aspace->pages++;
}

// The mapping takes no more pages of its VMO, which is locked.
static void populating_over_locked(struct mapping *mapping)
{
    if (mapping->populating)
        mapping->vmo->populating--;
    mapping->populating = false;
}

static enum step mapping_populate(struct object *object) NO_THREAD_SAFETY
{
    struct mapping *mapping = mapping_of(object);
    if (object->life == LIFE_DYING)
        return STEP_DONE;
    lock_acquire(&mapping->aspace->object.lock);
    if (mapping->vmo)
        lock_acquire(&mapping->vmo->object.lock);
    for (unsigned i = 0; i < VM_STEP_PAGES && mapping->cursor < mapping->pages; i++)
        set_entry(mapping, mapping->cursor++);
    if (mapping->cursor == mapping->pages)
        populating_over_locked(mapping);
    if (mapping->vmo)
        lock_release(&mapping->vmo->object.lock);
    arch_table_sync();
    lock_release(&mapping->aspace->object.lock);
    if (mapping->cursor < mapping->pages)
        return STEP_MORE;
    if (mapping->vmo)
        vmo_user_gone(mapping->vmo); // its teardown waits until all have what they paid for
    // Tables that another mapping added meanwhile need not be paid for twice.
    account_uncharge(object->account, mapping->charged_tables, 0);
    mapping->charged_tables = 0;
    lock_acquire(&object->lock);
    if (object->life == LIFE_LIVE) {
        object_transition(object, MAPPING_ACTIVE);
        object_wake_all_locked(object, STATUS_OK);
    }
    lock_release(&object->lock);
    return STEP_DONE;
}

status_t aspace_map_now(struct aspace *aspace, struct vmo *vmo, uint64_t offset_pages,
                        uint64_t address, uint64_t pages, uint64_t protection)
{
    struct mapping wanted = {
        .address = address, .pages = pages, .offset_pages = offset_pages, .protection = protection};
    struct mapping *mapping;
    status_t status = mapping_create(aspace, aspace->object.generation, vmo, &wanted, &mapping);
    if (status != STATUS_OK)
        return status;
    while (mapping_populate(&mapping->object) == STEP_MORE) {}
    mapping->object.operation.phase = OPERATION_IDLE;
    return STATUS_OK;
}

status_t aspace_map_message_buffer(struct aspace *aspace, uint64_t address, paddr_t page,
                                   struct object *thread, struct object_ref *out)
{
    if (!range_valid(address, 1))
        return STATUS_INVALID;
    struct mapping wanted = {.address = address,
                             .pages = 1,
                             .protection = PROT_READ | PROT_WRITE,
                             .buffer = page,
                             .buffer_thread = thread};
    struct mapping *mapping;
    status_t status = mapping_create(aspace, aspace->object.generation, nullptr, &wanted, &mapping);
    if (status != STATUS_OK)
        return status == STATUS_GONE ? STATUS_BAD_STATE : status;
    *out = object_reference(&mapping->object);
    (void)operation_run(&mapping->object.operation);
    return STATUS_OK;
}

static status_t check_protection(uint64_t protection, const struct handle_lookup *vmo_handle)
{
    const struct vmo *vmo = vmo_of(vmo_handle->object);
    constexpr uint64_t WX = PROT_WRITE | PROT_EXECUTE;
    if (!(protection & PROT_READ) || protection & ~(PROT_READ | WX))
        return STATUS_INVALID;
    if ((protection & WX) == WX && !SEEDED_BUG("M5"))
        return STATUS_INVALID;
    if ((protection & PROT_EXECUTE && vmo->device) || (protection & PROT_WRITE && vmo->tables))
        return STATUS_INVALID;
    uint32_t rights = RIGHT_READ;
    rights |= protection & PROT_WRITE ? (uint32_t)RIGHT_WRITE : 0;
    rights |= protection & PROT_EXECUTE ? (uint32_t)RIGHT_EXECUTE : 0;
    return (vmo_handle->rights & rights) == rights ? STATUS_OK : STATUS_NO_RIGHT;
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
    status_t status = check_protection(protection, vmo_handle);
    if (status != STATUS_OK)
        return status;
    struct mapping wanted = {.address = address,
                             .pages = bytes >> PAGE_SHIFT,
                             .offset_pages = offset >> PAGE_SHIFT,
                             .protection = protection};
    struct mapping *mapping;
    status =
        mapping_create((struct aspace *)(void *)aspace_handle->object, aspace_handle->generation,
                       vmo_of(vmo_handle->object), &wanted, &mapping);
    if (status != STATUS_OK)
        return status;
    // The first step, and for a small mapping the only one, is done at once. What is left is in
    // this CPU's run queue: it cannot end before the caller waits for it.
    if (operation_run(&mapping->object.operation))
        return STATUS_OK;
    return wait_for_operation(&mapping->object);
}

// ---- unmapping

// Clears up to a step's worth of entries from the end, flushes, and only then lets go of the
// frames (M6, M7).
static void clear_some(struct mapping *mapping) NO_THREAD_SAFETY
{
    struct aspace *aspace = mapping->aspace;
    struct vmo *vmo = mapping->vmo;
    uint64_t count = mapping->cursor < VM_STEP_PAGES ? mapping->cursor : VM_STEP_PAGES;
    uint64_t first = mapping->cursor - count;
    paddr_t frames[VM_STEP_PAGES];
    lock_acquire(&aspace->object.lock);
    for (uint64_t i = 0; i < count; i++)
        frames[i] =
            pte_address(pagetable_clear(aspace, mapping->address + ((first + i) << PAGE_SHIFT)));
    aspace->pages -= count;
    arch_table_sync();
    if (SEEDED_BUG("M6 flush"))
        ;
    else if (count <= 8)
        for (uint64_t i = 0; i < count; i++)
            arch_tlb_flush_page(aspace->asid, mapping->address + ((first + i) << PAGE_SHIFT));
    else
        arch_tlb_flush_asid(aspace->asid);
    for (uint64_t i = 0; i < count; i++)
        CHECK(M6,
              !pte_present(pagetable_get(aspace, mapping->address + ((first + i) << PAGE_SHIFT))));
    if (vmo)
        lock_acquire(&vmo->object.lock);
    for (uint64_t i = 0; i < count; i++) {
        if (!vmo || !vmo->device) {
            CHECK(M3, frame_of(frames[i])->mappings > 0);
            frame_of(frames[i])->mappings--;
        }
        if (vmo)
            vmo_page_released_locked(vmo, mapping->offset_pages + first + i);
    }
    if (vmo)
        lock_release(&vmo->object.lock);
    lock_release(&aspace->object.lock);
    mapping->cursor = first;
}

static void mapping_detach(struct mapping *mapping) NO_THREAD_SAFETY
{
    struct aspace *aspace = mapping->aspace;
    struct vmo *vmo = mapping->vmo;
    lock_acquire(&aspace->object.lock);
    tree_remove(&aspace->mappings, &mapping->node);
    lock_release(&aspace->object.lock);
    account_uncharge(mapping->object.account, mapping->charged_pages + mapping->charged_tables,
                     mapping->charged_objects);
    if (vmo) {
        lock_acquire(&vmo->object.lock);
        list_remove(&mapping->vmo_node);
        vmo->mapping_count--;
        vmo->unpaid -= mapping->charged_objects == 0;
        populating_over_locked(mapping);
        lock_release(&vmo->object.lock);
        vmo_user_gone(vmo);
    } else {
        operation_resume(mapping->buffer_thread);
    }
    operation_resume(&aspace->object); // its teardown may wait for the last mapping
}

enum step mapping_teardown(struct object *object) NO_THREAD_SAFETY
{
    struct mapping *mapping = mapping_of(object);
    if (!mapping->aspace)
        return STEP_DONE; // never filed
    if (object->state != MAPPING_CLEARING) {
        lock_acquire(&object->lock);
        object_transition(object, MAPPING_CLEARING);
        lock_release(&object->lock);
    }
    if (mapping->cursor > 0)
        clear_some(mapping);
    if (mapping->cursor > 0)
        return STEP_MORE;
    mapping_detach(mapping);
    lock_acquire(&object->lock);
    object_wake_all_locked(object, STATUS_OK);
    lock_release(&object->lock);
    return STEP_DONE;
}

status_t sys_vm_unmap(struct entry *entry, const struct handle_lookup *aspace_handle,
                      uint64_t address) NO_THREAD_SAFETY
{
    (void)entry;
    struct aspace *aspace = (struct aspace *)(void *)aspace_handle->object;
    if (!object_lock(&aspace->object, aspace_handle->generation))
        return STATUS_GONE;
    struct tree_node *node = tree_find_at_most(&aspace->mappings, address);
    struct object_ref ref = {};
    if (node) {
        struct mapping *mapping = CONTAINER_OF(node, struct mapping, node);
        if (mapping->address == address && mapping->vmo)
            ref = object_reference(&mapping->object);
    }
    object_unlock(&aspace->object);
    if (!object_ref_lock(ref))
        return STATUS_NOT_FOUND; // none, or somebody else unmaps it already
    struct object *object = ref.object;
    bool mine = object->operation.phase == OPERATION_IDLE;
    object_kill_locked(object, sched_priority());
    // It is still being populated: the teardown follows, maybe on another CPU.
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

status_t sys_vm_protect(struct entry *entry, const struct handle_lookup *aspace, uint64_t address,
                        uint64_t protection)
{
    (void)entry, (void)aspace, (void)address, (void)protection;
    return STATUS_NOT_SUPPORTED;
}

// ---- the end of an address space

static void flush_everything(struct aspace *aspace)
{
    struct cpu *cpu = cpu_self();
    if (cpu->aspace == aspace)
        aspace_load(cpu, nullptr);
    arch_tlb_flush_asid(aspace->asid);
}

enum step aspace_teardown(struct object *object) NO_THREAD_SAFETY
{
    struct aspace *aspace = (struct aspace *)(void *)object;
    if (!aspace->quiet)
        return STEP_WAIT; // the process resumes it when its last thread has ended
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
    flush_everything(aspace);
    for (unsigned i = 0; i < 4; i++) {
        bool freed = pagetable_free_one(aspace);
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
}
