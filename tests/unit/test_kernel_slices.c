// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Slices of VMOs: what can be reached through one, with which rights, who pays, and with what they end
// (O1, O2, M2, M8).
#include "cpu.h"
#include "frame.h"
#include "kernel_world.h"

constexpr uint64_t AT = 0x4000'0000, ELSEWHERE = 0x5000'0000, DEVICE_AT = 0xd000'0000, DEVICE = 7;
constexpr uint64_t RW = PROT_READ | PROT_WRITE;
constexpr uint32_t SHARED = RIGHTS_VMO & ~(uint32_t)RIGHT_MANAGE;

static struct actor *owner, *user; // each in an account of its own
static uint64_t whole;

static void begin(uint64_t pages)
{
    world_begin((struct world_options){});
    owner = spawn(new_account(6000, 300), 10);
    user = spawn(new_account(2000, 300), 10);
    whole = MUST(owner, VMO_CREATE, owner->account, pages * PAGE_SIZE, 0);
}

static uint64_t slice_of(struct actor *by, uint64_t vmo, uint64_t first, uint64_t pages)
{
    return MUST(by, VMO_SLICE, by->account, vmo, first * PAGE_SIZE, pages * PAGE_SIZE, RIGHTS_VMO);
}

// As user code of the actor; nullptr: it faults.
static uint64_t *word_at(struct actor *actor, uint64_t address, enum host_access kind)
{
    paddr_t physical;
    hold(actor);
    bool works = host_access(actor->cpu, address, kind, &physical);
    settle();
    return works ? arch_ram(physical) : nullptr;
}

static bool can(struct actor *actor, uint64_t address)
{
    paddr_t physical;
    hold(actor);
    bool works = host_access(actor->cpu, address, HOST_LOAD, &physical);
    settle();
    return works;
}

static void number_pages(uint64_t pages)
{
    MUST(owner, VM_MAP, owner->own_aspace, whole, 0, AT, pages * PAGE_SIZE, RW);
    for (uint64_t i = 0; i < pages; i++)
        *word_at(owner, AT + i * PAGE_SIZE, HOST_STORE) = 100 + i;
}

static struct abi_inspect inspect(struct actor *actor, uint64_t handle)
{
    MUST(actor, OBJECT_INSPECT, handle);
    return *(const struct abi_inspect *)(const void *)actor->thread->message->data;
}

static uint64_t objects_used(struct actor *actor)
{
    return account_behind(actor, actor->account)->objects.used;
}

static uint64_t pages_used(struct actor *actor)
{
    return account_behind(actor, actor->account)->pages.used;
}

// ---- what one shows

// MEM-27
TEST(a_slice_shows_its_range)
{
    begin(40);
    number_pages(40);
    uint64_t slice = slice_of(owner, whole, 20, 10), as = owner->own_aspace;
    MUST(owner, VM_MAP, as, slice, 0, ELSEWHERE, 10 * PAGE_SIZE, RW);
    for (uint64_t i = 0; i < 10; i++)
        EXPECT_EQUAL(*word_at(owner, ELSEWHERE + i * PAGE_SIZE, HOST_LOAD), 120 + i);
    *word_at(owner, ELSEWHERE + 9 * PAGE_SIZE, HOST_STORE) = 7;
    EXPECT_EQUAL(*word_at(owner, AT + 29 * PAGE_SIZE, HOST_LOAD), 7);
    EXPECT(!can(owner, ELSEWHERE + 10 * PAGE_SIZE));
    world_check();
    MUST(owner, VM_UNMAP, as, ELSEWHERE);
    // Of a part of it, and of a slice of a slice, counted from where that begins.
    uint64_t within = slice_of(owner, slice, 3, 4);
    uint64_t inner = slice_of(owner, within, 3, 1);
    MUST(owner, VM_MAP, as, slice, 9 * PAGE_SIZE, ELSEWHERE, PAGE_SIZE, PROT_READ);
    MUST(owner, VM_MAP, as, within, PAGE_SIZE, ELSEWHERE + PAGE_SIZE, 3 * PAGE_SIZE, PROT_READ);
    MUST(owner, VM_MAP, as, inner, 0, ELSEWHERE + 4 * PAGE_SIZE, PAGE_SIZE, PROT_READ);
    static const uint64_t shown[] = {7, 124, 125, 126, 126};
    for (uint64_t i = 0; i < ARRAY_SIZE(shown); i++)
        EXPECT_EQUAL(*word_at(owner, ELSEWHERE + i * PAGE_SIZE, HOST_LOAD), shown[i]);
    EXPECT_EQUAL(inspect(owner, slice).vmo.bytes, 10 * PAGE_SIZE);
    EXPECT_EQUAL(inspect(owner, slice).state, VMO_READY);
    EXPECT_EQUAL(inspect(owner, slice).vmo.mappings, 1);
    EXPECT_EQUAL(inspect(owner, inner).vmo.mappings, 1);
    EXPECT_EQUAL(inspect(owner, whole).vmo.mappings, 4);
    EXPECT_EQUAL(inspect(owner, whole).handles, 2); // a slice counts as one
    world_check();
    MUST(owner, VM_PROTECT, as, ELSEWHERE + 4 * PAGE_SIZE, RW);
    *word_at(owner, ELSEWHERE + 4 * PAGE_SIZE, HOST_STORE) = 8;
    EXPECT_EQUAL(*word_at(owner, AT + 26 * PAGE_SIZE, HOST_LOAD), 8);
    world_end();
}

// MEM-27
TEST(a_slice_reaches_no_further)
{
    begin(8);
    uint64_t acc = owner->account, as = owner->own_aspace;
    uint64_t slice = slice_of(owner, whole, 2, 4);
    static const struct {
        uint64_t first, bytes;
        bool of_whole, of_slice;
    } ranges[] = {
        {0, PAGE_SIZE, true, true},
        {0, 4 * PAGE_SIZE, true, true},
        {3 * PAGE_SIZE, PAGE_SIZE, true, true},
        {0, 5 * PAGE_SIZE, true, false},
        {4 * PAGE_SIZE, PAGE_SIZE, true, false},
        {3 * PAGE_SIZE, 2 * PAGE_SIZE, true, false},
        {0, 8 * PAGE_SIZE, true, false},
        {7 * PAGE_SIZE, PAGE_SIZE, true, false},
        {8 * PAGE_SIZE, PAGE_SIZE, false, false},
        {0, 9 * PAGE_SIZE, false, false},
        {9 * PAGE_SIZE, PAGE_SIZE, false, false},
        {0, 0, false, false},
        {0, 1, false, false},
        {1, PAGE_SIZE, false, false},
        {PAGE_SIZE, UINT64_MAX & ~(PAGE_SIZE - 1), false, false},
        {UINT64_MAX & ~(PAGE_SIZE - 1), PAGE_SIZE, false, false},
        {UINT64_MAX & ~(PAGE_SIZE - 1), UINT64_MAX & ~(PAGE_SIZE - 1), false, false},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
        uint64_t first = ranges[i].first, bytes = ranges[i].bytes;
        struct outcome of_whole = CALL(owner, VMO_SLICE, acc, whole, first, bytes, SHARED);
        struct outcome of_slice = CALL(owner, VMO_SLICE, acc, slice, first, bytes, SHARED);
        struct outcome mapped = CALL(owner, VM_MAP, as, slice, first, AT, bytes, PROT_READ);
        EXPECT_EQUAL(of_whole.status, ranges[i].of_whole ? STATUS_OK : STATUS_INVALID);
        EXPECT_EQUAL(of_slice.status, ranges[i].of_slice ? STATUS_OK : STATUS_INVALID);
        EXPECT_EQUAL(mapped.status, ranges[i].of_slice ? STATUS_OK : STATUS_INVALID);
        if (mapped.status == STATUS_OK)
            MUST(owner, VM_UNMAP, as, AT);
        world_check();
    }
    world_end();
}

// OBJ-3, MEM-27
TEST(a_slice_allows_no_more_than_its_source)
{
    begin(4);
    uint64_t acc = owner->account, as = owner->own_aspace;
    uint64_t weak = MUST(owner, HANDLE_DUPLICATE, whole, RIGHT_DUPLICATE | RIGHT_READ | RIGHT_MAP);
    for (uint32_t right = 1; right <= RIGHTS_ALL; right <<= 1) {
        bool has = (RIGHT_DUPLICATE | RIGHT_READ | RIGHT_MAP) & right;
        EXPECT_EQUAL(CALL(owner, VMO_SLICE, acc, weak, 0, PAGE_SIZE, right).status,
                     has ? STATUS_OK : STATUS_INVALID);
    }
    EXPECT_CALL(INVALID, owner, VMO_SLICE, acc, whole, 0, PAGE_SIZE, RIGHTS_VMO | 1ull << 40);
    uint64_t mute = MUST(owner, HANDLE_DUPLICATE, whole, SHARED & ~(uint32_t)RIGHT_DUPLICATE);
    EXPECT_CALL(NO_RIGHT, owner, VMO_SLICE, acc, mute, 0, PAGE_SIZE, RIGHT_READ);
    EXPECT_CALL(WRONG_TYPE, owner, VMO_SLICE, acc, as, 0, PAGE_SIZE, RIGHT_READ);
    EXPECT_CALL(WRONG_TYPE, owner, VMO_SLICE, whole, whole, 0, PAGE_SIZE, RIGHT_READ);
    uint64_t readable = MUST(owner, VMO_SLICE, acc, whole, PAGE_SIZE, PAGE_SIZE,
                             RIGHT_READ | RIGHT_MAP | RIGHT_DUPLICATE);
    EXPECT_CALL(NO_RIGHT, owner, VM_MAP, as, readable, 0, AT, PAGE_SIZE, RW);
    MUST(owner, VM_MAP, as, readable, 0, AT, PAGE_SIZE, PROT_READ);
    EXPECT_CALL(NO_RIGHT, owner, VM_PROTECT, as, AT, RW);
    EXPECT(!word_at(owner, AT, HOST_STORE));
    EXPECT_CALL(INVALID, owner, VMO_SLICE, acc, readable, 0, PAGE_SIZE, RIGHT_READ | RIGHT_WRITE);
    EXPECT_CALL(NO_RIGHT, owner, OBJECT_DESTROY, readable);
    world_check();
    world_end();
}

// ---- who pays

// MEM-28
TEST(a_slice_costs_an_object)
{
    begin(40); // with a page of index
    uint64_t theirs = grant_rights(user, owner, whole, SHARED);
    uint64_t owners_pages = pages_used(owner), owners_objects = objects_used(owner);
    uint64_t pages = pages_used(user), objects = objects_used(user);
    uint64_t slice = MUST(user, VMO_SLICE, user->account, theirs, PAGE_SIZE, 2 * PAGE_SIZE, SHARED);
    EXPECT_EQUAL(objects_used(user), objects + 1);
    EXPECT_EQUAL(pages_used(user), pages);
    // What is mapped through it costs what it costs without: pages, index, tables; the VMO's slot.
    MUST(user, VM_MAP, user->own_aspace, slice, 0, AT, 2 * PAGE_SIZE, RW);
    uint64_t through_pages = pages_used(user), through_objects = objects_used(user);
    EXPECT_EQUAL(through_objects, objects + 3);
    MUST(user, VM_UNMAP, user->own_aspace, AT);
    MUST(user, HANDLE_CLOSE, slice);
    EXPECT_EQUAL(objects_used(user), objects);
    MUST(user, VM_MAP, user->own_aspace, theirs, PAGE_SIZE, AT, 2 * PAGE_SIZE, RW);
    EXPECT_EQUAL(pages_used(user), through_pages - 2 + 2);
    EXPECT_EQUAL(objects_used(user), through_objects - 1);
    EXPECT_EQUAL(pages_used(owner), owners_pages);
    EXPECT_EQUAL(objects_used(owner), owners_objects);
    world_check();
    uint64_t poor = MUST(user, ACCOUNT_CREATE, user->account, 1, 1);
    MUST(user, VMO_SLICE, poor, theirs, 0, PAGE_SIZE, SHARED);
    EXPECT_CALL(NO_OBJECTS, user, VMO_SLICE, poor, theirs, 0, PAGE_SIZE, SHARED);
    MUST(user, OBJECT_DESTROY, poor);
    world_end();
}

// ---- life

// MEM-29
TEST(a_slice_keeps_its_source)
{
    begin(4);
    number_pages(4);
    MUST(owner, VM_UNMAP, owner->own_aspace, AT);
    uint64_t slice = slice_of(owner, whole, 1, 3);
    MUST(owner, HANDLE_CLOSE, whole);
    uint64_t within = slice_of(owner, slice, 1, 2);
    MUST(owner, HANDLE_CLOSE, slice);
    world_check();
    MUST(owner, VM_MAP, owner->own_aspace, within, 0, AT, PAGE_SIZE, PROT_READ);
    EXPECT_EQUAL(*word_at(owner, AT, HOST_LOAD), 102);
    // The last handle of the last slice; what is mapped stays.
    uint64_t used = pages_used(owner);
    MUST(owner, HANDLE_CLOSE, within);
    EXPECT_EQUAL(*word_at(owner, AT, HOST_LOAD), 102);
    world_check();
    MUST(owner, VM_UNMAP, owner->own_aspace, AT);
    EXPECT_EQUAL(pages_used(owner), used - 4);
    EXPECT(!can(owner, AT));
    world_end();
}

static bool is_gone(struct actor *actor, uint64_t vmo)
{
    return CALL(actor, HANDLE_DUPLICATE, vmo, 0).status == STATUS_GONE &&
           CALL(actor, OBJECT_INSPECT, vmo).status == STATUS_GONE &&
           CALL(actor, VM_MAP, actor->own_aspace, vmo, 0, ELSEWHERE, PAGE_SIZE, PROT_READ).status ==
               STATUS_GONE &&
           CALL(actor, VMO_SLICE, actor->account, vmo, 0, PAGE_SIZE, RIGHT_READ).status ==
               STATUS_GONE;
}

// A slice in the hands of `user`, one within it that it made itself, and one in a message on its way.
static uint64_t handed, inner, waiting;
static struct ends ends;

static void hand_out(void)
{
    uint64_t slice = slice_of(owner, whole, 1, 2);
    handed = grant_rights(user, owner, slice, SHARED);
    MUST(owner, HANDLE_CLOSE, slice);
    inner = MUST(user, VMO_SLICE, user->account, handed, PAGE_SIZE, PAGE_SIZE, SHARED);
    ends = new_channel(owner, 2, 64, 2, 0);
    waiting = slice_of(owner, whole, 0, 1);
    set_handles(owner, 1, (const uint64_t[]){waiting});
    MUST(owner, CHANNEL_SEND, ends.end0, MSG(0, 1), 0);
    MUST(user, VM_MAP, user->own_aspace, handed, 0, AT, PAGE_SIZE, RW);
    MUST(user, VM_MAP, user->own_aspace, inner, 0, AT + PAGE_SIZE, PAGE_SIZE, RW);
    world_check();
}

static void expect_all_gone(bool mapped)
{
    settle();
    EXPECT(is_gone(user, handed) && is_gone(user, inner));
    EXPECT_EQUAL(can(user, AT), mapped);
    EXPECT_EQUAL(can(user, AT + PAGE_SIZE), mapped);
    world_check();
}

static uint64_t received(void)
{
    MUST(owner, CHANNEL_RECEIVE, ends.end1, 0);
    return handle_of(owner, 0);
}

// MEM-30
TEST(slices_end_with_their_source)
{
    begin(4);
    hand_out();
    MUST(owner, OBJECT_DESTROY, whole);
    expect_all_gone(false);
    EXPECT(is_gone(owner, received()));
    MUST(user, HANDLE_CLOSE, handed);
    world_end();
}

// MEM-30
TEST(memory_stays_for_those_who_have_paid)
{
    begin(4);
    hand_out();
    *word_at(user, AT, HOST_STORE) = 77;
    *word_at(user, AT + PAGE_SIZE, HOST_STORE) = 78;
    MUST(owner, OBJECT_DESTROY, owner->account);
    expect_all_gone(true);
    EXPECT_EQUAL(*word_at(user, AT, HOST_LOAD), 77);
    EXPECT_EQUAL(*word_at(user, AT + PAGE_SIZE, HOST_LOAD), 78);
    MUST(user, VM_UNMAP, user->own_aspace, AT);
    MUST(user, VM_UNMAP, user->own_aspace, AT + PAGE_SIZE);
    world_end();
}

// MEM-30
TEST(what_is_used_of_a_destroyed_source_is_gone_at_once)
{
    begin(4);
    uint64_t slices[40], acc = owner->account;
    for (unsigned i = 0; i < ARRAY_SIZE(slices); i++)
        slices[i] = slice_of(owner, i % 2 ? slices[i - 1] : whole, i % 2, 3 - i % 2);
    uint64_t space =
        MUST(owner, MACHINE_DMA_SPACE, grant(owner, world.boss, world.machine), acc, DEVICE);
    // Nothing of the end of the source has been done yet but its first step.
    hold(owner);
    EXPECT_STATUS(HELD(owner, OBJECT_DESTROY, whole).status, OK);
    unsigned live = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(slices); i++) {
        uint64_t slice = slices[i];
        live += is_live(owner, slice);
        EXPECT_STATUS(
            HELD(owner, VM_MAP, owner->own_aspace, slice, 0, AT, PAGE_SIZE, PROT_READ).status,
            GONE);
        EXPECT_STATUS(HELD(owner, VMO_SLICE, acc, slice, 0, PAGE_SIZE, RIGHT_READ).status, GONE);
        EXPECT_STATUS(HELD(owner, PIN_CREATE, space, acc, slice, 0, PAGE_SIZE, DMA_BOTH).status,
                      GONE);
    }
    EXPECT(live > 0);
    settle();
    for (unsigned i = 0; i < ARRAY_SIZE(slices); i++)
        EXPECT(is_gone(owner, slices[i]));
    world_end();
}

// MEM-31
TEST(destroying_a_slice_takes_back_what_was_handed_out)
{
    begin(4);
    number_pages(4);
    uint64_t slice = slice_of(owner, whole, 1, 2), beside = slice_of(owner, whole, 1, 2);
    handed = grant_rights(user, owner, slice, SHARED);
    inner = MUST(user, VMO_SLICE, user->account, handed, PAGE_SIZE, PAGE_SIZE, SHARED);
    MUST(user, VM_MAP, user->own_aspace, handed, 0, AT, PAGE_SIZE, RW);
    MUST(user, VM_MAP, user->own_aspace, inner, 0, AT + PAGE_SIZE, PAGE_SIZE, RW);
    // Made through one that has ended by now.
    uint64_t brief = MUST(user, VMO_SLICE, user->account, inner, 0, PAGE_SIZE, SHARED);
    MUST(user, VM_MAP, user->own_aspace, brief, 0, AT + 2 * PAGE_SIZE, PAGE_SIZE, RW);
    MUST(user, HANDLE_CLOSE, brief);
    EXPECT(can(user, AT + 2 * PAGE_SIZE));
    EXPECT_EQUAL(inspect(user, inner).vmo.mappings, 2);
    world_check();
    // What user has of it through another way stays, and so does all else.
    MUST(user, VM_MAP, user->own_aspace, grant(user, owner, beside), 0, ELSEWHERE + PAGE_SIZE,
         PAGE_SIZE, RW);
    MUST(owner, OBJECT_DESTROY, slice);
    expect_all_gone(false);
    EXPECT(!can(user, AT + 2 * PAGE_SIZE));
    EXPECT(can(user, ELSEWHERE + PAGE_SIZE) && can(owner, AT + PAGE_SIZE));
    EXPECT(!is_gone(owner, whole) && is_live(owner, beside));
    EXPECT_EQUAL(*word_at(owner, AT + PAGE_SIZE, HOST_LOAD), 101);
    world_end();
}

// MEM-31
TEST(a_slice_ends_with_its_account)
{
    begin(4);
    number_pages(4);
    uint64_t account = MUST(owner, ACCOUNT_CREATE, owner->account, 10, 10);
    uint64_t slice = MUST(owner, VMO_SLICE, account, whole, PAGE_SIZE, 2 * PAGE_SIZE, RIGHTS_VMO);
    handed = grant_rights(user, owner, slice, SHARED);
    inner = MUST(user, VMO_SLICE, user->account, handed, PAGE_SIZE, PAGE_SIZE, SHARED);
    MUST(user, VM_MAP, user->own_aspace, handed, 0, AT, PAGE_SIZE, RW);
    MUST(user, VM_MAP, user->own_aspace, inner, 0, AT + PAGE_SIZE, PAGE_SIZE, RW);
    MUST(owner, OBJECT_DESTROY, account);
    expect_all_gone(true); // who maps memory has paid for it
    EXPECT_EQUAL(*word_at(user, AT + PAGE_SIZE, HOST_LOAD), 102);
    MUST(owner, OBJECT_WAIT, account, SIGNAL_TERMINATED, 0);
    EXPECT(is_live(owner, whole));
    // It is the source's now, and goes with that.
    MUST(owner, OBJECT_DESTROY, whole);
    expect_all_gone(false);
    world_end();
}

// Mappings of a slice that ends are handed up in steps; whatever happens between them holds for all.
TEST(many_mappings_of_a_slice_that_ends)
{
    constexpr unsigned MANY = 2 * VM_STEP_PAGES + 3;
    for (unsigned way = 0; way < 3; way++) {
        begin(4);
        uint64_t outer = slice_of(owner, whole, 0, 3), slice = slice_of(owner, outer, 1, 2);
        for (unsigned i = 0; i < MANY; i++)
            MUST(owner, VM_MAP, owner->own_aspace, slice, PAGE_SIZE, AT + i * PAGE_SIZE, PAGE_SIZE,
                 RW);
        EXPECT_EQUAL(inspect(owner, slice).vmo.mappings, MANY);
        MUST(owner, HANDLE_CLOSE, slice);
        EXPECT_EQUAL(inspect(owner, outer).vmo.mappings, MANY);
        world_check();
        if (way == 2)
            MUST(owner, HANDLE_CLOSE, outer);
        else
            MUST(owner, OBJECT_DESTROY, way == 1 ? whole : outer);
        settle();
        world_check();
        for (unsigned i = 0; i < MANY; i++)
            EXPECT_EQUAL(can(owner, AT + i * PAGE_SIZE), way == 2);
        world_end();
    }
}

static struct vmo *heir;
static uint64_t handed_up, most_at_once;

static void count_handed_up(void)
{
    uint64_t now = counter_read(&heir->shown);
    if (now - handed_up > most_at_once)
        most_at_once = now - handed_up;
    handed_up = now;
}

TEST(so_many_mappings_are_handed_up_in_one_step)
{
    constexpr unsigned MANY = 2 * VM_STEP_PAGES + 3;
    begin(2);
    uint64_t outer = slice_of(owner, whole, 0, 2), slice = slice_of(owner, outer, 1, 1);
    for (unsigned i = 0; i < MANY; i++)
        MUST(owner, VM_MAP, owner->own_aspace, slice, 0, AT + i * PAGE_SIZE, PAGE_SIZE, RW);
    heir = vmo_of(object_behind(owner, outer));
    host_on_window = count_handed_up;
    MUST(owner, HANDLE_CLOSE, slice);
    host_on_window = nullptr;
    EXPECT_EQUAL(counter_read(&heir->shown), MANY);
    EXPECT_EQUAL(most_at_once, VM_STEP_PAGES);
    world_end();
}

// ---- devices

static void begin_device(enum abi_memory_kind kind)
{
    world_begin((struct world_options){});
    owner = spawn(new_account(600, 100), 10);
    user = spawn(new_account(200, 100), 10);
    uint64_t machine = grant(owner, world.boss, world.machine);
    whole =
        MUST(owner, MACHINE_DEVICE_MEMORY, machine, owner->account, DEVICE_AT, 4 * PAGE_SIZE, kind);
}

static status_t mint_again(uint64_t paddr)
{
    return CALL(world.boss, MACHINE_DEVICE_MEMORY, world.machine, world.root_account, paddr,
                PAGE_SIZE, MEMORY_DEVICE)
        .status;
}

constexpr uint32_t REGISTERS = RIGHTS_VMO & ~(uint32_t)(RIGHT_EXECUTE | RIGHT_PIN);

static uint64_t one_register_page(uint64_t account, uint32_t rights)
{
    return MUST(owner, VMO_SLICE, account, whole, 2 * PAGE_SIZE, PAGE_SIZE, rights);
}

// MEM-14, MEM-27
TEST(one_page_of_registers)
{
    begin_device(MEMORY_DEVICE);
    uint64_t page = grant(user, owner, one_register_page(owner->account, REGISTERS));
    MUST(user, VM_MAP, user->own_aspace, page, 0, AT, PAGE_SIZE, RW);
    pte_t leaf = pagetable_get(user->process->aspace, AT);
    EXPECT_EQUAL(pte_address(leaf).value, DEVICE_AT + 2 * PAGE_SIZE);
    EXPECT(leaf.value & PTE_DEVICE);
    EXPECT_CALL(INVALID, user, VM_MAP, user->own_aspace, page, PAGE_SIZE, ELSEWHERE, PAGE_SIZE, RW);
    EXPECT_EQUAL(inspect(user, page).vmo.device, 1);
    // Nor with rights that a handle to registers never has.
    uint64_t forced = grant_rights(user, user, page, RIGHTS_VMO);
    EXPECT_CALL(INVALID, user, VM_MAP, user->own_aspace, forced, 0, ELSEWHERE, PAGE_SIZE,
                PROT_READ | PROT_EXECUTE);
    uint64_t space = MUST(world.boss, MACHINE_DMA_SPACE, world.machine, world.root_account, DEVICE);
    EXPECT_CALL(NOT_SUPPORTED, user, PIN_CREATE, grant(user, world.boss, space), user->account,
                forced, 0, PAGE_SIZE, DMA_BOTH);
    EXPECT_EQUAL(mint_again(DEVICE_AT + 2 * PAGE_SIZE), STATUS_OVERLAP);
    world_check();
    // Exclusive until the last slice is gone.
    MUST(owner, HANDLE_CLOSE, whole);
    EXPECT_EQUAL(mint_again(DEVICE_AT), STATUS_OVERLAP);
    MUST(owner, OBJECT_DESTROY,
         MUST(owner, HANDLE_DUPLICATE, grant(owner, user, page), RIGHT_MANAGE));
    EXPECT(!can(user, AT));
    EXPECT_EQUAL(mint_again(DEVICE_AT + 2 * PAGE_SIZE), STATUS_OK);
    world_end();
}

// MEM-14, MEM-27
TEST(a_slice_of_tables_is_read_only)
{
    begin_device(MEMORY_TABLES);
    uint64_t page = one_register_page(owner->account, RIGHT_READ | RIGHT_MAP);
    uint64_t forced = grant_rights(owner, owner, page, RIGHTS_VMO);
    EXPECT_CALL(INVALID, owner, VM_MAP, owner->own_aspace, forced, 0, AT, PAGE_SIZE, RW);
    MUST(owner, VM_MAP, owner->own_aspace, page, 0, AT, PAGE_SIZE, PROT_READ);
    EXPECT(!(pagetable_get(owner->process->aspace, AT).value & PTE_DEVICE));
    world_end();
}

// MEM-15, MEM-30
TEST(registers_are_taken_from_everybody)
{
    for (unsigned way = 0; way < 2; way++) {
        begin_device(MEMORY_DEVICE);
        uint64_t page = one_register_page(owner->account, REGISTERS);
        handed = grant(user, owner, page);
        inner = MUST(user, VMO_SLICE, user->account, handed, 0, PAGE_SIZE, REGISTERS);
        MUST(user, VM_MAP, user->own_aspace, handed, 0, AT, PAGE_SIZE, RW);
        MUST(user, VM_MAP, user->own_aspace, inner, 0, AT + PAGE_SIZE, PAGE_SIZE, RW);
        if (way == 0)
            MUST(owner, OBJECT_DESTROY, whole);
        else
            (void)CALL(owner, OBJECT_DESTROY, owner->account);
        expect_all_gone(false);
        EXPECT_EQUAL(mint_again(DEVICE_AT), STATUS_OK);
        world_end();
    }
}

// MEM-15, MEM-31
TEST(registers_do_not_outlive_the_account_of_their_slice)
{
    for (unsigned way = 0; way < 4; way++) {
        begin_device(MEMORY_DEVICE);
        uint64_t account = MUST(owner, ACCOUNT_CREATE, owner->account, 10, 10);
        uint64_t page = one_register_page(account, REGISTERS);
        handed = grant(user, owner, page);
        inner = MUST(user, VMO_SLICE, user->account, handed, 0, PAGE_SIZE, REGISTERS);
        MUST(user, VM_MAP, user->own_aspace, handed, 0, AT, PAGE_SIZE, RW);
        // With handles, and without: then it waits for who maps it.
        if (way > 0) {
            MUST(owner, HANDLE_CLOSE, page);
            MUST(user, HANDLE_CLOSE, handed);
            MUST(user, HANDLE_CLOSE, inner);
            settle();
            world_check();
            EXPECT(can(user, AT));
            EXPECT_EQUAL(mint_again(DEVICE_AT), STATUS_OVERLAP);
        }
        if (way < 2)
            MUST(owner, OBJECT_DESTROY, account);
        else if (way == 2)
            MUST(owner, OBJECT_DESTROY, whole);
        else
            MUST(user, VM_UNMAP, user->own_aspace, AT);
        EXPECT(!can(user, AT));
        EXPECT_EQUAL(is_live(owner, whole), way != 2);
        if (way < 2)
            MUST(owner, OBJECT_WAIT, account, SIGNAL_TERMINATED, 0);
        EXPECT_EQUAL(objects_used(owner) > 0, true);
        world_check();
        world_end();
    }
}

// ---- pins

// MEM-27, MEM-17, MEM-19
TEST(a_pin_of_a_slice)
{
    begin(40);
    uint64_t machine = grant(owner, world.boss, world.machine), acc = owner->account;
    uint64_t space = MUST(owner, MACHINE_DMA_SPACE, machine, acc, DEVICE);
    uint64_t slice = slice_of(owner, whole, 20, 4), within = slice_of(owner, slice, 1, 2);
    EXPECT_CALL(INVALID, owner, PIN_CREATE, space, acc, slice, 0, 5 * PAGE_SIZE, DMA_BOTH);
    EXPECT_CALL(INVALID, owner, PIN_CREATE, space, acc, within, PAGE_SIZE, 2 * PAGE_SIZE, DMA_BOTH);
    uint64_t weak = MUST(owner, VMO_SLICE, acc, slice, 0, PAGE_SIZE, RIGHT_PIN | RIGHT_READ);
    EXPECT_CALL(NO_RIGHT, owner, PIN_CREATE, space, acc, weak, 0, PAGE_SIZE, DMA_BOTH);
    uint64_t used = pages_used(owner);
    uint64_t pin = MUST(owner, PIN_CREATE, space, acc, within, PAGE_SIZE, PAGE_SIZE, DMA_BOTH);
    EXPECT_EQUAL(pages_used(owner), used + 2); // a page, and the index
    EXPECT_EQUAL(MUST(owner, PIN_ADDRESSES, pin, 0), 1);
    uint64_t address = *(const uint64_t *)(const void *)owner->thread->message->data;
    EXPECT_EQUAL(address, vmo_page(vmo_of(object_behind(owner, whole)), 22).value);
    MUST(owner, PIN_SYNC, pin, 0, PAGE_SIZE, SYNC_CPU);
    ghost_add(DEVICE, (paddr_t){address});
    world_check();
    // What the device reaches stays, whatever becomes of the slice, and of its source.
    MUST(owner, OBJECT_DESTROY, slice);
    EXPECT(is_gone(owner, within) && is_live(owner, pin));
    world_check();
    MUST(owner, OBJECT_DESTROY, whole);
    world_check();
    MUST(owner, OBJECT_DESTROY, pin);
    world_check();
    ghost_quiet(DEVICE);
    EXPECT_EQUAL(MUST(owner, MACHINE_DEVICE_QUIET, machine, DEVICE), 1);
    world_end();
}

// ---- in the middle of things

static uint64_t victim;

// As far as it can, if the call has a lock that it needs.
static void it_goes(void)
{
    (void)CALL(user, OBJECT_DESTROY, victim);
}

// Another CPU destroys one of the VMOs at the nth lock that the call takes, or is about to.
static void goes_at_each(void *function, unsigned at_least)
{
    unsigned happened = 0;
    for (unsigned what = 0; what < 9; what++)
        for (unsigned nth = 1; nth < 30; nth++) {
            world_begin((struct world_options){.cpus = 2});
            owner = spawn_on(0, new_account(600, 100), 10);
            user = spawn_thread_on(1, owner, 10);
            uint64_t acc = owner->account, as = owner->own_aspace;
            whole = MUST(owner, VMO_CREATE, acc, 4 * PAGE_SIZE, 0);
            uint64_t space = MUST(owner, MACHINE_DMA_SPACE, grant(owner, world.boss, world.machine),
                                  acc, DEVICE);
            uint64_t slice = slice_of(owner, whole, 1, 2), used = objects_used(owner);
            uint64_t within = slice_of(owner, slice, 1, 1);
            uint64_t victims[] = {whole, slice, within};
            victim = victims[what % 3];
            meanwhile(function, nth, it_goes);
            struct outcome out =
                what < 3   ? CALL(owner, VMO_SLICE, acc, within, 0, PAGE_SIZE, RIGHT_READ)
                : what < 6 ? CALL(owner, VM_MAP, as, within, 0, AT, PAGE_SIZE, PROT_READ)
                           : CALL(owner, PIN_CREATE, space, acc, within, 0, PAGE_SIZE, DMA_BOTH);
            bool done = meanwhile_happened();
            meanwhile(nullptr, 0, nullptr);
            settle();
            world_check();
            EXPECT(out.status == STATUS_OK || (done && out.status == STATUS_GONE));
            EXPECT_EQUAL(owner->process->handles_reserved, 0);
            happened += done;
            if (done && what < 6) {
                EXPECT(!can(owner, AT) && !is_live(owner, within));
                EXPECT_EQUAL(objects_used(owner), used - (what % 3 == 0 ? 2 : what % 3 == 1));
            }
            if (what < 6)
                world_end();
            else
                world_end_after_quarantine(DEVICE);
            if (!done)
                break;
        }
    EXPECT(happened >= at_least);
}

TEST(a_source_goes_at_each_lock_of_a_call)
{
    goes_at_each((void *)lock_acquire, 40);
}

TEST(a_source_goes_before_it_is_locked)
{
    goes_at_each((void *)object_lock_inner, 9);
}

static void begin_on_two_cpus(void)
{
    world_begin((struct world_options){.cpus = 2});
    owner = spawn_on(0, new_account(600, 100), 10);
    user = spawn_thread_on(1, owner, 10);
    whole = MUST(owner, VMO_CREATE, owner->account, 4 * PAGE_SIZE, 0);
}

static const struct object *waiting_source;

static void source_goes_and_waits(void)
{
    EXPECT_CALL(OK, user, OBJECT_DESTROY, victim);
    EXPECT(!is_live(user, victim) && waiting_source->life == LIFE_DYING);
}

// The end of a slice stops before its first step: until it is over its source is not.
// MEM-30
TEST(a_source_waits_for_its_slices)
{
    for (unsigned nested = 0; nested < 2; nested++) {
        begin_on_two_cpus();
        victim = nested ? slice_of(owner, whole, 0, 2) : whole;
        waiting_source = object_behind(owner, victim);
        uint64_t slice = slice_of(owner, victim, 0, 1);
        meanwhile((void *)slice_teardown, 1, source_goes_and_waits);
        MUST(owner, HANDLE_CLOSE, slice);
        EXPECT(meanwhile_happened());
        settle();
        EXPECT_EQUAL(waiting_source->life, LIFE_FREE);
        world_end();
    }
}

// Whoever ends what a slice is cut out of has to wait until it is published.
TEST(a_slice_is_made_before_it_ends)
{
    for (unsigned nested = 0; nested < 2; nested++) {
        begin_on_two_cpus();
        victim = nested ? slice_of(owner, whole, 0, 2) : whole;
        meanwhile((void *)account_adopt, 1, it_goes);
        struct outcome made =
            CALL(owner, VMO_SLICE, owner->account, victim, 0, PAGE_SIZE, RIGHTS_VMO);
        EXPECT(meanwhile_happened());
        settle();
        EXPECT_STATUS(made.status, OK);
        EXPECT(!is_live(owner, victim) && !is_live(owner, made.value[0]));
        EXPECT_EQUAL(is_live(owner, whole), nested);
        world_check();
        world_end();
    }
}
