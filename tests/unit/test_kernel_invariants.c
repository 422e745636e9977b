// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// The checks are checked: each invariant of kernel/invariants.def is evaluated by a tour through
// the kernel, and each has a bug planted in the kernel's source (SEEDED_BUG) that a check must
// report under that invariant's name. Prints the table; what is missing in it is a failure.
#include "check.h"
#include "kernel_world.h"
#include "port.h"

// ---- the tour

static struct actor *a, *b, *c;

static void tour_handles_and_messages(void)
{
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    uint64_t weak = MUST(a, HANDLE_DUPLICATE, event, RIGHT_DUPLICATE | RIGHT_INSPECT);
    (void)CALL(a, HANDLE_DUPLICATE, weak, RIGHTS_EVENT);
    struct ends ends = new_channel(a, 3, 64, 2, 2);
    uint64_t end = grant(c, a, ends.end1);
    for (uint64_t i = 0; i < 5; i++) {
        memcpy(a->thread->message->data, &i, sizeof i);
        (void)CALL(a, CHANNEL_SEND, ends.end0, MSG(8, 0));
    }
    world_check();
    for (uint64_t i = 0; i < 3; i++) {
        MUST(c, CHANNEL_RECEIVE, end, 0);
        uint64_t got;
        memcpy(&got, c->thread->message->data, sizeof got);
        CHECK(I2, got == i);
    }
    uint64_t sent = MUST(a, EVENT_CREATE, a->account);
    set_handles(a, 1, &sent);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(0, 1));
    world_check();
    MUST(c, CHANNEL_RECEIVE, end, 0);
    world_check();
    MUST(a, OBJECT_DESTROY, event);
    MUST(a, HANDLE_CLOSE, weak);
    world_check();
    EXPECT_CALL(BLOCKED, c, CHANNEL_RECEIVE, end, ABI_DEADLINE_NEVER);
    MUST(a, HANDLE_CLOSE, ends.end0);
    world_check();
}

static void tour_calls(void)
{
    struct ends ends = new_channel(a, 3, 64, 2, 2);
    EXPECT_CALL(BLOCKED, b, CHANNEL_CALL, ends.end1, MSG(8, 0), ABI_DEADLINE_NEVER);
    uint64_t token = CALL(a, CHANNEL_RECEIVE, ends.end0, 0).value[1];
    MUST(a, CHANNEL_REPLY, ends.end0, token, MSG(0, 0));
    EXPECT_CALL(BLOCKED, b, CHANNEL_CALL, ends.end1, MSG(8, 0), ABI_DEADLINE_NEVER);
    (void)CALL(a, CHANNEL_RECEIVE, ends.end0, 0);
    CHECK(I5, CALL(a, CHANNEL_REPLY, ends.end0, token, MSG(0, 0)).status == STATUS_NOT_FOUND);
    MUST(a, OBJECT_DESTROY, ends.end0);
    world_check();
}

static void touch(struct actor *actor, uint64_t address)
{
    paddr_t physical;
    hold(actor);
    (void)host_access(actor->cpu, address, HOST_LOAD, &physical);
    settle();
}

static void tour_memory(void)
{
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 30 * PAGE_SIZE, 0);
    uint64_t theirs = grant(c, a, vmo);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, 0x4000'0000, 30 * PAGE_SIZE, PROT_READ);
    (void)CALL(a, VM_MAP, a->own_aspace, vmo, 0, 0x6000'0000, PAGE_SIZE,
               PROT_READ | PROT_WRITE | PROT_EXECUTE);
    MUST(c, VM_MAP, c->own_aspace, theirs, 0, 0x5000'0000, 2 * PAGE_SIZE, PROT_READ);
    world_check();
    touch(a, 0x4000'3000);
    MUST(a, VM_UNMAP, a->own_aspace, 0x4000'0000);
    world_check();
    MUST(a, HANDLE_CLOSE, vmo);
    MUST(c, VM_UNMAP, c->own_aspace, 0x5000'0000);
    MUST(c, HANDLE_CLOSE, theirs);
    vmo = MUST(a, VMO_CREATE, a->account, 30 * PAGE_SIZE, 0);
    uint64_t weak = MUST(a, HANDLE_DUPLICATE, vmo, RIGHT_DUPLICATE | RIGHT_READ);
    (void)CALL(a, VMO_SLICE, a->account, weak, 0, PAGE_SIZE, RIGHTS_VMO);
    (void)CALL(a, VMO_SLICE, a->account, vmo, 29 * PAGE_SIZE, 2 * PAGE_SIZE, RIGHT_READ);
    world_check();
    MUST(a, VMO_SLICE, a->account, vmo, 0, PAGE_SIZE, RIGHT_READ);
    MUST(a, OBJECT_DESTROY, vmo);
    world_check();
    vmo = MUST(a, VMO_CREATE, a->account, 30 * PAGE_SIZE, 0);
    (void)CALL(a, VMO_CREATE, a->account, 5000 * PAGE_SIZE, 0); // more than it may have
    world_check();
}

static void tour_devices(void)
{
    uint64_t machine = grant(a, world.boss, world.machine);
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 7);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 2 * PAGE_SIZE, 0);
    uint64_t pin = MUST(a, PIN_CREATE, space, a->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
    MUST(a, PIN_ADDRESSES, pin, 0);
    ghost_add(7, (paddr_t){*(const uint64_t *)(const void *)text_of(a)});
    MUST(a, HANDLE_CLOSE, vmo);
    world_check();
    MUST(a, HANDLE_CLOSE, pin);
    world_check();
    uint64_t level = MUST(a, MACHINE_INTERRUPT, machine, a->account, 9, TRIGGER_LEVEL_HIGH);
    host_line_level(9, true);
    settle();
    host_line_level(9, false);
    world_check();
    MUST(a, INTERRUPT_ACKNOWLEDGE, level);
    MUST(a, INTERRUPT_LIMIT, level, 1000, 1);
    for (unsigned i = 0; i < 2; i++) {
        host_line_level(9, true);
        settle();
        host_line_level(9, false);
        MUST(a, INTERRUPT_ACKNOWLEDGE, level);
    }
    world_check();
}

static void tour_time(void)
{
    for (unsigned i = 0; i < 40; i++) {
        advance(400'000'000);
        MUST(a, CLOCK_READ);
    }
    EXPECT_CALL(BLOCKED, b, THREAD_SLEEP, host_ticks + 1000);
    uint64_t timer = MUST(a, TIMER_CREATE, a->account);
    MUST(a, TIMER_SET, timer, host_ticks + 2000);
    advance(1000);
    world_check();
    MUST(a, TIMER_SET, timer, host_ticks + 2000);
    MUST(a, TIMER_CANCEL, timer);
    advance(5000);
    CHECK(T2, CALL(a, OBJECT_WAIT, timer, SIGNAL_FIRED, 0).status == STATUS_TIMED_OUT);
}

static void tour_threads(void)
{
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(a);
    (void)HELD(a, EVENT_SIGNAL, event, 1);
    world_check();
    settle();
    world_check();
    MUST(a, EVENT_CLEAR, event, 1);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, host_ticks + 100);
    advance(200);
    world_check();
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, host_ticks + 100);
    advance(200);
}

static void tour_budgets(void)
{
    uint64_t outer = new_account(200, 100);
    uint64_t inner = MUST(world.boss, ACCOUNT_CREATE, outer, 100, 50);
    struct actor *limited = spawn(inner, 8);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, outer, 0, 5'000'000, 10'000'000);
    (void)CALL(world.boss, ACCOUNT_BUDGET, outer, inner, 0, 6'000'000, 10'000'000);
    EXPECT_CALL(OK, world.boss, ACCOUNT_BUDGET, outer, inner, 0, 1'000'000, 10'000'000);
    MUST(world.boss, THREAD_CANCEL, limited->thread_handle);
    world_check();
    advance(10'000'000);
    EXPECT(limited->parked);
}

static void tour_cpus(void)
{
    world_begin((struct world_options){.cpus = 2});
    a = spawn_on(0, new_account(200, 100), 10);
    b = spawn_thread_on(1, a, 10);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    MUST(a, EVENT_SIGNAL, event, 1);
    CHECK(S2, has_ended(b));
    world_end();
}

static void tour_fpu(void)
{
    a->uses_fpu = true;
    MUST(a, CLOCK_READ);
    MUST(c, CLOCK_READ);
    a->uses_fpu = false;
}

// Of a pair of pages one is the child's.
static void tour_blocks(void)
{
    uint64_t vmo = MUST(world.boss, VMO_CREATE, world.root_account, PAGE_SIZE, VMO_CONTIGUOUS);
    uint64_t child = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 10, 10, 1);
    MUST(world.boss, HANDLE_CLOSE, vmo);
    MUST(world.boss, OBJECT_DESTROY, child);
    world_check();
    // A large page where a small one was.
    struct actor *d = spawn(MUST(world.boss, ACCOUNT_CREATE, world.root_account, 60, 40, 512), 10);
    uint64_t large = MUST(d, VMO_CREATE, d->account, LARGE_BYTES, VMO_CONTIGUOUS);
    for (uint64_t bytes = PAGE_SIZE; bytes <= LARGE_BYTES; bytes += LARGE_BYTES - PAGE_SIZE) {
        MUST(d, VM_MAP, d->own_aspace, large, 0, 8 * LARGE_BYTES, bytes, PROT_READ);
        world_check();
        MUST(d, VM_UNMAP, d->own_aspace, 8 * LARGE_BYTES);
    }
}

static void tour(void)
{
    world_begin((struct world_options){.contiguous_bytes = 4 << 20});
    a = spawn(new_account(200, 100), 10);
    b = spawn_thread(a, 12);
    c = spawn(new_account(100, 60), 9);
    tour_threads();
    tour_time();
    tour_handles_and_messages();
    tour_calls();
    tour_memory();
    tour_devices();
    tour_fpu();
    tour_blocks();
    tour_budgets();
    world_end_after_quarantine(7);
    tour_cpus();
}

// ---- the table

static const struct seed {
    const char *invariant, *bug, *what;
} seeds[] = {
    {"O1", "O1", "a duplicate with more rights than its source"},
    {"O2", "O2", "dying leaves the generation as it was"},
    {"O3", "O3", "a handle that was sent stays where it was"},
    {"A1", "A1", "a charge beyond the limit"},
    {"A2", "A2", "pages that are never uncharged"},
    {"A3", "A3", "a page that the parent does not get back"},
    {"A4", "A4 twice", "a block that is given back twice"},
    {"A4", "A4 merge", "blocks of two accounts that become one"},
    {"M1", "M1", "a free frame that still says what it was"},
    {"M2", "M2 slice", "a slice that reaches outside"},
    {"O1", "O1 slice", "a slice with more rights than its source"},
    {"O2", "O2 slice", "a slice that outlives what it was cut out of"},
    {"M2", "M2", "an entry with more protection than its mapping"},
    {"M3", "M3", "an entry that is not counted"},
    {"M4", "M4", "a pinned frame that is freed"},
    {"M5", "M5", "writable and executable at once"},
    {"M6", "M6", "an entry that stays behind"},
    {"M6", "M6 flush", "a translation that is not flushed"},
    {"M7", "M7", "a pin that ends while its device can write"},
    {"M8", "M8", "a mapping that nobody pays for"},
    {"M9", "M9", "a large page where a table stands"},
    {"I1", "I1", "a message beyond the depth"},
    {"I2", "I2", "last in, first out"},
    {"I3", "I3", "a woken thread that stays on its queue"},
    {"I4", "I4", "receivers that do not hear of the end"},
    {"I5", "I5", "a token that is good twice"},
    {"S1", "S1", "a ready thread in no queue"},
    {"S2", "S2", "a signal that wakes nobody"},
    {"S2", "S2 interrupt", "a post that nobody looks for"},
    {"S3", "S3", "no preemption at the exit"},
    {"S4", "S4", "idling over a ready thread"},
    {"C1", "C1", "more of a CPU than there is"},
    {"C2", "C2", "a thread that runs on a budget that is used up"},
    {"S2", "S2 throttled", "a throttled thread that nothing brings back"},
    {"T1", "T1", "a product that overflows"},
    {"T2", "T2", "a deadline that fires early"},
    {"T2", "T2 cancel", "a timer that fires after its cancel"},
    {"Q1", "Q1", "a level that is not masked"},
    {"Q2", "Q2", "an interrupt that is not counted"},
    {"Q3", "Q3", "an interrupt that is put aside for ever"},
    {"L1", "L1", "a lock that is held at the exit"},
    {"L1", "L1 interrupt", "a CPU that is woken under the lock that it needs"},
    {"F1", "F1", "FP registers that stay on"},
    {"P1", "P1", "a change that the state table does not allow"},
};

static const char *const names[INVARIANT_COUNT] = {
#define INVARIANT(name, text) #name,
#include "invariants.def"
#undef INVARIANT
};

static const struct seed *tried;

static void tour_with_bug(void)
{
    seeded_bug = tried->bug;
    tour();
}

TEST(every_invariant_is_evaluated_and_catches_its_seeded_bug)
{
    tour();
    unsigned missing = 0;
    for (unsigned i = 0; i < INVARIANT_COUNT; i++) {
        unsigned caught = 0;
        for (unsigned n = 0; n < ARRAY_SIZE(seeds); n++) {
            tried = &seeds[n];
            if (strcmp(tried->invariant, names[i]) != 0)
                continue;
            char panic[32], said[200];
            snprintf(panic, sizeof panic, "invariant %s (", names[i]);
            bool reported = test_run_panics(tour_with_bug, panic, said, sizeof said);
            caught += reported;
            missing += !reported;
            test_note("%-3s %8lu evaluations   %-9s %s: %s%s", names[i],
                      (unsigned long)counter_read(&invariant_evaluations[i]), tried->bug,
                      tried->what, reported ? "caught" : "NOT CAUGHT: ", reported ? "" : said);
        }
        if (caught == 0 || counter_read(&invariant_evaluations[i]) == 0) {
            missing++;
            test_note("%-3s %8lu evaluations   is missing", names[i],
                      (unsigned long)counter_read(&invariant_evaluations[i]));
        }
    }
    EXPECT_EQUAL(missing, 0);
}
