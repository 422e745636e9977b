// SPDX-License-Identifier: MIT
//
// Memory orders: the smallest scenarios in which a fence, a release or an acquire of the kernel is
// all that keeps things right. Their planted bugs weaken it, and only weak memory shows them.
#include "harness.h"

static struct actor *one, *two, *three;
static uint64_t event;

static void threads(unsigned cpus)
{
    begin_world(cpus);
    one = spawn_on(0, new_account(300, 150), 10);
    two = spawn_thread_on(1, one, 10);
    three = cpus > 2 ? spawn_thread_on(2, one, 10) : nullptr;
    event = MUST(one, EVENT_CREATE, one->account);
}

static void all_run(void)
{
    runs(one);
    runs(two);
    if (three)
        runs(three);
}

static unsigned room(const struct process *process)
{
    return process->handle_pages * HANDLES_PER_PAGE - process->handles_used -
           process->handles_retired;
}

// Leaves so many free slots in the table's pages.
static void fill_table(unsigned leave)
{
    while (room(one->process) > leave)
        MUST(one, HANDLE_DUPLICATE, event, 0);
}

static bool is_used_or_unknown(status_t status)
{
    return status == STATUS_OK || status == STATUS_BAD_HANDLE;
}

// ---- handles: guessed values, so that nothing else orders the one that makes and the one that uses

static void lookup_in_a_new_page(void)
{
    threads(2);
    fill_table(0);
    uint64_t guess = 1ull << 32 | (one->process->handle_pages * HANDLES_PER_PAGE);
    STEP(one, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
    STEP(two, EVENT_SIGNAL, guess, 1);
    all_run();
}
static void used_or_unknown(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && is_used_or_unknown(status_of(two, 0)));
    seen(status_of(two, 0));
}
SCENARIO(lookup_in_a_new_page, .canary = "weak page", .setup = lookup_in_a_new_page,
         .finish = used_or_unknown, .weak_only = true);
SCENARIO(lookup_in_a_page_just_read, .canary = "weak page read", .setup = lookup_in_a_new_page,
         .finish = used_or_unknown, .weak_only = true);

// It is held for a message that is refused, and put back, by another thread than the one that
// made it.
static void lookup_of_what_is_put_back(void)
{
    threads(3);
    struct ends ends = new_channel(one, 2, 64, 2, 1);
    uint64_t old = MUST(one, HANDLE_DUPLICATE, event, 0);
    fill_table(0);
    MUST(one, HANDLE_CLOSE, old);
    uint64_t fresh = old + (1ull << 32);
    set_handles(three, 2, (const uint64_t[]){fresh, 1});
    STEP(one, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
    STEP(three, CHANNEL_SEND, ends.end0, MSG(0, 2));
    STEP(two, EVENT_SIGNAL, fresh, 1);
    all_run();
}
SCENARIO(lookup_of_what_is_put_back, .canary = "weak back", .setup = lookup_of_what_is_put_back,
         .finish = used_or_unknown, .weak_only = true);

// The same, by a call that nobody takes before its time is over.
static void lookup_of_what_is_restored(void)
{
    constexpr uint64_t LATER = 1'000'000'000;
    threads(3);
    struct ends ends = new_channel(one, 2, 64, 2, 1);
    uint64_t old = MUST(one, HANDLE_DUPLICATE, event, 0);
    fill_table(0);
    MUST(one, HANDLE_CLOSE, old);
    uint64_t fresh = old + (1ull << 32);
    set_handles(three, 1, &fresh);
    STEP(one, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
    STEP(three, CHANNEL_CALL, ends.end0, MSG(0, 1), LATER);
    STEP(two, EVENT_SIGNAL, fresh, 1);
    plan_time(LATER);
    all_run();
}
SCENARIO(lookup_of_what_is_restored, .canary = "weak restore", .setup = lookup_of_what_is_restored,
         .finish = used_or_unknown, .weak_only = true);

// ---- waiting and waking

static struct actor *waiter;
static uint64_t its_thread, second_thread;

static void a_waiter(unsigned cpus)
{
    begin_world(cpus);
    uint64_t account = new_account(300, 150);
    one = spawn_on(0, account, 10);
    waiter = spawn_on(1, account, 10);
    two = cpus > 2 ? spawn_on(2, account, 10) : nullptr;
    its_thread = grant(one, waiter, waiter->own_thread);
    second_thread = two ? grant(two, waiter, waiter->own_thread) : 0;
}

static void sleep_cancelled(void)
{
    a_waiter(2);
    STEP(waiter, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    STEP(one, THREAD_CANCEL, its_thread);
    STEP(one, THREAD_CANCEL, its_thread);
    runs(one);
    runs(waiter);
}
static void cancelled_or_asleep(void)
{
    if (is_over(waiter, 0))
        EXPLORE_CHECK(status_of(waiter, 0) == STATUS_CANCELLED);
    else
        EXPLORE_CHECK(status_of(one, 1) == STATUS_BAD_STATE);
}
SCENARIO(sleep_cancelled, .canary = "weak wait", .setup = sleep_cancelled,
         .finish = cancelled_or_asleep, .weak_only = true);

static void two_cancel_one(void)
{
    a_waiter(3);
    EXPECT_CALL(BLOCKED, waiter, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    STEP(waiter, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    STEP(one, THREAD_CANCEL, its_thread);
    STEP(two, THREAD_CANCEL, second_thread);
    runs(one);
    runs(two);
    runs(spawn_on(1, new_account(60, 40), 8));
}
static void it_was_cancelled(void)
{
    EXPLORE_CHECK(woken_with(waiter) == STATUS_CANCELLED);
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK || status_of(two, 0) == STATUS_OK);
}
SCENARIO(two_cancel_one, .canary = "weak win", .setup = two_cancel_one, .finish = it_was_cancelled,
         .weak_only = true);

// ---- posts

static void priority_posted(void)
{
    a_waiter(2);
    EXPECT_CALL(BLOCKED, waiter, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    STEP(one, THREAD_SET_PRIORITY, its_thread, 5);
    STEP(one, THREAD_CANCEL, its_thread);
    runs(one);
    runs(spawn_on(1, new_account(60, 40), 8));
}
static void cancelled_with_priority(void)
{
    EXPLORE_CHECK(woken_with(waiter) == STATUS_CANCELLED && waiter->thread->priority == 5);
}
SCENARIO(priority_posted, .canary = "weak post", .setup = priority_posted,
         .finish = cancelled_with_priority, .weak_only = true);
SCENARIO(priority_taken, .canary = "weak take", .setup = priority_posted,
         .finish = cancelled_with_priority, .weak_only = true);
SCENARIO(priority_requested, .canary = "weak request", .setup = priority_posted,
         .finish = cancelled_with_priority, .weak_only = true);
SCENARIO(priority_request_taken, .canary = "weak requests", .setup = priority_posted,
         .finish = cancelled_with_priority, .weak_only = true);

// ---- operations: a step that is made on one CPU and resumed by another

// ---- flushing: two CPUs ask a third

constexpr uint64_t AT = 0x5000'0000;

static void a_page_of_three(unsigned pages)
{
    threads(3);
    for (unsigned i = 0; i < pages; i++) {
        uint64_t vmo = MUST(one, VMO_CREATE, one->account, PAGE_SIZE, 0);
        MUST(one, VM_MAP, one->own_aspace, vmo, 0, AT + i * PAGE_SIZE, PAGE_SIZE,
             PROT_READ | PROT_WRITE);
        MUST(one, HANDLE_CLOSE, vmo);
    }
}

static void both_answer(void)
{
    a_page_of_three(1);
    STEP(one, VM_UNMAP, one->own_aspace, AT);
    STEP(one, VMO_CREATE, one->account, PAGE_SIZE, 0); // zeroes the frame
    plan_access(two, AT, true);
    plan_access(three, AT, true);
    all_run();
}
static void unmapped_and_made(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && status_of(one, 1) == STATUS_OK);
}
SCENARIO(both_answer, .canary = "weak answer", .setup = both_answer, .finish = unmapped_and_made,
         .weak_only = true);

// User code leaves the address space by itself, and is not asked. Another CPU takes the frame: the
// one that unmaps would pass a fence in its next lookup.
static void unmap_after_leaving(void)
{
    begin_world(3);
    uint64_t account = new_account(300, 150);
    one = spawn_on(0, account, 10);
    two = spawn_thread_on(1, one, 10);
    three = spawn_thread_on(2, one, 10);
    struct actor *next = spawn_on(1, account, 9);
    uint64_t vmo = MUST(one, VMO_CREATE, one->account, PAGE_SIZE, 0);
    MUST(one, VM_MAP, one->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ | PROT_WRITE);
    MUST(one, HANDLE_CLOSE, vmo);
    hold(next);
    STEP(one, VM_UNMAP, one->own_aspace, AT);
    STEP(three, VMO_CREATE, one->account, PAGE_SIZE, 0); // zeroes a frame
    plan_access(two, AT, true);
    all_run();
}
static void unmapped_and_made_by_three(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && status_of(three, 0) == STATUS_OK);
}
SCENARIO(unmap_after_leaving, .canary = "weak holders", .setup = unmap_after_leaving,
         .finish = unmapped_and_made_by_three, .weak_only = true, .budget = 6'000);
SCENARIO(unmap_after_leaving_at_random, .canary = "weak holders", .setup = unmap_after_leaving,
         .finish = unmapped_and_made_by_three, .random = true);

// The second one to ask finds the bit of the first, whose interrupt serves both.
static void two_ask_one(void)
{
    a_page_of_three(2);
    STEP(one, VM_UNMAP, one->own_aspace, AT);
    STEP(two, VM_UNMAP, one->own_aspace, AT + PAGE_SIZE);
    plan_access(three, AT + PAGE_SIZE, true);
    plan_access(three, AT + PAGE_SIZE, true);
    all_run();
}
static void both_are_unmapped(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && status_of(two, 0) == STATUS_OK);
}
SCENARIO(two_ask_one, .canary = "weak ask", .setup = two_ask_one, .finish = both_are_unmapped,
         .random = true);
SCENARIO(one_is_asked_by_two, .canary = "weak asked", .setup = two_ask_one,
         .finish = both_are_unmapped, .random = true);
