// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Numbers of address spaces, and what TLBs and caches are told: each number is one process's, and
// what was translated by it is forgotten before the next has it (M6).
#include "cpu.h"
#include "frame.h"
#include "kernel_world.h"

constexpr uint64_t AT = 0x5000'0000;

static struct actor *a;

static uint16_t asid_of(uint64_t aspace)
{
    return ((const struct aspace *)(const void *)object_behind(a, aspace))->asid;
}

static void all_numbers(uint32_t limit)
{
    world_begin((struct world_options){.asids = limit});
    a = spawn(new_account(2000, 700), 10);
    uint64_t process[260] = {};
    bool used[260] = {};
    unsigned count = 0;
    struct outcome out;
    used[0] = true; // the kernel's
    used[world.boss->process->aspace->asid] = used[a->process->aspace->asid] = true;
    EXPECT(world.boss->process->aspace->asid && a->process->aspace->asid);
    while ((out = CALL(a, PROCESS_CREATE, a->account, 0)).status == STATUS_OK) {
        process[count++] = out.value[0];
        uint16_t asid = asid_of(out.value[1]);
        EXPECT(asid <= limit && !used[asid]);
        used[asid] = true;
    }
    EXPECT_STATUS(out.status, NO_RESOURCE);
    EXPECT_EQUAL(count, limit - 2);
    // Each comes back, and no other.
    for (unsigned i = 0; i < count; i += 7) {
        struct aspace *aspace = ((struct process *)(void *)object_behind(a, process[i]))->aspace;
        uint16_t asid = aspace->asid;
        MUST(a, OBJECT_DESTROY, process[i]);
        out = CALL(a, PROCESS_CREATE, a->account, 0);
        EXPECT_STATUS(out.status, OK);
        EXPECT_EQUAL(asid_of(out.value[1]), asid);
        EXPECT_CALL(NO_RESOURCE, a, PROCESS_CREATE, a->account, 0);
    }
    world_end();
}

// MEM-11
TEST(each_number_is_one_address_spaces)
{
    all_numbers(70);
}

TEST(all_of_a_word_of_numbers)
{
    all_numbers(63);
}

TEST(one_more_than_a_word_of_numbers)
{
    all_numbers(64);
}

TEST(a_machine_without_numbers)
{
    world_begin((struct world_options){.asids = UINT32_MAX});
    a = spawn(new_account(600, 300), 10);
    for (unsigned i = 0; i < 40; i++)
        EXPECT_EQUAL(asid_of(CALL(a, PROCESS_CREATE, a->account, 0).value[1]), 0);
    world_end();
}

static bool can_load(struct actor *actor)
{
    paddr_t physical;
    hold(actor);
    bool can = host_access(0, AT, HOST_LOAD, &physical);
    settle();
    return can;
}

// MEM-11
TEST(a_number_is_forgotten_before_its_next_owner)
{
    world_begin((struct world_options){.asids = 3});
    uint64_t account = new_account(300, 200);
    struct actor *first = spawn(account, 12);
    uint64_t vmo = MUST(first, VMO_CREATE, first->account, PAGE_SIZE, 0);
    MUST(first, VM_MAP, first->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    uint16_t asid = first->process->aspace->asid;
    EXPECT(can_load(first));
    // One that a TLB has kept from before: the mapping's own flush does not know of it.
    host_tlb[0][HOST_TLB_ENTRIES - 1] = (struct host_tlb_entry){true, asid, AT + PAGE_SIZE, {0}};
    MUST(world.boss, OBJECT_DESTROY, first->process_handle);
    for (unsigned i = 0; i < HOST_TLB_ENTRIES; i++)
        EXPECT(!host_tlb[0][i].valid || host_tlb[0][i].asid != asid);
    struct actor *second = spawn(account, 12);
    EXPECT_EQUAL(second->process->aspace->asid, asid);
    EXPECT(!can_load(second));
    world_end();
}

// What a call has changed is before every walk that starts after it: a table's zeros when the table
// is linked, and all entries once.
TEST(entries_are_ordered_before_walks)
{
    world_begin((struct world_options){});
    a = spawn(new_account(300, 200), 10);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 2 * PAGE_SIZE, 0);
    const uint64_t *syncs = &cpus[0]->arch.table_syncs;
    uint64_t before = *syncs, tables = a->process->aspace->table_pages;
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    tables = a->process->aspace->table_pages - tables;
    EXPECT(tables > 0);
    EXPECT_EQUAL(*syncs, before + tables + 1);
    before = *syncs;
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, AT + 2 * PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ);
    EXPECT_EQUAL(*syncs, before + 1);
    world_end();
}

static unsigned maintenance_of(enum host_maintenance_kind kind, uint64_t page, size_t *bytes)
{
    unsigned count = 0;
    *bytes = 0;
    EXPECT(host_maintenance_count <= HOST_MAINTENANCE);
    for (unsigned i = 0; i < host_maintenance_count; i++)
        if (host_maintenance[i].kind == kind &&
            align_down(host_maintenance[i].start.value, PAGE_SIZE) == page) {
            count++;
            *bytes += host_maintenance[i].bytes;
        }
    return count;
}

// MEM-10
TEST(code_is_made_visible_to_fetches)
{
    world_begin((struct world_options){});
    a = spawn(new_account(300, 200), 10);
    uint64_t handle = MUST(a, VMO_CREATE, a->account, 3 * PAGE_SIZE, 0);
    struct vmo *vmo = vmo_of(object_behind(a, handle));
    size_t bytes;
    host_maintenance_count = 0;
    MUST(a, VM_MAP, a->own_aspace, handle, 0, AT, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE);
    EXPECT_EQUAL(host_maintenance_count, 0);
    MUST(a, VM_MAP, a->own_aspace, handle, PAGE_SIZE, AT + 8 * PAGE_SIZE, 2 * PAGE_SIZE,
         PROT_READ | PROT_EXECUTE);
    EXPECT_EQUAL(host_maintenance_count, 2);
    for (unsigned i = 0; i < 3; i++) {
        unsigned count = maintenance_of(HOST_CODE_SYNC, vmo_page(vmo, i).value, &bytes);
        EXPECT_EQUAL(count, i > 0);
        EXPECT_EQUAL(bytes, i > 0 ? PAGE_SIZE : 0);
    }
    world_end();
}

// MEM-22
TEST(what_is_synchronised_for_a_device_is_the_slice)
{
    world_begin((struct world_options){});
    a = spawn(new_account(300, 200), 10);
    uint64_t mint = grant(a, world.boss, world.machine);
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, mint, a->account, 7);
    uint64_t handle = MUST(a, VMO_CREATE, a->account, 6 * PAGE_SIZE, 0);
    struct vmo *vmo = vmo_of(object_behind(a, handle));
    uint64_t pin =
        MUST(a, PIN_CREATE, space, a->account, handle, PAGE_SIZE, 4 * PAGE_SIZE, DMA_BOTH);
    for (unsigned side = 0; side < 2; side++) {
        enum host_maintenance_kind kind = side ? HOST_DMA_INVALIDATE : HOST_DMA_CLEAN;
        host_maintenance_count = 0;
        MUST(a, PIN_SYNC, pin, PAGE_SIZE + 100, 2 * PAGE_SIZE, side ? SYNC_CPU : SYNC_DEVICE);
        EXPECT_EQUAL(host_maintenance_count, 3);
        static const size_t wanted[] = {PAGE_SIZE - 100, PAGE_SIZE, 100};
        for (unsigned i = 0; i < 3; i++) {
            EXPECT(host_maintenance[i].kind == kind);
            EXPECT_EQUAL(host_maintenance[i].start.value,
                         vmo_page(vmo, 2 + i).value + (i == 0 ? 100 : 0));
            EXPECT_EQUAL(host_maintenance[i].bytes, wanted[i]);
        }
        host_maintenance_count = 0;
        MUST(a, PIN_SYNC, pin, 4 * PAGE_SIZE, 0, side ? SYNC_CPU : SYNC_DEVICE);
        EXPECT_EQUAL(host_maintenance_count, 0);
        MUST(a, PIN_SYNC, pin, 0, 4 * PAGE_SIZE, side ? SYNC_CPU : SYNC_DEVICE);
        EXPECT_EQUAL(host_maintenance_count, 4);
        EXPECT_CALL(INVALID, a, PIN_SYNC, pin, 1, 4 * PAGE_SIZE, SYNC_CPU);
        EXPECT_CALL(INVALID, a, PIN_SYNC, pin, 4 * PAGE_SIZE + 1, 0, SYNC_CPU);
    }
    // The addresses that the device is given are those of the slice.
    EXPECT_EQUAL(MUST(a, PIN_ADDRESSES, pin, 1), 3);
    const uint64_t *addresses = (const uint64_t *)(const void *)a->thread->message->data;
    for (unsigned i = 0; i < 3; i++)
        EXPECT_EQUAL(addresses[i], vmo_page(vmo, 2 + i).value);
    EXPECT_EQUAL(MUST(a, PIN_ADDRESSES, pin, 3), 1);
    EXPECT_CALL(INVALID, a, PIN_ADDRESSES, pin, 4);
    world_end_after_quarantine(7);
}
