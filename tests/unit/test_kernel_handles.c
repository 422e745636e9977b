// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Handles: every value near a live one, rights, reuse, retirement, the table's limit (O1-O3).
#include "kernel_world.h"

static struct actor *begin(void)
{
    world_begin((struct world_options){});
    return spawn(new_account(200, 600), 10);
}

// OBJ-1
TEST(every_value_near_a_live_one)
{
    struct actor *a = begin();
    uint64_t live[8];
    for (unsigned i = 0; i < 8; i++) {
        uint64_t old = MUST(a, EVENT_CREATE, a->account);
        if (i % 2)
            MUST(a, HANDLE_CLOSE, old);
        live[i] = MUST(a, EVENT_CREATE, a->account);
    }
    for (uint64_t slot = 0; slot < 140; slot++)
        for (uint64_t generation = 0; generation <= 16; generation++) {
            uint64_t value = generation << 32 | slot;
            if (!object_behind(a, value))
                EXPECT_CALL(BAD_HANDLE, a, EVENT_CLEAR, value, 0);
        }
    for (unsigned i = 0; i < 8; i++)
        for (unsigned bit = 0; bit < 64; bit++) {
            uint64_t value = live[i] ^ 1ull << bit;
            if (!object_behind(a, value))
                EXPECT_CALL(BAD_HANDLE, a, EVENT_CLEAR, value, 0);
        }
    EXPECT_CALL(BAD_HANDLE, a, HANDLE_CLOSE, UINT64_MAX);
    // What stands behind the table is not read.
    struct actor *b = spawn_thread(a, 9);
    hold(b);
    host_ticks += 1000;
    (void)HELD(b, THREAD_EXIT);
    settle();
    EXPECT(a->process->ended_cpu_ns > 0);
    EXPECT_CALL(BAD_HANDLE, a, HANDLE_CLOSE, 1ull << 32 | HANDLES_MAX);
    world_end();
}

// OBJ-1
TEST(stale_after_close_and_reuse)
{
    struct actor *a = begin();
    uint64_t first = MUST(a, EVENT_CREATE, a->account);
    MUST(a, HANDLE_CLOSE, first);
    // First in, first out: the slot is not used again before all others were.
    for (unsigned i = 0; i < 4 * HANDLES_PER_PAGE; i++) {
        uint64_t next = MUST(a, EVENT_CREATE, a->account);
        if (i < HANDLES_PER_PAGE - 10)
            EXPECT((uint32_t)next != (uint32_t)first);
        EXPECT_CALL(BAD_HANDLE, a, EVENT_SIGNAL, first, 1);
        EXPECT_CALL(BAD_HANDLE, a, HANDLE_CLOSE, first);
        MUST(a, HANDLE_CLOSE, next);
    }
    world_end();
}

TEST(each_use_of_a_slot_is_one_generation)
{
    struct actor *a = begin();
    struct ends ends = new_channel(a, 1, 64, 1, 0);
    uint32_t last[2 * HANDLES_PER_PAGE] = {};
    for (unsigned i = 0; i < 16 * HANDLES_PER_PAGE; i++) {
        uint64_t handle = MUST(a, EVENT_CREATE, a->account);
        uint32_t slot = (uint32_t)handle, generation = (uint32_t)(handle >> 32);
        EXPECT(slot < ARRAY_SIZE(last));
        EXPECT(last[slot] == 0 || generation == last[slot] + 1);
        last[slot] = generation;
        if (i % 2) { // by a close, or by a message
            set_handles(a, 1, &handle);
            MUST(a, CHANNEL_SEND, ends.end0, MSG(0, 1));
            MUST(a, CHANNEL_RECEIVE, ends.end1, 0);
            handle = handle_of(a, 0);
            last[(uint32_t)handle] = (uint32_t)(handle >> 32);
        }
        MUST(a, HANDLE_CLOSE, handle);
    }
    EXPECT_EQUAL(a->process->handles_retired, 0);
    world_end();
}

// OBJ-1
TEST(a_slot_retires_when_its_generation_would_wrap)
{
    struct actor *a = begin();
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    // As if it had been used four billion times: once more it can be.
    uint32_t slot = (uint32_t)event;
    struct handle_entry *entry = &a->process->pages[0][slot];
    entry->tag = (uint64_t)(UINT32_MAX - 1) << 2 | HANDLE_LIVE;
    MUST(a, HANDLE_CLOSE, (uint64_t)(UINT32_MAX - 1) << 32 | slot);
    EXPECT_EQUAL(a->process->handles_retired, 0);
    event = 0;
    for (unsigned i = 0; i < HANDLES_PER_PAGE && (uint32_t)event != slot; i++) {
        event = MUST(a, EVENT_CREATE, a->account);
        if ((uint32_t)event != slot)
            MUST(a, HANDLE_CLOSE, event);
    }
    EXPECT_EQUAL(event, (uint64_t)UINT32_MAX << 32 | slot);
    entry->tag = (uint64_t)UINT32_MAX << 2 | HANDLE_LIVE;
    event = (uint64_t)UINT32_MAX << 32 | slot;
    MUST(a, EVENT_SIGNAL, event, 1);
    MUST(a, HANDLE_CLOSE, event);
    EXPECT_EQUAL(a->process->handles_retired, 1);
    for (unsigned i = 0; i < 2 * HANDLES_PER_PAGE; i++) {
        uint64_t next = MUST(a, EVENT_CREATE, a->account);
        EXPECT((uint32_t)next != slot);
        MUST(a, HANDLE_CLOSE, next);
    }
    EXPECT_CALL(BAD_HANDLE, a, HANDLE_CLOSE, slot);
    // A full table is without it.
    event = MUST(a, EVENT_CREATE, a->account);
    while (CALL(a, HANDLE_DUPLICATE, event, 0).status == STATUS_OK) {}
    EXPECT_CALL(NO_HANDLES, a, HANDLE_DUPLICATE, event, 0);
    EXPECT_EQUAL(a->process->handles_used, HANDLES_MAX - 1);
    world_end();
}

// OBJ-3
TEST(rights_only_shrink)
{
    struct actor *a = begin();
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    for (uint32_t rights = 0; rights < 1u << 17; rights = (rights << 1) + 1) {
        struct outcome out = CALL(a, HANDLE_DUPLICATE, event, rights);
        if (rights & ~(uint32_t)RIGHTS_EVENT)
            EXPECT_STATUS(out.status, INVALID);
        else
            EXPECT_STATUS(out.status, OK);
    }
    uint64_t weak = MUST(a, HANDLE_DUPLICATE, event, RIGHT_DUPLICATE | RIGHT_INSPECT);
    EXPECT_CALL(NO_RIGHT, a, EVENT_SIGNAL, weak, 1);
    EXPECT_CALL(NO_RIGHT, a, OBJECT_WAIT, weak, 1, 0);
    EXPECT_CALL(NO_RIGHT, a, OBJECT_DESTROY, weak);
    EXPECT_CALL(INVALID, a, HANDLE_DUPLICATE, weak, RIGHTS_EVENT);
    EXPECT_CALL(INVALID, a, HANDLE_DUPLICATE, event, 1ull << 40);
    MUST(a, OBJECT_INSPECT, weak);
    uint64_t blind = MUST(a, HANDLE_DUPLICATE, event, RIGHT_SIGNAL);
    EXPECT_CALL(NO_RIGHT, a, HANDLE_DUPLICATE, blind, 0);
    EXPECT_CALL(NO_RIGHT, a, OBJECT_INSPECT, blind);
    world_end();
}

// OBJ-2
TEST(types_are_told_apart)
{
    struct actor *a = begin();
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    uint64_t port = MUST(a, PORT_CREATE, a->account);
    EXPECT_CALL(WRONG_TYPE, a, EVENT_SIGNAL, port, 1);
    EXPECT_CALL(WRONG_TYPE, a, PORT_RECEIVE, event, 0);
    EXPECT_CALL(WRONG_TYPE, a, EVENT_CREATE, event);
    EXPECT_CALL(WRONG_TYPE, a, TIMER_SET, event, 0);
    // A missing type is told before a missing right, the handle before both.
    EXPECT_CALL(BAD_HANDLE, a, CHANNEL_SEND, 0xdead'0000'0001, 0);
    world_end();
}

// OBJ-4
TEST(destroyed_is_gone_everywhere_and_not_bad)
{
    struct actor *a = begin();
    struct actor *b = spawn(new_account(100, 100), 10);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    uint64_t copy = MUST(a, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
    uint64_t theirs = grant(b, a, event);
    MUST(b, OBJECT_DESTROY, theirs);
    EXPECT_CALL(GONE, a, EVENT_SIGNAL, event, 1);
    EXPECT_CALL(GONE, a, HANDLE_DUPLICATE, copy, 0);
    EXPECT_CALL(GONE, a, OBJECT_INSPECT, copy);
    EXPECT_CALL(GONE, a, OBJECT_WAIT, copy, 1, ABI_DEADLINE_NEVER);
    EXPECT_CALL(GONE, a, OBJECT_DESTROY, copy);
    EXPECT_CALL(GONE, b, EVENT_SIGNAL, theirs, 1);
    // A new object in the same slot is not what the old handles name.
    for (unsigned i = 0; i < 8; i++)
        MUST(a, EVENT_CREATE, a->account);
    EXPECT_CALL(GONE, a, EVENT_SIGNAL, event, 1);
    EXPECT_CALL(OK, a, HANDLE_CLOSE, event);
    EXPECT_CALL(BAD_HANDLE, a, HANDLE_CLOSE, event);
    world_end();
}

// OBJ-5
TEST(the_table_has_a_limit)
{
    struct actor *a = begin(), *b = spawn_thread(a, 9);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    uint64_t machine = grant(a, world.boss, world.machine);
    struct ends ends = new_channel(a, 1, 64, 1, 1);
    uint64_t made = 0;
    while (CALL(a, HANDLE_DUPLICATE, event, 0).status == STATUS_OK)
        made++;
    EXPECT_CALL(NO_HANDLES, a, HANDLE_DUPLICATE, event, 0);
    EXPECT_EQUAL(a->process->handles_used, HANDLES_MAX);
    EXPECT(made > HANDLES_MAX - 15);
    EXPECT_CALL(NO_HANDLES, a, EVENT_CREATE, a->account);
    EXPECT_CALL(NO_HANDLES, a, VMO_CREATE, a->account, PAGE_SIZE, 0);
    EXPECT_CALL(NO_HANDLES, a, ACCOUNT_CREATE, a->account, 1, 1);
    EXPECT_CALL(NO_HANDLES, a, MACHINE_DEVICE_MEMORY, machine, a->account, 0xd000'0000, PAGE_SIZE,
                MEMORY_DEVICE);
    EXPECT_EQUAL(a->process->handles_reserved, 0);
    // The last place is kept for what is to come with a reply.
    MUST(a, HANDLE_CLOSE, event);
    EXPECT_CALL(BLOCKED, b, CHANNEL_CALL, ends.end0, 1ull << MSG_REPLY_HANDLES_SHIFT,
                ABI_DEADLINE_NEVER);
    EXPECT_CALL(NO_HANDLES, a, EVENT_CREATE, a->account);
    world_end();
}

// ---- pages of the table that are paid for before they are there

static uint64_t pages_paid(const struct actor *actor)
{
    return actor->process->pages_paid;
}

// A table of one page with so many handles, and so many slots retired.
static uint64_t fill(struct actor *actor, uint32_t handles, uint32_t retired)
{
    uint64_t event = MUST(actor, EVENT_CREATE, actor->account);
    for (uint32_t i = 0; i < retired; i++) {
        uint32_t slot = (uint32_t)MUST(actor, HANDLE_DUPLICATE, event, 0);
        uint64_t last = (uint64_t)UINT32_MAX << 32 | slot;
        actor->process->pages[0][slot].tag = (uint64_t)UINT32_MAX << 2 | HANDLE_LIVE;
        MUST(actor, HANDLE_CLOSE, last);
    }
    while (actor->process->handles_used < handles)
        MUST(actor, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
    EXPECT_EQUAL(actor->process->handles_retired, retired);
    EXPECT_EQUAL(pages_paid(actor), 1);
    return event;
}

static struct outcome call_for(struct actor *actor, uint64_t end, unsigned given, unsigned wanted)
{
    return CALL(actor, CHANNEL_CALL, end, MSG_WITH_REPLY_HANDLES(MSG(0, given), wanted),
                ABI_DEADLINE_NEVER);
}

TEST(room_for_a_reply_is_given_back_when_a_handle_is_closed)
{
    struct actor *a = begin(), *b = spawn_thread(a, 9);
    struct ends ends = new_channel(a, 1, 64, 1, 1);
    uint64_t event = fill(a, HANDLES_PER_PAGE, 0);
    uint64_t used = account_behind(a, a->account)->pages.used;
    EXPECT_STATUS(call_for(b, ends.end0, 0, 1).status, BLOCKED);
    EXPECT_EQUAL(pages_paid(a), 2);
    EXPECT_EQUAL(account_behind(a, a->account)->pages.used, used + 1);
    MUST(a, HANDLE_CLOSE, event); // its place is the reply's
    EXPECT_EQUAL(pages_paid(a), 1);
    EXPECT_EQUAL(account_behind(a, a->account)->pages.used, used);
    world_end();
}

TEST(room_for_a_reply_is_where_the_handle_was_that_the_call_sent)
{
    struct actor *a = begin(), *b = spawn_thread(a, 9), *server = spawn(new_account(30, 30), 10);
    struct ends ends = new_channel(a, 1, 64, 1, 1);
    uint64_t end1 = grant(server, a, ends.end1);
    uint64_t event = fill(a, HANDLES_PER_PAGE, 0);
    uint64_t used = account_behind(a, a->account)->pages.used;
    set_handles(b, 1, &event);
    EXPECT_STATUS(call_for(b, ends.end0, 1, 1).status, BLOCKED);
    EXPECT_EQUAL(pages_paid(a), 2);
    EXPECT_CALL(OK, server, CHANNEL_RECEIVE, end1, 0);
    EXPECT_EQUAL(pages_paid(a), 1);
    EXPECT_EQUAL(account_behind(a, a->account)->pages.used, used);
    world_end();
}

// What is retired takes room: the page for the reply stays paid.
TEST(room_for_a_reply_beside_slots_that_are_retired)
{
    struct actor *a = begin(), *b = spawn_thread(a, 9), *c = spawn_thread(a, 8);
    struct ends ends = new_channel(a, 1, 64, 1, 1), others = new_channel(a, 1, 64, 2, 1);
    uint64_t event = fill(a, HANDLES_PER_PAGE - 2, 2);
    EXPECT_STATUS(call_for(b, ends.end0, 0, 1).status, BLOCKED);
    EXPECT_STATUS(call_for(c, others.end0, 0, 2).status, BLOCKED);
    EXPECT_EQUAL(pages_paid(a), 2);
    MUST(a, THREAD_CANCEL, c->own_thread); // which gives back its own room, and no more
    EXPECT_STATUS(ended(c).status, CANCELLED);
    EXPECT_EQUAL(pages_paid(a), 2);
    struct outcome call = CALL(c, CHANNEL_RECEIVE, ends.end1, 0);
    EXPECT_STATUS(call.status, OK);
    set_handles(c, 1, &event);
    EXPECT_CALL(OK, c, CHANNEL_REPLY, ends.end1, call.value[1], MSG(0, 1));
    EXPECT_STATUS(ended(b).status, OK);
    world_end();
}

static struct object_ref stale;

static void expect_stale(void)
{
    EXPECT(!object_ref_lock(stale));
}

// A reference that was taken of an object whose end had begun is none to the next in its slot.
TEST(a_reference_to_one_that_dies)
{
    struct actor *a = begin();
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    struct object *object = object_behind(a, event);
    hold(a);
    EXPECT_STATUS(HELD(a, OBJECT_DESTROY, event).status, OK);
    EXPECT_EQUAL(object->life, LIFE_DYING);
    stale = object_reference(object);
    settle();
    EXPECT_EQUAL(object->life, LIFE_FREE);
    while (object->life == LIFE_FREE)
        MUST(a, EVENT_CREATE, a->account);
    on_cpu(0, expect_stale);
    world_end();
}

// OBJ-5
TEST(the_table_grows_only_within_its_account)
{
    world_begin((struct world_options){});
    // A process and a thread take: 1 root, 3 tables, 2 pages, 1 page of handles.
    struct actor *a = spawn(new_account(7, 400), 10);
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    unsigned made = 0;
    while (CALL(a, HANDLE_DUPLICATE, event, 0).status == STATUS_OK)
        made++;
    EXPECT_EQUAL(made, HANDLES_PER_PAGE - 5);
    EXPECT_CALL(NO_HANDLES, a, HANDLE_DUPLICATE, event, 0);
    world_end();
}
