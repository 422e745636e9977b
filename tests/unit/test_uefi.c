// SPDX-License-Identifier: MIT
//
// The UEFI loader's own work: boot.conf, the bundle's header, the memory map, and leaving boot
// services, over a firmware that stands in.
// build: boot/uefi/config.c boot/uefi/memory_map.c boot/uefi/bundle.c boot/uefi/leave.c platform/handover.c platform/boot_info.c
#include <boot/uefi/leave.h>
#include <lib/types.h>
#include <platform/handover.h>
#include <stdarg.h>

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

// ---- what the loader's other parts would do

struct efi_system_table *efi;
static char said[512];

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(said, sizeof(said), format, arguments);
    va_end(arguments);
}

static uint64_t taken_limit;
static void *taken[8];
static unsigned taken_count;
static unsigned fail_at; // the allocation that finds no memory; 0: none

void *pages_take(uint64_t bytes, uint64_t limit)
{
    taken_limit = limit;
    if (fail_at > 0 && --fail_at == 0)
        return nullptr;
    EXPECT(taken_count < 8);
    return taken[taken_count++] = calloc(1, bytes);
}

void machine_clean(const void *start, uint64_t bytes)
{
    (void)start;
    (void)bytes;
}

// ---- boot.conf

static struct config config;
static unsigned line;

static const char *read_text(const char *text)
{
    const size_t bytes = strlen(text);
    char *copy = malloc(bytes + 1);
    memcpy(copy, text, bytes); // without its NUL
    const char *wrong = config_read(copy, bytes, &config, &line);
    free(copy);
    return wrong;
}

#define SUM "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef"
#define NEEDED "kernel = k\nbundle = b\n"

TEST(a_configuration)
{
    EXPECT(read_text("# a comment = none\r\n\n kernel=kernel.elf\r\n\tbundle = boot.img \n"
                     "kernel-sha256 = " SUM "\ncommand-line =  cmd=a=b # c \n") == nullptr);
    EXPECT(strcmp(config.kernel, "kernel.elf") == 0 && strcmp(config.bundle, "boot.img") == 0);
    EXPECT(strcmp(config.command_line, "cmd=a=b # c") == 0);
    EXPECT(config.has_kernel_sum && !config.has_bundle_sum);
    EXPECT(config.kernel_sum[1] == 0x11 && config.kernel_sum[31] == 0xef);
    EXPECT(read_text("kernel = k\nbundle = b") == nullptr); // no line end, no command line
    EXPECT(config.command_line[0] == '\0');
}

static void expect_wrong(const char *text, unsigned in_line, const char *why)
{
    const char *wrong = read_text(text);
    EXPECT_NOTE(wrong != nullptr && strstr(wrong, why) != nullptr, "%s: %s", why,
                wrong ? wrong : "accepted");
    EXPECT_NOTE(line == in_line, "line %u for %s", line, text);
}

TEST(wrong_configurations)
{
    expect_wrong("", 0, "not name a kernel");
    expect_wrong("kernel = k\n", 0, "not name a bundle");
    expect_wrong(NEEDED "kernel = l\n", 3, "twice");
    expect_wrong("kernel = \n", 1, "1 to 63");
    expect_wrong("kernel = 0123456789012345678901234567890123456789012345678901234567890123\n", 1,
                 "1 to 63");
    expect_wrong("kernel = \\EFI\\k\n", 1, "plain letters");
    expect_wrong("kernel = a/b\n", 1, "plain letters");
    expect_wrong("kernel = a b\n", 1, "plain letters");
    expect_wrong("kernel = k\xc3\xa4\n", 1, "plain letters");
    expect_wrong(NEEDED "speed = 9\n", 3, "nothing that");
    expect_wrong(NEEDED "kernel-sha256 = 00\n", 3, "64 digits");
    expect_wrong(NEEDED "bundle-sha256 = " SUM "\nbundle-sha256 = " SUM "\n", 4, "twice");
    expect_wrong("kernel-sha256 = g" SUM "\n", 1, "64 digits");
    expect_wrong("kernel-sha256 = G0112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef",
                 1, "0 to 9");
    expect_wrong("\n\nkernel k\n", 3, "'='");
    expect_wrong(NEEDED "command-line = a\ncommand-line = a\n", 4, "twice");
    char text[2000] = NEEDED "command-line = ";
    size_t length = strlen(text);
    memset(text + length, 'x', ABI_COMMAND_LINE);
    expect_wrong(text, 3, "1023");
    text[length + ABI_COMMAND_LINE - 1] = '\0';
    EXPECT(read_text(text) == nullptr && strlen(config.command_line) == ABI_COMMAND_LINE - 1);
    EXPECT(strstr(config_read("kernel = a\0b\n", 13, &config, &line), "not text") != nullptr);
}

// ---- the bundle

static _Alignas(4096) uint8_t bundle_bytes[0x4000];

static struct abi_bundle *good_bundle(void)
{
    struct abi_bundle *b = (void *)bundle_bytes;
    memset(bundle_bytes, 0, sizeof(bundle_bytes));
    memcpy(b->magic, "SKBUNDLE", 8);
    b->version = 1;
    b->count = 2;
    b->entries[0] = (struct abi_bundle_entry){"init", 0x1000, 0x1801};
    b->entries[1] = (struct abi_bundle_entry){"devd", 0x3000, 0x1000};
    return b;
}

static void expect_damaged(uint64_t bytes, const char *why)
{
    const char *wrong = bundle_check(bundle_bytes, bytes);
    EXPECT_NOTE(wrong != nullptr && strstr(wrong, why) != nullptr, "%s: %s", why,
                wrong ? wrong : "accepted");
}

TEST(bundles)
{
    struct abi_bundle *b = good_bundle();
    EXPECT(bundle_check(b, sizeof(bundle_bytes)) == nullptr);
    expect_damaged(0, "whole number");
    expect_damaged(0x3fff, "whole number");
    expect_damaged(0x3000, "cut short");
    b->magic[7] = 'x';
    expect_damaged(0x4000, "begin");
    good_bundle()->version = 2;
    expect_damaged(0x4000, "version");
    good_bundle()->count = 256; // 16 + 256 * 64 bytes are more than 0x4000
    expect_damaged(0x4000, "room for");
    good_bundle()->count = UINT32_MAX;
    expect_damaged(0x4000, "room for");
    good_bundle()->entries[1].offset = UINT64_MAX - 0xfff;
    expect_damaged(0x4000, "cut short");
    good_bundle()->entries[1].bytes = UINT64_MAX;
    expect_damaged(0x4000, "cut short");
    good_bundle()->entries[0].offset = 0; // over the header
    expect_damaged(0x4000, "cut short");
    memset(good_bundle()->entries[0].name, 'x', sizeof(b->entries[0].name));
    expect_damaged(0x4000, "proper name");
    good_bundle()->entries[1].name[0] = '\0';
    expect_damaged(0x4000, "proper name");
}

// ---- the memory map

constexpr uint64_t ENTRY = sizeof(struct efi_memory_descriptor) + 8; // as firmware likes it

static uint8_t map[100 * ENTRY];
static uint64_t map_bytes;
static struct abi_handover_range ranges[204];

static void put(uint32_t type, uint64_t start, uint64_t pages, uint64_t attributes)
{
    const struct efi_memory_descriptor d = {
        .type = type, .physical = start, .pages = pages, .attributes = attributes};
    memcpy(map + map_bytes, &d, sizeof(d));
    map_bytes += ENTRY;
}

static uint32_t read_map(void)
{
    return memory_map_read(map, map_bytes, ENTRY, ranges);
}

static void expect_range(uint32_t i, uint64_t start, uint64_t end, uint32_t kind)
{
    EXPECT_NOTE(ranges[i].start == start && ranges[i].end == end && ranges[i].kind == kind,
                "%u: %lx-%lx %u", i, ranges[i].start, ranges[i].end, ranges[i].kind);
}

TEST(kinds_of_memory)
{
    map_bytes = 0;
    put(EFI_CONVENTIONAL, 0x5000, 3, EFI_MEMORY_WB); // not sorted
    put(EFI_LOADER_CODE, 0x1000, 1, EFI_MEMORY_WB);
    put(EFI_BOOT_DATA, 0x2000, 1, EFI_MEMORY_WB | 1);
    put(EFI_RUNTIME_DATA, 0x3000, 1, EFI_MEMORY_WB | EFI_MEMORY_RUNTIME);
    put(EFI_ACPI_RECLAIM, 0x4000, 1, EFI_MEMORY_WB);
    put(EFI_ACPI_NVS, 0x8000, 1, EFI_MEMORY_WB);
    put(EFI_MMIO, 0x9000, 1, EFI_MEMORY_RUNTIME);
    put(EFI_CONVENTIONAL, 0xa000, 1, 1);                               // cannot be cached
    put(EFI_BOOT_CODE, 0xb000, 1, EFI_MEMORY_WB | EFI_MEMORY_RUNTIME); // somebody goes on
    put(EFI_UNUSABLE, 0xc000, 1, EFI_MEMORY_WB);
    put(EFI_PERSISTENT, 0xd000, 1, EFI_MEMORY_WB);
    put(0x7000'0000, 0xe000, 1, EFI_MEMORY_WB);
    EXPECT(read_map() == 7);
    expect_range(0, 0x1000, 0x3000, HANDOVER_RAM);
    expect_range(1, 0x3000, 0x4000, HANDOVER_FIRMWARE);
    expect_range(2, 0x4000, 0x5000, HANDOVER_TABLES);
    expect_range(3, 0x5000, 0x8000, HANDOVER_RAM);
    expect_range(4, 0x8000, 0x9000, HANDOVER_FIRMWARE);
    expect_range(5, 0x9000, 0xa000, HANDOVER_DEVICE);
    expect_range(6, 0xa000, 0xf000, HANDOVER_FIRMWARE);
}

TEST(entries_that_contradict_each_other)
{
    map_bytes = 0;
    put(EFI_CONVENTIONAL, 0x1000, 0x10, EFI_MEMORY_WB);
    put(EFI_RUNTIME_CODE, 0x4000, 2, EFI_MEMORY_WB);
    put(EFI_RESERVED, 0x10000, 0x10, EFI_MEMORY_WB);
    put(EFI_CONVENTIONAL, 0x4000, 1, EFI_MEMORY_WB);
    EXPECT(read_map() == 4);
    expect_range(0, 0x1000, 0x4000, HANDOVER_RAM);
    expect_range(1, 0x4000, 0x6000, HANDOVER_FIRMWARE);
    expect_range(2, 0x6000, 0x10000, HANDOVER_RAM);
    expect_range(3, 0x10000, 0x20000, HANDOVER_FIRMWARE);
}

TEST(entries_without_end)
{
    map_bytes = 0;
    put(EFI_CONVENTIONAL, 0x1000, UINT64_MAX, EFI_MEMORY_WB);
    put(EFI_CONVENTIONAL, UINT64_MAX & ~0xfffull, 1, EFI_MEMORY_WB);
    put(EFI_CONVENTIONAL, 1ull << 52, 1, EFI_MEMORY_WB);
    put(EFI_CONVENTIONAL, 0x800, 1, EFI_MEMORY_WB);
    put(EFI_RESERVED, 0x3000, 0, 0);
    EXPECT(read_map() == 1);
    expect_range(0, 0x1000, 1ull << 52, HANDOVER_RAM);
    EXPECT(memory_map_read(map, map_bytes, 16, ranges) == 0); // entries too short for anything
}

TEST(marking)
{
    map_bytes = 0;
    put(EFI_CONVENTIONAL, 0x1000, 0x10, EFI_MEMORY_WB);
    put(EFI_RESERVED, 0x11000, 1, 0);
    put(EFI_CONVENTIONAL, 0x12000, 0x10, EFI_MEMORY_WB);
    const uint32_t count = read_map();
    EXPECT(count == 3);
    EXPECT(memory_map_mark(ranges, count, 0x3000, 0x4000, HANDOVER_TABLES) == 5);
    expect_range(0, 0x1000, 0x3000, HANDOVER_RAM);
    expect_range(1, 0x3000, 0x4000, HANDOVER_TABLES);
    expect_range(2, 0x4000, 0x11000, HANDOVER_RAM);
    EXPECT(read_map() == 3);
    EXPECT(memory_map_mark(ranges, 3, 0x10000, 0x13000, HANDOVER_TABLES) == 5);
    expect_range(1, 0x10000, 0x11000, HANDOVER_TABLES);
    expect_range(2, 0x11000, 0x12000, HANDOVER_FIRMWARE);
    expect_range(3, 0x12000, 0x13000, HANDOVER_TABLES);
    EXPECT(read_map() == 3);
    EXPECT(memory_map_mark(ranges, 3, 0x40000, 0x50000, HANDOVER_TABLES) == 3); // no RAM there
}

TEST(maps_at_random)
{
    srandom(2);
    for (unsigned round = 0; round < 20'000; round++) {
        constexpr uint64_t pages = 64;
        uint32_t kinds[pages] = {}; // what each page must be
        map_bytes = 0;
        const unsigned entries = (unsigned)random() % 20;
        for (unsigned i = 0; i < entries; i++) {
            const uint64_t start = (uint64_t)random() % pages;
            const uint64_t length = (uint64_t)random() % (pages - start + 1);
            const bool ram = random() % 2;
            put(ram ? EFI_CONVENTIONAL : EFI_RESERVED, start << 12, length, EFI_MEMORY_WB);
            for (uint64_t p = start; p < start + length; p++)
                if (!ram || kinds[p] == 0)
                    kinds[p] = ram ? HANDOVER_RAM : HANDOVER_FIRMWARE;
        }
        const uint32_t count = read_map();
        EXPECT(count <= memory_map_room(map_bytes, ENTRY));
        uint64_t end = 0;
        for (uint32_t i = 0; i < count; i++) {
            EXPECT(ranges[i].start >= end && ranges[i].start < ranges[i].end);
            EXPECT(i == 0 || ranges[i].start > end || ranges[i].kind != ranges[i - 1].kind);
            end = ranges[i].end;
            for (uint64_t p = ranges[i].start >> 12; p < end >> 12; p++) {
                EXPECT(kinds[p] == ranges[i].kind);
                kinds[p] = 0;
            }
        }
        for (uint64_t p = 0; p < pages; p++)
            EXPECT(kinds[p] == 0);
    }
}

// ---- leaving

static unsigned stale, exits, maps; // so often the key is refused; calls
static efi_status_t refusal;

static uint64_t map_says; // how large it is; 0: the truth

static efi_status_t fake_map(uint64_t *bytes, void *out, uint64_t *key, uint64_t *entry_bytes,
                             uint32_t *version)
{
    *entry_bytes = ENTRY;
    *version = 1;
    maps++;
    // It differs each time: what one call told is stale when the next has been made.
    map_bytes = 0;
    put(EFI_CONVENTIONAL, 0x1000, 16 + maps, EFI_MEMORY_WB);
    put(EFI_RUNTIME_DATA, 0x10'0000, 1, EFI_MEMORY_WB | EFI_MEMORY_RUNTIME);
    if (*bytes < map_bytes) {
        *bytes = map_says != 0 ? map_says : map_bytes;
        return EFI_BUFFER_TOO_SMALL;
    }
    memcpy(out, map, map_bytes);
    *bytes = map_bytes;
    *key = 1000 + maps;
    return EFI_SUCCESS;
}

static efi_status_t fake_exit(efi_handle_t image, uint64_t key)
{
    exits++;
    if (image != &stale || key != 1000 + maps)
        return EFI_INVALID_PARAMETER;
    if (stale > 0) {
        stale--;
        return refusal;
    }
    return EFI_SUCCESS;
}

static uint64_t kernel_start = 0x9000; // and three pages

static struct abi_handover *leave(unsigned times, efi_status_t why)
{
    static struct efi_boot_services services;
    static struct efi_system_table system;
    services.memory_map = fake_map;
    services.exit_boot_services = fake_exit;
    system.boot = &services;
    efi = &system;
    stale = times;
    refusal = why;
    exits = maps = 0;
    while (taken_count > 0)
        free(taken[--taken_count]); // of the last time
    said[0] = '\0';
    const struct given given = {
        .kernel = {.start = kernel_start, .bytes = 0x2000, .room = 0x1000, .reach = 0x4000'0000},
        .bundle = {.data = (const void *)0x4000, .bytes = 0x2000},
        .signature = {.data = "SIGN", .bytes = 4},
        .command_line = "cmd=ls",
        .rsdp = 0x1234,
        .device_tree = 0x8010,
        .device_tree_bytes = 0x20,
    };
    if (!leave_prepare(&given))
        return nullptr;
    EXPECT(taken_limit == 0x4000'0000);
    return leave_firmware(&stale, &given);
}

static void expect_handover(struct abi_handover *h, uint64_t ram_pages)
{
    struct boot_info boot = {};
    struct handover_tables tables;
    EXPECT(h != nullptr);
    EXPECT(handover_read(h, h->bytes, &boot, &tables) == nullptr);
    EXPECT(strcmp(boot.command_line, "cmd=ls") == 0);
    EXPECT(tables.rsdp == 0x1234 && tables.device_tree == 0x8010);
    EXPECT(boot.bundle.start == 0x4000 && boot.bundle.end == 0x6000);
    // The tree's page is no RAM, the runtime's neither.
    EXPECT(boot.ram_count == 2 && boot.ram[0].end == 0x8000 && boot.ram[1].start == 0x9000);
    EXPECT(boot.ram[1].end == 0x1000 + (ram_pages << 12));
    EXPECT(h->signature_bytes == 4);
    EXPECT(memcmp((char *)h + h->signature_offset, "SIGN", 4) == 0);
    EXPECT(h->trust == HANDOVER_UNVERIFIED);
}

TEST(leaving_at_once)
{
    expect_handover(leave(0, 0), 16 + 2); // the second map asked for
    EXPECT(exits == 1);
}

TEST(a_stale_key_is_tried_again)
{
    expect_handover(leave(3, EFI_INVALID_PARAMETER), 16 + 5); // the map of the last try
    EXPECT(exits == 4);
}

TEST(a_kernel_that_cannot_be_where_it_has_to_be)
{
    static const uint64_t bad[] = {0x0,      0x6000,    0x7000,    0x8000,
                                   0xf'e000, 0x10'0000, 0x20'0000, 0x11000};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        kernel_start = bad[i];
        EXPECT_NOTE(leave(0, 0) == nullptr, "%lx", bad[i]);
        EXPECT(exits == 0 && strstr(said, "firmware keeps") != nullptr); // nothing has happened
    }
    kernel_start = 0x5000; // up to the device tree
    expect_handover(leave(0, 0), 16 + 2);
    kernel_start = 0x9000;
}

TEST(what_leaving_needs)
{
    for (unsigned i = 1; i <= 2; i++) {
        fail_at = i;
        EXPECT(leave(0, 0) == nullptr && exits == 0 && strstr(said, "no memory") != nullptr);
    }
    map_says = 40 << 20; // half of the block's largest size for each entry
    EXPECT(leave(0, 0) == nullptr && exits == 0 && strstr(said, "too large") != nullptr);
    map_says = 0;
    fail_at = 0;
    expect_handover(leave(0, 0), 16 + 2);
}

TEST(not_for_ever)
{
    EXPECT(leave(1000, EFI_INVALID_PARAMETER) == nullptr);
    EXPECT(exits < 20 && strstr(said, "let go") != nullptr);
    EXPECT(leave(1, EFI_LOAD_ERROR) == nullptr); // nothing that another key would help against
    EXPECT(exits == 1);
}
