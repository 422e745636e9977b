// SPDX-License-Identifier: MIT
//
// See match.h.

#include "match.h"

#include <lib/string.h>
#include <lib/types.h>
#include <proto/init.h>
#include <sdk/start.h>

bool match_driver(struct driven *d, const struct hwtree *hardware)
{
    for (uint32_t i = 0; i < hwtree_node(hardware, d->node)->compatible.count; i++) {
        const char *name = hwtree_compatible_at(hardware, d->node, i);
        struct init_driver_match_request request = {};
        struct init_driver_match_reply reply;
        // A name that does not fit is none that a driver has.
        if (!text_copy(request.compatible, sizeof(request.compatible), name) ||
            init_driver_match(start.bootstrap, &request, &reply, ABI_DEADLINE_NEVER) != STATUS_OK)
            continue;
        (void)text_copy(d->driver, sizeof(d->driver), reply.driver);
        (void)text_copy(d->compatible, sizeof(d->compatible), name);
        return true;
    }
    return false;
}

bool match_shares_page(const struct hwtree *hardware, uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < hwtree_node(hardware, a)->ranges.count; i++)
        for (uint32_t k = 0; k < hwtree_node(hardware, b)->ranges.count; k++) {
            const struct hwtree_range *x = hwtree_range(hardware, a, i);
            const struct hwtree_range *y = hwtree_range(hardware, b, k);
            if (x->space == HWTREE_SPACE_MEMORY && y->space == HWTREE_SPACE_MEMORY &&
                align_down(x->base, PAGE_SIZE) <= y->base + (y->bytes - 1) &&
                align_down(y->base, PAGE_SIZE) <= x->base + (x->bytes - 1))
                return true;
        }
    return false;
}

bool match_is_device(const struct hwtree *hardware, uint32_t node)
{
    const struct hwtree_node *n = hwtree_node(hardware, node);
    if (!hwtree_available(hardware, node))
        return false;
    if (n->kind == HWTREE_PCI_FUNCTION)
        return true;
    bool registers = n->ranges.count > 0;
    for (uint32_t i = 0; i < n->ranges.count; i++) {
        enum hwtree_space space = hwtree_range(hardware, node, i)->space;
        registers &= space == HWTREE_SPACE_MEMORY || space == HWTREE_SPACE_IO;
    }
    return registers && (n->kind == HWTREE_DEVICE || n->kind == HWTREE_CONSOLE);
}
