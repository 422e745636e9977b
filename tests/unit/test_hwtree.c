// SPDX-License-Identifier: MIT
//
// The hardware tree itself: building, finding one's way, printing, comparing; and the checker, which
// is given blocks that are wrong in one place, and then blocks that are damaged at random: what it
// lets through can be read and printed.
#include <hwtree/builder.h>
#include <hwtree/text.h>
#include <stdint.h>

#include "test.h"

constexpr size_t BYTES = 64 * 1024;

static uint64_t memory[BYTES / 8];
static struct hwtree_builder builder;
static struct hwtree *tree;
static size_t tree_bytes;

// A controller, a bus with two devices, a CPU, a PCI host.
static void make_sample(void)
{
    const char *why = "";
    EXPECT(hwtree_begin(&builder, memory, BYTES, HWTREE_ACPI));
    tree = builder.tree;
    EXPECT(hwtree_add_node(&builder, HWTREE_NONE, "", 0) == 0);
    uint32_t controller = hwtree_add_named(&builder, 0, "gic@%x", 0x1000);
    hwtree_edit(&builder, controller)->kind = HWTREE_CONTROLLER;
    hwtree_edit(&builder, controller)->controller = (struct hwtree_controller){
        .variant = HWTREE_CONTROLLER_GICV3, .id = HWTREE_NONE, .gic_lines = 1};
    uint32_t bus = hwtree_add_named(&builder, 0, "bus");
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t device = hwtree_add_named(&builder, bus, "dev@%x", i);
        hwtree_add_compatible(&builder, device, "first", 5);
        hwtree_add_compatible(&builder, device, "se\"cond", 7);
        struct hwtree_range range = {.base = 0x1'0000'0000 + 0x1000 * i, .bytes = 0x1000};
        struct hwtree_interrupt interrupt = {.line = 33 + i,
                                             .controller = controller,
                                             .trigger = HWTREE_TRIGGER_LEVEL,
                                             .polarity = HWTREE_POLARITY_HIGH};
        hwtree_add_range(&builder, device, &range, "reg");
        hwtree_add_interrupt(&builder, device, &interrupt);
    }
    uint32_t cpu = hwtree_add_named(&builder, 0, "cpu@0");
    hwtree_edit(&builder, cpu)->kind = HWTREE_CPU;
    uint32_t host = hwtree_add_named(&builder, 0, "pci@0");
    hwtree_edit(&builder, host)->kind = HWTREE_PCI_HOST;
    hwtree_add_window(&builder, host, &(struct hwtree_window){.bus = 1, .cpu = 2, .bytes = 3});
    struct hwtree_route route = {0x800, 1, {.line = 40, .controller = controller}};
    struct hwtree_id id = {
        .target = controller, .input = 16, .input_mask = 0xffff, .count = 16, .output = 0x100};
    hwtree_add_route(&builder, host, &route);
    hwtree_add_id(&builder, host, &id);
    hwtree_add_dma(&builder, host, &(struct hwtree_dma){.device = 0, .cpu = 0x1000, .bytes = 16});
    hwtree_add_alias(&builder, "serial0", bus);
    hwtree_add_distance(&builder, 0, 1, 20);
    hwtree_problem(&builder, bus, HWTREE_OUTSIDE, "reg", 7);
    tree->console = bus + 1;
    tree->controller = controller;
    tree_bytes = hwtree_finish(&builder);
    EXPECT_NOTE(hwtree_check(tree, tree_bytes, &why), "%s", why);
}

// ---- building

TEST(a_tree_is_read_as_it_was_built)
{
    make_sample();
    uint32_t dev = hwtree_find(tree, "/bus/dev@1", 10);
    EXPECT(dev == 4 && hwtree_find(tree, "/bus/dev", 8) == 3);
    EXPECT(hwtree_find(tree, "/bus/de", 7) == HWTREE_NONE &&
           hwtree_find(tree, "bus", 3) == HWTREE_NONE);
    EXPECT(hwtree_child(tree, 2, "dev@1") == dev && hwtree_child(tree, 2, "dev") == HWTREE_NONE);
    EXPECT(hwtree_range(tree, dev, 0)->base == 0x1'0000'1000);
    EXPECT(hwtree_interrupt(tree, dev, 0)->line == 34);
    EXPECT(strcmp(hwtree_compatible_at(tree, dev, 1), "se\"cond") == 0);
    EXPECT(hwtree_is_compatible(tree, dev, "first") && !hwtree_is_compatible(tree, dev, "firs"));
    EXPECT(hwtree_compatible(tree, HWTREE_NONE, "first") == 3 &&
           hwtree_compatible(tree, 3, "first") == 4);
    EXPECT(hwtree_depth(tree, dev) == 2 && hwtree_depth(tree, 0) == 0);
    static const uint32_t order[] = {0, 1, 2, 3, 4, 5, 6, HWTREE_NONE};
    for (unsigned i = 0; i + 1 < 8; i++)
        EXPECT(hwtree_next(tree, order[i]) == order[i + 1]);
    char path[HWTREE_PATH_BYTES];
    hwtree_path(tree, dev, path, sizeof(path));
    EXPECT(strcmp(path, "/bus/dev@1") == 0);
    hwtree_path(tree, dev, path, 7);
    EXPECT(strcmp(path, "/bus/d") == 0);
    hwtree_path(tree, 0, path, sizeof(path));
    EXPECT(strcmp(path, "/") == 0);
}

TEST(ids_are_mapped_for_functions)
{
    make_sample();
    // The sample again, with a function below the host.
    EXPECT(hwtree_begin(&builder, memory, BYTES, HWTREE_ACPI));
    (void)hwtree_add_node(&builder, HWTREE_NONE, "", 0);
    uint32_t host = hwtree_add_named(&builder, 0, "pci"), target, id;
    uint32_t bridge = hwtree_add_named(&builder, host, "bridge");
    uint32_t function = hwtree_add_named(&builder, bridge, "function");
    hwtree_edit(&builder, host)->kind = HWTREE_PCI_HOST;
    hwtree_edit(&builder, function)->kind = HWTREE_PCI_FUNCTION;
    struct hwtree_id row = {
        .target = bridge, .input = 16, .input_mask = 0xff, .count = 16, .output = 0x100};
    hwtree_add_id(&builder, host, &row);
    static const struct {
        uint16_t requester;
        bool known;
        uint32_t id;
    } cases[] = {{15, false, 0}, {16, true, 0x100}, {0x31f, true, 0x10f}, {32, false, 0}};
    for (unsigned i = 0; i < 4; i++) {
        hwtree_edit(&builder, function)->pci_function.requester = cases[i].requester;
        bool known = hwtree_device_id(builder.tree, function, HWTREE_ID_MSI, &target, &id);
        EXPECT(known == cases[i].known && (!known || (target == bridge && id == cases[i].id)));
        EXPECT(!hwtree_device_id(builder.tree, function, HWTREE_ID_IOMMU, &target, &id));
    }
}

TEST(what_does_not_fit_is_counted)
{
    EXPECT(!hwtree_begin(&builder, memory, HWTREE_BYTES_MIN - 1, HWTREE_ACPI));
    EXPECT(hwtree_begin(&builder, memory, HWTREE_BYTES_MIN, HWTREE_ACPI));
    const char *why = "";
    tree = builder.tree;
    unsigned nodes = 0;
    while (hwtree_add_named(&builder, 0, "n") != HWTREE_NONE)
        nodes++;
    for (unsigned i = 0; i < 1000; i++) {
        struct hwtree_range range = {.base = i, .bytes = 1};
        hwtree_add_range(&builder, i % nodes, &range, "reg"); // lists that move all the time
        hwtree_problem(&builder, 0, HWTREE_LOOP, "x", i);
    }
    EXPECT(nodes > 20 && tree->problems[HWTREE_NO_ROOM] > 0);
    EXPECT(tree->problems[HWTREE_LOOP] == 1000 && hwtree_count(tree, HWTREE_PROBLEMS) < 1000);
    EXPECT_NOTE(hwtree_check(tree, hwtree_finish(&builder), &why), "%s", why);
    EXPECT(hwtree_range(tree, 3, 0)->base == 3);
}

TEST(lists_that_move_stay_whole)
{
    EXPECT(hwtree_begin(&builder, memory, BYTES, HWTREE_ACPI));
    (void)hwtree_add_node(&builder, HWTREE_NONE, "", 0);
    (void)hwtree_add_named(&builder, 0, "n");
    for (uint64_t i = 0; i < 10; i++)
        for (uint32_t node = 0; node < 2; node++)
            hwtree_add_range(&builder, node,
                             &(struct hwtree_range){.base = 100 * node + i, .bytes = 1}, "reg");
    for (uint32_t node = 0; node < 2; node++)
        for (uint32_t i = 0; i < 10; i++)
            EXPECT(hwtree_range(builder.tree, node, i)->base == 100 * node + i);
}

TEST(names_can_be_added_later)
{
    const char *why = "";
    EXPECT(hwtree_begin(&builder, memory, BYTES, HWTREE_ACPI));
    tree = builder.tree;
    (void)hwtree_add_node(&builder, HWTREE_NONE, "", 0);
    uint32_t first = hwtree_add_named(&builder, 0, "first");
    hwtree_add_compatible(&builder, first, "one", 3);
    uint32_t second = hwtree_add_named(&builder, 0, "second");
    hwtree_add_compatible(&builder, first, "two", 3);
    hwtree_add_compatible(&builder, second, "other", 5);
    hwtree_add_compatible(&builder, first, "three", 5);
    EXPECT(hwtree_node(tree, first)->compatible.count == 3);
    EXPECT(strcmp(hwtree_compatible_at(tree, first, 0), "one") == 0);
    EXPECT(strcmp(hwtree_compatible_at(tree, first, 1), "two") == 0);
    EXPECT(strcmp(hwtree_compatible_at(tree, first, 2), "three") == 0);
    EXPECT(hwtree_node(tree, second)->compatible.count == 1);
    EXPECT(hwtree_is_compatible(tree, second, "other"));
    // Without room nothing changes, and it is counted.
    char filler[64];
    memset(filler, 'x', sizeof(filler));
    while (tree->problems[HWTREE_NO_ROOM] == 0)
        (void)hwtree_add_text(&builder, filler, sizeof(filler));
    hwtree_add_compatible(&builder, first, filler, sizeof(filler));
    EXPECT(hwtree_node(tree, first)->compatible.count == 3 && tree->problems[HWTREE_NO_ROOM] == 2);
    EXPECT(strcmp(hwtree_compatible_at(tree, first, 2), "three") == 0);
    EXPECT_NOTE(hwtree_check(tree, hwtree_finish(&builder), &why), "%s", why);
}

TEST(names_that_are_none_are_mended)
{
    EXPECT(hwtree_begin(&builder, memory, BYTES, HWTREE_ACPI));
    (void)hwtree_add_node(&builder, HWTREE_NONE, "", 0);
    uint32_t node = hwtree_add_node(&builder, 0, "a/b\x80 c", 7);
    EXPECT(strcmp(hwtree_name(builder.tree, node), "a_b__c") == 0);
    EXPECT(builder.tree->problems[HWTREE_MALFORMED] == 1);
    hwtree_add_range(&builder, node, &(struct hwtree_range){.base = UINT64_MAX, .bytes = 1}, "reg");
    EXPECT(builder.tree->problems[HWTREE_WRAPS] == 0); // the last byte of all
    hwtree_add_range(&builder, node, &(struct hwtree_range){.base = UINT64_MAX, .bytes = 2}, "reg");
    EXPECT(builder.tree->problems[HWTREE_WRAPS] == 1 &&
           hwtree_node(builder.tree, node)->ranges.count == 1);
}

// ---- text

struct text {
    struct hwtree_output output;
    char text[16384];
    size_t length;
};

static void gather(struct hwtree_output *output, const char *text, size_t length)
{
    struct text *to = (struct text *)(void *)output;
    for (size_t i = 0; i < length; i++, to->length++)
        if (to->length < sizeof(to->text) - 1)
            to->text[to->length] = text[i];
    to->text[to->length < sizeof(to->text) ? to->length : sizeof(to->text) - 1] = 0;
}

static struct text out;

static const char *printed(void)
{
    out = (struct text){.output = {gather}};
    hwtree_print(tree, &out.output);
    return out.text;
}

TEST(a_tree_is_printed)
{
    make_sample();
    EXPECT_NOTE(strcmp(printed(), "/dts-v1/;\n"
                                  "\n"
                                  "/ {\n"
                                  "\t#address-cells = <2>;\n"
                                  "\t#size-cells = <2>;\n"
                                  "\tskerry,console = \"/bus/dev@0\";\n"
                                  "\tskerry,interrupts-end-at = \"/gic@1000\";\n"
                                  "\tskerry,distances = <0x0 0x1 0x14>;\n"
                                  "\tgic@1000 {\n"
                                  "\t\tskerry,kind = \"interrupt-controller\";\n"
                                  "\t\tinterrupt-controller;\n"
                                  "\t\t#interrupt-cells = <3>;\n"
                                  "\t\tskerry,variant = \"gicv3\";\n"
                                  "\t};\n"
                                  "\tbus {\n"
                                  "\t\t#address-cells = <2>;\n"
                                  "\t\t#size-cells = <2>;\n"
                                  "\t\tranges;\n"
                                  "\t\tdev@0 {\n"
                                  "\t\t\tcompatible = \"first\", \"se\\x22cond\";\n"
                                  "\t\t\treg = <0x1 0x0 0x0 0x1000>;\n"
                                  "\t\t\tinterrupts-extended = <&{/gic@1000} 0 1 4>;\n"
                                  "\t\t};\n"
                                  "\t\tdev@1 {\n"
                                  "\t\t\tcompatible = \"first\", \"se\\x22cond\";\n"
                                  "\t\t\treg = <0x1 0x1000 0x0 0x1000>;\n"
                                  "\t\t\tinterrupts-extended = <&{/gic@1000} 0 2 4>;\n"
                                  "\t\t};\n"
                                  "\t};\n"
                                  "\tcpu@0 {\n"
                                  "\t\tskerry,kind = \"cpu\";\n"
                                  "\t\tdevice_type = \"cpu\";\n"
                                  "\t\tskerry,id = <0x0 0x0>;\n"
                                  "\t\tskerry,uid = <0x0>;\n"
                                  "\t\tskerry,socket = <0x0>;\n"
                                  "\t\tskerry,cluster = <0x0>;\n"
                                  "\t\tskerry,core = <0x0>;\n"
                                  "\t\tskerry,thread = <0x0>;\n"
                                  "\t};\n"
                                  "\tpci@0 {\n"
                                  "\t\tskerry,kind = \"pci-host\";\n"
                                  "\t\tbus-range = <0x0 0x0>;\n"
                                  "\t\tlinux,pci-domain = <0x0>;\n"
                                  "\t\tskerry,windows = <0x2000000 0x0 0x1 0x0 0x2 0x0 0x3>;\n"
                                  "\t\tskerry,route-mask = <0x0 0x0>;\n"
                                  "\t\tskerry,routes = <0x800 0x1 &{/gic@1000} 0 8 0>;\n"
                                  "\t\tskerry,msi = <0x10 0xffff 0x10 &{/gic@1000} 0x100 0x0>;\n"
                                  "\t};\n"
                                  "};\n") == 0,
                "%s", out.text);
    out = (struct text){.output = {gather}};
    hwtree_print_problems(tree, &out.output);
    EXPECT(strcmp(out.text, "/bus: reg [7]: is covered by no range of a bus above\n") == 0);
    out = (struct text){.output = {gather}};
    hwtree_print_summary(tree, &out.output);
    EXPECT(strstr(out.text, "cpus: 1\nmemory: none\ncontroller: /gic@1000 gicv3\n") != nullptr);
    EXPECT(strstr(out.text, "interrupts: 2 and 1 routes\nunresolved: outside 1\n") != nullptr);
}

// Each of the four kinds of lines that a GIC has, as its binding has them.
TEST(lines_of_a_gic_are_printed)
{
    static const struct {
        uint64_t line;
        const char *cells;
    } cases[] = {{16, " 1 0 4>"},     {31, " 1 15 4>"},     {32, " 0 0 4>"},
                 {1019, " 0 987 4>"}, {1056, " 3 0 4>"},    {1119, " 3 63 4>"},
                 {4096, " 2 0 4>"},   {5119, " 2 1023 4>"}, {3, " 0x0 0x3 4>"}};
    for (unsigned i = 0; i < 9; i++) {
        make_sample();
        ((struct hwtree_interrupt *)(uintptr_t)hwtree_interrupt(tree, 3, 0))->line = cases[i].line;
        EXPECT_NOTE(strstr(printed(), cases[i].cells) != nullptr, "%lu", cases[i].line);
    }
}

TEST(differences_are_told)
{
    static uint64_t other_memory[BYTES / 8];
    static char work[8192];
    make_sample();
    memcpy(other_memory, memory, tree_bytes);
    struct hwtree *other = (struct hwtree *)other_memory;
    out = (struct text){.output = {gather}};
    EXPECT(hwtree_print_differences(tree, other, work, sizeof(work), &out.output) == 0);
    EXPECT(out.length == 0);
    // Another register, another name, a line that is gone.
    ((struct hwtree_range *)(uintptr_t)hwtree_range(other, 4, 0))->base += 0x100;
    ((char *)(uintptr_t)hwtree_name(other, 5))[4] = '1';
    ((struct hwtree_node *)(uintptr_t)hwtree_node(other, 3))->interrupts.count = 0;
    uint32_t count = hwtree_print_differences(tree, other, work, sizeof(work), &out.output);
    EXPECT_NOTE(count == 4 &&
                    strcmp(out.text, "- /cpu@0\n"
                                     "+ /cpu@1\n"
                                     "- /bus/dev@0: interrupts-extended = <&{/gic@1000} 0 1 4>;\n"
                                     "~ /bus/dev@1: reg = <0x1 0x1000 0x0 0x1000>; | "
                                     "<0x1 0x1100 0x0 0x1000>;\n") == 0,
                "%u\n%s", count, out.text);
    EXPECT(hwtree_print_differences(tree, other, work, 8 * 4, &out.output) == UINT32_MAX);
}

// The second tree calls the bus and what is on it otherwise: names are free where registers are the same.
TEST(nodes_are_paired_by_their_registers)
{
    static uint64_t other_memory[BYTES / 8];
    static char work[8192];
    make_sample();
    memcpy(other_memory, memory, tree_bytes);
    struct hwtree *other = (struct hwtree *)other_memory;
    memcpy((char *)(uintptr_t)hwtree_name(other, 3), "vid@0", 5);
    ((struct hwtree_node *)(uintptr_t)hwtree_node(other, 3))->numa = 1;
    out = (struct text){.output = {gather}};
    EXPECT(hwtree_print_differences(tree, other, work, sizeof(work), &out.output) == 1);
    EXPECT_NOTE(strcmp(out.text, "+ /bus/dev@0: numa-node-id = <0x1>;\n") == 0, "%s", out.text);
    // Without registers that say so they are two nodes, of which one is gone.
    ((struct hwtree_node *)(uintptr_t)hwtree_node(other, 3))->ranges.count = 0;
    out = (struct text){.output = {gather}};
    EXPECT(hwtree_print_differences(tree, other, work, sizeof(work), &out.output) == 3);
    EXPECT_NOTE(strstr(out.text, "- /bus/dev@0\n+ /bus/vid@0\n") != nullptr, "%s", out.text);
}

TEST(neighbours_with_one_difference_are_one_line)
{
    static uint64_t other_memory[BYTES / 8];
    static char work[8192];
    make_sample();
    memcpy(other_memory, memory, tree_bytes);
    struct hwtree *other = (struct hwtree *)other_memory;
    for (uint32_t i = 3; i <= 4; i++) {
        struct hwtree_interrupt *line =
            (struct hwtree_interrupt *)(uintptr_t)hwtree_interrupt(other, i, 0);
        line->trigger = HWTREE_TRIGGER_EDGE;
        ((struct hwtree_node *)(uintptr_t)hwtree_node(other, i))->compatible.count = 0;
    }
    out = (struct text){.output = {gather}};
    uint32_t count = hwtree_print_differences(tree, other, work, sizeof(work), &out.output);
    EXPECT_NOTE(count == 2 &&
                    strcmp(out.text, "- /bus/dev@0 (and 1 like it): compatible = \"first\", "
                                     "\"se\\x22cond\";\n"
                                     "~ /bus/dev@0 (and 1 like it): interrupts-extended = "
                                     "<&{/gic@1000} 0 1 4>; | <&{/gic@1000} 0 1 1>;\n") == 0,
                "%u\n%s", count, out.text);
    // What they differ by is not the same.
    ((struct hwtree_interrupt *)(uintptr_t)hwtree_interrupt(other, 4, 0))->trigger =
        HWTREE_TRIGGER_UNKNOWN;
    out = (struct text){.output = {gather}};
    EXPECT(hwtree_print_differences(tree, other, work, sizeof(work), &out.output) == 3);
}

// ---- the checker

static bool check(void)
{
    const char *why = nullptr;
    bool sound = hwtree_check(tree, tree_bytes, &why);
    EXPECT(sound == (why == nullptr));
    return sound;
}

static struct hwtree_node *edit(uint32_t node)
{
    return hwtree_edit(&builder, node);
}

static void *at(enum hwtree_section section)
{
    return (char *)tree + tree->sections[section].first;
}

// Each statement makes a sound tree wrong.
#define EXPECT_WRONG(change)        \
    do {                            \
        make_sample();              \
        change;                     \
        EXPECT_NOTE(!check(), "x"); \
    } while (0)

TEST(the_checker_looks_at_the_frame)
{
    make_sample();
    const char *why;
    EXPECT(!hwtree_check(tree, tree_bytes - 1, &why) && !hwtree_check(tree, 8, &why));
    EXPECT(!hwtree_check((char *)tree + 4, tree_bytes - 4, &why));
    EXPECT_WRONG(tree->magic++);
    EXPECT_WRONG(tree->version++);
    EXPECT_WRONG(tree->header_bytes -= 8);
    EXPECT_WRONG(tree->bytes -= 4);
    EXPECT_WRONG(tree->bytes += 8);
    EXPECT_WRONG(tree->origin = HWTREE_ORIGINS);
    EXPECT_WRONG(tree->console = hwtree_count(tree, HWTREE_NODES));
    EXPECT_WRONG(tree->controller = 1000);
    EXPECT_WRONG(tree->sections[HWTREE_NODES].count = 0);
    for (unsigned s = 0; s < HWTREE_SECTIONS; s++) {
        EXPECT_WRONG(tree->sections[s].first = tree->bytes + 8);
        EXPECT_WRONG(tree->sections[s].first += 4);
        EXPECT_WRONG(tree->sections[s].first = 0);
        EXPECT_WRONG(tree->sections[s].count = UINT32_MAX);
    }
    EXPECT_WRONG(((char *)at(HWTREE_TEXT))[0] = 'x');
    EXPECT_WRONG(((char *)at(HWTREE_TEXT))[tree->sections[HWTREE_TEXT].count - 1] = 'x');
}

TEST(the_checker_looks_at_nodes)
{
    EXPECT_WRONG(edit(0)->parent = 0);
    EXPECT_WRONG(edit(0)->next = 1);
    EXPECT_WRONG(edit(3)->parent = 3);
    EXPECT_WRONG(edit(3)->parent = 1); // is in another list
    EXPECT_WRONG(edit(1)->next = 5);   // the bus is in none
    EXPECT_WRONG(edit(6)->next = 1);   // round and round
    EXPECT_WRONG(edit(2)->first_child = 2);
    EXPECT_WRONG(edit(2)->first_child = HWTREE_NONE);
    EXPECT_WRONG(edit(6)->next = 7);
    EXPECT_WRONG(edit(1)->name = hwtree_count(tree, HWTREE_TEXT));
    EXPECT_WRONG(((char *)at(HWTREE_TEXT))[edit(1)->name] = '\n');
    EXPECT_WRONG(((char *)at(HWTREE_TEXT))[edit(1)->name + 2] = '/');
    EXPECT_WRONG(edit(3)->compatible.first = hwtree_count(tree, HWTREE_TEXT));
    EXPECT_WRONG(edit(3)->compatible.count = 100);
    EXPECT_WRONG((edit(3)->compatible = (struct hwtree_span){1, 9},
                  edit(4)->compatible = edit(3)->compatible)); // the same texts again and again
    EXPECT_WRONG(edit(3)->ranges.count++; edit(3)->ranges.first++);
    EXPECT_WRONG(edit(3)->interrupts.first = 2);
    EXPECT_WRONG(edit(6)->dma.count = 2);
    EXPECT_WRONG(edit(6)->ids.first = 1);
    EXPECT_WRONG(edit(6)->interrupt_parent = 7);
    EXPECT_WRONG(edit(6)->kind = HWTREE_KINDS);
    EXPECT_WRONG(edit(6)->status = HWTREE_STATUSES);
    EXPECT_WRONG(edit(6)->flags = 8);
    EXPECT_WRONG(edit(1)->controller.variant = HWTREE_CONTROLLER_VARIANTS);
    EXPECT_WRONG(edit(5)->cpu.method = HWTREE_METHODS);
    EXPECT_WRONG(edit(5)->cpu.method_name = hwtree_count(tree, HWTREE_TEXT));
    EXPECT_WRONG(edit(6)->pci_host.windows.count = 2);
    EXPECT_WRONG(edit(6)->pci_host.routes.first = 1);
    EXPECT_WRONG(edit(6)->pci_host.first_bus = 1);
    EXPECT_WRONG(edit(6)->pci_host.ecam = 1); // without a range
    EXPECT_WRONG(edit(6)->pci_host.ecam = 2);
    EXPECT_WRONG((edit(6)->kind = HWTREE_TIMER, edit(6)->timer.variant = HWTREE_TIMER_VARIANTS));
    EXPECT_WRONG((edit(6)->kind = HWTREE_IOMMU, edit(6)->iommu.variant = HWTREE_IOMMU_VARIANTS));
    EXPECT_WRONG((edit(6)->kind = HWTREE_CONSOLE, edit(6)->console.options = UINT32_MAX));
}

TEST(the_checker_looks_at_lists)
{
    EXPECT_WRONG(((struct hwtree_range *)at(HWTREE_RANGES))->bytes = UINT64_MAX);
    EXPECT_WRONG(((struct hwtree_range *)at(HWTREE_RANGES))->space = HWTREE_SPACES);
    EXPECT_WRONG(((struct hwtree_range *)at(HWTREE_RANGES))->name = UINT32_MAX);
    EXPECT_WRONG(((struct hwtree_interrupt *)at(HWTREE_INTERRUPTS))->controller = 7);
    EXPECT_WRONG(((struct hwtree_interrupt *)at(HWTREE_INTERRUPTS))->name = UINT32_MAX);
    EXPECT_WRONG(((struct hwtree_interrupt *)at(HWTREE_INTERRUPTS))->trigger = HWTREE_TRIGGERS);
    EXPECT_WRONG(((struct hwtree_interrupt *)at(HWTREE_INTERRUPTS))->polarity = HWTREE_POLARITIES);
    EXPECT_WRONG(((struct hwtree_dma *)at(HWTREE_DMA))->cpu = UINT64_MAX - 3);
    EXPECT_WRONG(((struct hwtree_dma *)at(HWTREE_DMA))->device = UINT64_MAX - 3);
    EXPECT_WRONG(((struct hwtree_id *)at(HWTREE_IDS))->target = 7);
    EXPECT_WRONG(((struct hwtree_id *)at(HWTREE_IDS))->kind = HWTREE_ID_KINDS);
    EXPECT_WRONG(((struct hwtree_id *)at(HWTREE_IDS))->count = 0);
    EXPECT_WRONG(((struct hwtree_id *)at(HWTREE_IDS))->input = UINT32_MAX);
    EXPECT_WRONG(((struct hwtree_id *)at(HWTREE_IDS))->output = UINT32_MAX);
    EXPECT_WRONG(((struct hwtree_window *)at(HWTREE_WINDOWS))->bus = UINT64_MAX);
    EXPECT_WRONG(((struct hwtree_window *)at(HWTREE_WINDOWS))->cpu = UINT64_MAX);
    EXPECT_WRONG(((struct hwtree_window *)at(HWTREE_WINDOWS))->space = HWTREE_SPACES);
    EXPECT_WRONG(((struct hwtree_window *)at(HWTREE_WINDOWS))->io = 2);
    EXPECT_WRONG(((struct hwtree_window *)at(HWTREE_WINDOWS))->wide = 2);
    EXPECT_WRONG(((struct hwtree_route *)at(HWTREE_ROUTES))->interrupt.controller = 7);
    EXPECT_WRONG(((struct hwtree_alias *)at(HWTREE_ALIASES))->node = 7);
    EXPECT_WRONG(((struct hwtree_alias *)at(HWTREE_ALIASES))->name = UINT32_MAX);
    EXPECT_WRONG(((struct hwtree_problem *)at(HWTREE_PROBLEMS))->cause = HWTREE_CAUSES);
    EXPECT_WRONG(((struct hwtree_problem *)at(HWTREE_PROBLEMS))->node = 7);
    EXPECT_WRONG(((struct hwtree_problem *)at(HWTREE_PROBLEMS))->property = UINT32_MAX);
}

TEST(the_checker_looks_at_depth)
{
    const char *why = "";
    for (unsigned depth = HWTREE_DEPTH_MAX - 1; depth <= HWTREE_DEPTH_MAX; depth++) {
        EXPECT(hwtree_begin(&builder, memory, BYTES, HWTREE_ACPI));
        uint32_t node = HWTREE_NONE;
        for (unsigned i = 0; i <= depth - 0; i++)
            node = hwtree_add_named(&builder, node, "n");
        bool sound = hwtree_check(builder.tree, hwtree_finish(&builder), &why);
        EXPECT_NOTE(sound == (depth < HWTREE_DEPTH_MAX), "%u %s", depth, why);
    }
}

TEST(the_checker_looks_at_names)
{
    const char *why = "";
    EXPECT(hwtree_begin(&builder, memory, BYTES, HWTREE_ACPI));
    uint32_t root = hwtree_add_named(&builder, HWTREE_NONE, "");
    uint32_t first = hwtree_add_named(&builder, root, "a-name-of-which-there-is-one");
    for (unsigned i = 0; i < 20; i++)
        hwtree_add_named(&builder, root, "n%u", i);
    size_t bytes = hwtree_finish(&builder);
    EXPECT_NOTE(hwtree_check(builder.tree, bytes, &why), "%s", why);
    for (uint32_t node = first + 1; node < first + 20; node++)
        edit(node)->name = edit(first)->name;
    EXPECT(!hwtree_check(builder.tree, bytes, &why) && strcmp(why, "T5: a name is none") == 0);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

// Everything that can be read of a tree, in a copy of exactly its length.
TEST(what_passes_the_checker_can_be_read)
{
    static char work[8192];
    unsigned passed = 0;
    const char *why;
    for (unsigned round = 0; round < 40'000; round++) {
        make_sample();
        uint8_t *copy = malloc(tree_bytes);
        memcpy(copy, tree, tree_bytes);
        for (unsigned n = 0; n <= round % 3; n++) {
            size_t where = random_next() % tree_bytes;
            copy[where] = round & 8 ? (uint8_t)random_next() : (uint8_t)(copy[where] + 1);
        }
        struct hwtree *damaged = (struct hwtree *)(void *)copy;
        if (hwtree_check(damaged, tree_bytes, &why)) {
            passed++;
            out = (struct text){.output = {gather}};
            hwtree_print(damaged, &out.output);
            hwtree_print_problems(damaged, &out.output);
            hwtree_print_summary(damaged, &out.output);
            (void)hwtree_print_differences(tree, damaged, work, sizeof(work), &out.output);
            for (uint32_t i = 0; i < hwtree_count(damaged, HWTREE_NODES); i++) {
                uint32_t target, id;
                (void)hwtree_device_id(damaged, i, HWTREE_ID_MSI, &target, &id);
                (void)hwtree_is_compatible(damaged, i, "first");
            }
        }
        free(copy);
    }
    EXPECT_NOTE(passed > 1000, "%u", passed);
}
