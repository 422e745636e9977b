// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// VMOs, map and unmap, what user code can reach through page tables and TLBs (M1-M8).
#include "cpu.h"
#include "frame.h"
#include "kernel_world.h"

constexpr uint64_t AT = 0x4000'0000;
constexpr uint64_t RW = PROT_READ | PROT_WRITE;

static struct actor *begin(void)
{
    world_begin((struct world_options){});
    return spawn(new_account(6000, 300), 10);
}

// User accesses, as the actor, on its CPU.
static bool can(struct actor *actor, uint64_t address, enum host_access kind)
{
    paddr_t physical;
    hold(actor);
    bool works = host_access(actor->cpu, address, kind, &physical);
    settle();
    return works;
}

static void store(struct actor *actor, uint64_t address, uint64_t value)
{
    paddr_t physical;
    hold(actor);
    EXPECT(host_access(actor->cpu, address, HOST_STORE, &physical));
    *(uint64_t *)arch_ram(physical) = value;
    settle();
}

static uint64_t load(struct actor *actor, uint64_t address)
{
    paddr_t physical;
    hold(actor);
    EXPECT(host_access(actor->cpu, address, HOST_LOAD, &physical));
    uint64_t value = *(uint64_t *)arch_ram(physical);
    settle();
    return value;
}

// As the explorer does it: a search begins with a new world.
TEST(a_new_machine_has_all_its_address_space_numbers)
{
    for (unsigned i = 0; i < 2; i++)
        world_begin((struct world_options){.asids = 1}); // the boss's
    world_end();
}

// MEM-1
TEST(a_vmo_is_zeroed_and_of_the_size_asked_for)
{
    struct actor *a = begin();
    EXPECT_CALL(INVALID, a, VMO_CREATE, a->account, 0, 0);
    EXPECT_CALL(INVALID, a, VMO_CREATE, a->account, (1ull << 30) + 1, 0);
    EXPECT_CALL(INVALID, a, VMO_CREATE, a->account, UINT64_MAX, 0);
    EXPECT_CALL(INVALID, a, VMO_CREATE, a->account, PAGE_SIZE, 2);
    EXPECT_CALL(NO_PAGES, a, VMO_CREATE, a->account, PAGE_SIZE, VMO_CONTIGUOUS); // has none
    static const uint64_t sizes[] = {1,         4095,      4096,        4097,
                                     16 * 4096, 17 * 4096, 1024 * 4096, 1025 * 4096};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint64_t vmo = MUST(a, VMO_CREATE, a->account, sizes[i], 0);
        EXPECT_EQUAL(object_behind(a, vmo)->state, VMO_READY);
        uint64_t bytes = align_up(sizes[i], PAGE_SIZE);
        MUST(a, VM_MAP, a->own_aspace, vmo, 0, AT, bytes, RW);
        for (uint64_t at = 0; at<bytes; at += bytes> PAGE_SIZE ? bytes - PAGE_SIZE : bytes) {
            EXPECT_EQUAL(load(a, AT + at), 0);
            store(a, AT + at, ~0ull); // for whoever gets the frame next
        }
        EXPECT(!can(a, AT + bytes, HOST_LOAD));
        world_check();
        MUST(a, VM_UNMAP, a->own_aspace, AT);
        EXPECT(!can(a, AT, HOST_LOAD));
        MUST(a, HANDLE_CLOSE, vmo);
        world_check();
    }
    world_end();
}

// MEM-5, MEM-6
TEST(map_refuses_what_is_wrong)
{
    struct actor *a = begin();
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 4 * PAGE_SIZE, 0);
    uint64_t as = a->own_aspace;
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 1, AT, PAGE_SIZE, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 0, AT + 1, PAGE_SIZE, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 0, AT, PAGE_SIZE + 1, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 0, AT, 0, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 0, 0, PAGE_SIZE, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 0, ABI_USER_MIN - PAGE_SIZE, PAGE_SIZE, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 0, ABI_USER_MAX, PAGE_SIZE, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 0, ABI_USER_MAX - PAGE_SIZE, 2 * PAGE_SIZE, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 0, 0xffff'8000'0000'0000, PAGE_SIZE, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 0, AT, 5 * PAGE_SIZE, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 4 * PAGE_SIZE, AT, PAGE_SIZE, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, UINT64_MAX - PAGE_SIZE + 1, AT, PAGE_SIZE, RW);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 0, AT, PAGE_SIZE, 0);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 0, AT, PAGE_SIZE, PROT_WRITE);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 0, AT, PAGE_SIZE, 8 | PROT_READ);
    EXPECT_CALL(INVALID, a, VM_MAP, as, vmo, 0, AT, PAGE_SIZE, RW | PROT_EXECUTE);
    uint64_t readable = MUST(a, HANDLE_DUPLICATE, vmo, RIGHT_MAP | RIGHT_READ);
    EXPECT_CALL(NO_RIGHT, a, VM_MAP, as, readable, 0, AT, PAGE_SIZE, RW);
    EXPECT_CALL(NO_RIGHT, a, VM_MAP, as, readable, 0, AT, PAGE_SIZE, PROT_READ | PROT_EXECUTE);
    uint64_t unmappable = MUST(a, HANDLE_DUPLICATE, vmo, RIGHT_READ);
    EXPECT_CALL(NO_RIGHT, a, VM_MAP, as, unmappable, 0, AT, PAGE_SIZE, PROT_READ);
    EXPECT_CALL(NOT_FOUND, a, VM_PROTECT, as, AT, PROT_READ);
    world_check();
    EXPECT_EQUAL(account_behind(a, a->account)->objects.used, 5); // none of it left a mapping
    world_end();
}

// MEM-7
TEST(protection_is_what_user_code_gets)
{
    struct actor *a = begin();
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
    static const uint64_t protections[] = {PROT_READ, RW, PROT_READ | PROT_EXECUTE};
    for (unsigned i = 0; i < 3; i++) {
        MUST(a, VM_MAP, a->own_aspace, vmo, 0, AT, PAGE_SIZE, protections[i]);
        EXPECT(can(a, AT, HOST_LOAD));
        EXPECT_EQUAL(can(a, AT, HOST_STORE), i == 1);
        EXPECT_EQUAL(can(a, AT, HOST_FETCH), i == 2);
        world_check();
        MUST(a, VM_UNMAP, a->own_aspace, AT);
        // The rights that it needs are enough.
        uint32_t rights = RIGHT_MAP | RIGHT_READ;
        rights |= i == 1 ? (uint32_t)RIGHT_WRITE : i == 2 ? (uint32_t)RIGHT_EXECUTE : 0;
        uint64_t just = MUST(a, HANDLE_DUPLICATE, vmo, rights);
        MUST(a, VM_MAP, a->own_aspace, just, 0, AT, PAGE_SIZE, protections[i]);
        MUST(a, VM_UNMAP, a->own_aspace, AT);
    }
    world_end();
}

static const uint64_t RX = PROT_READ | PROT_EXECUTE;

// MEM-23
TEST(protection_changes_for_all_of_a_mapping)
{
    struct actor *a = begin();
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 3 * PAGE_SIZE, 0), as = a->own_aspace;
    MUST(a, VM_MAP, as, vmo, PAGE_SIZE, AT, 2 * PAGE_SIZE, RW);
    static const uint64_t protections[] = {PROT_READ, RX, RW, RW, PROT_READ, RW, RX};
    for (unsigned i = 0; i < ARRAY_SIZE(protections); i++) {
        for (uint64_t at = AT; at < AT + 2 * PAGE_SIZE; at += PAGE_SIZE)
            (void)can(a, at, HOST_LOAD); // what is remembered from before
        MUST(a, VM_PROTECT, as, AT, protections[i]);
        for (uint64_t at = AT; at < AT + 2 * PAGE_SIZE; at += PAGE_SIZE) {
            EXPECT(can(a, at, HOST_LOAD));
            EXPECT_EQUAL(can(a, at, HOST_STORE), protections[i] == RW);
            EXPECT_EQUAL(can(a, at, HOST_FETCH), protections[i] == RX);
        }
        world_check();
    }
    EXPECT(!can(a, AT - PAGE_SIZE, HOST_LOAD) && !can(a, AT + 2 * PAGE_SIZE, HOST_LOAD));
    MUST(a, VM_UNMAP, as, AT);
    EXPECT(!can(a, AT, HOST_LOAD));
    world_end();
}

// MEM-6, MEM-23
TEST(protect_refuses_what_map_would)
{
    struct actor *a = begin();
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 2 * PAGE_SIZE, 0), as = a->own_aspace;
    uint64_t readable = MUST(a, HANDLE_DUPLICATE, vmo, RIGHT_READ | RIGHT_MAP);
    uint64_t code = MUST(a, HANDLE_DUPLICATE, vmo, RIGHT_READ | RIGHT_MAP | RIGHT_EXECUTE);
    MUST(a, VM_MAP, as, vmo, 0, AT, 2 * PAGE_SIZE, PROT_READ);
    EXPECT_CALL(INVALID, a, VM_PROTECT, as, AT, PROT_WRITE);
    EXPECT_CALL(INVALID, a, VM_PROTECT, as, AT, 0);
    EXPECT_CALL(INVALID, a, VM_PROTECT, as, AT, RW | PROT_EXECUTE);
    EXPECT_CALL(INVALID, a, VM_PROTECT, as, AT, RW | 8);
    EXPECT_CALL(NOT_FOUND, a, VM_PROTECT, as, AT + PAGE_SIZE, PROT_READ);
    EXPECT_CALL(NOT_FOUND, a, VM_PROTECT, as, AT - PAGE_SIZE, PROT_READ);
    EXPECT_CALL(NOT_FOUND, a, VM_PROTECT, as, ABI_INIT_MESSAGE_BUFFER, PROT_READ);
    EXPECT(!can(a, AT, HOST_STORE));
    MUST(a, VM_UNMAP, as, AT);
    EXPECT_CALL(NOT_FOUND, a, VM_PROTECT, as, AT, PROT_READ);
    EXPECT_CALL(INVALID, a, VM_PROTECT, as, AT, PROT_WRITE); // of no mapping at all
    // The rights are those of the handle that it was made with, whatever came of that handle.
    MUST(a, VM_MAP, as, readable, 0, AT, PAGE_SIZE, PROT_READ);
    MUST(a, VM_MAP, as, code, 0, AT + PAGE_SIZE, PAGE_SIZE, PROT_READ);
    MUST(a, HANDLE_CLOSE, code);
    EXPECT_CALL(NO_RIGHT, a, VM_PROTECT, as, AT, RW);
    EXPECT_CALL(NO_RIGHT, a, VM_PROTECT, as, AT, RX);
    EXPECT_CALL(NO_RIGHT, a, VM_PROTECT, as, AT + PAGE_SIZE, RW);
    MUST(a, VM_PROTECT, as, AT + PAGE_SIZE, RX);
    EXPECT(can(a, AT + PAGE_SIZE, HOST_FETCH) && !can(a, AT, HOST_FETCH));
    world_check();
    world_end();
}

// MEM-14, MEM-23
TEST(what_device_memory_can_never_be)
{
    struct actor *a = begin();
    uint64_t registers = MUST(world.boss, MACHINE_DEVICE_MEMORY, world.machine, world.root_account,
                              0xd000'0000, PAGE_SIZE, MEMORY_DEVICE);
    uint64_t device = grant(a, world.boss, registers), as = a->own_aspace;
    MUST(a, VM_MAP, as, device, 0, AT, PAGE_SIZE, PROT_READ);
    EXPECT_EQUAL(object_behind(a, device)->state, VMO_READY);
    MUST(a, VM_PROTECT, as, AT, RW);
    EXPECT(can(a, AT, HOST_STORE));
    EXPECT_CALL(NO_RIGHT, a, VM_PROTECT, as, AT, RX);
    world_end();
}

// MEM-5, MEM-12
TEST(mappings_do_not_overlap)
{
    struct actor *a = begin();
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 8 * PAGE_SIZE, 0);
    uint64_t as = a->own_aspace;
    MUST(a, VM_MAP, as, vmo, 0, AT, 4 * PAGE_SIZE, RW);
    for (int64_t first = -3; first <= 3; first++)
        EXPECT_CALL(OVERLAP, a, VM_MAP, as, vmo, 0, AT + (uint64_t)(first * 4096), 4 * PAGE_SIZE,
                    RW);
    EXPECT_CALL(OVERLAP, a, VM_MAP, as, vmo, 0, AT - PAGE_SIZE, 8 * PAGE_SIZE, RW);
    MUST(a, VM_MAP, as, vmo, 0, AT - 4 * PAGE_SIZE, 4 * PAGE_SIZE, RW);
    MUST(a, VM_MAP, as, vmo, 4 * PAGE_SIZE, AT + 4 * PAGE_SIZE, 4 * PAGE_SIZE, RW);
    EXPECT_CALL(OVERLAP, a, VM_MAP, as, vmo, 0, ABI_INIT_MESSAGE_BUFFER, PAGE_SIZE, RW);
    EXPECT_CALL(NOT_FOUND, a, VM_UNMAP, as, AT + PAGE_SIZE); // whole, from its beginning
    EXPECT_CALL(NOT_FOUND, a, VM_UNMAP, as, ABI_INIT_MESSAGE_BUFFER);
    EXPECT_CALL(NOT_FOUND, a, VM_UNMAP, as, 0);
    EXPECT_CALL(NOT_FOUND, a, VM_UNMAP, as, UINT64_MAX);
    // Two views of the same page are one page.
    MUST(a, VM_MAP, as, vmo, 4 * PAGE_SIZE, 0x7000'0000, PAGE_SIZE, PROT_READ);
    store(a, AT + 4 * PAGE_SIZE, 77);
    EXPECT_EQUAL(load(a, 0x7000'0000), 77);
    world_check();
    MUST(a, VM_UNMAP, as, AT);
    EXPECT_CALL(NOT_FOUND, a, VM_UNMAP, as, AT);
    MUST(a, VM_MAP, as, vmo, 0, AT, PAGE_SIZE, RW);
    world_end();
}

// MEM-2
TEST(large_ones_in_many_steps)
{
    struct actor *a = begin();
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, 2500 * PAGE_SIZE, 0);
    // Across the ends of tables of every level.
    uint64_t at = 0x80'0000'0000 - 1000 * PAGE_SIZE;
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, at, 2500 * PAGE_SIZE, RW);
    for (uint64_t page = 0; page < 2500; page += 499)
        store(a, at + page * PAGE_SIZE, page + 1);
    for (uint64_t page = 0; page < 2500; page += 499)
        EXPECT_EQUAL(load(a, at + page * PAGE_SIZE), page + 1);
    world_check();
    MUST(a, VM_UNMAP, a->own_aspace, at);
    EXPECT(!can(a, at, HOST_LOAD) && !can(a, at + 499 * PAGE_SIZE, HOST_LOAD));
    world_check();
    world_end();
}

// MEM-5
TEST(the_edges_of_user_space)
{
    struct actor *a = begin();
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, ABI_USER_MIN, PAGE_SIZE, RW);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, ABI_USER_MAX - PAGE_SIZE, PAGE_SIZE, RW);
    EXPECT(can(a, ABI_USER_MIN, HOST_STORE) && can(a, ABI_USER_MAX - 8, HOST_STORE));
    EXPECT(!can(a, ABI_USER_MIN - 8, HOST_LOAD) && !can(a, 0, HOST_LOAD));
    MUST(a, VM_UNMAP, a->own_aspace, ABI_USER_MAX - PAGE_SIZE);
    MUST(a, THREAD_CREATE, a->own_process, 5, ABI_USER_MAX - PAGE_SIZE);
    world_end();
}

// A long operation of a low-priority thread, stopped after each step while a higher one does
// something about it.
static void interfere(void (*begin_operation)(struct actor *, uint64_t vmo),
                      void (*with)(struct actor *high, struct actor *low, uint64_t vmo))
{
    world_begin((struct world_options){});
    for (unsigned stop = 1; stop < 100; stop++) {
        struct actor *low = spawn(new_account(1500, 100), 10);
        struct actor *high = spawn_thread(low, 10);
        EXPECT_CALL(OK, world.boss, THREAD_SET_PRIORITY, high->thread_handle, 30);
        uint64_t vmo = MUST(low, VMO_CREATE, low->account, 600 * PAGE_SIZE, 0);
        hold_after(high, stop);
        begin_operation(low, vmo);
        bool last = steps_left() > 0;
        if (!last)
            with(high, low, vmo);
        hold_after(high, 0);
        settle();
        world_check();
        world_end();
        if (last)
            return;
    }
}

static void begin_map(struct actor *low, uint64_t vmo)
{
    (void)CALL(low, VM_MAP, low->own_aspace, vmo, 0, AT, 600 * PAGE_SIZE, RW);
}

static void begin_unmap(struct actor *low, uint64_t vmo)
{
    struct actor *high = low + 1;
    bool held = high->held;
    unsigned left = steps_left();
    hold_after(high, 0);
    MUST(low, VM_MAP, low->own_aspace, vmo, 0, AT, 600 * PAGE_SIZE, RW);
    if (held)
        hold_after(high, left);
    (void)CALL(low, VM_UNMAP, low->own_aspace, AT);
}

static void unmap_it(struct actor *high, struct actor *low, uint64_t vmo)
{
    (void)low, (void)vmo;
    (void)HELD(high, VM_UNMAP, high->own_aspace, AT);
}

static void overlap_it(struct actor *high, struct actor *low, uint64_t vmo)
{
    struct outcome out =
        HELD(high, VM_MAP, high->own_aspace, vmo, 0, AT + 599 * PAGE_SIZE, PAGE_SIZE, RW);
    // The range is reserved until the last of it is gone.
    if (thread_state(low->thread) == THREAD_BLOCKED)
        EXPECT_STATUS(out.status, OVERLAP);
}

static void close_it(struct actor *high, struct actor *low, uint64_t vmo)
{
    (void)low;
    EXPECT_STATUS(HELD(high, HANDLE_CLOSE, vmo).status, OK);
}

static void destroy_it(struct actor *high, struct actor *low, uint64_t vmo)
{
    (void)low;
    EXPECT_STATUS(HELD(high, OBJECT_DESTROY, vmo).status, OK);
}

static void kill_it(struct actor *high, struct actor *low, uint64_t vmo)
{
    (void)vmo;
    EXPECT_STATUS(HELD(high, OBJECT_DESTROY, low->own_thread).status, OK);
}

static void exit_it(struct actor *high, struct actor *low, uint64_t vmo)
{
    (void)low, (void)vmo;
    (void)HELD(high, PROCESS_EXIT, 0);
}

static void end_account(struct actor *high, struct actor *low, uint64_t vmo)
{
    (void)low, (void)vmo;
    (void)HELD(high, OBJECT_DESTROY, high->account);
}

// MEM-4
TEST(unmap_while_mapping)
{
    interfere(begin_map, unmap_it);
}

TEST(overlap_while_mapping)
{
    interfere(begin_map, overlap_it);
}

// MEM-4
TEST(close_while_mapping)
{
    interfere(begin_map, close_it);
}

// MEM-4
TEST(destroy_while_mapping)
{
    interfere(begin_map, destroy_it);
}

// MEM-4
TEST(kill_while_mapping)
{
    interfere(begin_map, kill_it);
}

TEST(exit_while_mapping)
{
    interfere(begin_map, exit_it);
}

// MEM-4
TEST(account_ends_while_mapping)
{
    interfere(begin_map, end_account);
}

// MEM-8
TEST(unmap_while_unmapping)
{
    interfere(begin_unmap, unmap_it);
}

TEST(overlap_while_unmapping)
{
    interfere(begin_unmap, overlap_it);
}

TEST(destroy_while_unmapping)
{
    interfere(begin_unmap, destroy_it);
}

TEST(kill_while_unmapping)
{
    interfere(begin_unmap, kill_it);
}

TEST(account_ends_while_unmapping)
{
    interfere(begin_unmap, end_account);
}

static void begin_protect(struct actor *low, uint64_t vmo)
{
    struct actor *high = low + 1;
    bool held = high->held;
    unsigned left = steps_left();
    hold_after(high, 0);
    MUST(low, VM_MAP, low->own_aspace, vmo, 0, AT, 600 * PAGE_SIZE, RW);
    if (held)
        hold_after(high, left);
    (void)CALL(low, VM_PROTECT, low->own_aspace, AT, PROT_READ);
}

static void protect_busy(struct actor *high, struct actor *low, status_t refused)
{
    bool busy = thread_state(low->thread) == THREAD_BLOCKED;
    struct outcome out = HELD(high, VM_PROTECT, high->own_aspace, AT, RX);
    if (busy)
        EXPECT_EQUAL(out.status, refused);
}

static void protect_it(struct actor *high, struct actor *low, uint64_t vmo)
{
    (void)vmo;
    protect_busy(high, low, STATUS_BAD_STATE);
}

static void protect_what_goes(struct actor *high, struct actor *low, uint64_t vmo)
{
    (void)vmo;
    protect_busy(high, low, STATUS_NOT_FOUND);
}

// MEM-23
TEST(protect_while_protecting)
{
    interfere(begin_protect, protect_it);
}

TEST(protect_while_mapping)
{
    interfere(begin_map, protect_it);
}

TEST(protect_while_unmapping)
{
    interfere(begin_unmap, protect_what_goes);
}

TEST(unmap_while_protecting)
{
    interfere(begin_protect, unmap_it);
}

TEST(destroy_while_protecting)
{
    interfere(begin_protect, destroy_it);
}

TEST(kill_while_protecting)
{
    interfere(begin_protect, kill_it);
}

TEST(account_ends_while_protecting)
{
    interfere(begin_protect, end_account);
}

// MEM-9
TEST(a_mapper_outlives_the_owner_in_the_middle_of_everything)
{
    world_begin((struct world_options){});
    for (unsigned stop = 1; stop < 60; stop++) {
        uint64_t account = new_account(800, 100);
        struct actor *owner = spawn(account, 10), *mapper = spawn(new_account(800, 100), 12);
        uint64_t vmo = MUST(owner, VMO_CREATE, owner->account, 200 * PAGE_SIZE, 0);
        uint64_t theirs = grant(mapper, owner, vmo);
        MUST(owner, VM_MAP, owner->own_aspace, vmo, 0, AT, 200 * PAGE_SIZE, RW);
        store(owner, AT + 150 * PAGE_SIZE, 5);
        struct actor *boss = world.boss;
        hold_after(boss, stop);
        (void)CALL(mapper, VM_MAP, mapper->own_aspace, theirs, 0, AT, 200 * PAGE_SIZE, RW);
        if (steps_left() == 0)
            EXPECT_STATUS(HELD(boss, OBJECT_DESTROY, account).status, OK);
        bool last = steps_left() > 0;
        hold_after(boss, 0);
        settle();
        world_check();
        if (has_ended(mapper) && mapper->out.status == STATUS_OK)
            EXPECT_EQUAL(load(mapper, AT + 150 * PAGE_SIZE), 5);
        world_end();
        if (last)
            break;
    }
}

// MEM-13, MEM-14
TEST(device_memory)
{
    struct actor *a = begin();
    struct actor *boss = world.boss;
    uint64_t machine = grant(a, boss, world.machine);
    constexpr uint64_t DEVICE = 0xd000'0000;
    uint64_t acc = a->account;
    EXPECT_CALL(INVALID, a, MACHINE_DEVICE_MEMORY, machine, acc, DEVICE + 1, PAGE_SIZE, 0);
    EXPECT_CALL(INVALID, a, MACHINE_DEVICE_MEMORY, machine, acc, DEVICE, 0, 0);
    EXPECT_CALL(INVALID, a, MACHINE_DEVICE_MEMORY, machine, acc, DEVICE, PAGE_SIZE, 2);
    EXPECT_CALL(INVALID, a, MACHINE_DEVICE_MEMORY, machine, acc, 1ull << 48, PAGE_SIZE, 0);
    EXPECT_CALL(INVALID, a, MACHINE_DEVICE_MEMORY, machine, acc, UINT64_MAX << 12, PAGE_SIZE, 0);
    uint64_t vmo =
        MUST(a, MACHINE_DEVICE_MEMORY, machine, acc, DEVICE, 4 * PAGE_SIZE, MEMORY_DEVICE);
    EXPECT_CALL(OVERLAP, a, MACHINE_DEVICE_MEMORY, machine, acc, DEVICE + 3 * PAGE_SIZE, PAGE_SIZE,
                0);
    EXPECT_CALL(OVERLAP, a, MACHINE_DEVICE_MEMORY, machine, acc, DEVICE - PAGE_SIZE, 2 * PAGE_SIZE,
                0);
    EXPECT_CALL(NO_RIGHT, a, VM_MAP, a->own_aspace, vmo, 0, AT, PAGE_SIZE,
                PROT_READ | PROT_EXECUTE);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, AT, 4 * PAGE_SIZE, RW);
    world_check();
    // Tables are shared, and read-only.
    uint64_t tables =
        MUST(a, MACHINE_DEVICE_MEMORY, machine, acc, DEVICE, PAGE_SIZE, MEMORY_TABLES);
    EXPECT_CALL(NO_RIGHT, a, VM_MAP, a->own_aspace, tables, 0, 0x5000'0000, PAGE_SIZE, RW);
    // Revoked, it is unmapped everywhere, and can be minted again.
    MUST(a, OBJECT_DESTROY, vmo);
    EXPECT_CALL(NOT_FOUND, a, VM_UNMAP, a->own_aspace, AT);
    vmo = MUST(a, MACHINE_DEVICE_MEMORY, machine, acc, DEVICE, PAGE_SIZE, MEMORY_DEVICE);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, AT, PAGE_SIZE, RW);
    MUST(a, HANDLE_CLOSE, vmo);
    EXPECT(can(a, AT, HOST_LOAD)); // not revoked: the mapping keeps it
    world_check();
    // Another's mapping costs that one nothing but objects, where it needs no more tables.
    uint64_t account = new_account(20, 20);
    struct actor *b = spawn(account, 10);
    MUST(b, VM_MAP, b->own_aspace, MUST(b, VMO_CREATE, b->account, 1, 0), 0, AT, PAGE_SIZE, RW);
    uint64_t used = account_behind(world.boss, account)->pages.used;
    vmo = MUST(a, MACHINE_DEVICE_MEMORY, machine, acc, DEVICE + 8 * PAGE_SIZE, 4 * PAGE_SIZE,
               MEMORY_DEVICE);
    MUST(b, VM_MAP, b->own_aspace, grant(b, a, vmo), 0, AT + PAGE_SIZE, 4 * PAGE_SIZE, RW);
    EXPECT_EQUAL(account_behind(world.boss, account)->pages.used, used);
    world_end();
}

// MEM-15
TEST(device_authority_does_not_outlive_its_account)
{
    begin();
    uint64_t account = new_account(100, 100);
    struct actor *driver = spawn(account, 10), *other = spawn(new_account(100, 100), 10);
    uint64_t machine = grant(driver, world.boss, world.machine);
    uint64_t vmo =
        MUST(driver, MACHINE_DEVICE_MEMORY, machine, driver->account, 0xd000'0000, PAGE_SIZE, 0);
    uint64_t theirs = grant(other, driver, vmo);
    MUST(other, VM_MAP, other->own_aspace, theirs, 0, AT, PAGE_SIZE, RW);
    MUST(world.boss, OBJECT_DESTROY, account);
    EXPECT_CALL(NOT_FOUND, other, VM_UNMAP, other->own_aspace, AT);
    world_end();
}

// MEM-13
TEST(no_page_of_the_kernel_is_device_memory)
{
    struct actor *a = begin();
    uint64_t machine = grant(a, world.boss, world.machine);
    // All of RAM belongs to somebody: what is handed out, the image, the bundle, the tables of
    // frames, objects and interrupts at the end.
    for (uint64_t page = 0; page < host_ram_bytes; page += PAGE_SIZE) {
        uint64_t address = HOST_RAM_START + page;
        EXPECT_CALL(INVALID, a, MACHINE_DEVICE_MEMORY, machine, a->account, address, PAGE_SIZE,
                    MEMORY_DEVICE);
        if (page % (64 * PAGE_SIZE) == 0)
            EXPECT_CALL(INVALID, a, MACHINE_DEVICE_MEMORY, machine, a->account, address, PAGE_SIZE,
                        MEMORY_TABLES);
    }
    world_end();
}

// Who maps is told that it was unmapped in the middle, who unmaps when it is done.
TEST(both_wait_for_a_mapping_that_is_unmapped)
{
    struct actor *low = begin(), *high = spawn_thread(low, 10);
    EXPECT_CALL(OK, world.boss, THREAD_SET_PRIORITY, high->thread_handle, 30);
    uint64_t vmo = MUST(low, VMO_CREATE, low->account, 600 * PAGE_SIZE, 0);
    hold_after(high, 1);
    (void)CALL(low, VM_MAP, low->own_aspace, vmo, 0, AT, 600 * PAGE_SIZE, RW);
    EXPECT(low->calling); // it is not mapped yet
    EXPECT_STATUS(HELD(high, VM_UNMAP, high->own_aspace, AT).status, BLOCKED);
    EXPECT_EQUAL(steps_left(), 0);
    hold_after(high, 0);
    settle();
    EXPECT_STATUS(ended(low).status, GONE);
    EXPECT_STATUS(ended(high).status, OK);
    world_end();
}

// Tables that another mapping made meanwhile are paid for once.
TEST(tables_of_two_mappings)
{
    struct actor *low = begin(), *high = spawn_thread(low, 10);
    EXPECT_CALL(OK, world.boss, THREAD_SET_PRIORITY, high->thread_handle, 30);
    constexpr uint64_t SPAN = 512 * PAGE_SIZE; // of a table
    uint64_t vmo = MUST(low, VMO_CREATE, low->account, 400 * PAGE_SIZE, 0);
    hold_after(high, 1);
    (void)CALL(low, VM_MAP, low->own_aspace, vmo, 0, AT + SPAN - 300 * PAGE_SIZE, 400 * PAGE_SIZE,
               RW);
    EXPECT(low->calling && steps_left() == 0);
    EXPECT_STATUS(
        HELD(high, VM_MAP, high->own_aspace, vmo, 0, AT + SPAN + 300 * PAGE_SIZE, PAGE_SIZE, RW)
            .status,
        OK);
    hold_after(high, 0);
    settle();
    EXPECT_STATUS(ended(low).status, OK);
    world_check();
    MUST(low, VM_UNMAP, low->own_aspace, AT + SPAN - 300 * PAGE_SIZE);
    world_check();
    world_end();
}

static struct object *its_account;

static void end_it(void)
{
    EXPECT(account_destroy(object_reference(its_account), 20));
}

// Its account ends on one CPU, and a thread waits on another: until it has ended, its address space stays.
TEST(an_address_space_stays_while_there_are_threads)
{
    world_begin((struct world_options){.cpus = 2});
    uint64_t account = new_account(100, 50);
    struct actor *a = spawn_on(1, account, 10), *b = spawn_on(1, new_account(100, 50), 10);
    MUST(b, CLOCK_READ); // whose address space the other CPU is in
    its_account = object_behind(world.boss, account);
    struct aspace *aspace = a->process->aspace;
    on_cpu(0, end_it);
    EXPECT(aspace->object.life == LIFE_DYING && !aspace->left);
    settle();
    EXPECT_EQUAL(aspace->object.life, LIFE_FREE);
    MUST(world.boss, OBJECT_WAIT, account, SIGNAL_TERMINATED, 0);
    world_end();
}

// Its account goes before a VMO is filled.
TEST(account_ends_while_filling)
{
    struct actor *low = begin(), *high = spawn_thread(low, 10);
    EXPECT_CALL(OK, world.boss, THREAD_SET_PRIORITY, high->thread_handle, 30);
    uint64_t account = MUST(low, ACCOUNT_CREATE, low->account, 300, 10);
    hold_after(high, 1);
    (void)CALL(low, VMO_CREATE, account, 200 * PAGE_SIZE, 0);
    EXPECT(low->calling && steps_left() == 0);
    EXPECT_STATUS(HELD(high, OBJECT_DESTROY, account).status, OK);
    hold_after(high, 0);
    settle();
    EXPECT_STATUS(ended(low).status, GONE);
    MUST(low, OBJECT_WAIT, account, SIGNAL_TERMINATED, 0);
    world_end();
}

// A step clears VM_STEP_COST pages, and leaves one. Frames are let go of when nobody reaches that one either.
TEST(one_page_that_is_left_is_cleared_too)
{
    world_begin((struct world_options){.cpus = 2});
    struct actor *a = spawn_on(0, new_account(400, 50), 10), *b = spawn_thread_on(1, a, 10);
    uint64_t bytes = (VM_STEP_COST + 1) * PAGE_SIZE, at = 0x4000'0000;
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, bytes, 0);
    MUST(a, VM_MAP, a->own_aspace, vmo, 0, at, bytes, PROT_READ);
    hold(b);
    hold(a);
    paddr_t physical;
    EXPECT(host_access(0, at, HOST_LOAD, &physical) && host_access(1, at, HOST_LOAD, &physical));
    STOPPED(a, vmo_page_released_locked, VM_UNMAP, a->own_aspace, at);
    EXPECT(!host_access(1, at, HOST_LOAD, &physical));
    EXPECT_STATUS(go_on(a).status, OK);
    EXPECT(!host_access(0, at, HOST_LOAD, &physical));
    settle();
    EXPECT_EQUAL(a->process->aspace->pages, 2); // their message buffers
    world_end();
}
