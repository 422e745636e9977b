// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Accounts: limits, reservations, teardown of everything, whoever shares memory (A1-A3, M8).
#include "cpu.h"
#include "frame.h"
#include "kernel_world.h"

static uint64_t pages_used(uint64_t account)
{
    return account_behind(world.boss, account)->pages.used;
}

// OBJ-10
TEST(a_child_is_carved_out_of_its_parent)
{
    world_begin((struct world_options){});
    uint64_t parent = new_account(100, 50);
    struct actor *boss = world.boss;
    EXPECT_CALL(INVALID, boss, ACCOUNT_CREATE, parent, 0, 1);
    EXPECT_CALL(INVALID, boss, ACCOUNT_CREATE, parent, 1, 0);
    EXPECT_CALL(NO_PAGES, boss, ACCOUNT_CREATE, parent, 101, 1);
    EXPECT_CALL(NO_PAGES, boss, ACCOUNT_CREATE, parent, UINT64_MAX, 1);
    EXPECT_CALL(NO_OBJECTS, boss, ACCOUNT_CREATE, parent, 1, 50);
    EXPECT_CALL(NO_OBJECTS, boss, ACCOUNT_CREATE, parent, 1, UINT64_MAX);
    uint64_t child = MUST(boss, ACCOUNT_CREATE, parent, 60, 30, 0, 0x6c696863);
    EXPECT_CALL(NO_PAGES, boss, ACCOUNT_CREATE, parent, 41, 1);
    EXPECT_CALL(NO_OBJECTS, boss, ACCOUNT_CREATE, parent, 1, 19);
    // What the child has is not the parent's any more.
    EXPECT_CALL(NO_PAGES, boss, VMO_CREATE, parent, 41 * PAGE_SIZE, 0);
    MUST(boss, VMO_CREATE, child, 58 * PAGE_SIZE, 0);
    MUST(boss, OBJECT_INSPECT, parent);
    const struct abi_inspect *inspect = (const void *)text_of(boss);
    EXPECT_EQUAL(inspect->account.pages_limit, 100);
    EXPECT_EQUAL(inspect->account.pages_children, 60);
    EXPECT_EQUAL(inspect->account.objects_used, 1);
    world_end();
}

static struct account *resized_parent, *resized_child;
static uint64_t parent_handle, child_handle;

static void begin_resize(void)
{
    world_begin((struct world_options){});
    parent_handle = new_account(100, 50);
    child_handle = MUST(world.boss, ACCOUNT_CREATE, parent_handle, 20, 10);
    resized_parent = account_behind(world.boss, parent_handle);
    resized_child = account_behind(world.boss, child_handle);
}

static void expect_limits(uint64_t pages, uint64_t objects)
{
    EXPECT_EQUAL(resized_child->pages.limit, pages);
    EXPECT_EQUAL(resized_child->objects.limit, objects);
    EXPECT_EQUAL(resized_parent->pages.children, pages);
    EXPECT_EQUAL(resized_parent->objects.children, objects);
    world_check();
}

#define RESIZE(wanted, pages, objects)                                           \
    EXPECT_CALL(wanted, world.boss, ACCOUNT_RESIZE, parent_handle, child_handle, \
                (uint64_t)(pages), (uint64_t)(objects))

// OBJ-12
TEST(reservation_moves_both_ways)
{
    begin_resize();
    RESIZE(OK, 30, 5);
    expect_limits(50, 15);
    RESIZE(OK, -40, -14);
    expect_limits(10, 1);
    RESIZE(OK, 5, -1);
    expect_limits(15, 0);
    RESIZE(OK, -15, 39);
    expect_limits(0, 39);
    RESIZE(OK, 0, 0);
    expect_limits(0, 39);
    RESIZE(OK, 100, 10); // all that the parent has: it pays the child's own slot
    expect_limits(100, 49);
    world_end();
}

// OBJ-12
TEST(only_what_is_unused_moves)
{
    begin_resize();
    MUST(world.boss, VMO_CREATE, child_handle, 8 * PAGE_SIZE, 0);
    RESIZE(OK, -12, -9);
    expect_limits(8, 1);
    RESIZE(NO_PAGES, -1, 0);
    RESIZE(NO_OBJECTS, 0, -1);
    RESIZE(NO_OBJECTS, 5, -1); // all or nothing
    expect_limits(8, 1);
    MUST(world.boss, VMO_CREATE, parent_handle, 12 * PAGE_SIZE, 0);
    RESIZE(NO_PAGES, 81, 0);
    RESIZE(OK, 80, 0);
    RESIZE(NO_OBJECTS, -10, 48);
    expect_limits(88, 1);
    RESIZE(NO_PAGES, 1, 0);
    RESIZE(NO_PAGES, INT64_MIN, 0);
    RESIZE(NO_OBJECTS, 0, INT64_MIN);
    RESIZE(NO_PAGES, INT64_MAX, 0);
    RESIZE(NO_OBJECTS, 0, INT64_MAX);
    expect_limits(88, 1);
    world_end();
}

// OBJ-12
TEST(what_a_grandchild_has_is_not_unused)
{
    begin_resize();
    MUST(world.boss, ACCOUNT_CREATE, child_handle, 15, 8);
    RESIZE(NO_PAGES, -6, 0);
    RESIZE(NO_OBJECTS, 0, -2);
    RESIZE(OK, -5, -1);
    expect_limits(15, 9);
    world_end();
}

// OBJ-12
TEST(resize_refuses_what_is_no_child)
{
    begin_resize();
    struct actor *boss = world.boss;
    EXPECT_CALL(INVALID, boss, ACCOUNT_RESIZE, world.root_account, child_handle, 1, 0);
    EXPECT_CALL(INVALID, boss, ACCOUNT_RESIZE, child_handle, parent_handle, 1, 0);
    EXPECT_CALL(INVALID, boss, ACCOUNT_RESIZE, parent_handle, parent_handle, 1, 0);
    EXPECT_CALL(INVALID, boss, ACCOUNT_RESIZE, world.root_account, world.root_account, 1, 0);
    expect_limits(20, 10);
    MUST(boss, OBJECT_DESTROY, child_handle);
    RESIZE(BAD_STATE, 1, 0);
    EXPECT_CALL(INVALID, boss, ACCOUNT_RESIZE, world.root_account, child_handle, 1, 0);
    MUST(boss, OBJECT_DESTROY, parent_handle);
    world_end();
}

// OBJ-12
TEST(an_account_that_ends_is_not_resized)
{
    begin_resize();
    struct actor *boss = world.boss;
    spawn(child_handle, 1); // its end takes a while, at low priority
    hold(boss);
    EXPECT_STATUS(HELD(boss, OBJECT_DESTROY, parent_handle).status, OK);
    EXPECT_STATUS(HELD(boss, ACCOUNT_RESIZE, parent_handle, child_handle, 1, 0).status, BAD_STATE);
    EXPECT_EQUAL(resized_child->pages.limit, 20);
    settle();
    world_end();
}

// OBJ-16
TEST(the_root_account_cannot_be_destroyed)
{
    world_begin((struct world_options){});
    EXPECT_CALL(NOT_SUPPORTED, world.boss, OBJECT_DESTROY, world.root_account);
    EXPECT_CALL(NOT_SUPPORTED, world.boss, OBJECT_DESTROY, world.machine);
    EXPECT_CALL(NOT_SUPPORTED, world.boss, OBJECT_DESTROY, world.log);
    EXPECT_CALL(NOT_SUPPORTED, world.boss, OBJECT_DESTROY, world.boss->own_aspace);
    world_end();
}

// One of everything, in the actor's account, with waits in progress.
static void furnish(struct actor *a)
{
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 300 * PAGE_SIZE, 0);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, 0x4000'0000, 300 * PAGE_SIZE, PROT_READ | PROT_WRITE);
    struct ends ends = new_channel(a, 8, 64, 4, 4);
    uint64_t port = MUST(a, PORT_CREATE, a->account);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    uint64_t timer = MUST(a, TIMER_CREATE, a->account);
    MUST(a, TIMER_SET, timer, 1'000'000'000);
    MUST(a, PORT_BIND, port, ends.end1, 7, SIGNAL_READABLE | SIGNAL_PEER_CLOSED);
    MUST(a, PORT_BIND, port, event, 8, 1);
    uint64_t sent[] = {MUST(a, EVENT_CREATE, a->account), MUST(a, TIMER_CREATE, a->account)};
    set_handles(a, 2, sent);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(4, 2));
    struct actor *caller = spawn_thread(a, 9);
    EXPECT_CALL(BLOCKED, caller, CHANNEL_CALL, ends.end0, MSG(8, 0), ABI_DEADLINE_NEVER);
    struct actor *waiter = spawn_thread(a, 8);
    EXPECT_CALL(BLOCKED, waiter, OBJECT_WAIT, event, 2, 2'000'000'000);
}

// OBJ-13
TEST(teardown_takes_everything)
{
    world_begin((struct world_options){});
    uint64_t account = new_account(1000, 200);
    furnish(spawn(account, 10));
    world_check();
    MUST(world.boss, OBJECT_DESTROY, account);
    EXPECT_EQUAL(MUST(world.boss, OBJECT_WAIT, account, SIGNAL_TERMINATED, 0), SIGNAL_TERMINATED);
    EXPECT_CALL(BAD_STATE, world.boss, OBJECT_DESTROY, account);
    EXPECT_CALL(BAD_STATE, world.boss, EVENT_CREATE, account);
    EXPECT_EQUAL(pages_used(account), 0);
    world_end();
}

// OBJ-14
TEST(teardown_of_nested_accounts)
{
    world_begin((struct world_options){});
    uint64_t outer = new_account(5000, 700);
    uint64_t account = outer, below[4];
    for (unsigned depth = 0; depth < 4; depth++) {
        uint64_t pages = 4300 - depth * 900, objects = 560 - depth * 130;
        furnish(spawn(account, (uint8_t)(10 + depth)));
        account = below[depth] = MUST(world.boss, ACCOUNT_CREATE, account, pages, objects);
    }
    furnish(spawn(account, 5));
    MUST(world.boss, OBJECT_DESTROY, below[1]); // in the middle first
    world_check();
    EXPECT_CALL(GONE, world.boss, OBJECT_INSPECT, below[2]);
    MUST(world.boss, OBJECT_DESTROY, outer);
    EXPECT_CALL(OK, world.boss, OBJECT_WAIT, outer, SIGNAL_TERMINATED, 0);
    EXPECT_CALL(GONE, world.boss, OBJECT_INSPECT, below[0]);
    world_end();
}

// OBJ-13
TEST(teardown_stopped_after_each_step)
{
    unsigned steps = 0;
    world_begin((struct world_options){});
    for (unsigned stop = 1;; stop += 1 + stop / 40) {
        uint64_t account = new_account(1000, 200);
        struct actor *victim = spawn(account, 10);
        furnish(victim);
        struct actor *watcher = spawn(new_account(50, 50), 60);
        uint64_t dying = grant(watcher, world.boss, account);
        hold_after(watcher, stop);
        MUST(world.boss, OBJECT_DESTROY, account);
        bool last = steps_left() > 0;
        steps = stop - steps_left();
        if (!last) { // the account takes no more, however far its teardown is
            EXPECT_STATUS(HELD(watcher, EVENT_CREATE, dying).status, BAD_STATE);
            EXPECT_STATUS(HELD(watcher, ACCOUNT_CREATE, dying, 1, 1).status, BAD_STATE);
            EXPECT_STATUS(HELD(watcher, OBJECT_DESTROY, dying).status, BAD_STATE);
        }
        hold_after(watcher, 0);
        settle();
        world_end();
        if (last)
            break;
    }
    test_note("the teardown of one furnished account takes %u steps", steps);
    EXPECT(steps > 20);
}

TEST(the_account_dies_while_its_process_ends_slowly)
{
    world_begin((struct world_options){});
    uint64_t account = new_account(100, 100);
    struct actor *a = spawn(account, 10);
    struct actor *second = spawn_thread(a, 11);
    struct actor *third = spawn_thread(a, 3);
    hold(second);
    // Two threads are ready or waiting when the account's own teardown reaches them.
    EXPECT_STATUS(HELD(second, OBJECT_DESTROY, a->own_process).status, OK);
    EXPECT_STATUS(HELD(second, OBJECT_DESTROY, a->account).status, OK);
    EXPECT(!is_dead(third));
    settle();
    EXPECT(is_dead(third) && is_dead(a));
    world_end();
}

// OBJ-14
TEST(an_account_destroyed_from_inside)
{
    world_begin((struct world_options){});
    uint64_t account = new_account(1000, 200);
    struct actor *a = spawn(account, 10);
    furnish(a);
    (void)CALL(a, OBJECT_DESTROY, a->account);
    EXPECT(is_dead(a));
    EXPECT_CALL(OK, world.boss, OBJECT_WAIT, account, SIGNAL_TERMINATED, 0);
    world_end();
}

// OBJ-17
TEST(at_high_priority_over_a_process_that_ends_at_low)
{
    world_begin((struct world_options){});
    uint64_t account = new_account(200, 100);
    struct actor *a = spawn(account, 10);
    for (unsigned i = 0; i < 3; i++)
        (void)spawn_thread(a, 5);
    struct actor *busy = spawn(new_account(50, 50), 30);
    uint64_t theirs = grant(busy, world.boss, account);
    hold_after(busy, 1);
    (void)CALL(a, PROCESS_EXIT, 3); // its end has begun at priority 10, and stops there
    EXPECT_STATUS(HELD(busy, OBJECT_DESTROY, theirs).status, OK);
    settle();
    EXPECT_CALL(OK, world.boss, OBJECT_WAIT, account, SIGNAL_TERMINATED, 0);
    world_end();
}

// OBJ-15, MEM-9
TEST(shared_memory_is_paid_by_who_maps_it)
{
    world_begin((struct world_options){});
    uint64_t account_a = new_account(100, 50), account_b = new_account(60, 50);
    struct actor *a = spawn(account_a, 10), *b = spawn(account_b, 10);
    uint64_t before = pages_used(account_b);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 40 * PAGE_SIZE, 0);
    uint64_t theirs = grant(b, a, vmo);
    // 40 pages, one of index, one table.
    EXPECT_CALL(OK, b, VM_MAP, b->own_aspace, theirs, 0, 0x4000'0000, 40 * PAGE_SIZE, PROT_READ);
    EXPECT(pages_used(account_b) >= before + 41);
    EXPECT_CALL(NO_PAGES, b, VM_MAP, b->own_aspace, theirs, 0, 0x5000'0000, 40 * PAGE_SIZE,
                PROT_READ);
    world_check();
    // The owner goes: the memory stays, and its parent has everything back.
    MUST(world.boss, OBJECT_DESTROY, account_a);
    EXPECT_CALL(OK, world.boss, OBJECT_WAIT, account_a, SIGNAL_TERMINATED, 0);
    EXPECT_EQUAL(pages_used(account_a), 0);
    world_check();
    EXPECT_CALL(GONE, b, VM_MAP, b->own_aspace, theirs, 0, 0x6000'0000, PAGE_SIZE, PROT_READ);
    MUST(b, VM_UNMAP, b->own_aspace, 0x4000'0000);
    world_check();
    world_end();
}

// MEM-3
TEST(an_orphan_with_many_mappers)
{
    world_begin((struct world_options){});
    uint64_t account_a = new_account(100, 50);
    struct actor *a = spawn(account_a, 10);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 20 * PAGE_SIZE, 0);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, 0x4000'0000, 20 * PAGE_SIZE, PROT_READ);
    struct actor *others[3];
    for (unsigned i = 0; i < 3; i++) {
        others[i] = spawn(new_account(100, 50), 10);
        uint64_t theirs = grant(others[i], a, vmo);
        MUST(others[i], VM_MAP, others[i]->own_aspace, theirs, i * PAGE_SIZE, 0x4000'0000,
             (10 + i) * PAGE_SIZE, PROT_READ);
    }
    MUST(world.boss, OBJECT_DESTROY, account_a);
    world_check();
    for (unsigned i = 0; i < 3; i++) {
        MUST(others[i], VM_UNMAP, others[i]->own_aspace, 0x4000'0000);
        world_check();
    }
    world_end();
}

// MEM-3
TEST(a_vmo_destroyed_by_name_is_taken_from_all)
{
    world_begin((struct world_options){});
    struct actor *a = spawn(new_account(800, 50), 10), *b = spawn(new_account(800, 50), 10);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 200 * PAGE_SIZE, 0);
    uint64_t theirs = grant(b, a, vmo);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, 0x4000'0000, 200 * PAGE_SIZE, PROT_READ);
    MUST(b, VM_MAP, b->own_aspace, theirs, 0, 0x4000'0000, 200 * PAGE_SIZE, PROT_READ);
    paddr_t physical;
    EXPECT(host_access(0, 0x4000'0000, HOST_LOAD, &physical) || true);
    MUST(b, OBJECT_DESTROY, theirs);
    world_check();
    EXPECT_CALL(NOT_FOUND, a, VM_UNMAP, a->own_aspace, 0x4000'0000);
    EXPECT_CALL(NOT_FOUND, b, VM_UNMAP, b->own_aspace, 0x4000'0000);
    world_end();
}

// MEM-3
TEST(the_last_handle_while_mapped)
{
    world_begin((struct world_options){});
    struct actor *a = spawn(new_account(800, 50), 10);
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 20 * PAGE_SIZE, 0);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, 0x4000'0000, 20 * PAGE_SIZE, PROT_READ);
    MUST(a, HANDLE_CLOSE, vmo);
    world_check();
    MUST(a, VM_UNMAP, a->own_aspace, 0x4000'0000); // it is still there
    world_check();
    world_end();
}

// The end is as urgent as who wanted it, and stays so.
TEST(an_end_has_the_priority_of_its_cause)
{
    world_begin((struct world_options){});
    struct actor *a = spawn(new_account(300, 100), 20);
    struct actor *busy = spawn_thread(a, 10), *late = spawn_thread(a, 30);
    uint64_t account = MUST(a, ACCOUNT_CREATE, a->account, 50, 50);
    MUST(a, EVENT_CREATE, account);
    const struct account *ends = account_behind(a, account);
    hold(busy);
    hold(a);
    EXPECT_STATUS(HELD(a, OBJECT_DESTROY, account).status, OK);
    hold(late);
    EXPECT_STATUS(HELD(late, OBJECT_DESTROY, account).status, BAD_STATE);
    EXPECT_EQUAL(ends->priority, 20);
    (void)HELD(late, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    (void)HELD(a, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    EXPECT(cpus[0]->current == busy->thread);
    EXPECT_EQUAL(ends->object.state, ACCOUNT_DEAD);
    settle();
    world_end();
}

// A pin comes into quarantine when its account waits for it already.
TEST(quarantine_while_the_account_ends)
{
    world_begin((struct world_options){});
    struct actor *low = spawn(new_account(300, 100), 5), *high = spawn_thread(low, 20);
    uint64_t machine = grant(low, world.boss, world.machine);
    uint64_t account = MUST(low, ACCOUNT_CREATE, low->account, 50, 50);
    uint64_t space = MUST(low, MACHINE_DMA_SPACE, machine, account, 7);
    uint64_t vmo = MUST(low, VMO_CREATE, account, 4 * PAGE_SIZE, 0);
    uint64_t pin = MUST(low, PIN_CREATE, space, account, vmo, 0, 4 * PAGE_SIZE, DMA_BOTH);
    hold(low);
    EXPECT_STATUS(HELD(low, OBJECT_DESTROY, pin).status, OK);
    hold(high);
    EXPECT_STATUS(HELD(high, OBJECT_DESTROY, account).status, OK);
    settle();
    MUST(low, OBJECT_WAIT, account, SIGNAL_TERMINATED, 0);
    world_end_after_quarantine(7);
}

// What an account's own mappings reach it pays for until they are gone.
TEST(an_orphan_is_not_its_owners_any_more)
{
    world_begin((struct world_options){});
    for (unsigned stop = 1, last = 0; !last; stop++) {
        uint64_t account = new_account(300, 100);
        struct actor *a = spawn(account, 10), *b = spawn(new_account(300, 100), 10);
        struct actor *watch = spawn(new_account(100, 50), 50);
        uint64_t handle = MUST(a, VMO_CREATE, a->account, VMO_FILL_STEP_PAGES * PAGE_SIZE, 0);
        const struct vmo *vmo = vmo_of(object_behind(a, handle));
        MUST(a, VM_MAP, a->own_aspace, handle, 0, 0x5000'0000, VMO_FILL_STEP_PAGES * PAGE_SIZE,
             PROT_READ);
        MUST(b, VM_MAP, b->own_aspace, grant(b, a, handle), 0, 0x5000'0000,
             VMO_FILL_STEP_PAGES * PAGE_SIZE, PROT_READ);
        hold_after(watch, stop);
        EXPECT_CALL(OK, world.boss, OBJECT_DESTROY, account);
        last = steps_left() > 0;
        EXPECT(vmo->object.account || vmo->unpaid == 0);
        hold_after(watch, 0);
        settle();
        EXPECT(!vmo->object.account);
        world_end();
    }
}

static const struct account *dying;

static void it_still_pays(void)
{
    EXPECT(dying->pages.used > 0);
}

TEST(memory_is_paid_for_until_its_last_frame_is_free)
{
    unsigned nth = 1;
    for (bool happened = true; happened; nth++) {
        world_begin((struct world_options){});
        uint64_t account = new_account(60, 20);
        dying = account_behind(world.boss, account);
        MUST(world.boss, VMO_CREATE, account, 40 * PAGE_SIZE, 0);
        meanwhile((void *)frame_free, nth, it_still_pays);
        MUST(world.boss, OBJECT_DESTROY, account);
        happened = meanwhile_happened();
        meanwhile(nullptr, 0, nullptr);
        world_end();
    }
    EXPECT(nth > 40);
}

// The table of objects, as often as the machine starts.
TEST(the_root_account_has_every_slot)
{
    uint64_t last = 0;
    for (unsigned i = 0; i < 2; i++) {
        world_begin((struct world_options){.ram_bytes = 8 << 20});
        struct outcome out;
        do
            out = CALL(world.boss, EVENT_CREATE, world.root_account);
        while (out.status == STATUS_OK);
        EXPECT_STATUS(out.status, NO_OBJECTS);
        EXPECT_EQUAL(objects_free(), 0);
        for (uint32_t slot = 0; slot < objects_total(); slot++) {
            EXPECT_EQUAL(object_at(slot)->life, LIFE_LIVE);
            if (slot == objects_total() - 1) {
                EXPECT(i == 0 || object_at(slot)->id == last); // ids begin anew
                last = object_at(slot)->id;
            }
        }
        EXPECT(object_at(0)->id > 0);
        world_end();
    }
}
