// SPDX-License-Identifier: MIT
//
// The device tree front end of the hardware tree: registers, DMA and interrupts, by small trees made
// here, one for each thing that has to be resolved and for each that cannot be.
#include "fdt_test.h"

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
