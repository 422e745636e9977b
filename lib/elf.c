// SPDX-License-Identifier: MIT
//
// See elf.h. Layouts: System V ABI (gABI) 4.1 edition 2013, chapters 4 and 5. Headers are copied
// out before they are looked at, so neither alignment nor the image's length is ever assumed.
#include <lib/elf.h>

#include <abi/layout.h>
#include <lib/string.h>
#include <lib/types.h>

#include "elf_format.h"

bool elf_inside(uint64_t offset, uint64_t bytes, uint64_t limit)
{
    return offset <= limit && bytes <= limit - offset;
}

static const char *check_header(const struct file_header *h, uint16_t machine, size_t bytes)
{
    static const uint8_t ident[7] = {0x7f, 'E', 'L', 'F',
                                     2,    1,   1}; // 64 bits, little-endian, version 1
    if (memcmp(h->ident, ident, sizeof(ident)) != 0)
        return "not a 64-bit little-endian ELF file";
    if (h->type != TYPE_EXECUTABLE)
        return "not a static executable";
    if (h->machine != machine)
        return "built for another machine";
    if (h->program_header_bytes != sizeof(struct program_header))
        return "program headers of an unknown size";
    uint64_t table_bytes = (uint64_t)h->program_header_count * sizeof(struct program_header);
    if (!elf_inside(h->program_headers, table_bytes, bytes))
        return "program headers outside the file";
    return nullptr;
}

const char *elf_walk_begin(struct elf_walk *walk, const void *image, size_t bytes, uint16_t machine)
{
    *walk = (struct elf_walk){.image = image};
    if (bytes < sizeof(walk->file))
        return "shorter than an ELF header";
    memcpy(&walk->file, image, sizeof(walk->file));
    return check_header(&walk->file, machine, bytes);
}

bool elf_walk_next(struct elf_walk *walk, struct program_header *header)
{
    if (walk->taken == walk->file.program_header_count)
        return false;
    memcpy(header, walk->image + walk->file.program_headers + walk->taken++ * sizeof(*header),
           sizeof(*header));
    return true;
}

static const char *check_segment(const struct program_header *h, size_t bytes,
                                 uint64_t previous_end)
{
    if (h->file_bytes > h->memory_bytes)
        return "a segment is larger in the file than in memory";
    if (!elf_inside(h->offset, h->file_bytes, bytes))
        return "a segment outside the file";
    if (h->address < ABI_USER_MIN || !elf_inside(h->address, h->memory_bytes, ABI_USER_MAX))
        return "a segment outside user memory";
    if (((h->address ^ h->offset) & (PAGE_SIZE - 1)) != 0)
        return "a segment whose address and offset disagree";
    if (align_down(h->address, PAGE_SIZE) < previous_end)
        return "segments out of order or sharing a page";
    if ((h->flags & SEGMENT_WRITE) != 0 && (h->flags & SEGMENT_EXECUTE) != 0)
        return "a segment both writable and executable";
    if ((h->flags & (SEGMENT_READ | SEGMENT_WRITE | SEGMENT_EXECUTE)) == 0)
        return "a segment without access";
    return nullptr;
}

static uint64_t protection_of(uint32_t flags)
{
    return ((flags & SEGMENT_READ) != 0 ? PROT_READ : 0u) |
           ((flags & SEGMENT_WRITE) != 0 ? PROT_WRITE : 0u) |
           ((flags & SEGMENT_EXECUTE) != 0 ? PROT_EXECUTE : 0u);
}

static const char *check_entry(const struct elf *elf)
{
    for (uint32_t i = 0; i < elf->count; i++) {
        const struct elf_segment *s = &elf->segments[i];
        if ((s->protection & PROT_EXECUTE) != 0 && elf->entry >= s->address &&
            elf->entry - s->address < s->file_bytes)
            return nullptr;
    }
    return "an entry point outside the code";
}

const char *elf_open(const void *image, size_t bytes, uint16_t machine, struct elf *out)
{
    struct elf_walk walk;
    const char *wrong = elf_walk_begin(&walk, image, bytes, machine);
    if (wrong != nullptr)
        return wrong;

    *out = (struct elf){.entry = walk.file.entry};
    uint64_t end = 0;
    for (struct program_header h; elf_walk_next(&walk, &h);) {
        if (h.type == SEGMENT_DYNAMIC || h.type == SEGMENT_INTERPRETER)
            return "needs a dynamic linker";
        if (!elf_is_loaded(&h))
            continue;
        if ((wrong = check_segment(&h, bytes, end)) != nullptr)
            return wrong;
        if (out->count == ELF_SEGMENTS_MAX)
            return "too many segments";
        out->segments[out->count++] = (struct elf_segment){
            .address = h.address,
            .memory_bytes = h.memory_bytes,
            .file_bytes = h.file_bytes,
            .offset = h.offset,
            .protection = protection_of(h.flags),
        };
        end = align_up(h.address + h.memory_bytes, PAGE_SIZE);
    }
    return check_entry(out);
}
