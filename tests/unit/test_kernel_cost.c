// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// What memory costs, to the page, and how much of it the kernel does between two looks for
// interrupts (A1, A2, M8).
#include "cpu.h"
#include "frame.h"
#include "kernel_world.h"

constexpr uint64_t AT = 0x4000'0000, GIB = 1 << 30;
constexpr uint64_t RW = PROT_READ | PROT_WRITE;

static struct actor *a;

static void begin(void)
{
    world_begin((struct world_options){});
    a = spawn(new_account(9000, 300), 10);
}

static uint64_t pages_of(const struct actor *actor)
{
    return account_behind(actor, actor->account)->pages.used;
}

static uint64_t objects_of(const struct actor *actor)
{
    return account_behind(actor, actor->account)->objects.used;
}

TEST(a_vmo_costs_its_pages_and_their_index)
{
    begin();
    static const uint64_t sizes[][2] = {{1, 0},    {16, 0},   {17, 1},   {1023, 1}, {1024, 1},
                                        {1025, 3}, {2047, 3}, {2048, 3}, {2049, 4}, {3073, 5}};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint64_t before = pages_of(a), free = frames_free(), objects = objects_of(a);
        uint64_t vmo = MUST(a, VMO_CREATE, a->account, sizes[i][0] * PAGE_SIZE, 0);
        EXPECT_EQUAL(pages_of(a), before + sizes[i][0] + sizes[i][1]);
        EXPECT_EQUAL(frames_free(), free - sizes[i][0] - sizes[i][1]);
        EXPECT_EQUAL(objects_of(a), objects + 1);
        MUST(a, HANDLE_CLOSE, vmo);
        EXPECT_EQUAL(pages_of(a), before);
        EXPECT_EQUAL(frames_free(), free);
        EXPECT_EQUAL(objects_of(a), objects);
    }
    world_end();
}

TEST(a_mapping_costs_the_tables_that_are_missing)
{
    begin();
    uint64_t aspace = CALL(a, PROCESS_CREATE, a->account, 0).value[1];
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 1200 * PAGE_SIZE, 0);
    struct part {
        uint64_t address, pages, tables;
    };
    static const struct part parts[] = {
        {AT, 1, 3},                     // the first of its address space
        {AT + PAGE_SIZE, 511, 0},       // to the end of its table
        {AT + 512 * PAGE_SIZE, 512, 1}, // a table whole
        {AT + 1023 * PAGE_SIZE + PAGE_SIZE, 513, 2},
        {AT + GIB - PAGE_SIZE, 2, 3},  // two tables, and the one above the second
        {512 * GIB - PAGE_SIZE, 2, 5}, // across the end of everything but the root
    };
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        uint64_t before = pages_of(a), free = frames_free(), objects = objects_of(a);
        MUST(a, VM_MAP, aspace, vmo, 0, parts[i].address, parts[i].pages * PAGE_SIZE, RW);
        EXPECT_EQUAL(pages_of(a), before + parts[i].tables);
        EXPECT_EQUAL(frames_free(), free - parts[i].tables);
        EXPECT_EQUAL(objects_of(a), objects + 1);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
        MUST(a, VM_UNMAP, aspace, parts[i].address);
    // Tables stay until the address space goes.
    uint64_t before = pages_of(a);
    uint64_t again = MUST(a, EVENT_CREATE, a->account);
    MUST(a, VM_MAP, aspace, vmo, 0, AT, PAGE_SIZE, RW);
    EXPECT_EQUAL(pages_of(a), before);
    MUST(a, HANDLE_CLOSE, again);
    world_end();
}

// With exactly as many pages left as a mapping needs, and with one less.
TEST(the_last_pages_of_an_account)
{
    begin();
    struct actor *b = spawn(new_account(1000, 100), 10);
    uint64_t machine = grant(b, world.boss, world.machine);
    // Not as large pages would have it.
    uint64_t vmo = MUST(b, MACHINE_DEVICE_MEMORY, machine, b->account, 0xd000'1000,
                        1024 * PAGE_SIZE, MEMORY_DEVICE);
    // Its address space has tables of the first GiB only.
    uint64_t left = account_behind(b, b->account)->pages.limit - pages_of(b);
    uint64_t filler = MUST(b, VMO_CREATE, b->account, (left - 1 - 1) * PAGE_SIZE, 0);
    EXPECT_CALL(NO_PAGES, b, VM_MAP, b->own_aspace, vmo, 0, 8 * GIB, 512 * PAGE_SIZE, RW);
    MUST(b, HANDLE_CLOSE, filler);
    MUST(b, VMO_CREATE, b->account, (left - 1 - 2) * PAGE_SIZE, 0);
    EXPECT_CALL(NO_PAGES, b, VM_MAP, b->own_aspace, vmo, 0, 8 * GIB, 513 * PAGE_SIZE, RW);
    EXPECT_CALL(OK, b, VM_MAP, b->own_aspace, vmo, 0, 8 * GIB, 511 * PAGE_SIZE, RW);
    EXPECT_CALL(OK, b, VM_MAP, b->own_aspace, vmo, 0, 8 * GIB + 511 * PAGE_SIZE, PAGE_SIZE, RW);
    EXPECT_EQUAL(pages_of(b), 1000);
    MUST(b, VM_UNMAP, b->own_aspace, 8 * GIB + 511 * PAGE_SIZE);
    MUST(b, VM_UNMAP, b->own_aspace, 8 * GIB);
    EXPECT_CALL(OK, b, VM_MAP, b->own_aspace, vmo, 0, 8 * GIB, 512 * PAGE_SIZE, RW);
    world_end();
}

TEST(whatever_is_left_for_the_last_step)
{
    begin();
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 130 * PAGE_SIZE, 0);
    static const uint64_t sizes[] = {1, 2, 63, 64, 65, 66, 127, 128, 129, 130};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint64_t mapped = a->process->aspace->pages;
        MUST(a, VM_MAP, a->own_aspace, vmo, 0, AT, sizes[i] * PAGE_SIZE, RW);
        EXPECT_EQUAL(a->process->aspace->pages, mapped + sizes[i]);
        MUST(a, VM_UNMAP, a->own_aspace, AT);
        EXPECT_EQUAL(a->process->aspace->pages, mapped);
        for (uint64_t page = 0; page < sizes[i]; page++)
            EXPECT(!pte_present(pagetable_get(a->process->aspace, AT + page * PAGE_SIZE)));
        // Where no table of level 0 is.
        EXPECT(!pte_present(pagetable_get(a->process->aspace, AT + 4 * LARGE_BYTES)));
        world_check();
    }
    world_end();
}

TEST(who_maps_anothers_memory_pays_for_all_that_keeps_it)
{
    begin();
    struct actor *b = spawn(new_account(3000, 100), 10);
    static const uint64_t cost[][2] = {{10, 0}, {40, 1}, {1100, 3}};
    for (unsigned i = 0; i < ARRAY_SIZE(cost); i++) {
        uint64_t vmo = MUST(a, VMO_CREATE, a->account, cost[i][0] * PAGE_SIZE, 0);
        uint64_t theirs = grant(b, a, vmo);
        // A page of it costs a page, and all of its index.
        uint64_t at = AT + i * GIB;
        MUST(b, VM_MAP, b->own_aspace, theirs, 0, at + 16 * PAGE_SIZE, PAGE_SIZE, PROT_READ);
        uint64_t before = pages_of(b), objects = objects_of(b);
        MUST(b, VM_MAP, b->own_aspace, theirs, 3 * PAGE_SIZE, at, 7 * PAGE_SIZE, PROT_READ);
        EXPECT_EQUAL(pages_of(b), before + 7 + cost[i][1]);
        EXPECT_EQUAL(objects_of(b), objects + 2); // the mapping, the VMO
        MUST(b, VM_UNMAP, b->own_aspace, at);
        EXPECT_EQUAL(pages_of(b), before);
        EXPECT_EQUAL(objects_of(b), objects);
        world_check();
    }
    world_end();
}

// What was paid since the last look.
static void expect_paid(uint64_t pages, uint64_t objects)
{
    static uint64_t pages_before, objects_before;
    if (pages != UINT64_MAX) {
        EXPECT_EQUAL(pages_of(a) - pages_before, pages);
        EXPECT_EQUAL(objects_of(a) - objects_before, objects);
    }
    pages_before = pages_of(a);
    objects_before = objects_of(a);
}

static void look_at_account(void)
{
    expect_paid(UINT64_MAX, 0);
}

// An object that costs nothing but itself.
static void expect_one(uint64_t handle)
{
    expect_paid(0, 1);
    MUST(a, HANDLE_CLOSE, handle);
    expect_paid(0, -1ull);
}

// The examples are those of docs/syscalls.md.
// OBJ-44
TEST(objects_cost_what_the_reference_says)
{
    begin();
    uint64_t machine = grant(a, world.boss, world.machine);
    look_at_account();
    expect_one(MUST(a, EVENT_CREATE, a->account));
    expect_one(MUST(a, TIMER_CREATE, a->account));
    expect_one(MUST(a, PORT_CREATE, a->account));
    expect_one(MUST(a, MACHINE_INTERRUPT, machine, a->account, 10, TRIGGER_EDGE));
    expect_one(MUST(a, MACHINE_IO_RANGE, machine, a->account, 0x60, 4));
    expect_one(MUST(a, MACHINE_DMA_SPACE, machine, a->account, 7));
    expect_one(MUST(a, MACHINE_DEVICE_MEMORY, machine, a->account, 0xd000'0000, 64 * PAGE_SIZE,
                    MEMORY_DEVICE));

    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 20 * PAGE_SIZE, 0);
    expect_paid(20 + 1, 1);
    expect_one(MUST(a, VMO_SLICE, a->account, vmo, PAGE_SIZE, PAGE_SIZE, RIGHT_MAP));
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 7);
    expect_paid(0, 1);
    uint64_t pin = MUST(a, PIN_CREATE, space, a->account, vmo, 0, 3 * PAGE_SIZE, DMA_BOTH);
    expect_paid(3 + 1, 2);
    MUST(a, PIN_RELEASE, pin);
    expect_paid(-4ull, -2ull);

    // Slots of 16 + 2 * 24 + 1000 bytes, three to a page.
    struct ends ends = new_channel(a, 7, 1000, 2, 0);
    expect_paid(2 * 3, 2);
    uint64_t port = MUST(a, PORT_CREATE, a->account);
    MUST(a, PORT_BIND, port, ends.end0, 1, SIGNAL_READABLE);
    expect_paid(0, 2);
    MUST(a, HANDLE_CLOSE, ends.end0);
    MUST(a, HANDLE_CLOSE, ends.end1);
    expect_paid(-6ull, -2ull); // the binding has still to say that it is gone
    MUST(a, HANDLE_CLOSE, port);
    expect_paid(0, -2ull);
    ends = new_channel(a, 7, 1000, 2, 1);
    expect_paid(2 * (3 + 1), 2);
    MUST(a, HANDLE_CLOSE, ends.end0);
    MUST(a, HANDLE_CLOSE, ends.end1);
    expect_paid(-8ull, -2ull);
    world_end();
}

// Its address space, threads and handles.
// OBJ-44
TEST(a_process_costs_what_the_reference_says)
{
    begin();
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    look_at_account();
    uint64_t process = MUST(a, PROCESS_CREATE, a->account, 0);
    expect_paid(1, 2);
    uint64_t thread = MUST(a, THREAD_CREATE, process, 5, AT);
    expect_paid(2 + 3, 2);
    uint64_t beside = MUST(a, THREAD_CREATE, process, 5, AT + PAGE_SIZE);
    expect_paid(2, 2);
    MUST(a, OBJECT_DESTROY, beside);
    expect_paid(-2ull, -1ull); // until its handle goes
    MUST(a, HANDLE_CLOSE, beside);
    expect_paid(0, -1ull);
    MUST(a, THREAD_START, thread, 0x1000, 0, 0, MUST(a, HANDLE_DUPLICATE, event, RIGHT_TRANSFER));
    expect_paid(1, 0); // its first handle
    MUST(a, OBJECT_DESTROY, process);
    expect_paid(-(1ull + 2 + 3 + 1), -2ull);
    world_end();
}

// What it reserves, and the page of its shares.
// OBJ-44
TEST(an_account_costs_what_the_reference_says)
{
    begin();
    look_at_account();
    uint64_t child = MUST(a, ACCOUNT_CREATE, a->account, 30, 10);
    expect_paid(0, 1);
    EXPECT_EQUAL(account_behind(a, a->account)->pages.children, 30);
    EXPECT_EQUAL(account_behind(a, a->account)->objects.children, 10);
    MUST(a, OBJECT_DESTROY, child);
    MUST(a, HANDLE_CLOSE, child);
    expect_paid(0, -1ull);
    child = new_account(30, 10);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, child, 0, 1'000'000, 10'000'000);
    EXPECT_EQUAL(account_behind(world.boss, child)->pages.used, 1);
    world_end();
}

TEST(as_large_as_a_vmo_and_a_mapping_can_be)
{
    world_begin((struct world_options){.ram_bytes = 1200 << 20});
    a = spawn(new_account((1 << 18) + 4000, 300), 10);
    EXPECT_CALL(INVALID, a, VMO_CREATE, a->account, GIB + 1, 0);
    uint64_t poor = MUST(a, ACCOUNT_CREATE, a->account, 10, 10);
    EXPECT_CALL(NO_PAGES, a, VMO_CREATE, poor, GIB, 0); // it may be
    uint64_t machine = grant(a, world.boss, world.machine);
    uint64_t device =
        MUST(a, MACHINE_DEVICE_MEMORY, machine, a->account, 1ull << 40, GIB, MEMORY_DEVICE);
    MUST(a, VM_MAP, a->own_aspace, device, 0, AT, GIB, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, a->own_aspace, device, 0, 8 * GIB, GIB + PAGE_SIZE, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, a->own_aspace, device, GIB + PAGE_SIZE, 8 * GIB, PAGE_SIZE, RW);
    MUST(a, VM_UNMAP, a->own_aspace, AT);
    world_end();
}

// ---- bounded steps

static struct {
    const struct aspace *aspace;
    uint64_t free, mapped;             // at the last look
    uint64_t most_frames, most_mapped; // that changed between two
    unsigned looks;
} step;

static uint64_t apart(uint64_t x, uint64_t y)
{
    return x > y ? x - y : y - x;
}

static void look(void)
{
    uint64_t frames = apart(frames_free(), step.free),
             mapped = apart(step.aspace->pages, step.mapped);
    if (frames > step.most_frames && step.looks > 0) // before the first step, its index
        step.most_frames = frames;
    if (mapped > step.most_mapped)
        step.most_mapped = mapped;
    step.free = frames_free();
    step.mapped = step.aspace->pages;
    step.looks++;
}

static void begin_steps(void)
{
    step.aspace = a->process->aspace;
    step.most_frames = step.most_mapped = step.looks = 0;
    step.free = frames_free();
    step.mapped = step.aspace->pages;
    host_on_window = look;
}

static void end_steps(void)
{
    host_on_window = nullptr;
    look();
}

static struct {
    const struct process *process;
    uint32_t handles, most; // at the last look; how many went between two
} closing;

static void look_at_handles(void)
{
    uint32_t now = closing.process->handles_used;
    if (closing.handles - now > closing.most)
        closing.most = closing.handles - now;
    closing.handles = now;
}

TEST(handles_are_closed_a_few_at_a_time)
{
    begin();
    struct actor *b = spawn(new_account(100, 100), 5);
    uint64_t event = MUST(b, EVENT_CREATE, b->account);
    for (unsigned i = 0; i < 60; i++)
        MUST(b, HANDLE_DUPLICATE, event, 0);
    closing.process = b->process;
    closing.handles = b->process->handles_used;
    uint64_t process = grant(a, world.boss, b->process_handle);
    host_on_window = look_at_handles;
    MUST(a, OBJECT_DESTROY, process);
    host_on_window = nullptr;
    EXPECT_EQUAL(closing.handles, 0);
    EXPECT_EQUAL(closing.most, 16);
    world_end();
}

TEST(each_step_is_short)
{
    begin();
    uint64_t anchor = MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
    MUST(a, VM_MAP, a->own_aspace, anchor, 0, AT - PAGE_SIZE, PAGE_SIZE, RW);
    begin_steps();
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 1000 * PAGE_SIZE, 0);
    end_steps();
    EXPECT_EQUAL(step.most_frames, VMO_FILL_STEP_PAGES);
    EXPECT(step.looks >= 1000 / VMO_FILL_STEP_PAGES);
    begin_steps();
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, AT, 1000 * PAGE_SIZE, RW);
    end_steps();
    EXPECT_EQUAL(step.most_mapped, VM_STEP_COST); // the caller's own, or one more
    begin_steps();
    MUST(a, VM_UNMAP, a->own_aspace, AT);
    end_steps();
    EXPECT(step.looks >= 1000 / VM_STEP_COST + 1000 / VM_STEP_PAGES);
    EXPECT_EQUAL(step.most_mapped, VM_STEP_COST);
    begin_steps();
    MUST(a, HANDLE_CLOSE, vmo);
    end_steps();
    EXPECT_EQUAL(step.most_frames, VMO_FILL_STEP_PAGES);
    world_end();
}

// The steps of what `pages` pages are made to do.
static unsigned looks_of(uint64_t pages, bool unmap)
{
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, pages * PAGE_SIZE, 0);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, AT, pages * PAGE_SIZE, RW);
    begin_steps();
    if (unmap)
        MUST(a, VM_UNMAP, a->own_aspace, AT);
    else
        MUST(a, VM_PROTECT, a->own_aspace, AT, PROT_READ);
    end_steps();
    unsigned looks = step.looks;
    if (!unmap)
        MUST(a, VM_UNMAP, a->own_aspace, AT);
    MUST(a, HANDLE_CLOSE, vmo);
    return looks;
}

TEST(a_step_is_for_so_many_pages)
{
    begin();
    for (unsigned unmap = 0; unmap < 2; unmap++)
        for (uint64_t steps = 1; steps < 4; steps++) {
            unsigned looks = looks_of(steps * VM_STEP_PAGES, unmap);
            EXPECT_EQUAL(looks_of((steps - 1) * VM_STEP_PAGES + 1, unmap), looks);
            EXPECT(looks_of(steps * VM_STEP_PAGES + 1, unmap) > looks);
        }
    world_end();
}
