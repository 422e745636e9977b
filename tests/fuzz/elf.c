// SPDX-License-Identifier: MIT
//
// lib/elf.c: what is accepted satisfies all that a loader relies on (lib/elf.h).
#include <lib/elf.h>

#include <abi/layout.h>
#include <elf.h>
#include <lib/types.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

void fuzz_begin(void)
{
}

// By the words of the gABI, and not by those of elf.c.
static bool is_past_header(const void *image, size_t bytes)
{
    Elf64_Ehdr file;
    if (bytes < sizeof(file))
        return false;
    memcpy(&file, image, sizeof(file));
    return memcmp(file.e_ident, "\177ELF\2\1\1", 7) == 0 && file.e_type == ET_EXEC &&
           file.e_machine == EM_X86_64 && file.e_phentsize == sizeof(Elf64_Phdr) &&
           file.e_phoff <= bytes && file.e_phnum * sizeof(Elf64_Phdr) <= bytes - file.e_phoff;
}

static void expect_sound_segment(const struct elf_segment *s, const uint8_t *image, size_t bytes,
                                 uint64_t previous_end)
{
    FUZZ_EXPECT(s->memory_bytes > 0 && s->file_bytes <= s->memory_bytes);
    FUZZ_EXPECT(s->offset <= bytes && s->file_bytes <= bytes - s->offset);
    FUZZ_EXPECT(s->address >= ABI_USER_MIN && s->address <= ABI_USER_MAX);
    FUZZ_EXPECT(s->memory_bytes <= ABI_USER_MAX - s->address);
    FUZZ_EXPECT(align_down(s->address, PAGE_SIZE) >= previous_end);
    FUZZ_EXPECT((s->address ^ s->offset) % PAGE_SIZE == 0);
    FUZZ_EXPECT(s->protection != 0);
    FUZZ_EXPECT((s->protection & PROT_WRITE) == 0 || (s->protection & PROT_EXECUTE) == 0);
    if (s->file_bytes > 0) // as a loader reads it
        FUZZ_EXPECT(memchr(image + s->offset, 0, s->file_bytes) != image);
}

static bool is_entered(const struct elf *elf, const struct elf_segment *s)
{
    return (s->protection & PROT_EXECUTE) != 0 && elf->entry >= s->address &&
           elf->entry < s->address + s->file_bytes;
}

static void expect_sound(const struct elf *elf, const uint8_t *image, size_t bytes)
{
    uint64_t end = 0;
    bool entered = false;
    FUZZ_EXPECT(elf->count <= ELF_SEGMENTS_MAX);
    for (uint32_t i = 0; i < elf->count; i++) {
        const struct elf_segment *s = &elf->segments[i];
        expect_sound_segment(s, image, bytes, end);
        entered |= is_entered(elf, s);
        end = align_up(s->address + s->memory_bytes, PAGE_SIZE);
    }
    FUZZ_EXPECT(entered);
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    uint8_t *image = fuzz_copy(data, bytes);
    struct elf elf = {};
    const char *wrong = elf_open(image, bytes, ELF_MACHINE_X86_64, &elf);
    if (is_past_header(image, bytes))
        fuzz_past_header();
    else
        FUZZ_EXPECT(wrong != nullptr);
    if (wrong == nullptr)
        expect_sound(&elf, image, bytes);
    free(image);
}

// ---- changing

static void repair_header(uint8_t *image, size_t bytes)
{
    Elf64_Ehdr file;
    memcpy(&file, image, sizeof(file));
    memcpy(file.e_ident, "\177ELF\2\1\1", 7);
    file.e_type = ET_EXEC;
    file.e_machine = EM_X86_64;
    file.e_phentsize = sizeof(Elf64_Phdr);
    if (file.e_phoff > bytes)
        file.e_phoff = sizeof(file);
    if (file.e_phnum > (bytes - file.e_phoff) / sizeof(Elf64_Phdr))
        file.e_phnum = (uint16_t)((bytes - file.e_phoff) / sizeof(Elf64_Phdr));
    memcpy(image, &file, sizeof(file));
}

// Sets one field of one program header to an edge, or to what would follow the one before.
static void change_segment(uint8_t *image, size_t bytes, struct dice *dice)
{
    Elf64_Ehdr file;
    memcpy(&file, image, sizeof(file));
    if (file.e_phnum == 0)
        return;
    uint8_t *at = image + file.e_phoff + dice_below(dice, file.e_phnum) * sizeof(Elf64_Phdr);
    Elf64_Phdr h;
    memcpy(&h, at, sizeof(h));
    uint64_t edges[] = {0, bytes, PAGE_SIZE, ABI_USER_MIN, ABI_USER_MAX, UINT64_MAX, h.p_vaddr};
    uint64_t edge = edges[dice_below(dice, ARRAY_SIZE(edges))] + dice_below(dice, 3) - 1;
    uint64_t *fields[] = {&h.p_offset, &h.p_vaddr, &h.p_filesz, &h.p_memsz, &file.e_entry};
    *fields[dice_below(dice, ARRAY_SIZE(fields))] = edge;
    if (dice_below(dice, 2)) // so that they agree again
        h.p_offset = (h.p_offset & ~(uint64_t)(PAGE_SIZE - 1)) | (h.p_vaddr & (PAGE_SIZE - 1));
    if (dice_below(dice, 4) == 0)
        h.p_flags = (uint32_t)dice_below(dice, 8);
    if (dice_below(dice, 2))
        h.p_type = PT_LOAD;
    memcpy(at, &h, sizeof(h));
    memcpy(image, &file, sizeof(file));
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    if (dice_below(dice, 3) == 0 || bytes < sizeof(Elf64_Ehdr))
        bytes = mutate_bytes(data, bytes, room);
    if (bytes < sizeof(Elf64_Ehdr) && room >= sizeof(Elf64_Ehdr)) {
        memset(data + bytes, 0, sizeof(Elf64_Ehdr) - bytes);
        bytes = sizeof(Elf64_Ehdr);
    }
    if (bytes < sizeof(Elf64_Ehdr) || dice_below(dice, 10) == 0)
        return bytes;
    repair_header(data, bytes);
    for (uint64_t n = dice_below(dice, 4); n > 0; n--)
        change_segment(data, bytes, dice);
    return bytes;
}
