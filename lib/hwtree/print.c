// SPDX-License-Identifier: MIT
//
// A tree as device-tree source, and what is said about it as a whole: see <hwtree/text.h>.
#include <lib/format.h>
#include <lib/string.h>

#include "writer.h"

constexpr size_t PIECE_BYTES = 128;

// Line by line: each that begins is indented.
static void put(struct hwtree_writer *writer, const char *text, size_t length)
{
    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        size_t line = end != nullptr ? (size_t)(end - text) + 1 : length;
        for (unsigned i = 0; i < writer->indent && !writer->in_line && *text != '\n'; i++)
            writer->output->put(writer->output, "\t", 1);
        writer->output->put(writer->output, text, line);
        writer->in_line = end == nullptr;
        text += line;
        length -= line;
    }
}

// Pieces are short, but for what has functions of its own; a longer one is cut.
void hwtree_write(struct hwtree_writer *writer, const char *format, ...)
{
    char piece[PIECE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_text_v(piece, sizeof(piece), format, arguments);
    va_end(arguments);
    put(writer, piece, length < sizeof(piece) ? length : sizeof(piece) - 1);
}

// What comes from firmware may be anything.
static void write_escaped(struct hwtree_writer *writer, const char *text)
{
    for (; *text != 0; text++) {
        if (*text == '"' || *text == '\\' || *text < ' ' || *text > '~')
            hwtree_write(writer, "\\x%02x", (unsigned)(unsigned char)*text);
        else
            put(writer, text, 1);
    }
}

void hwtree_write_quoted(struct hwtree_writer *writer, const char *text)
{
    put(writer, "\"", 1);
    write_escaped(writer, text);
    put(writer, "\"", 1);
}

void hwtree_write_path(struct hwtree_writer *writer, uint32_t node)
{
    uint32_t above[HWTREE_DEPTH_MAX];
    const struct hwtree *trees[HWTREE_DEPTH_MAX], *tree = writer->tree;
    unsigned depth = 0;
    while (node != 0 && depth < HWTREE_DEPTH_MAX) {
        if (tree == writer->tree && writer->twins != nullptr &&
            writer->twins[node] != HWTREE_NONE) {
            node = writer->twins[node];
            tree = writer->other;
        }
        trees[depth] = tree;
        above[depth++] = node;
        node = hwtree_node(tree, node)->parent;
    }
    if (depth == 0)
        put(writer, "/", 1);
    while (depth-- > 0) {
        const char *name = hwtree_name(trees[depth], above[depth]);
        put(writer, "/", 1);
        put(writer, name, strlen(name));
    }
}

static void write_name(struct hwtree_writer *writer, uint32_t node)
{
    const char *name = node == 0 ? "/" : hwtree_name(writer->tree, node);
    put(writer, name, strlen(name));
    put(writer, " {\n", 3);
}

void hwtree_print(const struct hwtree *tree, struct hwtree_output *output)
{
    struct hwtree_writer writer = {.output = output, .tree = tree};
    hwtree_write(&writer, "/dts-v1/;\n\n");
    for (uint32_t node = 0;;) {
        write_name(&writer, node);
        writer.indent++;
        hwtree_write_properties(&writer, node);
        const struct hwtree_node *n = hwtree_node(tree, node);
        if (n->first_child != HWTREE_NONE) {
            node = n->first_child;
            continue;
        }
        while (node != HWTREE_NONE) { // close it, and all that end with it
            n = hwtree_node(tree, node);
            writer.indent--;
            hwtree_write(&writer, "};\n");
            node = n->next != HWTREE_NONE ? n->next : n->parent;
            if (n->next != HWTREE_NONE)
                break;
        }
        if (node == HWTREE_NONE)
            return;
    }
}

// ---- what could not be resolved

void hwtree_print_problems(const struct hwtree *tree, struct hwtree_output *output)
{
    struct hwtree_writer writer = {.output = output, .tree = tree};
    const struct hwtree_problem *problem = hwtree_at(tree, HWTREE_PROBLEMS);
    uint64_t counted = 0, listed = hwtree_count(tree, HWTREE_PROBLEMS);
    for (uint32_t i = 0; i < listed; i++) {
        hwtree_write_path(&writer, problem[i].node);
        hwtree_write(&writer, ": ");
        write_escaped(&writer, hwtree_text(tree, problem[i].property));
        hwtree_write(&writer, " [%u]: %s%s\n", problem[i].value,
                     hwtree_cause_text(problem[i].cause),
                     hwtree_available(tree, problem[i].node) ? "" : " (not enabled)");
    }
    for (unsigned cause = 0; cause < HWTREE_CAUSES; cause++)
        counted += tree->problems[cause];
    if (counted > listed)
        hwtree_write(&writer, "and %llu more\n", (unsigned long long)(counted - listed));
}

// ---- in short

static void write_where(struct hwtree_writer *writer, const char *what, uint32_t node)
{
    hwtree_write(writer, "%s: ", what);
    if (node == HWTREE_NONE)
        hwtree_write(writer, "none");
    else
        hwtree_write_path(writer, node);
}

static void write_memory(struct hwtree_writer *writer)
{
    const struct hwtree *tree = writer->tree;
    const char *between = "memory: ";
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_NODES); i++) {
        if (hwtree_node(tree, i)->kind != HWTREE_MEMORY || !hwtree_available(tree, i))
            continue;
        for (uint32_t r = 0; r < hwtree_node(tree, i)->ranges.count; r++) {
            const struct hwtree_range *range = hwtree_range(tree, i, r);
            hwtree_write(writer, "%s0x%llx+0x%llx", between, (unsigned long long)range->base,
                         (unsigned long long)range->bytes);
            between = " ";
        }
    }
    hwtree_write(writer, "%s\n", between[0] == 'm' ? "memory: none" : "");
}

static uint32_t find_timer(const struct hwtree *tree)
{
    uint32_t found = HWTREE_NONE;
    for (uint32_t i = hwtree_count(tree, HWTREE_NODES); i-- > 0;)
        if (hwtree_node(tree, i)->kind == HWTREE_TIMER && hwtree_available(tree, i))
            found = i;
    return found;
}

static uint32_t count_kind(const struct hwtree *tree, enum hwtree_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_NODES); i++)
        count += hwtree_node(tree, i)->kind == kind && hwtree_available(tree, i);
    return count;
}

void hwtree_print_summary(const struct hwtree *tree, struct hwtree_output *output)
{
    struct hwtree_writer writer = {.output = output, .tree = tree};
    uint32_t timer = find_timer(tree), interrupts = 0;
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_NODES); i++)
        interrupts += hwtree_node(tree, i)->interrupts.count;
    hwtree_write(&writer, "cpus: %u\n", count_kind(tree, HWTREE_CPU));
    write_memory(&writer);
    write_where(&writer, "controller", tree->controller);
    if (tree->controller != HWTREE_NONE &&
        hwtree_node(tree, tree->controller)->kind == HWTREE_CONTROLLER)
        hwtree_write(
            &writer, " %s",
            hwtree_controller_name(hwtree_node(tree, tree->controller)->controller.variant));
    hwtree_write(&writer, "\n");
    write_where(&writer, "timer", timer);
    if (timer != HWTREE_NONE)
        hwtree_write(&writer, " %s", hwtree_timer_name(hwtree_node(tree, timer)->timer.variant));
    hwtree_write(&writer, "\n");
    write_where(&writer, "console", tree->console);
    hwtree_write(&writer, "\nbytes: %u\nnodes: %u\npci hosts: %u\ninterrupts: %u and %u routes\n",
                 tree->bytes, hwtree_count(tree, HWTREE_NODES), count_kind(tree, HWTREE_PCI_HOST),
                 interrupts, hwtree_count(tree, HWTREE_ROUTES));
    hwtree_write(&writer, "unresolved:");
    bool any = false;
    for (unsigned cause = 0; cause < HWTREE_CAUSES; cause++) {
        if (tree->problems[cause] == 0)
            continue;
        any = true;
        hwtree_write(&writer, " %s %u", hwtree_cause_name(cause), tree->problems[cause]);
    }
    hwtree_write(&writer, "%s\n", any ? "" : " none");
}
