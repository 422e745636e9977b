// SPDX-License-Identifier: MIT
//
// An interrupt that comes too often: CPU 0 takes it, puts it aside and lets it in again, while its
// driver, on CPU 1, acknowledges, changes its limit, waits to be told, or ends it.
#include "harness.h"

#include "interrupt.h"

constexpr uint32_t LINE = 10;

static struct actor *driver, *other;
static uint64_t interrupt, machine;

// So many are left of its burst.
static void a_driver(enum abi_trigger trigger, unsigned left)
{
    begin_world(2);
    uint64_t account = new_account(300, 150);
    other = spawn_on(0, account, 10);
    driver = spawn_on(1, account, 10);
    machine = grant(driver, world.boss, world.machine);
    interrupt = MUST(driver, MACHINE_INTERRUPT, machine, driver->account, LINE, trigger);
    MUST(driver, INTERRUPT_LIMIT, interrupt, 1000, 2);
    for (unsigned i = left; i < 2; i++) {
        host_line_pulse(LINE);
        settle();
        MUST(driver, INTERRUPT_ACKNOWLEDGE, interrupt);
    }
}

static void both_run(void)
{
    runs(other);
    runs(driver);
}

static void it_is_put_aside(void)
{
    host_line_pulse(LINE);
    settle();
}

static const struct interrupt *its_object(void)
{
    return (const struct interrupt *)(void *)object_behind(driver, interrupt);
}

static void storm_against_acknowledge(void)
{
    a_driver(TRIGGER_LEVEL_HIGH, 0);
    STEP(driver, OBJECT_WAIT, interrupt, SIGNAL_INTERRUPT, ABI_DEADLINE_NEVER);
    STEP(driver, INTERRUPT_ACKNOWLEDGE, interrupt);
    both_run();
    plan_interrupt(LINE);
}
static void aside_and_masked(void)
{
    EXPLORE_CHECK(status_of(driver, 1) == STATUS_OK);
    EXPLORE_CHECK(its_object()->storm.aside && host_lines[LINE].masked);
}
SCENARIO(storm_against_acknowledge, .canary = "Q1", .setup = storm_against_acknowledge,
         .finish = aside_and_masked);

// What was acknowledged, and what not, before it is let in again.
static void let_in_against_acknowledge(void)
{
    a_driver(TRIGGER_LEVEL_HIGH, 0);
    it_is_put_aside();
    STEP(driver, INTERRUPT_ACKNOWLEDGE, interrupt);
    both_run();
    plan_time(20'000'000);
}
static void neither_aside_nor_masked(void)
{
    EXPLORE_CHECK(status_of(driver, 0) == STATUS_OK);
    EXPLORE_CHECK(!its_object()->storm.aside && !host_lines[LINE].masked);
}
SCENARIO(let_in_against_acknowledge, .canary = "Q3", .setup = let_in_against_acknowledge,
         .finish = neither_aside_nor_masked);

// Its deadline goes with it, and does nothing to the next owner of the slot, or of the line.
static void let_in_against_destroy(void)
{
    a_driver(TRIGGER_EDGE, 0);
    it_is_put_aside();
    STEP(driver, OBJECT_DESTROY, interrupt);
    STEP(driver, MACHINE_INTERRUPT, machine, driver->account, LINE, TRIGGER_EDGE);
    both_run();
    plan_time(20'000'000);
}
static void it_begins_anew(void)
{
    EXPLORE_CHECK(status_of(driver, 0) == STATUS_OK);
    status_t status = status_of(driver, 1);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_OVERLAP);
    EXPLORE_CHECK(host_lines[LINE].masked == (status != STATUS_OK));
    seen(status);
}
SCENARIO(let_in_against_destroy, .canary = "Q3 end", .setup = let_in_against_destroy,
         .finish = it_begins_anew);

static void storm_against_limit(void)
{
    a_driver(TRIGGER_EDGE, 1);
    STEP(driver, INTERRUPT_LIMIT, interrupt, 1, 1);
    both_run();
    plan_interrupt(LINE);
    plan_interrupt(LINE);
}
static void aside_or_not(void)
{
    const struct interrupt *object = its_object();
    EXPLORE_CHECK(status_of(driver, 0) == STATUS_OK && object->count <= 3);
    EXPLORE_CHECK(host_lines[LINE].masked == object->storm.aside);
    seen(object->count * 2 + object->storm.aside);
}
SCENARIO(storm_against_limit, .canary = "Q3", .setup = storm_against_limit, .finish = aside_or_not);

static void storm_is_told(void)
{
    a_driver(TRIGGER_EDGE, 0);
    uint64_t port = MUST(driver, PORT_CREATE, driver->account);
    MUST(driver, PORT_BIND, port, machine, 7, SIGNAL_STORM);
    STEP(driver, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    both_run();
    plan_interrupt(LINE);
}
static void told_by_the_machine(void)
{
    EXPLORE_CHECK(status_of(driver, 0) == STATUS_OK && value_of(driver, 0, 0) == 7);
}
SCENARIO(storm_is_told, .canary = "machine: lost IPI", .setup = storm_is_told,
         .finish = told_by_the_machine);

// Who binds the Machine at the same time hears of it, from the binding or from what stands in its signals.
static void storm_against_bind(void)
{
    a_driver(TRIGGER_EDGE, 0);
    uint64_t port = MUST(driver, PORT_CREATE, driver->account);
    STEP(driver, PORT_BIND, port, machine, 7, SIGNAL_STORM);
    STEP(driver, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    both_run();
    plan_interrupt(LINE);
}
static void bound_and_told(void)
{
    EXPLORE_CHECK(status_of(driver, 0) == STATUS_OK && status_of(driver, 1) == STATUS_OK);
    EXPLORE_CHECK(value_of(driver, 1, 0) == 7 && value_of(driver, 1, 1) == SIGNAL_STORM);
}
SCENARIO(storm_against_bind, .canary = "machine: lost IPI", .setup = storm_against_bind,
         .finish = bound_and_told);
