// SPDX-License-Identifier: MIT
//
// Interrupt lines: CPU 0 takes what a device raises, the driver is on CPU 1; raising against
// waiting, acknowledging, the end of the object, of its driver, of its account, and a line that is
// minted again.
#include "harness.h"

#include "interrupt.h"

constexpr uint32_t LINE = 10;

static struct actor *driver, *other, *third;
static uint64_t interrupt, machine;

static void a_driver(unsigned cpus, enum abi_trigger trigger)
{
    begin_world(cpus);
    uint64_t account = new_account(300, 150);
    other = spawn_on(0, account, 10);
    driver = spawn_on(1, account, 10);
    third = cpus > 2 ? spawn_thread_on(2, driver, 10) : nullptr;
    machine = grant(driver, world.boss, world.machine);
    interrupt = MUST(driver, MACHINE_INTERRUPT, machine, driver->account, LINE, trigger);
}

static void all_run(void)
{
    runs(other);
    runs(driver);
    if (third)
        runs(third);
}

static void it_is_raised(void)
{
    host_line_pulse(LINE);
    settle();
}

static const struct interrupt *its_object(void)
{
    return (const struct interrupt *)(void *)object_behind(driver, interrupt);
}

static void raise_against_wait(void)
{
    a_driver(2, TRIGGER_EDGE);
    STEP(driver, OBJECT_WAIT, interrupt, SIGNAL_INTERRUPT, ABI_DEADLINE_NEVER);
    STEP(driver, INTERRUPT_ACKNOWLEDGE, interrupt);
    all_run();
    plan_interrupt(LINE);
}
static void told_and_acknowledged(void)
{
    EXPLORE_CHECK(status_of(driver, 0) == STATUS_OK && status_of(driver, 1) == STATUS_OK);
    EXPLORE_CHECK(value_of(driver, 1, 0) == 1);
}
SCENARIO(raise_against_wait, .canary = "machine: lost IPI", .setup = raise_against_wait,
         .finish = told_and_acknowledged);

// The driver serves one, waits for the next: it comes while the first is in service, or later.
static void second_edge_in_service(void)
{
    a_driver(2, TRIGGER_EDGE);
    it_is_raised();
    STEP(driver, INTERRUPT_ACKNOWLEDGE, interrupt);
    STEP(driver, OBJECT_WAIT, interrupt, SIGNAL_INTERRUPT, ABI_DEADLINE_NEVER);
    STEP(driver, INTERRUPT_ACKNOWLEDGE, interrupt);
    STEP(driver, INTERRUPT_ACKNOWLEDGE, interrupt);
    all_run();
    plan_interrupt(LINE);
}
static void told_once_more(void)
{
    EXPLORE_CHECK(status_of(driver, 2) == STATUS_OK && status_of(driver, 3) == STATUS_BAD_STATE);
    EXPLORE_CHECK(value_of(driver, 3, 0) == 2);
}
SCENARIO(second_edge_in_service, .canary = "Q2", .setup = second_edge_in_service,
         .finish = told_once_more);

static void two_edges_against_acknowledge(void)
{
    a_driver(2, TRIGGER_EDGE);
    it_is_raised();
    STEP(driver, INTERRUPT_ACKNOWLEDGE, interrupt);
    STEP(driver, INTERRUPT_ACKNOWLEDGE, interrupt);
    all_run();
    plan_interrupt(LINE);
    plan_interrupt(LINE);
}
// Two edges before CPU 0 takes the first are one; whatever comes is counted, and told until it is
// acknowledged.
static void what_is_counted_is_told(void)
{
    const struct interrupt *object = its_object();
    uint64_t served = 1u + (status_of(driver, 1) == STATUS_OK);
    EXPLORE_CHECK(object->count >= 2 && object->count <= 3);
    EXPLORE_CHECK(served < 2 || object->count == 3 || object->object.state == INTERRUPT_IDLE);
    EXPLORE_CHECK((object->object.state != INTERRUPT_IDLE) ==
                  !!(object->object.signals & SIGNAL_INTERRUPT));
    seen(object->count * 8 + object->object.state);
}
SCENARIO(two_edges_against_acknowledge, .canary = "Q2", .setup = two_edges_against_acknowledge,
         .finish = what_is_counted_is_told);

// A level line is masked while it is in service; what comes meanwhile comes again afterwards.
static void level_against_acknowledge(void)
{
    a_driver(2, TRIGGER_LEVEL_HIGH);
    STEP(driver, OBJECT_WAIT, interrupt, SIGNAL_INTERRUPT, ABI_DEADLINE_NEVER);
    STEP(driver, INTERRUPT_ACKNOWLEDGE, interrupt);
    all_run();
    plan_interrupt(LINE);
    plan_interrupt(LINE);
}
static void masked_in_service(void)
{
    EXPLORE_CHECK(status_of(driver, 1) == STATUS_OK);
    seen(its_object()->count * 8 + its_object()->object.state);
}
SCENARIO(level_against_acknowledge, .canary = "Q1", .setup = level_against_acknowledge,
         .finish = masked_in_service);

static void raise_against_deadline(void)
{
    a_driver(2, TRIGGER_EDGE);
    EXPECT_CALL(BLOCKED, driver, OBJECT_WAIT, interrupt, SIGNAL_INTERRUPT, 1'000'000);
    runs(other);
    runs(spawn_on(1, new_account(60, 40), 8));
    plan_interrupt(LINE);
    plan_time(2'000'000);
}
static void told_or_timed_out(void)
{
    EXPLORE_CHECK(woken_with(driver) == STATUS_OK || woken_with(driver) == STATUS_TIMED_OUT);
    EXPLORE_CHECK(its_object()->object.state == INTERRUPT_PENDING);
}
SCENARIO(raise_against_deadline, .canary = "I3", .setup = raise_against_deadline,
         .finish = told_or_timed_out);

static void raise_against_cancel(void)
{
    a_driver(3, TRIGGER_EDGE);
    EXPECT_CALL(BLOCKED, driver, OBJECT_WAIT, interrupt, SIGNAL_INTERRUPT, ABI_DEADLINE_NEVER);
    STEP(third, THREAD_CANCEL, driver->own_thread);
    runs(other);
    runs(third);
    runs(spawn_on(1, new_account(60, 40), 8));
    plan_interrupt(LINE);
}
SCENARIO(raise_against_cancel, .canary = "two wakers", .setup = raise_against_cancel);

static void raise_against_kill(void)
{
    a_driver(2, TRIGGER_EDGE);
    EXPECT_CALL(BLOCKED, driver, OBJECT_WAIT, interrupt, SIGNAL_INTERRUPT, ABI_DEADLINE_NEVER);
    uint64_t thread = grant(other, driver, driver->own_thread);
    STEP(other, OBJECT_DESTROY, thread);
    runs(other);
    runs(spawn_on(1, new_account(60, 40), 8));
    plan_interrupt(LINE);
}
static void the_driver_is_dead(void)
{
    EXPLORE_CHECK(is_dead(driver));
}
SCENARIO(raise_against_kill, .canary = "machine: lost IPI", .setup = raise_against_kill,
         .finish = the_driver_is_dead);

// The line is masked and given back; who mints it next hears nothing that came before.
static void raise_against_close(void)
{
    a_driver(2, TRIGGER_EDGE);
    STEP(driver, HANDLE_CLOSE, interrupt);
    STEP(driver, THREAD_YIELD); // to its end
    STEP(driver, MACHINE_INTERRUPT, machine, driver->account, LINE, TRIGGER_EDGE);
    all_run();
    plan_interrupt(LINE);
}
static void the_line_is_new(void)
{
    EXPLORE_CHECK(status_of(driver, 2) == STATUS_OK);
    const struct interrupt *fresh =
        (const struct interrupt *)(void *)object_behind(driver, value_of(driver, 2, 0));
    EXPLORE_CHECK(fresh && fresh->count <= 1);
    seen(fresh->count);
}
SCENARIO(raise_against_close, .canary = "weak lives", .setup = raise_against_close,
         .finish = the_line_is_new, .weak_only = true);

static void raise_against_destroy_in_service(void)
{
    a_driver(3, TRIGGER_LEVEL_HIGH);
    it_is_raised();
    STEP(driver, INTERRUPT_ACKNOWLEDGE, interrupt);
    STEP(third, OBJECT_DESTROY, interrupt);
    all_run();
    plan_interrupt(LINE);
}
SCENARIO(raise_against_destroy_in_service, .canary = "O2",
         .setup = raise_against_destroy_in_service);

static void mint_against_mint(void)
{
    a_driver(3, TRIGGER_EDGE);
    STEP(driver, MACHINE_INTERRUPT, machine, driver->account, LINE + 1, TRIGGER_EDGE);
    STEP(third, MACHINE_INTERRUPT, machine, driver->account, LINE + 1, TRIGGER_EDGE);
    STEP(other, EVENT_CREATE, other->account);
    all_run();
    plan_interrupt(LINE + 1);
}
static void minted_once(void)
{
    unsigned made = (status_of(driver, 0) == STATUS_OK) + (status_of(third, 0) == STATUS_OK);
    EXPLORE_CHECK(made == 1);
}
SCENARIO(mint_against_mint, .canary = "Q taken", .setup = mint_against_mint, .finish = minted_once);

static void raise_against_account(void)
{
    a_driver(2, TRIGGER_EDGE);
    uint64_t doomed = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 10, 5);
    uint64_t payer = grant(driver, world.boss, doomed);
    uint64_t line = MUST(driver, MACHINE_INTERRUPT, machine, payer, LINE + 1, TRIGGER_EDGE);
    EXPECT_CALL(BLOCKED, driver, OBJECT_WAIT, line, SIGNAL_INTERRUPT, ABI_DEADLINE_NEVER);
    uint64_t account = grant(other, world.boss, doomed);
    STEP(other, OBJECT_DESTROY, account);
    runs(other);
    runs(spawn_on(1, new_account(60, 40), 8));
    plan_interrupt(LINE + 1);
}
static void told_or_gone(void)
{
    EXPLORE_CHECK(woken_with(driver) == STATUS_OK || woken_with(driver) == STATUS_GONE);
}
SCENARIO(raise_against_account, .canary = "I4 all", .setup = raise_against_account,
         .finish = told_or_gone);

static void raise_through_a_port(void)
{
    a_driver(3, TRIGGER_EDGE);
    uint64_t port = MUST(driver, PORT_CREATE, driver->account);
    MUST(driver, PORT_BIND, port, interrupt, 7, SIGNAL_INTERRUPT);
    STEP(driver, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    STEP(third, PORT_UNBIND, interrupt);
    STEP(third, PORT_BIND, port, interrupt, 8, SIGNAL_INTERRUPT);
    all_run();
    plan_interrupt(LINE);
}
static void told_by_one_binding(void)
{
    EXPLORE_CHECK(value_of(driver, 0, 0) == 7 || value_of(driver, 0, 0) == 8);
    EXPLORE_CHECK(value_of(driver, 0, 1) == SIGNAL_INTERRUPT);
}
SCENARIO(raise_through_a_port, .canary = "machine: lost IPI", .setup = raise_through_a_port,
         .finish = told_by_one_binding);

// Two lines at once at a controller that is told by one CPU at a time.
static void raise_against_mint(void)
{
    a_driver(2, TRIGGER_LEVEL_HIGH);
    STEP(driver, MACHINE_INTERRUPT, machine, driver->account, LINE + 1, TRIGGER_EDGE);
    all_run();
    plan_interrupt(LINE);
}
static void raised_and_minted(void)
{
    EXPLORE_CHECK(status_of(driver, 0) == STATUS_OK);
    EXPLORE_CHECK(its_object()->object.state == INTERRUPT_PENDING);
}
SCENARIO(raise_against_mint, .canary = "Q1", .setup = raise_against_mint,
         .finish = raised_and_minted);

// Messages of two tables, and registers beside them.
constexpr uint64_t TABLE = 0xd000'1000;

static void messages_minted(void)
{
    a_driver(2, TRIGGER_EDGE);
    uint64_t mint = grant(other, driver, machine);
    host_device_page(TABLE);
    host_device_page(TABLE + PAGE_SIZE);
    STEP(other, MACHINE_MESSAGE_INTERRUPT, mint, other->account, TABLE, 1, 8);
    STEP(other, MACHINE_DEVICE_MEMORY, mint, other->account, TABLE - PAGE_SIZE, PAGE_SIZE, 0);
    STEP(driver, MACHINE_MESSAGE_INTERRUPT, machine, driver->account, TABLE + PAGE_SIZE, 2, 8);
    all_run();
}
static void each_has_its_own(void)
{
    EXPLORE_CHECK(status_of(other, 0) == STATUS_OK && status_of(other, 1) == STATUS_OK);
    EXPLORE_CHECK(status_of(driver, 0) == STATUS_OK);
    const uint32_t *first = (const uint32_t *)host_device_page(TABLE) + 4;
    const uint32_t *second = (const uint32_t *)host_device_page(TABLE + PAGE_SIZE) + 8;
    EXPLORE_CHECK(first[2] != second[2] && first[3] == 0 && second[3] == 0);
}
SCENARIO(messages_minted, .canary = "D memory", .setup = messages_minted,
         .finish = each_has_its_own);

// One that is made, beside one whose table is somebody's registers: that gives its line back.
static void message_refused(void)
{
    a_driver(2, TRIGGER_EDGE);
    uint64_t mint = grant(other, driver, machine);
    host_device_page(TABLE + PAGE_SIZE);
    MUST(driver, MACHINE_DEVICE_MEMORY, machine, driver->account, TABLE, PAGE_SIZE, 0);
    STEP(other, MACHINE_MESSAGE_INTERRUPT, mint, other->account, TABLE, 1, 8);
    STEP(driver, MACHINE_MESSAGE_INTERRUPT, machine, driver->account, TABLE + PAGE_SIZE, 2, 8);
    all_run();
}
static void one_is_made(void)
{
    EXPLORE_CHECK(status_of(other, 0) == STATUS_OVERLAP && status_of(driver, 0) == STATUS_OK);
}
SCENARIO(message_refused, .canary = "Q give back", .setup = message_refused, .finish = one_is_made);

// The same entry by two at once: one of them has it.
static void one_entry_twice(void)
{
    a_driver(2, TRIGGER_EDGE);
    uint64_t mint = grant(other, driver, machine);
    host_device_page(TABLE);
    STEP(other, MACHINE_MESSAGE_INTERRUPT, mint, other->account, TABLE, 1, 8);
    STEP(driver, MACHINE_MESSAGE_INTERRUPT, machine, driver->account, TABLE, 1, 8);
    all_run();
}
static void one_has_it(void)
{
    status_t one = status_of(other, 0), two = status_of(driver, 0);
    EXPLORE_CHECK((one == STATUS_OK) != (two == STATUS_OK));
    EXPLORE_CHECK(one == STATUS_OVERLAP || two == STATUS_OVERLAP);
    const uint32_t *entry = (const uint32_t *)host_device_page(TABLE) + 4;
    EXPLORE_CHECK(entry[3] == 0);
}
SCENARIO(one_entry_twice, .canary = "D entry", .setup = one_entry_twice, .finish = one_has_it);

// Once it is free it is the next one's, whom the end of the last one does not mask.
static void entry_made_anew(void)
{
    a_driver(2, TRIGGER_EDGE);
    uint64_t mint = grant(other, driver, machine);
    host_device_page(TABLE);
    uint64_t message =
        MUST(driver, MACHINE_MESSAGE_INTERRUPT, machine, driver->account, TABLE, 1, 8);
    STEP(driver, OBJECT_DESTROY, message);
    STEP(other, MACHINE_MESSAGE_INTERRUPT, mint, other->account, TABLE, 1, 8);
    all_run();
}
static void masked_unless_it_is_made(void)
{
    status_t status = status_of(other, 0);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_OVERLAP);
    const uint32_t *entry = (const uint32_t *)host_device_page(TABLE) + 4;
    EXPLORE_CHECK(entry[3] == (status != STATUS_OK));
}
SCENARIO(entry_made_anew, .canary = "D entry", .setup = entry_made_anew,
         .finish = masked_unless_it_is_made);
