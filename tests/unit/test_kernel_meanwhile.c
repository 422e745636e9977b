// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// What another CPU does in the middle of a call, at a chosen place or at each: the end of an object
// between the look into the handle table and the object's lock, a wait that somebody else has ended
// just now, a binding that is another one by now (see also O2, I3, I4).
#include <string.h>

#include "cpu.h"
#include "kernel_world.h"

static struct actor *user, *other; // threads of one process on CPU 0 and CPU 1
static uint64_t victim, event, port, machine;

static void begin_with(uint32_t asids)
{
    world_begin((struct world_options){.cpus = 2, .asids = asids});
    user = spawn(new_account(600, 300), 10);
    other = spawn_thread_on(1, user, 10);
    machine = grant(user, world.boss, world.machine);
    event = MUST(user, EVENT_CREATE, user->account);
}

static void begin(void)
{
    begin_with(0);
}

// ---- objects that go

static void it_goes(void)
{
    EXPECT_CALL(OK, other, OBJECT_DESTROY, victim);
}

static void it_goes_as_far_as_it_can(void)
{
    (void)CALL(other, OBJECT_DESTROY, victim);
}

static void it_goes_for_good(void)
{
    EXPECT_CALL(OK, other, OBJECT_DESTROY, victim);
    EXPECT_CALL(OK, other, HANDLE_CLOSE, victim);
}

#define EXPECT_MEANWHILE(wanted, function, nth, what, name, ...) \
    do {                                                         \
        meanwhile((void *)(function), nth, what);                \
        EXPECT_CALL(wanted, user, name, __VA_ARGS__);            \
        EXPECT(meanwhile_happened());                            \
        settle();                                                \
        EXPECT_EQUAL(user->process->handles_reserved, 0);        \
        world_check();                                           \
    } while (0)
// At the nth lock of an object, the victim is gone.
#define EXPECT_GONE(nth, name, ...) \
    EXPECT_MEANWHILE(GONE, object_lock, nth, it_goes, name, __VA_ARGS__)

TEST(a_child_goes_before_it_is_resized)
{
    begin();
    uint64_t above = new_account(50, 20);
    uint64_t below = MUST(world.boss, ACCOUNT_CREATE, above, 10, 5);
    uint64_t parent = grant(user, world.boss, above), child = grant(user, world.boss, below);
    victim = child;
    MUST(world.boss, HANDLE_CLOSE, below);
    meanwhile((void *)object_lock, 1, it_goes_for_good);
    EXPECT_CALL(GONE, user, ACCOUNT_RESIZE, parent, child, 1, 1);
    EXPECT(meanwhile_happened());
    settle();
    world_end();
}

TEST(a_child_goes_before_its_share_is_set)
{
    begin();
    uint64_t above = new_account(50, 20);
    uint64_t below = MUST(world.boss, ACCOUNT_CREATE, above, 10, 5);
    uint64_t parent = grant(user, world.boss, above), child = grant(user, world.boss, below);
    victim = child;
    MUST(world.boss, HANDLE_CLOSE, below);
    meanwhile((void *)object_lock, 1, it_goes_for_good);
    EXPECT_CALL(GONE, user, ACCOUNT_BUDGET, parent, child, 0, 1'000'000, 10'000'000);
    EXPECT(meanwhile_happened());
    victim = parent;
    MUST(world.boss, HANDLE_CLOSE, above);
    meanwhile((void *)object_lock, 1, it_goes_for_good);
    EXPECT_CALL(GONE, user, ACCOUNT_CPU, parent, 0);
    EXPECT(meanwhile_happened());
    settle();
    world_end();
}

// The victim's slot is another account's, and this one has a child.
static uint64_t heir;

static void another_takes_its_place(void)
{
    const struct object *slot = object_behind(user, victim);
    it_goes_for_good();
    uint64_t again;
    do
        again = MUST(other, ACCOUNT_CREATE, user->account, 20, 10);
    while (object_behind(user, again) != slot);
    heir = MUST(other, ACCOUNT_CREATE, again, 10, 5);
}

// Whoever had a handle to the parent that was there before has no say about the child of the one that is
// there now. Which handle the child gets shows the first time.
TEST(a_parent_is_another_one_before_its_child_is_looked_up)
{
    for (unsigned call = 0; call < 2; call++) {
        heir = 0;
        for (unsigned i = 0; i < 2; i++) {
            begin();
            victim = MUST(user, ACCOUNT_CREATE, user->account, 20, 10);
            uint64_t expected = heir;
            meanwhile((void *)handle_lookup, 2, another_takes_its_place);
            struct outcome out =
                call ? CALL(user, ACCOUNT_BUDGET, victim, expected, 0, 1'000'000, 10'000'000)
                     : CALL(user, ACCOUNT_RESIZE, victim, expected, 1, 1);
            EXPECT(meanwhile_happened());
            if (i == 0)
                EXPECT_STATUS(out.status, BAD_HANDLE);
            else
                EXPECT_STATUS(out.status, INVALID);
            EXPECT(i == 0 || heir == expected);
            settle();
            world_end();
        }
    }
}

static void its_process_goes(void)
{
    EXPECT_CALL(OK, other, OBJECT_DESTROY, victim);
    settle();
}

TEST(an_address_space_goes_before_it_is_locked)
{
    begin();
    uint64_t vmo = MUST(user, VMO_CREATE, user->account, PAGE_SIZE, 0);
    for (unsigned i = 0; i < 3; i++) {
        struct outcome out = CALL(user, PROCESS_CREATE, user->account, 0);
        victim = out.value[0];
        MUST(user, VM_MAP, out.value[1], vmo, 0, 0x4000'0000, PAGE_SIZE, PROT_READ);
        if (i == 0)
            EXPECT_MEANWHILE(GONE, object_lock, 1, its_process_goes, VM_PROTECT, out.value[1],
                             0x4000'0000, PROT_READ);
        else if (i == 1)
            EXPECT_MEANWHILE(GONE, object_lock, 1, its_process_goes, VM_UNMAP, out.value[1],
                             0x4000'0000);
        else
            EXPECT_MEANWHILE(GONE, object_lock, 1, its_process_goes, VM_MAP, out.value[1], vmo, 0,
                             0x5000'0000, PAGE_SIZE, PROT_READ);
    }
    // What no mapping can have is told before it is looked at.
    struct outcome out = CALL(user, PROCESS_CREATE, user->account, 0);
    victim = out.value[0];
    meanwhile((void *)object_lock, 1, its_process_goes);
    EXPECT_CALL(INVALID, user, VM_PROTECT, out.value[1], 0x4000'0000, PROT_WRITE);
    EXPECT(!meanwhile_happened());
    meanwhile(nullptr, 0, nullptr);
    world_end();
}

// What was made of the process is taken back, its address-space number too.
TEST(the_place_for_faults_goes_before_it_is_taken)
{
    begin_with(4);
    for (unsigned i = 0; i < 8; i++) {
        struct ends ends = new_channel(user, 1, 64, 0, 1);
        victim = ends.end0;
        EXPECT_MEANWHILE(GONE, object_new, 1, it_goes, PROCESS_CREATE, user->account, ends.end0);
    }
    EXPECT_CALL(OK, user, PROCESS_CREATE, user->account, 0);
    world_end();
}

TEST(an_end_goes_before_its_peer_is_locked)
{
    begin();
    struct ends ends = new_channel(user, 1, 64, 0, 1);
    victim = ends.end0;
    EXPECT_GONE(2, CHANNEL_SEND, ends.end0, MSG(1, 0), 0);
    ends = new_channel(user, 1, 64, 0, 1);
    victim = ends.end0;
    EXPECT_GONE(2, CHANNEL_CALL, ends.end0, MSG(1, 0), ABI_DEADLINE_NEVER);
    world_end();
}

TEST(gone_before_it_is_locked)
{
    begin();
    victim = port = MUST(user, PORT_CREATE, user->account);
    EXPECT_MEANWHILE(GONE, object_lock_inner, 1, it_goes, PORT_BIND, port, event, 1, 1);
    victim = event;
    port = MUST(user, PORT_CREATE, user->account);
    EXPECT_GONE(1, PORT_BIND, port, event, 1, 1);
    victim = event = MUST(user, EVENT_CREATE, user->account);
    MUST(user, PORT_BIND, port, event, 1, 1);
    EXPECT_GONE(1, PORT_UNBIND, event);
    struct ends ends = new_channel(user, 1, 64, 0, 1);
    victim = ends.end0;
    EXPECT_GONE(1, CHANNEL_REPLY, ends.end0, 0, 0);
    ends = new_channel(user, 1, 64, 1, 1);
    victim = ends.end0;
    EXPECT_MEANWHILE(PEER_CLOSED, object_lock, 2, it_goes, CHANNEL_CALL, ends.end1,
                     1ull << MSG_REPLY_HANDLES_SHIFT, ABI_DEADLINE_NEVER);
    victim = MUST(user, MACHINE_IO_RANGE, machine, user->account, 0x100, 8);
    EXPECT_GONE(1, IO_READ, victim, 0, 1);
    victim = MUST(user, MACHINE_IO_RANGE, machine, user->account, 0x100, 8);
    host_io[0x100] = 7;
    EXPECT_GONE(1, IO_WRITE, victim, 0, 1, 5);
    EXPECT_EQUAL(host_io[0x100], 7);
    world_end();
}

TEST(gone_before_it_is_used)
{
    begin();
    victim = MUST(user, EVENT_CREATE, user->account);
    EXPECT_GONE(1, EVENT_CLEAR, victim, 1);
    victim = MUST(user, EVENT_CREATE, user->account);
    EXPECT_GONE(1, HANDLE_DUPLICATE, victim, RIGHT_WAIT);
    victim = MUST(user, PORT_CREATE, user->account);
    EXPECT_GONE(1, PORT_RECEIVE, victim, ABI_DEADLINE_NEVER);
    struct ends ends = new_channel(user, 1, 64, 0, 1);
    victim = ends.end0;
    EXPECT_GONE(1, CHANNEL_RECEIVE, ends.end0, ABI_DEADLINE_NEVER);
    ends = new_channel(user, 1, 64, 0, 1);
    victim = ends.end0;
    EXPECT_MEANWHILE(PEER_CLOSED, object_lock, 2, it_goes, CHANNEL_SEND, ends.end1, MSG(1, 0), 0);
    victim = MUST(user, MACHINE_INTERRUPT, machine, user->account, 40, TRIGGER_EDGE);
    EXPECT_GONE(1, INTERRUPT_ACKNOWLEDGE, victim);
    uint64_t space = MUST(user, MACHINE_DMA_SPACE, machine, user->account, 7);
    uint64_t vmo = MUST(user, VMO_CREATE, user->account, PAGE_SIZE, 0);
    for (unsigned i = 0; i < 2; i++) {
        victim = MUST(user, PIN_CREATE, space, user->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
        if (i == 0)
            EXPECT_GONE(1, PIN_ADDRESSES, victim, 0);
        else
            EXPECT_GONE(1, PIN_RELEASE, victim);
    }
    struct outcome made = CALL(user, PROCESS_CREATE, user->account, 0);
    victim = made.value[0];
    EXPECT_GONE(1, VM_PROTECT, made.value[1], 0x5000'0000, PROT_READ);
    world_end_after_quarantine(7);
}

TEST(gone_before_it_is_mapped_or_pinned)
{
    begin();
    uint64_t at = 0x5000'0000;
    uint64_t space = MUST(user, MACHINE_DMA_SPACE, machine, user->account, 7);
    uint64_t vmo = victim = MUST(user, VMO_CREATE, user->account, PAGE_SIZE, 0);
    EXPECT_MEANWHILE(GONE, object_lock_inner, 1, it_goes, VM_MAP, user->own_aspace, vmo, 0, at,
                     PAGE_SIZE, PROT_READ);
    vmo = victim = MUST(user, VMO_CREATE, user->account, PAGE_SIZE, 0);
    EXPECT_GONE(1, PIN_CREATE, space, user->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
    vmo = victim = MUST(user, VMO_CREATE, user->account, PAGE_SIZE, 0);
    EXPECT_GONE(4, PIN_CREATE, space, user->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
    vmo = MUST(user, VMO_CREATE, user->account, PAGE_SIZE, 0);
    uint64_t pin = victim =
        MUST(user, PIN_CREATE, space, user->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
    EXPECT_GONE(1, PIN_SYNC, pin, 0, PAGE_SIZE, SYNC_CPU);
    victim = space;
    EXPECT_GONE(2, PIN_CREATE, space, user->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
    // An address space goes with its process.
    struct outcome made = CALL(user, PROCESS_CREATE, user->account, 0);
    victim = made.value[0];
    EXPECT_GONE(1, VM_UNMAP, made.value[1], at);
    made = CALL(user, PROCESS_CREATE, user->account, 0);
    victim = made.value[0];
    EXPECT_GONE(1, VM_MAP, made.value[1], vmo, 0, at, PAGE_SIZE, PROT_READ);
    world_end_after_quarantine(7);
}

TEST(who_pays_goes)
{
    begin();
    for (unsigned i = 0; i < 4; i++) {
        victim = MUST(user, ACCOUNT_CREATE, user->account, 20, 20);
        if (i == 0)
            EXPECT_MEANWHILE(GONE, object_lock, 1, it_goes_for_good, EVENT_CREATE, victim);
        else if (i == 1)
            EXPECT_MEANWHILE(GONE, object_lock, 1, it_goes_for_good, ACCOUNT_CREATE, victim, 5, 5);
        else if (i == 2)
            EXPECT_MEANWHILE(GONE, object_lock, 1, it_goes_for_good, PROCESS_CREATE, victim, 0);
        else // what was made has gone before its handle is there
            EXPECT_MEANWHILE(OK, object_lock, 2, it_goes_for_good, EVENT_CREATE, victim);
    }
    EXPECT_CALL(GONE, user, EVENT_SIGNAL, user->out.value[0], 1);
    victim = MUST(user, ACCOUNT_CREATE, user->account, 20, 20);
    EXPECT_MEANWHILE(BAD_STATE, object_lock, 1, it_goes_for_good, OBJECT_DESTROY, victim);
    // What it has paid for already keeps it until that goes with it, or is given back.
    victim = MUST(user, ACCOUNT_CREATE, user->account, 20, 20);
    EXPECT_MEANWHILE(OK, object_publish, 1, it_goes, EVENT_CREATE, victim);
    EXPECT_CALL(GONE, user, EVENT_SIGNAL, user->out.value[0], 1);
    MUST(user, OBJECT_WAIT, victim, SIGNAL_TERMINATED, 0);
    world_end();
}

TEST(the_last_charge_is_given_back)
{
    world_begin((struct world_options){.cpus = 2, .asids = 2}); // the boss's, and the user's
    user = spawn(new_account(600, 300), 10);
    other = spawn_thread_on(1, user, 10);
    victim = MUST(user, ACCOUNT_CREATE, user->account, 20, 20);
    EXPECT_MEANWHILE(NO_RESOURCE, account_uncharge, 1, it_goes, PROCESS_CREATE, victim, 0);
    MUST(user, OBJECT_WAIT, victim, SIGNAL_TERMINATED, 0);
    world_end();
}

TEST(a_thread_goes)
{
    begin();
    uint64_t process = CALL(user, PROCESS_CREATE, user->account, 0).value[0];
    for (unsigned i = 0; i < 4; i++) {
        victim = MUST(other, THREAD_CREATE, process, 5, 0x80'0000);
        MUST(other, THREAD_CREATE, process, 5,
             0x90'0000 + i * PAGE_SIZE); // or the process ends, too
        if (i == 0)
            EXPECT_MEANWHILE(GONE, object_lock, 1, it_goes_for_good, THREAD_START, victim, 0x1000,
                             0, 0, 0);
        else if (i == 1)
            EXPECT_MEANWHILE(GONE, object_lock, 1, it_goes_for_good, THREAD_CANCEL, victim);
        else if (i == 2)
            EXPECT_MEANWHILE(GONE, object_lock, 1, it_goes_for_good, THREAD_SET_PRIORITY, victim,
                             3);
        else
            EXPECT_MEANWHILE(GONE, object_lock, 1, it_goes_for_good, THREAD_SET_CPU, victim, 1);
    }
    world_end();
}

// ---- slots that are another object's by now

static struct object *slot;
static bool slot_is_locked;

static void the_slot_is_anothers(void)
{
    it_goes_for_good();
    uint64_t id = slot->id;
    for (unsigned i = 0; slot->id == id && i < 100; i++)
        MUST(other, EVENT_CREATE, other->account);
    EXPECT(slot->id != id && slot->type == OBJECT_EVENT);
    if (slot_is_locked) // by somebody who may be waiting for what we hold
        slot->lock.next++;
}

static void expect_gone_at_once(uint64_t number, const uint64_t arguments[6])
{
    slot = object_behind(user, victim);
    meanwhile((void *)object_lock_inner, 1, the_slot_is_anothers);
    EXPECT_STATUS(call_number(user, number, arguments).status, GONE);
    EXPECT(meanwhile_happened());
    if (slot_is_locked)
        slot->lock.serving++;
    settle();
    world_check();
}

TEST(a_lock_of_another_object_is_not_waited_for)
{
    begin();
    for (unsigned i = 0; i < 2; i++) {
        slot_is_locked = i == 1;
        victim = MUST(user, VMO_CREATE, user->account, PAGE_SIZE, 0);
        expect_gone_at_once(SYSCALL_VM_MAP, ARGUMENTS(user->own_aspace, victim, 0, 0x5000'0000,
                                                      PAGE_SIZE, PROT_READ));
        victim = MUST(user, PORT_CREATE, user->account);
        expect_gone_at_once(SYSCALL_PORT_BIND, ARGUMENTS(victim, event, 1, 1));
    }
    world_end();
}

static void the_slot_is_locked(void)
{
    slot->lock.next++;
}

static void the_slot_is_unlocked(void)
{
    slot->lock.serving++;
    host_on_relax = nullptr;
}

static void expect_it_waits(uint64_t number, const uint64_t arguments[6])
{
    slot = object_behind(user, victim);
    meanwhile((void *)object_lock_inner, 1, the_slot_is_locked);
    host_on_relax = the_slot_is_unlocked;
    EXPECT_STATUS(call_number(user, number, arguments).status, OK);
    EXPECT(meanwhile_happened() && !host_on_relax);
}

TEST(a_lock_of_the_same_object_is_waited_for)
{
    begin();
    victim = MUST(user, VMO_CREATE, user->account, PAGE_SIZE, 0);
    expect_it_waits(SYSCALL_VM_MAP,
                    ARGUMENTS(user->own_aspace, victim, 0, 0x5000'0000, PAGE_SIZE, PROT_READ));
    victim = MUST(user, PORT_CREATE, user->account);
    expect_it_waits(SYSCALL_PORT_BIND, ARGUMENTS(victim, event, 1, 1));
    world_end();
}

// The account of a process goes while a thread is made in it.
TEST(who_pays_for_a_process_goes_under_a_new_thread)
{
    begin();
    unsigned seen[STATUS_COUNT] = {};
    for (unsigned nth = 1;; nth++) {
        victim = MUST(user, ACCOUNT_CREATE, user->account, 60, 40);
        struct outcome made = CALL(user, PROCESS_CREATE, victim, 0);
        EXPECT_STATUS(made.status, OK);
        meanwhile((void *)object_lock, nth, it_goes_for_good);
        struct outcome out = CALL(user, THREAD_CREATE, made.value[0], 5, 0x80'0000);
        bool happened = meanwhile_happened();
        meanwhile(nullptr, 0, nullptr);
        settle();
        seen[out.status]++;
        EXPECT(out.status == STATUS_OK || out.status == STATUS_BAD_STATE);
        EXPECT_EQUAL(user->process->handles_reserved, 0);
        if (!happened)
            it_goes_for_good();
        MUST(user, HANDLE_CLOSE, made.value[0]);
        MUST(user, HANDLE_CLOSE, made.value[1]);
        if (out.status == STATUS_OK)
            MUST(user, HANDLE_CLOSE, out.value[0]);
        world_check();
        if (!happened)
            break;
    }
    EXPECT(seen[STATUS_OK] && seen[STATUS_BAD_STATE]);
    world_end();
}

// ---- waits that have ended

static struct actor *waiter; // of another process, on CPU 1
static uint64_t waiting;     // user's and other's handle to it

static void begin_waiter(void)
{
    begin();
    waiter = spawn_on(1, new_account(300, 100), 12);
    waiting = grant(user, waiter, waiter->own_thread);
}

// The waiter's wait is over, but it has not left yet.
static void it_is_cancelled(void)
{
    (void)CALL(other, THREAD_CANCEL, waiting);
}

// In the call, `user` is the second to end a wait: the first was its own, when it began.
#define EXPECT_LATE(wanted, what, name, ...)          \
    do {                                              \
        meanwhile((void *)thread_win, 2, what);       \
        EXPECT_CALL(wanted, user, name, __VA_ARGS__); \
        EXPECT(meanwhile_happened());                 \
        settle();                                     \
        EXPECT_STATUS(ended(other).status, OK);       \
    } while (0)

TEST(too_late_for_who_waits)
{
    begin_waiter();
    uint64_t theirs = grant(waiter, user, event);
    EXPECT_CALL(BLOCKED, waiter, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
    EXPECT_LATE(OK, it_is_cancelled, EVENT_SIGNAL, event, 1);
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    EXPECT_CALL(BLOCKED, waiter, OBJECT_WAIT, theirs, 2, ABI_DEADLINE_NEVER);
    EXPECT_LATE(OK, it_is_cancelled, OBJECT_DESTROY, event);
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    // What a port has to tell waits for the next.
    event = MUST(user, EVENT_CREATE, user->account);
    port = MUST(user, PORT_CREATE, user->account);
    theirs = grant(waiter, user, port);
    MUST(user, PORT_BIND, port, event, 7, 1);
    EXPECT_CALL(BLOCKED, waiter, PORT_RECEIVE, theirs, ABI_DEADLINE_NEVER);
    EXPECT_LATE(OK, it_is_cancelled, EVENT_SIGNAL, event, 1);
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    EXPECT_EQUAL(MUST(user, PORT_RECEIVE, port, 0), 7);
    world_end();
}

TEST(too_late_for_who_receives)
{
    begin_waiter();
    struct ends ends = new_channel(user, 2, 64, 1, 1);
    uint64_t theirs = grant(waiter, user, ends.end1);
    EXPECT_CALL(BLOCKED, waiter, CHANNEL_RECEIVE, theirs, ABI_DEADLINE_NEVER);
    EXPECT_LATE(OK, it_is_cancelled, CHANNEL_SEND, ends.end0, MSG(0, 0));
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    EXPECT_CALL(OK, waiter, CHANNEL_RECEIVE, theirs, 0); // it is still there
    EXPECT_CALL(BLOCKED, waiter, CHANNEL_RECEIVE, theirs, ABI_DEADLINE_NEVER);
    EXPECT_LATE(OK, it_is_cancelled, OBJECT_DESTROY, ends.end0);
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    world_end();
}

TEST(too_late_for_who_calls)
{
    begin_waiter();
    struct ends ends = new_channel(user, 2, 64, 1, 1);
    uint64_t theirs = grant(waiter, user, ends.end1);
    EXPECT_CALL(BLOCKED, waiter, CHANNEL_CALL, theirs, MSG(0, 0) | 1ull << MSG_REPLY_HANDLES_SHIFT,
                ABI_DEADLINE_NEVER);
    uint64_t token = CALL(user, CHANNEL_RECEIVE, ends.end0, 0).value[1];
    set_handles(user, 1, &event);
    EXPECT_LATE(CANCELLED, it_is_cancelled, CHANNEL_REPLY, ends.end0, token, MSG(0, 1));
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    MUST(user, EVENT_SIGNAL, event, 1); // it was given back
    (void)CALL(user, CHANNEL_REPLY, ends.end0, token, 0);
    EXPECT_CALL(BLOCKED, waiter, CHANNEL_CALL, theirs, MSG(0, 0), ABI_DEADLINE_NEVER);
    EXPECT_LATE(OK, it_is_cancelled, OBJECT_DESTROY, ends.end0);
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    world_end();
}

static void win_it(void)
{
    EXPECT(thread_win(waiter->thread));
}

static void it_leaves(void)
{
    thread_end_wait(waiter->thread, STATUS_CANCELLED);
}

// Who receives is told by the one that was first, when that comes to it.
TEST(too_late_for_who_hears_that_the_peer_is_gone)
{
    begin_waiter();
    struct ends ends = new_channel(user, 2, 64, 1, 1);
    EXPECT_CALL(BLOCKED, waiter, CHANNEL_RECEIVE, grant(waiter, user, ends.end1),
                ABI_DEADLINE_NEVER);
    on_cpu(1, win_it);
    MUST(user, OBJECT_DESTROY, ends.end0);
    EXPECT(waiter->calling);
    on_cpu(1, it_leaves);
    settle();
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    world_end();
}

static void it_is_killed(void)
{
    (void)CALL(other, OBJECT_DESTROY, waiting);
}

TEST(too_late_for_who_faulted)
{
    begin();
    struct ends ends = new_channel(user, 2, 64, 1, 1);
    struct outcome made = CALL(user, PROCESS_CREATE, user->account, ends.end1, 0);
    waiting = MUST(other, THREAD_CREATE, made.value[0], 5, 0x80'0000);
    MUST(other, THREAD_START, waiting, 0x1000, 0, 0, 0);
    waiter = &world.actors[world.actor_count - 1];
    raise_fault(waiter, FAULT_READ, 0);
    uint64_t token = CALL(user, CHANNEL_RECEIVE, ends.end0, 0).value[1], action = FAULT_RESUME;
    memcpy(user->thread->message->data, &action, sizeof action);
    EXPECT_LATE(CANCELLED, it_is_killed, CHANNEL_REPLY, ends.end0, token, MSG(8, 0));
    EXPECT(is_dead(waiter));
    world_end();
}

// Who waits for a VMO has moved to another CPU, and is killed there.
TEST(too_late_for_who_waits_for_a_vmo)
{
    begin();
    struct actor *filler = spawn_thread(user, 9), *high = spawn_thread(user, 20);
    waiting = filler->own_thread;
    hold_after(high, 1);
    (void)CALL(filler, VMO_CREATE, user->account, 100 * PAGE_SIZE, 0);
    EXPECT(filler->calling && steps_left() == 0);
    const struct object *vmo = filler->thread->wait_object;
    EXPECT_STATUS(HELD(high, THREAD_SET_CPU, waiting, 1).status, OK);
    filler->cpu = 1;
    meanwhile((void *)thread_win, 1, it_is_killed);
    hold_after(high, 0);
    settle();
    EXPECT(meanwhile_happened());
    EXPECT(is_dead(filler));
    EXPECT_EQUAL(vmo->life, LIFE_FREE);
    EXPECT_EQUAL(user->process->handles_reserved, 0);
    world_check();
    world_end();
}

static struct object *dying;

static void kill_it(void)
{
    EXPECT(object_kill(object_reference(dying), 10));
}

// Kills an object in whose queue is the waiter, whose wait is over: it stays until that has left.
static void expect_to_wait(uint64_t handle)
{
    dying = object_behind(user, handle);
    on_cpu(1, win_it);
    on_cpu(0, kill_it);
    EXPECT_EQUAL(dying->life, LIFE_DYING);
    on_cpu(1, it_leaves);
    settle();
    EXPECT_EQUAL(dying->life, LIFE_FREE);
    EXPECT_STATUS(ended(waiter).status, CANCELLED);
    MUST(user, HANDLE_CLOSE, handle);
    world_check();
}

TEST(an_object_waits_for_who_leaves_it)
{
    begin_waiter();
    for (unsigned i = 0; i < 2; i++) {
        struct ends ends = new_channel(user, 2, 64, 1, 1);
        uint64_t theirs = grant(waiter, user, ends.end1);
        EXPECT_CALL(BLOCKED, waiter, CHANNEL_CALL, theirs, MSG(0, 0), ABI_DEADLINE_NEVER);
        expect_to_wait(i == 0 ? ends.end0 : ends.end1);
        MUST(user, HANDLE_CLOSE, i == 0 ? ends.end1 : ends.end0);
    }
    struct ends ends = new_channel(user, 2, 64, 1, 1);
    EXPECT_CALL(BLOCKED, waiter, CHANNEL_RECEIVE, grant(waiter, user, ends.end1),
                ABI_DEADLINE_NEVER);
    expect_to_wait(ends.end1);
    EXPECT_CALL(BLOCKED, waiter, OBJECT_WAIT, grant(waiter, user, event), 1, ABI_DEADLINE_NEVER);
    expect_to_wait(event);
    port = MUST(user, PORT_CREATE, user->account);
    EXPECT_CALL(BLOCKED, waiter, PORT_RECEIVE, grant(waiter, user, port), ABI_DEADLINE_NEVER);
    expect_to_wait(port);
    world_end();
}

// ---- an operation that is resumed in the middle of its step

static void nothing(void)
{
}

static void the_others_run(void)
{
    settle();
}

TEST(the_threads_end_at_each_point_of_their_process_end)
{
    begin();
    bool happened = true;
    for (unsigned nth = 1; happened; nth++) {
        uint64_t account = new_account(60, 40);
        struct actor *there = spawn_on(1, account, 10);
        uint64_t process = grant(user, there, there->own_process);
        meanwhile(nullptr, nth, the_others_run);
        MUST(user, OBJECT_DESTROY, process);
        happened = meanwhile_happened();
        meanwhile(nullptr, 0, nullptr);
        settle();
        MUST(user, OBJECT_WAIT, process, SIGNAL_TERMINATED, 0);
        MUST(user, HANDLE_CLOSE, process);
        MUST(world.boss, OBJECT_DESTROY, account);
        MUST(world.boss, HANDLE_CLOSE, account);
        for (unsigned i = 0; i < 3; i++)
            MUST(world.boss, HANDLE_CLOSE,
                 i == 0   ? there->process_handle
                 : i == 1 ? there->aspace_handle
                          : there->thread_handle);
        if (nth % 64 == 0)
            world_check();
    }
    world_end();
}

// What another CPU lets go on comes behind those that are ready, of the same priority.
TEST(what_is_resumed_takes_its_turn)
{
    begin();
    struct actor *next = spawn_thread(user, 10), *there = spawn_on(1, new_account(60, 40), 10);
    uint64_t process = grant(user, there, there->own_process);
    const struct process *ends = there->process;
    EXPECT_CALL(BLOCKED, next, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
    hold(user);
    EXPECT_STATUS(HELD(user, OBJECT_DESTROY, process).status, OK);
    for (unsigned i = 0; i < 3; i++) // until it waits for its thread
        (void)HELD(user, THREAD_YIELD);
    EXPECT_EQUAL(ends->object.operation.phase, OPERATION_PARKED);
    next->held = true;
    EXPECT_STATUS(HELD(user, EVENT_SIGNAL, event, 1).status, OK);
    on_cpu(1, nothing);
    (void)HELD(user, THREAD_YIELD);
    EXPECT(cpus[0]->current == next->thread);
    EXPECT_EQUAL(ends->object.operation.phase, OPERATION_QUEUED);
    EXPECT_EQUAL(ends->close_cursor, 0);
    settle();
    world_end();
}

TEST(what_was_flushed_takes_its_turn)
{
    begin_with(UINT32_MAX); // where a flush is asked for
    struct actor *runs = spawn_thread(user, 10), *next = spawn_thread(user, 10);
    uint64_t vmo = MUST(user, VMO_CREATE, user->account, PAGE_SIZE, 0);
    MUST(user, VM_MAP, user->own_aspace, vmo, 0, 0x5000'0000, PAGE_SIZE, PROT_READ);
    const struct vmo *mapped = vmo_of(object_behind(user, vmo));
    EXPECT_CALL(BLOCKED, runs, OBJECT_WAIT, event, 2, ABI_DEADLINE_NEVER);
    EXPECT_CALL(BLOCKED, next, OBJECT_WAIT, event, 3, ABI_DEADLINE_NEVER);
    hold(other); // the other CPU is in the address space
    hold(user);
    runs->held = next->held = true;
    EXPECT_STATUS(HELD(user, EVENT_SIGNAL, event, 2).status, OK);
    EXPECT_STATUS(HELD(user, VM_UNMAP, user->own_aspace, 0x5000'0000).status, BLOCKED);
    EXPECT(cpus[0]->current == runs->thread);
    EXPECT_EQUAL(mapped->mapping_count, 1);
    on_cpu(1, nothing);
    (void)HELD(runs, THREAD_YIELD);
    EXPECT(cpus[0]->current == next->thread);
    EXPECT_EQUAL(mapped->mapping_count, 1);
    (void)HELD(next, THREAD_YIELD);
    EXPECT(cpus[0]->current == runs->thread);
    EXPECT_EQUAL(mapped->mapping_count, 0);
    settle();
    world_end();
}

// ---- a slot of the handle table

static uint64_t used, used_again;

static void it_is_used_again(void)
{
    if (CALL(other, HANDLE_CLOSE, used).status == STATUS_OK)
        used_again = MUST(other, EVENT_CREATE, other->account);
}

// The table is full: what is closed is used again at once.
TEST(a_slot_is_used_again_under_a_lookup)
{
    world_begin((struct world_options){.cpus = 2});
    user = spawn(new_account(9, 300), 10); // one page of handles, and none for another
    other = spawn_thread_on(1, user, 10);
    used = MUST(user, EVENT_CREATE, user->account);
    while (CALL(user, HANDLE_DUPLICATE, used, 0).status == STATUS_OK) {}
    EXPECT_EQUAL(user->process->handles_used, HANDLES_PER_PAGE);
    unsigned seen[STATUS_COUNT] = {};
    bool happened = true;
    for (unsigned nth = 1; happened; nth++) {
        used_again = 0;
        meanwhile(nullptr, nth, it_is_used_again);
        struct outcome out = CALL(user, EVENT_SIGNAL, used, 1);
        happened = meanwhile_happened() && used_again;
        meanwhile(nullptr, 0, nullptr);
        settle();
        seen[out.status]++;
        EXPECT(out.status == STATUS_OK || out.status == STATUS_BAD_HANDLE ||
               out.status == STATUS_GONE);
        if (!happened)
            break;
        EXPECT_EQUAL((uint32_t)used_again, (uint32_t)used);
        EXPECT_EQUAL(MUST(user, EVENT_CLEAR, used_again, 1), 0); // it was never meant
        used = used_again;
    }
    EXPECT(seen[STATUS_OK] && seen[STATUS_BAD_HANDLE]);
    world_end();
}

// ---- bindings

static uint64_t second_port;

static void it_is_bound_elsewhere(void)
{
    if (CALL(other, PORT_UNBIND, event).status == STATUS_OK)
        EXPECT_CALL(OK, other, PORT_BIND, second_port, event, 9, 1);
}

// Whatever another CPU did meanwhile, the event is bound to the second port in the end, and told there.
static void expect_bound_elsewhere(void)
{
    meanwhile(nullptr, 0, nullptr);
    settle();
    (void)CALL(user, PORT_UNBIND, event);
    MUST(user, PORT_BIND, second_port, event, 9, 1);
    EXPECT_EQUAL(MUST(user, PORT_RECEIVE, second_port, 0), 9);
    MUST(user, PORT_UNBIND, event);
    world_check();
}

TEST(what_a_port_has_to_tell_is_bound_elsewhere)
{
    begin();
    port = MUST(user, PORT_CREATE, user->account);
    second_port = MUST(user, PORT_CREATE, user->account);
    MUST(user, EVENT_SIGNAL, event, 1);
    unsigned seen[STATUS_COUNT] = {};
    bool happened = true;
    for (unsigned nth = 1; happened; nth++) {
        MUST(user, PORT_BIND, port, event, 7, 1);
        meanwhile((void *)lock_acquire, nth, it_is_bound_elsewhere);
        struct outcome out = CALL(user, PORT_RECEIVE, port, 0);
        happened = meanwhile_happened();
        seen[out.status]++;
        EXPECT(out.status == STATUS_OK || out.status == STATUS_TIMED_OUT);
        if (out.status == STATUS_OK)
            EXPECT_EQUAL(out.value[0], 7);
        expect_bound_elsewhere();
    }
    EXPECT(seen[STATUS_OK] && seen[STATUS_TIMED_OUT]);
    world_end();
}

TEST(what_a_port_that_ends_had_bound_is_bound_elsewhere)
{
    begin();
    second_port = MUST(user, PORT_CREATE, user->account);
    MUST(user, EVENT_SIGNAL, event, 1);
    bool happened = true;
    for (unsigned nth = 1; happened; nth++) {
        port = MUST(user, PORT_CREATE, user->account);
        MUST(user, PORT_BIND, port, event, 7, 1);
        meanwhile((void *)lock_acquire, nth, it_is_bound_elsewhere);
        MUST(user, OBJECT_DESTROY, port);
        happened = meanwhile_happened();
        settle();
        if (happened && !has_ended(other))
            test_fail(__FILE__, __LINE__, "the other waits for ever");
        if (happened && other->number == SYSCALL_PORT_BIND) // it is not the old port's to unbind
            EXPECT_EQUAL(MUST(user, PORT_RECEIVE, second_port, 0), 9);
        expect_bound_elsewhere();
        MUST(user, HANDLE_CLOSE, port);
    }
    world_end();
}

TEST(what_a_port_that_ends_had_bound_goes)
{
    begin();
    bool happened = true;
    for (unsigned nth = 1; happened; nth++) {
        port = MUST(user, PORT_CREATE, user->account);
        victim = event = MUST(user, EVENT_CREATE, user->account);
        MUST(user, PORT_BIND, port, event, 7, 1);
        uint32_t objects = objects_free();
        meanwhile((void *)lock_acquire, nth, it_goes_as_far_as_it_can);
        MUST(user, OBJECT_DESTROY, port);
        happened = meanwhile_happened();
        meanwhile(nullptr, 0, nullptr);
        settle();
        if (!happened)
            it_goes();
        EXPECT_EQUAL(objects_free(), objects + 2);
        MUST(user, HANDLE_CLOSE, port);
        MUST(user, HANDLE_CLOSE, event);
        world_check();
    }
    world_end();
}

// ---- lines

static uint64_t line, next_line;

static void the_line_is_anothers(void)
{
    EXPECT_CALL(OK, other, OBJECT_DESTROY, line);
    next_line = MUST(other, MACHINE_INTERRUPT, machine, user->account, 10, TRIGGER_EDGE);
}

static void the_line_is_nobodys(void)
{
    EXPECT_CALL(OK, other, OBJECT_DESTROY, line);
}

TEST(an_interrupt_of_one_that_goes)
{
    begin();
    line = MUST(user, MACHINE_INTERRUPT, machine, user->account, 10, TRIGGER_EDGE);
    meanwhile((void *)object_lock, 1, the_line_is_anothers);
    host_line_pulse(10);
    settle();
    EXPECT(meanwhile_happened());
    EXPECT(!host_lines[10].masked); // its new owner hears the next
    host_line_pulse(10);
    settle();
    EXPECT_EQUAL(MUST(user, INTERRUPT_ACKNOWLEDGE, next_line), 1);
    line = next_line;
    meanwhile((void *)object_lock, 1, the_line_is_nobodys);
    host_line_pulse(10);
    settle();
    EXPECT(meanwhile_happened());
    EXPECT(host_lines[10].masked);
    // Its end has begun, and goes on when the caller leaves the CPU: the line is masked until then.
    line = MUST(user, MACHINE_INTERRUPT, machine, user->account, 10, TRIGGER_EDGE);
    hold(user);
    EXPECT_STATUS(HELD(user, OBJECT_DESTROY, line).status, OK);
    EXPECT(!host_lines[10].masked);
    host_line_pulse(10);
    on_cpu(0, nothing);
    EXPECT(host_lines[10].masked);
    settle();
    world_end();
}

// ---- a thread that goes while it is started

static struct thread *starting;

static void its_process_ends(void)
{
    EXPECT_CALL(OK, other, OBJECT_DESTROY, victim);
    EXPECT(starting->left && thread_state(starting) == THREAD_EXITING);
    EXPECT(starting->buffer_mapping.object); // it still has its context
}

static void another_closes_the_gift(void)
{
    EXPECT_CALL(OK, other, HANDLE_CLOSE, event);
}

// Until the caller is done with it, what it has stays. From the end of its process on nothing is put
// into the process's table.
TEST(a_start_against_the_end)
{
    world_begin((struct world_options){.cpus = 3});
    user = spawn(new_account(600, 300), 10);
    other = spawn_thread_on(2, user, 10);
    struct actor *maker = spawn_thread_on(1, user, 10);
    for (unsigned i = 0; i < 3; i++) {
        event = MUST(user, EVENT_CREATE, user->account);
        struct outcome made = CALL(user, PROCESS_CREATE, user->account, 0);
        uint64_t thread = MUST(maker, THREAD_CREATE, made.value[0], 5, 0x80'0000);
        victim = made.value[0];
        starting = thread_of(object_behind(user, thread));
        const struct process *process = starting->process;
        meanwhile(i == 0   ? (void *)handle_place
                  : i == 1 ? (void *)handles_reserve
                           : (void *)handles_hold,
                  1, i == 2 ? another_closes_the_gift : its_process_ends);
        status_t status = CALL(user, THREAD_START, thread, 0x1000, 0, 0, event).status;
        EXPECT(meanwhile_happened());
        EXPECT_EQUAL(status, i == 0 ? STATUS_OK : i == 1 ? STATUS_NO_HANDLES : STATUS_BAD_HANDLE);
        settle();
        EXPECT_EQUAL(process->handles_reserved, 0);
        if (i == 2)
            MUST(user, OBJECT_DESTROY, victim);
        MUST(user, HANDLE_CLOSE, thread);
        MUST(user, HANDLE_CLOSE, made.value[0]);
        MUST(user, HANDLE_CLOSE, made.value[1]);
        world_check();
    }
    world_end();
}
