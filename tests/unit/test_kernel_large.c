// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Large pages: where they are put, what they cost, and that everything that is done to a mapping is
// done to them. `world_check` walks the tables each time (M2, M3).
#include "cpu.h"
#include "frame.h"
#include "kernel_world.h"

constexpr uint64_t AT = 512 * LARGE_BYTES; // where no table is
constexpr uint64_t RW = PROT_READ | PROT_WRITE;

static struct actor *a;
static uint64_t vmo;

// With a contiguous VMO of so many pages.
static void begin(uint64_t pages)
{
    world_begin((struct world_options){.contiguous_bytes = 16 << 20});
    a = spawn(MUST(world.boss, ACCOUNT_CREATE, world.root_account, 3000, 300, 4096), 10);
    vmo = MUST(a, VMO_CREATE, a->account, pages * PAGE_SIZE, VMO_CONTIGUOUS);
}

static struct vmo *vmo_behind(uint64_t handle)
{
    return vmo_of(object_behind(a, handle));
}

static bool can(uint64_t address, enum host_access kind)
{
    paddr_t physical;
    hold(a);
    bool works = host_access(a->cpu, address, kind, &physical);
    settle();
    return works;
}

static void expect_page(uint64_t address, uint64_t page)
{
    paddr_t physical;
    hold(a);
    EXPECT(host_access(a->cpu, address + 8, HOST_LOAD, &physical));
    EXPECT_EQUAL(physical.value, vmo_page(vmo_behind(vmo), page).value + 8);
    settle();
}

static const struct aspace *space(void)
{
    return a->process->aspace;
}

#define EXPECT_LARGE(count)                          \
    do {                                             \
        EXPECT_EQUAL(space()->large_pages, (count)); \
        world_check();                               \
    } while (0)

static void map(uint64_t page, uint64_t address, uint64_t pages, uint64_t protection)
{
    MUST(a, VM_MAP, a->own_aspace, vmo, page * PAGE_SIZE, address, pages * PAGE_SIZE, protection);
}

static void unmap(uint64_t address)
{
    MUST(a, VM_UNMAP, a->own_aspace, address);
}

// MEM-32
TEST(what_is_contiguous_and_aligned_is_mapped_by_large_pages)
{
    begin(1024);
    uint64_t used = space()->object.account->pages.used, tables = space()->table_pages;
    map(0, AT, 1024, RW);
    EXPECT_LARGE(2);
    // A table of level 1: none of level 0 is paid for where a large page is.
    EXPECT_EQUAL(space()->table_pages, tables + 1);
    EXPECT_EQUAL(space()->object.account->pages.used, used + 1);
    for (uint64_t page = 0; page < 1024; page += 93)
        expect_page(AT + page * PAGE_SIZE, page);
    EXPECT(can(AT, HOST_STORE) && can(AT + 2 * LARGE_BYTES - 8, HOST_STORE));
    EXPECT(!can(AT, HOST_FETCH) && !can(AT - 8, HOST_LOAD) &&
           !can(AT + 2 * LARGE_BYTES, HOST_LOAD));
    MUST(a, OBJECT_INSPECT, a->own_aspace);
    const struct abi_inspect *seen = (const void *)a->thread->message->data;
    EXPECT_EQUAL(seen->aspace.large_pages, 2);
    EXPECT_CALL(OVERLAP, a, VM_MAP, a->own_aspace, vmo, 0, AT + 77 * PAGE_SIZE, PAGE_SIZE, RW);
    unmap(AT);
    EXPECT_LARGE(0);
    EXPECT(!can(AT, HOST_LOAD) && !can(AT + 2 * LARGE_BYTES - 8, HOST_LOAD));
    EXPECT_EQUAL(space()->object.account->pages.used, used + 1);
    // And once more, where nothing is in the way.
    map(512, AT + LARGE_BYTES, 512, PROT_READ);
    EXPECT_LARGE(1);
    EXPECT(!can(AT + LARGE_BYTES, HOST_STORE));
    world_end();
}

// MEM-32
TEST(edges_are_small_pages)
{
    begin(2048);
    // From the 500th page, where the virtual address is as far behind a multiple of 2 MiB.
    map(500, AT + 500 * PAGE_SIZE, 1036 + 100, RW);
    EXPECT_LARGE(2);
    for (uint64_t page = 500; page < 500 + 1136; page += 17)
        expect_page(AT + page * PAGE_SIZE, page);
    EXPECT(!can(AT + 499 * PAGE_SIZE, HOST_LOAD) && !can(AT + 1636 * PAGE_SIZE, HOST_LOAD));
    unmap(AT + 500 * PAGE_SIZE);
    EXPECT_LARGE(0);
    // Not as far: no large page.
    map(1, AT + 8 * LARGE_BYTES, 1536, RW);
    EXPECT_LARGE(0);
    expect_page(AT + 8 * LARGE_BYTES + 700 * PAGE_SIZE, 701);
    // Too short.
    map(0, AT + 16 * LARGE_BYTES, 511, RW);
    map(1, AT + 17 * LARGE_BYTES + PAGE_SIZE, 511, RW);
    EXPECT_LARGE(0);
    world_end();
}

// A table that an earlier mapping has left gives way, and is paid no longer.
// MEM-32
TEST(where_an_empty_table_stands)
{
    begin(1024);
    map(0, AT + 5 * PAGE_SIZE, 1, RW);
    EXPECT(can(AT + 5 * PAGE_SIZE, HOST_LOAD));
    unmap(AT + 5 * PAGE_SIZE);
    uint64_t tables = space()->table_pages, used = space()->object.account->pages.used;
    map(0, AT, 1024, RW);
    EXPECT_LARGE(2);
    EXPECT_EQUAL(space()->table_pages, tables - 1);
    EXPECT_EQUAL(space()->object.account->pages.used, used - 1);
    expect_page(AT + 300 * PAGE_SIZE, 300);
    expect_page(AT + 600 * PAGE_SIZE, 600);
    unmap(AT);
    map(0, AT + LARGE_BYTES, 1, RW); // a table where the large page was
    EXPECT_LARGE(0);
    expect_page(AT + LARGE_BYTES, 0);
    EXPECT(!can(AT + LARGE_BYTES + PAGE_SIZE, HOST_LOAD));
    world_end();
}

TEST(registers_are_mapped_by_large_pages)
{
    begin(1);
    uint64_t registers = MUST(world.boss, MACHINE_DEVICE_MEMORY, world.machine, world.root_account,
                              0xc000'0000, 2 * LARGE_BYTES, MEMORY_DEVICE);
    uint64_t theirs = grant(a, world.boss, registers);
    MUST(a, VM_MAP, a->own_aspace, theirs, 0, AT, 2 * LARGE_BYTES, RW);
    EXPECT_LARGE(2);
    EXPECT(pagetable_get(a->process->aspace, AT).value & PTE_DEVICE);
    paddr_t physical;
    hold(a);
    EXPECT(host_access(a->cpu, AT + LARGE_BYTES + 0x1238, HOST_STORE, &physical));
    EXPECT_EQUAL(physical.value, 0xc020'1238);
    settle();
    MUST(world.boss, OBJECT_DESTROY, registers);
    EXPECT_LARGE(0);
    EXPECT(!can(AT + LARGE_BYTES, HOST_LOAD));
    world_end();
}

// Frames that come one after the other by chance.
TEST(frames_that_happen_to_be_adjacent)
{
    begin(1);
    for (uint64_t next = 1; next % LARGE_BYTES != 0;) {
        uint64_t page = MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
        next = vmo_page(vmo_behind(page), 0).value + 2 * PAGE_SIZE; // one for the index
    }
    vmo = MUST(a, VMO_CREATE, a->account, 1030 * PAGE_SIZE, 0);
    uint64_t first = 0; // its own index is in between
    while (vmo_page(vmo_behind(vmo), first).value % LARGE_BYTES != 0)
        first++;
    uint64_t used = space()->object.account->pages.used;
    map(first, AT, 512, RW);
    EXPECT_LARGE(1);
    EXPECT_EQUAL(space()->object.account->pages.used, used + 1); // the second was given back
    for (uint64_t page = 0; page < 512; page += 73)
        expect_page(AT + page * PAGE_SIZE, first + page);
    unmap(AT);
    uint32_t *entries = vmo_behind(vmo)->root[0], other = entries[first + 512];
    // The one behind them elsewhere.
    EXPECT(first > 0);
    entries[first + 512] = entries[0];
    entries[0] = other;
    map(first, AT, 512, RW);
    EXPECT_LARGE(1);
    unmap(AT);
    // One of them elsewhere.
    other = entries[first + 512];
    for (uint64_t at = 1; at < 512; at += 510) {
        entries[first + 512] = entries[first + at];
        entries[first + at] = other;
        map(first, AT, 512, RW);
        EXPECT_LARGE(0);
        unmap(AT);
        entries[first + at] = entries[first + 512];
        entries[first + 512] = other;
    }
    world_end();
}

// A large frame where no large page begins.
TEST(a_large_frame_at_a_small_address)
{
    begin(1024);
    map(0, AT + PAGE_SIZE, 1024, RW);
    EXPECT_LARGE(0);
    for (uint64_t page = 0; page < 1024; page += 73)
        expect_page(AT + PAGE_SIZE + page * PAGE_SIZE, page);
    world_end();
}

// With so many small pages before a large one.
static void expect_to_need_what_it_costs(uint64_t small)
{
    begin(1536);
    const struct account *account = account_behind(a, a->account);
    uint64_t address = AT - small * PAGE_SIZE;
    struct outcome made = CALL(a, PROCESS_CREATE, a->account, 0);
    uint64_t used = account->pages.used;
    MUST(a, VM_MAP, made.value[1], vmo, (LARGE_PAGES - small) * PAGE_SIZE, address,
         (small + LARGE_PAGES) * PAGE_SIZE, RW);
    uint64_t cost = account->pages.used - used;
    MUST(a, OBJECT_DESTROY, made.value[0]);
    made = CALL(a, PROCESS_CREATE, a->account, 0);
    uint64_t room = account->pages.limit - account->pages.used;
    (void)MUST(a, ACCOUNT_CREATE, a->account, room - cost, 1);
    MUST(a, VM_MAP, made.value[1], vmo, (LARGE_PAGES - small) * PAGE_SIZE, address,
         (small + LARGE_PAGES) * PAGE_SIZE, RW);
    world_end();
}

// No table is asked for beforehand that a large page does without.
TEST(large_pages_need_no_more_than_they_cost)
{
    expect_to_need_what_it_costs(0);
    expect_to_need_what_it_costs(15);
}

// Side by side or not, and across the leaves of an index: just so many.
TEST(frames_are_looked_up_as_many_as_are_asked_for)
{
    begin(1200);
    for (unsigned kind = 0; kind < 2; kind++) {
        if (kind == 1)
            vmo = MUST(a, VMO_CREATE, a->account, 2 * VMO_LEAF_PAGES * PAGE_SIZE, 0);
        uint64_t begin_at = kind == 0 ? 0 : VMO_LEAF_PAGES - 4;
        for (uint64_t first = begin_at; first < begin_at + 5; first++)
            for (unsigned count = 1; count < 5; count++) {
                paddr_t out[5];
                out[count].value = 1;
                vmo_frames(vmo_behind(vmo), first, count, out);
                for (unsigned i = 0; i < count; i++)
                    EXPECT_EQUAL(out[i].value, vmo_page(vmo_behind(vmo), first + i).value);
                EXPECT_EQUAL(out[count].value, 1);
            }
    }
    world_end();
}

// MEM-33
TEST(large_pages_change_their_protection)
{
    begin(1024 + 40);
    map(0, AT, 1024 + 40, RW);
    EXPECT_LARGE(2);
    EXPECT(can(AT, HOST_STORE) && can(AT + LARGE_BYTES + 8, HOST_STORE));
    MUST(a, VM_PROTECT, a->own_aspace, AT, PROT_READ);
    EXPECT_LARGE(2);
    EXPECT(!can(AT, HOST_STORE) && !can(AT + LARGE_BYTES + 8, HOST_STORE));
    EXPECT(!can(AT + 2 * LARGE_BYTES, HOST_STORE) && can(AT + 2 * LARGE_BYTES, HOST_LOAD));
    // Each page of it is made visible to fetches, once.
    unsigned count = host_maintenance_count;
    MUST(a, VM_PROTECT, a->own_aspace, AT, PROT_READ | PROT_EXECUTE);
    EXPECT_EQUAL(host_maintenance_count, count + 1024 + 40);
    EXPECT(can(AT, HOST_FETCH) && can(AT + LARGE_BYTES, HOST_FETCH));
    EXPECT(can(AT + 2 * LARGE_BYTES + 39 * PAGE_SIZE, HOST_FETCH));
    EXPECT_LARGE(2);
    MUST(a, VM_PROTECT, a->own_aspace, AT, RW);
    EXPECT(can(AT + LARGE_BYTES, HOST_STORE) && !can(AT + LARGE_BYTES, HOST_FETCH));
    unmap(AT);
    count = host_maintenance_count;
    map(0, AT, 1024, PROT_READ | PROT_EXECUTE);
    EXPECT_EQUAL(host_maintenance_count, count + 1024);
    EXPECT_LARGE(2);
    EXPECT(can(AT + LARGE_BYTES, HOST_FETCH));
    world_end();
}

// ---- in the middle of it

// `tables`: empty ones stand where the large pages are to be.
static void interfere(uint64_t protection, void (*with)(struct actor *high), bool tables)
{
    for (unsigned stop = 1; stop < 100; stop++) {
        begin(1500);
        struct actor *high = spawn_thread(a, 10);
        MUST(world.boss, THREAD_SET_PRIORITY, high->thread_handle, 30);
        for (uint64_t i = 0; i < 2 && tables; i++) {
            map(0, AT + i * LARGE_BYTES, 1, RW);
            unmap(AT + i * LARGE_BYTES);
        }
        hold_after(high, stop);
        (void)CALL(a, VM_MAP, a->own_aspace, vmo, 0, AT, 1500 * PAGE_SIZE, protection);
        bool last = steps_left() > 0;
        if (!last)
            with(high);
        hold_after(high, 0);
        settle();
        world_check();
        world_end();
        if (last) {
            EXPECT(stop >= (tables ? 5 : 3));
            return;
        }
    }
}

static void destroy_the_vmo(struct actor *high)
{
    (void)HELD(high, OBJECT_DESTROY, vmo);
}

static void unmap_it(struct actor *high)
{
    (void)HELD(high, VM_UNMAP, high->own_aspace, AT);
}

static void destroy_the_process(struct actor *high)
{
    (void)HELD(high, OBJECT_DESTROY, high->own_process);
}

// MEM-4, MEM-33
TEST(large_pages_come_whole_or_not_at_all)
{
    interfere(RW, destroy_the_vmo, false);
    interfere(RW, destroy_the_vmo, true);
    interfere(RW, unmap_it, true);
    interfere(RW, destroy_the_process, true);
    interfere(PROT_READ | PROT_EXECUTE, unmap_it, false);
}

// MEM-33
TEST(others_keep_their_large_pages)
{
    begin(1024);
    struct actor *foreign = spawn(new_account(1200, 60), 10);
    uint64_t theirs = grant(foreign, a, vmo);
    const struct account *payer = foreign->process->object.account;
    uint64_t used = payer->pages.used;
    MUST(foreign, VM_MAP, foreign->own_aspace, theirs, 0, AT, 2 * LARGE_BYTES, PROT_READ);
    EXPECT_EQUAL(payer->pages.used, used + 1024 + 1); // no index
    map(0, AT, 1024, RW);
    EXPECT_LARGE(2);
    EXPECT_EQUAL(foreign->process->aspace->large_pages, 2);
    EXPECT_EQUAL(frame_of(vmo_page(vmo_behind(vmo), 700))->mappings, 2);
    MUST(world.boss, OBJECT_DESTROY, grant(world.boss, a, a->account));
    EXPECT_EQUAL(foreign->process->aspace->large_pages, 2);
    world_check();
    MUST(foreign, VM_UNMAP, foreign->own_aspace, AT);
    EXPECT_EQUAL(world.root->contiguous.used, 0);
    world_end();
}
