// SPDX-License-Identifier: MIT
//
// A hardware tree that follows another one (hwtree_copy): all of it is the same tree, and without
// some nodes it is a sound tree in which nothing refers to them.
#include <hwtree/builder.h>
#include <hwtree/text.h>
#include <stdint.h>

#include "test.h"

constexpr size_t BYTES = 64 * 1024;
constexpr uint32_t NODES = 16;

static uint64_t memory[2][BYTES / 8];
static struct hwtree_builder builder;
static uint32_t numbers[NODES];

// Two controllers, a bus with two devices, a CPU, a console, a PCI host; and what refers to them.
enum { ROOT, GIC, ITS, BUS, FIRST, SECOND, CPU, CONSOLE, HOST, NAMELESS, ALL };

static uint32_t add(uint32_t parent, const char *name, enum hwtree_kind kind)
{
    uint32_t node = hwtree_add_named(&builder, parent, "%s", name);
    hwtree_edit(&builder, node)->kind = kind;
    hwtree_add_compatible(&builder, node, "made", 4);
    hwtree_add_compatible(&builder, node, name, 32);
    return node;
}

static const struct hwtree *make_sample(void)
{
    EXPECT(hwtree_begin(&builder, memory[0], BYTES, HWTREE_ACPI));
    (void)hwtree_add_node(&builder, HWTREE_NONE, "", 0);
    EXPECT(add(ROOT, "gic@1000", HWTREE_CONTROLLER) == GIC);
    EXPECT(add(ROOT, "its@2000", HWTREE_CONTROLLER) == ITS);
    EXPECT(add(ROOT, "bus", HWTREE_DEVICE) == BUS);
    EXPECT(add(BUS, "dev@0", HWTREE_DEVICE) == FIRST);
    EXPECT(add(BUS, "dev@1", HWTREE_DEVICE) == SECOND);
    EXPECT(add(ROOT, "cpu@0", HWTREE_CPU) == CPU);
    EXPECT(add(ROOT, "uart@3000", HWTREE_CONSOLE) == CONSOLE);
    EXPECT(add(ROOT, "pci@4000", HWTREE_PCI_HOST) == HOST);
    hwtree_edit(&builder, GIC)->controller.variant = HWTREE_CONTROLLER_GICV3;
    hwtree_edit(&builder, ITS)->controller.variant = HWTREE_CONTROLLER_GIC_ITS;
    for (uint32_t node = BUS; node <= CONSOLE; node++) {
        hwtree_add_range(&builder, node,
                         &(struct hwtree_range){.base = 0x1'0000'0000 + 0x1000 * node,
                                                .bytes = 0x1000,
                                                .name = hwtree_add_text(&builder, "here", 4)},
                         "reg");
        hwtree_add_interrupt(
            &builder, node,
            &(struct hwtree_interrupt){.line = 32 + node,
                                       .controller = node == SECOND ? ITS : GIC,
                                       .name = hwtree_add_text(&builder, "rings", 5),
                                       .trigger = HWTREE_TRIGGER_LEVEL});
        hwtree_edit(&builder, node)->interrupt_parent = GIC;
    }
    hwtree_edit(&builder, SECOND)->status = HWTREE_DISABLED;
    hwtree_edit(&builder, SECOND)->flags = HWTREE_COHERENT;
    hwtree_edit(&builder, SECOND)->numa = 3;
    hwtree_edit(&builder, CPU)->cpu =
        (struct hwtree_cpu){.id = 7,
                            .method = HWTREE_OTHER_METHOD,
                            .method_name = hwtree_add_text(&builder, "by-hand", 7)};
    hwtree_edit(&builder, CONSOLE)->console.options = hwtree_add_text(&builder, "115200n8", 8);
    hwtree_add_dma(&builder, SECOND, &(struct hwtree_dma){.device = 0, .cpu = 0x1000, .bytes = 16});
    hwtree_edit(&builder, FIRST)->dma = hwtree_edit(&builder, SECOND)->dma; // they share it
    EXPECT(hwtree_add_node(&builder, ROOT, "", 0) == NAMELESS);             // a problem, once
    hwtree_add_window(&builder, HOST, &(struct hwtree_window){.bus = 1, .cpu = 2, .bytes = 3});
    for (uint32_t pin = 1; pin < 3; pin++)
        hwtree_add_route(&builder, HOST,
                         &(struct hwtree_route){0x800, pin, {.line = 40, .controller = pin}});
    hwtree_add_id(&builder, HOST, &(struct hwtree_id){.target = ITS, .count = 16, .output = 0x100});
    hwtree_add_alias(&builder, "serial0", CONSOLE);
    hwtree_add_alias(&builder, "other", SECOND);
    hwtree_add_distance(&builder, 0, 1, 20);
    hwtree_problem(&builder, SECOND, HWTREE_OUTSIDE, "reg", 7);
    builder.tree->console = CONSOLE;
    builder.tree->controller = GIC;
    (void)hwtree_finish(&builder);
    return builder.tree;
}

static bool keep_all_but(const struct hwtree *from, uint32_t node, void *context)
{
    EXPECT(node < hwtree_count(from, HWTREE_NODES));
    return node != *(uint32_t *)context;
}

static const struct hwtree *copy(const struct hwtree *from, uint32_t but)
{
    const char *why = "";
    EXPECT(hwtree_begin(&builder, memory[1], BYTES, from->origin));
    EXPECT(hwtree_copy(&builder, from, keep_all_but, &but, numbers));
    EXPECT_NOTE(hwtree_check(builder.tree, hwtree_finish(&builder), &why), "%s", why);
    return builder.tree;
}

// What both say, as text.
struct text {
    struct hwtree_output output;
    char text[BYTES];
    size_t used;
};

static void put(struct hwtree_output *output, const char *text, size_t length)
{
    struct text *t = (struct text *)output;
    EXPECT(t->used + length < sizeof(t->text));
    memcpy(t->text + t->used, text, length);
    t->used += length;
}

static const char *printed(struct text *text, const struct hwtree *tree)
{
    *text = (struct text){.output = {put}};
    hwtree_print(tree, &text->output);
    hwtree_print_problems(tree, &text->output);
    return text->text;
}

TEST(a_copy_is_the_same_tree)
{
    static struct text a, b;
    const struct hwtree *from = make_sample(), *made = copy(from, HWTREE_NONE);
    EXPECT(strcmp(printed(&a, from), printed(&b, made)) == 0);
    EXPECT(made->origin == from->origin && made->problems[HWTREE_OUTSIDE] == 1);
    EXPECT(made->problems[HWTREE_MALFORMED] == 1 && hwtree_count(made, HWTREE_DMA) == 1);
    EXPECT(made->console == CONSOLE && made->controller == GIC);
    for (uint32_t i = 0; i < ALL; i++) {
        EXPECT(numbers[i] == i && hwtree_node(made, i)->kind == hwtree_node(from, i)->kind);
        EXPECT(hwtree_node(made, i)->interrupt_parent == hwtree_node(from, i)->interrupt_parent);
    }
    EXPECT(hwtree_node(made, SECOND)->numa == 3);
    for (unsigned s = 0; s < HWTREE_TEXT; s++)
        EXPECT(hwtree_count(made, s) == hwtree_count(from, s));
    // What comes behind it is there, too.
    EXPECT(hwtree_begin(&builder, memory[1], BYTES, from->origin));
    uint32_t none = HWTREE_NONE;
    EXPECT(hwtree_copy(&builder, from, keep_all_but, &none, numbers));
    EXPECT(hwtree_add_named(&builder, HOST, "pci@01,00.0") == ALL);
    (void)hwtree_finish(&builder);
    EXPECT(hwtree_child(builder.tree, HOST, "pci@01,00.0") == ALL);
}

TEST(a_copy_without_a_node_is_sound)
{
    const struct hwtree *from = make_sample();
    for (uint32_t but = 1; but < ALL; but++) {
        const struct hwtree *made = copy(from, but);
        EXPECT(numbers[but] == HWTREE_NONE && numbers[ROOT] == ROOT);
        EXPECT(hwtree_child(made, 0, hwtree_name(from, but)) == HWTREE_NONE);
        EXPECT((made->controller == HWTREE_NONE) == (but == GIC));
        EXPECT((made->console == HWTREE_NONE) == (but == CONSOLE));
        if (but != BUS) // with what is below it
            EXPECT(hwtree_count(made, HWTREE_NODES) == ALL - 1);
        else
            EXPECT(numbers[FIRST] == HWTREE_NONE && hwtree_count(made, HWTREE_NODES) == ALL - 3);
        for (uint32_t i = 0; i < ALL; i++)
            if (numbers[i] != HWTREE_NONE)
                EXPECT(strcmp(hwtree_name(made, numbers[i]), hwtree_name(from, i)) == 0);
    }
    const struct hwtree *made = copy(from, ITS);
    EXPECT(hwtree_node(made, numbers[SECOND])->interrupts.count == 0);
    EXPECT(hwtree_node(made, numbers[FIRST])->interrupts.count == 1);
    EXPECT(hwtree_node(made, numbers[HOST])->pci_host.routes.count == 1);
    EXPECT(hwtree_node(made, numbers[HOST])->ids.count == 0);
    made = copy(from, SECOND);
    EXPECT(hwtree_count(made, HWTREE_ALIASES) == 1 && hwtree_count(made, HWTREE_PROBLEMS) == 1);
}

TEST(a_copy_that_does_not_fit_says_so)
{
    static uint64_t small[HWTREE_BYTES_MIN / 8];
    uint32_t none = HWTREE_NONE, nodes = 0;
    EXPECT(hwtree_begin(&builder, memory[0], BYTES, HWTREE_ACPI));
    (void)hwtree_add_node(&builder, HWTREE_NONE, "", 0);
    static uint32_t many[BYTES];
    while (hwtree_add_named(&builder, 0, "node@%x", nodes) != HWTREE_NONE)
        nodes++;
    (void)hwtree_finish(&builder);
    const struct hwtree *from = builder.tree;
    EXPECT(hwtree_begin(&builder, small, sizeof(small), HWTREE_ACPI));
    EXPECT(!hwtree_copy(&builder, from, keep_all_but, &none, many));
}
