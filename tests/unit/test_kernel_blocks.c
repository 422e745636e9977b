// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Contiguous memory: who has which blocks, what they merge with, where they go when accounts end.
// `world_check` counts all blocks of the pool each time (A4).
#include <string.h>

#include "block.h"
#include "frame.h"
#include "kernel_world.h"

constexpr uint64_t AT = 0x4000'0000;
constexpr uint64_t RW = PROT_READ | PROT_WRITE;
constexpr uint64_t POOL = 1024; // pages

static struct actor *boss;

static void begin(void)
{
    world_begin((struct world_options){.contiguous_bytes = POOL * PAGE_SIZE});
    boss = world.boss;
    EXPECT_EQUAL(world.contiguous, POOL);
}

static uint64_t child(uint64_t contiguous)
{
    return MUST(boss, ACCOUNT_CREATE, world.root_account, 200, 120, contiguous);
}

// With half of what its parent has left of the rest.
static uint64_t below(uint64_t parent, uint64_t contiguous)
{
    const struct account *account = account_behind(boss, parent);
    return MUST(boss, ACCOUNT_CREATE, parent,
                (account->pages.limit - account->pages.used - account->pages.children) / 2,
                (account->objects.limit - account->objects.used - account->objects.children) / 2,
                contiguous);
}

static uint64_t take(uint64_t account, uint64_t pages)
{
    return MUST(boss, VMO_CREATE, account, pages * PAGE_SIZE, VMO_CONTIGUOUS);
}

#define EXPECT_TAKE(wanted, account, pages) \
    EXPECT_CALL(wanted, boss, VMO_CREATE, account, (pages) * PAGE_SIZE, VMO_CONTIGUOUS)

static void give_back(uint64_t vmo)
{
    MUST(boss, HANDLE_CLOSE, vmo);
}

static uint64_t page_of(uint64_t vmo)
{
    return vmo_page((struct vmo *)(void *)object_behind(boss, vmo), 0).value >> PAGE_SHIFT;
}

#define EXPECT_FIGURES(account, limit_, used_, children_)                                 \
    do {                                                                                  \
        const struct account_figure *figure = &account_behind(boss, account)->contiguous; \
        EXPECT_EQUAL(figure->limit, limit_);                                              \
        EXPECT_EQUAL(figure->used, used_);                                                \
        EXPECT_EQUAL(figure->children, children_);                                        \
        world_check();                                                                    \
    } while (0)

// MEM-24
TEST(contiguous_memory_is_adjacent_aligned_and_zeroed)
{
    begin();
    uint64_t account = child(512);
    struct actor *a = spawn(child(0), 10);
    static const struct {
        uint64_t pages, block;
    } sizes[] = {{1, 1}, {2, 2}, {3, 4}, {16, 16}, {17, 32}, {200, 256}, {257, 512}, {512, 512}};
    for (unsigned round = 0; round < 2; round++) // again, where something was before
        for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
            uint64_t handle = take(account, sizes[i].pages);
            struct vmo *vmo = (struct vmo *)(void *)object_behind(boss, handle);
            EXPECT_EQUAL(vmo->object.state, VMO_READY);
            EXPECT_FIGURES(account, 512, sizes[i].block, 0);
            EXPECT_EQUAL(page_of(handle) % sizes[i].block, 0);
            for (uint64_t page = 0; page < sizes[i].pages; page++) {
                EXPECT_EQUAL(vmo_page(vmo, page).value >> PAGE_SHIFT, page_of(handle) + page);
                uint64_t *words = arch_ram(vmo_page(vmo, page));
                for (unsigned n = 0; n < PAGE_SIZE / sizeof *words; n += 73)
                    EXPECT_EQUAL(words[n], 0);
                memset(words, 0xee, PAGE_SIZE);
            }
            // No ordinary page is paid for, neither for it nor for an index.
            EXPECT_EQUAL(account_behind(boss, account)->pages.used, 0);
            MUST(boss, OBJECT_INSPECT, handle);
            const struct abi_inspect *i_vmo = (const void *)boss->thread->message->data;
            EXPECT_EQUAL(i_vmo->vmo.bytes, sizes[i].pages * PAGE_SIZE);
            EXPECT_EQUAL(i_vmo->vmo.contiguous, 1);
            give_back(handle);
            EXPECT_FIGURES(account, 512, 0, 0);
        }
    MUST(boss, OBJECT_INSPECT, account);
    const struct abi_inspect *seen = (const void *)boss->thread->message->data;
    EXPECT_EQUAL(seen->account.contiguous_limit, 512);
    EXPECT_EQUAL(seen->account.contiguous_used, 0);
    EXPECT_EQUAL(seen->account.contiguous_children, 0);
    EXPECT_EQUAL(seen->account.contiguous_high, 512);
    (void)a;
    uint64_t ordinary = MUST(boss, VMO_CREATE, world.root_account, PAGE_SIZE, 0);
    MUST(boss, OBJECT_INSPECT, ordinary);
    EXPECT_EQUAL(seen->vmo.contiguous, 0);
    world_end();
}

// MEM-25
TEST(contiguous_memory_is_a_reservation_of_its_own)
{
    begin();
    uint64_t parent = child(24);
    EXPECT_CALL(NO_PAGES, boss, ACCOUNT_CREATE, parent, 10, 10, 25);
    EXPECT_CALL(NO_PAGES, boss, ACCOUNT_CREATE, parent, 10, 10, UINT64_MAX);
    uint64_t inner = below(parent, 8);
    EXPECT_FIGURES(parent, 24, 0, 8);
    EXPECT_FIGURES(inner, 8, 0, 0);
    EXPECT_FIGURES(world.root_account, POOL, 0, 24);
    EXPECT_TAKE(NO_PAGES, inner, 9);
    EXPECT_TAKE(NO_PAGES, child(0), 1);
    EXPECT_TAKE(INVALID, parent, ABI_CONTIGUOUS_MAX_PAGES + 1);
    EXPECT_TAKE(NO_PAGES, parent, ABI_CONTIGUOUS_MAX_PAGES);
    uint64_t most = take(inner, 8);
    EXPECT_TAKE(NO_PAGES, inner, 1);
    EXPECT_TAKE(OK, parent, 16); // what the child has is not the parent's, and no more is left
    EXPECT_TAKE(NO_PAGES, parent, 1);
    EXPECT_CALL(NO_PAGES, boss, ACCOUNT_CREATE, parent, 10, 10, 1);
    MUST(boss, OBJECT_INSPECT, parent);
    const struct abi_inspect *seen = (const void *)boss->thread->message->data;
    EXPECT_EQUAL(seen->account.contiguous_limit, 24);
    EXPECT_EQUAL(seen->account.contiguous_used, 16);
    EXPECT_EQUAL(seen->account.contiguous_children, 8);
    EXPECT_EQUAL(seen->account.contiguous_high, 16);
    give_back(most);
    // The slot of an account that could not be made is nobody's.
    uint64_t used = account_behind(boss, parent)->objects.used;
    EXPECT_CALL(NO_PAGES, boss, ACCOUNT_CREATE, parent, 10, 10, 1);
    EXPECT_EQUAL(account_behind(boss, parent)->objects.used, used);
    // An end gives all back at once.
    MUST(boss, OBJECT_DESTROY, inner);
    EXPECT_FIGURES(parent, 24, 16, 0);
    world_end();
}

// What moves is several blocks; where one of them cannot be had, none does.
TEST(a_part_of_a_reservation_does_not_move)
{
    begin();
    uint64_t account = child(16), vmos[16];
    for (unsigned i = 0; i < ARRAY_SIZE(vmos); i++)
        vmos[i] = take(account, 1);
    for (unsigned i = 0; i < 4; i++) // four together, and three apart
        give_back(vmos[i]);
    for (unsigned i = 5; i < 11; i += 2)
        give_back(vmos[i]);
    EXPECT_CALL(NO_RESOURCE, boss, ACCOUNT_RESIZE, world.root_account, account, 0, 0, (uint64_t)-6);
    EXPECT_FIGURES(account, 16, 9, 0);
    EXPECT_CALL(OK, boss, ACCOUNT_RESIZE, world.root_account, account, 0, 0, (uint64_t)-5);
    EXPECT_FIGURES(account, 11, 9, 0);
    EXPECT_CALL(OK, boss, ACCOUNT_RESIZE, world.root_account, account, 0, 0, (uint64_t)-1);
    EXPECT_FIGURES(account, 10, 9, 0);
    world_end();
}

// MEM-25
TEST(nobody_else_breaks_up_what_an_account_has)
{
    begin();
    uint64_t one = child(8), other = child(8);
    // The other one is as broken up as can be.
    uint64_t pages[8];
    for (unsigned i = 0; i < 8; i++)
        pages[i] = take(other, 1);
    for (unsigned i = 0; i < 8; i++)
        if (page_of(pages[i]) % 2)
            give_back(pages[i]);
    EXPECT_TAKE(NO_RESOURCE, other, 2); // four are free
    EXPECT_CALL(NO_RESOURCE, boss, ACCOUNT_CREATE, other, 10, 10, 2);
    EXPECT_CALL(NO_RESOURCE, boss, ACCOUNT_RESIZE, world.root_account, other, 0, 0, (uint64_t)-2);
    EXPECT_TAKE(NO_PAGES, other, 8);
    EXPECT_FIGURES(other, 8, 4, 0);
    give_back(take(one, 8));
    // What was not moved is as it was: all of it comes together again.
    for (unsigned i = 0; i < 8; i++)
        if (is_live(boss, pages[i]))
            give_back(pages[i]);
    give_back(take(other, 8));
    world_end();
}

// MEM-25
TEST(blocks_merge_with_those_of_the_same_account_alone)
{
    begin();
    uint64_t parent = child(4);
    uint64_t first = take(parent, 1);
    uint64_t inner = below(parent, 1); // the buddy
    EXPECT_FIGURES(parent, 4, 1, 1);
    give_back(first);
    EXPECT_FIGURES(parent, 4, 0, 1);
    EXPECT_TAKE(NO_PAGES, parent, 4);
    uint64_t theirs = take(inner, 1);
    EXPECT_EQUAL(page_of(theirs) / 2, page_of(take(parent, 1)) / 2);
    give_back(theirs);
    MUST(boss, OBJECT_DESTROY, inner);
    EXPECT_FIGURES(parent, 4, 1, 0);
    world_end();
}

TEST(contiguous_reservation_moves_both_ways)
{
    begin();
    uint64_t parent = child(32), inner = below(parent, 5);
#define RESIZE(wanted, pages, objects, contiguous)                              \
    EXPECT_CALL(wanted, boss, ACCOUNT_RESIZE, parent, inner, (uint64_t)(pages), \
                (uint64_t)(objects), (uint64_t)(contiguous))
    RESIZE(NO_PAGES, 0, 0, -6);
    RESIZE(NO_PAGES, 0, 0, 28);
    RESIZE(NO_PAGES, 0, 0, INT64_MIN);
    RESIZE(NO_PAGES, 0, 0, INT64_MAX);
    RESIZE(OK, 0, 0, 27);
    EXPECT_FIGURES(inner, 32, 0, 0);
    RESIZE(OK, 0, 0, -32); // it is one block by now
    EXPECT_FIGURES(inner, 0, 0, 0);
    EXPECT_FIGURES(parent, 32, 0, 0);
    RESIZE(OK, 0, 0, 16);
    RESIZE(OK, -50, 3, 8);
    EXPECT_FIGURES(inner, 24, 0, 0);
    // All or nothing.
    uint64_t half = take(inner, 16);
    RESIZE(NO_PAGES, 10, 0, -9);
    RESIZE(NO_PAGES, 1000, 0, -8);
    RESIZE(NO_OBJECTS, 0, 1000, -8);
    RESIZE(NO_PAGES, -10, 0, 9);
    EXPECT_FIGURES(inner, 24, 16, 0);
    EXPECT_EQUAL(account_behind(boss, inner)->pages.limit, 50);
    give_back(half);
    RESIZE(OK, 0, 0, -24);
    give_back(take(parent, 32));
    world_end();
}

// ---- what outlives its account

static void map(struct actor *who, uint64_t vmo, uint64_t address, uint64_t pages)
{
    MUST(who, VM_MAP, who->own_aspace, grant(who, boss, vmo), 0, address, pages * PAGE_SIZE, RW);
}

// MEM-26
TEST(a_block_that_is_mapped_goes_to_the_account_above)
{
    begin();
    uint64_t outer = child(64), middle = below(outer, 32), inner = below(middle, 16);
    struct actor *foreign = spawn(child(0), 10);
    uint64_t vmo = take(inner, 3);
    uint64_t page = page_of(vmo);
    uint64_t pages = foreign->process->aspace->object.account->pages.used;
    map(foreign, vmo, AT, 3);
    // It pays for what it maps, and for the tables: there is no index.
    EXPECT_EQUAL(foreign->process->aspace->object.account->pages.used, pages + 3 + 2);
    MUST(boss, OBJECT_DESTROY, inner);
    EXPECT_EQUAL(account_behind(boss, inner)->object.state, ACCOUNT_DEAD);
    EXPECT_FIGURES(middle, 32, 4, 0);
    MUST(boss, OBJECT_DESTROY, middle);
    EXPECT_EQUAL(account_behind(boss, middle)->object.state, ACCOUNT_DEAD);
    EXPECT_FIGURES(outer, 64, 4, 0);
    EXPECT_TAKE(NO_PAGES, outer, 64);
    hold(foreign);
    paddr_t physical;
    EXPECT(host_access(foreign->cpu, AT + 2 * PAGE_SIZE, HOST_STORE, &physical));
    EXPECT_EQUAL(physical.value >> PAGE_SHIFT, page + 2);
    settle();
    MUST(foreign, VM_UNMAP, foreign->own_aspace, AT);
    EXPECT_FIGURES(outer, 64, 0, 0);
    give_back(take(outer, 64));
    world_end();
}

// MEM-26
TEST(a_block_that_is_pinned_stays_beyond_all_accounts)
{
    begin();
    uint64_t outer = child(64), inner = below(outer, 16);
    struct actor *driver = spawn(inner, 10);
    uint64_t space = MUST(boss, MACHINE_DMA_SPACE, world.machine, inner, 7);
    uint64_t vmo = take(inner, 9);
    uint64_t pin = MUST(boss, PIN_CREATE, space, inner, vmo, PAGE_SIZE, 8 * PAGE_SIZE, DMA_BOTH);
    EXPECT_EQUAL(MUST(boss, PIN_ADDRESSES, pin, 0), 8);
    uint64_t addresses[8];
    memcpy(addresses, boss->thread->message->data, sizeof addresses);
    for (unsigned i = 0; i < 8; i++) {
        EXPECT_EQUAL(addresses[i], (page_of(vmo) + 1 + i) << PAGE_SHIFT);
        ghost_add(7, (paddr_t){addresses[i]});
    }
    (void)driver;
    MUST(boss, OBJECT_DESTROY, outer);
    EXPECT_EQUAL(account_behind(boss, outer)->object.state, ACCOUNT_DEAD);
    EXPECT_FIGURES(world.root_account, POOL, 16, 0);
    world_end_after_quarantine(7);
}

// A parent that is already ending when its child's block comes up to it.
TEST(blocks_pass_through_accounts_that_end)
{
    begin();
    struct actor *foreign = spawn(child(0), 10);
    uint64_t top = child(128), account = top, vmos[4];
    for (unsigned depth = 0; depth < 4; depth++) {
        account = below(account, 64 >> depth);
        vmos[depth] = take(account, 1);
        map(foreign, vmos[depth], AT + depth * PAGE_SIZE, 1);
        (void)take(account, 1);
    }
    MUST(boss, OBJECT_DESTROY, top);
    EXPECT_FIGURES(world.root_account, POOL, 4, 0);
    for (unsigned depth = 0; depth < 4; depth++)
        MUST(foreign, VM_UNMAP, foreign->own_aspace, AT + depth * PAGE_SIZE);
    EXPECT_FIGURES(world.root_account, POOL, 0, 0);
    give_back(take(world.root_account, POOL));
    world_end();
}

static struct actor *elsewhere; // on CPU 1, where the end of a block is to be done

static void it_comes_back(void)
{
    (void)HELD(elsewhere, THREAD_SLEEP, ABI_DEADLINE_NEVER);
}

// At each place of the end: what comes back just then moves up, too.
TEST(a_block_comes_back_while_its_account_ends)
{
    bool happened = true;
    for (unsigned nth = 1; happened; nth++) {
        world_begin((struct world_options){
            .ram_bytes = 8 << 20, .cpus = 2, .contiguous_bytes = LARGE_BYTES});
        boss = world.boss;
        uint64_t ends = MUST(boss, ACCOUNT_CREATE, world.root_account, 20, 10, 1);
        elsewhere = spawn_on(1, MUST(boss, ACCOUNT_CREATE, world.root_account, 100, 50, 0), 10);
        uint64_t there = grant(elsewhere, boss, ends);
        uint64_t vmo = MUST(elsewhere, VMO_CREATE, there, PAGE_SIZE, VMO_CONTIGUOUS);
        hold(elsewhere);
        EXPECT_STATUS(HELD(elsewhere, HANDLE_CLOSE, vmo).status, OK); // begun, and no more
        meanwhile(nullptr, nth, it_comes_back);
        EXPECT_CALL(OK, boss, OBJECT_DESTROY, ends);
        happened = meanwhile_happened();
        meanwhile(nullptr, 0, nullptr);
        settle();
        EXPECT(account_behind(boss, ends)->object.state == ACCOUNT_DEAD);
        world_end();
    }
}

// MEM-24
TEST(an_account_that_ends_in_the_middle_of_filling)
{
    begin();
    for (unsigned stop = 1; stop < 100; stop++) {
        struct actor *low = spawn(MUST(boss, ACCOUNT_CREATE, world.root_account, 60, 40, 256), 10);
        struct actor *high = spawn(child(0), 10);
        MUST(boss, THREAD_SET_PRIORITY, high->thread_handle, 30);
        uint64_t account = grant(high, low, low->account);
        hold_after(high, stop);
        (void)CALL(low, VMO_CREATE, low->account, 200 * PAGE_SIZE, VMO_CONTIGUOUS);
        bool last = steps_left() > 0;
        if (!last)
            EXPECT_STATUS(HELD(high, OBJECT_DESTROY, account).status, OK);
        hold_after(high, 0);
        settle();
        world_check();
        world_end();
        if (last)
            return;
    }
}

static unsigned windows;

static void count_window(void)
{
    windows++;
}

TEST(blocks_end_in_bounded_steps)
{
    begin();
    uint64_t vmo = take(world.root_account, 1024);
    host_on_window = count_window;
    give_back(vmo);
    host_on_window = nullptr;
    EXPECT(windows >= 1024 / VMO_RETIRE_STEP_PAGES - 1 && windows < 10);
    // As many free blocks, in an account that ends.
    uint64_t one = child(0), other = child(0);
    for (unsigned i = 0; i < 100; i++) {
        MUST(boss, ACCOUNT_RESIZE, world.root_account, one, 0, 0, 1);
        MUST(boss, ACCOUNT_RESIZE, world.root_account, other, 0, 0, 1);
    }
    windows = 0;
    host_on_window = count_window;
    MUST(boss, OBJECT_DESTROY, one);
    host_on_window = nullptr;
    EXPECT(windows >= 100 / 16);
    world_end();
}

// ---- the pool

static uint64_t pool_of(const char *line, uint64_t ram)
{
    static struct boot_info boot;
    boot = (struct boot_info){.ram_count = 1};
    boot.ram[0] = (struct boot_range){HOST_RAM_START, HOST_RAM_START + ram};
    strcpy(boot.command_line, line);
    (void)frames_init(&boot);
    return blocks_init(&boot, ram) << PAGE_SHIFT;
}

TEST(the_command_line_sizes_the_pool)
{
    world_begin((struct world_options){.ram_bytes = 4096ull << 20});
    constexpr uint64_t MIB = 1 << 20, RAM = 256 * MIB;
    static const struct {
        const char *line;
        uint64_t bytes;
    } rows[] = {
        {"", 8 * MIB},
        {"contiguous=16M", 16 * MIB},
        {"quiet contiguous=16M x=1", 16 * MIB},
        {"notcontiguous=16M contiguous", 8 * MIB},
        {"continuous=16M", 8 * MIB},
        {"contiguous=16M contiguous=4M", 16 * MIB},
        {"contiguous=3M", 2 * MIB},
        {"contiguous=4096K", 4 * MIB},
        {"contiguous=6291456", 6 * MIB},
        {"contiguous=6291455", 4 * MIB},
        {"contiguous=0", 0},
        {"contiguous=", 0},
        {"contiguous=M", 0},
        {"contiguous=1G", 128 * MIB}, // half of RAM
        {"contiguous=99999999999999999999999999999G", 128 * MIB},
        {"contiguous=1073741825G", 128 * MIB},
        {"contiguous=18446744073709551616", 128 * MIB}, // 2^64
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (pool_of(rows[i].line, RAM) != rows[i].bytes)
            test_fail(__FILE__, __LINE__, "\"%s\": %lu bytes", rows[i].line,
                      (unsigned long)pool_of(rows[i].line, RAM));
    EXPECT_EQUAL(pool_of("", 64 * MIB), 2 * MIB);
    EXPECT_EQUAL(pool_of("", 63 * MIB), 0);
    EXPECT_EQUAL(pool_of("", 4096 * MIB), 32 * MIB);
    EXPECT_EQUAL(pool_of("contiguous=1G", 1536 * MIB), 768 * MIB);
    EXPECT_EQUAL(pool_of("contiguous=2G", 2560 * MIB),
                 1024 * MIB); // no more, however much there is
    EXPECT_EQUAL(pool_of("contiguous=1G", 4096 * MIB), 1024 * MIB);
    EXPECT_EQUAL(pool_of("contiguous=2M", 4 * MIB), 2 * MIB);
    EXPECT_EQUAL(pool_of("contiguous=2M", 4 * MIB - 1), 0); // half of it is less
}

// Whatever its ends are aligned at, and beyond the largest block.
TEST(a_pool_of_any_size_comes_together_again)
{
    static const size_t sizes[] = {2, 4, 6, 10, 14, 256, 262, 520};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        world_begin(
            (struct world_options){.ram_bytes = 1100 << 20, .contiguous_bytes = sizes[i] << 20});
        boss = world.boss;
        EXPECT_EQUAL(world.contiguous, sizes[i] * 256);
        uint32_t blocks[BLOCK_ORDERS], unbroken[BLOCK_ORDERS];
        memcpy(unbroken, world.root->blocks, sizeof unbroken);
        uint64_t vmos[40];
        for (unsigned n = 0; n < ARRAY_SIZE(vmos); n++)
            vmos[n] = take(world.root_account, 1 + n % 7);
        world_check();
        for (unsigned n = 0; n < ARRAY_SIZE(vmos); n++)
            give_back(vmos[n * 17 % ARRAY_SIZE(vmos)]);
        memcpy(blocks, world.root->blocks, sizeof blocks);
        for (unsigned k = 0; k < BLOCK_ORDERS; k++)
            EXPECT_EQUAL(blocks[k] != 0, unbroken[k] != 0);
        // Broken up into pieces of all sizes, and back.
        uint64_t most = sizes[i] > 128 ? ABI_CONTIGUOUS_MAX_PAGES : LARGE_PAGES;
        uint64_t one = child(most - 1), other = sizes[i] > 128 ? child(most - 1) : child(1);
        MUST(boss, OBJECT_DESTROY, one);
        MUST(boss, OBJECT_DESTROY, other);
        for (unsigned k = 0; k < BLOCK_ORDERS; k++)
            EXPECT_EQUAL(world.root->blocks[k] != 0, unbroken[k] != 0);
        if (sizes[i] > 128)
            give_back(take(world.root_account, ABI_CONTIGUOUS_MAX_PAGES));
        if (sizes[i] > 512) { // more than two of the largest, at once
            uint64_t account = child(2 * ABI_CONTIGUOUS_MAX_PAGES + 1);
            EXPECT_FIGURES(account, 2 * ABI_CONTIGUOUS_MAX_PAGES + 1, 0, 0);
        }
        world_end();
    }
}

// What the frame table says of other RAM, which nobody has used, is anything.
TEST(no_block_merges_with_what_is_beside_the_pool)
{
    for (uint64_t ram = 64; ram <= 66;
         ram += 2) { // the pool is the first half of twice its size, or the second
        world_begin(
            (struct world_options){.ram_bytes = ram << 20, .contiguous_bytes = LARGE_BYTES});
        boss = world.boss;
        uint64_t vmo = take(world.root_account, LARGE_PAGES);
        uint64_t first = page_of(vmo);
        struct frame free = {.block = 10, .owner = object_index(&world.root->object)};
        EXPECT_EQUAL(1u << (free.block - 1), LARGE_PAGES);
        *frame_of((paddr_t){(first + LARGE_PAGES) << PAGE_SHIFT}) = free;
        *frame_of((paddr_t){(first - LARGE_PAGES) << PAGE_SHIFT}) = free;
        give_back(vmo);
        EXPECT_EQUAL(world.root->blocks[free.block - 1], first);
        EXPECT_EQUAL(world.root->blocks[free.block], 0);
    }
}

// The largest piece that there is.
TEST(a_pool_that_does_not_fit_is_smaller)
{
    world_begin((struct world_options){});
    constexpr uint64_t MIB = 1 << 20;
    static struct boot_info boot;
    boot = (struct boot_info){.ram_count = 3};
    boot.ram[0] = (struct boot_range){2 * MIB, 7 * MIB};
    boot.ram[1] = (struct boot_range){8 * MIB + PAGE_SIZE, 9 * MIB};
    boot.ram[2] = (struct boot_range){10 * MIB, 13 * MIB};
    strcpy(boot.command_line, "contiguous=8M");
    (void)frames_init(&boot);
    EXPECT_EQUAL(blocks_init(&boot, 64 * MIB), 4 * MIB >> PAGE_SHIFT);
}

TEST(what_is_set_aside_is_not_handed_out_but_is_ram)
{
    world_begin((struct world_options){});
    static struct boot_info boot;
    boot = (struct boot_info){.ram_count = 2};
    constexpr uint64_t MIB = 1 << 20;
    // The second range holds no 4 MiB with the frame table at its end. What is left of the first lies
    // on both sides.
    boot.ram[0] = (struct boot_range){1 * MIB, 11 * MIB};
    boot.ram[1] = (struct boot_range){12 * MIB, 16 * MIB};
    (void)frames_init(&boot);
    uint64_t total = frames_total();
    EXPECT_EQUAL(frames_set_aside(4 * MIB, 2 * MIB), 6 * MIB);
    EXPECT_EQUAL(frames_set_aside(4 * MIB, 2 * MIB), 2 * MIB);
    EXPECT_EQUAL(frames_set_aside(4 * MIB, 2 * MIB), 0);
    EXPECT_EQUAL(frames_set_aside(2 * MIB, 2 * MIB), 12 * MIB);
    EXPECT_EQUAL(frames_total(), total - (10 * MIB >> PAGE_SHIFT));
    EXPECT_EQUAL(frames_free(), frames_total());
    EXPECT(frames_overlap(5 * MIB, 5 * MIB + 1) && frames_overlap(9 * MIB, 9 * MIB + 1));
    EXPECT(!frames_overlap(11 * MIB, 12 * MIB));
    uint64_t previous = 0;
    for (uint64_t i = frames_free(); i-- > 0;) {
        uint64_t page = frame_allocate(FRAME_KERNEL, nullptr).value;
        EXPECT(page > previous && page < 16 * MIB);
        EXPECT(page < 2 * MIB || (page >= 10 * MIB && page < 11 * MIB) || page >= 14 * MIB);
        previous = page;
    }
}

// ---- any order

constexpr unsigned ACCOUNTS = 6, VMOS = 24;

static struct random rng;
static uint64_t accounts[ACCOUNTS], parents[ACCOUNTS], vmos[VMOS];

// Whether the account has a free run of 2^order pages, aligned, by what its lists say.
static bool has_run(uint64_t handle, unsigned order)
{
    static bool free[POOL * 2];
    uint64_t base = 0;
    const struct account *account = account_behind(boss, handle);
    memset(free, 0, sizeof free);
    for (unsigned k = 0; k < BLOCK_ORDERS; k++)
        for (uint32_t page = account->blocks[k]; page;
             page = frame_of((paddr_t){(uint64_t)page << PAGE_SHIFT})->next_free) {
            base = base ? base : page - page % (2 * POOL);
            memset(free + (page - base), true, 1u << k);
        }
    for (unsigned at = 0; at < ARRAY_SIZE(free); at += 1u << order)
        if (memchr(free + at, false, 1u << order) == nullptr)
            return true;
    return false;
}

// No answer is right that is not the one that a look at each page gives.
static void expect_answer(status_t got, uint64_t handle, unsigned order)
{
    const struct account_figure *figure = &account_behind(boss, handle)->contiguous;
    bool room = figure->limit - figure->used - figure->children >= 1ull << order;
    bool run = has_run(handle, order);
    if (got == STATUS_NO_PAGES)
        EXPECT(!room);
    else
        EXPECT(got == STATUS_NO_RESOURCE && room && !run);
}

static void draw_take(uint64_t account, uint64_t *vmo)
{
    uint64_t pages = 1 + random_below(&rng, random_below(&rng, 2) ? 4 : 40);
    struct outcome out = CALL(boss, VMO_CREATE, account, pages * PAGE_SIZE, VMO_CONTIGUOUS);
    if (out.status == STATUS_OK)
        *vmo = out.value[0];
    else
        expect_answer(out.status, account, block_order(pages));
}

static void draw_one(struct actor *foreign)
{
    unsigned at = (unsigned)random_below(&rng, ACCOUNTS),
             parent = (unsigned)random_below(&rng, at + 1);
    uint64_t *vmo = &vmos[random_below(&rng, VMOS)];
    bool lives = accounts[at] && is_live(boss, accounts[at]) &&
                 account_behind(boss, accounts[at])->object.state == ACCOUNT_LIVE;
    switch (random_below(&rng, 12)) {
    case 0:
        if (lives && random_below(&rng, 3) == 0)
            MUST(boss, OBJECT_DESTROY, accounts[at]);
        break;
    case 1:
    case 2: {
        if (lives)
            break;
        if (accounts[at])
            MUST(boss, HANDLE_CLOSE, accounts[at]);
        parents[at] = parent == at ? world.root_account : accounts[parent];
        struct outcome out = CALL(boss, ACCOUNT_CREATE, parents[at], 4, 12, random_below(&rng, 70));
        accounts[at] = out.status == STATUS_OK ? out.value[0] : 0;
        break;
    }
    case 3:
    case 4:
        if (lives)
            (void)CALL(boss, ACCOUNT_RESIZE, parents[at], accounts[at], 0, 0,
                       random_below(&rng, 25) - 12);
        break;
    case 5:
        if (*vmo && is_live(boss, *vmo)) // a mapping that is there: OVERLAP
            (void)CALL(foreign, VM_MAP, foreign->own_aspace, grant(foreign, boss, *vmo), 0,
                       AT + random_below(&rng, 8) * PAGE_SIZE, PAGE_SIZE, RW);
        break;
    case 6:
        (void)CALL(foreign, VM_UNMAP, foreign->own_aspace, AT + random_below(&rng, 8) * PAGE_SIZE);
        break;
    default:
        if (*vmo) {
            MUST(boss, HANDLE_CLOSE, *vmo);
            *vmo = 0;
        } else if (lives) {
            draw_take(accounts[at], vmo);
        }
    }
}

// MEM-26
TEST(any_order_of_taking_and_giving)
{
    begin();
    uint64_t seed = test_seed();
    rng.state = seed;
    unsigned amount = test_amount(6000, 20);
    for (unsigned i = 0; i < amount;) {
        memset(accounts, 0, sizeof accounts);
        memset(vmos, 0, sizeof vmos);
        struct actor *foreign = spawn(MUST(boss, ACCOUNT_CREATE, world.root_account, 500, 400), 10);
        for (unsigned n = 0; n < 300; n++, i++) {
            draw_one(foreign);
            world_check();
        }
        world_end();
    }
}
