// SPDX-License-Identifier: MIT
//
// Tests of the device tree front end: trees are begun with what all have, read when they are finished,
// and whatever comes out is held against the checker.
#pragma once

#include <hwtree/front.h>
#include <stdint.h>

#include "dt_maker.h"
#include "hwtree_test.h"

constexpr size_t TREE_BYTES = 1u << 20;
constexpr uint32_t NODES = 8192;

static uint64_t memory[TREE_BYTES / 8];
static struct fdt_place places[NODES];
static struct hwtree_fdt_node nodes[NODES];

// Reads a blob; whatever comes out is sound.
static inline bool read_blob(const void *blob, size_t bytes)
{
    struct hwtree_builder builder;
    const char *why = "";
    tree = (struct hwtree *)memory;
    EXPECT(hwtree_begin(&builder, memory, TREE_BYTES, HWTREE_DEVICE_TREE));
    struct fdt fdt;
    (void)fdt_read(&fdt, blob, bytes, places, NODES);
    if (!hwtree_read_fdt(&builder, &fdt, nodes)) {
        EXPECT(fdt.fault != FDT_SOUND);
        return false;
    }
    EXPECT_NOTE(hwtree_check(tree, hwtree_finish(&builder), &why), "%s", why);
    return true;
}

// ---- making trees: a root, a GIC, a CPU

constexpr uint32_t GIC = 1;

static inline struct dt_maker begin(void)
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

static inline void finish(struct dt_maker *m)
{
    dt_end(m);
    size_t bytes = dt_finish(m);
    EXPECT(read_blob(m->blob, bytes));
    free(m->blob);
}

// There is exactly one problem: this one, there.
static inline void expect_problem(enum hwtree_cause cause, const char *path, const char *property,
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

static inline void expect_range(const char *path, uint32_t index, uint64_t base, uint64_t bytes,
                                enum hwtree_space space)
{
    uint32_t node = find(path);
    EXPECT_NOTE(index < hwtree_node(tree, node)->ranges.count, "%s", path);
    const struct hwtree_range *range = hwtree_range(tree, node, index);
    EXPECT_NOTE(range->base == base && range->bytes == bytes && range->space == space,
                "%s: %lx %lx %u", path, range->base, range->bytes, range->space);
}

static inline void expect_interrupt(const char *path, uint32_t index, const char *controller,
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
