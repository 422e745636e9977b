// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// The free frames, from RAM as a firmware may report it: in pieces, off pages, with holes of every
// shape. Whatever it says, each page that is handed out is RAM that nobody else has, once (M1).
#include <string.h>

#include "cpu.h"
#include "frame.h"
#include "kernel_world.h"

constexpr size_t RAM = 16 << 20;
constexpr uint64_t PAGES = RAM / PAGE_SIZE;
constexpr uint64_t AT = HOST_RAM_START;

static struct cpu cpu;
static struct boot_info boot;

static void begin(void)
{
    host_reset(RAM, 0);
    memset(host_ram, 0xa5, RAM); // RAM holds anything when a machine starts
    cpu = (struct cpu){};
    cpu_init(&cpu, 0);
    host_cpu_attach(0, &cpu.arch);
    boot = (struct boot_info){};
}

static void ram(uint64_t start, uint64_t end)
{
    boot.ram[boot.ram_count++] = (struct boot_range){AT + start, AT + end};
}

static void hole(uint64_t start, uint64_t end)
{
    boot.reserved[boot.reserved_count++] = (struct boot_range){AT + start, AT + end};
}

// Whether the page is all RAM and nothing of it is reserved.
static bool usable(uint64_t page)
{
    uint64_t start = AT + page * PAGE_SIZE, end = start + PAGE_SIZE;
    bool within = false;
    for (unsigned i = 0; i < boot.ram_count; i++)
        within |= boot.ram[i].start <= start && end <= boot.ram[i].end;
    for (unsigned i = 0; i < boot.reserved_count; i++)
        within &= boot.reserved[i].end <= start || end <= boot.reserved[i].start;
    return within;
}

static void expect_zeros(paddr_t page)
{
    const uint64_t *words = arch_ram(page);
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        EXPECT_EQUAL(words[i], 0);
}

static uint8_t taken[PAGES];

static void take(void)
{
    paddr_t page = frame_allocate(FRAME_USER, nullptr);
    uint64_t number = (page.value - AT) / PAGE_SIZE;
    EXPECT(page.value % PAGE_SIZE == 0 && number < PAGES);
    EXPECT(usable(number) && taken[number] == 0);
    taken[number]++;
    expect_zeros(page);
    memset(arch_ram(page), 0xff, PAGE_SIZE);
}

// Sets the frames up and hands all of them out.
static void take_all(void)
{
    memset(taken, 0, sizeof taken);
    uint64_t expected = 0, last = 0;
    for (uint64_t page = 0; page < PAGES; page++)
        if (usable(page)) {
            expected++;
            last = page;
        }
    uint64_t first = 0;
    while (!usable(first))
        first++;
    uint64_t table = align_up((last + 1 - first) * sizeof(struct frame), PAGE_SIZE) >> PAGE_SHIFT;
    uint64_t total = frames_init(&boot);
    EXPECT_EQUAL(total, expected - table);
    EXPECT_EQUAL(frames_total(), total);
    // A table that lives for ever, at the end, and the next one below it.
    uint8_t *carved = frames_carve(PAGE_SIZE + 1);
    EXPECT_EQUAL(arch_ram_address(carved).value, AT + (last + 1 - table - 2) * PAGE_SIZE);
    EXPECT_EQUAL(arch_ram_address(frames_carve(1)).value, AT + (last - table - 2) * PAGE_SIZE);
    memset(carved, 0x77, 2 * PAGE_SIZE);
    EXPECT_EQUAL(frames_free(), total - 3);
    EXPECT_EQUAL(frames_total(), total - 3);
    for (uint64_t page = 0; page < PAGES; page++)
        EXPECT_EQUAL(frames_overlap(AT + page * PAGE_SIZE, AT + (page + 1) * PAGE_SIZE),
                     usable(page));
    for (uint64_t left = total - 3; left > 0; left--) {
        EXPECT_EQUAL(frames_free(), left);
        take();
    }
    EXPECT_EQUAL(frames_free(), 0);
    for (uint64_t page = 0; page < PAGES; page++)
        EXPECT(!usable(page) || taken[page] || page > last - table - 3);
    for (unsigned i = 0; i < 2 * PAGE_SIZE; i++)
        EXPECT_EQUAL(carved[i], 0x77);
    // Freed, they are handed out again.
    uint64_t freed = 0;
    for (uint64_t page = 0; page < PAGES; page += 2)
        if (taken[page]) {
            taken[page] = 0;
            frame_free((paddr_t){AT + page * PAGE_SIZE});
            EXPECT_EQUAL(frames_free(), ++freed);
        }
    while (freed-- > 0)
        take();
    EXPECT_EQUAL(frames_free(), 0);
}

TEST(one_piece)
{
    begin();
    ram(0, RAM);
    on_cpu(0, take_all);
}

TEST(pieces_and_holes)
{
    begin();
    hole(0, 0x1000);                                        // before all RAM, next to it
    ram(0x1800, 0x40'0800);                                 // off a page at both ends
    hole(0x10'0000, 0x10'1800);                             // ends in the middle of a page
    hole(0x20'0000, 0x20'3000), hole(0x20'3000, 0x20'4000); // next to each other
    hole(0x20'4800, 0x20'4801);                             // one byte; less than a page before it
    hole(0x3f'0000, 0x40'0800);                             // to the end
    hole(0x50'0000, 0x60'0000);                             // in no RAM
    ram(0x60'0000, 0x60'1000), ram(0x70'0000, 0x70'0fff);   // a page, and less than one
    ram(0x80'0000, 0x81'0000), hole(0x80'0000, 0x81'0000);  // all of it
    hole(0x8f'0000, 0x90'2000);                             // from before it
    ram(0x90'0000, 0xf0'0000), hole(0xf0'0000, 0xf1'0000);  // up to its end
    on_cpu(0, take_all);
    // What is set up once more does not remember anything.
    begin();
    ram(0x20'0000, 0x80'0000);
    on_cpu(0, take_all);
}

TEST(as_many_pieces_as_there_can_be)
{
    begin();
    for (unsigned i = 0; i < BOOT_RANGES_MAX - 1; i++)
        ram(i * 0x1'0000, i * 0x1'0000 + 0x4000);
    ram(0x80'0000, RAM);
    for (unsigned i = 0; i < BOOT_RANGES_MAX; i++)
        hole(i * 0x1'0000 + 0x1000, i * 0x1'0000 + 0x2000);
    boot.kernel = (struct boot_range){AT + 0x90'0000, AT + 0x91'0000}; // not read as one more hole
    on_cpu(0, take_all);
}

// What is carved comes from the last piece that holds it, to its last page.
static void carve_from_pieces(void)
{
    (void)frames_init(&boot); // its table takes the only page of the last piece
    EXPECT_EQUAL(arch_ram_address(frames_carve(8 * PAGE_SIZE)).value, AT + 0x8000);
    EXPECT_EQUAL(arch_ram_address(frames_carve(4 * PAGE_SIZE)).value, AT + 0x4000);
    EXPECT_EQUAL(frames_free(), 4);
    EXPECT(frames_overlap(AT + 0xf000, AT + 0x1'0000)); // still the kernel's
    (void)frames_carve(513 * PAGE_SIZE);
}

TEST_THAT_PANICS(no_piece_is_large_enough, "not enough memory: 2052 KiB in one piece")
{
    begin();
    ram(0, 0x4000), ram(0x4000, 0x8000), ram(0x8000, 0x1'0000), ram(0x1'1000, 0x1'2000);
    on_cpu(0, carve_from_pieces);
}

static void set_up(void)
{
    (void)frames_init(&boot);
}

TEST_THAT_PANICS(no_ram, "no usable memory")
{
    begin();
    ram(0, 0x1000), hole(0, 0x1000), ram(0x2000, 0x2fff);
    on_cpu(0, set_up);
}

static void take_too_many(void)
{
    for (uint64_t left = frames_init(&boot); left > 0; left--)
        (void)frame_allocate(FRAME_USER, nullptr);
    (void)frame_allocate(FRAME_USER, nullptr);
}

TEST_THAT_PANICS(more_than_there_is, "take_fresh")
{
    begin();
    ram(0, 0x8000);
    on_cpu(0, take_too_many);
}
