// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Pins and their quarantine (M4, M7, M8).
#include <string.h>

#include "cpu.h"
#include "dma.h"
#include "frame.h"
#include "kernel_world.h"

static struct actor *a;
static uint64_t account, machine;

static void begin(void)
{
    world_begin((struct world_options){});
    account = new_account(600, 300);
    a = spawn(account, 10);
    machine = grant(a, world.boss, world.machine);
}

static uint64_t pin(struct actor *who, uint64_t space, uint64_t vmo, uint64_t pages,
                    uint64_t device)
{
    uint64_t made = MUST(who, PIN_CREATE, space, who->account, vmo, 0, pages * PAGE_SIZE, DMA_BOTH);
    EXPECT_EQUAL(MUST(who, PIN_ADDRESSES, made, 0), pages);
    const uint64_t *addresses = (const void *)text_of(who);
    for (uint64_t i = 0; i < pages; i++)
        ghost_add(device, (paddr_t){addresses[i]});
    return made;
}

TEST(pins)
{
    begin();
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 0x18);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 20 * PAGE_SIZE, 0), acc = a->account;
    EXPECT_CALL(INVALID, a, PIN_CREATE, space, acc, vmo, 1, PAGE_SIZE, DMA_BOTH);
    EXPECT_CALL(INVALID, a, PIN_CREATE, space, acc, vmo, 0, 0, DMA_BOTH);
    EXPECT_CALL(INVALID, a, PIN_CREATE, space, acc, vmo, 0, 257 * PAGE_SIZE, DMA_BOTH);
    EXPECT_CALL(INVALID, a, PIN_CREATE, space, acc, vmo, 0, PAGE_SIZE, 0);
    EXPECT_CALL(INVALID, a, PIN_CREATE, space, acc, vmo, 0, PAGE_SIZE, 4);
    EXPECT_CALL(INVALID, a, PIN_CREATE, space, acc, vmo, 20 * PAGE_SIZE, PAGE_SIZE, DMA_BOTH);
    EXPECT_CALL(INVALID, a, PIN_CREATE, space, acc, vmo, 0, 21 * PAGE_SIZE, DMA_BOTH);
    // Who cannot pay hears all the same what can never be.
    uint64_t poor = MUST(a, ACCOUNT_CREATE, acc, 1, 1);
    MUST(a, EVENT_CREATE, poor);
    EXPECT_CALL(NO_OBJECTS, a, PIN_CREATE, space, poor, vmo, 0, PAGE_SIZE, DMA_BOTH);
    EXPECT_CALL(INVALID, a, PIN_CREATE, space, poor, vmo, 0, 21 * PAGE_SIZE, DMA_BOTH);
    uint64_t readable = MUST(a, HANDLE_DUPLICATE, vmo, RIGHT_READ | RIGHT_PIN);
    EXPECT_CALL(NO_RIGHT, a, PIN_CREATE, space, acc, readable, 0, PAGE_SIZE, DMA_FROM_DEVICE);
    EXPECT_CALL(OK, a, PIN_CREATE, space, acc, readable, 0, PAGE_SIZE, DMA_TO_DEVICE);
    uint64_t made = pin(a, space, vmo, 3, 0x18);
    world_check();
    EXPECT_CALL(INVALID, a, PIN_ADDRESSES, made, 3);
    EXPECT_CALL(INVALID, a, PIN_ADDRESSES, made, 4);
    EXPECT_EQUAL(MUST(a, PIN_ADDRESSES, made, 2), 1);
    EXPECT_CALL(INVALID, a, PIN_SYNC, made, 0, 3 * PAGE_SIZE + 1, SYNC_CPU);
    EXPECT_CALL(INVALID, a, PIN_SYNC, made, UINT64_MAX, 2, SYNC_CPU);
    EXPECT_CALL(INVALID, a, PIN_SYNC, made, 0, 1, 3);
    EXPECT_CALL(OK, a, PIN_SYNC, made, 5, 3 * PAGE_SIZE - 5, SYNC_DEVICE);
    EXPECT_CALL(OK, a, PIN_SYNC, made, 3 * PAGE_SIZE, 0, SYNC_CPU);
    // The memory outlives its handle while it is pinned.
    MUST(a, HANDLE_CLOSE, vmo);
    MUST(a, HANDLE_CLOSE, readable);
    world_check();
    ghost_quiet(0x18);
    MUST(a, PIN_RELEASE, made);
    EXPECT_CALL(GONE, a, PIN_RELEASE, made);
    world_check();
    world_end_after_quarantine(0x18);
}

// MEM-14
TEST(registers_cannot_be_pinned)
{
    begin();
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 0x18);
    uint64_t registers =
        MUST(a, MACHINE_DEVICE_MEMORY, machine, a->account, 0xd000'0000, PAGE_SIZE, 0);
    // They carry no right to be pinned; with one, the kernel would still refuse.
    EXPECT_CALL(NO_RIGHT, a, PIN_CREATE, space, a->account, registers, 0, PAGE_SIZE, DMA_BOTH);
    uint64_t forced = grant_rights(a, a, registers, RIGHTS_VMO);
    EXPECT_CALL(NOT_SUPPORTED, a, PIN_CREATE, space, a->account, forced, 0, PAGE_SIZE, DMA_BOTH);
    world_end();
}

// MEM-17, MEM-19
TEST(a_pin_that_was_not_released_is_quarantined)
{
    begin();
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 0x18);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 5 * PAGE_SIZE, 0);
    uint64_t other = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 0x20);
    uint64_t first = pin(a, space, vmo, 5, 0x18);
    (void)pin(a, other, vmo, 2, 0x20);
    MUST(a, HANDLE_CLOSE, first); // the driver forgot it
    world_check();
    EXPECT_CALL(BAD_HANDLE, a, PIN_ADDRESSES, first, 0);
    EXPECT_EQUAL(dma_quarantined_pages(), 5);
    MUST(world.boss, OBJECT_INSPECT, account);
    EXPECT_EQUAL(
        ((const struct abi_inspect *)(const void *)text_of(world.boss))->account.quarantined_pages,
        5);
    EXPECT_EQUAL(MUST(world.boss, MACHINE_DEVICE_QUIET, world.machine, 0x19), 0);
    ghost_quiet(0x18);
    EXPECT_EQUAL(MUST(world.boss, MACHINE_DEVICE_QUIET, world.machine, 0x18), 5);
    EXPECT_EQUAL(MUST(world.boss, MACHINE_DEVICE_QUIET, world.machine, 0x18), 0);
    EXPECT_EQUAL(dma_quarantined_pages(), 0);
    world_check();
    world_end_after_quarantine(0x20);
}

// MEM-20
TEST(quarantine_moves_up_when_the_driver_dies)
{
    world_begin((struct world_options){});
    uint64_t outer = new_account(500, 200);
    uint64_t inner = MUST(world.boss, ACCOUNT_CREATE, outer, 300, 100);
    a = spawn(inner, 10);
    machine = grant(a, world.boss, world.machine);
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 0x18);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 40 * PAGE_SIZE, 0);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, 0x4000'0000, 40 * PAGE_SIZE, PROT_READ);
    (void)pin(a, space, vmo, 10, 0x18);
    (void)pin(a, space, vmo, 30, 0x18);
    MUST(world.boss, OBJECT_DESTROY, inner);
    // Its end does not wait for the device.
    MUST(world.boss, OBJECT_WAIT, inner, SIGNAL_TERMINATED, 0);
    world_check();
    EXPECT_EQUAL(account_behind(world.boss, inner)->quarantined_pages, 0);
    EXPECT_EQUAL(account_behind(world.boss, outer)->quarantined_pages, 40 + 2);
    EXPECT_EQUAL(account_behind(world.boss, outer)->pages.used, 42);
    MUST(world.boss, OBJECT_DESTROY, outer);
    MUST(world.boss, OBJECT_WAIT, outer, SIGNAL_TERMINATED, 0);
    world_check();
    // What is pinned is not handed out again.
    uint64_t all = new_account(
        world.root->pages.limit - world.root->pages.used - world.root->pages.children, 60);
    struct actor *greedy = spawn(all, 10);
    while (CALL(greedy, VMO_CREATE, greedy->account, 512 * PAGE_SIZE, 0).status == STATUS_OK) {}
    world_check();
    EXPECT_CALL(OK, world.boss, OBJECT_DESTROY, all);
    world_end_after_quarantine(0x18);
}

// MEM-16
TEST(a_pin_of_anothers_memory)
{
    begin();
    uint64_t owner_account = new_account(100, 100);
    struct actor *owner = spawn(owner_account, 10);
    uint64_t vmo = MUST(owner, VMO_CREATE, owner->account, 8 * PAGE_SIZE, 0);
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 0x18);
    uint64_t here = grant(a, owner, vmo);
    uint64_t before = account_behind(a, a->account)->pages.used;
    uint64_t made = pin(a, space, here, 8, 0x18);
    EXPECT_EQUAL(account_behind(a, a->account)->pages.used, before + 8);
    MUST(world.boss, OBJECT_DESTROY, owner_account);
    MUST(world.boss, OBJECT_WAIT, owner_account, SIGNAL_TERMINATED, 0);
    world_check();
    EXPECT_EQUAL(MUST(a, PIN_ADDRESSES, made, 0), 8);
    ghost_quiet(0x18);
    MUST(a, PIN_RELEASE, made);
    world_check();
    world_end();
}

// MEM-17
TEST(a_vmo_destroyed_while_pinned)
{
    begin();
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 0x18);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 8 * PAGE_SIZE, 0);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, 0x4000'0000, 8 * PAGE_SIZE, PROT_READ);
    uint64_t made = pin(a, space, vmo, 4, 0x18);
    MUST(a, OBJECT_DESTROY, vmo);
    world_check();
    EXPECT_EQUAL(MUST(a, PIN_ADDRESSES, made, 0), 4);
    ghost_quiet(0x18);
    MUST(a, PIN_RELEASE, made);
    world_check();
    world_end();
}

// MEM-21
TEST(more_pins_than_one_quiet_ends)
{
    begin();
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 0x18);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
    for (unsigned i = 0; i < 100; i++)
        MUST(a, PIN_CREATE, space, a->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
    MUST(world.boss, OBJECT_DESTROY, account);
    world_check();
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_EQUAL(MUST(world.boss, MACHINE_DEVICE_QUIET, world.machine, 0x18), 32);
        world_check();
    }
    EXPECT_EQUAL(MUST(world.boss, MACHINE_DEVICE_QUIET, world.machine, 0x18), 4);
    EXPECT_EQUAL(MUST(world.boss, MACHINE_DEVICE_QUIET, world.machine, 0x18), 0);
    world_end();
}

static unsigned windows;

static void count_window(void)
{
    windows++;
}

// One that is large lets interrupts in, with memory that goes with it; and the memory of another
// device stays.
TEST(a_large_pin_ends_in_steps)
{
    world_begin((struct world_options){});
    a = spawn(new_account(800, 200), 10);
    machine = grant(a, world.boss, world.machine);
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 0x18);
    uint64_t other = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 0x20);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 256 * PAGE_SIZE, 0);
    uint64_t kept = MUST(a, VMO_CREATE, a->account, 2 * PAGE_SIZE, 0);
    uint64_t large = MUST(a, PIN_CREATE, space, a->account, vmo, 0, 256 * PAGE_SIZE, DMA_BOTH);
    uint64_t small = MUST(a, PIN_CREATE, other, a->account, kept, 0, PAGE_SIZE, DMA_BOTH);
    MUST(a, HANDLE_CLOSE, large);
    MUST(a, HANDLE_CLOSE, small);
    MUST(a, OBJECT_DESTROY, vmo);
    MUST(a, OBJECT_DESTROY, kept);
    world_check();
    windows = 0;
    host_on_window = count_window;
    EXPECT_EQUAL(MUST(world.boss, MACHINE_DEVICE_QUIET, world.machine, 0x18), 256);
    host_on_window = nullptr;
    EXPECT(windows >= 256 / VM_STEP_PAGES);
    EXPECT_EQUAL(dma_quarantined_pages(), 1);
    world_check();
    world_end_after_quarantine(0x20);
}
