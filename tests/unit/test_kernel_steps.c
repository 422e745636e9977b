// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Steps of long operations: each does as much as it may, and no more. Between two of them the kernel looks
// for interrupts.
#include "cpu.h"
#include "frame.h"
#include "kernel_world.h"

constexpr uint64_t AT = 4 * LARGE_BYTES;
constexpr uint64_t RW = PROT_READ | PROT_WRITE, RX = PROT_READ | PROT_EXECUTE;

static struct actor *a;

static void begin(void)
{
    world_begin((struct world_options){.contiguous_bytes = 16 << 20});
    a = spawn(MUST(world.boss, ACCOUNT_CREATE, world.root_account, 3000, 300, 4096), 10);
}

static uint64_t block_of(uint64_t pages)
{
    return MUST(a, VMO_CREATE, a->account, pages * PAGE_SIZE, VMO_CONTIGUOUS);
}

static unsigned windows;

static void count(void)
{
    windows++;
}

// How often the kernel looks for interrupts in a call that is OK, and all that it causes.
#define WINDOWS_OF(...)                                                                           \
    (windows = 0, host_on_window = count, EXPECT_CALL(OK, __VA_ARGS__), host_on_window = nullptr, \
     windows)

static unsigned map(uint64_t vmo, uint64_t page, uint64_t address, uint64_t pages)
{
    return WINDOWS_OF(a, VM_MAP, a->own_aspace, vmo, page * PAGE_SIZE, address, pages * PAGE_SIZE,
                      RW);
}

// ---- mappings

TEST(a_step_maps_up_to_its_end_across_tables)
{
    begin();
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 300 * PAGE_SIZE, 0);
    for (uint64_t before = 0; before <= VM_STEP_COST; before++) {
        uint64_t address = AT - before * PAGE_SIZE;
        EXPECT_EQUAL(map(vmo, 0, address, VM_STEP_COST), 0); // the caller's own
        MUST(a, VM_UNMAP, a->own_aspace, address);
    }
    EXPECT(map(vmo, 0, AT, VM_STEP_COST + 1) > 0);
    world_end();
}

TEST(a_step_maps_so_many_large_pages)
{
    begin();
    constexpr uint64_t MOST = VM_STEP_COST / VM_LARGE_COST;
    uint64_t vmo = block_of((MOST + 1) * LARGE_PAGES);
    EXPECT_EQUAL(map(vmo, 0, AT, MOST * LARGE_PAGES), 0);
    EXPECT_EQUAL(a->process->aspace->large_pages, MOST);
    MUST(a, VM_UNMAP, a->own_aspace, AT);
    EXPECT(map(vmo, 0, AT, (MOST + 1) * LARGE_PAGES) > 0);
    MUST(a, VM_UNMAP, a->own_aspace, AT);
    EXPECT(map(vmo, LARGE_PAGES - 1, AT - PAGE_SIZE, 1 + MOST * LARGE_PAGES) > 0);
    world_end();
}

TEST(a_step_maps_fewer_pages_of_code)
{
    begin();
    constexpr uint64_t MOST = VM_STEP_COST / VM_CODE_COST;
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 300 * PAGE_SIZE, 0);
    for (uint64_t more = 0; more < 2; more++) {
        unsigned looks =
            WINDOWS_OF(a, VM_MAP, a->own_aspace, vmo, 0, AT, (MOST + more) * PAGE_SIZE, RX);
        EXPECT_EQUAL(looks > 0, more > 0);
        MUST(a, VM_UNMAP, a->own_aspace, AT);
    }
    world_end();
}

static unsigned unmap(uint64_t vmo, uint64_t pages)
{
    (void)map(vmo, 0, AT, pages);
    return WINDOWS_OF(a, VM_UNMAP, a->own_aspace, AT);
}

// Entries first, then the frames: of a block, those of a large page in a step.
TEST(a_step_clears_so_many_entries)
{
    begin();
    static_assert(VM_STEP_COST % VM_STEP_PAGES == 0);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 300 * PAGE_SIZE, 0);
    EXPECT_EQUAL(unmap(vmo, VM_STEP_COST), unmap(vmo, VM_STEP_COST - 1));
    EXPECT_EQUAL(unmap(vmo, VM_STEP_COST + 1), unmap(vmo, VM_STEP_COST) + 2);
    (void)map(vmo, 0, AT - PAGE_SIZE, VM_STEP_COST); // in two tables
    unsigned looks = WINDOWS_OF(a, VM_UNMAP, a->own_aspace, AT - PAGE_SIZE);
    EXPECT_EQUAL(looks, unmap(vmo, VM_STEP_COST));
    uint64_t block = block_of(4 * LARGE_PAGES);
    for (unsigned large = 1; large < 4; large++)
        EXPECT_EQUAL(unmap(block, (large + 1) * LARGE_PAGES),
                     unmap(block, large * LARGE_PAGES) + 1);
    world_end();
}

// So many small pages of code before a large one.
static unsigned protect_after(uint64_t vmo, uint64_t small)
{
    uint64_t address = AT - small * PAGE_SIZE;
    (void)map(vmo, LARGE_PAGES - small, address, small + LARGE_PAGES);
    EXPECT_EQUAL(a->process->aspace->large_pages, 1);
    unsigned looks = WINDOWS_OF(a, VM_PROTECT, a->own_aspace, address, RX);
    MUST(a, VM_UNMAP, a->own_aspace, address);
    return looks;
}

TEST(a_step_changes_a_large_page_with_the_last_of_its_code)
{
    begin();
    uint64_t vmo = block_of(2 * LARGE_PAGES);
    constexpr uint64_t STEP = VM_STEP_COST / VM_CODE_COST;   // pages
    constexpr uint64_t FULL = STEP - 1 - LARGE_PAGES % STEP; // with them all steps are full ones
    EXPECT_EQUAL(protect_after(vmo, FULL), protect_after(vmo, FULL - 1));
    EXPECT_EQUAL(protect_after(vmo, FULL) + 1, protect_after(vmo, FULL + 1));
    world_end();
}

// What a mapping has not come to yet is its own already, and paid for: the other one that goes meanwhile, and the
// last handle, leave it there.
TEST(memory_stays_for_a_mapping_that_is_being_made)
{
    begin();
    constexpr uint64_t PAGES = 3 * VM_STEP_COST, OTHER = AT + PAGES * PAGE_SIZE, WORD = 0x1234'5678;
    struct actor *urgent = spawn_thread(a, 20);
    constexpr uint64_t MORE = 8; // of its pages, which nobody maps
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, (PAGES + MORE) * PAGE_SIZE, 0);
    *(uint64_t *)arch_ram(vmo_page(vmo_of(object_behind(a, vmo)), PAGES - 1)) = WORD;
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, AT, PAGES * PAGE_SIZE, RW);
    hold_after(urgent, 1);
    EXPECT_CALL(BLOCKED, a, VM_MAP, a->own_aspace, vmo, 0, OTHER, PAGES * PAGE_SIZE, RW);
    EXPECT(steps_left() == 0 && a->process->aspace->pages < 2 * PAGES);
    uint64_t free = frames_free() + a->process->aspace->table_pages;
    EXPECT_STATUS(HELD(urgent, HANDLE_CLOSE, vmo).status, OK);
    EXPECT_STATUS(HELD(urgent, VM_UNMAP, urgent->own_aspace, AT).status, OK);
    settle();
    EXPECT_STATUS(ended(a).status, OK);
    EXPECT_EQUAL(frames_free() + a->process->aspace->table_pages, free + MORE);
    world_check();
    paddr_t physical;
    hold(a);
    EXPECT(host_access(a->cpu, OTHER + (PAGES - 1) * PAGE_SIZE, HOST_LOAD, &physical));
    EXPECT_EQUAL(*(const uint64_t *)arch_ram(physical), WORD);
    settle();
    world_end();
}

// ---- what ends

static uint64_t frames, most;

static void look_at_frames(void)
{
    uint64_t now = frames_free();
    if (now - frames > most)
        most = now - frames;
    frames = now;
}

// Three tables to be found by just as many looks as a step has.
TEST(a_step_looks_at_so_many_entries)
{
    begin();
    struct outcome made = CALL(a, PROCESS_CREATE, a->account, 0);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
    for (uint64_t i = 0; i < 3; i++) { // the first entries of three levels, counted from 1
        uint64_t index[] = {101, 301, 109 + i};
        EXPECT(i != 1 || 3 * (index[0] + index[1] + index[2]) == VM_STEP_LOOKS);
        uint64_t address =
            (((index[0] - 1) * 512 + index[1] - 1) * 512 + index[2] - 1) * LARGE_BYTES;
        MUST(a, VM_MAP, made.value[1], vmo, 0, address, PAGE_SIZE, RW);
    }
    frames = frames_free();
    most = 0;
    host_on_window = look_at_frames;
    MUST(a, OBJECT_DESTROY, made.value[0]);
    host_on_window = nullptr;
    EXPECT_EQUAL(most, 3);
    world_end();
}

static unsigned close_block(uint64_t pages)
{
    uint64_t vmo = block_of(pages);
    return WINDOWS_OF(a, HANDLE_CLOSE, vmo);
}

TEST(a_step_retires_so_many_pages_of_a_block)
{
    begin();
    for (uint64_t steps = 1; steps < 4; steps++) {
        unsigned looks = close_block(steps * VMO_RETIRE_STEP_PAGES);
        EXPECT_EQUAL(close_block((steps - 1) * VMO_RETIRE_STEP_PAGES + 1), looks);
        EXPECT_EQUAL(close_block(steps * VMO_RETIRE_STEP_PAGES + 1), looks + 1);
    }
    world_end();
}

static unsigned close_pin(uint64_t space, uint64_t pages)
{
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, pages * PAGE_SIZE, 0);
    uint64_t pin = MUST(a, PIN_CREATE, space, a->account, vmo, 0, pages * PAGE_SIZE, DMA_BOTH);
    unsigned looks = WINDOWS_OF(a, PIN_RELEASE, pin);
    MUST(a, HANDLE_CLOSE, vmo);
    return looks;
}

TEST(a_step_lets_go_of_so_many_pinned_pages)
{
    begin();
    uint64_t machine = grant(a, world.boss, world.machine);
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 0x18);
    for (uint64_t steps = 1; steps < 4; steps++) {
        unsigned looks = close_pin(space, steps * VM_STEP_PAGES);
        EXPECT_EQUAL(close_pin(space, (steps - 1) * VM_STEP_PAGES + 1), looks);
        EXPECT_EQUAL(close_pin(space, steps * VM_STEP_PAGES + 1), looks + 1);
    }
    world_end();
}

// Of single pages that do not merge.
static unsigned end_account(unsigned pages)
{
    uint64_t one = MUST(a, ACCOUNT_CREATE, a->account, 10, 10, 0);
    uint64_t other = MUST(a, ACCOUNT_CREATE, a->account, 10, 10, 0);
    for (unsigned i = 0; i < pages; i++) {
        MUST(a, ACCOUNT_RESIZE, a->account, one, 0, 0, 1);
        MUST(a, ACCOUNT_RESIZE, a->account, other, 0, 0, 1);
    }
    unsigned looks = WINDOWS_OF(a, OBJECT_DESTROY, one);
    MUST(a, OBJECT_DESTROY, other);
    return looks;
}

TEST(a_step_moves_so_many_blocks_up)
{
    begin();
    constexpr unsigned MOST = 16;
    for (unsigned steps = 1; steps < 4; steps++) {
        unsigned looks = end_account(steps * MOST);
        EXPECT_EQUAL(end_account((steps - 1) * MOST + 1), looks);
        EXPECT_EQUAL(end_account(steps * MOST + 1), looks + 1);
    }
    world_end();
}
