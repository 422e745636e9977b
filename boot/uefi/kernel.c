// SPDX-License-Identifier: MIT
//
// Puts the kernel where its note wants it.
#include <lib/elf.h>
#include <lib/string.h>

#include "loader.h"

constexpr uint64_t ROOM_MAX = 64 << 20;

static void *find_place(const struct elf_image *image, uint64_t bytes)
{
    const bool anywhere = (image->note.flags & HANDOVER_ANYWHERE) != 0;
    void *place = anywhere ? pages_take(bytes, 0) : pages_take_at(image->start, bytes);
    if (place == nullptr && anywhere)
        say("There is no memory for the kernel, which needs %llu KiB.",
            (unsigned long long)bytes / 1024);
    else if (place == nullptr)
        say("The kernel needs %llu KiB of memory at 0x%llx: the firmware has none free there.",
            (unsigned long long)bytes / 1024, (unsigned long long)image->start);
    return place;
}

bool kernel_place(const struct file *file, const char *name, struct kernel *kernel)
{
    static struct elf_image image;
    const char *wrong = elf_image_open(file->data, file->bytes, machine_elf, &image);
    if (wrong == nullptr && image.note.version != HANDOVER_VERSION)
        wrong = "it wants to be entered in a way of another version than 1";
    if (wrong == nullptr && image.note.room > ROOM_MAX)
        wrong = "it wants more room than 64 MiB behind it";
    if (wrong != nullptr) {
        say("The kernel %s cannot be used: %s.", name, wrong);
        return false;
    }
    const uint64_t bytes = image.end - image.start;
    char *place = find_place(&image, bytes + image.note.room);
    if (place == nullptr)
        return false;
    for (uint32_t i = 0; i < image.count; i++) {
        const struct elf_segment *s = &image.segments[i];
        memcpy(place + (s->address - image.start), (const char *)file->data + s->offset,
               s->file_bytes);
    }
    *kernel = (struct kernel){
        .start = (uint64_t)place,
        .bytes = bytes,
        .entry = (uint64_t)place + (image.note.entry - image.start),
        .reach = image.note.reach,
    };
    machine_clean(place, bytes + image.note.room);
    return true;
}
