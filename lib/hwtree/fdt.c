// SPDX-License-Identifier: MIT
//
// The device tree front end: the blob as a whole, its nodes, and what they say. See fdt_reader.h.
//
// libfdt finds tags and properties. It adds the length of a property to its place without a look at
// the overflow, so that a length of -12 leads back to the property itself and every walk that comes
// there stands still: the structure is walked once before anything else is done with it.
#include <lib/format.h>
#include <lib/string.h>

#include "fdt_reader.h"

constexpr size_t HEADER_BYTES = sizeof(struct fdt_header);

// ---- properties

// Most nodes do not have most of what is asked for: names are hashed to bits, so that a property
// that is not there is seldom looked for.
static uint64_t name_bit(const char *name)
{
    size_t length = strlen(name);
    unsigned last = length > 0 ? (unsigned char)name[length - 1] : 0;
    return 1ull << (((unsigned)length * 7 + (unsigned char)name[0] + last * 3) & 63);
}

const void *reader_property(struct fdt_reader *reader, uint32_t node, const char *name,
                            uint32_t *bytes)
{
    int length = 0;
    const void *value = nullptr;
    if ((reader->nodes[node].names & name_bit(name)) != 0 &&
        hwtree_work(reader->builder, reader->nodes[node].properties + 1u))
        value = fdt_getprop(reader->fdt, reader->nodes[node].offset, name, &length);
    *bytes = value != nullptr && length > 0 ? (uint32_t)length : 0;
    // A property without a value may stand at the end of the blob.
    return value;
}

struct reader_cells reader_cells(struct fdt_reader *reader, uint32_t node, const char *name)
{
    uint32_t bytes;
    const void *value = reader_property(reader, node, name, &bytes);
    return (struct reader_cells){.cells = value, .count = bytes / 4, .whole = bytes % 4 == 0};
}

uint64_t reader_number(const struct reader_cells *property, uint32_t index, uint32_t count)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < count; i++)
        value = value << 32 | reader_cell(property, index + i);
    return value;
}

bool reader_u32(struct fdt_reader *reader, uint32_t node, const char *name, uint32_t *value)
{
    struct reader_cells cells = reader_cells(reader, node, name);
    if (cells.cells == nullptr)
        return false;
    if (cells.count != 1 || !cells.whole) {
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, name, 0);
        return false;
    }
    *value = reader_cell(&cells, 0);
    return true;
}

const char *reader_text(struct fdt_reader *reader, uint32_t node, const char *name)
{
    uint32_t bytes;
    const char *text = reader_property(reader, node, name, &bytes);
    if (text == nullptr)
        return nullptr;
    if (memchr(text, 0, bytes) != nullptr)
        return text;
    hwtree_problem(reader->builder, node, HWTREE_MALFORMED, name, 0);
    return nullptr;
}

uint32_t reader_next_text(struct fdt_reader *reader, const char **text, uint32_t *bytes)
{
    const char *end = *text != nullptr ? memchr(*text, 0, *bytes) : nullptr;
    if (end == nullptr)
        return 0;
    uint32_t length = (uint32_t)(end - *text);
    uint32_t added = hwtree_add_text(reader->builder, *text, length);
    *text += length + 1;
    *bytes -= length + 1;
    return added;
}

// ---- phandles: `by_phandle` of the first nodes is a list of nodes, sorted by a heap

static uint32_t phandle_at(const struct fdt_reader *reader, uint32_t place)
{
    return hwtree_node(reader->tree, reader->nodes[place].by_phandle)->phandle;
}

static void sift(struct fdt_reader *reader, uint32_t place, uint32_t count)
{
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= count)
            return;
        if (child + 1 < count && phandle_at(reader, child + 1) > phandle_at(reader, child))
            child++;
        if (phandle_at(reader, place) >= phandle_at(reader, child))
            return;
        uint32_t node = reader->nodes[place].by_phandle;
        reader->nodes[place].by_phandle = reader->nodes[child].by_phandle;
        reader->nodes[child].by_phandle = node;
        place = child;
    }
}

static void sort_phandles(struct fdt_reader *reader)
{
    for (uint32_t i = 0; i < reader->count; i++)
        if (hwtree_node(reader->tree, i)->phandle != 0)
            reader->nodes[reader->phandles++].by_phandle = i;
    for (uint32_t i = reader->phandles / 2; i-- > 0;)
        sift(reader, i, reader->phandles);
    for (uint32_t end = reader->phandles; end-- > 1;) {
        uint32_t node = reader->nodes[0].by_phandle;
        reader->nodes[0].by_phandle = reader->nodes[end].by_phandle;
        reader->nodes[end].by_phandle = node;
        sift(reader, 0, end);
    }
    for (uint32_t i = 1; i < reader->phandles; i++)
        if (phandle_at(reader, i) == phandle_at(reader, i - 1))
            hwtree_problem(reader->builder, reader->nodes[i].by_phandle, HWTREE_DUPLICATE,
                           "phandle", phandle_at(reader, i));
}

uint32_t reader_by_phandle(const struct fdt_reader *reader, uint32_t phandle)
{
    uint32_t first = 0, end = reader->phandles;
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if (phandle_at(reader, middle) < phandle)
            first = middle + 1;
        else
            end = middle;
    }
    return first < reader->phandles && phandle != 0 && phandle_at(reader, first) == phandle
               ? reader->nodes[first].by_phandle
               : HWTREE_NONE;
}

// ---- what all nodes have

// A number of cells; what is none becomes FDT_NO_CELLS.
static uint8_t read_cells(struct fdt_reader *reader, uint32_t node, const char *name,
                          uint8_t otherwise)
{
    struct reader_cells cells = reader_cells(reader, node, name);
    if (cells.cells == nullptr)
        return otherwise;
    if (cells.count == 1 && cells.whole && reader_cell(&cells, 0) <= 16)
        return (uint8_t)reader_cell(&cells, 0);
    hwtree_problem(reader->builder, node, HWTREE_NO_CELLS, name, 0);
    return FDT_NO_CELLS;
}

static enum hwtree_status read_status(struct fdt_reader *reader, uint32_t node)
{
    const char *status = reader_text(reader, node, "status");
    if (status == nullptr || strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0)
        return HWTREE_OKAY;
    if (strcmp(status, "reserved") == 0)
        return HWTREE_FIRMWARE_USE;
    if (strncmp(status, "fail", 4) == 0)
        return HWTREE_FAILED;
    if (strcmp(status, "disabled") != 0)
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, "status", 0);
    return HWTREE_DISABLED;
}

static void read_common(struct fdt_reader *reader, uint32_t number)
{
    struct hwtree_fdt_node *found = &reader->nodes[number];
    struct hwtree_node *node = hwtree_edit(reader->builder, number);
    uint32_t bytes;
    const char *text = reader_property(reader, number, "compatible", &bytes);
    while (text != nullptr && bytes > 0) {
        size_t length = strnlen(text, bytes);
        if (length == bytes) {
            hwtree_problem(reader->builder, number, HWTREE_MALFORMED, "compatible", 0);
            break;
        }
        hwtree_add_compatible(reader->builder, number, text, length);
        text += length + 1;
        bytes -= (uint32_t)length + 1;
    }
    uint32_t handle = 0;
    if (!reader_u32(reader, number, "phandle", &handle))
        (void)reader_u32(reader, number, "linux,phandle", &handle);
    node->phandle = handle != UINT32_MAX ? handle : 0;
    node->status = read_status(reader, number);
    bool above = number == 0 || hwtree_available(reader->tree, node->parent);
    node->flags = above && node->status == HWTREE_OKAY ? HWTREE_AVAILABLE : 0;
    if (number > 0)
        node->flags |= hwtree_node(reader->tree, node->parent)->flags & HWTREE_COHERENT;
    if (reader_property(reader, number, "dma-coherent", &bytes) != nullptr)
        node->flags |= HWTREE_COHERENT;
    else if (reader_property(reader, number, "dma-noncoherent", &bytes) != nullptr)
        node->flags &= (uint8_t)~HWTREE_COHERENT;
    // Devicetree Specification 0.4, 2.3.5: two and one if nothing is said; not inherited.
    found->address_cells = read_cells(reader, number, "#address-cells", 2);
    found->size_cells = read_cells(reader, number, "#size-cells", 1);
    found->interrupt_cells = read_cells(reader, number, "#interrupt-cells", FDT_NO_CELLS);
    if (reader_property(reader, number, "#address-cells", &bytes) != nullptr)
        found->flags |= FDT_OWN_CELLS;
    if (reader_property(reader, number, "interrupt-controller", &bytes) != nullptr)
        found->flags |= FDT_CONTROLLER;
    const char *type = reader_text(reader, number, "device_type");
    if (type != nullptr && (strcmp(type, "pci") == 0 || strcmp(type, "pciex") == 0))
        found->flags |= FDT_PCI;
    reader_classify(reader, number);
}

// ---- the walk

// Whether the structure can be walked to its end, and every tag is behind the one before it.
static bool leads_on(const void *fdt)
{
    for (int at = 0, next;; at = next) {
        uint32_t tag = fdt_next_tag(fdt, at, &next);
        if (tag == FDT_END)
            return next >= 0;
        if (next <= at)
            return false;
    }
}

static void add_nodes(struct fdt_reader *reader, uint32_t room)
{
    uint32_t path[HWTREE_DEPTH_MAX];
    unsigned depth = 0, skipped = 0; // levels that are in the tree, and below them
    int next;
    for (int at = 0; at >= 0; at = next) {
        uint32_t tag = fdt_next_tag(reader->fdt, at, &next);
        if (tag == FDT_END)
            break;
        if (tag == FDT_END_NODE && skipped > 0) {
            skipped--;
        } else if (tag == FDT_END_NODE) {
            if (depth == 0 || --depth == 0)
                break; // what stands behind the root is no part of the tree
        } else if (tag == FDT_PROP && skipped == 0 && depth > 0) {
            const char *name;
            struct hwtree_fdt_node *node = &reader->nodes[path[depth - 1]];
            node->properties++;
            if (fdt_getprop_by_offset(reader->fdt, at, &name, nullptr) != nullptr)
                node->names |= name_bit(name);
        } else if (tag == FDT_BEGIN_NODE && skipped > 0) {
            skipped++;
        } else if (tag == FDT_BEGIN_NODE) {
            int length = 0;
            const char *name = fdt_get_name(reader->fdt, at, &length);
            uint32_t node = HWTREE_NONE;
            if (depth == HWTREE_DEPTH_MAX - 1)
                hwtree_problem(reader->builder, path[depth - 1], HWTREE_TOO_DEEP, "name", 0);
            else if (reader->count == room)
                hwtree_problem(reader->builder, 0, HWTREE_NO_ROOM, "name", room);
            else
                node = hwtree_add_node(reader->builder, depth > 0 ? path[depth - 1] : HWTREE_NONE,
                                       name != nullptr ? name : "", (size_t)length);
            if (node == HWTREE_NONE) {
                skipped = 1;
                continue;
            }
            reader->nodes[reader->count++] = (struct hwtree_fdt_node){
                .offset = at, .interrupt_parent = HWTREE_NONE, .interrupt_cells = FDT_NO_CELLS};
            path[depth++] = node;
        }
    }
}

// Reservations of the blob itself (Devicetree Specification 0.4, 5.3), which have no nodes.
static void add_reservations(struct fdt_reader *reader)
{
    int count = fdt_num_mem_rsv(reader->fdt);
    for (int i = 0; i < count; i++) {
        uint64_t address, bytes;
        if (fdt_get_mem_rsv(reader->fdt, i, &address, &bytes) != 0 || bytes == 0)
            continue;
        uint32_t node =
            hwtree_add_named(reader->builder, 0, "memreserve@%llx", (unsigned long long)address);
        if (node == HWTREE_NONE)
            return;
        hwtree_edit(reader->builder, node)->kind = HWTREE_RESERVED;
        hwtree_add_range(reader->builder, node,
                         &(struct hwtree_range){.base = address, .bytes = bytes}, "memreserve");
    }
}

static const char *what_is_wrong(const void *fdt, size_t bytes)
{
    if (bytes < HEADER_BYTES || fdt_magic(fdt) != FDT_MAGIC)
        return "it does not begin like a device tree";
    if (fdt_check_header(fdt) != 0)
        return "its header makes no sense";
    if (fdt_totalsize(fdt) > bytes)
        return "it is longer than the file or the memory that holds it";
    // libfdt reads whole cells, and takes their alignment for granted (specification, 5.6).
    if ((uintptr_t)fdt % 8 != 0 || fdt_off_dt_struct(fdt) % 4 != 0 ||
        fdt_off_mem_rsvmap(fdt) % 8 != 0)
        return "its parts are not aligned";
    if (!leads_on(fdt))
        return "its structure breaks off";
    return nullptr;
}

bool hwtree_read_fdt(struct hwtree_builder *builder, const void *fdt, size_t bytes,
                     struct hwtree_fdt_node *memory, uint32_t nodes, const char **why)
{
    struct fdt_reader reader = {
        .builder = builder, .tree = builder->tree, .fdt = fdt, .nodes = memory};
    *why = what_is_wrong(fdt, bytes);
    if (*why != nullptr)
        return false;
    add_nodes(&reader, nodes);
    if (reader.count == 0) {
        *why = "it has no root";
        return false;
    }
    for (uint32_t i = 0; i < reader.count; i++)
        read_common(&reader, i);
    hwtree_link(builder);
    sort_phandles(&reader);
    reader_find_interrupt_parents(&reader);
    for (uint32_t i = 0; i < reader.count; i++) {
        if (builder->work == 0) {
            hwtree_problem(builder, i, HWTREE_TOO_LONG, "reg", 0);
            break;
        }
        reader_read_kind(&reader, i);
        reader_read_registers(&reader, i);
        reader_read_dma(&reader, i);
        reader_read_interrupts(&reader, i);
        reader_read_ids(&reader, i);
    }
    reader_read_whole(&reader);
    add_reservations(&reader);
    hwtree_cross_check(builder);
    return true;
}
