// SPDX-License-Identifier: MIT
//
// Handles: lookup against close, against reuse of the slot with other rights, against the end of
// the object; sending what is closed, duplicating into a table that grows. Three threads of one
// process on three CPUs. Values are guessed, so that nothing else orders who makes and who uses.
#include "harness.h"

static struct actor *one, *two, *three;
static uint64_t event;

static void threads(void)
{
    begin_world(3);
    one = spawn_on(0, new_account(300, 150), 10);
    two = spawn_thread_on(1, one, 10);
    three = spawn_thread_on(2, one, 10);
    event = MUST(one, EVENT_CREATE, one->account);
}

static void all_run(void)
{
    runs(one);
    runs(two);
    runs(three);
}

// The slots of a table are reused first in, first out: what is free now is used up, so that the
// next one is the slot that is closed.
static void fill_table(void)
{
    const struct process *process = one->process;
    while (process->handles_used + process->handles_retired <
           process->handle_pages * HANDLES_PER_PAGE)
        MUST(one, HANDLE_DUPLICATE, event, 0);
}

// Of a handle that is closed meanwhile, a lookup that has read it may still say that its object is
// GONE; with whole entries it is a BAD_HANDLE.
#define GONE_FOR_BAD "GONE instead of BAD_HANDLE"

static uint64_t old, next; // values of one slot

static void a_slot_to_reuse(void)
{
    threads();
    old = MUST(one, HANDLE_DUPLICATE, event, RIGHT_DUPLICATE);
    next = old + (1ull << 32);
    fill_table();
    STEP(one, HANDLE_CLOSE, old);
    STEP(one, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
}

static void lookup_against_reuse(void)
{
    a_slot_to_reuse();
    STEP(two, EVENT_SIGNAL, old, 1); // never with the rights of the second
    STEP(two, EVENT_SIGNAL, old, 1);
    STEP(three, EVENT_SIGNAL, old, 1);
    STEP(three, EVENT_CLEAR, old, 1);
    all_run();
}
static bool is_old(status_t status)
{
    return status == STATUS_NO_RIGHT || status == STATUS_BAD_HANDLE;
}
static void no_more_rights(void)
{
    EXPLORE_CHECK(is_old(status_of(two, 0)) && is_old(status_of(two, 1)));
    EXPLORE_CHECK(is_old(status_of(three, 0)) && is_old(status_of(three, 1)));
}
SCENARIO(lookup_against_reuse, .canary = "weak reuse", .setup = lookup_against_reuse,
         .finish = no_more_rights, .weak_only = true);
SCENARIO(lookup_against_reuse_read_again, .canary = "weak again", .setup = lookup_against_reuse,
         .finish = no_more_rights, .weak_only = true);

static void lookup_of_the_next(void)
{
    a_slot_to_reuse();
    STEP(two, EVENT_SIGNAL, next, 1); // never without them
    STEP(two, HANDLE_DUPLICATE, next, RIGHT_SIGNAL);
    STEP(three, EVENT_SIGNAL, old, 1);
    STEP(three, EVENT_SIGNAL, next, 1);
    all_run();
}
static bool is_next(status_t status)
{
    return status == STATUS_OK || status == STATUS_BAD_HANDLE;
}
static void all_rights(void)
{
    EXPLORE_CHECK(is_next(status_of(two, 0)) && is_next(status_of(two, 1)));
    EXPLORE_CHECK(is_old(status_of(three, 0)) && is_next(status_of(three, 1)));
}
SCENARIO(lookup_of_the_next, .canary = "weak tag", .setup = lookup_of_the_next,
         .finish = all_rights, .weak_only = true);
SCENARIO(lookup_of_the_next_read, .canary = "weak lookup", .setup = lookup_of_the_next,
         .finish = all_rights, .weak_only = true);

static void close_lookup_destroy(void)
{
    threads();
    uint64_t second = MUST(one, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
    STEP(one, OBJECT_DESTROY, second);
    STEP(one, EVENT_CREATE, one->account); // maybe in the same slot of the object table
    STEP(two, EVENT_SIGNAL, event, 1);
    STEP(two, EVENT_SIGNAL, second, 1);
    STEP(three, HANDLE_CLOSE, event);
    all_run();
}
static void not_another_object(void)
{
    const struct object *fresh = object_behind(one, value_of(one, 1, 0));
    EXPLORE_CHECK(fresh && !(fresh->signals & 1));
    EXPLORE_CHECK(status_of(three, 0) == STATUS_OK);
}
SCENARIO(close_lookup_destroy, .canary = "O2", .setup = close_lookup_destroy,
         .finish = not_another_object, .finer = GONE_FOR_BAD);

static void duplicate_close_close(void)
{
    threads();
    STEP(one, HANDLE_CLOSE, event);
    STEP(two, HANDLE_CLOSE, event);
    STEP(three, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
    STEP(three, EVENT_SIGNAL, event, 1);
    all_run();
}
static void closed_once(void)
{
    unsigned done = (status_of(one, 0) == STATUS_OK) + (status_of(two, 0) == STATUS_OK);
    EXPLORE_CHECK(done == 1);
    if (status_of(three, 0) == STATUS_OK)
        EXPLORE_CHECK(is_live(three, value_of(three, 0, 0)));
}
SCENARIO(duplicate_close_close, .canary = "O3 close", .setup = duplicate_close_close,
         .finish = closed_once, .finer = GONE_FOR_BAD);

// The same handle is sent twice, and closed: it is in one message, or in none.
static void send_send_close(void)
{
    threads();
    struct ends ends = new_channel(one, 2, 64, 1, 1);
    set_handles(one, 1, &event);
    set_handles(two, 1, &event);
    STEP(one, CHANNEL_SEND, ends.end0, MSG(0, 1));
    STEP(two, CHANNEL_SEND, ends.end0, MSG(0, 1));
    STEP(two, EVENT_SIGNAL, event, 1);
    STEP(three, HANDLE_CLOSE, event);
    STEP(three, CHANNEL_RECEIVE, ends.end1, 0);
    all_run();
}
static void sent_once_or_closed(void)
{
    unsigned done = (status_of(one, 0) == STATUS_OK) + (status_of(two, 0) == STATUS_OK) +
                    (status_of(three, 0) == STATUS_OK);
    EXPLORE_CHECK(done == 1);
}
SCENARIO(send_send_close, .canary = "O3", .setup = send_send_close, .finish = sent_once_or_closed,
         .finer = GONE_FOR_BAD);

// One slot is free; the second takes a new page, which its account pays.
static void duplicates_into_a_new_page(void)
{
    threads();
    fill_table();
    STEP(one, HANDLE_DUPLICATE, event, RIGHT_SIGNAL);
    STEP(two, HANDLE_DUPLICATE, event, RIGHT_SIGNAL);
    STEP(three, HANDLE_CLOSE, event);
    all_run();
}
static void both_or_closed(void)
{
    EXPLORE_CHECK(status_of(three, 0) == STATUS_OK);
    EXPLORE_CHECK(value_of(one, 0, 0) != value_of(two, 0, 0) || status_of(one, 0) != STATUS_OK);
}
SCENARIO(duplicates_into_a_new_page, .canary = "O reserve", .setup = duplicates_into_a_new_page,
         .finish = both_or_closed, .finer = GONE_FOR_BAD);
