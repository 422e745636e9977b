// SPDX-License-Identifier: MIT
//
// See tree.h.

#include "tree.h"

#include <lib/string.h>

struct node *tree_add(struct tree *tree)
{
    if (tree->node_count == NODES) {
        tree->left_out++;
        return nullptr;
    }
    struct node *node = &tree->nodes[tree->node_count++];
    *node = (struct node){};
    return node;
}

void node_add_compatible(struct node *node, const char *text)
{
    if (node->compatible_count == NODE_COMPATIBLES)
        return;
    // A name that does not fit is none that a driver has.
    if (text_copy(node->compatible[node->compatible_count], sizeof(node->compatible[0]), text))
        node->compatible_count++;
}

void pci_host_send_messages(struct pci_host *host, uint64_t controller)
{
    host->message_routes[0] =
        (struct pci_message_route){.count = 1u << 16, .controller = controller};
    host->message_route_count = 1;
    host->message_requester_mask = UINT32_MAX;
}
