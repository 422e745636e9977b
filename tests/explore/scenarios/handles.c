// SPDX-License-Identifier: MIT
//
// Handles: lookup against close, against reuse of the slot with other rights, against the end of
// the object; two threads of one process on two CPUs.
#include "harness.h"

static struct actor *one, *two;
static uint64_t event;

static void two_threads(void)
{
    begin_world(2);
    one = spawn_on(0, new_account(300, 150), 10);
    two = spawn_thread_on(1, one, 10);
    event = MUST(one, EVENT_CREATE, one->account);
}

static void both_run(void)
{
    runs(one);
    runs(two);
}

static bool used_or_not(status_t status)
{
    return status == STATUS_OK || status == STATUS_BAD_HANDLE || status == STATUS_GONE;
}

// Of a handle that is closed meanwhile, a lookup that has read it may still say that its object is
// GONE; with whole entries it is a BAD_HANDLE.
#define GONE_FOR_BAD "GONE instead of BAD_HANDLE"

static void lookup_against_close(void)
{
    two_threads();
    STEP(one, HANDLE_CLOSE, event);
    STEP(two, EVENT_SIGNAL, event, 1);
    both_run();
}
static void closed(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && used_or_not(status_of(two, 0)));
    seen(status_of(two, 0));
}
SCENARIO(lookup_against_close, .canary = "O2", .setup = lookup_against_close, .finish = closed,
         .finer = GONE_FOR_BAD);

// The slots of a table are reused first in, first out: fill it but for one.
static void lookup_against_reuse(void)
{
    two_threads();
    uint64_t duplicate = MUST(one, HANDLE_DUPLICATE, event, RIGHT_DUPLICATE);
    // What is free now is used up, so that the next one is the slot that is closed.
    for (unsigned i = 0; i < 200; i++) {
        const struct process *process = one->process;
        if (process->handles_used + process->handles_retired + 1 >=
            process->handle_pages * HANDLES_PER_PAGE)
            break;
        MUST(one, HANDLE_DUPLICATE, event, RIGHT_DUPLICATE);
    }
    MUST(one, HANDLE_DUPLICATE, event, RIGHT_DUPLICATE);
    STEP(one, HANDLE_CLOSE, duplicate);
    STEP(one, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
    STEP(two, EVENT_SIGNAL, duplicate, 1); // never with the rights of the second
    both_run();
}
static void no_more_rights(void)
{
    status_t status = status_of(two, 0);
    EXPLORE_CHECK(status == STATUS_NO_RIGHT || status == STATUS_BAD_HANDLE);
    seen(status);
}
SCENARIO(lookup_against_reuse, .canary = "weak reuse", .setup = lookup_against_reuse,
         .finish = no_more_rights, .weak_only = true);

static void lookup_against_destroy(void)
{
    two_threads();
    STEP(one, OBJECT_DESTROY, event);
    STEP(one, EVENT_CREATE, one->account); // maybe in the same slot of the object table
    STEP(two, EVENT_SIGNAL, event, 1);
    both_run();
}
static void not_another_object(void)
{
    EXPLORE_CHECK(status_of(one, 1) == STATUS_OK && used_or_not(status_of(two, 0)));
    const struct object *fresh = object_behind(one, value_of(one, 1, 0));
    EXPLORE_CHECK(fresh && !(fresh->signals & 1));
    seen(status_of(two, 0));
}
SCENARIO(lookup_against_destroy, .canary = "O2", .setup = lookup_against_destroy,
         .finish = not_another_object);

static void close_against_close(void)
{
    two_threads();
    STEP(one, HANDLE_CLOSE, event);
    STEP(two, HANDLE_CLOSE, event);
    both_run();
}
static void closed_once(void)
{
    unsigned done = (status_of(one, 0) == STATUS_OK) + (status_of(two, 0) == STATUS_OK);
    EXPLORE_CHECK(done == 1);
}
SCENARIO(close_against_close, .canary = "O3 close", .setup = close_against_close,
         .finish = closed_once);

static void close_against_duplicate(void)
{
    two_threads();
    STEP(one, HANDLE_CLOSE, event);
    STEP(two, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
    both_run();
}
static void duplicated_or_not(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && used_or_not(status_of(two, 0)));
    if (status_of(two, 0) == STATUS_OK)
        EXPLORE_CHECK(is_live(two, value_of(two, 0, 0)));
    seen(status_of(two, 0));
}
SCENARIO(close_against_duplicate, .canary = "O2", .setup = close_against_duplicate,
         .finish = duplicated_or_not, .finer = GONE_FOR_BAD);

static void duplicate_against_duplicate(void)
{
    two_threads();
    STEP(one, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
    STEP(two, HANDLE_DUPLICATE, event, RIGHTS_EVENT | 1u << 31);
    both_run();
}
static void two_duplicates(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && status_of(two, 0) == STATUS_INVALID);
}
SCENARIO(duplicate_against_duplicate, .canary = "O1", .setup = duplicate_against_duplicate,
         .finish = two_duplicates);

// The same handle is sent twice: it is in one message.
static struct ends ends;
static void send_against_close(void)
{
    two_threads();
    ends = new_channel(one, 2, 64, 1, 1);
    set_handles(one, 1, &event);
    STEP(one, CHANNEL_SEND, ends.end0, MSG(0, 1));
    STEP(two, HANDLE_CLOSE, event);
    both_run();
}
static void sent_or_closed(void)
{
    bool sent = status_of(one, 0) == STATUS_OK, was_closed = status_of(two, 0) == STATUS_OK;
    EXPLORE_CHECK(sent != was_closed);
    seen(sent);
}
SCENARIO(send_against_close, .canary = "O3", .setup = send_against_close, .finish = sent_or_closed);

static void send_against_send(void)
{
    two_threads();
    ends = new_channel(one, 2, 64, 1, 1);
    set_handles(one, 1, &event);
    set_handles(two, 1, &event);
    STEP(one, CHANNEL_SEND, ends.end0, MSG(0, 1));
    STEP(two, CHANNEL_SEND, ends.end0, MSG(0, 1));
    both_run();
}
static void sent_once(void)
{
    unsigned sent = (status_of(one, 0) == STATUS_OK) + (status_of(two, 0) == STATUS_OK);
    EXPLORE_CHECK(sent == 1);
}
SCENARIO(send_against_send, .canary = "O3", .setup = send_against_send, .finish = sent_once);
