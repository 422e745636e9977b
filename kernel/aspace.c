// SPDX-License-Identifier: MIT
//
// Address spaces: their numbers, their making, and their end in bounded steps. Mappings: mapping.c.
// See vm.h.
#include <lib/string.h>

#include "cpu.h"
#include "frame.h"
#include "process.h"
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
