// SPDX-License-Identifier: MIT
//
// The headers of an ELF64 file, for elf.c and elf_image.c.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct file_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_headers, section_headers;
    uint32_t flags;
    uint16_t header_bytes, program_header_bytes, program_header_count;
    uint16_t section_header_bytes, section_header_count, section_names;
};
static_assert(sizeof(struct file_header) == 64);

struct program_header {
    uint32_t type, flags;
    uint64_t offset, address, physical, file_bytes, memory_bytes, alignment;
};
static_assert(sizeof(struct program_header) == 56);

constexpr uint16_t TYPE_EXECUTABLE = 2;
constexpr uint32_t SEGMENT_LOAD = 1, SEGMENT_DYNAMIC = 2, SEGMENT_INTERPRETER = 3, SEGMENT_NOTE = 4;
constexpr uint32_t SEGMENT_EXECUTE = 1, SEGMENT_WRITE = 2, SEGMENT_READ = 4;

// Is [offset, offset + bytes) inside [0, limit)? No sum here can wrap.
bool elf_inside(uint64_t offset, uint64_t bytes, uint64_t limit);

// The program headers of an image, one after the other, copied out: neither alignment nor the image's
// length is assumed.
struct elf_walk {
    const uint8_t *image;
    struct file_header file;
    unsigned taken;
};

// Checks magic, kind, machine, and that the program headers are inside the file. Null, or what is wrong.
const char *elf_walk_begin(struct elf_walk *walk, const void *image, size_t bytes,
                           uint16_t machine);

// false: that was the last.
bool elf_walk_next(struct elf_walk *walk, struct program_header *header);

static inline bool elf_is_loaded(const struct program_header *header)
{
    return header->type == SEGMENT_LOAD && header->memory_bytes != 0;
}
