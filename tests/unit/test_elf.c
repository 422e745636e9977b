// SPDX-License-Identifier: MIT
//
// lib/elf.c: one good image, every way to be bad that its header promises to refuse, each length
// of the file, and random bytes changed. What is accepted must satisfy all that a loader relies on.
#include <lib/elf.h>

#include <abi/layout.h>
#include <elf.h>
#include <lib/types.h>

#include "test.h"

struct image {
    Elf64_Ehdr file;
    Elf64_Phdr segment[3];
    unsigned char rest[0x4000 - sizeof(Elf64_Ehdr) - 3 * sizeof(Elf64_Phdr)];
};

static struct image good(void)
{
    struct image i = {};
    i.file = (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                          .e_type = ET_EXEC,
                          .e_machine = EM_X86_64,
                          .e_version = EV_CURRENT,
                          .e_entry = 0x401000,
                          .e_phoff = sizeof(Elf64_Ehdr),
                          .e_phentsize = sizeof(Elf64_Phdr),
                          .e_phnum = 3};
    i.segment[0] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0x1000, 0x401000, 0, 0x800, 0x800, 0x1000};
    i.segment[1] = (Elf64_Phdr){PT_LOAD, PF_R, 0x2010, 0x402010, 0, 0x100, 0x100, 0x1000};
    i.segment[2] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 0x3000, 0x403000, 0, 0x10, 0x9000, 0x1000};
    return i;
}

static const char *open_image(const struct image *i, size_t bytes, struct elf *elf)
{
    // A copy of exactly this length, so that the sanitizer sees a read behind it.
    void *copy = malloc(bytes ? bytes : 1);
    memcpy(copy, i, bytes);
    const char *wrong = elf_open(copy, bytes, ELF_MACHINE_X86_64, elf);
    free(copy);
    return wrong;
}

static void expect_sound(const struct elf *elf, size_t bytes)
{
    uint64_t end = 0;
    bool entered = false;
    EXPECT(elf->count <= ELF_SEGMENTS_MAX);
    for (unsigned i = 0; i < elf->count; i++) {
        const struct elf_segment *s = &elf->segments[i];
        EXPECT(s->memory_bytes > 0 && s->file_bytes <= s->memory_bytes);
        EXPECT(s->offset <= bytes && s->file_bytes <= bytes - s->offset);
        EXPECT(s->address >= ABI_USER_MIN && s->address + s->memory_bytes <= ABI_USER_MAX);
        EXPECT(s->address + s->memory_bytes > s->address);
        EXPECT(align_down(s->address, PAGE_SIZE) >= end);
        EXPECT((s->protection & PROT_WRITE) == 0 || (s->protection & PROT_EXECUTE) == 0);
        EXPECT(s->protection != 0 && (s->address ^ s->offset) % PAGE_SIZE == 0);
        end = align_up(s->address + s->memory_bytes, PAGE_SIZE);
        entered |= (s->protection & PROT_EXECUTE) != 0 && elf->entry >= s->address &&
                   elf->entry < s->address + s->file_bytes;
    }
    EXPECT(entered);
}

TEST(good_image)
{
    struct image i = good();
    struct elf elf;
    EXPECT(open_image(&i, sizeof(i), &elf) == nullptr);
    expect_sound(&elf, sizeof(i));
    EXPECT(elf.count == 3 && elf.entry == 0x401000);
    EXPECT(elf.segments[2].memory_bytes == 0x9000 && elf.segments[2].file_bytes == 0x10);
    EXPECT(elf.segments[0].protection == (PROT_READ | PROT_EXECUTE));
}

TEST(each_bad_field)
{
    struct elf elf;
#define REFUSED(change)                                     \
    do {                                                    \
        struct image i = good();                            \
        change;                                             \
        EXPECT(open_image(&i, sizeof(i), &elf) != nullptr); \
    } while (false)
    REFUSED(i.file.e_ident[0] = 0);
    REFUSED(i.file.e_ident[EI_CLASS] = ELFCLASS32);
    REFUSED(i.file.e_ident[EI_DATA] = ELFDATA2MSB);
    REFUSED(i.file.e_type = ET_DYN);
    REFUSED(i.file.e_machine = EM_AARCH64);
    REFUSED(i.file.e_phentsize = 55);
    REFUSED(i.file.e_phoff = UINT64_MAX - 8);
    REFUSED(i.file.e_phnum = 0xffff);
    REFUSED(i.file.e_phnum = 0);
    REFUSED(i.file.e_entry = 0x402010);
    REFUSED(i.file.e_entry = 0x401800);
    REFUSED(i.segment[0].p_filesz = 0x801);
    REFUSED(i.segment[0].p_offset = UINT64_MAX - 0xfff);
    REFUSED(i.segment[0].p_vaddr = 0x1000);
    REFUSED(i.segment[0].p_flags = PF_R | PF_W | PF_X);
    REFUSED(i.segment[0].p_flags = 0);
    REFUSED(i.segment[1].p_vaddr = 0x401810);
    REFUSED(i.segment[1].p_vaddr = 0x400010);
    REFUSED(i.segment[1].p_vaddr = 0x402011);
    REFUSED(i.segment[1].p_type = PT_DYNAMIC);
    REFUSED(i.segment[1].p_type = PT_INTERP);
    REFUSED(i.segment[2].p_memsz = UINT64_MAX);
    REFUSED(i.segment[2].p_memsz = ABI_USER_MAX);
    REFUSED(i.segment[2].p_vaddr = ABI_USER_MAX - 0x1000);
    REFUSED(i.segment[2].p_vaddr = 0xffff'8000'0000'0000);
}

TEST(each_length)
{
    struct image i = good();
    for (size_t bytes = 0; bytes < sizeof(i); bytes += bytes < 512 ? 1 : 13) {
        struct elf elf;
        const char *wrong = open_image(&i, bytes, &elf);
        if (wrong == nullptr)
            expect_sound(&elf, bytes);
        EXPECT_NOTE((wrong == nullptr) == (bytes >= 0x3010), "%zu bytes", bytes);
    }
}

TEST(random_damage)
{
    unsigned state = 1, accepted = 0;
    for (unsigned round = 0; round < 200000; round++) {
        struct image i = good();
        struct elf elf;
        for (unsigned change = 0; change < 1 + round % 3; change++) {
            state = state * 1664525 + 1013904223;
            size_t at = (state >> 8) % (sizeof(i.file) + sizeof(i.segment));
            ((unsigned char *)&i)[at] = (unsigned char)(state >> 24);
        }
        if (elf_open(&i, sizeof(i), ELF_MACHINE_X86_64, &elf) == nullptr) {
            expect_sound(&elf, sizeof(i));
            accepted++;
        }
    }
    EXPECT(accepted > 100); // damage that does not matter, so that the checks above were reached
}
