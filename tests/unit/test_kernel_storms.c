// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Interrupts that come too often: put aside, told to who minted them, and let in again.
#include <entry/entry.h>

#include "cpu.h"
#include "interrupt.h"
#include "kernel_world.h"

static struct actor *a;
static uint64_t account, machine;

constexpr uint64_t PER_SECOND = 1000, BURST = 8, TOKEN_NS = 1'000'000'000 / PER_SECOND;

static void begin(void)
{
    world_begin((struct world_options){});
    account = new_account(600, 300);
    a = spawn(account, 10);
    machine = grant(a, world.boss, world.machine);
}

static struct abi_inspect inspect(uint64_t interrupt)
{
    MUST(a, OBJECT_INSPECT, interrupt);
    return *(const struct abi_inspect *)(const void *)text_of(a);
}

static uint64_t mint(uint32_t line, enum abi_trigger trigger)
{
    uint64_t interrupt = MUST(a, MACHINE_INTERRUPT, machine, a->account, line, trigger);
    MUST(a, INTERRUPT_LIMIT, interrupt, PER_SECOND, BURST);
    return interrupt;
}

// Raises and acknowledges as often as it goes, up to `times`; how often it was taken.
static unsigned pulse(uint64_t interrupt, uint32_t line, unsigned times)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < times && !host_lines[line].masked; i++, taken++) {
        host_line_pulse(line);
        settle();
        MUST(a, INTERRUPT_ACKNOWLEDGE, interrupt);
    }
    return taken;
}

// ---- the bucket

// In no span of time does it let through more than its burst and what comes in meanwhile; and what
// comes more slowly than its rate is never refused.
TEST(a_bucket_lets_through_its_rate)
{
    constexpr unsigned TAKES = 4000;
    static uint64_t at[TAKES];
    uint64_t random = 88172645463325252u;
    for (unsigned round = 0; round < 20; round++) {
        uint64_t burst = 1 + round * 7, per_second = 1 + round * round * 3001;
        struct bucket bucket;
        bucket_fill(&bucket, per_second, burst);
        uint64_t token_ns = 1'000'000'000 / per_second, now = 0;
        unsigned taken = 0, refused = 0;
        for (unsigned i = 0; i < TAKES; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            now += random % (token_ns + token_ns / 4 + 1);
            if (bucket_take(&bucket, now))
                at[taken++] = now;
            else
                refused++;
        }
        EXPECT(refused > 0 && taken > TAKES / 3);
        for (unsigned i = 0; i + burst < taken; i++)
            for (unsigned j = i + (unsigned)burst; j < taken; j += 1 + j / 16)
                EXPECT((j - i + 1 - burst) * token_ns <= at[j] - at[i]);
        bucket_fill(&bucket, per_second, burst);
        for (unsigned i = 0; i < TAKES; i++)
            EXPECT(bucket_take(&bucket, i * token_ns));
    }
}

TEST(a_bucket_that_is_empty_is_half_full_in_half_the_time)
{
    struct bucket bucket;
    bucket_fill(&bucket, PER_SECOND, BURST);
    unsigned taken = 0;
    while (bucket_take(&bucket, 5000))
        taken++;
    EXPECT_EQUAL(taken, BURST);
    uint64_t half = bucket_half_ns(&bucket);
    EXPECT_EQUAL(half, 5000 + BURST / 2 * TOKEN_NS);
    taken = 0;
    while (bucket_take(&bucket, half))
        taken++;
    EXPECT_EQUAL(taken, BURST / 2);
}

// ---- interrupts

TEST(how_often_is_asked_for_in_range)
{
    begin();
    uint64_t interrupt = mint(10, TRIGGER_EDGE);
    EXPECT_CALL(INVALID, a, INTERRUPT_LIMIT, interrupt, 0, 1);
    EXPECT_CALL(INVALID, a, INTERRUPT_LIMIT, interrupt, 1, 0);
    EXPECT_CALL(INVALID, a, INTERRUPT_LIMIT, interrupt, STORM_PER_SECOND_MAX + 1, 1);
    EXPECT_CALL(INVALID, a, INTERRUPT_LIMIT, interrupt, 1, STORM_BURST_MAX + 1);
    EXPECT_CALL(OK, a, INTERRUPT_LIMIT, interrupt, STORM_PER_SECOND_MAX, STORM_BURST_MAX);
    EXPECT_CALL(OK, a, INTERRUPT_LIMIT, interrupt, 1, 1);
    EXPECT_EQUAL(pulse(interrupt, 10, 9), 2); // the second is one too many
    uint64_t weak = MUST(a, HANDLE_DUPLICATE, interrupt, RIGHTS_INTERRUPT & ~RIGHT_MANAGE);
    EXPECT_CALL(NO_RIGHT, a, INTERRUPT_LIMIT, weak, 1, 1);
    // Each is of its own.
    uint64_t other = mint(11, TRIGGER_EDGE);
    EXPECT_EQUAL(pulse(other, 11, 5), 5);
    world_end();
}

// In each state, as the table of calls wants it.
TEST(how_often_is_said_at_any_time)
{
    begin();
    uint64_t interrupt = mint(10, TRIGGER_EDGE);
    for (unsigned raised = 0; raised < 3; raised++) {
        EXPECT_CALL(OK, a, INTERRUPT_LIMIT, interrupt, 100, 100);
        host_line_pulse(10);
        settle();
    }
    world_end();
}

TEST(an_interrupt_that_nobody_limited_has_a_limit)
{
    begin();
    uint64_t interrupt = MUST(a, MACHINE_INTERRUPT, machine, a->account, 10, TRIGGER_EDGE);
    EXPECT_EQUAL(pulse(interrupt, 10, 10 * STORM_BURST), STORM_BURST + 1);
    EXPECT_EQUAL(inspect(interrupt).interrupt.storms, 1);
    world_end();
}

// OBJ-41
TEST(an_edge_that_comes_too_often_is_put_aside)
{
    begin();
    uint64_t interrupt = mint(10, TRIGGER_EDGE);
    uint64_t port = MUST(a, PORT_CREATE, a->account);
    MUST(a, PORT_BIND, port, machine, 7, SIGNAL_STORM);
    EXPECT_EQUAL(pulse(interrupt, 10, BURST), BURST);
    EXPECT_CALL(TIMED_OUT, a, PORT_RECEIVE, port, 0);
    EXPECT_EQUAL(inspect(interrupt).interrupt.storms, 0);
    // The one that is too many is told, and the last for now.
    EXPECT_EQUAL(pulse(interrupt, 10, 10), 1);
    EXPECT(host_lines[10].masked);
    struct outcome told = CALL(a, PORT_RECEIVE, port, 0);
    EXPECT_STATUS(told.status, OK);
    EXPECT_EQUAL(told.value[0], 7);
    EXPECT_EQUAL(told.value[1], SIGNAL_STORM);
    struct abi_inspect what = inspect(interrupt);
    EXPECT(what.interrupt.storms == 1 && what.interrupt.aside == 1 && what.interrupt.masked == 1);
    EXPECT_EQUAL(what.interrupt.count, BURST + 1);
    // Those that come meanwhile wait.
    uint64_t claimed = host_lines[10].claimed;
    host_line_pulse(10);
    advance(BURST / 2 * TOKEN_NS - 1);
    EXPECT(host_lines[10].masked && host_lines[10].claimed == claimed);
    world_check();
    advance(1);
    settle();
    EXPECT(!host_lines[10].masked);
    EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, interrupt), BURST + 2);
    what = inspect(interrupt);
    EXPECT(what.interrupt.storms == 1 && what.interrupt.aside == 0 && what.interrupt.masked == 0);
    // Half of a burst was together, and it is told of the next storm, too.
    EXPECT_EQUAL(pulse(interrupt, 10, 100), BURST / 2);
    EXPECT_STATUS(CALL(a, PORT_RECEIVE, port, 0).status, OK);
    EXPECT_EQUAL(inspect(interrupt).interrupt.storms, 2);
    world_end();
}

// OBJ-42
TEST(a_level_that_nobody_quiets_is_put_aside)
{
    begin();
    uint64_t interrupt = mint(11, TRIGGER_LEVEL_HIGH);
    host_line_level(11, true);
    settle();
    // A driver that acknowledges and does nothing about the cause.
    for (unsigned i = 0; i <= BURST; i++) {
        EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, interrupt), i + 1);
        settle();
    }
    EXPECT(host_lines[11].masked);
    EXPECT_CALL(BAD_STATE, a, INTERRUPT_ACKNOWLEDGE, interrupt);
    EXPECT_EQUAL(inspect(interrupt).interrupt.aside, 1);
    advance(BURST / 2 * TOKEN_NS);
    settle();
    // Raised again, as the line is still up; from now on as before.
    EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, interrupt), BURST + 2);
    host_line_level(11, false);
    settle();
    while (CALL(a, INTERRUPT_ACKNOWLEDGE, interrupt).status == STATUS_OK) {}
    EXPECT(!host_lines[11].masked);
    world_end();
}

// It is let in when its time has come, and the driver has not acknowledged yet: then that unmasks.
TEST(a_level_that_is_pending_when_its_time_has_come)
{
    begin();
    uint64_t interrupt = mint(11, TRIGGER_LEVEL_HIGH);
    host_line_level(11, true);
    settle();
    for (unsigned i = 0; i < BURST; i++) {
        MUST(a, INTERRUPT_ACKNOWLEDGE, interrupt);
        settle();
    }
    EXPECT_EQUAL(inspect(interrupt).interrupt.aside, 1);
    host_line_level(11, false);
    advance(BURST * TOKEN_NS);
    settle();
    EXPECT_EQUAL(inspect(interrupt).interrupt.aside, 0);
    EXPECT(host_lines[11].masked);
    MUST(a, INTERRUPT_ACKNOWLEDGE, interrupt);
    EXPECT(!host_lines[11].masked);
    world_end();
}

// OBJ-41
TEST(a_message_that_comes_too_often_is_kept_in_its_device)
{
    begin();
    uint64_t message = MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, a->account, 0xd000'1000, 2, 8);
    MUST(a, INTERRUPT_LIMIT, message, PER_SECOND, BURST);
    const uint32_t *entry = (const uint32_t *)host_device_page(0xd000'1000) + 8;
    uint32_t line = entry[2];
    for (unsigned i = 0; i <= BURST; i++) {
        EXPECT_EQUAL(entry[3], 0);
        host_line_pulse(line);
        settle();
        MUST(a, INTERRUPT_ACKNOWLEDGE, message);
    }
    EXPECT_EQUAL(entry[3], 1);
    // One that was on its way already is told, and begins no other storm.
    host_line_pulse(line);
    settle();
    EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, message), BURST + 2);
    EXPECT_EQUAL(inspect(message).interrupt.storms, 1);
    advance(BURST / 2 * TOKEN_NS);
    settle();
    EXPECT_EQUAL(entry[3], 0);
    world_end();
}

// OBJ-41 OBJ-42
TEST(a_device_that_cannot_keep_its_message_is_heard_afterwards)
{
    begin();
    constexpr uint64_t CAPABILITY = 0xd000'3040;
    constexpr uint32_t OFF = 0x0080'0005, ON = OFF | 1u << 16;
    uint32_t *words = (uint32_t *)(void *)((uint8_t *)host_device_page(0xd000'3000) + 0x40);
    words[0] = OFF;
    uint64_t message =
        MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, a->account, CAPABILITY, ABI_VECTOR_MSI, 8);
    MUST(a, INTERRUPT_LIMIT, message, PER_SECOND, BURST);
    for (unsigned i = 0; i <= BURST; i++) {
        EXPECT_EQUAL(words[0], ON);
        host_line_pulse(words[3]);
        settle();
        MUST(a, INTERRUPT_ACKNOWLEDGE, message);
    }
    EXPECT_EQUAL(words[0], OFF);
    EXPECT_EQUAL(inspect(message).interrupt.aside, 1);
    EXPECT_CALL(BAD_STATE, a, INTERRUPT_ACKNOWLEDGE, message);
    // What the device had to say meanwhile is lost, so that it is told that it may have said something.
    advance(BURST / 2 * TOKEN_NS);
    settle();
    EXPECT_EQUAL(words[0], ON);
    EXPECT_EQUAL(MUST(a, INTERRUPT_ACKNOWLEDGE, message), BURST + 2);
    EXPECT_CALL(BAD_STATE, a, INTERRUPT_ACKNOWLEDGE, message);
    world_end();
}

TEST(an_interrupt_ends_while_it_is_put_aside)
{
    begin();
    uint64_t interrupt = mint(10, TRIGGER_EDGE);
    EXPECT_EQUAL(pulse(interrupt, 10, 100), BURST + 1);
    EXPECT(tree_first(&cpus[0]->timers));
    MUST(a, HANDLE_CLOSE, interrupt);
    settle();
    EXPECT(!tree_first(&cpus[0]->timers));
    // The next owner of the line begins with a burst of his own, and no deadline of the other's is left.
    interrupt = mint(10, TRIGGER_EDGE);
    EXPECT_EQUAL(pulse(interrupt, 10, BURST - 1), BURST - 1);
    advance(BURST * TOKEN_NS);
    settle();
    EXPECT_EQUAL(pulse(interrupt, 10, 100), BURST + 1);
    world_end();
}

// The machine is destroyed by nobody while it is used, but the handles of those who listen come and go.
TEST(nobody_needs_to_listen)
{
    begin();
    uint64_t interrupt = mint(10, TRIGGER_EDGE);
    MUST(a, HANDLE_CLOSE, machine);
    EXPECT_EQUAL(pulse(interrupt, 10, 100), BURST + 1);
    world_end();
}
