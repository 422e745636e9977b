// SPDX-License-Identifier: MIT
//
// The fields of a tar header block: where they stand, and the numbers and texts in them. Split
// from tar.c, which knows what follows what.
//
// Source of the layout: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar
// Format" (base-256 numbers, sparse maps).
#pragma once

#include <stddef.h>
#include <stdint.h>

struct tar_header {
    char name[100];
    char mode[8], uid[8], gid[8], size[12], mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6], version[2];
    char user[32], group[32], major[8], minor[8];
    char prefix[155]; // ustar; GNU keeps other things here
    char padding[12];
};
static_assert(sizeof(struct tar_header) == 512);

constexpr size_t TAR_GNU_SPARSE_EXTENDED = 482; // flag in a sparse file's header
constexpr size_t TAR_GNU_MAP_EXTENDED = 504;    // flag in a block of its map

// Octal with blanks around it, or base-256 (top bit of the first byte set). false: neither, or
// more than 63 bits. A negative number answers true with *negative set.
[[nodiscard]] bool tar_number(const char *field, size_t bytes, uint64_t *value, bool *negative);

// Whether the sum of all bytes, the checksum's own as blanks, is what the header says. Old tars
// summed signed characters: accepted too.
[[nodiscard]] bool tar_checksum_right(const struct tar_header *header);

[[nodiscard]] bool tar_block_is_zero(const uint8_t *block);
[[nodiscard]] bool tar_is_posix(const struct tar_header *header); // so `prefix` is a prefix

// Decimal digits only; false when there is none, another character, or more than 63 bits.
[[nodiscard]] bool tar_decimal(const char *text, size_t bytes, uint64_t *value);

// Appends a field that is NUL-terminated unless full; false when it does not fit.
[[nodiscard]] bool tar_append(char *text, size_t room, const char *field, size_t bytes);
