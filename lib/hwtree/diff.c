// SPDX-License-Identifier: MIT
//
// The difference of two trees: see <hwtree/text.h>. First nodes are paired, down both trees; then what
// a pair says is compared as text, property by property. References to paired nodes are the same text.
#include <lib/string.h>

#include "writer.h"

constexpr size_t TEXT_BYTES_MIN = 512;

// Text that is kept, as far as there is room.
struct buffer {
    struct hwtree_output output;
    char *text;
    size_t size, used;
};

static void keep(struct hwtree_output *output, const char *text, size_t length)
{
    struct buffer *buffer = (struct buffer *)(void *)output;
    size_t room = buffer->size - 1 - buffer->used;
    if (length > room)
        length = room;
    memcpy(buffer->text + buffer->used, text, length);
    buffer->used += length;
}

// What both say of a node.
struct pair_of_texts {
    struct buffer a, b;
};

struct diff {
    const struct hwtree *a, *b;
    uint32_t *twin_of_a, *twin_of_b; // HWTREE_NONE: there is none
    struct hwtree_writer writer;     // of the result
    struct pair_of_texts here, near; // a node, and one beside it
    uint32_t count;
};

// ---- pairs

static bool are_one(const struct diff *diff, uint32_t a, uint32_t b, bool named)
{
    const struct hwtree_node *of_a = hwtree_node(diff->a, a), *of_b = hwtree_node(diff->b, b);
    if (named)
        return strcmp(hwtree_name(diff->a, a), hwtree_name(diff->b, b)) == 0;
    if (of_a->kind != of_b->kind || of_a->ranges.count == 0 || of_b->ranges.count == 0)
        return false;
    const struct hwtree_range *first_a = hwtree_range(diff->a, a, 0),
                              *first_b = hwtree_range(diff->b, b, 0);
    return first_a->space == first_b->space && first_a->base == first_b->base;
}

// The next node from `from` on, up to `end`, that is not paired and is one with `a`.
static uint32_t find_twin(const struct diff *diff, uint32_t a, uint32_t from, uint32_t end,
                          bool named)
{
    for (; from != end && from != HWTREE_NONE; from = hwtree_node(diff->b, from)->next)
        if (diff->twin_of_b[from] == HWTREE_NONE && are_one(diff, a, from, named))
            return from;
    return HWTREE_NONE;
}

// Both lists have mostly one order: each search begins where the last one ended.
static void pair_children(struct diff *diff, uint32_t a, uint32_t b, bool named)
{
    uint32_t first = hwtree_node(diff->b, b)->first_child, from = first;
    for (uint32_t c = hwtree_node(diff->a, a)->first_child; c != HWTREE_NONE;
         c = hwtree_node(diff->a, c)->next) {
        if (diff->twin_of_a[c] != HWTREE_NONE)
            continue;
        uint32_t twin = find_twin(diff, c, from, HWTREE_NONE, named);
        if (twin == HWTREE_NONE)
            twin = find_twin(diff, c, first, from, named);
        if (twin == HWTREE_NONE)
            continue;
        diff->twin_of_a[c] = twin;
        diff->twin_of_b[twin] = c;
        from = hwtree_node(diff->b, twin)->next;
    }
}

static void pair_all(struct diff *diff)
{
    for (uint32_t i = 0; i < hwtree_count(diff->a, HWTREE_NODES); i++)
        diff->twin_of_a[i] = HWTREE_NONE;
    for (uint32_t i = 0; i < hwtree_count(diff->b, HWTREE_NODES); i++)
        diff->twin_of_b[i] = HWTREE_NONE;
    diff->twin_of_a[0] = diff->twin_of_b[0] = 0;
    // Parents have lower numbers.
    for (uint32_t i = 0; i < hwtree_count(diff->a, HWTREE_NODES); i++) {
        if (diff->twin_of_a[i] == HWTREE_NONE)
            continue;
        pair_children(diff, i, diff->twin_of_a[i], true);
        pair_children(diff, i, diff->twin_of_a[i], false);
    }
}

// ---- neighbours

// The next node of the list that is called like `node` but for what stands behind the '@'.
static uint32_t next_like(const struct hwtree *tree, uint32_t node)
{
    uint32_t next = hwtree_node(tree, node)->next;
    const char *name = hwtree_name(tree, node), *at = strchr(name, '@');
    if (next == HWTREE_NONE || at == nullptr ||
        strncmp(name, hwtree_name(tree, next), (size_t)(at - name) + 1) != 0)
        return HWTREE_NONE;
    return next;
}

static uint32_t before_like(const struct hwtree *tree, uint32_t node)
{
    uint32_t parent = hwtree_node(tree, node)->parent;
    // A node's number is above that of those before it in the list, and mostly by one.
    for (uint32_t before = node; before-- > parent + 1;)
        if (hwtree_node(tree, before)->parent == parent)
            return next_like(tree, before) == node ? before : HWTREE_NONE;
    return HWTREE_NONE;
}

static void say_path(struct diff *diff, const char *sign, const struct hwtree *tree, uint32_t node,
                     uint32_t like_it)
{
    diff->writer.tree = tree;
    diff->writer.twins = tree == diff->b ? diff->twin_of_b : nullptr;
    hwtree_write(&diff->writer, "%s ", sign);
    hwtree_write_path(&diff->writer, node);
    if (like_it > 0)
        hwtree_write(&diff->writer, " (and %u like it)", like_it);
    diff->count++;
}

// Nodes below `parent` that the other tree has not.
static void say_only_in(struct diff *diff, const char *sign, const struct hwtree *tree,
                        const uint32_t *twins, uint32_t parent)
{
    uint32_t c = hwtree_node(tree, parent)->first_child;
    while (c != HWTREE_NONE) {
        uint32_t last = c, like_it = 0, next;
        if (twins[c] == HWTREE_NONE) {
            for (; (next = next_like(tree, last)) != HWTREE_NONE && twins[next] == HWTREE_NONE;
                 last = next)
                like_it++;
            say_path(diff, sign, tree, c, like_it);
            hwtree_write(&diff->writer, "\n");
        }
        c = hwtree_node(tree, last)->next;
    }
}

// ---- properties

struct line {
    const char *text; // null: there is none
    size_t length, name_length;
};

static bool next_line(const struct buffer *buffer, struct line *line)
{
    const char *at = line->text != nullptr ? line->text + line->length : buffer->text;
    if (line->text != nullptr && *at == '\n')
        at++;
    if (*at == 0)
        return false;
    const char *end = strchr(at, '\n');
    line->text = at;
    line->length = end != nullptr ? (size_t)(end - at) : strlen(at);
    line->name_length = 0;
    while (line->name_length < line->length && at[line->name_length] != ' ' &&
           at[line->name_length] != ';')
        line->name_length++;
    return true;
}

static bool are_named_alike(const struct line *a, const struct line *b)
{
    return a->name_length == b->name_length && memcmp(a->text, b->text, a->name_length) == 0;
}

static struct line line_named(const struct buffer *buffer, const struct line *like)
{
    struct line line = {};
    while (next_line(buffer, &line))
        if (are_named_alike(&line, like))
            return line;
    return (struct line){};
}

static bool are_same(const struct line *a, const struct line *b)
{
    return a->text != nullptr && b->text != nullptr && a->length == b->length &&
           memcmp(a->text, b->text, a->length) == 0;
}

// A text may have several lines of one name, since names in a tree are free.
static bool has_line(const struct buffer *buffer, const struct line *line)
{
    struct line other = {};
    while (next_line(buffer, &other))
        if (are_same(&other, line))
            return true;
    return false;
}

static void take_properties(struct diff *diff, struct pair_of_texts *texts, uint32_t a)
{
    struct hwtree_writer of_a = {.output = &texts->a.output, .tree = diff->a};
    struct hwtree_writer of_b = {
        .output = &texts->b.output, .tree = diff->b, .other = diff->a, .twins = diff->twin_of_b};
    texts->a.used = texts->b.used = 0;
    hwtree_write_properties(&of_a, a);
    hwtree_write_properties(&of_b, diff->twin_of_a[a]);
    texts->a.text[texts->a.used] = texts->b.text[texts->b.used] = 0;
}

// What of two lines is left when the same beginning and the same end are cut off.
static void cut(struct line *a, struct line *b)
{
    size_t least = a->length < b->length ? a->length : b->length, first = 0, last = 0;
    while (first < least && a->text[first] == b->text[first])
        first++;
    while (last < least - first && a->text[a->length - 1 - last] == b->text[b->length - 1 - last])
        last++;
    a->text += first, b->text += first;
    a->length -= first + last, b->length -= first + last;
}

// Whether a node beside has the same difference: where both trees have the property, what differs of it
// is the same; where one has, all of it is.
static bool is_near(struct diff *diff, uint32_t near, const struct line *a, const struct line *b)
{
    if (near == HWTREE_NONE || diff->twin_of_a[near] == HWTREE_NONE)
        return false;
    take_properties(diff, &diff->near, near);
    const struct line *named = a->text != nullptr ? a : b;
    struct line here_a = *a, here_b = *b;
    struct line near_a = line_named(&diff->near.a, named),
                near_b = line_named(&diff->near.b, named);
    if ((near_a.text == nullptr) != (a->text == nullptr) ||
        (near_b.text == nullptr) != (b->text == nullptr))
        return false;
    if (a->text == nullptr || b->text == nullptr)
        return a->text != nullptr ? are_same(a, &near_a) : are_same(b, &near_b);
    if (are_same(&near_a, &near_b))
        return false;
    cut(&here_a, &here_b);
    cut(&near_a, &near_b);
    return are_same(&here_a, &near_a) && are_same(&here_b, &near_b);
}

static void say_difference(struct diff *diff, uint32_t node, const struct line *a,
                           const struct line *b)
{
    if (is_near(diff, before_like(diff->a, node), a, b))
        return; // it was said there
    uint32_t like_it = 0;
    for (uint32_t next = next_like(diff->a, node); is_near(diff, next, a, b);
         next = next_like(diff->a, next))
        like_it++;
    const struct line *first = a->text != nullptr ? a : b;
    say_path(diff,
             b->text == nullptr   ? "-"
             : a->text == nullptr ? "+"
                                  : "~",
             diff->a, node, like_it);
    hwtree_write(&diff->writer, ": ");
    diff->writer.output->put(diff->writer.output, first->text, first->length);
    if (first != b && b->text != nullptr) {
        constexpr size_t equals = 3; // " = "
        size_t skip = b->name_length + equals < b->length ? b->name_length + equals : 0;
        hwtree_write(&diff->writer, " | ");
        diff->writer.output->put(diff->writer.output, b->text + skip, b->length - skip);
    }
    hwtree_write(&diff->writer, "\n");
}

static void compare_properties(struct diff *diff, uint32_t node)
{
    const struct line none = {};
    take_properties(diff, &diff->here, node);
    for (struct line a = {}; next_line(&diff->here.a, &a);) {
        struct line b = line_named(&diff->here.b, &a);
        if (!has_line(&diff->here.b, &a))
            say_difference(diff, node, &a, &b);
    }
    for (struct line b = {}; next_line(&diff->here.b, &b);)
        if (line_named(&diff->here.a, &b).text == nullptr)
            say_difference(diff, node, &none, &b);
}

// ---- all

static void set_buffer(struct buffer *buffer, char *memory, size_t bytes)
{
    *buffer = (struct buffer){{keep}, memory, bytes, 0};
}

// Down both trees at once, in the order of the first one's text, as far as both have the nodes.
uint32_t hwtree_print_differences(const struct hwtree *a, const struct hwtree *b, char *memory,
                                  size_t bytes, struct hwtree_output *output)
{
    struct diff diff = {.a = a, .b = b, .writer = {.output = output, .other = a}};
    size_t of_a = hwtree_count(a, HWTREE_NODES), of_b = hwtree_count(b, HWTREE_NODES);
    size_t twins = (of_a + of_b) * sizeof(uint32_t);
    if (bytes < twins + 4 * TEXT_BYTES_MIN)
        return UINT32_MAX;
    diff.twin_of_a = (uint32_t *)(void *)memory;
    diff.twin_of_b = diff.twin_of_a + of_a;
    struct buffer *buffers[] = {&diff.here.a, &diff.here.b, &diff.near.a, &diff.near.b};
    size_t each = (bytes - twins) / 4;
    for (unsigned i = 0; i < 4; i++)
        set_buffer(buffers[i], memory + twins + i * each, each);
    pair_all(&diff);
    for (uint32_t node = 0; node != HWTREE_NONE; node = hwtree_next(a, node)) {
        if (diff.twin_of_a[node] == HWTREE_NONE)
            continue;
        compare_properties(&diff, node);
        say_only_in(&diff, "-", a, diff.twin_of_a, node);
        say_only_in(&diff, "+", b, diff.twin_of_b, diff.twin_of_a[node]);
    }
    return diff.count;
}
