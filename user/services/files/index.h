// SPDX-License-Identifier: MIT
//
// The tree of names in an archive: what the tar reader found, as directories that can be looked
// up and listed. Pure; its memory is given to it once and bounds it.
//
// A name that comes twice means its last entry, as when tar unpacks. Directories that the archive
// only implies ("a/b" without "a/") are made. A hard link is its target's content. Entries whose
// path climbs with "..", or leads through a file, are skipped and counted.
//
// Node 0 is the root. Invariants: every node but the root is in its parent's list and in one hash
// chain; a parent is a directory.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tar.h"

constexpr uint32_t INDEX_NONE = UINT32_MAX;
constexpr unsigned INDEX_MAX_LINKS = 16; // symbolic links followed in one lookup

enum index_status {
    INDEX_OK,
    INDEX_SKIPPED,       // the entry cannot be part of the tree
    INDEX_FULL,          // no room for another node or name
    INDEX_NOT_FOUND,     // no such name
    INDEX_NOT_DIRECTORY, // a name on the way is a file
    INDEX_LOOP,          // too many symbolic links
};

struct index_node {
    uint64_t size, data_offset, mtime_s;
    uint32_t parent, first_child, last_child, next_sibling, hash_next;
    uint32_t name; // in `text`, NUL-terminated
    uint32_t link; // of a TAR_SYMLINK, in `text`
    uint32_t mode;
    enum tar_type type;
    bool implied; // a directory that no entry of its own describes
};

struct index {
    struct index_node *nodes;
    uint32_t node_capacity, node_count;
    uint32_t *buckets; // heads of hash chains, a power of two of them
    uint32_t bucket_count;
    char *text;
    uint32_t text_capacity, text_used;
    uint32_t skipped;
};

// The bytes that an index of `nodes` nodes and `text` bytes of names needs.
size_t index_bytes(uint32_t nodes, uint32_t text);

// Sets up an empty tree in `memory`, which holds index_bytes(nodes, text), 8-byte aligned.
void index_start(struct index *index, void *memory, uint32_t nodes, uint32_t text);

enum index_status index_add(struct index *index, const struct tar_entry *entry);

// Finds a path; a leading and repeated '/' and "." mean nothing, ".." the parent. Symbolic links
// on the way are followed, the last name only if `follow`.
enum index_status index_find(const struct index *index, const char *path, size_t bytes, bool follow,
                             uint32_t *node);
