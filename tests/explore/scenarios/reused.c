// SPDX-License-Identifier: MIT
//
// Each call against the end of what one of its handles names, where the slot is another object's
// at once: between the look at the table and the object's lock the call must not touch it.
#include "harness.h"

constexpr uint64_t AT = 0x5000'0000;

static struct actor *destroyer, *user, *next;
static uint64_t process, thread, copy, account, vmo, port, event;

static void begin(void)
{
    begin_world(2);
    uint64_t payer = new_account(400, 200);
    destroyer = spawn_on(0, payer, 10);
    user = spawn_thread_on(1, destroyer, 10);
    next = spawn_on(0, payer, 5);
    for (unsigned i = 0; i < 24; i++) // the free slots that there were
        MUST(destroyer, EVENT_CREATE, destroyer->account);
}

static void all_run(void)
{
    hold(next); // it runs when all of it is gone
    runs(destroyer);
    runs(user);
}

static void another_process(uint64_t exceptions)
{
    process = MUST(destroyer, PROCESS_CREATE, destroyer->account, exceptions);
}

static void another_thread(void)
{
    another_process(0);
    thread = MUST(destroyer, THREAD_CREATE, process, 5, AT);
}

static void a_handler(void)
{
    struct ends ends = new_channel(destroyer, 2, 64, 1, 1);
    copy = MUST(destroyer, HANDLE_DUPLICATE, ends.end1, RIGHTS_CHANNEL);
    another_process(ends.end1);
}

static uint64_t gift;

static void a_gift(void)
{
    gift = new_channel(destroyer, 1, 16, 1, 1).end0;
    set_handles(user, 1, &gift);
}

static void a_thread_and_a_gift(void)
{
    a_gift();
    another_thread();
}

static void an_end_and_a_gift(void)
{
    a_gift();
    copy = new_channel(destroyer, 1, 16, 1, 1).end1;
}

static void a_vmo(void)
{
    vmo = MUST(destroyer, VMO_CREATE, destroyer->account, PAGE_SIZE, 0);
}

static void a_port(void)
{
    port = MUST(destroyer, PORT_CREATE, destroyer->account);
    event = MUST(destroyer, EVENT_CREATE, destroyer->account);
}

static void finish(void)
{
    status_t status = status_of(user, 0);
    EXPLORE_CHECK(status_of(destroyer, 0) == STATUS_OK);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_GONE || status == STATUS_BAD_STATE);
}

static void finish_reply(void) // to no call
{
    status_t status = status_of(user, 0);
    EXPLORE_CHECK(status == STATUS_NOT_FOUND || status == STATUS_GONE);
}

// What is destroyed takes as many slots as are made.
#define REUSED_IN(name, bug, prepare, object, made, call, ...) \
    REUSED_TO(finish, name, bug, prepare, object, made, call, __VA_ARGS__)
#define REUSED_TO(end, name, bug, prepare, object, made, call, ...)                     \
    static void reused_in_##name(void)                                                  \
    {                                                                                   \
        begin();                                                                        \
        prepare;                                                                        \
        plan_end(destroyer, object_behind(destroyer, object));                          \
        for (unsigned i = 0; i < (made); i++)                                           \
            STEP(next, EVENT_CREATE, next->account);                                    \
        STEP(user, call, __VA_ARGS__);                                                  \
        all_run();                                                                      \
    }                                                                                   \
    SCENARIO(reused_in_##name, .canary = bug, .setup = reused_in_##name, .finish = end, \
             .finer = "BAD_STATE instead of GONE")

REUSED_IN(thread_cancel, "O2", another_thread(), thread, 2, THREAD_CANCEL, thread);
REUSED_IN(thread_set_priority, "O2", another_thread(), thread, 2, THREAD_SET_PRIORITY, thread, 3);
REUSED_IN(thread_set_cpu, "O2", another_thread(), thread, 2, THREAD_SET_CPU, thread, 1);
REUSED_IN(thread_create, "O2", another_process(0), process, 2, THREAD_CREATE, process, 5, AT);
REUSED_IN(fault_slot, "O2", a_handler(), copy, 1, THREAD_CREATE, process, 5, AT);
REUSED_IN(thread_start, "O2", a_thread_and_a_gift(), thread, 2, THREAD_START, thread, 0x1000, 0, 0,
          gift);
REUSED_TO(finish_reply, channel_reply, "O2", an_end_and_a_gift(), copy, 1, CHANNEL_REPLY, copy, 0,
          MSG(0, 1));
// The new object's lock has a lower rank than the one under which it would be taken.
REUSED_IN(vm_map, "O2", a_vmo(), vmo, 1, VM_MAP, user->own_aspace, vmo, 0, AT, PAGE_SIZE,
          PROT_READ);
REUSED_IN(port_bind, "O2", a_port(), port, 1, PORT_BIND, port, event, 1, 1);

// What pays for an object goes, and the object with it, before it has its handle.
static void reused_in_event_create(void)
{
    begin();
    account = MUST(destroyer, ACCOUNT_CREATE, destroyer->account, 10, 10);
    STEP(destroyer, OBJECT_DESTROY, account);
    STEP(next, EVENT_CREATE, next->account);
    STEP(user, EVENT_CREATE, account);
    all_run();
}
SCENARIO(reused_in_event_create, .canary = "O2", .setup = reused_in_event_create, .finish = finish,
         .random = true);

// CPU 1 was asked about one address space and is in another by now, which ends: so it leaves that when
// it answers. Whoever ends it finds it left, and waits for no answer.
static struct actor *dying, *ender;

static void reused_after_leaving(void)
{
    begin();
    a_vmo();
    MUST(destroyer, VM_MAP, destroyer->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    another_thread();
    MUST(destroyer, THREAD_SET_CPU, thread, 1);
    MUST(destroyer, THREAD_SET_PRIORITY, thread, 10);
    MUST(destroyer, THREAD_START, thread, 0x1000, 0, 0, 0);
    dying = &world.actors[world.actor_count - 1];
    MUST(destroyer, THREAD_SET_PRIORITY, user->own_thread, 8);
    ender = spawn_on(0, new_account(60, 40), 10);
    uint64_t its_thread = grant(ender, user, user->own_thread);
    hold(user);
    hold(destroyer);
    EXPECT_STATUS(HELD(destroyer, VM_UNMAP, destroyer->own_aspace, AT).status, BLOCKED);
    plan_end(ender, &dying->process->aspace->object);
    STEP(ender, THREAD_SET_PRIORITY, its_thread, 7); // with it, CPU 1 hears of the question
    for (unsigned i = 0; i < 2; i++)
        STEP(next, EVENT_CREATE, next->account);
    STEP(dying, THREAD_EXIT);
    hold(next);
    runs(ender);
    runs(dying);
}
static void left_and_reused(void)
{
    EXPLORE_CHECK(woken_with(destroyer) == STATUS_OK && is_dead(dying));
}
SCENARIO(reused_after_leaving, .canary = "weak leave", .setup = reused_after_leaving,
         .finish = left_and_reused, .random = true);

// The frames of a thread that ends with its process, used again by a third CPU at once: a start that came
// before must be done with them.
static void start_against_reuse_of_frames(void)
{
    begin_world(3);
    uint64_t payer = new_account(400, 200);
    destroyer = spawn_on(0, payer, 10);
    user = spawn_thread_on(1, destroyer, 10);
    next = spawn_on(2, payer, 10);
    another_thread();
    STEP(destroyer, OBJECT_DESTROY, process);
    STEP(next, VMO_CREATE, next->account, 2 * PAGE_SIZE, 0);
    STEP(user, THREAD_START, thread, 0x1000, 0, 0, 0);
    runs(destroyer);
    runs(user);
    runs(next);
}
SCENARIO(start_against_reuse_of_frames, .canary = "O2 start",
         .setup = start_against_reuse_of_frames, .finish = finish);
