// SPDX-License-Identifier: MIT
//
// A tree made of another one: see <hwtree/builder.h>. What is left out is left out with what is
// below it; a reference to it becomes none, or what holds the reference is left out too, where
// there is no "none".
#include <hwtree/builder.h>

#include <lib/string.h>

#include "sections.h"

struct copy {
    struct hwtree_builder *builder;
    const struct hwtree *from;
    uint32_t *numbers; // of the nodes of `from`, in the copy
};

static uint32_t number(const struct copy *copy, uint32_t node)
{
    return node == HWTREE_NONE ? HWTREE_NONE : copy->numbers[node];
}

static uint32_t copy_text(const struct copy *copy, uint32_t text)
{
    const char *t = hwtree_text(copy->from, text);
    return hwtree_add_text(copy->builder, t, strlen(t));
}

static void copy_lists(const struct copy *copy, uint32_t node, uint32_t to)
{
    const struct hwtree *from = copy->from;
    const struct hwtree_node *n = hwtree_node(from, node);
    for (uint32_t i = 0; i < n->compatible.count; i++) {
        const char *name = hwtree_compatible_at(from, node, i);
        hwtree_add_compatible(copy->builder, to, name, strlen(name));
    }
    for (uint32_t i = 0; i < n->ranges.count; i++) {
        struct hwtree_range range = *hwtree_range(from, node, i);
        range.name = copy_text(copy, range.name);
        hwtree_add_range(copy->builder, to, &range, "");
    }
    // What devices reach is that of a bus for all that are on it: the list stays shared.
    hwtree_edit(copy->builder, to)->dma = n->dma;
}

// What refers to nodes, which have their numbers by now.
static void copy_references(const struct copy *copy, uint32_t node, uint32_t to)
{
    const struct hwtree *from = copy->from;
    const struct hwtree_node *n = hwtree_node(from, node);
    for (uint32_t i = 0; i < n->interrupts.count; i++) {
        struct hwtree_interrupt interrupt = *hwtree_interrupt(from, node, i);
        interrupt.controller = number(copy, interrupt.controller);
        interrupt.name = copy_text(copy, interrupt.name);
        if (interrupt.controller != HWTREE_NONE)
            hwtree_add_interrupt(copy->builder, to, &interrupt);
    }
    for (uint32_t i = 0; i < n->ids.count; i++) {
        struct hwtree_id id = *hwtree_id(from, node, i);
        id.target = number(copy, id.target);
        if (id.target != HWTREE_NONE)
            hwtree_add_id(copy->builder, to, &id);
    }
    hwtree_edit(copy->builder, to)->interrupt_parent = number(copy, n->interrupt_parent);
}

static void copy_facts(const struct copy *copy, uint32_t node, uint32_t to)
{
    const struct hwtree_node *n = hwtree_node(copy->from, node);
    uint32_t text = n->kind == HWTREE_CPU       ? copy_text(copy, n->cpu.method_name)
                    : n->kind == HWTREE_CONSOLE ? copy_text(copy, n->console.options)
                                                : 0;
    struct hwtree_node *made = hwtree_edit(copy->builder, to);
    made->numa = n->numa;
    made->phandle = n->phandle;
    made->kind = n->kind;
    made->status = n->status;
    made->flags = n->flags;
    memcpy(made->words, n->words, sizeof(made->words));
    if (n->kind == HWTREE_CPU)
        made->cpu.method_name = text;
    if (n->kind == HWTREE_CONSOLE)
        made->console.options = text;
    if (n->kind != HWTREE_PCI_HOST)
        return;
    made->pci_host.windows = made->pci_host.routes = (struct hwtree_span){};
    for (uint32_t i = 0; i < n->pci_host.windows.count; i++)
        hwtree_add_window(copy->builder, to, hwtree_window(copy->from, node, i));
    for (uint32_t i = 0; i < n->pci_host.routes.count; i++) {
        struct hwtree_route route = *hwtree_route(copy->from, node, i);
        route.interrupt.controller = number(copy, route.interrupt.controller);
        route.interrupt.name = copy_text(copy, route.interrupt.name);
        if (route.interrupt.controller != HWTREE_NONE)
            hwtree_add_route(copy->builder, to, &route);
    }
}

static void copy_nodes(struct copy *copy, bool (*keep)(const struct hwtree *, uint32_t, void *),
                       void *context)
{
    const struct hwtree *from = copy->from;
    for (uint32_t i = 0; i < hwtree_count(from, HWTREE_NODES); i++) {
        uint32_t parent = number(copy, hwtree_node(from, i)->parent);
        const char *name = hwtree_name(from, i);
        copy->numbers[i] = HWTREE_NONE;
        if (i == 0)
            copy->numbers[i] = hwtree_add_node(copy->builder, HWTREE_NONE, "", 0);
        else if (parent != HWTREE_NONE && keep(from, i, context))
            copy->numbers[i] = hwtree_add_node(copy->builder, parent, name, strlen(name));
        if (copy->numbers[i] != HWTREE_NONE)
            copy_lists(copy, i, copy->numbers[i]);
    }
    for (uint32_t i = 0; i < hwtree_count(from, HWTREE_NODES); i++)
        if (copy->numbers[i] != HWTREE_NONE) {
            copy_references(copy, i, copy->numbers[i]);
            copy_facts(copy, i, copy->numbers[i]);
        }
}

// What stands beside the nodes.
static void copy_rest(const struct copy *copy)
{
    const struct hwtree *from = copy->from;
    struct hwtree *made = copy->builder->tree;
    const struct hwtree_alias *alias = hwtree_at(from, HWTREE_ALIASES);
    const struct hwtree_distance *distance = hwtree_at(from, HWTREE_DISTANCES);
    for (uint32_t i = 0; i < hwtree_count(from, HWTREE_ALIASES); i++, alias++)
        if (number(copy, alias->node) != HWTREE_NONE)
            hwtree_add_alias(copy->builder, hwtree_text(from, alias->name),
                             number(copy, alias->node));
    for (uint32_t i = 0; i < hwtree_count(from, HWTREE_DISTANCES); i++, distance++)
        hwtree_add_distance(copy->builder, distance->from, distance->to, distance->distance);
    made->console = number(copy, from->console);
    made->controller = number(copy, from->controller);
}

static void copy_problems(const struct copy *copy)
{
    const struct hwtree *from = copy->from;
    const struct hwtree_problem *problem = hwtree_at(from, HWTREE_PROBLEMS);
    // A name that is none is complained about as it is copied, and was before.
    copy->builder->tree->sections[HWTREE_PROBLEMS].count = 0;
    for (uint32_t i = 0; i < hwtree_count(from, HWTREE_PROBLEMS); i++, problem++)
        if (number(copy, problem->node) != HWTREE_NONE)
            hwtree_problem(copy->builder, number(copy, problem->node), problem->cause,
                           hwtree_text(from, problem->property), problem->value);
    memcpy(copy->builder->tree->problems, from->problems, sizeof(from->problems));
}

bool hwtree_copy(struct hwtree_builder *builder, const struct hwtree *from,
                 bool (*keep)(const struct hwtree *from, uint32_t node, void *context),
                 void *context, uint32_t *numbers)
{
    struct copy copy = {.builder = builder, .from = from, .numbers = numbers};
    if (!hwtree_add_all_dma(builder, from))
        return false;
    copy_nodes(&copy, keep, context);
    copy_rest(&copy);
    const bool fits = builder->tree->problems[HWTREE_NO_ROOM] == 0;
    copy_problems(&copy);
    return fits;
}
