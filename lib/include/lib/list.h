// SPDX-License-Identifier: MIT
//
// Intrusive doubly linked lists. A node that is on no list points to itself, so that removing it
// is harmless and "is it linked" is one comparison. All operations are O(1).
#pragma once

#include <lib/types.h>

struct list_node {
    struct list_node *next, *previous;
};

struct list {
    struct list_node head;
};

static inline void list_node_init(struct list_node *node)
{
    node->next = node->previous = node;
}

static inline void list_init(struct list *list)
{
    list_node_init(&list->head);
}

static inline bool list_node_linked(const struct list_node *node)
{
    return node->next != node;
}

static inline bool list_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

static inline void list_insert_before(struct list_node *place, struct list_node *node)
{
    node->next = place;
    node->previous = place->previous;
    place->previous->next = node;
    place->previous = node;
}

static inline void list_push_back(struct list *list, struct list_node *node)
{
    list_insert_before(&list->head, node);
}

static inline void list_push_front(struct list *list, struct list_node *node)
{
    list_insert_before(list->head.next, node);
}

static inline void list_remove(struct list_node *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_node_init(node);
}

// The first node, or nullptr.
static inline struct list_node *list_first(const struct list *list)
{
    return list_empty(list) ? nullptr : list->head.next;
}

static inline struct list_node *list_pop_front(struct list *list)
{
    struct list_node *node = list_first(list);
    if (node)
        list_remove(node);
    return node;
}

// Moves all of `from` behind the end of `to`.
static inline void list_append(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->head.next->previous = to->head.previous;
    to->head.previous->next = from->head.next;
    from->head.previous->next = &to->head;
    to->head.previous = from->head.previous;
    list_init(from);
}

#define LIST_FOR_EACH(node, list) \
    for (struct list_node *node = (list)->head.next; node != &(list)->head; node = node->next)
