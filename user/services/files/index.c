// SPDX-License-Identifier: MIT
//
// See index.h.

#include "index.h"

#include <string.h>

static uint32_t buckets_for(uint32_t nodes)
{
    uint32_t buckets = 16;
    while (buckets < nodes && buckets < 1u << 30)
        buckets *= 2;
    return buckets;
}

size_t index_bytes(uint32_t nodes, uint32_t text)
{
    return nodes * sizeof(struct index_node) + buckets_for(nodes) * sizeof(uint32_t) + text;
}

void index_start(struct index *index, void *memory, uint32_t nodes, uint32_t text)
{
    char *bytes = memory;
    *index = (struct index){
        .node_capacity = nodes, .bucket_count = buckets_for(nodes), .text_capacity = text};
    index->nodes = memory;
    bytes += nodes * sizeof(struct index_node);
    index->buckets = (uint32_t *)(void *)bytes;
    index->text = bytes + index->bucket_count * sizeof(uint32_t);
    for (uint32_t i = 0; i < index->bucket_count; i++)
        index->buckets[i] = INDEX_NONE;
    index->nodes[0] = (struct index_node){.parent = 0,
                                          .first_child = INDEX_NONE,
                                          .last_child = INDEX_NONE,
                                          .next_sibling = INDEX_NONE,
                                          .hash_next = INDEX_NONE,
                                          .mode = 0755,
                                          .type = TAR_DIRECTORY,
                                          .implied = true};
    index->node_count = 1;
    index->text[0] = '\0'; // the root's name
    index->text_used = 1;
}

struct name {
    const char *at;
    size_t bytes;
};

// Takes the next component off a path; false at its end. "." is passed over.
static bool next_name(const char **path, const char *end, struct name *name)
{
    for (;;) {
        while (*path < end && **path == '/')
            ++*path;
        const char *start = *path;
        while (*path < end && **path != '/')
            ++*path;
        *name = (struct name){start, (size_t)(*path - start)};
        if (name->bytes == 0)
            return false;
        if (name->bytes != 1 || start[0] != '.')
            return true;
    }
}

static bool is_parent(struct name name)
{
    return name.bytes == 2 && name.at[0] == '.' && name.at[1] == '.';
}

static uint32_t *bucket_of(const struct index *index, uint32_t parent, struct name name)
{
    uint32_t hash = 2166136261u ^ parent; // FNV-1a
    for (size_t i = 0; i < name.bytes; i++)
        hash = (hash ^ (uint8_t)name.at[i]) * 16777619u;
    return &index->buckets[(hash ^ hash >> 16) & (index->bucket_count - 1)];
}

static uint32_t child_of(const struct index *index, uint32_t parent, struct name name)
{
    for (uint32_t i = *bucket_of(index, parent, name); i != INDEX_NONE;
         i = index->nodes[i].hash_next) {
        const struct index_node *node = &index->nodes[i];
        const char *text = index->text + node->name;
        if (node->parent == parent && strlen(text) == name.bytes &&
            memcmp(text, name.at, name.bytes) == 0)
            return i;
    }
    return INDEX_NONE;
}

static bool keep_text(struct index *index, const char *text, size_t bytes, uint32_t *at)
{
    if (bytes + 1 > index->text_capacity - index->text_used)
        return false;
    *at = index->text_used;
    memcpy(index->text + *at, text, bytes);
    index->text[*at + bytes] = '\0';
    index->text_used += (uint32_t)bytes + 1;
    return true;
}

// A new child, for now an implied directory. INDEX_NONE: no room.
static uint32_t make_child(struct index *index, uint32_t parent, struct name name)
{
    uint32_t text;
    if (index->node_count == index->node_capacity || !keep_text(index, name.at, name.bytes, &text))
        return INDEX_NONE;
    uint32_t made = index->node_count++;
    uint32_t *bucket = bucket_of(index, parent, name);
    index->nodes[made] = (struct index_node){.parent = parent,
                                             .first_child = INDEX_NONE,
                                             .last_child = INDEX_NONE,
                                             .next_sibling = INDEX_NONE,
                                             .hash_next = *bucket,
                                             .name = text,
                                             .mode = 0755,
                                             .type = TAR_DIRECTORY,
                                             .implied = true};
    *bucket = made;
    struct index_node *directory = &index->nodes[parent];
    if (directory->last_child == INDEX_NONE)
        directory->first_child = made;
    else
        index->nodes[directory->last_child].next_sibling = made;
    directory->last_child = made;
    return made;
}

// Whether the path can be in the tree: it has no "..", and leads through no file.
static bool path_allowed(const struct index *index, const char *path, const char *end)
{
    struct name name;
    uint32_t at = 0;
    while (next_name(&path, end, &name)) {
        if (is_parent(name))
            return false;
        if (at != INDEX_NONE && index->nodes[at].type != TAR_DIRECTORY)
            return false;
        if (at != INDEX_NONE)
            at = child_of(index, at, name);
    }
    return true;
}

static void describe(struct index_node *node, const struct tar_entry *entry, uint32_t link)
{
    node->size = entry->size;
    node->data_offset = entry->data_offset;
    node->mtime_s = entry->mtime_s;
    node->mode = entry->mode;
    node->type = entry->type;
    node->link = link;
    node->implied = false;
}

static enum index_status skip(struct index *index)
{
    index->skipped++;
    return INDEX_SKIPPED;
}

enum index_status index_add(struct index *index, const struct tar_entry *entry)
{
    const char *path = entry->path;
    const char *end = path + strlen(path);
    if (!path_allowed(index, path, end))
        return skip(index);
    struct tar_entry as = *entry;
    uint32_t target = INDEX_NONE;
    if (entry->type == TAR_HARD_LINK) {
        if (index_find(index, entry->link, strlen(entry->link), false, &target) != INDEX_OK ||
            index->nodes[target].type == TAR_DIRECTORY)
            return skip(index);
        const struct index_node *node = &index->nodes[target];
        as.size = node->size;
        as.data_offset = node->data_offset;
        as.type = node->type;
    }
    uint32_t link = target != INDEX_NONE ? index->nodes[target].link : 0;
    if (entry->type == TAR_SYMLINK && !keep_text(index, entry->link, strlen(entry->link), &link))
        return INDEX_FULL;

    uint32_t at = 0;
    for (struct name name; next_name(&path, end, &name);) {
        uint32_t child = child_of(index, at, name);
        if (child == INDEX_NONE)
            child = make_child(index, at, name);
        if (child == INDEX_NONE)
            return INDEX_FULL;
        at = child;
    }
    struct index_node *node = &index->nodes[at];
    if (as.type != TAR_DIRECTORY && (at == 0 || node->first_child != INDEX_NONE))
        return skip(index); // a file cannot replace a directory that is in use
    describe(node, &as, link);
    return INDEX_OK;
}

// Walks from `at`. A symbolic link on the way is walked in place; `links` is what may still be
// followed in this whole lookup, so neither a loop nor links that fan out cost more than that.
static enum index_status walk(const struct index *index, uint32_t at, const char *path,
                              const char *end, bool follow, unsigned *links, uint32_t *found)
{
    struct name name;
    while (next_name(&path, end, &name)) {
        const struct index_node *here = &index->nodes[at];
        if (here->type != TAR_DIRECTORY)
            return INDEX_NOT_DIRECTORY;
        if (is_parent(name)) {
            at = here->parent;
            continue;
        }
        uint32_t child = child_of(index, at, name);
        if (child == INDEX_NONE)
            return INDEX_NOT_FOUND;
        const char *rest = path;
        struct name more;
        bool last = !next_name(&rest, end, &more);
        if (index->nodes[child].type == TAR_SYMLINK && (!last || follow)) {
            if (*links == 0)
                return INDEX_LOOP;
            --*links;
            const char *text = index->text + index->nodes[child].link;
            uint32_t from = text[0] == '/' ? 0 : at;
            enum index_status status =
                walk(index, from, text, text + strlen(text), true, links, &child);
            if (status != INDEX_OK)
                return status;
        }
        at = child;
    }
    *found = at;
    return INDEX_OK;
}

enum index_status index_find(const struct index *index, const char *path, size_t bytes, bool follow,
                             uint32_t *node)
{
    unsigned links = INDEX_MAX_LINKS;
    return walk(index, 0, path, path + bytes, follow, &links, node);
}
