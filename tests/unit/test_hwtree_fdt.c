// SPDX-License-Identifier: MIT
//
// The device tree front end of the hardware tree: small trees made here, one for each thing that
// has to be resolved and for each that cannot be; and the tree of QEMU's virt machine, whole and
// damaged. Each tree that comes out is held against the checker.
#include <hwtree/front.h>
#include <stdint.h>
#include <unistd.h>

#include "dt_maker.h"
#include "test.h"

constexpr size_t TREE_BYTES = 1u << 20;
constexpr uint32_t NODES = 8192;

static uint64_t memory[TREE_BYTES / 8];
static struct hwtree_fdt_node nodes[NODES];
static struct hwtree *tree;

// Reads a blob; whatever comes out is sound.
static bool read_blob(const void *blob, size_t bytes)
{
    struct hwtree_builder builder;
    const char *why = "";
    tree = (struct hwtree *)memory;
    EXPECT(hwtree_begin(&builder, memory, TREE_BYTES, HWTREE_DEVICE_TREE));
    if (!hwtree_read_fdt(&builder, blob, bytes, nodes, NODES, &why)) {
        EXPECT(why != nullptr);
        return false;
    }
    EXPECT_NOTE(hwtree_check(tree, hwtree_finish(&builder), &why), "%s", why);
    return true;
}

// ---- making trees: a root, a GIC, a CPU

constexpr uint32_t GIC = 1;

static struct dt_maker begin(void)
{
    struct dt_maker m = dt_make();
    dt_node(&m, "");
    DT_CELLS(&m, "#address-cells", 2);
    DT_CELLS(&m, "#size-cells", 2);
    DT_CELLS(&m, "interrupt-parent", GIC);
    dt_node(&m, "intc@8000000");
    dt_string(&m, "compatible", "arm,gic-v3");
    dt_prop(&m, "interrupt-controller", "", 0);
    DT_CELLS(&m, "#interrupt-cells", 3);
    DT_CELLS(&m, "reg", 0, 0x800'0000, 0, 0x1'0000, 0, 0x80a'0000, 0, 0x10'0000);
    DT_CELLS(&m, "phandle", GIC);
    dt_end(&m);
    dt_node(&m, "cpus");
    DT_CELLS(&m, "#address-cells", 1);
    DT_CELLS(&m, "#size-cells", 0);
    dt_node(&m, "cpu@0");
    dt_string(&m, "device_type", "cpu");
    DT_CELLS(&m, "reg", 0);
    DT_CELLS(&m, "phandle", 100);
    dt_end(&m);
    dt_end(&m);
    return m;
}

static void finish(struct dt_maker *m)
{
    dt_end(m);
    size_t bytes = dt_finish(m);
    EXPECT(read_blob(m->blob, bytes));
    free(m->blob);
}

static uint32_t find(const char *path)
{
    uint32_t node = hwtree_find(tree, path, strlen(path));
    EXPECT_NOTE(node != HWTREE_NONE, "%s", path);
    return node;
}

static uint32_t all_problems(void)
{
    uint32_t sum = 0;
    for (unsigned cause = 0; cause < HWTREE_CAUSES; cause++)
        sum += tree->problems[cause];
    return sum;
}

// There is exactly one problem: this one, there.
static void expect_problem(enum hwtree_cause cause, const char *path, const char *property,
                           uint32_t value)
{
    const struct hwtree_problem *problem = hwtree_at(tree, HWTREE_PROBLEMS);
    char where[HWTREE_PATH_BYTES];
    EXPECT_NOTE(all_problems() == 1 && hwtree_count(tree, HWTREE_PROBLEMS) == 1, "%u",
                all_problems());
    hwtree_path(tree, problem->node, where, sizeof(where));
    const char *name = hwtree_text(tree, problem->property);
    EXPECT_NOTE(problem->cause == cause && strcmp(where, path) == 0 &&
                    strcmp(name, property) == 0 && problem->value == value,
                "%s %s %s %u", hwtree_cause_name(problem->cause), where, name, problem->value);
}

static void expect_range(const char *path, uint32_t index, uint64_t base, uint64_t bytes,
                         enum hwtree_space space)
{
    uint32_t node = find(path);
    EXPECT_NOTE(index < hwtree_node(tree, node)->ranges.count, "%s", path);
    const struct hwtree_range *range = hwtree_range(tree, node, index);
    EXPECT_NOTE(range->base == base && range->bytes == bytes && range->space == space,
                "%s: %lx %lx %u", path, range->base, range->bytes, range->space);
}

static void expect_interrupt(const char *path, uint32_t index, const char *controller,
                             uint64_t line, enum hwtree_trigger trigger,
                             enum hwtree_polarity polarity)
{
    uint32_t node = find(path);
    EXPECT_NOTE(index < hwtree_node(tree, node)->interrupts.count, "%s", path);
    const struct hwtree_interrupt *interrupt = hwtree_interrupt(tree, node, index);
    EXPECT_NOTE(interrupt->line == line && interrupt->controller == find(controller) &&
                    interrupt->trigger == trigger && interrupt->polarity == polarity,
                "%s: line %lu", path, interrupt->line);
}

// ---- registers

TEST(registers_through_every_bus)
{
    struct dt_maker m = begin();
    dt_node(&m, "soc");
    DT_CELLS(&m, "#address-cells", 1);
    DT_CELLS(&m, "#size-cells", 1);
    DT_CELLS(&m, "ranges", 0, 0x10, 0, 0x1000'0000, 0x4000'0000, 0x20, 0, 0x1000'0000);
    dt_node(&m, "bus@2000");
    DT_CELLS(&m, "#address-cells", 2); // a chip select and an offset
    DT_CELLS(&m, "#size-cells", 1);
    DT_CELLS(&m, "ranges", 0, 0, 0x100'0000, 0x1000, 1, 0, 0x4000'0000, 0x10'0000);
    dt_node(&m, "dev@1,80");
    DT_CELLS(&m, "reg", 1, 0x80, 0x10, 0, 0xff0, 0x10);
    dt_prop(&m, "reg-names", "one\0two", 8);
    dt_end(&m);
    dt_node(&m, "beyond@0,ff1");
    DT_CELLS(&m, "reg", 0, 0xff1, 0x10);
    dt_end(&m);
    dt_end(&m);
    dt_node(&m, "same");
    DT_CELLS(&m, "#address-cells", 1);
    DT_CELLS(&m, "#size-cells", 1);
    dt_prop(&m, "ranges", "", 0);
    dt_node(&m, "dev@42");
    DT_CELLS(&m, "reg", 0x42, 1, 0, 0);
    dt_end(&m);
    dt_end(&m);
    dt_node(&m, "local"); // no ranges: the CPU does not address what is behind it
    DT_CELLS(&m, "#address-cells", 1);
    DT_CELLS(&m, "#size-cells", 1);
    dt_node(&m, "dev@60");
    DT_CELLS(&m, "reg", 0x60, 4);
    dt_end(&m);
    dt_end(&m);
    dt_node(&m, "i2c@100");
    DT_CELLS(&m, "reg", 0x100, 0x100);
    DT_CELLS(&m, "#address-cells", 1);
    DT_CELLS(&m, "#size-cells", 0);
    dt_node(&m, "eeprom@50");
    DT_CELLS(&m, "reg", 0x50);
    dt_end(&m);
    dt_end(&m);
    dt_end(&m);
    finish(&m);
    expect_range("/soc/bus@2000/dev@1,80", 0, 0x20'0000'0080, 0x10, HWTREE_SPACE_MEMORY);
    expect_range("/soc/bus@2000/dev@1,80", 1, 0x10'0100'0ff0, 0x10, HWTREE_SPACE_MEMORY);
    EXPECT(strcmp(hwtree_text(tree, hwtree_range(tree, find("/soc/bus@2000/dev@1,80"), 1)->name),
                  "two") == 0);
    expect_range("/soc/same/dev@42", 0, 0x10'0000'0042, 1, HWTREE_SPACE_MEMORY);
    EXPECT(hwtree_node(tree, find("/soc/same/dev@42"))->ranges.count ==
           1); // the other is kept free
    expect_range("/soc/local/dev@60", 0, 0x60, 4, HWTREE_SPACE_BUS);
    expect_range("/soc/i2c@100", 0, 0x10'0000'0100, 0x100, HWTREE_SPACE_MEMORY);
    expect_range("/soc/i2c@100/eeprom@50", 0, 0x50, 0, HWTREE_SPACE_BUS);
    expect_problem(HWTREE_OUTSIDE, "/soc/bus@2000/beyond@0,ff1", "reg", 0);
}

TEST(registers_that_make_no_sense)
{
    struct dt_maker m = begin();
    dt_node(&m, "short@0");
    DT_CELLS(&m, "reg", 0, 0, 0);
    dt_end(&m);
    finish(&m);
    expect_problem(HWTREE_MALFORMED, "/short@0", "reg", 0);

    m = begin();
    dt_node(&m, "wraps@0");
    DT_CELLS(&m, "reg", UINT32_MAX, UINT32_MAX, 0, 2);
    dt_end(&m);
    finish(&m);
    expect_problem(HWTREE_WRAPS, "/wraps@0", "reg", 0);

    m = begin();
    dt_node(&m, "bus");
    DT_CELLS(&m, "#address-cells", 9);
    DT_CELLS(&m, "#size-cells", 1);
    dt_node(&m, "dev@0");
    DT_CELLS(&m, "reg", 0, 0, 0);
    dt_end(&m);
    dt_end(&m);
    finish(&m);
    expect_problem(HWTREE_NO_CELLS, "/bus/dev@0", "reg", 0);

    m = begin();
    dt_node(&m, "bus");
    DT_CELLS(&m, "#address-cells", 1);
    DT_CELLS(&m, "#size-cells", 1);
    DT_CELLS(&m, "ranges", 0, 0, 0);
    dt_node(&m, "dev@0");
    DT_CELLS(&m, "reg", 0, 1);
    dt_end(&m);
    dt_end(&m);
    finish(&m);
    expect_problem(HWTREE_MALFORMED, "/bus", "ranges", 0);

    m = begin();
    dt_node(&m, "bus");
    DT_CELLS(&m, "#address-cells", 2);
    DT_CELLS(&m, "#size-cells", 2);
    DT_CELLS(&m, "ranges", 0, 0, UINT32_MAX, 0xffff'f000, UINT32_MAX, 0);
    dt_node(&m, "dev@2000");
    DT_CELLS(&m, "reg", 0, 0x2000, 0, 1);
    dt_end(&m);
    dt_end(&m);
    finish(&m);
    expect_problem(HWTREE_WRAPS, "/bus/dev@2000", "reg", 0);
}

TEST(dma_through_every_bus)
{
    struct dt_maker m = begin();
    dt_node(&m, "soc");
    dt_prop(&m, "dma-coherent", "", 0);
    DT_CELLS(&m, "#address-cells", 1);
    DT_CELLS(&m, "#size-cells", 1);
    dt_prop(&m, "ranges", "", 0);
    DT_CELLS(&m, "dma-ranges", 0x8000'0000, 1, 0, 0x4000'0000, 0xc000'0000, 0, 0, 0x1000'0000);
    dt_node(&m, "inner");
    DT_CELLS(&m, "#address-cells", 1);
    DT_CELLS(&m, "#size-cells", 1);
    DT_CELLS(&m, "dma-ranges", 0, 0x9000'0000, 0x7000'0000);
    dt_node(&m, "dev");
    dt_end(&m);
    dt_node(&m, "apart");
    dt_prop(&m, "dma-noncoherent", "", 0);
    dt_end(&m);
    dt_end(&m);
    dt_end(&m);
    dt_node(&m, "free");
    dt_end(&m);
    finish(&m);
    uint32_t dev = find("/soc/inner/dev");
    EXPECT(all_problems() == 0 && hwtree_node(tree, dev)->dma.count == 2);
    const struct hwtree_dma *dma = hwtree_dma(tree, dev, 0);
    EXPECT(dma->device == 0 && dma->cpu == 0x1'1000'0000 && dma->bytes == 0x3000'0000);
    dma = hwtree_dma(tree, dev, 1);
    EXPECT(dma->device == 0x3000'0000 && dma->cpu == 0 && dma->bytes == 0x1000'0000);
    EXPECT(hwtree_node(tree, dev)->flags == (HWTREE_AVAILABLE | HWTREE_COHERENT | HWTREE_LIMITED));
    EXPECT((hwtree_node(tree, find("/soc/inner/apart"))->flags & HWTREE_COHERENT) == 0);
    EXPECT(hwtree_node(tree, find("/free"))->flags == HWTREE_AVAILABLE);
}

// ---- interrupts

TEST(interrupts_of_a_gic)
{
    struct dt_maker m = begin();
    dt_node(&m, "bus");
    dt_node(&m, "dev");
    DT_CELLS(&m, "interrupts", 0, 5, 4, 1, 11, 8, 2, 1023, 1, 3, 63, 2, 0, 987, 0);
    dt_prop(&m, "interrupt-names", "a\0b\0c\0d\0e", 10);
    dt_end(&m);
    dt_end(&m);
    finish(&m);
    EXPECT(all_problems() == 0);
    expect_interrupt("/bus/dev", 0, "/intc@8000000", 37, HWTREE_TRIGGER_LEVEL,
                     HWTREE_POLARITY_HIGH);
    expect_interrupt("/bus/dev", 1, "/intc@8000000", 27, HWTREE_TRIGGER_LEVEL, HWTREE_POLARITY_LOW);
    expect_interrupt("/bus/dev", 2, "/intc@8000000", 5119, HWTREE_TRIGGER_EDGE,
                     HWTREE_POLARITY_HIGH);
    expect_interrupt("/bus/dev", 3, "/intc@8000000", 1119, HWTREE_TRIGGER_EDGE,
                     HWTREE_POLARITY_LOW);
    expect_interrupt("/bus/dev", 4, "/intc@8000000", 1019, HWTREE_TRIGGER_UNKNOWN,
                     HWTREE_POLARITY_UNKNOWN);
    EXPECT(strcmp(hwtree_text(tree, hwtree_interrupt(tree, find("/bus/dev"), 4)->name), "e") == 0);
    EXPECT(tree->controller == find("/intc@8000000"));

    static const uint32_t bad[][3] = {{0, 988, 4}, {1, 16, 4}, {2, 1024, 4}, {3, 64, 4}, {4, 0, 4}};
    for (unsigned i = 0; i < 5; i++) {
        m = begin();
        dt_node(&m, "dev");
        dt_cells(&m, "interrupts", 3, bad[i]);
        dt_end(&m);
        finish(&m);
        expect_problem(HWTREE_BAD_LINE, "/dev", "interrupts", 0);
    }
}

static void add_controller(struct dt_maker *m, const char *name, uint32_t phandle, uint32_t cells)
{
    dt_node(m, name);
    dt_prop(m, "interrupt-controller", "", 0);
    DT_CELLS(m, "#interrupt-cells", cells);
    DT_CELLS(m, "phandle", phandle);
}

TEST(interrupts_of_other_controllers)
{
    struct dt_maker m = begin();
    add_controller(&m, "one", 10, 1);
    dt_end(&m);
    add_controller(&m, "two", 11, 2);
    dt_end(&m);
    add_controller(&m, "three", 12, 3);
    dt_end(&m);
    add_controller(&m, "four", 13, 4);
    dt_node(&m, "inside"); // its own children go to it
    DT_CELLS(&m, "interrupts", 1, 2, 3, 2);
    dt_end(&m);
    dt_end(&m);
    dt_node(&m, "dev");
    DT_CELLS(&m, "interrupts", 0, 1, 4); // is not looked at
    DT_CELLS(&m, "interrupts-extended", 10, 7, 11, 8, 8, 0, 12, 5, 6, 3, GIC, 0, 1, 4);
    dt_end(&m);
    finish(&m);
    EXPECT(all_problems() == 0 && hwtree_node(tree, find("/dev"))->interrupts.count == 4);
    expect_interrupt("/dev", 0, "/one", 7, HWTREE_TRIGGER_UNKNOWN, HWTREE_POLARITY_UNKNOWN);
    expect_interrupt("/dev", 1, "/two", 8, HWTREE_TRIGGER_LEVEL, HWTREE_POLARITY_LOW);
    expect_interrupt("/dev", 2, "/three", 5ull << 32 | 6, HWTREE_TRIGGER_EDGE,
                     HWTREE_POLARITY_BOTH);
    expect_interrupt("/dev", 3, "/intc@8000000", 33, HWTREE_TRIGGER_LEVEL, HWTREE_POLARITY_HIGH);
    expect_interrupt("/four/inside", 0, "/four", 0x1'0002'0003, HWTREE_TRIGGER_EDGE,
                     HWTREE_POLARITY_LOW);
}

// A nexus whose rows look at the unit address and at the first of two cells.
static void add_nexus(struct dt_maker *m, const char *name, uint32_t phandle, uint32_t target)
{
    dt_node(m, name);
    DT_CELLS(m, "#address-cells", 1);
    DT_CELLS(m, "#size-cells", 0);
    DT_CELLS(m, "#interrupt-cells", 2);
    DT_CELLS(m, "phandle", phandle);
    DT_CELLS(m, "interrupt-map-mask", 0xf0, 0xf, 0);
    DT_CELLS(m, "interrupt-map", 0x10, 1, 0, target, 0, 10, 4, 0x20, 1, 0, target, 0, 20, 4, 0x20,
             2, 0, target, 0, 21, 1);
}

TEST(interrupts_through_a_nexus)
{
    struct dt_maker m = begin();
    add_nexus(&m, "nexus", 10, GIC);
    dt_node(&m, "dev@2f");
    DT_CELLS(&m, "reg", 0x2f);
    DT_CELLS(&m, "interrupts", 0xf1, 99, 0xf2, 99);
    dt_end(&m);
    dt_node(&m, "lost@3f");
    DT_CELLS(&m, "reg", 0x3f);
    DT_CELLS(&m, "interrupts", 1, 0);
    dt_end(&m);
    dt_end(&m);
    finish(&m);
    expect_interrupt("/nexus/dev@2f", 0, "/intc@8000000", 52, HWTREE_TRIGGER_LEVEL,
                     HWTREE_POLARITY_HIGH);
    expect_interrupt("/nexus/dev@2f", 1, "/intc@8000000", 53, HWTREE_TRIGGER_EDGE,
                     HWTREE_POLARITY_HIGH);
    expect_problem(HWTREE_NO_ROW, "/nexus/lost@3f", "interrupts", 0);
}

TEST(interrupts_that_lead_nowhere)
{
    struct dt_maker m = begin();
    dt_node(&m, "dev");
    DT_CELLS(&m, "interrupts-extended", 77, 0, 1, 4);
    dt_end(&m);
    finish(&m);
    expect_problem(HWTREE_NO_TARGET, "/dev", "interrupts-extended", 0);

    m = begin();
    dt_node(&m, "plain");
    DT_CELLS(&m, "phandle", 10);
    DT_CELLS(&m, "#interrupt-cells", 1);
    dt_end(&m);
    dt_node(&m, "dev");
    DT_CELLS(&m, "interrupts-extended", 10, 1);
    dt_end(&m);
    finish(&m);
    expect_problem(HWTREE_NOT_CONTROLLER, "/dev", "interrupts-extended", 0);

    m = begin(); // a nexus that leads to itself
    dt_node(&m, "nexus");
    DT_CELLS(&m, "#address-cells", 0);
    DT_CELLS(&m, "#interrupt-cells", 1);
    DT_CELLS(&m, "phandle", 10);
    DT_CELLS(&m, "interrupt-map", 1, 10, 1);
    dt_node(&m, "dev");
    DT_CELLS(&m, "interrupts", 1);
    dt_end(&m);
    dt_end(&m);
    finish(&m);
    expect_problem(HWTREE_LOOP, "/nexus/dev", "interrupts", 0);

    m = begin(); // two parents that name each other
    dt_node(&m, "a");
    DT_CELLS(&m, "phandle", 10);
    DT_CELLS(&m, "interrupt-parent", 11);
    dt_end(&m);
    dt_node(&m, "b");
    DT_CELLS(&m, "phandle", 11);
    DT_CELLS(&m, "interrupt-parent", 10);
    dt_end(&m);
    finish(&m);
    EXPECT(tree->problems[HWTREE_LOOP] == 2 && all_problems() == 2);

    m = begin(); // half of an interrupt
    dt_node(&m, "dev");
    DT_CELLS(&m, "interrupts", 0, 1, 4, 0);
    dt_end(&m);
    finish(&m);
    expect_problem(HWTREE_MALFORMED, "/dev", "interrupts", 1);
    EXPECT(hwtree_node(tree, find("/dev"))->interrupts.count == 1);
}

// ---- PCI hosts, messages, IOMMUs

TEST(pci_hosts)
{
    struct dt_maker m = begin();
    dt_node(&m, "its@80");
    dt_string(&m, "compatible", "arm,gic-v3-its");
    dt_prop(&m, "msi-controller", "", 0);
    DT_CELLS(&m, "#msi-cells", 1);
    DT_CELLS(&m, "phandle", 20);
    dt_end(&m);
    dt_node(&m, "smmu@90");
    dt_string(&m, "compatible", "arm,smmu-v3");
    DT_CELLS(&m, "#iommu-cells", 1);
    DT_CELLS(&m, "phandle", 21);
    dt_end(&m);
    dt_node(&m, "pcie@40000000");
    dt_string(&m, "compatible", "pci-host-ecam-generic");
    dt_string(&m, "device_type", "pci");
    DT_CELLS(&m, "#address-cells", 3);
    DT_CELLS(&m, "#size-cells", 2);
    DT_CELLS(&m, "#interrupt-cells", 1);
    DT_CELLS(&m, "reg", 0, 0x4000'0000, 0, 0x100'0000);
    DT_CELLS(&m, "bus-range", 2, 17);
    DT_CELLS(&m, "linux,pci-domain", 3);
    DT_CELLS(&m, "ranges", 0x0100'0000, 0, 0, 0, 0x5000'0000, 0, 0x1'0000, 0x0200'0000, 0,
             0x1000'0000, 0, 0x6000'0000, 0, 0x1000'0000, 0x4300'0000, 0x80, 0, 0x80, 0, 1, 0);
    DT_CELLS(&m, "interrupt-map-mask", 0x1800, 0, 0, 7);
    DT_CELLS(&m, "interrupt-map", 0, 0, 0, 1, GIC, 0, 3, 4, 0x800, 0, 0, 2, GIC, 0, 4, 1);
    DT_CELLS(&m, "msi-map", 0x200, 20, 0x1000, 0x100, 0x300, 77, 0, 1);
    DT_CELLS(&m, "iommu-map", 0, 21, 0x100, 0x10000, 0, 21, 0, 0);
    dt_node(&m, "dev@3,0");
    DT_CELLS(&m, "reg", 0x1'1800, 0, 0, 0, 0, 0x0200'0000, 0, 0x1000'1000, 0, 0x1000);
    dt_end(&m);
    dt_end(&m);
    finish(&m);
    uint32_t host = find("/pcie@40000000"), target, id;
    const struct hwtree_pci_host *facts = &hwtree_node(tree, host)->pci_host;
    EXPECT(hwtree_node(tree, host)->kind == HWTREE_PCI_HOST && facts->ecam == 1);
    EXPECT(facts->first_bus == 2 && facts->last_bus == 17 && facts->segment == 3);
    EXPECT(facts->windows.count == 3 && facts->routes.count == 2);
    const struct hwtree_window *window = hwtree_window(tree, host, 0);
    EXPECT(window->io && window->cpu == 0x5000'0000 && window->bytes == 0x1'0000);
    window = hwtree_window(tree, host, 1);
    EXPECT(!window->io && !window->wide && window->bus == 0x1000'0000 &&
           window->cpu == 0x6000'0000);
    window = hwtree_window(tree, host, 2);
    EXPECT(window->wide && window->prefetchable && window->bus == 0x80'0000'0000);
    const struct hwtree_route *route = hwtree_route(tree, host, 1);
    EXPECT(route->address == 0x800 && route->pin == 2 && route->interrupt.line == 36);
    EXPECT(facts->address_mask == 0x1800 && facts->pin_mask == 7);
    expect_range("/pcie@40000000/dev@3,0", 0, 0x118, 0, HWTREE_SPACE_CONFIG);
    expect_range("/pcie@40000000/dev@3,0", 1, 0x6000'1000, 0x1000, HWTREE_SPACE_MEMORY);
    expect_problem(HWTREE_NO_TARGET, "/pcie@40000000", "msi-map", 1);
    EXPECT(hwtree_node(tree, host)->ids.count == 2);
    EXPECT(!hwtree_device_id(tree, host, HWTREE_ID_MSI, &target, &id)); // 0 is in no row
    EXPECT(hwtree_device_id(tree, host, HWTREE_ID_IOMMU, &target, &id));
    EXPECT(target == find("/smmu@90") && id == 0x100);
}

TEST(ids_of_devices)
{
    struct dt_maker m = begin();
    dt_node(&m, "its@80");
    dt_prop(&m, "msi-controller", "", 0);
    DT_CELLS(&m, "#msi-cells", 1);
    DT_CELLS(&m, "phandle", 20);
    dt_end(&m);
    dt_node(&m, "smmu@90");
    dt_string(&m, "compatible", "arm,mmu-500");
    DT_CELLS(&m, "#iommu-cells", 2);
    DT_CELLS(&m, "phandle", 21);
    dt_end(&m);
    dt_node(&m, "dev");
    DT_CELLS(&m, "msi-parent", 20, 0x42);
    DT_CELLS(&m, "iommus", 21, 0x880, 0x7f, 21, 0x900, 0);
    dt_end(&m);
    dt_node(&m, "half");
    DT_CELLS(&m, "iommus", 21, 0x880);
    dt_end(&m);
    finish(&m);
    uint32_t dev = find("/dev"), target, id;
    EXPECT(hwtree_node(tree, dev)->ids.count == 3);
    EXPECT(hwtree_device_id(tree, dev, HWTREE_ID_MSI, &target, &id));
    EXPECT(target == find("/its@80") && id == 0x42);
    EXPECT(hwtree_device_id(tree, dev, HWTREE_ID_IOMMU, &target, &id) && id == 0x880);
    EXPECT(hwtree_id(tree, dev, 1)->output_mask == 0x7f);
    expect_problem(HWTREE_MALFORMED, "/half", "iommus", 0);
}

// ---- kinds

TEST(cpus)
{
    struct dt_maker m = dt_make();
    dt_node(&m, "");
    dt_node(&m, "cpus");
    DT_CELLS(&m, "#address-cells", 2);
    DT_CELLS(&m, "#size-cells", 0);
    for (uint32_t i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof(name), "cpu@%u", i);
        dt_node(&m, name);
        dt_string(&m, "device_type", "cpu");
        DT_CELLS(&m, "reg", i / 2, i % 2 * 0x100);
        DT_CELLS(&m, "phandle", 10 + i);
        DT_CELLS(&m, "numa-node-id", i / 2);
        if (i == 0)
            dt_string(&m, "enable-method", "psci");
        if (i == 1 || i == 2)
            dt_string(&m, "enable-method", "spin-table");
        if (i == 1)
            DT_CELLS(&m, "cpu-release-addr", 1, 0x8000);
        if (i == 3)
            dt_string(&m, "status", "disabled");
        dt_end(&m);
    }
    dt_node(&m, "cpu-map");
    dt_node(&m, "socket1");
    dt_node(&m, "cluster3");
    dt_node(&m, "core7");
    dt_node(&m, "thread1");
    DT_CELLS(&m, "cpu", 11);
    dt_end(&m);
    dt_end(&m);
    dt_end(&m);
    dt_end(&m);
    dt_end(&m);
    dt_end(&m);
    finish(&m);
    const struct hwtree_node *cpu = hwtree_node(tree, find("/cpus/cpu@0"));
    EXPECT(cpu->kind == HWTREE_CPU && cpu->cpu.method == HWTREE_PSCI && cpu->cpu.id == 0);
    EXPECT(cpu->cpu.core == HWTREE_NO_PLACE);
    cpu = hwtree_node(tree, find("/cpus/cpu@1"));
    EXPECT(cpu->cpu.method == HWTREE_SPIN_TABLE && cpu->cpu.release == 0x1'0000'8000);
    EXPECT(cpu->cpu.id == 0x100 && cpu->numa == 0);
    EXPECT(cpu->cpu.socket == 1 && cpu->cpu.cluster == 3 && cpu->cpu.core == 7 &&
           cpu->cpu.thread == 1);
    cpu = hwtree_node(tree, find("/cpus/cpu@3"));
    EXPECT(cpu->cpu.id == 0x1'0000'0100 && cpu->status == HWTREE_DISABLED && cpu->numa == 1);
    EXPECT(!hwtree_available(tree, find("/cpus/cpu@3")));
    expect_problem(HWTREE_MALFORMED, "/cpus/cpu@2", "cpu-release-addr", 0);
}

TEST(cpus_that_say_the_same)
{
    struct dt_maker m = begin();
    dt_node(&m, "cpus"); // a second one of this name, with a CPU of the same id
    DT_CELLS(&m, "#address-cells", 1);
    DT_CELLS(&m, "#size-cells", 0);
    dt_node(&m, "cpu@1");
    DT_CELLS(&m, "reg", 0);
    dt_end(&m);
    dt_end(&m);
    finish(&m);
    EXPECT(tree->problems[HWTREE_DUPLICATE] == 1 && all_problems() == 1);

    m = dt_make();
    dt_node(&m, "");
    finish(&m);
    expect_problem(HWTREE_MISSING, "/", "cpus", 0);
}

TEST(memory_and_reservations)
{
    struct dt_maker m = begin();
    dt_node(&m, "memory@40000000");
    dt_string(&m, "device_type", "memory");
    DT_CELLS(&m, "reg", 0, 0x4000'0000, 0, 0x1000'0000, 1, 0, 0, 0x1000);
    dt_end(&m);
    dt_node(&m, "memory@4fffffff");
    dt_string(&m, "device_type", "memory");
    DT_CELLS(&m, "reg", 0, 0x4fff'ffff, 0, 1);
    dt_end(&m);
    dt_node(&m, "reserved-memory");
    DT_CELLS(&m, "#address-cells", 2);
    DT_CELLS(&m, "#size-cells", 2);
    dt_prop(&m, "ranges", "", 0);
    dt_node(&m, "there@41000000");
    DT_CELLS(&m, "reg", 0, 0x4100'0000, 0, 0x1000);
    dt_prop(&m, "no-map", "", 0);
    dt_end(&m);
    dt_node(&m, "pool");
    DT_CELLS(&m, "size", 0, 0x200'0000);
    dt_prop(&m, "reusable", "", 0);
    dt_end(&m);
    dt_end(&m);
    dt_end(&m);
    size_t bytes = dt_finish_reserved(&m, 0x4200'0000, 0x2000);
    EXPECT(read_blob(m.blob, bytes));
    free(m.blob);
    const struct hwtree_node *node = hwtree_node(tree, find("/reserved-memory/there@41000000"));
    EXPECT(node->kind == HWTREE_RESERVED && node->reserved.flags == HWTREE_RESERVED_NO_MAP);
    expect_range("/reserved-memory/there@41000000", 0, 0x4100'0000, 0x1000, HWTREE_SPACE_MEMORY);
    node = hwtree_node(tree, find("/reserved-memory/pool"));
    EXPECT(node->reserved.bytes == 0x200'0000 && node->reserved.flags == HWTREE_RESERVED_REUSABLE);
    EXPECT(hwtree_node(tree, find("/memreserve@42000000"))->kind == HWTREE_RESERVED);
    expect_range("/memreserve@42000000", 0, 0x4200'0000, 0x2000, HWTREE_SPACE_MEMORY);
    expect_range("/memory@40000000", 1, 0x1'0000'0000, 0x1000, HWTREE_SPACE_MEMORY);
    expect_problem(HWTREE_OVERLAP, "/memory@4fffffff", "reg", 0);
}

TEST(console_by_path_and_by_alias)
{
    static const struct {
        const char *said, *options;
        uint32_t baud;
        bool there;
    } cases[] = {{"serial0:115200n8", "115200n8", 115200, true},
                 {"/soc/uart@1000", "", 0, true},
                 {"/soc/uart:raw", "raw", 0, true},
                 {"serial1", "", 0, false},
                 {"/soc/uart@1001:9600", "", 0, false},
                 {"", "", 0, false}};
    for (unsigned i = 0; i < 6; i++) {
        struct dt_maker m = begin();
        dt_node(&m, "aliases");
        dt_string(&m, "serial0", "/soc/uart@1000");
        dt_end(&m);
        dt_node(&m, "chosen");
        dt_string(&m, "stdout-path", cases[i].said);
        dt_end(&m);
        dt_node(&m, "soc");
        dt_node(&m, "uart@1000");
        dt_end(&m);
        dt_end(&m);
        finish(&m);
        if (!cases[i].there) {
            EXPECT(tree->console == HWTREE_NONE);
            expect_problem(HWTREE_NO_TARGET, "/chosen", "stdout-path", 0);
            continue;
        }
        EXPECT(tree->console == find("/soc/uart@1000") && all_problems() == 0);
        const struct hwtree_node *node = hwtree_node(tree, tree->console);
        EXPECT(node->kind == HWTREE_CONSOLE && node->console.baud == cases[i].baud);
        EXPECT(strcmp(hwtree_text(tree, node->console.options), cases[i].options) == 0);
    }
}

TEST(status_is_inherited)
{
    struct dt_maker m = begin();
    dt_node(&m, "bus");
    dt_string(&m, "status", "disabled");
    dt_node(&m, "dev");
    dt_string(&m, "status", "okay");
    dt_string(&m, "compatible", "it");
    dt_end(&m);
    dt_end(&m);
    dt_node(&m, "dev");
    dt_string(&m, "status", "ok");
    dt_string(&m, "compatible", "it");
    dt_end(&m);
    dt_node(&m, "broken");
    dt_string(&m, "status", "fail-timeout");
    dt_end(&m);
    dt_node(&m, "odd");
    dt_string(&m, "status", "perhaps");
    dt_end(&m);
    finish(&m);
    EXPECT(hwtree_node(tree, find("/bus/dev"))->status == HWTREE_OKAY);
    EXPECT(!hwtree_available(tree, find("/bus/dev")) && hwtree_available(tree, find("/dev")));
    EXPECT(hwtree_node(tree, find("/broken"))->status == HWTREE_FAILED);
    EXPECT(hwtree_compatible(tree, HWTREE_NONE, "it") == find("/dev"));
    EXPECT(hwtree_compatible(tree, find("/dev"), "it") == HWTREE_NONE);
    expect_problem(HWTREE_MALFORMED, "/odd", "status", 0);
}

// ---- what is broken, and what is large

// libfdt adds a length to a place without a look: this one leads back to its property for ever.
TEST(lengths_that_stand_still)
{
    for (uint32_t length = UINT32_MAX; length > UINT32_MAX - 40; length--) {
        struct dt_maker m = begin();
        dt_string(&m, "model", "a name that is looked for");
        dt_end(&m);
        size_t bytes = dt_finish(&m);
        char *blob = m.blob, *at = memmem(blob, bytes, "a name that", 11);
        uint32_t swapped = cpu_to_fdt32(length);
        memcpy(at - 8, &swapped, 4);
        EXPECT(!read_blob(blob, bytes));
        free(blob);
    }
}

TEST(deep_trees_end)
{
    struct dt_maker m = begin();
    for (unsigned i = 0; i < 200; i++)
        dt_node(&m, "n");
    for (unsigned i = 0; i < 200; i++)
        dt_end(&m);
    finish(&m);
    EXPECT(tree->problems[HWTREE_TOO_DEEP] == 1 && all_problems() == 1);
    EXPECT(hwtree_count(tree, HWTREE_NODES) == 4 + HWTREE_DEPTH_MAX - 2);
}

TEST(wide_trees_are_cut)
{
    struct dt_maker m = begin();
    for (unsigned i = 0; i < 10'000; i++) {
        dt_node(&m, "n");
        dt_end(&m);
    }
    finish(&m);
    EXPECT(hwtree_count(tree, HWTREE_NODES) < 10'000 && tree->problems[HWTREE_NO_ROOM] > 0);
}

// Each of many registers is looked for in each of many rows: the work is bounded.
TEST(long_maps_end)
{
    constexpr uint32_t ROWS = 40'000;
    struct dt_maker m = begin();
    uint32_t *cells = malloc(ROWS * 16);
    for (uint32_t i = 0; i < ROWS * 4; i++)
        cells[i] = cpu_to_fdt32(i % 4 == 3 ? 1 : 0);
    dt_node(&m, "bus");
    DT_CELLS(&m, "#address-cells", 1);
    DT_CELLS(&m, "#size-cells", 1);
    dt_prop(&m, "ranges", cells, ROWS * 16 / 4 * 4);
    for (uint32_t i = 0; i < 10'000; i++)
        cells[i] = cpu_to_fdt32(5);
    for (unsigned i = 0; i < 4; i++) {
        dt_node(&m, "dev");
        dt_prop(&m, "reg", cells, 40'000);
        dt_end(&m);
    }
    dt_end(&m);
    finish(&m);
    free(cells);
    EXPECT(tree->problems[HWTREE_TOO_LONG] > 0);
}

// ---- QEMU's virt

static uint8_t *load_machine(const char *options, size_t *bytes)
{
    static const char command[] = "qemu-system-aarch64 -M virt,%s -smp 3 -cpu cortex-a57 "
                                  "-machine dumpdtb=%s -display none > /dev/null 2>&1";
    char path[] = "/tmp/test_hwtree.XXXXXX", whole[sizeof(command) + sizeof(path) + 64];
    close(mkstemp(path));
    snprintf(whole, sizeof(whole), command, options, path);
    if (system(whole) != 0)
        return nullptr;
    FILE *file = fopen(path, "r");
    uint8_t *blob = malloc(1 << 21);
    *bytes = fread(blob, 1, 1 << 21, file);
    fclose(file);
    unlink(path);
    // QEMU's blob says that it is 1 MiB long; its content is a hundredth of that.
    uint32_t strings = __builtin_bswap32(((uint32_t *)(void *)blob)[3]);
    uint32_t content = strings + __builtin_bswap32(((uint32_t *)(void *)blob)[8]);
    if (*bytes >= content) {
        *bytes = content;
        ((uint32_t *)(void *)blob)[1] = __builtin_bswap32(content);
    }
    return realloc(blob, *bytes);
}

static uint8_t *load_virt(size_t *bytes)
{
    return load_machine("gic-version=3,iommu=smmuv3", bytes);
}

TEST(reads_virt)
{
    size_t bytes = 0;
    uint8_t *blob = load_virt(&bytes);
    EXPECT(blob != nullptr && bytes > 1000 && read_blob(blob, bytes));
    free(blob);
    EXPECT(all_problems() == 0);
    expect_range("/pl011@9000000", 0, 0x900'0000, 0x1000, HWTREE_SPACE_MEMORY);
    expect_interrupt("/pl011@9000000", 0, "/intc@8000000", 33, HWTREE_TRIGGER_LEVEL,
                     HWTREE_POLARITY_HIGH);
    EXPECT(tree->console == find("/pl011@9000000") && tree->controller == find("/intc@8000000"));
    uint32_t timer = find("/timer"), host = find("/pcie@10000000"), target, id;
    EXPECT(hwtree_node(tree, timer)->timer.variant == HWTREE_TIMER_ARM);
    EXPECT(hwtree_interrupt(tree, timer, 2)->line == 27);
    const struct hwtree_pci_host *facts = &hwtree_node(tree, host)->pci_host;
    EXPECT(facts->ecam && facts->windows.count == 3 && facts->routes.count == 16);
    EXPECT(facts->first_bus == 0 && facts->last_bus == 255 && facts->address_mask == 0x1800);
    const struct hwtree_window *windows = hwtree_window(tree, host, 0);
    EXPECT(windows[0].io && !windows[1].io && !windows[2].io);
    EXPECT(windows[1].bus == 0x1000'0000 && !windows[1].wide);
    EXPECT(windows[2].bus == 0x80'0000'0000 && windows[2].wide);
    for (uint32_t i = 0; i < facts->routes.count; i++) // device 1, pin 1: the second of four lines
        if (hwtree_route(tree, host, i)->address == 0x800 && hwtree_route(tree, host, i)->pin == 1)
            EXPECT(hwtree_route(tree, host, i)->interrupt.line == 32 + 4);
    uint32_t slot = hwtree_compatible(tree, HWTREE_NONE, "virtio,mmio");
    EXPECT(slot != HWTREE_NONE && hwtree_interrupt(tree, slot, 0)->trigger == HWTREE_TRIGGER_EDGE);
    expect_range("/pcie@10000000", 0, 0x40'1000'0000, 0x1000'0000, HWTREE_SPACE_MEMORY);
    EXPECT(hwtree_device_id(tree, host, HWTREE_ID_MSI, &target, &id));
    EXPECT(hwtree_node(tree, target)->controller.variant == HWTREE_CONTROLLER_GIC_ITS);
    EXPECT(hwtree_device_id(tree, host, HWTREE_ID_IOMMU, &target, &id));
    EXPECT(hwtree_node(tree, target)->iommu.variant == HWTREE_IOMMU_SMMUV3);
    EXPECT(hwtree_node(tree, find("/cpus/cpu@2"))->cpu.method == HWTREE_PSCI);
}

// Where the functions of virt's PCI host send messages: the registers, 0 for nowhere. Changes a cell
// of the map first, if asked.
static uint64_t messages_of(const char *options, int changed, uint32_t cell, uint32_t *id)
{
    size_t bytes = 0;
    uint8_t *blob = load_machine(options, &bytes);
    EXPECT(blob != nullptr && bytes > 1000);
    int node = fdt_node_offset_by_compatible(blob, -1, "pci-host-ecam-generic"), length;
    uint32_t *map = (uint32_t *)(uintptr_t)fdt_getprop(blob, node, "msi-map", &length), target;
    if (changed >= 0) {
        EXPECT(map != nullptr && length == 16);
        map[changed] = cpu_to_fdt32(cell);
    }
    EXPECT(read_blob(blob, bytes));
    free(blob);
    uint32_t host = find("/pcie@10000000");
    EXPECT(hwtree_node(tree, host)->ids.count <= 1);
    if (!hwtree_device_id(tree, host, HWTREE_ID_MSI, &target, id))
        return 0;
    EXPECT(hwtree_id(tree, host, 0)->count == 0x1'0000 && hwtree_id(tree, host, 0)->input == 0);
    return hwtree_range(tree, target, 0)->base;
}

TEST(messages_of_virt)
{
    uint32_t id;
    EXPECT(messages_of("gic-version=3", -1, 0, &id) == 0x808'0000 && id == 0);
    EXPECT(all_problems() == 0);
    EXPECT(messages_of("gic-version=2", -1, 0, &id) == 0x802'0000 && id == 0);
    EXPECT(messages_of("gic-version=3,its=off", -1, 0, &id) == 0);
    EXPECT(messages_of("gic-version=3", 2, 0x8'0000, &id) == 0x808'0000 && id == 0x8'0000);
    EXPECT(messages_of("gic-version=3", 1, 0x7777, &id) == 0); // to nobody
    EXPECT(tree->problems[HWTREE_NO_TARGET] == 1);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

TEST(survives_damage)
{
    size_t bytes = 0;
    uint8_t *good = load_virt(&bytes);
    EXPECT(good != nullptr);
    for (size_t cut = 0; cut < bytes; cut += 61) {
        uint8_t *blob = malloc(cut);
        memcpy(blob, good, cut);
        EXPECT(!read_blob(blob, cut)); // its header says that there is more
        free(blob);
    }
    for (unsigned round = 0; round < 2000; round++) {
        uint8_t *blob = malloc(bytes);
        memcpy(blob, good, bytes);
        for (unsigned n = 0; n <= round % 16; n++)
            blob[random_next() % bytes] = (uint8_t)random_next();
        (void)read_blob(blob, bytes);
        free(blob);
    }
    free(good);
}
