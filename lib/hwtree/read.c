// SPDX-License-Identifier: MIT
//
// Finding one's way in a hardware tree: see <hwtree/hwtree.h>.
#include <hwtree/hwtree.h>

#include <lib/string.h>

uint32_t hwtree_next(const struct hwtree *tree, uint32_t node)
{
    const struct hwtree_node *n = hwtree_node(tree, node);
    if (n->first_child != HWTREE_NONE)
        return n->first_child;
    while (node != 0 && hwtree_node(tree, node)->next == HWTREE_NONE)
        node = hwtree_node(tree, node)->parent;
    return node != 0 ? hwtree_node(tree, node)->next : HWTREE_NONE;
}

unsigned hwtree_depth(const struct hwtree *tree, uint32_t node)
{
    unsigned depth = 0;
    for (; node != 0; node = hwtree_node(tree, node)->parent)
        depth++;
    return depth;
}

// Whether a node is called `part`; without a unit address in it, the node's own does not matter.
static bool is_called(const char *name, const char *part, size_t length)
{
    return strncmp(name, part, length) == 0 &&
           (name[length] == 0 || (name[length] == '@' && memchr(part, '@', length) == nullptr));
}

static uint32_t find_child(const struct hwtree *tree, uint32_t parent, const char *part,
                           size_t length)
{
    uint32_t child = hwtree_node(tree, parent)->first_child;
    while (child != HWTREE_NONE && !is_called(hwtree_name(tree, child), part, length))
        child = hwtree_node(tree, child)->next;
    return child;
}

uint32_t hwtree_child(const struct hwtree *tree, uint32_t parent, const char *name)
{
    uint32_t child = hwtree_node(tree, parent)->first_child;
    while (child != HWTREE_NONE && strcmp(hwtree_name(tree, child), name) != 0)
        child = hwtree_node(tree, child)->next;
    return child;
}

uint32_t hwtree_find(const struct hwtree *tree, const char *path, size_t length)
{
    uint32_t node = 0;
    if (length == 0 || path[0] != '/')
        return HWTREE_NONE;
    for (size_t at = 1; at < length && node != HWTREE_NONE;) {
        const char *slash = memchr(path + at, '/', length - at);
        size_t part = slash != nullptr ? (size_t)(slash - path) - at : length - at;
        if (part > 0)
            node = find_child(tree, node, path + at, part);
        at += part + 1;
    }
    return node;
}

const char *hwtree_compatible_at(const struct hwtree *tree, uint32_t node, uint32_t index)
{
    const char *text = hwtree_text(tree, hwtree_node(tree, node)->compatible.first);
    for (; index > 0; index--)
        text += strlen(text) + 1;
    return text;
}

bool hwtree_is_compatible(const struct hwtree *tree, uint32_t node, const char *name)
{
    const struct hwtree_span span = hwtree_node(tree, node)->compatible;
    const char *text = hwtree_text(tree, span.first);
    for (uint32_t i = 0; i < span.count; i++, text += strlen(text) + 1)
        if (strcmp(text, name) == 0)
            return true;
    return false;
}

uint32_t hwtree_compatible(const struct hwtree *tree, uint32_t after, const char *name)
{
    for (uint32_t i = after == HWTREE_NONE ? 0 : after + 1; i < hwtree_count(tree, HWTREE_NODES);
         i++)
        if (hwtree_available(tree, i) && hwtree_is_compatible(tree, i, name))
            return i;
    return HWTREE_NONE;
}

void hwtree_path(const struct hwtree *tree, uint32_t node, char *path, size_t size)
{
    uint32_t above[HWTREE_DEPTH_MAX];
    unsigned depth = 0;
    size_t at = 0;
    for (; node != 0 && depth < HWTREE_DEPTH_MAX; node = hwtree_node(tree, node)->parent)
        above[depth++] = node;
    if (depth == 0)
        (void)text_copy(path, size, "/");
    while (depth > 0 && at + 1 < size) {
        path[at++] = '/';
        (void)text_copy(path + at, size - at, hwtree_name(tree, above[--depth]));
        at += strlen(path + at);
    }
}

static bool map_id(const struct hwtree *tree, uint32_t node, enum hwtree_id_kind kind,
                   uint32_t input, uint32_t *target, uint32_t *id)
{
    for (uint32_t i = 0; i < hwtree_node(tree, node)->ids.count; i++) {
        const struct hwtree_id *row = hwtree_id(tree, node, i);
        uint32_t masked = input & row->input_mask;
        if (row->kind != kind || masked < row->input || masked - row->input >= row->count)
            continue;
        *target = row->target;
        *id = row->output + (masked - row->input);
        return true;
    }
    return false;
}

bool hwtree_device_id(const struct hwtree *tree, uint32_t node, enum hwtree_id_kind kind,
                      uint32_t *target, uint32_t *id)
{
    const struct hwtree_node *n = hwtree_node(tree, node);
    if (n->kind != HWTREE_PCI_FUNCTION)
        return map_id(tree, node, kind, 0, target, id);
    uint32_t requester = n->pci_function.requester;
    while (node != 0) {
        node = hwtree_node(tree, node)->parent;
        if (hwtree_node(tree, node)->kind == HWTREE_PCI_HOST)
            return map_id(tree, node, kind, requester, target, id);
    }
    return false;
}

const char *hwtree_cause_name(enum hwtree_cause cause)
{
    static const char *const names[HWTREE_CAUSES] = {
        "malformed", "no-target", "not-controller", "no-cells",  "no-row",  "bad-line",
        "outside",   "wraps",     "loop",           "duplicate", "overlap", "missing",
        "bad-table", "too-deep",  "too-long",       "no-room",
    };
    return cause < HWTREE_CAUSES ? names[cause] : "?";
}

const char *hwtree_cause_text(enum hwtree_cause cause)
{
    static const char *const texts[HWTREE_CAUSES] = {
        [HWTREE_MALFORMED] = "has a length or a value that it cannot have",
        [HWTREE_NO_TARGET] = "names a node that is not there",
        [HWTREE_NOT_CONTROLLER] = "leads to a node that takes no interrupts",
        [HWTREE_NO_CELLS] = "cannot be read: the number of cells is missing or makes no sense",
        [HWTREE_NO_ROW] = "is in no row of the map",
        [HWTREE_BAD_LINE] = "is a line that the controller does not have",
        [HWTREE_OUTSIDE] = "is covered by no range of a bus above",
        [HWTREE_WRAPS] = "runs over the end of the address space",
        [HWTREE_LOOP] = "leads in a circle",
        [HWTREE_DUPLICATE] = "says the same as another node",
        [HWTREE_OVERLAP] = "overlaps another one",
        [HWTREE_MISSING] = "is missing",
        [HWTREE_BAD_TABLE] = "has a wrong length or sum",
        [HWTREE_TOO_DEEP] = "is too deep in the tree",
        [HWTREE_TOO_LONG] = "would take too long to read",
        [HWTREE_NO_ROOM] = "has no room in the block",
    };
    return cause < HWTREE_CAUSES ? texts[cause] : "?";
}

const char *hwtree_kind_name(enum hwtree_kind kind)
{
    static const char *const names[HWTREE_KINDS] = {
        "device", "cpu",     "memory",   "reserved-memory", "interrupt-controller",
        "timer",  "console", "pci-host", "pci-function",    "iommu",
    };
    return kind < HWTREE_KINDS ? names[kind] : "?";
}
