// SPDX-License-Identifier: MIT
// build: user/services/files/tar.c user/services/files/tar_field.c user/services/files/tar_pax.c user/services/files/index.c
//
// The tar reader and its index, over archives of ustar, GNU and pax: it ends, never asks for what
// is outside, no entry leads outside, and the index is a tree in which every name is found.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <user/services/files/index.h>
#include <user/services/files/tar.h>
#include <user/services/files/tar_field.h>

#include "fuzz.h"

constexpr uint32_t NODES = 64, TEXT = 4096;

static void *index_memory;
static size_t index_size;

void fuzz_begin(void)
{
    index_size = index_bytes(NODES, TEXT);
    index_memory = malloc(index_size);
}

// ---- what must hold

static void expect_sound_entry(const struct tar_entry *entry, size_t bytes)
{
    FUZZ_EXPECT(strnlen(entry->path, TAR_PATH_BYTES) < TAR_PATH_BYTES);
    FUZZ_EXPECT(strnlen(entry->link, TAR_PATH_BYTES) < TAR_PATH_BYTES);
    FUZZ_EXPECT(entry->data_offset % TAR_BLOCK_BYTES == 0);
    if (entry->type == TAR_FILE)
        FUZZ_EXPECT(entry->data_offset <= bytes && entry->size <= bytes - entry->data_offset);
    FUZZ_EXPECT(entry->mode <= 07777);
}

// Each node is in its parent's list once; who is linked where is found there by name.
static void expect_sound_index(const struct index *index, size_t bytes)
{
    uint32_t listed = 1; // the root
    FUZZ_EXPECT(index->node_count <= index->node_capacity && index->text_used <= TEXT);
    for (uint32_t i = 0; i < index->node_count; i++) {
        const struct index_node *node = &index->nodes[i];
        FUZZ_EXPECT(node->name < index->text_used || i == 0);
        for (uint32_t child = node->first_child; child != INDEX_NONE;
             child = index->nodes[child].next_sibling) {
            uint32_t found;
            const char *name = index->text + index->nodes[child].name;
            FUZZ_EXPECT(listed++ < index->node_count && node->type == TAR_DIRECTORY);
            FUZZ_EXPECT(index->nodes[child].parent == i);
            FUZZ_EXPECT(*name != 0 && strchr(name, '/') == nullptr);
            if (i == 0)
                FUZZ_EXPECT(index_find(index, name, strlen(name), false, &found) == INDEX_OK &&
                            found == child);
        }
        if (node->type == TAR_FILE)
            FUZZ_EXPECT(node->data_offset <= bytes && node->size <= bytes - node->data_offset);
    }
    FUZZ_EXPECT(listed == index->node_count);
}

static void look_up(const struct index *index, const struct tar_entry *entry)
{
    uint32_t node;
    if (index_find(index, entry->path, strlen(entry->path), true, &node) == INDEX_OK)
        FUZZ_EXPECT(node < index->node_count);
    if (index_find(index, entry->link, strlen(entry->link), true, &node) == INDEX_OK)
        FUZZ_EXPECT(node < index->node_count && index->nodes[node].type != TAR_SYMLINK);
}

// A plain header, with nothing before it that amends it, says what its entry is.
static bool is_plain(const struct tar_header *header)
{
    return header->type == '0' && tar_is_posix(header) && header->prefix[0] == 0;
}

static void expect_plain(const struct tar_header *header, const struct tar_entry *entry)
{
    FUZZ_EXPECT(strncmp(entry->path, header->name, sizeof(header->name)) == 0);
    uint64_t size;
    bool negative;
    if (entry->type == TAR_FILE)
        FUZZ_EXPECT(tar_number(header->size, 12, &size, &negative) && size == entry->size);
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    static struct tar_reader tar;
    size_t whole = bytes - bytes % TAR_BLOCK_BYTES, steps = 0;
    uint8_t *archive = fuzz_copy(data, whole);
    struct index index;
    index_start(&index, index_memory, NODES, TEXT);
    if (whole > 0 && tar_checksum_right((const struct tar_header *)archive))
        fuzz_past_header();
    tar_start(&tar, bytes);
    enum tar_event event;
    bool first = true, room = true;
    while ((event = tar_next(&tar)) != TAR_END && event != TAR_ERROR) {
        FUZZ_EXPECT(steps++ < whole / TAR_BLOCK_BYTES * 2 + 2);
        if (event == TAR_BLOCK) {
            FUZZ_EXPECT(tar.offset % TAR_BLOCK_BYTES == 0 && tar.offset + TAR_BLOCK_BYTES <= whole);
            tar_feed(&tar, archive + tar.offset);
            continue;
        }
        expect_sound_entry(&tar.entry, whole);
        if (first && is_plain((const struct tar_header *)archive))
            expect_plain((const struct tar_header *)archive, &tar.entry);
        first = false;
        room = room && index_add(&index, &tar.entry) != INDEX_FULL;
        look_up(&index, &tar.entry);
    }
    if (event == TAR_ERROR)
        FUZZ_EXPECT(tar.error != TAR_OK && tar_error_text(tar.error) && tar.error_offset <= bytes);
    else // an end is the second of two blocks of zeros
        FUZZ_EXPECT(tar_block_is_zero(archive + tar.offset) &&
                    tar_block_is_zero(archive + tar.offset - TAR_BLOCK_BYTES));
    expect_sound_index(&index, whole);
    free(archive);
}

// ---- changing

static void repair_checksum(uint8_t *block)
{
    struct tar_header *header = (struct tar_header *)block;
    unsigned sum = 0;
    memset(header->checksum, ' ', sizeof(header->checksum));
    for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
        sum += block[i];
    for (unsigned i = 0; i < 6; i++)
        header->checksum[i] = (char)('0' + (sum >> 3 * (5 - i) & 7));
    header->checksum[6] = 0;
}

static void set_size(struct tar_header *header, uint64_t size)
{
    for (unsigned i = 0; i < 11; i++)
        header->size[i] = (char)('0' + (size >> 3 * (10 - i) & 7));
    header->size[11] = ' ';
}

// Makes an extended header of one record, of a length that is likely to be the edge of something;
// its body takes the place of the blocks that follow.
static void write_record(uint8_t *block, size_t room, struct dice *dice)
{
    static const char *const keys[] = {
        "path",  "linkpath",       "size",
        "mtime", "GNU.sparse.map", "a.key.that.is.longer.than.the.room.for.it"};
    static const uint16_t lengths[] = {0, 1, 5, 20, 100, 1022, 1023, 1024, 1025};
    const char *key = keys[dice_below(dice, sizeof(keys) / sizeof(keys[0]))];
    size_t value = lengths[dice_below(dice, sizeof(lengths) / sizeof(lengths[0]))];
    size_t length = strlen(key) + value + 4; // a digit, ' ', '=' and the end of the line
    while (length < strlen(key) + value + 3 + (size_t)snprintf(nullptr, 0, "%zu", length))
        length++; // it counts its own digits
    if (length > room)
        return;
    int at = snprintf((char *)block + TAR_BLOCK_BYTES, length, "%zu %s=", length, key);
    memset(block + TAR_BLOCK_BYTES + at, '0' + (int)dice_below(dice, 60), value);
    block[TAR_BLOCK_BYTES + length - 1] = '\n';
    set_size((struct tar_header *)block, length);
    ((struct tar_header *)block)->type = dice_below(dice, 4) ? 'x' : 'g';
}

// One field of one header.
static void change_header(uint8_t *block, size_t room, struct dice *dice)
{
    static const char types[] = "0123456LKxgSDVMX";
    struct tar_header *header = (struct tar_header *)block;
    switch (dice_below(dice, 7)) {
    case 0:
        header->type = types[dice_below(dice, sizeof(types) - 1)];
        break;
    case 1:
        set_size(header, dice_below(dice, 1600));
        break;
    case 2: // a number that is not octal
        header->size[0] = (char)(0x80 | dice_below(dice, 128));
        memset(header->size + 1, 0, 3);
        put_high_first((uint8_t *)header->size + 4, dice_number(dice), 8);
        break;
    case 3:
        write_record(block, room, dice);
        break;
    case 4:
        memcpy(header->magic, dice_below(dice, 2) ? "ustar\00000" : "ustar  ", 8);
        break;
    case 5:
        header->name[dice_below(dice, 100)] = "/.a\0"[dice_below(dice, 4)];
        break;
    default:
        header->link[dice_below(dice, 100)] = "/.a\0"[dice_below(dice, 4)];
        break;
    }
}

// Where blocks look like headers, or follow from the sizes of those before.
static void repair(uint8_t *archive, size_t bytes, struct dice *dice)
{
    size_t next = 0;
    for (size_t at = 0; at + TAR_BLOCK_BYTES <= bytes; at += TAR_BLOCK_BYTES) {
        struct tar_header *header = (struct tar_header *)(archive + at);
        if (tar_block_is_zero(archive + at) && at > 0)
            continue;
        if (at != next && memcmp(header->magic, "ustar", 5) != 0)
            continue;
        uint64_t size;
        bool negative;
        if (dice_below(dice, 6) == 0)
            change_header(archive + at, bytes - at - TAR_BLOCK_BYTES, dice);
        if (!tar_number(header->size, 12, &size, &negative) || negative || size > bytes)
            size = 0;
        if (dice_below(dice, 30) > 0)
            repair_checksum(archive + at);
        next =
            at + TAR_BLOCK_BYTES + (size + TAR_BLOCK_BYTES - 1) / TAR_BLOCK_BYTES * TAR_BLOCK_BYTES;
    }
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    size_t whole = room - room % TAR_BLOCK_BYTES;
    if (whole == 0)
        return mutate_bytes(data, bytes, room);
    switch (dice_below(dice, 4)) {
    case 0:
        bytes = mutate_bytes(data, bytes, room);
        break;
    case 1:
        bytes = mutate_records(data, bytes, room, TAR_BLOCK_BYTES, dice);
        break;
    default: // a byte, most likely of a name or a record
        if (bytes > 0)
            data[dice_below(dice, bytes)] = (uint8_t)dice_next(dice);
        break;
    }
    size_t padded = (bytes + TAR_BLOCK_BYTES - 1) / TAR_BLOCK_BYTES * TAR_BLOCK_BYTES;
    padded = padded == 0 ? TAR_BLOCK_BYTES : padded > whole ? whole : padded;
    if (padded > bytes)
        memset(data + bytes, 0, padded - bytes);
    repair(data, padded, dice);
    return padded;
}
