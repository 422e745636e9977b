// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Interrupt controllers at odds with the kernel; what the machine says of itself, and the log.
#include <entry/entry.h>
#include <string.h>

#include <hal/hal.h>

#include "cpu.h"
#include "dma.h"
#include "frame.h"
#include "interrupt.h"
#include "kernel_driver.h"

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
    memset(a->thread->message->data, 0xa5, ABI_MESSAGE_BYTES);
    EXPECT_EQUAL(MUST(a, MACHINE_INFO, machine), sizeof(struct abi_machine_info));
    const struct abi_machine_info *info = (const void *)text_of(a);
    for (size_t at = sizeof *info; at < ABI_MESSAGE_BYTES; at++)
        EXPECT_EQUAL((uint8_t)text_of(a)[at], 0xa5); // nothing behind it is written
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
    const struct power *power = hal.power;
    hal.power = nullptr; // nothing is there to switch it off
    EXPECT_CALL(NOT_SUPPORTED, a, MACHINE_POWER, machine, POWER_OFF);
    EXPECT_CALL(NOT_SUPPORTED, a, MACHINE_POWER, machine, POWER_REBOOT);
    hal.power = power;
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
