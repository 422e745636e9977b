// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Two CPUs in random order, interleaved at every beginning and end of a function of the kernel:
// waking, the inbox, handle lookup against close, teardown against use. Each order ends with
// everything settled; the whole system is checked after every few (see also O2, O3, I3, I4, S1,
// S2). SEED=n repeats a run.
#include "cpu.h"
#include "kernel_world.h"

constexpr unsigned ORDERS = 12'500; // of each test; there are eight and more
constexpr unsigned CHECK_EVERY = 25;

static struct random rng;
static struct actor *zero, *one, *zero2, *one2; // on CPU 0 and 1

static void begin(void)
{
    rng.state = test_seed();
    world_begin((struct world_options){.cpus = 2, .ram_bytes = 16 << 20});
    uint64_t account = new_account(600, 300);
    zero = spawn_on(0, account, 10);
    one = spawn_on(1, account, 10);
    zero2 = spawn_thread(zero, 12);
    one2 = spawn_thread(one, 12);
}

static unsigned orders(void)
{
    return test_amount(ORDERS, 20);
}

static void finish_order(unsigned order)
{
    if (order + 1 == orders())
        test_note("%u orders, %lu interleaving points, %lu switches of the CPU", order + 1,
                  (unsigned long)host_points, (unsigned long)host_switches);
    if (order % CHECK_EVERY == 0)
        world_check();
}

TEST(wake_against_timeout_and_cancel)
{
    begin();
    uint64_t event = MUST(zero, EVENT_CREATE, zero->account);
    uint64_t theirs = grant(one, zero, event);
    uint64_t waiter = grant(zero2, one, one->own_thread);
    unsigned seen[STATUS_COUNT] = {};
    for (unsigned i = 0; i < orders(); i++) {
        uint64_t deadline = host_ticks + 1000;
        EXPECT_CALL(BLOCKED, one, OBJECT_WAIT, theirs, 1, deadline);
        // The three reasons to wake it, from two CPUs.
        PLAN(zero, EVENT_SIGNAL, event, 1);
        if (random_below(&rng, 2))
            PLAN(zero2, THREAD_CANCEL, waiter);
        if (random_below(&rng, 2))
            host_ticks = deadline;
        run_planned(&rng);
        EXPECT(has_ended(one));
        seen[one->out.status]++;
        EXPECT(one->out.status == STATUS_OK || one->out.status == STATUS_TIMED_OUT ||
               one->out.status == STATUS_CANCELLED);
        MUST(zero, EVENT_CLEAR, event, 1);
        finish_order(i);
    }
    EXPECT(seen[STATUS_OK] && seen[STATUS_TIMED_OUT] && seen[STATUS_CANCELLED]);
    world_end();
}

TEST(wake_against_the_beginning_of_the_wait)
{
    begin();
    uint64_t event = MUST(zero, EVENT_CREATE, zero->account);
    uint64_t theirs = grant(one, zero, event);
    for (unsigned i = 0; i < orders(); i++) {
        PLAN(one, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
        PLAN(zero, EVENT_SIGNAL, event, 1);
        run_planned(&rng);
        EXPECT_STATUS(ended(one).status, OK);
        MUST(zero, EVENT_CLEAR, event, 1);
        finish_order(i);
    }
    world_end();
}

TEST(the_inboxes_of_both)
{
    begin();
    uint64_t event0 = MUST(zero, EVENT_CREATE, zero->account);
    uint64_t event1 = grant(one, zero, event0);
    for (unsigned i = 0; i < orders(); i++) {
        EXPECT_CALL(BLOCKED, zero2, OBJECT_WAIT, event0, 2, ABI_DEADLINE_NEVER);
        EXPECT_CALL(BLOCKED, one2, OBJECT_WAIT, event1, 1, ABI_DEADLINE_NEVER);
        PLAN(zero, EVENT_SIGNAL, event0, 1);
        PLAN(one, EVENT_SIGNAL, event1, 2);
        run_planned(&rng);
        EXPECT_STATUS(ended(zero2).status, OK);
        EXPECT_STATUS(ended(one2).status, OK);
        MUST(zero, EVENT_CLEAR, event0, 3);
        finish_order(i);
    }
    world_end();
}

TEST(lookup_against_close)
{
    begin();
    // Two threads of one process, one on each CPU.
    struct actor *other = spawn_thread_on(1, zero, 10);
    unsigned seen[STATUS_COUNT] = {};
    for (unsigned i = 0; i < orders(); i++) {
        uint64_t event = MUST(zero, EVENT_CREATE, zero->account);
        bool again = random_below(&rng, 2);
        PLAN(zero, HANDLE_CLOSE, event);
        PLAN(other, EVENT_SIGNAL, event, 1);
        if (again)
            PLAN(zero2, EVENT_CREATE, zero2->account);
        run_planned(&rng);
        EXPECT_STATUS(zero->out.status, OK);
        seen[other->out.status]++;
        EXPECT(other->out.status == STATUS_OK || other->out.status == STATUS_GONE ||
               other->out.status == STATUS_BAD_HANDLE);
        if (again) { // the new one may be in the same slot of the object table: it is untouched
            EXPECT_STATUS(zero2->out.status, OK);
            EXPECT_EQUAL(MUST(zero, EVENT_CLEAR, zero2->out.value[0], 1), 0);
            MUST(zero, HANDLE_CLOSE, zero2->out.value[0]);
        }
        finish_order(i);
    }
    EXPECT(seen[STATUS_OK] && seen[STATUS_BAD_HANDLE]);
    world_end();
}

TEST(call_against_the_end_of_the_server)
{
    begin();
    unsigned seen[STATUS_COUNT] = {};
    for (unsigned i = 0; i < orders(); i++) {
        struct ends ends = new_channel(zero, 2, 64, 1, 2);
        uint64_t end = grant(one, zero, ends.end1);
        MUST(zero, HANDLE_CLOSE, ends.end1);
        uint64_t gift = MUST(one, EVENT_CREATE, one->account);
        set_handles(one, 1, &gift);
        PLAN(one, CHANNEL_CALL, end, MSG(8, 1), ABI_DEADLINE_NEVER);
        bool takes = random_below(&rng, 2);
        if (takes)
            PLAN(zero2, CHANNEL_RECEIVE, ends.end0, ABI_DEADLINE_NEVER);
        PLAN(zero, OBJECT_DESTROY, ends.end0);
        run_planned(&rng);
        EXPECT_STATUS(ended(one).status, PEER_CLOSED);
        EXPECT(has_ended(zero2));
        bool moved = takes && zero2->out.status == STATUS_OK;
        seen[takes ? zero2->out.status : STATUS_OK]++;
        EXPECT_EQUAL(CALL(one, HANDLE_CLOSE, gift).status, moved ? STATUS_BAD_HANDLE : STATUS_OK);
        if (moved)
            MUST(zero, HANDLE_CLOSE, handle_of(zero2, 0));
        MUST(zero, HANDLE_CLOSE, ends.end0);
        MUST(one, HANDLE_CLOSE, end);
        finish_order(i);
    }
    EXPECT(seen[STATUS_OK] && seen[STATUS_GONE]);
    world_end();
}

TEST(reply_against_timeout_and_death)
{
    begin();
    struct ends ends = new_channel(zero, 2, 64, 1, 2);
    uint64_t end = grant(one, zero, ends.end1);
    unsigned seen[STATUS_COUNT] = {};
    for (unsigned i = 0; i < orders(); i++) {
        uint64_t deadline = host_ticks + 1000;
        EXPECT_CALL(BLOCKED, one, CHANNEL_CALL, end, MSG(8, 0), deadline);
        uint64_t token = CALL(zero, CHANNEL_RECEIVE, ends.end0, 0).value[1];
        PLAN(zero, CHANNEL_REPLY, ends.end0, token, MSG(0, 0));
        host_ticks = deadline;
        run_planned(&rng);
        seen[zero->out.status]++;
        EXPECT_EQUAL(ended(one).status,
                     zero->out.status == STATUS_OK ? STATUS_OK : STATUS_TIMED_OUT);
        EXPECT(zero->out.status == STATUS_OK || zero->out.status == STATUS_CANCELLED);
        // Refused while the caller was leaving: the token is spent by the answer after that.
        if (zero->out.status == STATUS_CANCELLED)
            (void)CALL(zero, CHANNEL_REPLY, ends.end0, token, MSG(0, 0));
        finish_order(i);
    }
    EXPECT(seen[STATUS_OK] && seen[STATUS_CANCELLED]);
    world_end();
}

TEST(messages_against_a_port)
{
    begin();
    uint64_t port = MUST(zero, PORT_CREATE, zero->account);
    struct ends ends = new_channel(zero, 4, 64, 1, 2);
    uint64_t end = grant(one, zero, ends.end1);
    MUST(zero, PORT_BIND, port, ends.end0, 7, SIGNAL_READABLE);
    uint64_t sent = 0, received = 0;
    for (unsigned i = 0; i < orders(); i++) {
        for (unsigned n = 0; n < 2; n++) {
            struct actor *sender = n ? one2 : one;
            memcpy(sender->thread->message->data, &sent, sizeof sent);
            PLAN(sender, CHANNEL_SEND, end, MSG(8, 0));
        }
        PLAN(zero, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
        PLAN(zero2, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
        run_planned(&rng);
        sent += 2;
        EXPECT_EQUAL(ended(zero).value[2], MSG(8, 0));
        EXPECT_EQUAL(ended(zero2).value[2], MSG(8, 0));
        received += 2;
        EXPECT_CALL(TIMED_OUT, zero, PORT_RECEIVE, port, 0);
        finish_order(i);
    }
    EXPECT_EQUAL(sent, received);
    world_end();
}

// What a program does with what is being taken from it, on the other CPU.
static void plan_some_use(struct actor *user, uint64_t account, uint64_t end, uint64_t vmo,
                          uint64_t event, uint64_t port)
{
    switch (random_below(&rng, 10)) {
    case 0:
        PLAN(user, EVENT_CREATE, account);
        break;
    case 1:
        PLAN(user, CHANNEL_SEND, end, MSG(8, 0));
        break;
    case 2:
        PLAN(user, CHANNEL_CALL, end, MSG(8, 0), ABI_DEADLINE_NEVER);
        break;
    case 3:
        PLAN(user, VM_MAP, user->own_aspace, vmo, 0, 0x5000'0000, 4 * PAGE_SIZE, PROT_READ);
        break;
    case 4:
        PLAN(user, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
        break;
    case 5:
        PLAN(user, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
        break;
    case 6:
        PLAN(user, PORT_BIND, port, event, 1, 1);
        break;
    case 7:
        PLAN(user, VMO_CREATE, account, 40 * PAGE_SIZE, 0);
        break;
    case 8:
        PLAN(user, OBJECT_INSPECT, account);
        break;
    default:
        PLAN(user, ACCOUNT_CREATE, account, 10, 10);
        break;
    }
}

TEST(teardown_against_use)
{
    begin();
    for (unsigned i = 0; i < orders(); i++) {
        uint64_t account = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 200, 100);
        uint64_t here = grant(zero, world.boss, account);
        uint64_t there = grant(one, world.boss, account);
        struct outcome ends =
            CALL(zero, CHANNEL_CREATE, here, here, ABI_CHANNEL_SHAPE(4, 64, 1, 2), OVERFLOW_REJECT);
        uint64_t vmo = MUST(zero, VMO_CREATE, here, 8 * PAGE_SIZE, 0);
        uint64_t event = MUST(zero, EVENT_CREATE, here);
        uint64_t port = MUST(zero, PORT_CREATE, here);
        uint64_t mine[] = {ends.value[0], ends.value[1], vmo, event, port, here};
        uint64_t theirs[] = {grant(one, zero, ends.value[0]), grant(one, zero, vmo),
                             grant(one, zero, event), grant(one, zero, port), there};
        plan_some_use(one, there, theirs[0], theirs[1], theirs[2], theirs[3]);
        PLAN(zero, OBJECT_DESTROY, here);
        run_planned(&rng);
        EXPECT_STATUS(zero->out.status, OK);
        EXPECT(has_ended(one));
        MUST(zero, OBJECT_WAIT, here, SIGNAL_TERMINATED, 0);
        (void)CALL(one, VM_UNMAP, one->own_aspace, 0x5000'0000);
        for (unsigned n = 0; n < ARRAY_SIZE(mine); n++)
            MUST(zero, HANDLE_CLOSE, mine[n]);
        for (unsigned n = 0; n < ARRAY_SIZE(theirs); n++)
            MUST(one, HANDLE_CLOSE, theirs[n]);
        if (one->number == SYSCALL_EVENT_CREATE || one->number == SYSCALL_VMO_CREATE ||
            one->number == SYSCALL_ACCOUNT_CREATE)
            if (one->out.status == STATUS_OK)
                MUST(one, HANDLE_CLOSE, one->out.value[0]);
        MUST(world.boss, HANDLE_CLOSE, account);
        finish_order(i);
    }
    world_end();
}

TEST(map_against_unmap)
{
    begin();
    struct actor *other = spawn_thread_on(1, zero, 10);
    uint64_t vmo = MUST(zero, VMO_CREATE, zero->account, 70 * PAGE_SIZE, 0);
    for (unsigned i = 0; i < orders() / 2; i++) {
        uint64_t pages = random_below(&rng, 2) ? 2 : 70;
        PLAN(zero, VM_MAP, zero->own_aspace, vmo, 0, 0x5000'0000, pages * PAGE_SIZE, PROT_READ);
        PLAN(other, VM_UNMAP, zero->own_aspace, 0x5000'0000);
        run_planned(&rng);
        EXPECT(has_ended(zero) && has_ended(other));
        EXPECT(zero->out.status == STATUS_OK || zero->out.status == STATUS_GONE);
        EXPECT(other->out.status == STATUS_OK || other->out.status == STATUS_NOT_FOUND);
        if (other->out.status != STATUS_OK)
            MUST(zero, VM_UNMAP, zero->own_aspace, 0x5000'0000);
        finish_order(i);
    }
    world_end();
}

TEST(destroy_against_destroy)
{
    begin();
    for (unsigned i = 0; i < orders() / 2; i++) {
        uint64_t vmo = MUST(zero, VMO_CREATE, zero->account, 3 * PAGE_SIZE, 0);
        uint64_t theirs = grant(one, zero, vmo);
        PLAN(zero, OBJECT_DESTROY, vmo);
        PLAN(zero2, EVENT_CREATE, zero2->account); // maybe in the same slot
        PLAN(one, OBJECT_DESTROY, theirs);
        run_planned(&rng);
        EXPECT((zero->out.status == STATUS_OK) + (one->out.status == STATUS_OK) == 1);
        MUST(zero, HANDLE_CLOSE, vmo);
        MUST(zero, HANDLE_CLOSE, zero2->out.value[0]);
        MUST(one, HANDLE_CLOSE, theirs);
        finish_order(i);
    }
    world_end();
}

TEST(a_process_ends_under_its_threads)
{
    begin();
    for (unsigned i = 0; i < orders() / 4; i++) {
        uint64_t account = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 100, 50);
        struct actor *here = spawn_on(0, account, 10);
        struct actor *there = spawn_thread_on(1, here, 10);
        uint64_t event = MUST(here, EVENT_CREATE, here->account);
        if (random_below(&rng, 2))
            PLAN(there, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
        else
            PLAN(there, THREAD_YIELD);
        if (random_below(&rng, 2))
            PLAN(here, PROCESS_EXIT, 0);
        else
            PLAN(zero, OBJECT_DESTROY, grant(zero, world.boss, account));
        run_planned(&rng);
        EXPECT(is_dead(here) && is_dead(there));
        finish_order(i);
        world_end(); // closes and forgets
        // The four of this test went, too.
        account = new_account(600, 300);
        zero = spawn_on(0, account, 10);
        one = spawn_on(1, account, 10);
    }
    world_end();
}
