// SPDX-License-Identifier: MIT
//
// See tar.h. What can follow what:
//
//   header --file, directory, ...--> entry --> next header
//   header --L, K, x, g--> body blocks --> next header, which they amend
//   header --sparse, extended--> map blocks --> entry
//   zero block --> zero block --> end
//
// Invariants: `offset` is a multiple of 512, and whenever TAR_BLOCK is answered, offset + 512 <=
// bytes; no entry's content reaches past `bytes`.

#include "tar.h"

#include <string.h>

#include "tar_field.h"
#include "tar_pax.h"

static void fail(struct tar_reader *tar, enum tar_error error, uint64_t offset)
{
    tar->event = TAR_ERROR;
    tar->error = error;
    tar->error_offset = offset;
}

// The next block to look at. Past the end means that the end marker never came.
static void want(struct tar_reader *tar, uint64_t offset)
{
    tar->offset = offset;
    tar->event = TAR_BLOCK;
    if (offset > tar->bytes || tar->bytes - offset < TAR_BLOCK_BYTES)
        fail(tar, TAR_TRUNCATED, tar->bytes);
}

void tar_start(struct tar_reader *tar, uint64_t bytes)
{
    memset(tar, 0, sizeof(*tar));
    tar->bytes = bytes - bytes % TAR_BLOCK_BYTES;
    want(tar, 0);
    if (tar->bytes == 0)
        fail(tar, TAR_EMPTY, 0);
}

enum tar_event tar_next(struct tar_reader *tar)
{
    enum tar_event event = tar->event;
    if (event == TAR_ENTRY) {
        tar->state = TAR_AT_HEADER;
        want(tar, tar->resume); // answered by the next call
    }
    return event;
}

// Where the content of `size` bytes that begins at `start` ends, in whole blocks.
static bool content_end(const struct tar_reader *tar, uint64_t start, uint64_t size, uint64_t *end)
{
    if (start > tar->bytes || size > tar->bytes - start)
        return false;
    *end = start + (size + TAR_BLOCK_BYTES - 1) / TAR_BLOCK_BYTES * TAR_BLOCK_BYTES;
    return *end <= tar->bytes;
}

// PREFIX/NAME of a header. Both together always fit.
static void set_text(char *text, const char *prefix, size_t prefix_bytes, const char *field,
                     size_t bytes)
{
    static_assert(sizeof((struct tar_header){}.prefix) + 1 + 100 < TAR_PATH_BYTES);
    text[0] = '\0';
    (void)tar_append(text, TAR_PATH_BYTES, prefix, prefix_bytes);
    if (text[0] != '\0')
        (void)tar_append(text, TAR_PATH_BYTES, "/", 1);
    (void)tar_append(text, TAR_PATH_BYTES, field, bytes);
}

static enum tar_type type_of(const struct tar_header *header, const char *path)
{
    size_t length = strlen(path);
    switch (header->type) {
    case '1':
        return TAR_HARD_LINK;
    case '2':
        return TAR_SYMLINK;
    case '3':
    case '4':
    case '6':
        return TAR_SPECIAL;
    case '5':
    case 'D': // GNU: a directory with a list of its files as content
        return TAR_DIRECTORY;
    case 'S':
        return TAR_UNSUPPORTED;
    default: // '0', NUL, '7' and, as POSIX asks, all that we do not know
        return length > 0 && path[length - 1] == '/' ? TAR_DIRECTORY : TAR_FILE;
    }
}

// Links, directories and devices have no content, whatever their size field says.
static bool has_content(const struct tar_header *header, enum tar_type type)
{
    return type == TAR_FILE || type == TAR_UNSUPPORTED || header->type == 'D';
}

static void apply(struct tar_entry *entry, const struct tar_override *o)
{
    if (o->has_path)
        memcpy(entry->path, o->path, sizeof(entry->path));
    if (o->has_link)
        memcpy(entry->link, o->link, sizeof(entry->link));
    if (o->has_size)
        entry->size = o->size;
    if (o->has_mtime)
        entry->mtime_s = o->mtime_s;
}

static void finish_entry(struct tar_reader *tar)
{
    memset(&tar->local, 0, sizeof(tar->local));
    tar->event = TAR_ENTRY;
}

// An ordinary header: with what the extended headers before it said, an entry.
static void take_entry(struct tar_reader *tar, const struct tar_header *header,
                       const uint8_t *block, uint64_t size, uint64_t mtime_s, uint64_t mode)
{
    struct tar_entry *entry = &tar->entry;
    const struct tar_override *local = &tar->local, *global = &tar->global;
    *entry = (struct tar_entry){.mode = (uint32_t)mode & 07777, .mtime_s = mtime_s, .size = size};
    size_t prefix_bytes = tar_is_posix(header) ? sizeof(header->prefix) : 0;
    set_text(entry->path, header->prefix, prefix_bytes, header->name, sizeof(header->name));
    set_text(entry->link, "", 0, header->link, sizeof(header->link));
    apply(entry, global);
    apply(entry, local);
    enum tar_type type = type_of(header, entry->path);
    bool content = has_content(header, type);
    if (local->sparse || global->sparse || local->path_too_long || global->path_too_long)
        type = TAR_UNSUPPORTED;
    entry->type = type;
    uint64_t stored = content ? entry->size : 0;
    if (type != TAR_FILE && type != TAR_UNSUPPORTED)
        entry->size = 0;

    entry->data_offset = tar->offset + TAR_BLOCK_BYTES;
    bool extended = header->type == 'S' && block[TAR_GNU_SPARSE_EXTENDED] != 0;
    if (extended) { // the rest of its map comes first
        entry->size = stored;
        tar->state = TAR_AT_SPARSE_MAP;
        want(tar, tar->offset + TAR_BLOCK_BYTES);
        return;
    }
    if (!content_end(tar, entry->data_offset, stored, &tar->resume)) {
        fail(tar, TAR_TRUNCATED, tar->bytes);
        return;
    }
    finish_entry(tar);
}

static void take_sparse_map(struct tar_reader *tar, const uint8_t *block)
{
    uint64_t next = tar->offset + TAR_BLOCK_BYTES;
    if (block[TAR_GNU_MAP_EXTENDED] != 0) {
        want(tar, next);
        return;
    }
    if (!content_end(tar, next, tar->entry.size, &tar->resume)) {
        fail(tar, TAR_TRUNCATED, tar->bytes);
        return;
    }
    finish_entry(tar);
}

// An extended header: its body, of `size` bytes, amends what comes.
static void take_extended(struct tar_reader *tar, char type, uint64_t size)
{
    uint64_t body = tar->offset + TAR_BLOCK_BYTES;
    if (!content_end(tar, body, size, &tar->resume)) {
        fail(tar, TAR_TRUNCATED, tar->bytes);
        return;
    }
    tar->body_left = size;
    tar->body_done = 0;
    switch (type) {
    case 'L':
        tar->long_target = tar->local.path;
        tar->long_flag = &tar->local.has_path;
        break;
    case 'K':
        tar->long_target = tar->local.link;
        tar->long_flag = &tar->local.has_link;
        break;
    default:
        tar_pax_start(tar, type == 'g' ? &tar->global : &tar->local);
        break;
    }
    tar->state = type == 'L' || type == 'K' ? TAR_IN_LONG : TAR_IN_PAX;
    if (size == 0)
        tar->state = TAR_AT_HEADER;
    want(tar, size == 0 ? tar->resume : body);
}

static void take_body(struct tar_reader *tar, const uint8_t *block)
{
    size_t count = tar->body_left < TAR_BLOCK_BYTES ? (size_t)tar->body_left : TAR_BLOCK_BYTES;
    const char *bytes = (const char *)block;
    if (tar->state == TAR_IN_PAX) {
        if (!tar_pax_bytes(tar, bytes, count) ||
            (count == tar->body_left && !tar_pax_complete(tar))) {
            fail(tar, TAR_BAD_RECORD, tar->offset);
            return;
        }
    } else {
        if (tar->body_done == 0)
            tar->long_target[0] = '\0';
        *tar->long_flag = true;
        if (!tar_append(tar->long_target, TAR_PATH_BYTES, bytes, count))
            tar->local.path_too_long = true;
    }
    tar->body_left -= count;
    tar->body_done += count;
    if (tar->body_left > 0) {
        want(tar, tar->offset + TAR_BLOCK_BYTES);
        return;
    }
    tar->state = TAR_AT_HEADER;
    want(tar, tar->resume);
}

static bool begins_with(const uint8_t *block, const char *magic, size_t bytes)
{
    return memcmp(block, magic, bytes) == 0;
}

static enum tar_error not_a_header(const struct tar_reader *tar, const uint8_t *block)
{
    if (tar->offset != 0)
        return TAR_BAD_CHECKSUM;
    bool compressed = begins_with(block, "\x1f\x8b", 2) || // gzip
                      begins_with(block, "BZh", 3) ||      // bzip2
                      begins_with(block,
                                  "\xfd"
                                  "7zXZ",
                                  5) ||                            // xz
                      begins_with(block, "\x28\xb5\x2f\xfd", 4) || // zstd
                      begins_with(block, "\x04\x22\x4d\x18", 4) || // lz4
                      begins_with(block, "PK\x03\x04", 4);         // zip
    return compressed ? TAR_COMPRESSED : TAR_NOT_AN_ARCHIVE;
}

static void take_header(struct tar_reader *tar, const uint8_t *block)
{
    struct tar_header header;
    memcpy(&header, block, sizeof(header));
    if (tar_block_is_zero(block)) {
        tar->state = TAR_AT_ZERO;
        want(tar, tar->offset + TAR_BLOCK_BYTES);
        return;
    }
    if (!tar_checksum_right(&header)) {
        fail(tar, not_a_header(tar, block), tar->offset);
        return;
    }
    uint64_t size, mtime_s, mode;
    bool negative, before_1970;
    if (!tar_number(header.size, sizeof(header.size), &size, &negative) || negative ||
        !tar_number(header.mtime, sizeof(header.mtime), &mtime_s, &before_1970) ||
        !tar_number(header.mode, sizeof(header.mode), &mode, &negative)) {
        fail(tar, TAR_BAD_NUMBER, tar->offset);
        return;
    }
    switch (header.type) {
    case 'L':
    case 'K':
    case 'x':
    case 'X': // Solaris's form of x
    case 'g':
        take_extended(tar, header.type, size);
        return;
    case 'M':
        fail(tar, TAR_MULTI_VOLUME, tar->offset);
        return;
    case 'V': // a label: no entry, no content
        want(tar, tar->offset + TAR_BLOCK_BYTES);
        return;
    default:
        take_entry(tar, &header, block, size, mtime_s, mode);
        return;
    }
}

void tar_feed(struct tar_reader *tar, const uint8_t block[static TAR_BLOCK_BYTES])
{
    switch (tar->state) {
    case TAR_AT_HEADER:
        take_header(tar, block);
        return;
    case TAR_AT_ZERO:
        if (tar_block_is_zero(block))
            tar->event = TAR_END;
        else
            fail(tar, TAR_LONE_ZERO_BLOCK, tar->offset - TAR_BLOCK_BYTES);
        return;
    case TAR_AT_SPARSE_MAP:
        take_sparse_map(tar, block);
        return;
    case TAR_IN_LONG:
    case TAR_IN_PAX:
        take_body(tar, block);
        return;
    }
}

const char *tar_error_text(enum tar_error error)
{
    static const char *const texts[TAR_ERRORS] = {
        [TAR_OK] = "no error",
        [TAR_EMPTY] = "the disk is empty",
        [TAR_NOT_AN_ARCHIVE] = "the disk does not hold a tar archive",
        [TAR_COMPRESSED] = "the disk holds a compressed file; a plain tar archive is needed",
        [TAR_BAD_CHECKSUM] = "the archive is damaged: a header's checksum is wrong",
        [TAR_BAD_NUMBER] = "the archive is damaged: a header holds a number that is none",
        [TAR_BAD_RECORD] = "the archive is damaged: an extended header cannot be read",
        [TAR_LONE_ZERO_BLOCK] = "the archive is damaged: half an end marker, and more behind it",
        [TAR_MULTI_VOLUME] = "the archive is one part of several, which is not supported",
        [TAR_TRUNCATED] = "the archive is truncated: the disk ends before its end marker",
    };
    return error < TAR_ERRORS ? texts[error] : "unknown error";
}
