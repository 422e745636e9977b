// SPDX-License-Identifier: MIT
//
// The difference of two trees: see <hwtree/text.h>. Nodes are the same if their paths are; what
// they say is compared as text, property by property.
#include <lib/string.h>

#include "writer.h"

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

struct diff {
    struct hwtree_writer a, b; // both write to the same output
    struct buffer of_a, of_b;
    uint32_t count;
};

static void say_node(struct diff *diff, const char *sign, struct hwtree_writer *writer,
                     uint32_t node)
{
    hwtree_write(writer, "%s ", sign);
    hwtree_write_path(writer, node);
    hwtree_write(writer, "\n");
    diff->count++;
}

static void say_line(struct diff *diff, const char *sign, uint32_t node, const char *line,
                     size_t length)
{
    hwtree_write(&diff->a, "%s ", sign);
    hwtree_write_path(&diff->a, node);
    hwtree_write(&diff->a, ": ");
    diff->a.output->put(diff->a.output, line, length);
    hwtree_write(&diff->a, "\n");
    diff->count++;
}

static void take_properties(struct buffer *buffer, const struct hwtree *tree, uint32_t node)
{
    struct hwtree_writer writer = {.output = &buffer->output, .tree = tree};
    buffer->used = 0;
    hwtree_write_properties(&writer, node);
    buffer->text[buffer->used] = 0;
}

static size_t line_length(const char *line)
{
    const char *end = strchr(line, '\n');
    return end != nullptr ? (size_t)(end - line) : strlen(line);
}

static bool has_line(const struct buffer *buffer, const char *line, size_t length)
{
    for (const char *at = buffer->text; *at != 0;) {
        size_t here = line_length(at);
        if (here == length && memcmp(at, line, length) == 0)
            return true;
        at += here + (at[here] == '\n');
    }
    return false;
}

// Lines of one that the other has not.
static void compare_lines(struct diff *diff, const char *sign, const struct buffer *buffer,
                          const struct buffer *other, uint32_t node)
{
    for (const char *at = buffer->text; *at != 0;) {
        size_t length = line_length(at);
        if (!has_line(other, at, length))
            say_line(diff, sign, node, at, length);
        at += length + (at[length] == '\n');
    }
}

static void compare_properties(struct diff *diff, uint32_t a, uint32_t b)
{
    take_properties(&diff->of_a, diff->a.tree, a);
    take_properties(&diff->of_b, diff->b.tree, b);
    if (diff->of_a.used == diff->of_b.used &&
        memcmp(diff->of_a.text, diff->of_b.text, diff->of_a.used) == 0)
        return;
    compare_lines(diff, "-", &diff->of_a, &diff->of_b, a);
    compare_lines(diff, "+", &diff->of_b, &diff->of_a, a);
}

// The node below `other_parent` that is called like `node`: if several are, the one that stands in
// the same place among them.
static uint32_t twin(const struct hwtree *tree, uint32_t node, const struct hwtree *other,
                     uint32_t other_parent)
{
    const char *name = hwtree_name(tree, node);
    uint32_t found = hwtree_child(other, other_parent, name);
    uint32_t before = hwtree_node(tree, hwtree_node(tree, node)->parent)->first_child;
    for (; before != node; before = hwtree_node(tree, before)->next) {
        if (strcmp(hwtree_name(tree, before), name) != 0)
            continue;
        do {
            found = found != HWTREE_NONE ? hwtree_node(other, found)->next : HWTREE_NONE;
        } while (found != HWTREE_NONE && strcmp(hwtree_name(other, found), name) != 0);
    }
    return found;
}

static void only_in(struct diff *diff, const char *sign, struct hwtree_writer *writer,
                    const struct hwtree *other, uint32_t parent, uint32_t other_parent)
{
    const struct hwtree *tree = writer->tree;
    for (uint32_t c = hwtree_node(tree, parent)->first_child; c != HWTREE_NONE;
         c = hwtree_node(tree, c)->next)
        if (twin(tree, c, other, other_parent) == HWTREE_NONE)
            say_node(diff, sign, writer, c);
}

// Down both trees at once, as far as both have the nodes.
uint32_t hwtree_print_differences(const struct hwtree *a, const struct hwtree *b, char *memory,
                                  size_t bytes, struct hwtree_output *output)
{
    struct diff diff = {
        .a = {.output = output, .tree = a},
        .b = {.output = output, .tree = b},
        .of_a = {{keep}, memory, bytes / 2, 0},
        .of_b = {{keep}, memory + bytes / 2, bytes / 2, 0},
    };
    uint32_t in_a = 0, in_b = 0;
    while (in_a != HWTREE_NONE) {
        compare_properties(&diff, in_a, in_b);
        only_in(&diff, "-", &diff.a, b, in_a, in_b);
        only_in(&diff, "+", &diff.b, a, in_b, in_a);
        // The next node of a, in the order of the text, that b has too.
        uint32_t next = hwtree_node(a, in_a)->first_child, parent_b = in_b;
        for (;;) {
            while (next != HWTREE_NONE && (in_b = twin(a, next, b, parent_b)) == HWTREE_NONE)
                next = hwtree_node(a, next)->next;
            if (next != HWTREE_NONE || in_a == 0)
                break;
            next = hwtree_node(a, in_a)->next;
            in_a = hwtree_node(a, in_a)->parent;
            parent_b = hwtree_node(b, parent_b)->parent;
        }
        in_a = next;
    }
    return diff.count;
}
