// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// What drivers are given: interrupts, message vectors, ports, pins and their quarantine, the
// machine and the log (Q1, Q2, M4, M7, M8).
#include <entry/entry.h>
#include <string.h>

#include <hal/hal.h>

#include "cpu.h"
#include "dma.h"
#include "frame.h"
#include "interrupt.h"
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

static bool is_raised(uint64_t interrupt)
{
    return CALL(a, OBJECT_WAIT, interrupt, SIGNAL_INTERRUPT, 0).status == STATUS_OK;
}

// ---- interrupts

// OBJ-26
TEST(interrupts_are_minted_once)
{
    begin();
    EXPECT_CALL(INVALID, a, MACHINE_INTERRUPT, machine, a->account, HOST_LINES, 0);
    EXPECT_CALL(INVALID, a, MACHINE_INTERRUPT, machine, a->account, UINT64_MAX, 0);
    EXPECT_CALL(INVALID, a, MACHINE_INTERRUPT, machine, a->account, (1ull << 32) + 10, 0);
    EXPECT_CALL(INVALID, a, MACHINE_INTERRUPT, machine, a->account, 1, 0); // the kernel's own
    EXPECT_CALL(INVALID, a, MACHINE_INTERRUPT, machine, a->account, 10, 3);
    uint64_t interrupt = MUST(a, MACHINE_INTERRUPT, machine, a->account, 10, TRIGGER_EDGE);
    EXPECT_CALL(OVERLAP, a, MACHINE_INTERRUPT, machine, a->account, 10, TRIGGER_EDGE);
    world_check();
    EXPECT_CALL(BAD_STATE, a, INTERRUPT_ACKNOWLEDGE, interrupt);
    MUST(a, HANDLE_CLOSE, interrupt);
    EXPECT(host_lines[10].masked);
    host_line_pulse(10); // nobody's
    settle();
    interrupt = MUST(a, MACHINE_INTERRUPT, machine, a->account, 10, TRIGGER_EDGE);
    EXPECT(!is_raised(interrupt));
    world_end();
}

// OBJ-27
TEST(an_edge)
{
    begin();
    uint64_t interrupt = MUST(a, MACHINE_INTERRUPT, machine, a->account, 10, TRIGGER_EDGE);
    struct actor *b = spawn_thread(a, 9);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, interrupt, SIGNAL_INTERRUPT, ABI_DEADLINE_NEVER);
    host_line_pulse(10);
    settle();
    EXPECT_STATUS(ended(b).status, OK);
    EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, interrupt), 1);
    EXPECT(!is_raised(interrupt));
    // Raised again, twice, before it was acknowledged: told once more.
    for (unsigned i = 0; i < 3; i++) {
        host_line_pulse(10);
        settle();
    }
    world_check();
    EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, interrupt), 4);
    EXPECT(is_raised(interrupt));
    EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, interrupt), 4);
    EXPECT(!is_raised(interrupt));
    EXPECT_CALL(BAD_STATE, a, INTERRUPT_ACKNOWLEDGE, interrupt);
    world_end();
}

// OBJ-27
TEST(a_level_stays_masked_until_acknowledged)
{
    begin();
    uint64_t interrupt = MUST(a, MACHINE_INTERRUPT, machine, a->account, 11, TRIGGER_LEVEL_HIGH);
    host_line_level(11, true);
    settle();
    EXPECT(is_raised(interrupt) && host_lines[11].masked);
    advance(1'000'000);
    EXPECT_EQUAL(host_lines[11].claimed, 1);
    world_check();
    // Still asserted: it comes again at once.
    EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, interrupt), 1);
    EXPECT_EQUAL(host_lines[11].claimed, 2);
    host_line_level(11, false);
    EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, interrupt), 2);
    EXPECT(!host_lines[11].masked && !is_raised(interrupt));
    world_end();
}

// OBJ-28
TEST(an_interrupt_goes_with_its_account)
{
    begin();
    uint64_t interrupt = MUST(a, MACHINE_INTERRUPT, machine, a->account, 12, TRIGGER_LEVEL_HIGH);
    uint64_t message = MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, a->account, 0xd000'1000, 3, 8);
    volatile uint32_t *control = (uint32_t *)host_device_page(0xd000'1000) + 4 * 3 + 3;
    EXPECT_EQUAL(*control, 0);
    uint64_t port = MUST(a, PORT_CREATE, a->account);
    MUST(a, PORT_BIND, port, interrupt, 1, SIGNAL_INTERRUPT);
    MUST(a, PORT_BIND, port, message, 2, SIGNAL_INTERRUPT);
    host_line_level(12, true);
    settle();
    MUST(world.boss, OBJECT_DESTROY, account);
    MUST(world.boss, OBJECT_WAIT, account, SIGNAL_TERMINATED, 0);
    EXPECT(host_lines[12].masked);
    EXPECT_EQUAL(*control, 1);
    EXPECT_EQUAL(host_lines[HOST_MESSAGE_FIRST].message_taken, false);
    world_end();
}

TEST(interrupts_through_a_port)
{
    begin();
    uint64_t port = MUST(a, PORT_CREATE, a->account);
    uint64_t interrupt = MUST(a, MACHINE_INTERRUPT, machine, a->account, 13, TRIGGER_EDGE);
    MUST(a, PORT_BIND, port, interrupt, 8, SIGNAL_INTERRUPT);
    for (unsigned i = 0; i < 30; i++) {
        EXPECT_CALL(BLOCKED, a, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
        host_line_pulse(13);
        settle();
        EXPECT_EQUAL(ended(a).value[1], SIGNAL_INTERRUPT);
        EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, interrupt), i + 1);
    }
    world_end();
}

// OBJ-29
TEST(a_line_that_nobody_owns_is_masked_and_counted)
{
    begin();
    struct cpu *cpu = cpus[0];
    uint64_t spurious = counter_read(&cpu->spurious),
             device = counter_read(&cpu->device_interrupts);
    host_lines[20].masked = false;
    host_line_level(20, true);
    settle();
    EXPECT(host_lines[20].masked && !host_lines[20].active);
    EXPECT_EQUAL(counter_read(&cpu->spurious), spurious + 1);
    EXPECT_EQUAL(counter_read(&cpu->device_interrupts), device + 1);
    // An interrupt that is gone when it is asked for.
    host_wake(0, entry_kernel_interrupt);
    host_run(0);
    EXPECT_EQUAL(counter_read(&cpu->spurious), spurious + 2);
    // Those with an owner, and the timer's, are none of these.
    uint64_t interrupt = MUST(a, MACHINE_INTERRUPT, machine, a->account, 10, TRIGGER_LEVEL_LOW);
    host_line_level(10, true);
    settle();
    EXPECT(is_raised(interrupt));
    uint64_t fired = counter_read(&cpu->timer_interrupts);
    struct actor *b = spawn_thread(a, 9);
    EXPECT_CALL(BLOCKED, b, THREAD_SLEEP, host_ticks + 500);
    advance(500);
    EXPECT_STATUS(ended(b).status, OK);
    EXPECT_EQUAL(counter_read(&cpu->timer_interrupts), fired + 1);
    EXPECT_EQUAL(counter_read(&cpu->device_interrupts), device + 2);
    EXPECT_EQUAL(counter_read(&cpu->spurious), spurious + 2);
    world_end();
}

// The end of its owner has begun and waits for its turn: until then it is raised once, not again
// and again.
TEST(a_line_whose_owner_is_dying_is_masked)
{
    begin();
    uint64_t interrupt = MUST(a, MACHINE_INTERRUPT, machine, a->account, 11, TRIGGER_LEVEL_HIGH);
    hold(a);
    EXPECT_STATUS(HELD(a, OBJECT_DESTROY, interrupt).status, OK);
    EXPECT(!host_lines[11].masked);
    host_line_level(11, true);
    host_enter(0, entry_interrupt);
    host_run(0);
    EXPECT(host_lines[11].masked);
    EXPECT_EQUAL(host_lines[11].claimed, 1);
    host_line_level(11, false);
    settle();
    world_end();
}

// OBJ-30
TEST(so_many_interrupts_in_one_entry)
{
    begin();
    for (unsigned i = 0; i < CPU_BATCH + 4; i++) {
        MUST(a, MACHINE_INTERRUPT, machine, a->account, 10 + i, TRIGGER_EDGE);
        host_lines[10 + i].claimed = 0;
    }
    for (unsigned i = 0; i < CPU_BATCH + 4; i++)
        host_line_pulse(10 + i);
    host_wake(0, entry_kernel_interrupt);
    host_run(0);
    uint64_t claimed = 0;
    for (unsigned i = 0; i < CPU_BATCH + 4; i++)
        claimed += host_lines[10 + i].claimed;
    EXPECT_EQUAL(claimed, CPU_BATCH);
    settle();
    for (unsigned i = 0; i < CPU_BATCH + 4; i++)
        EXPECT_EQUAL(host_lines[10 + i].claimed, 1);
    world_end();
}

// ---- message interrupts

TEST(an_entry_of_a_vector_table_is_written_whole)
{
    begin();
    uint64_t acc = a->account;
    uint32_t *entry = (uint32_t *)host_device_page(0xd000'1000) + 4 * 255;
    memset(entry, 0xff, 16);
    host_lines[HOST_MESSAGE_FIRST].trigger = TRIGGER_LEVEL_HIGH;
    MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'1000, 255, 8);
    EXPECT_EQUAL(entry[0], (uint32_t)HOST_MESSAGE_ADDRESS);
    EXPECT_EQUAL(entry[1], HOST_MESSAGE_ADDRESS >> 32);
    EXPECT_EQUAL(entry[2], HOST_MESSAGE_FIRST);
    EXPECT_EQUAL(entry[3], 0);
    EXPECT_EQUAL(host_lines[HOST_MESSAGE_FIRST].trigger, TRIGGER_EDGE);
    // The last of its page: the next page is not the kernel's.
    MUST(a, MACHINE_DEVICE_MEMORY, machine, acc, 0xd000'2000, PAGE_SIZE, MEMORY_DEVICE);
    MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 1ull << 47, 0, 8);
    world_end();
}

TEST(message_interrupts)
{
    begin();
    uint64_t acc = a->account;
    EXPECT_CALL(INVALID, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0, 0, 0);
    EXPECT_CALL(INVALID, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'1001, 0, 0);
    EXPECT_CALL(INVALID, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'1000, 2048, 0);
    EXPECT_CALL(INVALID, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 1ull << 48, 0, 0);
    uint64_t message = MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'1000, 2, 8);
    const uint32_t *entry = (const uint32_t *)host_device_page(0xd000'1000) + 8;
    EXPECT_EQUAL(entry[0], (uint32_t)HOST_MESSAGE_ADDRESS);
    EXPECT_EQUAL(entry[2], HOST_MESSAGE_FIRST);
    host_line_pulse(entry[2]);
    settle();
    EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, message), 1);
    unsigned made = 1;
    while (CALL(a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'1000, made + 2, 8).status ==
           STATUS_OK)
        made++;
    EXPECT_CALL(NO_RESOURCE, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'1000, 100, 8);
    EXPECT_EQUAL(made, HOST_LINES - HOST_MESSAGE_FIRST);
    MUST(a, HANDLE_CLOSE, message);
    EXPECT_EQUAL(entry[3], 1);
    EXPECT_CALL(OK, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'1000, 100, 8);
    world_end();
}

TEST(a_vector_table_belongs_to_the_kernel)
{
    begin();
    uint64_t acc = a->account;
    MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'1000, 0, 8);
    EXPECT_CALL(OVERLAP, a, MACHINE_DEVICE_MEMORY, machine, acc, 0xd000'0000, 4 * PAGE_SIZE, 0);
    // The second page of the same table is the kernel's as soon as it is used.
    uint64_t second = MUST(a, MACHINE_DEVICE_MEMORY, machine, acc, 0xd000'2000, PAGE_SIZE, 0);
    EXPECT_CALL(OVERLAP, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'1000, 256, 8);
    MUST(a, HANDLE_CLOSE, second);
    MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'1000, 256, 8);
    EXPECT_CALL(OVERLAP, a, MACHINE_DEVICE_MEMORY, machine, acc, 0xd000'2000, PAGE_SIZE, 0);
    // An entry across two pages, which this machine does not map in one piece, is not half an entry.
    EXPECT_CALL(NO_RESOURCE, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'4ff8, 0, 8);
    // Up to RAM, and no further.
    MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, acc, HOST_RAM_START - 16, 0, 8);
    EXPECT_CALL(INVALID, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, HOST_RAM_START - 16, 1, 8);
    // RAM is no vector table.
    EXPECT_CALL(INVALID, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, HOST_RAM_START + 0x4000, 0, 8);
    EXPECT_CALL(INVALID, a, MACHINE_MESSAGE_INTERRUPT, machine, acc,
                HOST_RAM_START + host_ram_bytes - PAGE_SIZE, 0, 8);
    world_end();
}

TEST(no_messages_where_no_controller_takes_them)
{
    host_messages = false;
    begin();
    EXPECT_CALL(NOT_SUPPORTED, a, MACHINE_MESSAGE_INTERRUPT, machine, a->account, 0xd000'1000, 0,
                8);
    world_end();
}

// ---- I/O ports

// OBJ-26
TEST(io_ports)
{
    begin();
    uint64_t acc = a->account;
    EXPECT_CALL(INVALID, a, MACHINE_IO_RANGE, machine, acc, 0x1'0000, 1);
    EXPECT_CALL(INVALID, a, MACHINE_IO_RANGE, machine, acc, 0xffff, 2);
    EXPECT_CALL(INVALID, a, MACHINE_IO_RANGE, machine, acc, 0, 0);
    EXPECT_CALL(INVALID, a, MACHINE_IO_RANGE, machine, acc, 5, UINT64_MAX);
    uint64_t range = MUST(a, MACHINE_IO_RANGE, machine, acc, 0x70, 8);
    EXPECT_CALL(OVERLAP, a, MACHINE_IO_RANGE, machine, acc, 0x77, 1);
    EXPECT_CALL(OVERLAP, a, MACHINE_IO_RANGE, machine, acc, 0, 0x1'0000);
    MUST(a, IO_WRITE, range, 4, 4, 0xdead'beef);
    EXPECT_EQUAL(MUST(a, IO_READ, range, 6, 2), 0xdead);
    EXPECT_EQUAL(host_io[0x74], 0xef);
    EXPECT_CALL(INVALID, a, IO_READ, range, 7, 2);
    EXPECT_CALL(INVALID, a, IO_READ, range, 8, 1);
    EXPECT_CALL(INVALID, a, IO_READ, range, 0, 3);
    EXPECT_CALL(INVALID, a, IO_READ, range, UINT64_MAX, 1);
    EXPECT_CALL(INVALID, a, IO_WRITE, range, 0, 8, 0);
    EXPECT_CALL(INVALID, a, IO_WRITE, range, 0, 4, 1ull << 32);
    MUST(a, HANDLE_CLOSE, range);
    MUST(a, MACHINE_IO_RANGE, machine, acc, 0x77, 1);
    host_has_io_ports = false;
    EXPECT_CALL(NOT_SUPPORTED, a, MACHINE_IO_RANGE, machine, acc, 0x80, 1);
    world_end();
}

// ---- pins

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

// ---- controllers

static const struct irq_controller *simulated;
static unsigned open_claims; // that were not completed
static struct {
    bool wanted;
    uint32_t cpu, line;
} next_claim; // which the simulated controller would not make

static uint32_t odd_claim(void)
{
    open_claims++;
    if (next_claim.wanted && next_claim.cpu == cpu_self()->number) {
        next_claim.wanted = false;
        if (next_claim.line < simulated->lines)
            host_lines[next_claim.line].claimed++;
        return next_claim.line;
    }
    uint32_t line = simulated->claim();
    open_claims -= line == IRQ_NONE;
    return line;
}

static void odd_complete(uint32_t line)
{
    open_claims--;
    simulated->complete(line);
}

static void odd_mask(uint32_t line)
{
    EXPECT(line < simulated->lines);
    simulated->mask(line);
}

static void odd_message_free(uint32_t line)
{
    EXPECT(line >= HOST_MESSAGE_FIRST);
    simulated->message_free(line);
}

// The simulated controller, with each claim counted until it is complete.
static void watch_the_controller(void)
{
    static struct irq_controller odd;
    simulated = hal.irq;
    odd = *simulated;
    odd.claim = odd_claim;
    odd.complete = odd_complete;
    odd.mask = odd_mask;
    odd.message_free = odd_message_free;
    hal.irq = &odd;
    open_claims = 0;
}

// Behind the table of lines stands anything.
TEST(a_line_that_the_controller_does_not_have)
{
    world_begin((struct world_options){.dirty = true});
    a = spawn(new_account(600, 300), 10);
    machine = grant(a, world.boss, world.machine);
    uint64_t interrupt = MUST(a, MACHINE_INTERRUPT, machine, a->account, 10, TRIGGER_EDGE);
    watch_the_controller();
    uint64_t spurious = counter_read(&cpus[0]->spurious);
    next_claim.wanted = true;
    next_claim.cpu = 0;
    next_claim.line = simulated->lines;
    host_line_pulse(10);
    settle();
    EXPECT(!next_claim.wanted);
    EXPECT_EQUAL(counter_read(&cpus[0]->spurious), spurious + 1);
    EXPECT(is_raised(interrupt));
    EXPECT_EQUAL(open_claims, 0);
}

TEST(each_claim_is_completed)
{
    world_begin((struct world_options){.cpus = 2});
    a = spawn(new_account(600, 300), 10);
    machine = grant(a, world.boss, world.machine);
    struct actor *other = spawn_on(1, new_account(30, 30), 10);
    uint64_t interrupt = MUST(a, MACHINE_INTERRUPT, machine, a->account, 10, TRIGGER_EDGE);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    uint64_t theirs = grant(other, a, event);
    watch_the_controller();
    EXPECT_CALL(BLOCKED, other, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
    uint64_t asked = counter_read(&cpus[1]->asked);
    MUST(a, EVENT_SIGNAL, event, 1);
    EXPECT_STATUS(ended(other).status, OK);
    EXPECT(counter_read(&cpus[1]->asked) > asked);
    EXPECT_EQUAL(open_claims, 0); // another CPU's question
    EXPECT_CALL(BLOCKED, a, THREAD_SLEEP, host_ticks + 1000);
    advance(1000);
    EXPECT_STATUS(ended(a).status, OK);
    EXPECT_EQUAL(open_claims, 0); // the timer
    host_line_pulse(10);
    settle();
    EXPECT(is_raised(interrupt));
    EXPECT_EQUAL(open_claims, 0);
    world_end();
}

TEST(a_line_that_another_cpu_claims)
{
    world_begin((struct world_options){.cpus = 2});
    a = spawn(new_account(600, 300), 10);
    machine = grant(a, world.boss, world.machine);
    struct actor *other = spawn_on(1, new_account(30, 30), 10);
    uint64_t interrupt = MUST(a, MACHINE_INTERRUPT, machine, a->account, 10, TRIGGER_EDGE);
    watch_the_controller();
    next_claim.wanted = true;
    next_claim.cpu = 1;
    next_claim.line = 10;
    EXPECT_CALL(BLOCKED, other, THREAD_SLEEP, host_ticks + 1000);
    advance(1000); // of its interrupts the timer's comes second
    EXPECT_STATUS(ended(other).status, OK);
    EXPECT(is_raised(interrupt));
    EXPECT_EQUAL(open_claims, 0);
    MUST(a, OBJECT_INSPECT, interrupt);
    EXPECT_EQUAL(((const struct abi_inspect *)(const void *)text_of(a))->interrupt.cpu, 1);
    MUST(a, INTERRUPT_ACKNOWLEDGE, interrupt);
    MUST(a, HANDLE_CLOSE, interrupt); // it is no message
    world_end();
}

TEST(a_machine_whose_ram_holds_anything)
{
    world_begin((struct world_options){.dirty = true, .ram_bytes = 8 << 20});
    uint64_t free = frames_free();
    uint32_t objects = objects_free();
    account = new_account(600, 300);
    a = spawn(account, 10);
    machine = grant(a, world.boss, world.machine);
    for (uint32_t line = HOST_LINE_FIRST; line < HOST_MESSAGE_FIRST; line++)
        MUST(a, MACHINE_INTERRUPT, machine, a->account, line, TRIGGER_EDGE);
    for (unsigned message = 0; message < 4; message++)
        MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, a->account, 0xd000'1000, message, 8);
    EXPECT_CALL(OK, a, VMO_CREATE, a->account, 20 * PAGE_SIZE, 0);
    new_channel(a, 4, 64, 1, 1);
    MUST(world.boss, OBJECT_DESTROY, account);
    MUST(world.boss, HANDLE_CLOSE, account);
    for (unsigned i = 0; i < 3; i++)
        MUST(world.boss, HANDLE_CLOSE, (&a->process_handle)[i]);
    EXPECT_EQUAL(frames_free(), free);
    EXPECT_EQUAL(objects_free(), objects);
}

// ---- the machine and the log

TEST(machine_info_and_power)
{
    begin();
    uint64_t blind = MUST(a, HANDLE_DUPLICATE, machine, RIGHT_MINT);
    EXPECT_EQUAL(MUST(a, MACHINE_INFO, machine), sizeof(struct abi_machine_info));
    const struct abi_machine_info *info = (const void *)text_of(a);
    EXPECT_EQUAL(info->pages_free, frames_free());
    EXPECT_EQUAL(info->cpus, 1);
    EXPECT_EQUAL(info->ram_bytes, host_ram_bytes);
    for (unsigned i = 0; i < ABI_INVARIANTS; i++)
        EXPECT_EQUAL(info->checks[i] > 0, counter_read(&invariant_evaluations[i]) > 0);
    EXPECT(info->checks[0] > 0);
    // What the timer raises is not a device's.
    uint64_t devices = counter_read(&cpus[0]->device_interrupts);
    EXPECT_CALL(OK, a, THREAD_SLEEP, host_ticks);
    uint64_t timer = MUST(a, TIMER_CREATE, a->account);
    MUST(a, TIMER_SET, timer, host_ticks + 1000);
    advance(1000);
    MUST(a, OBJECT_WAIT, timer, SIGNAL_FIRED, 0);
    EXPECT_EQUAL(counter_read(&cpus[0]->device_interrupts), devices);
    EXPECT_CALL(INVALID, a, MACHINE_POWER, machine, 2);
    EXPECT_CALL(NOT_SUPPORTED, a, MACHINE_POWER, machine, POWER_REBOOT);
    EXPECT_EQUAL(host_power_calls, 0);
    EXPECT_CALL(NOT_SUPPORTED, a, MACHINE_POWER, machine, POWER_OFF); // it did not work
    EXPECT_EQUAL(host_power_calls, 1);
    EXPECT_CALL(NO_RIGHT, a, MACHINE_INFO, blind);
    uint64_t weak = MUST(a, HANDLE_DUPLICATE, machine, RIGHT_INSPECT);
    EXPECT_CALL(NO_RIGHT, a, MACHINE_POWER, weak, POWER_OFF);
    EXPECT_CALL(NO_RIGHT, a, MACHINE_DMA_SPACE, weak, a->account, 1);
    world_end();
}

TEST(the_log)
{
    begin();
    uint64_t log = grant(a, world.boss, world.log);
    EXPECT_CALL(INVALID, a, LOG_WRITE, log, 0);
    EXPECT_CALL(INVALID, a, LOG_WRITE, log, 257);
    set_text(a, "hello\x1b[2J\nworld");
    MUST(a, LOG_WRITE, log, 16);
    struct outcome out = CALL(a, LOG_READ, log, 0);
    EXPECT_STATUS(out.status, OK);
    char text[ABI_MESSAGE_BYTES + 1] = "";
    memcpy(text, text_of(a), out.value[0]);
    EXPECT(strstr(text, "hello [2J world \n"));
    EXPECT_EQUAL(CALL(a, LOG_READ, log, out.value[1]).value[0], 0);
    EXPECT_EQUAL(CALL(a, LOG_READ, log, UINT64_MAX).value[1], out.value[1]);
    // Overrun: the oldest that is kept.
    for (unsigned i = 0; i < 300; i++)
        MUST(a, LOG_WRITE, log, 256);
    uint64_t cursor = 0, bytes = 0;
    for (struct outcome part; (part = CALL(a, LOG_READ, log, cursor)).value[0] > 0;) {
        cursor = part.value[1];
        bytes += part.value[0];
    }
    EXPECT_EQUAL(bytes, 32 * 1024);
    uint64_t mute = MUST(a, HANDLE_DUPLICATE, log, RIGHT_READ);
    EXPECT_CALL(NO_RIGHT, a, LOG_WRITE, mute, 4);
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
