// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Numbers of address spaces, and what TLBs and caches are told: each number is one process's, and
// what was translated by it is forgotten before the next has it (M6).
#include <entry/entry.h>

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
    host_tlb[0][HOST_TLB_ENTRIES - 1] =
        (struct host_tlb_entry){true, asid, AT + PAGE_SIZE, PAGE_SIZE, {0}};
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

// ---- on other CPUs

static struct actor *other; // of the same process, on CPU 1

static void two_cpus(uint32_t asids)
{
    world_begin((struct world_options){.cpus = 2, .asids = asids});
    a = spawn(new_account(300, 200), 10);
    other = spawn_thread_on(1, a, 10);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
    for (unsigned i = 0; i < 3; i++)
        MUST(a, VM_MAP, a->own_aspace, vmo, 0, AT + i * PAGE_SIZE, PAGE_SIZE, PROT_READ);
}

static bool other_can_load(uint64_t page)
{
    paddr_t physical;
    return host_access(1, AT + page * PAGE_SIZE, HOST_LOAD, &physical);
}

TEST(another_cpu_forgets_before_the_unmapping_returns)
{
    two_cpus(UINT32_MAX);
    struct actor *second = spawn_thread(a, 10);
    hold(other);
    EXPECT(other_can_load(0) && other_can_load(1) && other_can_load(2));
    EXPECT_CALL(BLOCKED, a, VM_UNMAP, a->own_aspace, AT);
    // What comes during a round is for the next one: this one's answers may have been given.
    EXPECT_CALL(BLOCKED, second, VM_UNMAP, a->own_aspace, AT + PAGE_SIZE);
    EXPECT(cpus[0]->flush_ticket.busy && cpus[0]->flush_ticket.next_cpus == 2);
    host_enter(1, entry_interrupt);
    host_run(1);
    EXPECT(cpus[1]->current == other->thread);
    EXPECT(!other_can_load(0) && other_can_load(2)); // it is still where it was
    settle();
    EXPECT_STATUS(ended(a).status, OK);
    EXPECT_STATUS(ended(second).status, OK);
    world_end();
}

static void leave_any(void)
{
    tlb_enter(cpu_self(), nullptr);
}

TEST(a_cpu_that_has_left_still_answers)
{
    two_cpus(UINT32_MAX);
    MUST(other, CLOCK_READ);
    hold(a);
    (void)HELD(a, VM_UNMAP, a->own_aspace, AT);
    EXPECT(host_interrupt_pending(1));
    on_cpu(1, leave_any); // after it was asked
    settle();
    EXPECT_STATUS(ended(a).status, OK);
    world_end();
}

TEST(who_holds_an_address_space)
{
    two_cpus(0);
    struct actor *c = spawn_on(1, new_account(100, 50), 10);
    uint64_t theirs = grant(a, world.boss, c->process_handle);
    MUST(other, CLOCK_READ);
    MUST(a, CLOCK_READ);
    EXPECT_EQUAL(a->process->aspace->holders.cpus, 3);
    MUST(c, CLOCK_READ);
    EXPECT_EQUAL(a->process->aspace->holders.cpus, 1);
    EXPECT_EQUAL(c->process->aspace->holders.cpus, 2);
    // The end of one takes no CPU out of another.
    MUST(a, OBJECT_DESTROY, theirs);
    EXPECT(cpus[0]->aspace == a->process->aspace && cpus[1]->aspace == nullptr);
    world_end();
}

static bool remembered(uint64_t address)
{
    for (unsigned i = 0; i < HOST_TLB_ENTRIES; i++)
        if (host_tlb[0][i].valid && host_tlb[0][i].page == address)
            return true;
    return false;
}

// Few pages are forgotten one by one; of many, all are at once.
TEST(how_much_is_forgotten)
{
    world_begin((struct world_options){});
    a = spawn(new_account(300, 200), 10);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 9 * PAGE_SIZE, 0);
    constexpr uint64_t BESIDE = AT + 8 * PAGE_SIZE, MANY = AT + 16 * PAGE_SIZE;
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, AT, 8 * PAGE_SIZE, PROT_READ);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, BESIDE, PAGE_SIZE, PROT_READ);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, MANY, 9 * PAGE_SIZE, PROT_READ);
    hold(a);
    paddr_t physical;
    EXPECT(host_access(0, BESIDE - PAGE_SIZE, HOST_LOAD, &physical));
    EXPECT(host_access(0, BESIDE, HOST_LOAD, &physical));
    EXPECT_STATUS(HELD(a, VM_UNMAP, a->own_aspace, AT).status, OK);
    EXPECT(!remembered(BESIDE - PAGE_SIZE) && remembered(BESIDE));
    EXPECT_STATUS(HELD(a, VM_UNMAP, a->own_aspace, MANY).status, OK);
    EXPECT(!remembered(BESIDE));
    settle();
    world_end();
}

// ---- caches

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
    // What becomes executable, too.
    host_maintenance_count = 0;
    MUST(a, VM_PROTECT, a->own_aspace, AT, PROT_READ);
    EXPECT_EQUAL(host_maintenance_count, 0);
    MUST(a, VM_PROTECT, a->own_aspace, AT, PROT_READ | PROT_EXECUTE);
    EXPECT_EQUAL(host_maintenance_count, 3);
    for (unsigned i = 0; i < 3; i++)
        EXPECT_EQUAL(maintenance_of(HOST_CODE_SYNC, vmo_page(vmo, i).value, &bytes), 1);
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
