// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// What drivers are given: interrupts, message vectors, ports (Q1, Q2). Pins: test_kernel_pins.c.
#include <entry/entry.h>
#include <string.h>

#include <hal/hal.h>

#include "cpu.h"
#include "dma.h"
#include "frame.h"
#include "interrupt.h"
#include "kernel_driver.h"

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

TEST(a_message_is_of_a_device_at_a_controller)
{
    begin();
    uint64_t acc = a->account;
    MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'1000, 2, 0x1'0000'0108,
         HOST_MESSAGE_CONTROLLER);
    EXPECT_EQUAL(host_message_device, 0x1'0000'0108);
    MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'1000, 3, 0x110, 0);
    EXPECT_EQUAL(host_message_device, 0x110);
    EXPECT_CALL(NO_RESOURCE, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, 0xd000'1000, 4, 8,
                HOST_MESSAGE_CONTROLLER + 1);
    EXPECT_EQUAL(host_lines[HOST_MESSAGE_FIRST + 2].message_taken, false);
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

// OBJ-26
TEST(an_entry_of_a_vector_table_has_one_interrupt)
{
    begin();
    uint64_t acc = a->account,
             table = 0xd000'1008; // a table may begin in the middle of what another's entry is
    uint64_t message = MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, acc, table, 2, 8);
    const uint32_t *entry = (const uint32_t *)(host_device_page(0xd000'1000) + 8) + 8;
    EXPECT_CALL(OVERLAP, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, table, 2, 8);
    EXPECT_CALL(OVERLAP, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, table + 16, 1, 8);
    EXPECT_CALL(OVERLAP, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, table + 8, 1, 8);
    EXPECT_CALL(OVERLAP, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, table + 8, 2, 8);
    // Those that were refused left the entry and the lines alone.
    EXPECT_EQUAL(entry[2], HOST_MESSAGE_FIRST);
    EXPECT_EQUAL(entry[3], 0);
    EXPECT_EQUAL(host_lines[HOST_MESSAGE_FIRST + 1].message_taken, false);
    MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, acc, table, 1, 8);
    MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, acc, table, 3, 8);
    host_line_pulse(entry[2]);
    settle();
    EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, message), 1);
    // The end of a line is no entry's.
    MUST(a, HANDLE_CLOSE, MUST(a, MACHINE_INTERRUPT, machine, acc, 40, TRIGGER_EDGE));
    EXPECT_CALL(OVERLAP, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, table, 2, 8);
    const struct object *slot = object_behind(a, message);
    MUST(a, HANDLE_CLOSE, message);
    EXPECT(slot->life == LIFE_FREE &&
           !((const struct interrupt *)(const void *)slot)->vector.linked);
    EXPECT_CALL(OVERLAP, a, MACHINE_MESSAGE_INTERRUPT, machine, acc, table + 8, 1, 8);
    MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, acc, table, 2, 8);
    EXPECT_EQUAL(entry[3], 0);
    world_end();
}

// ---- MSI capabilities

constexpr uint64_t SPACE = 0xd000'3000; // of a function: its configuration space
constexpr uint32_t MSI = 5, ENABLE = 1u << 16, MULTIPLE = 7u << 20, WIDE = 1u << 23;

static uint32_t *capability_at(uint64_t offset, uint32_t head)
{
    uint8_t *words = (uint8_t *)host_device_page(SPACE) + offset;
    memset(words, 0xee, 24);
    memcpy(words, &head, sizeof head);
    return (uint32_t *)(void *)words;
}

static struct outcome mint_capability(uint64_t offset)
{
    return CALL(a, MACHINE_MESSAGE_INTERRUPT, machine, a->account, SPACE + offset, ABI_VECTOR_MSI,
                8);
}

TEST(an_msi_capability_is_written_whole)
{
    begin();
    uint32_t *wide = capability_at(0x40, MSI | 0x6000 | ENABLE | MULTIPLE | WIDE | 1u << 24);
    EXPECT_STATUS(mint_capability(0x40).status, OK);
    EXPECT_EQUAL(wide[0], MSI | 0x6000 | ENABLE | WIDE | 1u << 24); // one message
    EXPECT_EQUAL(wide[1], (uint32_t)HOST_MESSAGE_ADDRESS);
    EXPECT_EQUAL(wide[2], HOST_MESSAGE_ADDRESS >> 32);
    EXPECT_EQUAL(wide[3], HOST_MESSAGE_FIRST);
    EXPECT_EQUAL(wide[4], 0); // not masked
    EXPECT_EQUAL(wide[5], 0xeeee'eeee);
    EXPECT_EQUAL(host_lines[HOST_MESSAGE_FIRST].trigger, TRIGGER_EDGE);
    EXPECT_EQUAL(host_lines[HOST_MESSAGE_FIRST].masked, false);
    // One that has room for 32 bits takes no longer address, and is left alone.
    uint32_t *narrow = capability_at(0x60, MSI);
    host_message_address = UINT32_MAX + 1ull;
    EXPECT_STATUS(mint_capability(0x60).status, NO_RESOURCE);
    EXPECT_EQUAL(narrow[0], MSI);
    EXPECT_EQUAL(narrow[1], 0xeeee'eeee);
    EXPECT_EQUAL(host_lines[HOST_MESSAGE_FIRST + 1].message_taken, false);
    host_message_address = UINT32_MAX;
    EXPECT_STATUS(mint_capability(0x60).status, OK);
    EXPECT_EQUAL(narrow[0], MSI | ENABLE);
    EXPECT_EQUAL(narrow[1], UINT32_MAX);
    EXPECT_EQUAL(narrow[2], HOST_MESSAGE_FIRST + 1);
    EXPECT_EQUAL(narrow[3], 0xeeee'eeee);
    narrow = capability_at(0x80, MSI | 1u << 24);
    EXPECT_STATUS(mint_capability(0x80).status, OK);
    EXPECT_EQUAL(narrow[3], 0);
    EXPECT_EQUAL(narrow[4], 0xeeee'eeee);
    wide = capability_at(0xa0, MSI | WIDE);
    EXPECT_STATUS(mint_capability(0xa0).status, OK);
    EXPECT_EQUAL(wide[4], 0xeeee'eeee);
    world_end();
}

TEST(what_is_no_msi_capability_is_refused)
{
    begin();
    uint32_t *msix = capability_at(0x50, 0x11);
    EXPECT_STATUS(mint_capability(0x50).status, INVALID);
    EXPECT_EQUAL(msix[0], 0x11);
    EXPECT_EQUAL(msix[1], 0xeeee'eeee);
    EXPECT_EQUAL(host_lines[HOST_MESSAGE_FIRST].message_taken, false);
    for (uint32_t i = 0; i < objects_total(); i++) {
        const struct object *slot = object_at(i);
        EXPECT(slot->life != LIFE_FREE || slot->type != OBJECT_INTERRUPT ||
               !((const struct interrupt *)(const void *)slot)->vector.linked);
    }
    // Where no capability can be: among the header's registers, behind them, askew.
    for (uint64_t offset = 0; offset < PAGE_SIZE - 24; offset += 2) {
        (void)capability_at(offset, MSI | WIDE);
        struct outcome minted = mint_capability(offset);
        bool sound = offset % 4 == 0 && offset >= 0x40 && offset <= 0xf0;
        EXPECT_EQUAL(minted.status, sound ? STATUS_OK : STATUS_INVALID);
        if (sound)
            MUST(a, HANDLE_CLOSE, minted.value[0]);
    }
    EXPECT_CALL(INVALID, a, MACHINE_MESSAGE_INTERRUPT, machine, a->account, 1ull << 48,
                ABI_VECTOR_MSI, 8);
    EXPECT_CALL(INVALID, a, MACHINE_MESSAGE_INTERRUPT, machine, a->account, HOST_RAM_START + 0x50,
                ABI_VECTOR_MSI, 8);
    world_end();
}

// OBJ-26
TEST(an_msi_capability_has_one_interrupt)
{
    begin();
    uint32_t *words = capability_at(0x40, MSI | WIDE);
    // Its page remains whoever's it is, but for registers that the kernel drives.
    uint64_t space = MUST(a, MACHINE_DEVICE_MEMORY, machine, a->account, SPACE, PAGE_SIZE, 0);
    struct outcome message = mint_capability(0x40);
    EXPECT_STATUS(message.status, OK);
    EXPECT_STATUS(mint_capability(0x40).status, OVERLAP);
    EXPECT_EQUAL(words[3], HOST_MESSAGE_FIRST);
    EXPECT_EQUAL(host_lines[HOST_MESSAGE_FIRST + 1].message_taken, false);
    host_line_pulse(words[3]);
    settle();
    EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, message.value[0]), 1);
    MUST(a, HANDLE_CLOSE, message.value[0]);
    EXPECT_EQUAL(words[0], MSI | WIDE);
    EXPECT_STATUS(mint_capability(0x40).status, OK);
    MUST(a, HANDLE_CLOSE, space);
    MUST(a, MACHINE_DEVICE_MEMORY, machine, a->account, SPACE, PAGE_SIZE, 0);
    world_end();
}

TEST(what_the_kernel_drives_takes_no_message)
{
    begin();
    hal.owned[0] = (struct hal_range){SPACE, SPACE + PAGE_SIZE};
    hal.owned_count = 1;
    (void)capability_at(0x40, MSI | WIDE);
    EXPECT_STATUS(mint_capability(0x40).status, OVERLAP);
    EXPECT_CALL(OVERLAP, a, MACHINE_MESSAGE_INTERRUPT, machine, a->account, SPACE, 0, 8);
    EXPECT_EQUAL(host_lines[HOST_MESSAGE_FIRST].message_taken, false);
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
    EXPECT_EQUAL(host_io_reads, 1);
    EXPECT_CALL(INVALID, a, IO_READ, range, 7, 2);
    EXPECT_CALL(INVALID, a, IO_READ, range, 8, 1);
    EXPECT_CALL(INVALID, a, IO_READ, range, 0, 3);
    EXPECT_CALL(INVALID, a, IO_READ, range, UINT64_MAX, 1);
    EXPECT_EQUAL(host_io_reads, 1); // what is refused touches no port
    EXPECT_CALL(INVALID, a, IO_WRITE, range, 0, 8, 0);
    EXPECT_CALL(INVALID, a, IO_WRITE, range, 0, 4, 1ull << 32);
    MUST(a, HANDLE_CLOSE, range);
    MUST(a, MACHINE_IO_RANGE, machine, acc, 0x77, 1);
    host_has_io_ports = false;
    EXPECT_CALL(NOT_SUPPORTED, a, MACHINE_IO_RANGE, machine, acc, 0x80, 1);
    world_end();
}
