// SPDX-License-Identifier: MIT
//
// lib/elf_image.c: one good kernel, every way to be bad, each length of the file, and random bytes
// changed. What is accepted can be placed by copying, without looking again.
#include <lib/elf.h>

#include <elf.h>
#include <lib/types.h>

#include "test.h"

struct [[gnu::packed]] note {
    Elf64_Nhdr head;
    char name[8];
    struct abi_handover_note value;
};

struct image {
    Elf64_Ehdr file;
    Elf64_Phdr segment[4];
    Elf64_Nhdr other; // of somebody else, before ours
    char other_name[4], other_value[4];
    struct note note;
    unsigned char rest[0x3000];
};

static struct image good(void)
{
    struct image i = {};
    i.file = (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                          .e_type = ET_EXEC,
                          .e_machine = EM_AARCH64,
                          .e_version = EV_CURRENT,
                          .e_phoff = sizeof(Elf64_Ehdr),
                          .e_phentsize = sizeof(Elf64_Phdr),
                          .e_phnum = 4};
    // Physical addresses count, whatever the virtual ones are.
    i.segment[0] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W | PF_X, 0x1000, 0, 0x20'0000, 0x800, 0x800, 1};
    i.segment[1] = (Elf64_Phdr){PT_LOAD, PF_R, 0x2010, 0, 0x20'0800, 0x100, 0x100, 1};
    i.segment[2] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 0x3000, 0, 0x20'3000, 0x10, 0x9001, 1};
    i.segment[3] = (Elf64_Phdr){PT_NOTE, PF_R, offsetof(struct image, other),
                                0,       0,    sizeof(i.other) + 8 + sizeof(i.note),
                                0,       4};
    i.other = (Elf64_Nhdr){3, 4, 18};
    memcpy(i.other_name, "Xen", 4);
    i.note.head = (Elf64_Nhdr){7, sizeof(i.note.value), 1};
    memcpy(i.note.name, "Skerry", 7);
    i.note.value = (struct abi_handover_note){1, 0, 0x20'0010, 0x10'0000, 0x4000'0000};
    return i;
}

static struct elf_image out;

static const char *open_image(const struct image *i, size_t bytes)
{
    void *copy = malloc(bytes ? bytes : 1);
    memcpy(copy, i, bytes);
    const char *wrong = elf_image_open(copy, bytes, ELF_MACHINE_AARCH64, &out);
    free(copy);
    return wrong;
}

static void expect_sound(size_t bytes)
{
    uint64_t end = 0;
    bool entered = false;
    EXPECT(out.count > 0 && out.count <= ELF_SEGMENTS_MAX);
    EXPECT(out.start % PAGE_SIZE == 0 && out.end % PAGE_SIZE == 0 && out.start < out.end);
    EXPECT(out.end - out.start <= ELF_IMAGE_BYTES_MAX);
    for (unsigned i = 0; i < out.count; i++) {
        const struct elf_segment *s = &out.segments[i];
        EXPECT(s->file_bytes <= s->memory_bytes);
        EXPECT(s->offset <= bytes && s->file_bytes <= bytes - s->offset);
        EXPECT(s->address >= out.start && s->address >= end);
        EXPECT(s->address + s->memory_bytes > s->address &&
               s->address + s->memory_bytes <= out.end);
        end = s->address + s->memory_bytes;
        entered |= out.note.entry >= s->address && out.note.entry - s->address < s->file_bytes;
    }
    EXPECT(entered);
}

TEST(a_good_kernel)
{
    struct image i = good();
    EXPECT(open_image(&i, sizeof(i)) == nullptr);
    expect_sound(sizeof(i));
    EXPECT(out.count == 3 && out.start == 0x20'0000 && out.end == 0x20'd000);
    EXPECT(out.note.entry == 0x20'0010 && out.note.room == 0x10'0000);
}

TEST(at_the_end_of_all_addresses)
{
    struct image i = good(); // as the AArch64 kernel is linked
    for (unsigned s = 0; s < 3; s++)
        i.segment[s].p_paddr += 0xffff'ffff'8000'0000 - 0x20'0000;
    i.note.value.entry += 0xffff'ffff'8000'0000 - 0x20'0000;
    EXPECT(open_image(&i, sizeof(i)) == nullptr);
    expect_sound(sizeof(i));
}

TEST(each_bad_field)
{
#define REFUSED(change, why)                                                              \
    do {                                                                                  \
        struct image i = good();                                                          \
        change;                                                                           \
        const char *wrong = open_image(&i, sizeof(i));                                    \
        EXPECT_NOTE(wrong != nullptr && strstr(wrong, why) != nullptr, "%s: %s", #change, \
                    wrong ? wrong : "accepted");                                          \
    } while (false)
    REFUSED(i.file.e_ident[0] = 0, "ELF");
    REFUSED(i.file.e_machine = EM_X86_64, "another machine");
    REFUSED(i.file.e_phoff = UINT64_MAX - 8, "outside the file");
    REFUSED(i.file.e_phnum = 0, "no note");
    REFUSED(i.segment[0].p_filesz = 0x801, "larger in the file");
    REFUSED(i.segment[0].p_offset = UINT64_MAX - 0xfff, "cut short");
    REFUSED(i.segment[1].p_paddr = 0x20'07ff, "over each other");
    REFUSED(i.segment[2].p_paddr = 0x10'0000, "over each other");
    REFUSED(i.segment[2].p_memsz = UINT64_MAX, "outside of all memory");
    REFUSED(i.segment[2].p_memsz = ELF_IMAGE_BYTES_MAX, "too far apart");
    REFUSED(i.segment[2].p_paddr = 0x8000'0000, "too far apart");
    REFUSED(i.segment[2].p_paddr = UINT64_MAX - 0x1000, "outside of all memory");
    REFUSED(i.note.value.entry = 0x20'3010, "entry point"); // zeros
    REFUSED(i.note.value.entry = 0x1f'ffff, "entry point");
    REFUSED(i.note.head.n_type = 2, "no note");
    REFUSED(i.note.name[0] = 's', "no note");
    REFUSED(i.note.head.n_namesz = 6, "no note");
    REFUSED(i.note.head.n_descsz = 31, "no note");
    REFUSED(i.note.head.n_descsz = UINT32_MAX, "no note");
    REFUSED(i.other.n_namesz = UINT32_MAX, "no note");
    REFUSED(i.segment[3].p_filesz--, "no note");
    REFUSED(i.segment[3].p_offset = UINT64_MAX, "no note");
    REFUSED(i.segment[3].p_type = PT_NULL, "no note");
    REFUSED(for (unsigned s = 0; s < 3; s++) i.segment[s].p_type = PT_NULL, "nothing in it");
}

TEST(as_many_segments_as_there_is_room_for)
{
    static struct {
        struct image i;
        Elf64_Phdr segments[ELF_SEGMENTS_MAX + 2];
    } many;
    many.i = good();
    many.i.file.e_phoff = offsetof(typeof(many), segments);
    many.segments[0] = many.i.segment[3];
    for (unsigned n = 0; n <= ELF_SEGMENTS_MAX; n++) {
        many.segments[1 + n] = many.i.segment[0];
        many.segments[1 + n].p_paddr += n * PAGE_SIZE;
    }
    many.i.file.e_phnum = 1 + ELF_SEGMENTS_MAX;
    many.i.note.value.entry = 0x20'0000; // the first byte
    EXPECT(elf_image_open(&many, sizeof(many), ELF_MACHINE_AARCH64, &out) == nullptr);
    EXPECT(out.count == ELF_SEGMENTS_MAX);
    many.i.file.e_phnum++;
    EXPECT(strstr(elf_image_open(&many, sizeof(many), ELF_MACHINE_AARCH64, &out), "too many"));
}

TEST(each_length)
{
    struct image i = good();
    for (size_t bytes = 0; bytes < sizeof(i); bytes += bytes < 1024 ? 1 : 13) {
        const char *wrong = open_image(&i, bytes);
        EXPECT_NOTE((wrong == nullptr) == (bytes >= 0x3010), "%zu bytes", bytes);
    }
}

TEST(random_damage)
{
    unsigned state = 1, accepted = 0;
    for (unsigned round = 0; round < 200000; round++) {
        struct image i = good();
        for (unsigned change = 0; change < 1 + round % 3; change++) {
            state = state * 1664525 + 1013904223;
            const size_t at = (state >> 8) % offsetof(struct image, rest);
            ((unsigned char *)&i)[at] = (unsigned char)(state >> 24);
        }
        if (elf_image_open(&i, sizeof(i), ELF_MACHINE_AARCH64, &out) == nullptr) {
            expect_sound(sizeof(i));
            accepted++;
        }
    }
    EXPECT(accepted > 1000);
}
