// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c tests/unit/kernel_meanwhile.c
//
// Objects that go in the middle of a call on another CPU, between the look into the handle table and the object's
// lock, and slots that are another object's by then (see also O2, I3, I4).
#include <string.h>

#include "cpu.h"
#include "kernel_meanwhile.h"

// ---- objects that go

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
    ends = new_channel(user, 1, 64, 0, 1);
    victim = ends.end0;
    EXPECT_GONE(1, CHANNEL_REPLY, ends.end0, 0, MSG(0, 1));
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

// What is refused stays where it was.
TEST(an_end_goes_before_it_is_given_away)
{
    begin();
    struct ends way = new_channel(user, 1, 64, 1, 1), ends = new_channel(user, 1, 64, 0, 1);
    victim = ends.end0;
    set_handles(user, 1, (uint64_t[]){ends.end0});
    EXPECT_GONE(2, CHANNEL_SEND, way.end0, MSG(0, 1), 0);
    EXPECT_CALL(GONE, user, CHANNEL_RECEIVE, ends.end0, 0);
    EXPECT_CALL(OK, user, HANDLE_CLOSE, ends.end0);
    world_end();
}

// Its deadline has been taken off the list by then.
TEST(an_interrupt_goes_before_it_is_let_in_again)
{
    begin();
    victim = MUST(user, MACHINE_INTERRUPT, machine, user->account, 40, TRIGGER_EDGE);
    MUST(user, INTERRUPT_LIMIT, victim, 1'000, 1);
    for (unsigned i = 0; i < 3; i++) {
        host_line_pulse(40);
        settle();
    }
    EXPECT(host_lines[40].masked);
    meanwhile((void *)object_lock, 1, it_goes);
    advance(10'000'000);
    EXPECT(meanwhile_happened());
    EXPECT(host_lines[40].masked);
    MUST(user, MACHINE_INTERRUPT, machine, user->account, 40, TRIGGER_EDGE);
    EXPECT(!host_lines[40].masked);
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
    victim = MUST(user, MACHINE_INTERRUPT, machine, user->account, 40, TRIGGER_EDGE);
    EXPECT_GONE(1, INTERRUPT_LIMIT, victim, 1, 1);
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
    for (unsigned i = 0; i < 5; i++) {
        victim = MUST(other, THREAD_CREATE, process, 5, 0x80'0000);
        MUST(other, THREAD_CREATE, process, 5,
             0x90'0000 + i * PAGE_SIZE); // or the process ends, too
        if (i == 0 || i == 4)            // before it is asked how urgent it is, and after
            EXPECT_MEANWHILE(GONE, object_lock, i == 0 ? 1 : 2, it_goes_for_good, THREAD_START,
                             victim, 0x1000, 0, 0, 0);
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
