// SPDX-License-Identifier: MIT
//
// Ports: two receivers, bindings that come and go while signals are told, objects and ports that
// end; and timers that are set, cancelled and fire on different CPUs.
#include "harness.h"

static struct actor *one, *two, *three;
static uint64_t port, event, two_port, two_event, three_port, three_event;

static void actors(unsigned cpus, bool bound)
{
    begin_world(cpus);
    uint64_t account = new_account(300, 150);
    one = spawn_on(0, account, 10);
    two = spawn_on(1, account, 10);
    three = cpus > 2 ? spawn_on(2, account, 10) : nullptr;
    port = MUST(one, PORT_CREATE, one->account);
    event = MUST(one, EVENT_CREATE, one->account);
    if (bound)
        MUST(one, PORT_BIND, port, event, 7, 3);
    two_port = grant(two, one, port);
    two_event = grant(two, one, event);
    if (three) {
        three_port = grant(three, one, port);
        three_event = grant(three, one, event);
    }
}

static void all_run(void)
{
    runs(one);
    runs(two);
    if (three)
        runs(three);
}

static void two_receivers(void)
{
    actors(3, true);
    STEP(one, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
    STEP(two, PORT_RECEIVE, two_port, ABI_DEADLINE_NEVER);
    STEP(three, EVENT_SIGNAL, three_event, 1);
    STEP(three, EVENT_SIGNAL, three_event, 2);
    all_run();
}
// Who comes second finds the other's report gone, if both signals were in it.
static void each_signal_is_told(void)
{
    uint64_t told =
        (is_over(one, 0) ? value_of(one, 0, 1) : 0) | (is_over(two, 0) ? value_of(two, 0, 1) : 0);
    EXPLORE_CHECK(told == 3);
}
// IPC-45
SCENARIO(two_receivers, .canary = "machine: lost IPI", .setup = two_receivers,
         .finish = each_signal_is_told,
         .finer = "a binding is taken off first; what is told is what is raised afterwards");

static void bind_signal_receive(void)
{
    actors(3, false);
    STEP(one, PORT_BIND, port, event, 7, 1);
    STEP(two, PORT_RECEIVE, two_port, ABI_DEADLINE_NEVER);
    STEP(three, EVENT_SIGNAL, three_event, 1);
    all_run();
}
static void told_once_bound(void)
{
    EXPLORE_CHECK(value_of(two, 0, 0) == 7 && value_of(two, 0, 1) == 1);
}
// IPC-44
SCENARIO(bind_signal_receive, .canary = "machine: lost IPI", .setup = bind_signal_receive,
         .finish = told_once_bound);

static void unbind_signal_receive(void)
{
    actors(3, true);
    STEP(one, PORT_UNBIND, event);
    STEP(two, PORT_RECEIVE, two_port, 0);
    STEP(three, EVENT_SIGNAL, three_event, 1);
    all_run();
}
static void told_or_not(void)
{
    EXPLORE_CHECK(status_of(two, 0) == STATUS_OK || status_of(two, 0) == STATUS_TIMED_OUT);
}
// IPC-48
SCENARIO(unbind_signal_receive, .canary = "P unbind", .setup = unbind_signal_receive,
         .finish = told_or_not);

static void destroy_signal_receive(void)
{
    actors(3, true);
    STEP(one, OBJECT_DESTROY, event);
    STEP(two, PORT_RECEIVE, two_port, ABI_DEADLINE_NEVER);
    STEP(three, EVENT_SIGNAL, three_event, 1);
    all_run();
}
static void told_or_told_gone(void)
{
    EXPLORE_CHECK(value_of(two, 0, 1) == 1 || value_of(two, 0, 1) == SIGNAL_GONE);
}
// IPC-47
SCENARIO(destroy_signal_receive, .canary = "machine: lost IPI", .setup = destroy_signal_receive,
         .finish = told_or_told_gone);

static void destroy_bind_reuse(void)
{
    actors(3, false);
    STEP(one, OBJECT_DESTROY, event);
    STEP(two, PORT_BIND, two_port, two_event, 7, 1);
    STEP(three, EVENT_CREATE, three->account);
    all_run();
}
SCENARIO(destroy_bind_reuse, .canary = "O2", .setup = destroy_bind_reuse);

static void port_bind_destroyed(void)
{
    actors(3, false);
    STEP(one, OBJECT_DESTROY, port);
    STEP(two, PORT_BIND, two_port, two_event, 7, 1);
    STEP(two, PORT_UNBIND, two_event);
    STEP(three, EVENT_SIGNAL, three_event, 1);
    STEP(three, PORT_RECEIVE, three_port, 0);
    all_run();
}
static void bound_or_gone(void)
{
    EXPLORE_CHECK(status_of(two, 0) == STATUS_OK || status_of(two, 0) == STATUS_GONE);
}
SCENARIO(port_bind_destroyed, .canary = "P unbind", .setup = port_bind_destroyed,
         .finish = bound_or_gone);

static void port_and_object_destroyed(void)
{
    actors(3, true);
    STEP(one, OBJECT_DESTROY, port);
    STEP(two, OBJECT_DESTROY, two_event);
    STEP(three, EVENT_SIGNAL, three_event, 1);
    all_run();
}
static void both_destroyed(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && status_of(two, 0) == STATUS_OK);
}
// IPC-47, IPC-50
SCENARIO(port_and_object_destroyed, .canary = "O2", .setup = port_and_object_destroyed,
         .finish = both_destroyed);

static void receive_against_destroyed_port(void)
{
    actors(3, true);
    STEP(one, OBJECT_DESTROY, port);
    STEP(two, PORT_RECEIVE, two_port, ABI_DEADLINE_NEVER);
    STEP(three, EVENT_SIGNAL, three_event, 1);
    all_run();
}
static void told_or_gone(void)
{
    EXPLORE_CHECK(status_of(two, 0) == STATUS_OK || status_of(two, 0) == STATUS_GONE);
}
// IPC-50
SCENARIO(receive_against_destroyed_port, .canary = "I4 all",
         .setup = receive_against_destroyed_port, .finish = told_or_gone);

static void bind_against_bind(void)
{
    actors(3, false);
    uint64_t second = MUST(two, PORT_CREATE, two->account);
    STEP(one, PORT_BIND, port, event, 7, 1);
    STEP(two, PORT_BIND, second, two_event, 8, 1);
    STEP(three, EVENT_SIGNAL, three_event, 1);
    all_run();
}
static void bound_once(void)
{
    unsigned done = (status_of(one, 0) == STATUS_OK) + (status_of(two, 0) == STATUS_OK);
    EXPLORE_CHECK(done == 1);
}
// IPC-43
SCENARIO(bind_against_bind, .canary = "P bind", .setup = bind_against_bind, .finish = bound_once);

// ---- timers

static uint64_t timer, two_timer, three_timer;

static void a_timer(unsigned cpus)
{
    actors(cpus, false);
    timer = MUST(one, TIMER_CREATE, one->account);
    two_timer = grant(two, one, timer);
    three_timer = three ? grant(three, one, timer) : 0;
}

static void timer_set_cancel_fire(void)
{
    a_timer(2);
    MUST(one, TIMER_SET, timer, 1'000'000);
    STEP(one, TIMER_CANCEL, timer);
    STEP(two, TIMER_SET, two_timer, 1'500'000);
    STEP(two, TIMER_CANCEL, two_timer);
    all_run();
    plan_time(2'000'000);
}
static void the_last_word_was_cancel(void)
{
    const struct object *object = object_behind(one, timer);
    EXPLORE_CHECK(!(object->signals & SIGNAL_FIRED));
}
// OBJ-25
SCENARIO(timer_set_cancel_fire, .canary = "T2 cancel", .setup = timer_set_cancel_fire,
         .finish = the_last_word_was_cancel);

static void timer_set_against_set(void)
{
    a_timer(2);
    STEP(one, TIMER_SET, timer, 1'000'000);
    STEP(two, TIMER_SET, two_timer, 3'000'000);
    all_run();
    plan_time(2'000'000);
}
// It fires if, and only if, the earlier one was set last, or had come before the later was set.
static void set_once(void)
{
    const struct object *object = object_behind(one, timer);
    seen(object->signals);
}
// OBJ-25
SCENARIO(timer_set_against_set, .canary = "T2", .setup = timer_set_against_set, .finish = set_once);

static void timer_destroy_reuse_fire(void)
{
    a_timer(2);
    MUST(one, TIMER_SET, timer, 1'000'000);
    STEP(two, OBJECT_DESTROY, two_timer);
    STEP(two, THREAD_YIELD);
    STEP(two, TIMER_CREATE, two->account); // in the same slot
    all_run();
    plan_time(2'000'000);
}
static void the_new_one_is_quiet(void)
{
    const struct object *fresh = object_behind(two, value_of(two, 2, 0));
    EXPLORE_CHECK(fresh && !(fresh->signals & SIGNAL_FIRED));
}
SCENARIO(timer_destroy_reuse_fire, .canary = "O2", .setup = timer_destroy_reuse_fire,
         .finish = the_new_one_is_quiet);

static void timer_set_destroy(void)
{
    a_timer(3);
    STEP(one, TIMER_SET, timer, 1'000'000);
    STEP(two, OBJECT_DESTROY, two_timer);
    STEP(three, TIMER_CANCEL, three_timer);
    all_run();
}
static void set_or_gone(void)
{
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK || status_of(one, 0) == STATUS_GONE);
}
SCENARIO(timer_set_destroy, .canary = "O2", .setup = timer_set_destroy, .finish = set_or_gone);

// A waiter is told of an end, and the slot is freed, while something else is bound.
static struct actor *receiver;

static void gone_against_bind(void)
{
    actors(2, true);
    uint64_t second = MUST(two, EVENT_CREATE, two->account);
    receiver = spawn_on(1, new_account(60, 40), 8);
    EXPECT_CALL(BLOCKED, receiver, PORT_RECEIVE, grant(receiver, one, port), ABI_DEADLINE_NEVER);
    STEP(one, OBJECT_DESTROY, event);
    STEP(two, PORT_BIND, two_port, second, 9, 1);
    all_run();
}
static void told_and_bound(void)
{
    EXPLORE_CHECK(woken_with(receiver) == STATUS_OK);
    EXPLORE_CHECK(status_of(one, 0) == STATUS_OK && status_of(two, 0) == STATUS_OK);
}
// IPC-47
SCENARIO(gone_against_bind, .canary = "machine: lost IPI", .setup = gone_against_bind,
         .finish = told_and_bound);
