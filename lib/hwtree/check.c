// SPDX-License-Identifier: MIT
//
// Checks a block from a source that is not trusted: see <hwtree/hwtree.h>. Each element is looked
// at once; what a reader relies on (T1 to T5) is looked at, and nothing else: a tree that passes
// may still say nonsense.
#include <hwtree/hwtree.h>

#include <lib/string.h>

#include "sections.h"

struct check {
    const struct hwtree *tree;
    const char *why; // null: nothing is wrong so far
};

static bool fail(struct check *check, const char *why)
{
    check->why = why;
    return false;
}

static bool fits(const struct hwtree *tree, struct hwtree_span span, enum hwtree_section section)
{
    uint32_t count = hwtree_count(tree, section);
    return span.count == 0 || (span.first < count && span.count <= count - span.first);
}

static bool is_text(const struct hwtree *tree, uint32_t text)
{
    return text < hwtree_count(tree, HWTREE_TEXT); // the last byte of all is 0
}

static bool is_node(const struct hwtree *tree, uint32_t node)
{
    return node < hwtree_count(tree, HWTREE_NODES);
}

static bool is_node_or_none(const struct hwtree *tree, uint32_t node)
{
    return node == HWTREE_NONE || is_node(tree, node);
}

static bool wraps(uint64_t base, uint64_t bytes)
{
    return bytes > 0 && base > UINT64_MAX - (bytes - 1);
}

// ---- the frame

static bool check_header(struct check *check, const void *block, size_t bytes)
{
    const struct hwtree *tree = block;
    if (bytes < sizeof(*tree) || (uintptr_t)block % 8 != 0)
        return fail(check, "it is too short for a header, or not aligned");
    if (tree->magic != HWTREE_MAGIC)
        return fail(check, "it does not begin like a hardware tree");
    if (tree->version != HWTREE_VERSION || tree->header_bytes != sizeof(*tree))
        return fail(check, "it has another version");
    if (tree->bytes < sizeof(*tree) || tree->bytes > bytes || tree->bytes % 8 != 0)
        return fail(check, "its length is wrong");
    for (unsigned s = 0; s < HWTREE_SECTIONS; s++) {
        struct hwtree_span span = tree->sections[s];
        if (span.first < sizeof(*tree) || span.first % 8 != 0 || span.first > tree->bytes ||
            span.count > (tree->bytes - span.first) / hwtree_element_bytes[s])
            return fail(check, "a section is outside of it");
    }
    const char *text = hwtree_at(tree, HWTREE_TEXT);
    uint32_t text_bytes = hwtree_count(tree, HWTREE_TEXT);
    if (text_bytes == 0 || text[0] != 0 || text[text_bytes - 1] != 0)
        return fail(check, "its texts do not end");
    if (hwtree_count(tree, HWTREE_NODES) == 0)
        return fail(check, "it has no root");
    if (tree->origin >= HWTREE_ORIGINS || !is_node_or_none(tree, tree->console) ||
        !is_node_or_none(tree, tree->controller))
        return fail(check, "its header names what is not there");
    return true;
}

// ---- nodes

// A name. All of them and the lists of names together are as long as the texts at most, or many could be the
// same long one.
static bool check_name(struct check *check, uint32_t name, uint64_t *budget)
{
    if (!is_text(check->tree, name))
        return fail(check, "T3: a name is not there");
    const char *text = hwtree_text(check->tree, name);
    size_t length = 0;
    while (hwtree_is_name_character(text[length]) && length < *budget)
        length++;
    if (text[length] != 0)
        return fail(check, "T5: a name is none");
    *budget -= length;
    return true;
}

// Texts one behind the other; all of them together are looked at once, if lists do not overlap.
// Lists that do are limited by the budget.
static bool check_texts(struct check *check, struct hwtree_span list, uint64_t *budget)
{
    const char *text = hwtree_at(check->tree, HWTREE_TEXT);
    uint32_t at = list.first, end = hwtree_count(check->tree, HWTREE_TEXT);
    for (uint32_t i = 0; i < list.count; i++) {
        if (at >= end)
            return fail(check, "a list of names runs over the end of the texts");
        size_t length = strlen(text + at) + 1;
        if (*budget < length)
            return fail(check, "lists of names overlap");
        *budget -= length;
        at += (uint32_t)length;
    }
    return true;
}

static bool check_facts(const struct hwtree *tree, const struct hwtree_node *node)
{
    switch (node->kind) {
    case HWTREE_CPU:
        return node->cpu.method < HWTREE_METHODS && is_text(tree, node->cpu.method_name);
    case HWTREE_CONTROLLER:
        return node->controller.variant < HWTREE_CONTROLLER_VARIANTS;
    case HWTREE_TIMER:
        return node->timer.variant < HWTREE_TIMER_VARIANTS;
    case HWTREE_CONSOLE:
        return is_text(tree, node->console.options);
    case HWTREE_PCI_HOST:
        return fits(tree, node->pci_host.windows, HWTREE_WINDOWS) &&
               fits(tree, node->pci_host.routes, HWTREE_ROUTES) && node->pci_host.ecam <= 1 &&
               node->pci_host.first_bus <= node->pci_host.last_bus &&
               (!node->pci_host.ecam || node->ranges.count > 0);
    case HWTREE_IOMMU:
        return node->iommu.variant < HWTREE_IOMMU_VARIANTS;
    case HWTREE_DEVICE:
    case HWTREE_MEMORY:
    case HWTREE_RESERVED:
    case HWTREE_PCI_FUNCTION:
        return true;
    case HWTREE_KINDS:
        break;
    }
    return false;
}

static bool check_node(struct check *check, uint32_t number, uint64_t *budget)
{
    const struct hwtree *tree = check->tree;
    const struct hwtree_node *node = hwtree_node(tree, number);
    if (number == 0 ? node->parent != HWTREE_NONE : node->parent >= number)
        return fail(check, "T1: a node stands before its parent");
    if (number == 0 && node->next != HWTREE_NONE)
        return fail(check, "T1: the root has a sibling");
    if (!fits(tree, node->compatible, HWTREE_TEXT) || !fits(tree, node->ranges, HWTREE_RANGES) ||
        !fits(tree, node->interrupts, HWTREE_INTERRUPTS) || !fits(tree, node->dma, HWTREE_DMA) ||
        !fits(tree, node->ids, HWTREE_IDS) || !is_node_or_none(tree, node->interrupt_parent))
        return fail(check, "T3: a node has what is not there");
    if (node->status >= HWTREE_STATUSES || node->flags > HWTREE_FLAGS)
        return fail(check, "a node has a status that is none");
    if (!check_facts(tree, node))
        return fail(check, "the facts of a node are none of its kind");
    return check_name(check, node->name, budget) && check_texts(check, node->compatible, budget);
}

// Every node but the root is found once, by its parent, in rising order; and no node is too deep.
// A node in two lists would have two parents; one in none is missing in the sum.
static bool check_links(struct check *check)
{
    const struct hwtree *tree = check->tree;
    uint32_t count = hwtree_count(tree, HWTREE_NODES), found = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t last = i;
        for (uint32_t child = hwtree_node(tree, i)->first_child; child != HWTREE_NONE;
             child = hwtree_node(tree, child)->next) {
            if (!is_node(tree, child) || child <= last || hwtree_node(tree, child)->parent != i)
                return fail(check, "T2: a list of children is wrong");
            last = child;
            found++;
        }
    }
    if (found != count - 1)
        return fail(check, "T2: a node is in no list of children");
    return true;
}

static bool check_depth(struct check *check)
{
    const struct hwtree *tree = check->tree;
    for (uint32_t i = 1; i < hwtree_count(tree, HWTREE_NODES); i++) {
        unsigned depth = 0;
        for (uint32_t n = i; n != 0; n = hwtree_node(tree, n)->parent)
            if (++depth >= HWTREE_DEPTH_MAX)
                return fail(check, "a node is too deep");
    }
    return true;
}

// ---- lists

static bool check_interrupt(const struct hwtree *tree, const struct hwtree_interrupt *interrupt)
{
    return is_node(tree, interrupt->controller) && is_text(tree, interrupt->name) &&
           interrupt->trigger < HWTREE_TRIGGERS && interrupt->polarity < HWTREE_POLARITIES;
}

static bool check_addresses(struct check *check)
{
    const struct hwtree *tree = check->tree;
    const struct hwtree_range *range = hwtree_at(tree, HWTREE_RANGES);
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_RANGES); i++)
        if (wraps(range[i].base, range[i].bytes) || range[i].space >= HWTREE_SPACES ||
            !is_text(tree, range[i].name))
            return fail(check, "T4: a range is none");
    const struct hwtree_dma *dma = hwtree_at(tree, HWTREE_DMA);
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_DMA); i++)
        if (wraps(dma[i].device, dma[i].bytes) || wraps(dma[i].cpu, dma[i].bytes))
            return fail(check, "T4: a DMA range is none");
    const struct hwtree_window *window = hwtree_at(tree, HWTREE_WINDOWS);
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_WINDOWS); i++)
        if (wraps(window[i].bus, window[i].bytes) || wraps(window[i].cpu, window[i].bytes) ||
            window[i].space >= HWTREE_SPACES || window[i].io > 1 || window[i].wide > 1 ||
            window[i].prefetchable > 1)
            return fail(check, "T4: a window is none");
    return true;
}

static bool check_lists(struct check *check)
{
    const struct hwtree *tree = check->tree;
    const struct hwtree_interrupt *interrupt = hwtree_at(tree, HWTREE_INTERRUPTS);
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_INTERRUPTS); i++)
        if (!check_interrupt(tree, &interrupt[i]))
            return fail(check, "T3: an interrupt is none");
    const struct hwtree_route *route = hwtree_at(tree, HWTREE_ROUTES);
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_ROUTES); i++)
        if (!check_interrupt(tree, &route[i].interrupt))
            return fail(check, "T3: a route is none");
    const struct hwtree_id *id = hwtree_at(tree, HWTREE_IDS);
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_IDS); i++)
        if (id[i].kind >= HWTREE_ID_KINDS || !is_node(tree, id[i].target) || id[i].count == 0 ||
            id[i].count - 1 > UINT32_MAX - id[i].input ||
            id[i].count - 1 > UINT32_MAX - id[i].output)
            return fail(check, "T3: an id is none");
    const struct hwtree_alias *alias = hwtree_at(tree, HWTREE_ALIASES);
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_ALIASES); i++)
        if (!is_text(tree, alias[i].name) || !is_node(tree, alias[i].node))
            return fail(check, "T3: an alias is none");
    const struct hwtree_problem *problem = hwtree_at(tree, HWTREE_PROBLEMS);
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_PROBLEMS); i++)
        if (problem[i].cause >= HWTREE_CAUSES || !is_node(tree, problem[i].node) ||
            !is_text(tree, problem[i].property))
            return fail(check, "T3: a problem is none");
    return true;
}

bool hwtree_check(const void *block, size_t bytes, const char **why)
{
    struct check check = {.tree = block};
    bool sound = check_header(&check, block, bytes);
    uint64_t budget = sound ? hwtree_count(check.tree, HWTREE_TEXT) : 0;
    for (uint32_t i = 0; sound && i < hwtree_count(check.tree, HWTREE_NODES); i++)
        sound = check_node(&check, i, &budget);
    sound = sound && check_links(&check) && check_depth(&check) && check_addresses(&check) &&
            check_lists(&check);
    *why = check.why;
    return sound;
}
