// SPDX-License-Identifier: MIT
//
// Kernels: see elf.h. They may have code that is writable (what runs before there are page tables),
// and their virtual addresses are their own business.
#include <lib/elf.h>

#include <lib/string.h>
#include <lib/types.h>

#include "elf_format.h"

struct note_header {
    uint32_t name_bytes, value_bytes, type;
};

// The note of our name in a segment of notes: each part is padded to 4 bytes (gABI, chapter 5).
static bool find_note(const uint8_t *notes, uint64_t bytes, struct abi_handover_note *found)
{
    for (uint64_t at = 0; elf_inside(at, sizeof(struct note_header), bytes);) {
        struct note_header h;
        memcpy(&h, notes + at, sizeof(h));
        const uint64_t name = at + sizeof(h), value = name + align_up(h.name_bytes, 4);
        if (!elf_inside(name, h.name_bytes, bytes) || !elf_inside(value, h.value_bytes, bytes))
            return false;
        if (h.type == HANDOVER_NOTE_TYPE && h.name_bytes == sizeof(HANDOVER_NOTE_NAME) &&
            memcmp(notes + name, HANDOVER_NOTE_NAME, h.name_bytes) == 0 &&
            h.value_bytes >= sizeof(*found)) {
            memcpy(found, notes + value, sizeof(*found));
            return true;
        }
        at = value + align_up(h.value_bytes, 4);
    }
    return false;
}

static const char *check_loaded(const struct program_header *h, size_t bytes, uint64_t previous_end)
{
    if (h->file_bytes > h->memory_bytes)
        return "a segment is larger in the file than in memory";
    if (!elf_inside(h->offset, h->file_bytes, bytes))
        return "a segment outside the file: it was cut short";
    if (h->memory_bytes > ELF_IMAGE_BYTES_MAX ||
        h->physical > UINT64_MAX - ELF_IMAGE_BYTES_MAX - PAGE_SIZE)
        return "a segment outside of all memory";
    if (h->physical < previous_end)
        return "segments out of order or over each other";
    return nullptr;
}

static const char *check_whole(struct elf_image *out)
{
    if (out->count == 0)
        return "nothing in it is loaded";
    const struct elf_segment *last = &out->segments[out->count - 1];
    out->start = align_down(out->segments[0].address, PAGE_SIZE);
    out->end = align_up(last->address + last->memory_bytes, PAGE_SIZE);
    if (out->end - out->start > ELF_IMAGE_BYTES_MAX)
        return "its segments lie too far apart";
    for (uint32_t i = 0; i < out->count; i++) {
        const struct elf_segment *s = &out->segments[i];
        if (out->note.entry >= s->address && out->note.entry - s->address < s->file_bytes)
            return nullptr;
    }
    return "an entry point outside of it";
}

const char *elf_image_open(const void *image, size_t bytes, uint16_t machine, struct elf_image *out)
{
    struct elf_walk walk;
    const char *wrong = elf_walk_begin(&walk, image, bytes, machine);
    if (wrong != nullptr)
        return wrong;

    *out = (struct elf_image){};
    bool noted = false;
    uint64_t end = 0;
    for (struct program_header h; elf_walk_next(&walk, &h);) {
        if (h.type == SEGMENT_NOTE && !noted && elf_inside(h.offset, h.file_bytes, bytes))
            noted = find_note((const uint8_t *)image + h.offset, h.file_bytes, &out->note);
        if (!elf_is_loaded(&h))
            continue;
        if ((wrong = check_loaded(&h, bytes, end)) != nullptr)
            return wrong;
        if (out->count == ELF_SEGMENTS_MAX)
            return "too many segments";
        out->segments[out->count++] = (struct elf_segment){
            .address = h.physical,
            .memory_bytes = h.memory_bytes,
            .file_bytes = h.file_bytes,
            .offset = h.offset,
        };
        end = h.physical + h.memory_bytes;
    }
    return noted ? check_whole(out) : "no kernel of Skerry: it has no note of how to enter it";
}
