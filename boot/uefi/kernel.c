// SPDX-License-Identifier: MIT
//
// Puts the kernel where its note wants it.
#include <lib/elf.h>
#include <lib/string.h>

#include "loader.h"

constexpr uint64_t ROOM_MAX = 64 << 20;
constexpr uint64_t STAGED_BELOW = 1ull << 32; // what machine_enter reaches

bool kernel_place(const struct file *file, const char *name, struct kernel *kernel)
{
    static struct elf_image image;
    const char *wrong = elf_image_open(file->data, file->bytes, machine_elf, &image);
    const uint64_t bytes = image.end - image.start, all = bytes + image.note.room;
    const bool anywhere = (image.note.flags & HANDOVER_ANYWHERE) != 0;
    if (wrong == nullptr && image.note.version != HANDOVER_VERSION)
        wrong = "it wants to be entered in a way of another version than 1";
    if (wrong == nullptr && image.note.room > ROOM_MAX)
        wrong = "it wants more room than 64 MiB behind it";
    if (wrong == nullptr && !anywhere &&
        (all > PAGES_KEPT_MAX * EFI_PAGE_BYTES || image.end > STAGED_BELOW))
        wrong = "what has to be at one place has at most 128 MiB, below 4 GiB";
    if (wrong != nullptr) {
        say("The kernel %s cannot be used: %s.", name, wrong);
        return false;
    }
    if (!anywhere)
        pages_keep(image.start, all);
    char *staged = anywhere ? pages_take(all, 0) : pages_take(bytes, STAGED_BELOW);
    if (staged == nullptr) {
        say("There is no memory for the kernel, which needs %llu KiB.",
            (unsigned long long)all / 1024);
        return false;
    }
    for (uint32_t i = 0; i < image.count; i++) {
        const struct elf_segment *s = &image.segments[i];
        memcpy(staged + (s->address - image.start), (const char *)file->data + s->offset,
               s->file_bytes);
    }
    const uint64_t start = anywhere ? (uint64_t)staged : image.start;
    *kernel = (struct kernel){
        .start = start,
        .bytes = bytes,
        .room = image.note.room,
        .staged = (uint64_t)staged,
        .entry = start + (image.note.entry - image.start),
        .reach = image.note.reach,
    };
    machine_clean(staged, anywhere ? all : bytes);
    return true;
}
