// SPDX-License-Identifier: MIT
//
// Static ELF64 programs, from untrusted bytes. elf_open checks everything that a loader relies
// on before the first segment is handed out:
//
//  - headers and the file part of every segment lie inside the image;
//  - segments ascend, share no page, lie between ABI_USER_MIN and ABI_USER_MAX;
//  - file offset and address agree within the page, so that pages could be mapped as they are;
//  - none is both writable and executable; the entry point is in an executable one.
//
// The image must not change while it is used (a writer could undo the checks): callers hold it
// read-only, and elf_segment reads each header again only through the same checks.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <abi/handover.h>

constexpr uint16_t ELF_MACHINE_X86_64 = 62;
constexpr uint16_t ELF_MACHINE_AARCH64 = 183;
constexpr unsigned ELF_SEGMENTS_MAX = 16;

struct elf_segment {
    uint64_t address;      // of its first byte
    uint64_t memory_bytes; // > 0; what exceeds file_bytes is zero
    uint64_t file_bytes;
    uint64_t offset;     // in the image
    uint64_t protection; // enum abi_protection, at least one bit
};

struct elf {
    uint64_t entry;
    uint32_t count;
    struct elf_segment segments[ELF_SEGMENTS_MAX];
};

// Checks the image and fills `out`. Returns null, or what is wrong with it, for people.
[[nodiscard]] const char *elf_open(const void *image, size_t bytes, uint16_t machine,
                                   struct elf *out);

// ---- kernels (elf_image.c): placed by physical addresses, entered as their note says

constexpr uint64_t ELF_IMAGE_BYTES_MAX = 1ull << 30;

struct elf_image {
    uint64_t start,
        end; // physical, page-aligned, of all segments; at most ELF_IMAGE_BYTES_MAX apart
    uint32_t count;
    struct elf_segment segments[ELF_SEGMENTS_MAX]; // addresses are physical, ascend, do not overlap
    struct abi_handover_note note; // its entry is inside the file's part of a segment
};

// Checks a kernel and fills `out`, as elf_open does.
[[nodiscard]] const char *elf_image_open(const void *image, size_t bytes, uint16_t machine,
                                         struct elf_image *out);
