// SPDX-License-Identifier: MIT
//
// Reads the table of contents of a tar archive, block by block: ustar, GNU (long names and links,
// base-256 numbers) and pax (extended headers, local and global), as GNU tar, bsdtar and Python
// write them.
//
// It asks nobody for anything: the caller gives it the 512 bytes at `offset`, again and again,
// and gets an entry, a wish for the next block, the end or an error. So it never waits, needs no
// memory of its own, and runs on the host under every truncation of an archive.
//
//     tar_start(&tar, bytes);
//     while ((event = tar_next(&tar)) == TAR_BLOCK)
//         read tar.offset, tar_feed(&tar, block);
//
// The archive is untrusted: a checksum that is wrong, a number that is none, a length that leads
// past the end, or a missing end marker (two zero blocks) is an error with the byte at which it
// was seen. Names longer than TAR_PATH_BYTES - 1 and sparse files are entries of type
// TAR_UNSUPPORTED, whose content can be skipped and not read.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr size_t TAR_BLOCK_BYTES = 512;
constexpr size_t TAR_PATH_BYTES = 1024; // with the final NUL

enum tar_event { TAR_BLOCK, TAR_ENTRY, TAR_END, TAR_ERROR };

enum tar_error {
    TAR_OK,
    TAR_EMPTY,          // no block at all
    TAR_NOT_AN_ARCHIVE, // the first block is no header
    TAR_COMPRESSED,     // ... but begins like a compressed file
    TAR_BAD_CHECKSUM,   // a later block is no header
    TAR_BAD_NUMBER,
    TAR_BAD_RECORD, // of a pax extended header
    TAR_LONE_ZERO_BLOCK,
    TAR_MULTI_VOLUME,
    TAR_TRUNCATED, // the archive ends before its end marker
    TAR_ERRORS,
};

enum tar_type : uint8_t {
    TAR_FILE,
    TAR_DIRECTORY,
    TAR_HARD_LINK, // `link` is the path of an earlier entry
    TAR_SYMLINK,
    TAR_SPECIAL,     // device or FIFO
    TAR_UNSUPPORTED, // sparse, or its name is too long
};

struct tar_entry {
    enum tar_type type;
    uint32_t mode;
    uint64_t mtime_s; // 0 where it is before 1970
    uint64_t size;    // bytes of content, at data_offset
    uint64_t data_offset;
    char path[TAR_PATH_BYTES]; // as in the archive: not normalised
    char link[TAR_PATH_BYTES];
};

// What an extended header, GNU or pax, says about the next entry (or, if global, all of them).
struct tar_override {
    bool has_path, has_link, has_size, has_mtime, sparse, path_too_long;
    uint64_t size, mtime_s;
    char path[TAR_PATH_BYTES];
    char link[TAR_PATH_BYTES];
};

struct tar_reader {
    uint64_t offset; // of the block to be given next
    uint64_t bytes;  // of the archive
    enum tar_event event;
    enum tar_error error;
    uint64_t error_offset;
    struct tar_entry entry; // valid after TAR_ENTRY, until the next call

    // The rest is private.
    enum { TAR_AT_HEADER, TAR_AT_ZERO, TAR_AT_SPARSE_MAP, TAR_IN_LONG, TAR_IN_PAX } state;
    uint64_t resume;          // where the next header is
    uint64_t body_left;       // of an extended header
    uint64_t body_done;       // bytes of it consumed
    char *long_target;        // GNU long name or link: where it goes
    bool *long_flag;          // ... and what says that it is there
    struct tar_override *pax; // which of the two the records go to
    struct {
        enum { PAX_LENGTH, PAX_KEY, PAX_VALUE } state;
        uint64_t length, used; // of the record; bytes of it seen
        char key[32];
        size_t key_bytes, value_bytes;
        char number[24];
    } record;
    struct tar_override global, local;
};

// Begins with an archive of `bytes` bytes (those of the disk; a rest below 512 is not looked at).
void tar_start(struct tar_reader *tar, uint64_t bytes);

// What comes now. TAR_ENTRY is answered once; then the next call goes on behind it.
enum tar_event tar_next(struct tar_reader *tar);

// Gives the block at tar->offset. Only when tar_next answered TAR_BLOCK.
void tar_feed(struct tar_reader *tar, const uint8_t block[static TAR_BLOCK_BYTES]);

// What an error means, for people; `offset` in tar->error_offset completes it.
const char *tar_error_text(enum tar_error error);
