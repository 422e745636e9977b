// SPDX-License-Identifier: MIT
//
// See <hwtree/builder.h>. While a tree is made, each section has its place in the memory already
// and room behind its elements; a node's list is at the end of its section while it grows, and is
// copied there if something else stands behind it.
#include <hwtree/builder.h>

#include <lib/format.h>
#include <lib/string.h>
#include <lib/types.h>

#include "sections.h"

constexpr size_t BYTES_MAX = 1u << 31;
constexpr uint64_t WORK_MAX = 20'000'000; // a large board takes a hundredth of it
constexpr unsigned SHARES = 256;

// What part of the memory each section gets, in SHARES: measured on the device trees of boards.
static const uint8_t shares[HWTREE_SECTIONS] = {
    [HWTREE_NODES] = 124,   [HWTREE_RANGES] = 20,  [HWTREE_INTERRUPTS] = 20, [HWTREE_DMA] = 4,
    [HWTREE_IDS] = 8,       [HWTREE_WINDOWS] = 4,  [HWTREE_ROUTES] = 12,     [HWTREE_ALIASES] = 4,
    [HWTREE_DISTANCES] = 4, [HWTREE_PROBLEMS] = 8, [HWTREE_TEXT] = 48,
};

bool hwtree_begin(struct hwtree_builder *builder, void *memory, size_t bytes,
                  enum hwtree_origin origin)
{
    struct hwtree *tree = memory;
    if (bytes < HWTREE_BYTES_MIN || bytes > BYTES_MAX)
        return false;
    *builder = (struct hwtree_builder){.tree = tree, .work = WORK_MAX};
    *tree = (struct hwtree){
        .magic = HWTREE_MAGIC,
        .version = HWTREE_VERSION,
        .header_bytes = sizeof(*tree),
        .bytes = (uint32_t)align_down(bytes, 8),
        .origin = origin,
        .console = HWTREE_NONE,
        .controller = HWTREE_NONE,
    };
    size_t at = sizeof(*tree), share = (bytes - sizeof(*tree)) / SHARES;
    for (unsigned s = 0; s < HWTREE_SECTIONS; s++) {
        size_t room = align_down(share * shares[s], 8);
        tree->sections[s].first = (uint32_t)at;
        builder->capacity[s] = (uint32_t)(room / hwtree_element_bytes[s]);
        at += room;
    }
    ((char *)tree)[tree->sections[HWTREE_TEXT].first] = 0;
    tree->sections[HWTREE_TEXT].count = 1;
    return true;
}

static void *section(const struct hwtree_builder *builder, enum hwtree_section s)
{
    return (char *)builder->tree + builder->tree->sections[s].first;
}

static void count_problem(struct hwtree_builder *builder, enum hwtree_cause cause)
{
    if (builder->tree->problems[cause] < UINT32_MAX)
        builder->tree->problems[cause]++;
}

// Room for `count` more elements at the end of a section; null: there is none.
static void *extend(struct hwtree_builder *builder, enum hwtree_section s, uint32_t count)
{
    struct hwtree_span *span = &builder->tree->sections[s];
    if (count > builder->capacity[s] - span->count) {
        count_problem(builder, HWTREE_NO_ROOM);
        return nullptr;
    }
    void *at = (char *)section(builder, s) + (size_t)span->count * hwtree_element_bytes[s];
    span->count += count;
    return at;
}

// One more element of a list within a section.
static void append(struct hwtree_builder *builder, enum hwtree_section s, struct hwtree_span *list,
                   const void *element)
{
    size_t bytes = hwtree_element_bytes[s];
    uint32_t end = builder->tree->sections[s].count;
    if (list->count > 0 && list->first + list->count != end) {
        char *moved = extend(builder, s, list->count);
        if (moved == nullptr)
            return;
        memcpy(moved, (char *)section(builder, s) + list->first * bytes, list->count * bytes);
        list->first = end;
    } else if (list->count == 0) {
        list->first = end;
    }
    void *at = extend(builder, s, 1);
    if (at == nullptr)
        return;
    memcpy(at, element, bytes);
    list->count++;
}

struct hwtree_node *hwtree_edit(struct hwtree_builder *builder, uint32_t node)
{
    return (struct hwtree_node *)section(builder, HWTREE_NODES) + node;
}

// ---- texts

uint32_t hwtree_add_text(struct hwtree_builder *builder, const char *text, size_t length)
{
    length = strnlen(text, length);
    if (length == 0)
        return 0;
    uint32_t at = hwtree_count(builder->tree, HWTREE_TEXT);
    char *to = length < builder->capacity[HWTREE_TEXT]
                   ? extend(builder, HWTREE_TEXT, (uint32_t)length + 1)
                   : nullptr;
    if (to == nullptr)
        return 0;
    memcpy(to, text, length);
    to[length] = 0;
    return at;
}

void hwtree_add_compatible(struct hwtree_builder *builder, uint32_t node, const char *text,
                           size_t length)
{
    struct hwtree_span *list = &hwtree_edit(builder, node)->compatible;
    length = strnlen(text, length);
    if (length == 0)
        return;
    // The names stand one behind the other: behind something else, they move to the end.
    uint32_t end = list->first, used = hwtree_count(builder->tree, HWTREE_TEXT);
    for (uint32_t i = 0; i < list->count; i++)
        end += (uint32_t)strlen(hwtree_text(builder->tree, end)) + 1;
    uint32_t moved = list->count > 0 && end != used ? end - list->first : 0;
    char *to = length < builder->capacity[HWTREE_TEXT]
                   ? extend(builder, HWTREE_TEXT, moved + (uint32_t)length + 1)
                   : nullptr;
    if (to == nullptr)
        return;
    memcpy(to, hwtree_text(builder->tree, list->first), moved);
    memcpy(to + moved, text, length);
    to[moved + length] = 0;
    if (list->count++ == 0 || moved > 0)
        list->first = used;
}

uint32_t hwtree_add_node(struct hwtree_builder *builder, uint32_t parent, const char *name,
                         size_t length)
{
    uint32_t number = hwtree_count(builder->tree, HWTREE_NODES);
    struct hwtree_node *node = extend(builder, HWTREE_NODES, 1);
    if (node == nullptr)
        return HWTREE_NONE;
    *node = (struct hwtree_node){
        .parent = number > 0 ? parent : HWTREE_NONE,
        .first_child = HWTREE_NONE,
        .next = HWTREE_NONE,
        .interrupt_parent = HWTREE_NONE,
        .numa = HWTREE_NONE,
        .flags = HWTREE_AVAILABLE,
    };
    if (number == 0)
        return number;
    node->flags = hwtree_node(builder->tree, parent)->flags & HWTREE_AVAILABLE;
    node->name = hwtree_add_text(builder, name, length);
    bool sound = node->name != 0;
    for (char *c = (char *)section(builder, HWTREE_TEXT) + node->name; *c != 0; c++) {
        if (hwtree_is_name_character(*c))
            continue;
        *c = '_';
        sound = false;
    }
    if (!sound)
        hwtree_problem(builder, number, HWTREE_MALFORMED, "name", 0);
    return number;
}

uint32_t hwtree_add_named(struct hwtree_builder *builder, uint32_t parent, const char *format, ...)
{
    char name[64];
    va_list arguments;
    va_start(arguments, format);
    format_text_v(name, sizeof(name), format, arguments);
    va_end(arguments);
    return hwtree_add_node(builder, parent, name, sizeof(name));
}

// ---- lists

static bool wraps(uint64_t base, uint64_t bytes)
{
    return bytes > 0 && base > UINT64_MAX - (bytes - 1);
}

void hwtree_add_range(struct hwtree_builder *builder, uint32_t node,
                      const struct hwtree_range *range, const char *property)
{
    struct hwtree_span *list = &hwtree_edit(builder, node)->ranges;
    if (wraps(range->base, range->bytes))
        hwtree_problem(builder, node, HWTREE_WRAPS, property, list->count);
    else
        append(builder, HWTREE_RANGES, list, range);
}

void hwtree_add_interrupt(struct hwtree_builder *builder, uint32_t node,
                          const struct hwtree_interrupt *interrupt)
{
    append(builder, HWTREE_INTERRUPTS, &hwtree_edit(builder, node)->interrupts, interrupt);
}

void hwtree_add_dma(struct hwtree_builder *builder, uint32_t node, const struct hwtree_dma *dma)
{
    if (wraps(dma->device, dma->bytes) || wraps(dma->cpu, dma->bytes))
        hwtree_problem(builder, node, HWTREE_WRAPS, "dma-ranges", 0);
    else
        append(builder, HWTREE_DMA, &hwtree_edit(builder, node)->dma, dma);
}

bool hwtree_add_all_dma(struct hwtree_builder *builder, const struct hwtree *from)
{
    const uint32_t count = hwtree_count(from, HWTREE_DMA);
    struct hwtree_dma *to = extend(builder, HWTREE_DMA, count);
    if (to == nullptr || hwtree_count(builder->tree, HWTREE_DMA) != count)
        return false;
    memcpy(to, hwtree_at(from, HWTREE_DMA), count * sizeof(*to));
    return true;
}

void hwtree_add_id(struct hwtree_builder *builder, uint32_t node, const struct hwtree_id *id)
{
    if (id->count == 0 || id->count - 1 > UINT32_MAX - id->input ||
        id->count - 1 > UINT32_MAX - id->output)
        hwtree_problem(builder, node, HWTREE_MALFORMED,
                       id->kind == HWTREE_ID_MSI ? "msi-map" : "iommu-map", id->input);
    else
        append(builder, HWTREE_IDS, &hwtree_edit(builder, node)->ids, id);
}

void hwtree_add_window(struct hwtree_builder *builder, uint32_t host,
                       const struct hwtree_window *window)
{
    if (wraps(window->bus, window->bytes) || wraps(window->cpu, window->bytes))
        hwtree_problem(builder, host, HWTREE_WRAPS, "ranges", 0);
    else
        append(builder, HWTREE_WINDOWS, &hwtree_edit(builder, host)->pci_host.windows, window);
}

void hwtree_add_route(struct hwtree_builder *builder, uint32_t host,
                      const struct hwtree_route *route)
{
    append(builder, HWTREE_ROUTES, &hwtree_edit(builder, host)->pci_host.routes, route);
}

void hwtree_add_alias(struct hwtree_builder *builder, const char *name, uint32_t node)
{
    struct hwtree_alias alias = {hwtree_add_text(builder, name, strlen(name)), node};
    struct hwtree_alias *at = extend(builder, HWTREE_ALIASES, 1);
    if (at != nullptr)
        *at = alias;
}

void hwtree_add_distance(struct hwtree_builder *builder, uint32_t from, uint32_t to,
                         uint32_t distance)
{
    struct hwtree_distance *at = extend(builder, HWTREE_DISTANCES, 1);
    if (at != nullptr)
        *at = (struct hwtree_distance){from, to, distance};
}

void hwtree_problem(struct hwtree_builder *builder, uint32_t node, enum hwtree_cause cause,
                    const char *property, uint32_t value)
{
    struct hwtree *tree = builder->tree;
    count_problem(builder, cause);
    // Those that find no room are counted above, and that is all that is known of them.
    if (hwtree_count(tree, HWTREE_PROBLEMS) == builder->capacity[HWTREE_PROBLEMS] ||
        strlen(property) + 1 > builder->capacity[HWTREE_TEXT] - hwtree_count(tree, HWTREE_TEXT))
        return;
    uint32_t text = 0;
    const struct hwtree_problem *all = section(builder, HWTREE_PROBLEMS);
    for (uint32_t i = hwtree_count(tree, HWTREE_PROBLEMS), seen = 0; i-- > 0 && seen < 8; seen++)
        if (strcmp(hwtree_text(tree, all[i].property), property) == 0)
            text = all[i].property;
    if (text == 0)
        text = hwtree_add_text(builder, property, strlen(property));
    struct hwtree_problem *at = extend(builder, HWTREE_PROBLEMS, 1);
    if (at != nullptr)
        *at = (struct hwtree_problem){cause, node != HWTREE_NONE ? node : 0, text, value};
}

bool hwtree_work(struct hwtree_builder *builder, uint64_t steps)
{
    if (builder->work < steps) {
        builder->work = 0;
        return false;
    }
    builder->work -= steps;
    return true;
}

// ---- what two nodes say together

static bool overlap(const struct hwtree_range *a, const struct hwtree_range *b)
{
    return a->bytes > 0 && b->bytes > 0 && a->base <= b->base + (b->bytes - 1) &&
           b->base <= a->base + (a->bytes - 1);
}

static void check_memory(struct hwtree_builder *builder, uint32_t node, uint32_t other)
{
    const struct hwtree *tree = builder->tree;
    for (uint32_t i = 0; i < hwtree_node(tree, node)->ranges.count; i++) {
        uint32_t end = other == node ? i : hwtree_node(tree, other)->ranges.count;
        for (uint32_t k = 0; k < end; k++) {
            if (!hwtree_work(builder, 1))
                return;
            if (overlap(hwtree_range(tree, node, i), hwtree_range(tree, other, k)))
                hwtree_problem(builder, node, HWTREE_OVERLAP, "reg", i);
        }
    }
}

void hwtree_cross_check(struct hwtree_builder *builder)
{
    const struct hwtree *tree = builder->tree;
    uint32_t count = hwtree_count(tree, HWTREE_NODES), cpus = 0;
    for (uint32_t i = 0; i < count; i++)
        cpus += hwtree_node(tree, i)->kind == HWTREE_CPU && hwtree_available(tree, i);
    if (cpus == 0)
        hwtree_problem(builder, 0, HWTREE_MISSING, "cpus", 0);
    for (uint32_t i = 0; i < count; i++) {
        const struct hwtree_node *node = hwtree_node(tree, i);
        bool cpu = node->kind == HWTREE_CPU, memory = node->kind == HWTREE_MEMORY;
        if (!(node->flags & HWTREE_AVAILABLE) || !(cpu || memory))
            continue;
        for (uint32_t k = 0; k <= i; k++) {
            const struct hwtree_node *other = hwtree_node(tree, k);
            if (!hwtree_work(builder, 1)) {
                hwtree_problem(builder, i, HWTREE_TOO_LONG, "reg", 0);
                return;
            }
            if (other->kind != node->kind || !(other->flags & HWTREE_AVAILABLE))
                continue;
            // What can be plugged in is a place for memory, and may hold some.
            if (memory && ((node->memory.flags | other->memory.flags) & HWTREE_MEMORY_HOTPLUG))
                continue;
            if (memory)
                check_memory(builder, i, k);
            else if (k < i && other->cpu.id == node->cpu.id)
                hwtree_problem(builder, i, HWTREE_DUPLICATE, "reg", 0);
        }
    }
}

// ---- the end

// Children in rising order: whoever comes last is put in front of those behind it.
void hwtree_link(struct hwtree_builder *builder)
{
    for (uint32_t i = 0; i < hwtree_count(builder->tree, HWTREE_NODES); i++)
        hwtree_edit(builder, i)->first_child = hwtree_edit(builder, i)->next = HWTREE_NONE;
    for (uint32_t i = hwtree_count(builder->tree, HWTREE_NODES); i-- > 1;) {
        struct hwtree_node *node = hwtree_edit(builder, i);
        struct hwtree_node *parent = hwtree_edit(builder, node->parent);
        node->next = parent->first_child;
        parent->first_child = i;
    }
}

size_t hwtree_finish(struct hwtree_builder *builder)
{
    struct hwtree *tree = builder->tree;
    hwtree_link(builder);
    size_t at = sizeof(*tree);
    for (unsigned s = 0; s < HWTREE_SECTIONS; s++) {
        size_t bytes = (size_t)tree->sections[s].count * hwtree_element_bytes[s];
        memmove((char *)tree + at, (char *)tree + tree->sections[s].first, bytes);
        tree->sections[s].first = (uint32_t)at;
        size_t end = align_up(at + bytes, 8);
        memset((char *)tree + at + bytes, 0, end - at - bytes);
        at = end;
    }
    tree->bytes = (uint32_t)at;
    return at;
}
