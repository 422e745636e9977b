// SPDX-License-Identifier: MIT
//
// See kernel_subjects.h.
#include "kernel_subjects.h"

const struct subject subjects[] = {
    {"a live account", OBJECT_ACCOUNT, ACCOUNT_LIVE, STATUS_OK, SIGNAL_TERMINATED},
    {"a dying account", OBJECT_ACCOUNT, ACCOUNT_DYING, STATUS_BAD_STATE, SIGNAL_TERMINATED},
    {"a dead account", OBJECT_ACCOUNT, ACCOUNT_DEAD, STATUS_BAD_STATE, SIGNAL_TERMINATED},
    {"a new process", OBJECT_PROCESS, PROCESS_CREATED, STATUS_OK, SIGNAL_TERMINATED},
    {"a running process", OBJECT_PROCESS, PROCESS_RUNNING, STATUS_OK, SIGNAL_TERMINATED},
    {"an exiting process", OBJECT_PROCESS, PROCESS_EXITING, STATUS_OK, SIGNAL_TERMINATED},
    {"a dead process", OBJECT_PROCESS, PROCESS_DEAD, STATUS_OK, SIGNAL_TERMINATED},
    {"a new thread", OBJECT_THREAD, THREAD_NEW, STATUS_OK, SIGNAL_TERMINATED},
    {"a ready thread", OBJECT_THREAD, THREAD_READY, STATUS_OK, SIGNAL_TERMINATED},
    {"a running thread", OBJECT_THREAD, THREAD_RUNNING, STATUS_OK, SIGNAL_TERMINATED},
    {"a blocked thread", OBJECT_THREAD, THREAD_BLOCKED, STATUS_OK, SIGNAL_TERMINATED},
    {"a throttled thread", OBJECT_THREAD, THREAD_THROTTLED, STATUS_OK, SIGNAL_TERMINATED},
    {"an exiting thread", OBJECT_THREAD, THREAD_EXITING, STATUS_OK, SIGNAL_TERMINATED},
    {"a dead thread", OBJECT_THREAD, THREAD_DEAD, STATUS_OK, SIGNAL_TERMINATED},
    {"an address space", OBJECT_ASPACE, 0, STATUS_NOT_SUPPORTED, 0},
    {"memory", OBJECT_VMO, VMO_READY, STATUS_OK, 0},
    {"a connected channel", OBJECT_CHANNEL, CHANNEL_CONNECTED, STATUS_OK, SIGNAL_READABLE},
    {"a draining channel", OBJECT_CHANNEL, CHANNEL_DRAINING, STATUS_OK, SIGNAL_PEER_CLOSED},
    {"a port", OBJECT_PORT, 0, STATUS_OK, 0},
    {"an event", OBJECT_EVENT, 0, STATUS_OK, 1 << 3},
    {"a timer", OBJECT_TIMER, 0, STATUS_OK, SIGNAL_FIRED},
    {"an idle interrupt", OBJECT_INTERRUPT, INTERRUPT_IDLE, STATUS_OK, SIGNAL_INTERRUPT},
    {"a pending interrupt", OBJECT_INTERRUPT, INTERRUPT_PENDING, STATUS_OK, SIGNAL_INTERRUPT},
    {"one that was raised again", OBJECT_INTERRUPT, INTERRUPT_AGAIN, STATUS_OK, SIGNAL_INTERRUPT},
    {"a range of ports", OBJECT_IORANGE, 0, STATUS_OK, 0},
    {"a DMA space", OBJECT_DMASPACE, 0, STATUS_OK, 0},
    {"a pin", OBJECT_PIN, PIN_ACTIVE, STATUS_OK, 0},
    {"the machine", OBJECT_MACHINE, 0, STATUS_NOT_SUPPORTED, 0},
    {"the log", OBJECT_LOG, 0, STATUS_NOT_SUPPORTED, 0},
};

const struct subject *subject;
uint64_t it, its_process, machine, end1, its_payer;
struct actor *a, *sibling;

uint64_t new_thread(uint64_t cpu)
{
    its_process = MUST(a, PROCESS_CREATE, a->account, 0);
    uint64_t thread = MUST(a, THREAD_CREATE, its_process, 5, BUFFER);
    MUST(a, THREAD_SET_CPU, thread, cpu);
    return thread;
}

// What can be made before `a` is held.
static uint64_t make(void)
{
    uint64_t vmo, space;
    switch (subject->type) {
    case OBJECT_ACCOUNT:
        return MUST(a, ACCOUNT_CREATE, a->account, 60, 60);
    case OBJECT_PROCESS:
        its_process = MUST(a, PROCESS_CREATE, a->account, 0);
        if (subject->state != PROCESS_CREATED)
            MUST(a, HANDLE_CLOSE, MUST(a, THREAD_CREATE, its_process, 5, BUFFER));
        return its_process;
    case OBJECT_THREAD: {
        bool throttled = subject->state == THREAD_THROTTLED;
        if (throttled) // its first period is one of nothing
            MUST(world.boss, ACCOUNT_BUDGET, world.root_account, its_payer, 1, 1'000'000,
                 10'000'000);
        uint64_t thread = new_thread(subject->state == THREAD_RUNNING || throttled);
        if (subject->state == THREAD_RUNNING || subject->state == THREAD_BLOCKED || throttled)
            MUST(a, THREAD_START, thread, 0x1000, 0, 0, 0);
        return thread;
    }
    case OBJECT_ASPACE: {
        struct outcome out = CALL(a, PROCESS_CREATE, a->account, 0);
        its_process = out.value[0];
        return out.value[1];
    }
    case OBJECT_VMO:
        return MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
    case OBJECT_CHANNEL: {
        struct ends ends = new_channel(a, 2, 64, 1, 1);
        end1 = ends.end1;
        return ends.end0;
    }
    case OBJECT_PORT:
        return MUST(a, PORT_CREATE, a->account);
    case OBJECT_EVENT:
        return MUST(a, EVENT_CREATE, a->account);
    case OBJECT_TIMER:
        return MUST(a, TIMER_CREATE, a->account);
    case OBJECT_INTERRUPT:
        return MUST(a, MACHINE_INTERRUPT, machine, a->account, 10, TRIGGER_EDGE);
    case OBJECT_IORANGE:
        return MUST(a, MACHINE_IO_RANGE, machine, a->account, 0x60, 4);
    case OBJECT_DMASPACE:
        return MUST(a, MACHINE_DMA_SPACE, machine, a->account, DEVICE);
    case OBJECT_PIN:
        vmo = MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
        space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, DEVICE);
        return MUST(a, PIN_CREATE, space, a->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
    case OBJECT_MACHINE:
        return machine;
    case OBJECT_LOG:
        return grant(a, world.boss, world.log);
    case OBJECT_NONE:
    case OBJECT_MAPPING:
    case OBJECT_COUNT:
        break;
    }
    return 0;
}

// Brings it to its state: with ordinary calls, or with `a` held.
static void change(bool held)
{
    enum abi_object type = subject->type;
    unsigned state = subject->state;
    bool ends = (type == OBJECT_ACCOUNT && state >= ACCOUNT_DYING) ||
                (type == OBJECT_PROCESS && state >= PROCESS_EXITING) ||
                (type == OBJECT_THREAD && state >= THREAD_EXITING);
    bool lasts = (type == OBJECT_ACCOUNT && state == ACCOUNT_DEAD) ||
                 (type == OBJECT_PROCESS && state == PROCESS_DEAD) ||
                 (type == OBJECT_THREAD && state == THREAD_DEAD);
    if (ends && lasts && !held)
        MUST(a, OBJECT_DESTROY, it);
    else if (ends && !lasts && held)
        EXPECT_STATUS(HELD(a, OBJECT_DESTROY, it).status, OK);
    else if (type == OBJECT_THREAD && state == THREAD_READY && held)
        EXPECT_STATUS(HELD(a, THREAD_START, it, 0x1000, 0, 0, 0).status, OK);
    else if (type == OBJECT_CHANNEL && state == CHANNEL_DRAINING && !held)
        MUST(a, HANDLE_CLOSE, end1);
    if (type != OBJECT_INTERRUPT || held)
        return;
    for (unsigned raised = INTERRUPT_IDLE; raised < state; raised++) {
        host_line_pulse(10);
        settle();
    }
}

struct actor *actor_behind(uint64_t handle)
{
    for (unsigned i = 0; i < world.actor_count; i++)
        if (&world.actors[i].thread->object == object_behind(a, handle))
            return &world.actors[i];
    test_fail(__FILE__, __LINE__, "no actor is the thread");
}

unsigned state_of_it(void)
{
    struct object *object = object_behind(a, it);
    return subject->type == OBJECT_THREAD ? thread_state(thread_of(object)) : object->state;
}

void begin_subject(unsigned waiters, void (*prepare)(void))
{
    world_begin((struct world_options){.ram_bytes = 8 << 20, .cpus = 2});
    its_payer = new_account(400, 400);
    a = spawn(its_payer, 10);
    sibling = spawn_thread(a, 9);
    machine = grant(a, world.boss, world.machine);
    it = make();
    for (unsigned i = 0; i < waiters; i++)
        EXPECT_CALL(BLOCKED, spawn_thread(a, 3), OBJECT_WAIT, it, NEVER_RAISED, ABI_DEADLINE_NEVER);
    change(false);
    if (prepare)
        prepare();
    if (subject->type == OBJECT_THREAD && subject->state == THREAD_RUNNING)
        hold(actor_behind(it));
    hold(a);
    change(true);
    if (state_of_it() != subject->state)
        test_fail(__FILE__, __LINE__, "%s is in state %u", subject->name, state_of_it());
}

void end_subject(void)
{
    world_end_after_quarantine(DEVICE);
}

void expect(status_t got, status_t wanted, const char *what)
{
    if (got != wanted)
        test_fail(__FILE__, __LINE__, "%s of %s: %s, not %s", what, subject->name,
                  got < STATUS_COUNT ? abi_status_names[got] : "BLOCKED",
                  wanted < STATUS_COUNT ? abi_status_names[wanted] : "BLOCKED");
}

void for_each_subject(unsigned waiters, void (*try)(void))
{
    for (subject = subjects; subject < subjects + ARRAY_SIZE(subjects); subject++) {
        begin_subject(waiters, nullptr);
        try();
        end_subject();
    }
}

void for_each_of(enum abi_object type, void (*prepare)(void), void (*try)(void))
{
    for (subject = subjects; subject < subjects + ARRAY_SIZE(subjects); subject++) {
        if (subject->type != type)
            continue;
        begin_subject(0, prepare);
        try();
        end_subject();
    }
}
