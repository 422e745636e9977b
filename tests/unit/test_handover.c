// SPDX-License-Identifier: MIT
//
// platform/handover.c: one good handover, every way to be bad, each length, and random words
// changed. What is accepted must be safe to give to the kernel.
// build: platform/handover.c platform/boot_info.c
#include <platform/boot_info.h>
#include <platform/handover.h>

#include "test.h"

// What the platform says, and where it gives up.
void klog(const char *format, ...)
{
    (void)format;
}

void panic(const char *format, ...)
{
    printf("panic: %s\n", format);
    abort();
}

constexpr uint32_t RANGES = 5;

struct block {
    struct abi_handover h;
    struct abi_handover_range ranges[RANGES];
    char line[16];
};

static struct block good(void)
{
    return (struct block){
        .h = {.magic = HANDOVER_MAGIC,
              .version = HANDOVER_VERSION,
              .bytes = sizeof(struct block),
              .range_offset = offsetof(struct block, ranges),
              .range_count = RANGES,
              .command_line_offset = offsetof(struct block, line),
              .command_line_bytes = 9,
              .bundle = 0x20'0000,
              .bundle_bytes = 0x2800,
              .rsdp = 0x7f00'0014,
              .device_tree = 0x4800'0000,
              .device_tree_bytes = 0x1234},
        .ranges = {{0x1000, 0xa'0000, HANDOVER_RAM, 0},
                   {0xf'0000, 0x10'0000, HANDOVER_FIRMWARE, 0},
                   {0x10'0000, 0x4000'0000, HANDOVER_RAM, 0},
                   {0x7f00'0000, 0x7f01'0000, HANDOVER_TABLES, 0},
                   {0x1'0000'0000, 0x2'0000'0000, HANDOVER_RAM, 0}},
        .line = "cmd=a b=1xxxxxx",
    };
}

static struct boot_info boot;
static struct handover_tables tables;

static const char *read_block(const void *block, uint64_t bytes)
{
    // A copy of exactly this length, so that the sanitizer sees a read behind it.
    void *copy = malloc(bytes ? bytes : 1);
    memcpy(copy, block, bytes);
    boot = (struct boot_info){};
    const char *wrong = handover_read(copy, bytes, &boot, &tables);
    free(copy);
    return wrong;
}

static const char *read_good(const struct block *b)
{
    return read_block(b, sizeof(*b));
}

static void expect_safe(void)
{
    EXPECT(boot.ram_count > 0 && boot.ram_count <= BOOT_RANGES_MAX);
    uint64_t end = 0;
    for (uint32_t i = 0; i < boot.ram_count; i++) {
        const struct boot_range *r = &boot.ram[i];
        EXPECT(r->start < r->end && r->end <= 1ull << 52);
        EXPECT((r->start | r->end) % PAGE_SIZE == 0);
        EXPECT(i == 0 || r->start > end); // joined where they touch
        end = r->end;
    }
    EXPECT(boot.bundle.start <= boot.bundle.end);
    if (boot.bundle.start < boot.bundle.end) {
        EXPECT(boot_find_ram(&boot, boot.bundle.start, boot.bundle.end) != nullptr);
        EXPECT(boot.reserved_count == 1 && boot.reserved[0].start == boot.bundle.start &&
               boot.reserved[0].end == boot.bundle.end);
    }
    EXPECT(strnlen(boot.command_line, sizeof(boot.command_line)) < sizeof(boot.command_line));
}

TEST(a_good_one_is_understood)
{
    struct block b = good();
    EXPECT(read_good(&b) == nullptr);
    expect_safe();
    EXPECT(boot.ram_count == 3);
    EXPECT(boot.ram[0].start == 0x1000 && boot.ram[0].end == 0xa'0000);
    EXPECT(boot.ram[1].start == 0x10'0000 && boot.ram[1].end == 0x4000'0000);
    EXPECT(boot.bundle.start == 0x20'0000 && boot.bundle.end == 0x20'3000);
    EXPECT(strcmp(boot.command_line, "cmd=a b=1") == 0);
    EXPECT(tables.rsdp == 0x7f00'0014 && tables.device_tree == 0x4800'0000);
    EXPECT(tables.device_tree_bytes == 0x1234);
}

TEST(without_a_bundle_and_a_command_line)
{
    struct block b = good();
    b.h.bundle_bytes = 0;
    b.h.command_line_bytes = 0;
    EXPECT(read_good(&b) == nullptr);
    EXPECT(boot.bundle.start == boot.bundle.end && boot.reserved_count == 0);
    EXPECT(boot.command_line[0] == '\0');
}

static void expect_refused(const struct block *b, const char *why)
{
    const char *wrong = read_good(b);
    EXPECT_NOTE(wrong != nullptr && strstr(wrong, why) != nullptr, "%s: %s", why,
                wrong ? wrong : "accepted");
}

TEST(what_is_no_handover)
{
    struct block b = good();
    b.h.magic++;
    expect_refused(&b, "version 1");
    b = good();
    b.h.version = 2;
    expect_refused(&b, "version 1");
    b = good();
    b.h.bytes = sizeof(b.h) - 1;
    expect_refused(&b, "version 1");
    b = good();
    b.h.bytes = HANDOVER_BYTES_MAX + 1;
    expect_refused(&b, "version 1");
    b = good();
    b.h.bytes = sizeof(b) + 1;
    expect_refused(&b, "longer than can be read");
}

TEST(what_is_just_large_or_small_enough)
{
    struct block b = good();
    b.h.bytes = sizeof(b.h);
    b.h.range_count = 0;
    b.h.range_offset = sizeof(b.h);
    EXPECT(strstr(read_block(&b, sizeof(b.h)), "no RAM") != nullptr);
    struct block *large = calloc(1, HANDOVER_BYTES_MAX);
    *large = good();
    large->h.bytes = HANDOVER_BYTES_MAX;
    large->ranges[4].end = 1ull << 52;
    EXPECT(read_block(large, HANDOVER_BYTES_MAX) == nullptr);
    EXPECT(boot.ram[2].end == 1ull << 52);
    free(large);
}

TEST(each_length)
{
    struct block b = good();
    for (uint64_t bytes = 0; bytes < sizeof(b); bytes++)
        EXPECT(read_block(&b, bytes) != nullptr);
}

TEST(memory_maps)
{
    struct block b = good();
    b.h.range_offset = sizeof(b) - sizeof(b.ranges) + 1;
    expect_refused(&b, "not inside");
    b = good();
    b.h.range_count = UINT32_MAX; // times its size, it wraps in 32 bits
    expect_refused(&b, "not inside");
    b = good();
    b.h.range_offset = UINT32_MAX;
    expect_refused(&b, "not inside");
    b = good();
    b.h.range_count = 0;
    expect_refused(&b, "no RAM");

    b = good();
    b.ranges[2].start = 0xf'f000; // into the firmware's
    expect_refused(&b, "overlap");
    b = good();
    b.ranges[1] = b.ranges[0];
    expect_refused(&b, "overlap");
    b = good();
    b.ranges[0] = (struct abi_handover_range){0x20'0000, 0x30'0000, HANDOVER_RAM, 0};
    expect_refused(&b, "sorted");
    b = good();
    b.ranges[4].end = 0x1000; // wraps
    expect_refused(&b, "wraps");
    b = good();
    b.ranges[0].end = b.ranges[0].start;
    expect_refused(&b, "empty");
    b = good();
    b.ranges[4].end = (1ull << 52) + PAGE_SIZE;
    expect_refused(&b, "beyond");
    b = good();
    b.ranges[4].end = UINT64_MAX & ~(uint64_t)(PAGE_SIZE - 1);
    expect_refused(&b, "beyond");
    b = good();
    b.ranges[0].start += 8;
    expect_refused(&b, "whole pages");
    b = good();
    b.ranges[3].end -= 1; // of what is not RAM, too
    expect_refused(&b, "whole pages");
}

TEST(only_ram_is_ram)
{
    struct block b = good();
    b.ranges[2].kind = 77; // of a later version: nothing to us
    b.h.bundle_bytes = 0;
    EXPECT(read_good(&b) == nullptr);
    EXPECT(boot.ram_count == 2);
    for (uint32_t i = 0; i < RANGES; i++)
        b.ranges[i].kind = HANDOVER_FIRMWARE;
    expect_refused(&b, "no RAM");
}

TEST(more_ranges_than_there_is_room_for)
{
    constexpr uint32_t many = 4 * BOOT_RANGES_MAX;
    static struct {
        struct abi_handover h;
        struct abi_handover_range ranges[many];
    } b;
    b.h = good().h;
    b.h.bytes = sizeof(b);
    b.h.range_offset = sizeof(b.h);
    b.h.range_count = many;
    b.h.command_line_bytes = b.h.bundle_bytes = 0;
    for (uint64_t i = 0; i < many; i++)
        b.ranges[i] =
            (struct abi_handover_range){(2 * i + 1) << 20, (2 * i + 2) << 20, HANDOVER_RAM, 0};
    EXPECT(read_block(&b, sizeof(b)) == nullptr);
    expect_safe();
    EXPECT(boot.ram_count == BOOT_RANGES_MAX);
}

TEST(bundles)
{
    struct block b = good();
    b.h.bundle += 8;
    expect_refused(&b, "on a page");
    b = good();
    b.h.bundle = 0xf'0000; // the firmware's
    expect_refused(&b, "not in RAM");
    b = good();
    b.h.bundle = 0x3fff'f000; // begins in RAM
    expect_refused(&b, "not in RAM");
    b = good();
    b.h.bundle_bytes = UINT64_MAX; // wraps
    expect_refused(&b, "on a page");
    b = good();
    b.h.bundle = UINT64_MAX - PAGE_SIZE + 1;
    expect_refused(&b, "on a page");
}

TEST(command_lines)
{
    struct block b = good();
    b.h.command_line_offset = sizeof(b) - 8;
    expect_refused(&b, "not inside");
    b = good();
    b.h.command_line_bytes = UINT32_MAX;
    expect_refused(&b, "not inside");
    static struct {
        struct block b;
        char line[ABI_COMMAND_LINE];
    } long_one;
    long_one.b = good();
    memset(long_one.line, 'x', sizeof(long_one.line));
    long_one.b.h.bytes = sizeof(long_one);
    long_one.b.h.command_line_offset = sizeof(long_one.b);
    long_one.b.h.command_line_bytes = ABI_COMMAND_LINE;
    EXPECT(strstr(read_block(&long_one, sizeof(long_one)), "too long") != nullptr);
    long_one.b.h.command_line_bytes--;
    EXPECT(read_block(&long_one, sizeof(long_one)) == nullptr);
    EXPECT(strlen(boot.command_line) == ABI_COMMAND_LINE - 1);
}

TEST(words_changed_at_random)
{
    unsigned accepted = 0;
    srandom(1);
    for (unsigned round = 0; round < 200'000; round++) {
        struct block b = good();
        uint32_t *words = (uint32_t *)&b;
        for (unsigned i = 0; i < 1 + (unsigned)random() % 3; i++) {
            const unsigned at = (unsigned)random() % (sizeof(b) / 4);
            static const uint32_t values[] = {0, 1, 0xfff, 0x1000, 0x7fff'ffff, UINT32_MAX};
            words[at] = random() % 2 ? values[random() % 6] : words[at] ^ 1u << random() % 32;
        }
        if (read_good(&b) == nullptr) {
            expect_safe();
            accepted++;
        }
    }
    EXPECT(accepted > 1000);
}
