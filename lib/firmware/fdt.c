// SPDX-License-Identifier: MIT
//
// A flattened device tree: see <firmware/fdt.h>.
//
// libfdt knows the header, the reservations and the order of the bytes. The structure is walked here:
// libfdt takes it for sound, walks from the start for each question, and can stand still at a
// property whose length is -12.
#include <firmware/fdt.h>
#include <lib/string.h>
#include <lib/types.h>
#include <libfdt.h>

// Version 17 has a length of the structure, without which it may go on to the blob's end.
constexpr uint32_t VERSION_LEAST = 16, VERSION = 17;

const char *fdt_fault_text(enum fdt_fault fault)
{
    static const char *const texts[] = {
        [FDT_SOUND] = "is sound",
        [FDT_NO_TREE] = "does not begin like a device tree",
        [FDT_BAD_HEADER] = "has a header that makes no sense",
        [FDT_TOO_LONG] = "is longer than the file or the memory that holds it",
        [FDT_NOT_ALIGNED] = "has parts that are not aligned",
        [FDT_BREAKS_OFF] = "has a structure that breaks off",
        [FDT_TOO_MANY] = "has more nodes than there is room for",
        [FDT_NO_ROWS] = "is between buses without numbers of cells",
        [FDT_WRONG_LENGTH] = "has the wrong length",
        [FDT_NOT_COVERED] = "does not cover a child's registers",
        [FDT_WRAPS] = "goes beyond the end of the address space",
    };
    return texts[fault];
}

// ---- the blob

uint32_t fdt_total_bytes(const void *blob)
{
    return fdt_magic(blob) == FDT_MAGIC ? fdt_totalsize(blob) : 0;
}

static enum fdt_fault read_header(struct fdt *fdt, size_t bytes)
{
    const uint8_t *blob = fdt->blob;
    if ((uintptr_t)blob % 8 != 0)
        return FDT_NOT_ALIGNED;
    const uint32_t total = bytes >= FDT_HEADER_BYTES ? fdt_total_bytes(blob) : 0;
    if (total == 0)
        return FDT_NO_TREE;
    if (total > bytes)
        return FDT_TOO_LONG;
    if (fdt_check_header(blob) != 0 || fdt_version(blob) < VERSION_LEAST)
        return FDT_BAD_HEADER;
    if (fdt_off_dt_struct(blob) % 4 != 0 || fdt_off_mem_rsvmap(blob) % 8 != 0)
        return FDT_NOT_ALIGNED;
    fdt->structure = blob + fdt_off_dt_struct(blob);
    fdt->structure_bytes =
        fdt_version(blob) >= VERSION ? fdt_size_dt_struct(blob) : total - fdt_off_dt_struct(blob);
    fdt->strings = (const char *)blob + fdt_off_dt_strings(blob);
    fdt->strings_bytes = fdt_size_dt_strings(blob);
    while (fdt->strings_bytes > 0 && fdt->strings[fdt->strings_bytes - 1] != 0)
        fdt->strings_bytes--;
    return FDT_SOUND;
}

// Reads a word of the structure, if it is there. `at` is a multiple of 4.
static bool read_word(const struct fdt *fdt, uint64_t at, uint32_t *word)
{
    if (at > fdt->structure_bytes || fdt->structure_bytes - at < 4)
        return false;
    *word = fdt_cell((const void *)(fdt->structure + at), 0);
    return true;
}

// `fdt->end` is the token at which the walk stands.
static enum fdt_fault find_nodes(struct fdt *fdt, uint32_t room)
{
    uint32_t token, length, innermost = FDT_NONE, depth = 0;
    while (read_word(fdt, fdt->end, &token)) {
        uint64_t next = (uint64_t)fdt->end + 4;
        if (token == FDT_BEGIN_NODE) {
            const uint8_t *start = fdt->structure + next;
            const uint8_t *name_end = memchr(start, 0, fdt->structure_bytes - next);
            if (name_end == nullptr)
                return FDT_BREAKS_OFF;
            if (depth < FDT_DEPTH_MAX && fdt->count == room)
                return FDT_TOO_MANY;
            if (depth < FDT_DEPTH_MAX) {
                fdt->nodes[fdt->count] = (struct fdt_place){fdt->end, innermost};
                innermost = fdt->count++;
            } else if (fdt->too_deep == FDT_NONE) {
                fdt->too_deep = innermost;
            }
            depth++;
            next += (uint64_t)(name_end + 1 - start);
        } else if (token == FDT_END_NODE && depth > 0) {
            if (--depth == 0)
                return FDT_SOUND; // what stands behind the root is no part of the tree
            if (depth < FDT_DEPTH_MAX)
                innermost = fdt->nodes[innermost].parent;
        } else if (token == FDT_PROP && depth > 0) {
            if (!read_word(fdt, next, &length))
                return FDT_BREAKS_OFF;
            next += 8 + (uint64_t)length;
        } else if (token != FDT_NOP) {
            return FDT_BREAKS_OFF;
        }
        if (next > fdt->structure_bytes)
            return FDT_BREAKS_OFF;
        fdt->end = (uint32_t)align_up(next, 4);
    }
    return FDT_BREAKS_OFF;
}

enum fdt_fault fdt_read(struct fdt *fdt, const void *blob, size_t bytes, struct fdt_place *nodes,
                        uint32_t room)
{
    *fdt = (struct fdt){.blob = blob, .nodes = nodes, .too_deep = FDT_NONE};
    fdt->fault = read_header(fdt, bytes);
    if (fdt->fault == FDT_SOUND)
        fdt->fault = find_nodes(fdt, room);
    return fdt->fault;
}

bool fdt_reservation(const struct fdt *fdt, uint32_t index, uint64_t *start, uint64_t *bytes)
{
    return fdt_get_mem_rsv(fdt->blob, (int)index, start, bytes) == 0 &&
           (*start != 0 || *bytes != 0);
}

// ---- nodes

bool fdt_next_child(const struct fdt *fdt, uint32_t node, uint32_t *child)
{
    // Whatever is below the node stands directly behind it.
    while (++*child < fdt->count && fdt_parent(fdt, *child) >= node)
        if (fdt_parent(fdt, *child) == node)
            return true;
    return false;
}

// Whether a node is called `component`, with its unit address or, as the specification allows in
// a path, without.
static bool is_called(const char *name, const char *component, size_t length)
{
    return strncmp(name, component, length) == 0 &&
           (name[length] == 0 ||
            (name[length] == '@' && memchr(component, '@', length) == nullptr));
}

static uint32_t find_path(const struct fdt *fdt, const char *path, size_t length)
{
    uint32_t node = FDT_ROOT;
    for (size_t at = 1; at < length && node != FDT_NONE;) {
        const char *slash = memchr(path + at, '/', length - at);
        const size_t part = slash != nullptr ? (size_t)(slash - (path + at)) : length - at;
        uint32_t child = node;
        bool found = false;
        while (!found && fdt_next_child(fdt, node, &child))
            found = is_called(fdt_name(fdt, child), path + at, part);
        node = found ? child : FDT_NONE;
        at += part + 1;
    }
    return node;
}

uint32_t fdt_find(const struct fdt *fdt, const char *path, size_t length)
{
    char alias[32]; // the specification allows 31 characters
    if (length == 0 || fdt->count == 0)
        return FDT_NONE;
    if (path[0] == '/')
        return find_path(fdt, path, length);
    const uint32_t aliases = find_path(fdt, "/aliases", strlen("/aliases"));
    if (aliases == FDT_NONE || length >= sizeof(alias))
        return FDT_NONE;
    memcpy(alias, path, length);
    alias[length] = 0;
    path = fdt_as_text(fdt_get(fdt, aliases, alias));
    return path != nullptr && path[0] == '/' ? find_path(fdt, path, strlen(path)) : FDT_NONE;
}

// ---- properties

bool fdt_next_property(const struct fdt *fdt, uint32_t node, uint32_t *at, const char **name,
                       struct fdt_value *value)
{
    uint32_t token, length, string;
    uint64_t next = *at;
    if (next == 0)
        next = fdt->nodes[node].offset + align_up(4 + strlen(fdt_name(fdt, node)) + 1, 4);
    while (read_word(fdt, next, &token) && token == FDT_NOP)
        next += 4;
    // Properties come before children. Past a break in the structure nothing is sure.
    if (!read_word(fdt, next, &token) || token != FDT_PROP || !read_word(fdt, next + 4, &length) ||
        !read_word(fdt, next + 8, &string) || length > fdt->structure_bytes - (next + 12))
        return false;
    *name = string < fdt->strings_bytes ? fdt->strings + string : "";
    *value = (struct fdt_value){fdt->structure + next + 12, length};
    *at = (uint32_t)(next + 12 + align_up(length, 4));
    return true;
}

struct fdt_value fdt_get(const struct fdt *fdt, uint32_t node, const char *name)
{
    struct fdt_value value;
    const char *found;
    for (uint32_t at = 0; fdt_next_property(fdt, node, &at, &found, &value);)
        if (strcmp(found, name) == 0)
            return value;
    return (struct fdt_value){};
}

const char *fdt_as_text(struct fdt_value value)
{
    return value.at != nullptr && memchr(value.at, 0, value.bytes) != nullptr ? value.at : nullptr;
}

const char *fdt_next_text(struct fdt_value *list)
{
    const char *text = list->at;
    const char *end = text != nullptr ? memchr(text, 0, list->bytes) : nullptr;
    if (end == nullptr)
        return nullptr;
    list->bytes -= (uint32_t)(end + 1 - text);
    list->at = end + 1;
    return text;
}

uint32_t fdt_text_index(struct fdt_value list, const char *text)
{
    const char *found;
    for (uint32_t index = 0; (found = fdt_next_text(&list)) != nullptr; index++)
        if (strcmp(found, text) == 0)
            return index;
    return FDT_NONE;
}

// ---- addresses

struct fdt_address fdt_address(const uint32_t *cells, uint32_t index, uint32_t count)
{
    if (count == 3)
        return (struct fdt_address){fdt_cell(cells, index), fdt_number(cells, index + 1, 2)};
    return (struct fdt_address){0, fdt_number(cells, index, count)};
}

uint32_t fdt_row_cells(const struct fdt_row *row)
{
    const bool sound = row->child >= 1 && row->child <= 3 && row->parent >= 1 && row->parent <= 3 &&
                       row->size >= 1 && row->size <= 2;
    return sound ? row->child + row->parent + row->size : 0;
}

enum fdt_fault fdt_translate(struct fdt_cells ranges, const struct fdt_row *row,
                             struct fdt_address *address, uint64_t bytes)
{
    const uint32_t step = fdt_row_cells(row);
    if (step == 0)
        return FDT_NO_ROWS;
    if (!ranges.whole || ranges.count % step != 0)
        return FDT_WRONG_LENGTH;
    for (uint32_t at = 0; at < ranges.count; at += step) {
        const struct fdt_address child = fdt_address(ranges.cells, at, row->child);
        const uint64_t size = fdt_number(ranges.cells, at + row->child + row->parent, row->size);
        const uint64_t offset = address->low - child.low;
        if (((child.high ^ address->high) & row->high_mask) != 0 || address->low < child.low ||
            offset > size || bytes > size - offset)
            continue;
        *address = fdt_address(ranges.cells, at + row->child, row->parent);
        return __builtin_add_overflow(address->low, offset, &address->low) ? FDT_WRAPS : FDT_SOUND;
    }
    return FDT_NOT_COVERED;
}
