// SPDX-License-Identifier: MIT
//
// What the machine has only once: ranges of device memory and of ports, numbers of address spaces,
// the log; and figures that are looked at while they change.
#include <hal/hal.h>

#include "harness.h"

static struct actor *one, *two, *three;
static uint64_t one_machine, two_machine;

static void actors(unsigned cpus)
{
    begin_world(cpus);
    uint64_t account = new_account(400, 200);
    one = spawn_on(0, account, 10);
    two = spawn_on(1, account, 10);
    three = cpus > 2 ? spawn_thread_on(2, one, 10) : nullptr;
    one_machine = grant(one, world.boss, world.machine);
    two_machine = grant(two, world.boss, world.machine);
}

static void all_run(void)
{
    runs(one);
    runs(two);
    if (three)
        runs(three);
}

static void device_memory_minted(void)
{
    actors(3);
    uint64_t machine = grant(three, world.boss, world.machine);
    STEP(one, MACHINE_DEVICE_MEMORY, one_machine, one->account, 0xd000'1000, PAGE_SIZE, 0);
    STEP(two, MACHINE_DEVICE_MEMORY, two_machine, two->account, 0xd000'0000, 2 * PAGE_SIZE, 0);
    STEP(three, MACHINE_DEVICE_MEMORY, machine, three->account, 0xd000'0000, PAGE_SIZE, 0);
    all_run();
}
static void the_whole_or_both(void)
{
    bool both = status_of(two, 0) == STATUS_OK;
    EXPLORE_CHECK((status_of(one, 0) == STATUS_OK) != both);
    EXPLORE_CHECK((status_of(three, 0) == STATUS_OK) != both);
}
SCENARIO(device_memory_minted, .canary = "D memory", .setup = device_memory_minted,
         .finish = the_whole_or_both);

static void io_range_minted(void)
{
    actors(3);
    uint64_t machine = grant(three, world.boss, world.machine);
    STEP(one, MACHINE_IO_RANGE, one_machine, one->account, 0x78, 8);
    STEP(two, MACHINE_IO_RANGE, two_machine, two->account, 0x70, 16);
    STEP(three, MACHINE_IO_RANGE, machine, three->account, 0x70, 8);
    all_run();
}
SCENARIO(io_range_minted, .canary = "D ports", .setup = io_range_minted,
         .finish = the_whole_or_both);

// What goes back while something else of its kind is minted.
static void ranges_returned(void)
{
    actors(2);
    uint64_t memory =
        MUST(one, MACHINE_DEVICE_MEMORY, one_machine, one->account, 0xd000'0000, PAGE_SIZE, 0);
    uint64_t ports = MUST(one, MACHINE_IO_RANGE, one_machine, one->account, 0x70, 8);
    STEP(one, HANDLE_CLOSE, memory);
    STEP(one, HANDLE_CLOSE, ports);
    STEP(two, MACHINE_DEVICE_MEMORY, two_machine, two->account, 0xd000'0000, PAGE_SIZE, 0);
    STEP(two, MACHINE_IO_RANGE, two_machine, two->account, 0x70, 8);
    all_run();
}
static void minted_again_or_not_yet(void)
{
    for (unsigned i = 0; i < 2; i++) {
        EXPLORE_CHECK(status_of(one, i) == STATUS_OK);
        EXPLORE_CHECK(status_of(two, i) == STATUS_OK || status_of(two, i) == STATUS_OVERLAP);
    }
}
SCENARIO(ranges_returned, .canary = "D memory", .setup = ranges_returned,
         .finish = minted_again_or_not_yet);

// A driver takes the console while the kernel writes to it.
static void console_taken(void)
{
    actors(2);
    uint64_t first = grant(one, world.boss, world.log), second = grant(two, world.boss, world.log);
    set_text(two, "two\n");
    STEP(one, MACHINE_DEVICE_MEMORY, one_machine, one->account, hal.console->base, PAGE_SIZE, 0);
    STEP(one, LOG_READ, first, 0);
    STEP(two, LOG_WRITE, second, 4);
    all_run();
}
static void taken_and_written(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && status_of(two, 0) == STATUS_OK);
}
SCENARIO(console_taken, .canary = "D log", .setup = console_taken, .finish = taken_and_written,
         .finer = "the log goes on from world to world, and its ends are among the results");

// The last number: it is one's that ends, or two's that begins.
static void number_used_again(void)
{
    actors(2);
    uint64_t process = MUST(one, PROCESS_CREATE, one->account, 0, 0, 0);
    STEP(one, OBJECT_DESTROY, process);
    STEP(two, PROCESS_CREATE, two->account, 0, 0, 0);
    all_run();
}
static void made_meanwhile(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && status_of(two, 0) == STATUS_OK);
}
SCENARIO(number_used_again, .canary = "A2", .setup = number_used_again, .finish = made_meanwhile,
         .broadcasts = true);

static void log_written_and_read(void)
{
    actors(3);
    uint64_t first = grant(one, world.boss, world.log), second = grant(two, world.boss, world.log);
    set_text(one, "one\n");
    set_text(two, "two\n");
    STEP(one, LOG_WRITE, first, 4);
    STEP(two, LOG_WRITE, second, 4);
    STEP(three, LOG_READ, first, 0);
    all_run();
}
static void written(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && status_of(two, 0) == STATUS_OK);
}
SCENARIO(log_written_and_read, .canary = "D log", .setup = log_written_and_read, .finish = written,
         .finer = "the log goes on from world to world, and its ends are among the results");

// ---- figures

static void looked_at_while_made(void)
{
    actors(3);
    STEP(one, OBJECT_INSPECT, one->own_process);
    STEP(one, OBJECT_INSPECT, one->account);
    STEP(two, EVENT_CREATE, two->account);
    STEP(three, THREAD_CREATE, one->own_process, 5, 0x60'0000);
    all_run();
}
static void all_made(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && status_of(one, 1) == STATUS_OK);
    EXPLORE_CHECK(status_of(two, 0) == STATUS_OK && status_of(three, 0) == STATUS_OK);
}
SCENARIO(looked_at_while_made, .canary = "D figures", .setup = looked_at_while_made,
         .finish = all_made);

static void looked_at_while_used(void)
{
    actors(3);
    struct ends ends = new_channel(one, 2, 64, 1, 1);
    uint64_t end = grant(two, one, ends.end1);
    uint64_t thread = grant(two, one, one->own_thread);
    STEP(one, OBJECT_INSPECT, ends.end0);
    STEP(one, OBJECT_INSPECT, one->own_aspace);
    STEP(two, CHANNEL_SEND, end, MSG(8, 0));
    STEP(two, OBJECT_INSPECT, thread);
    STEP(three, CHANNEL_RECEIVE, ends.end0, 0);
    STEP(three, VM_MAP, one->own_aspace, MUST(one, VMO_CREATE, one->account, PAGE_SIZE, 0), 0,
         0x5000'0000, PAGE_SIZE, PROT_READ);
    all_run();
}
static void looked_at(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && status_of(one, 1) == STATUS_OK);
    EXPLORE_CHECK(status_of(two, 1) == STATUS_OK);
}
SCENARIO(looked_at_while_used, .canary = "I2 receive", .setup = looked_at_while_used,
         .finish = looked_at);

// The machine's figures, while frames and slots are taken and a pin leaves its quarantine.
static void machine_looked_at(void)
{
    actors(2);
    uint64_t space = MUST(two, MACHINE_DMA_SPACE, two_machine, two->account, 8);
    uint64_t vmo = MUST(two, VMO_CREATE, two->account, PAGE_SIZE, 0);
    uint64_t pin = MUST(two, PIN_CREATE, space, two->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
    MUST(two, HANDLE_CLOSE, pin);
    STEP(one, MACHINE_INFO, one_machine);
    STEP(two, VMO_CREATE, two->account, PAGE_SIZE, 0);
    STEP(two, MACHINE_DEVICE_QUIET, two_machine, 8);
    all_run();
}
static void made_and_quiet(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && status_of(two, 0) == STATUS_OK);
    EXPLORE_CHECK(value_of(two, 1, 0) == 1);
}
SCENARIO(machine_looked_at, .canary = "M7 quiet", .setup = machine_looked_at,
         .finish = made_and_quiet);
