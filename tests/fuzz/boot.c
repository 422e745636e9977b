// SPDX-License-Identifier: MIT
// build: platform/handover.c platform/boot_info.c boot/uefi/config.c boot/uefi/bundle.c
//
// What a start reads: the handover, by the kernel; boot.conf, the bundle's directory and the
// kernel's ELF file, by the loader. The first byte of an input says which of them the rest is.
#include <boot/uefi/loader.h>
#include <elf.h>
#include <lib/elf.h>
#include <lib/types.h>
#include <platform/boot_info.h>
#include <platform/handover.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

constexpr size_t LONG = 1400; // room for the longest command line

enum reader { READ_HANDOVER, READ_CONFIG, READ_BUNDLE, READ_KERNEL, READERS };

void klog(const char *format, ...)
{
    (void)format;
}

void panic(const char *format, ...)
{
    fuzz_fail(__FILE__, __LINE__, "the reader panicked: %s", format);
}

void fuzz_begin(void)
{
}

// ---- the handover

static void expect_map(const uint8_t *block, const struct abi_handover *h)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < h->range_count; i++) {
        struct abi_handover_range r;
        memcpy(&r, block + h->range_offset + i * sizeof(r), sizeof(r));
        FUZZ_EXPECT(r.start >= end && r.start < r.end && r.end <= 1ull << 52);
        FUZZ_EXPECT((r.start | r.end) % PAGE_SIZE == 0);
        end = r.end;
    }
}

static void handover(const uint8_t *data, size_t bytes)
{
    static struct boot_info boot;
    struct handover_tables tables;
    memset(&boot, 0, sizeof(boot));
    const char *wrong = handover_read(data, bytes, &boot, &tables);
    struct abi_handover h = {};
    if (bytes >= sizeof(h))
        memcpy(&h, data, sizeof(h));
    if (h.magic == HANDOVER_MAGIC && h.version == HANDOVER_VERSION && h.bytes >= sizeof(h) &&
        h.bytes <= bytes)
        fuzz_past_header();
    else
        FUZZ_EXPECT(wrong != nullptr);
    if (wrong != nullptr)
        return;
    expect_map(data, &h);
    FUZZ_EXPECT(boot.ram_count > 0 && boot.ram_count <= BOOT_RANGES_MAX);
    FUZZ_EXPECT(strlen(boot.command_line) <= h.command_line_bytes);
    if (boot.bundle.start != boot.bundle.end)
        FUZZ_EXPECT(boot_find_ram(&boot, boot.bundle.start, boot.bundle.end) != nullptr);
}

static void change_handover(uint8_t *data, size_t bytes, struct dice *dice)
{
    struct abi_handover h;
    if (bytes < sizeof(h))
        return;
    memcpy(&h, data, sizeof(h));
    h.magic = HANDOVER_MAGIC;
    h.version = HANDOVER_VERSION;
    if (h.bytes < sizeof(h) || h.bytes > bytes)
        h.bytes = (uint32_t)bytes;
    if (dice_below(dice, 4) == 0) {
        h.range_offset = sizeof(h);
        h.range_count = (uint32_t)((bytes - sizeof(h)) / sizeof(struct abi_handover_range));
    }
    if (dice_below(dice, 8) == 0) {
        h.bytes = (uint32_t)bytes;
        h.command_line_offset = 0; // so that it is inside
        h.command_line_bytes = ABI_COMMAND_LINE - 1 + (uint32_t)dice_below(dice, 3);
    }
    memcpy(data, &h, sizeof(h));
    // A range is put next to the one before, or nearly.
    const uint64_t at = h.range_offset + dice_below(dice, 8) * sizeof(struct abi_handover_range);
    struct abi_handover_range r[2];
    if (at < sizeof(h) || at + sizeof(r) > bytes || dice_below(dice, 2) == 0)
        return;
    memcpy(r, data + at, sizeof(r));
    r[1].start = r[0].end + (dice_below(dice, 3) - 1) * PAGE_SIZE;
    r[1].end = r[1].start + (1 + dice_below(dice, 64)) * PAGE_SIZE;
    memcpy(data + at, r, sizeof(r));
}

// ---- boot.conf

static void config(const uint8_t *data, size_t bytes)
{
    struct config *c = malloc(sizeof(*c));
    unsigned line;
    fuzz_past_header();
    const char *wrong = config_read((const char *)data, bytes, c, &line);
    FUZZ_EXPECT(wrong != nullptr || line == 0);
    if (wrong == nullptr) {
        const size_t kernel = strnlen(c->kernel, sizeof(c->kernel));
        FUZZ_EXPECT(kernel > 0 && kernel < sizeof(c->kernel) &&
                    strpbrk(c->kernel, "/\\ ") == nullptr);
        FUZZ_EXPECT(strnlen(c->bundle, sizeof(c->bundle)) < sizeof(c->bundle));
        FUZZ_EXPECT(strnlen(c->command_line, sizeof(c->command_line)) < sizeof(c->command_line));
    }
    free(c);
}

// A line goes on into the next one.
static void change_config(uint8_t *data, size_t bytes, struct dice *dice)
{
    uint8_t *end = nullptr;
    for (size_t i = bytes; end == nullptr && i-- > 0;)
        if (data[i] == '\n')
            end = &data[i];
    if (end != nullptr && dice_below(dice, 4) == 0)
        *end = 'y';
}

// ---- the bundle: whole pages

static void bundle(const uint8_t *data, size_t bytes)
{
    const size_t whole = align_up(bytes, PAGE_SIZE);
    uint8_t *pages = aligned_alloc(PAGE_SIZE, whole + PAGE_SIZE);
    memset(pages, 0, whole + PAGE_SIZE);
    memcpy(pages, data, bytes);
    const struct abi_bundle *b = (const void *)pages;
    const bool begins = memcmp(b->magic, "SKBUNDLE", 8) == 0 && b->version == 1;
    const char *wrong = bundle_check(pages, whole);
    if (begins)
        fuzz_past_header();
    else
        FUZZ_EXPECT(wrong != nullptr);
    for (uint32_t i = 0; wrong == nullptr && i < b->count; i++) {
        FUZZ_EXPECT((const uint8_t *)&b->entries[i + 1] <= pages + whole);
        FUZZ_EXPECT(b->entries[i].offset <= whole);
        FUZZ_EXPECT(b->entries[i].bytes <= whole - b->entries[i].offset);
        FUZZ_EXPECT(memchr(b->entries[i].name, 0, sizeof(b->entries[i].name)) != nullptr);
    }
    free(pages);
}

static void change_bundle(uint8_t *data, size_t bytes, struct dice *dice)
{
    struct abi_bundle b;
    if (bytes < sizeof(b) + sizeof(b.entries[0]))
        return;
    memcpy(data, "SKBUNDLE\1\0\0\0", 12);
    const uint64_t entry = dice_below(dice, (bytes - sizeof(b)) / sizeof(b.entries[0]));
    uint8_t *at = data + sizeof(b) + entry * sizeof(b.entries[0]);
    put_low_first(at + offsetof(struct abi_bundle_entry, offset),
                  dice_below(dice, 2) ? dice_below(dice, 4) * PAGE_SIZE
                                      : dice_number(dice) & ~(uint64_t)(PAGE_SIZE - 1),
                  8);
    put_low_first(at + offsetof(struct abi_bundle_entry, bytes), dice_number(dice), 8);
}

// ---- the kernel

static void kernel(const uint8_t *data, size_t bytes)
{
    struct elf_image e;
    Elf64_Ehdr file = {};
    if (bytes >= sizeof(file))
        memcpy(&file, data, sizeof(file));
    if (memcmp(file.e_ident, "\177ELF\2\1\1", 7) == 0 && file.e_machine == EM_AARCH64)
        fuzz_past_header();
    if (elf_image_open(data, bytes, ELF_MACHINE_AARCH64, &e) != nullptr)
        return;
    uint64_t end = e.start;
    bool entered = false;
    FUZZ_EXPECT(e.count > 0 && e.count <= ELF_SEGMENTS_MAX);
    FUZZ_EXPECT(e.start < e.end && e.end - e.start <= ELF_IMAGE_BYTES_MAX);
    for (uint32_t i = 0; i < e.count; i++) {
        const struct elf_segment *s = &e.segments[i];
        FUZZ_EXPECT(s->address >= end && s->memory_bytes <= e.end - s->address);
        FUZZ_EXPECT(s->file_bytes <= s->memory_bytes && s->offset <= bytes);
        FUZZ_EXPECT(s->file_bytes <= bytes - s->offset);
        end = s->address + s->memory_bytes;
        entered |= e.note.entry >= s->address && e.note.entry - s->address < s->file_bytes;
    }
    FUZZ_EXPECT(entered);
}

static void change_kernel(uint8_t *data, size_t bytes, struct dice *dice)
{
    Elf64_Ehdr file;
    if (bytes < sizeof(file))
        return;
    memcpy(&file, data, sizeof(file));
    memcpy(file.e_ident, "\177ELF\2\1\1", 7);
    file.e_type = ET_EXEC;
    file.e_machine = EM_AARCH64;
    file.e_phentsize = sizeof(Elf64_Phdr);
    if (file.e_phoff > bytes)
        file.e_phoff = sizeof(file);
    if (file.e_phnum > (bytes - file.e_phoff) / sizeof(Elf64_Phdr))
        file.e_phnum = (uint16_t)((bytes - file.e_phoff) / sizeof(Elf64_Phdr));
    memcpy(data, &file, sizeof(file));
    if (file.e_phnum < 2)
        return;
    // A segment is put behind the one before, or nearly.
    uint8_t *at = data + file.e_phoff + dice_below(dice, file.e_phnum - 1u) * sizeof(Elf64_Phdr);
    Elf64_Phdr h[2];
    memcpy(h, at, sizeof(h));
    h[1].p_paddr = h[0].p_paddr + h[0].p_memsz + dice_below(dice, 3) - 1;
    if (dice_below(dice, 2))
        h[1].p_memsz = dice_number(dice);
    memcpy(at, h, sizeof(h));
}

// ----

void fuzz_one(const uint8_t *data, size_t bytes)
{
    static void (*const readers[READERS])(const uint8_t *, size_t) = {handover, config, bundle,
                                                                      kernel};
    if (bytes == 0) {
        fuzz_past_header();
        return;
    }
    uint8_t *copy = fuzz_copy(data + 1, bytes - 1);
    readers[data[0] % READERS](copy, bytes - 1);
    free(copy);
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    static void (*const changes[READERS])(uint8_t *, size_t,
                                          struct dice *) = {[READ_HANDOVER] = change_handover,
                                                            [READ_CONFIG] = change_config,
                                                            [READ_BUNDLE] = change_bundle,
                                                            [READ_KERNEL] = change_kernel};
    if (dice_below(dice, 3) != 0 || bytes < 2)
        bytes = mutate_bytes(data, bytes, room);
    if (bytes < 2 || dice_below(dice, 10) == 0)
        return bytes;
    if (bytes < LONG && room >= LONG && dice_below(dice, 16) == 0) {
        memset(data + bytes, 'z', LONG - bytes);
        bytes = LONG;
    }
    if (changes[data[0] % READERS] != nullptr)
        changes[data[0] % READERS](data + 1, bytes - 1, dice);
    return bytes;
}
