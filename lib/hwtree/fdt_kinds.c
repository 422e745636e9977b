// SPDX-License-Identifier: MIT
//
// What kind of thing a node is, and the facts that only its kind has. Devicetree Specification
// 0.4, 3; bindings "arm/cpus", "cpu-topology", "reserved-memory", "numa", "arm,gic", "arm,gic-v3".
#include <lib/string.h>

#include "fdt_reader.h"

// The kinds that are told by what a node is compatible with.
static const struct kind_name {
    const char *compatible;
    enum hwtree_kind kind;
    uint32_t variant;
    uint8_t flags;
} kinds[] = {
    {"arm,gic-400", HWTREE_CONTROLLER, HWTREE_CONTROLLER_GICV2, FDT_GIC_LINES},
    {"arm,cortex-a15-gic", HWTREE_CONTROLLER, HWTREE_CONTROLLER_GICV2, FDT_GIC_LINES},
    {"arm,cortex-a9-gic", HWTREE_CONTROLLER, HWTREE_CONTROLLER_GICV2, FDT_GIC_LINES},
    {"arm,cortex-a7-gic", HWTREE_CONTROLLER, HWTREE_CONTROLLER_GICV2, FDT_GIC_LINES},
    {"arm,cortex-a5-gic", HWTREE_CONTROLLER, HWTREE_CONTROLLER_GICV2, FDT_GIC_LINES},
    {"arm,arm1176jzf-devchip-gic", HWTREE_CONTROLLER, HWTREE_CONTROLLER_GICV2, FDT_GIC_LINES},
    {"arm,arm11mp-gic", HWTREE_CONTROLLER, HWTREE_CONTROLLER_GICV2, FDT_GIC_LINES},
    {"arm,pl390", HWTREE_CONTROLLER, HWTREE_CONTROLLER_GICV2, FDT_GIC_LINES},
    {"qcom,msm-qgic2", HWTREE_CONTROLLER, HWTREE_CONTROLLER_GICV2, FDT_GIC_LINES},
    {"nvidia,tegra210-agic", HWTREE_CONTROLLER, HWTREE_CONTROLLER_GICV2, FDT_GIC_LINES},
    {"arm,gic-v3", HWTREE_CONTROLLER, HWTREE_CONTROLLER_GICV3, FDT_GIC_LINES},
    {"arm,gic-v3-its", HWTREE_CONTROLLER, HWTREE_CONTROLLER_GIC_ITS, 0},
    {"arm,gic-v2m-frame", HWTREE_CONTROLLER, HWTREE_CONTROLLER_GIC_FRAME, 0},
    // In front of a GIC, with its lines.
    {"nvidia,tegra210-ictlr", HWTREE_CONTROLLER, HWTREE_CONTROLLER_OTHER, FDT_GIC_LINES},
    {"fsl,imx7d-gpc", HWTREE_CONTROLLER, HWTREE_CONTROLLER_OTHER, FDT_GIC_LINES},
    {"fsl,imx8mq-gpc", HWTREE_CONTROLLER, HWTREE_CONTROLLER_OTHER, FDT_GIC_LINES},
    {"fsl,imx8mm-gpc", HWTREE_CONTROLLER, HWTREE_CONTROLLER_OTHER, FDT_GIC_LINES},
    {"fsl,imx8mn-gpc", HWTREE_CONTROLLER, HWTREE_CONTROLLER_OTHER, FDT_GIC_LINES},
    {"fsl,imx8mp-gpc", HWTREE_CONTROLLER, HWTREE_CONTROLLER_OTHER, FDT_GIC_LINES},
    {"mediatek,mt6577-sysirq", HWTREE_CONTROLLER, HWTREE_CONTROLLER_OTHER, FDT_GIC_LINES},
    {"ti,omap4-wugen-mpu", HWTREE_CONTROLLER, HWTREE_CONTROLLER_OTHER, FDT_GIC_LINES},
    // Their second cell is part of the number.
    {"brcm,bcm2835-armctrl-ic", HWTREE_CONTROLLER, HWTREE_CONTROLLER_OTHER, FDT_LINES_ONLY},
    {"brcm,bcm2836-armctrl-ic", HWTREE_CONTROLLER, HWTREE_CONTROLLER_OTHER, FDT_LINES_ONLY},
    {"samsung,exynos4210-combiner", HWTREE_CONTROLLER, HWTREE_CONTROLLER_OTHER, FDT_LINES_ONLY},
    {"arm,armv8-timer", HWTREE_TIMER, HWTREE_TIMER_ARM, 0},
    {"arm,armv7-timer", HWTREE_TIMER, HWTREE_TIMER_ARM, 0},
    {"arm,armv7-timer-mem", HWTREE_TIMER, HWTREE_TIMER_ARM_FRAMES, 0},
    {"arm,smmu-v3", HWTREE_IOMMU, HWTREE_IOMMU_SMMUV3, 0},
    {"arm,smmu-v2", HWTREE_IOMMU, HWTREE_IOMMU_SMMU, 0},
    {"arm,smmu-v1", HWTREE_IOMMU, HWTREE_IOMMU_SMMU, 0},
    {"arm,mmu-500", HWTREE_IOMMU, HWTREE_IOMMU_SMMU, 0},
    {"arm,mmu-401", HWTREE_IOMMU, HWTREE_IOMMU_SMMU, 0},
    {"arm,mmu-400", HWTREE_IOMMU, HWTREE_IOMMU_SMMU, 0},
};

static const struct kind_name *find_kind(const struct hwtree *tree, uint32_t node)
{
    const struct hwtree_span names = hwtree_node(tree, node)->compatible;
    const char *name = hwtree_text(tree, names.first);
    for (uint32_t i = 0; i < names.count; i++, name += strlen(name) + 1)
        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
            if (strcmp(name, kinds[k].compatible) == 0)
                return &kinds[k];
    return nullptr;
}

void reader_classify(struct fdt_reader *reader, uint32_t node)
{
    const struct kind_name *kind = find_kind(reader->tree, node);
    if (kind != nullptr)
        reader->nodes[node].flags |= kind->flags;
}

static bool is_named(const struct fdt_reader *reader, uint32_t node, const char *name)
{
    return node != HWTREE_NONE && strcmp(hwtree_name(reader->tree, node), name) == 0;
}

// Below the root, and called so.
static bool is_top(const struct fdt_reader *reader, uint32_t node, const char *name)
{
    return node != HWTREE_NONE && reader_parent(reader, node) == 0 && is_named(reader, node, name);
}

// ---- CPUs

static void read_method(struct fdt_reader *reader, uint32_t node, struct hwtree_cpu *cpu)
{
    const char *method = reader_text(reader, node, "enable-method");
    // One for all stands in /cpus.
    if (method == nullptr)
        method = reader_text(reader, reader_parent(reader, node), "enable-method");
    if (method == nullptr)
        return;
    cpu->method_name = hwtree_add_text(reader->builder, method, strlen(method));
    cpu->method = strcmp(method, "psci") == 0         ? HWTREE_PSCI
                  : strcmp(method, "spin-table") == 0 ? HWTREE_SPIN_TABLE
                                                      : HWTREE_OTHER_METHOD;
    if (cpu->method != HWTREE_SPIN_TABLE)
        return;
    // The specification wants two cells; some have one.
    struct fdt_cells release = reader_cells(reader, node, "cpu-release-addr");
    if (!release.whole || release.count < 1 || release.count > 2)
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, "cpu-release-addr", 0);
    else
        cpu->release = fdt_number(release.cells, 0, release.count);
}

static void read_cpu(struct fdt_reader *reader, uint32_t node)
{
    struct hwtree_cpu cpu = {.uid = HWTREE_NONE,
                             .socket = HWTREE_NO_PLACE,
                             .cluster = HWTREE_NO_PLACE,
                             .core = HWTREE_NO_PLACE,
                             .thread = HWTREE_NO_PLACE};
    struct fdt_cells reg = reader_cells(reader, node, "reg");
    uint32_t cells = reader->nodes[reader_parent(reader, node)].address_cells;
    // Of more than one, the others are threads of the same core.
    if (cells < 1 || cells > 2 || reg.count < cells || !reg.whole)
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, "reg", 0);
    else
        cpu.id = fdt_number(reg.cells, 0, cells);
    read_method(reader, node, &cpu);
    hwtree_edit(reader->builder, node)->kind = HWTREE_CPU;
    hwtree_edit(reader->builder, node)->cpu = cpu;
}

// The number behind a word: "core3" has 3. HWTREE_NO_PLACE: it is another word.
static uint16_t number_behind(const char *name, const char *word)
{
    size_t length = strlen(word);
    uint32_t number = 0;
    if (strncmp(name, word, length) != 0 || name[length] == 0)
        return HWTREE_NO_PLACE;
    for (const char *c = name + length; *c != 0; c++) {
        if (*c < '0' || *c > '9' || number > 6000)
            return HWTREE_NO_PLACE;
        number = number * 10 + (uint32_t)(*c - '0');
    }
    return (uint16_t)number;
}

// A leaf of /cpus/cpu-map: what its CPU is called on the way up.
static void read_place(struct fdt_reader *reader, uint32_t leaf)
{
    uint32_t phandle, node = HWTREE_NONE;
    if (!reader_u32(reader, leaf, "cpu", &phandle))
        return;
    node = reader_by_phandle(reader, phandle);
    if (node == HWTREE_NONE || hwtree_node(reader->tree, node)->kind != HWTREE_CPU) {
        hwtree_problem(reader->builder, leaf, HWTREE_NO_TARGET, "cpu", phandle);
        return;
    }
    static const char *const words[] = {"thread", "core", "cluster", "socket"};
    struct hwtree_cpu *cpu = &hwtree_edit(reader->builder, node)->cpu;
    uint16_t *const places[] = {&cpu->thread, &cpu->core, &cpu->cluster, &cpu->socket};
    for (uint32_t at = leaf; at != 0; at = reader_parent(reader, at))
        for (unsigned i = 0; i < 4; i++)
            if (*places[i] == HWTREE_NO_PLACE)
                *places[i] = number_behind(hwtree_name(reader->tree, at), words[i]);
}

static void read_places(struct fdt_reader *reader)
{
    static const char path[] = "/cpus/cpu-map";
    uint32_t map = hwtree_find(reader->tree, path, sizeof(path) - 1);
    if (map == HWTREE_NONE)
        return;
    // What is below it stands directly behind it.
    unsigned depth = hwtree_depth(reader->tree, map);
    for (uint32_t i = map + 1; i < reader->count && hwtree_depth(reader->tree, i) > depth; i++)
        read_place(reader, i);
}

// ---- other kinds

static void read_memory(struct fdt_reader *reader, uint32_t node)
{
    struct hwtree_node *n = hwtree_edit(reader->builder, node);
    n->kind = HWTREE_MEMORY;
    n->memory.flags = reader_has(reader, node, "hotpluggable") ? HWTREE_MEMORY_HOTPLUG : 0;
}

static void read_reserved(struct fdt_reader *reader, uint32_t node)
{
    struct hwtree_node *n = hwtree_edit(reader->builder, node);
    struct fdt_cells size = reader_cells(reader, node, "size");
    n->kind = HWTREE_RESERVED;
    n->reserved.flags = (reader_has(reader, node, "no-map") ? HWTREE_RESERVED_NO_MAP : 0) |
                        (reader_has(reader, node, "reusable") ? HWTREE_RESERVED_REUSABLE : 0);
    if (reader_has(reader, node, "reg"))
        return;
    if (size.count < 1 || size.count > 2)
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, "size", 0);
    else
        n->reserved.bytes = fdt_number(size.cells, 0, size.count);
}

static void read_controller(struct fdt_reader *reader, uint32_t node, uint32_t variant)
{
    struct hwtree_node *n = hwtree_edit(reader->builder, node);
    uint8_t cells = reader->nodes[node].interrupt_cells;
    bool takes = (reader->nodes[node].flags & FDT_CONTROLLER) != 0;
    n->kind = HWTREE_CONTROLLER;
    n->controller =
        (struct hwtree_controller){.variant = variant,
                                   .cells = cells != FDT_NO_CELLS ? cells : 0,
                                   .id = HWTREE_NONE,
                                   .gic_lines = (reader->nodes[node].flags & FDT_GIC_LINES) != 0};
    if (variant == HWTREE_CONTROLLER_OTHER && reader_has(reader, node, "gpio-controller"))
        n->controller.variant = HWTREE_CONTROLLER_GPIO;
    if (variant == HWTREE_CONTROLLER_GIC_FRAME) {
        (void)reader_u32(reader, node, "arm,msi-base-spi", &n->controller.line_first);
        (void)reader_u32(reader, node, "arm,msi-num-spis", &n->controller.line_count);
    } else if (takes && cells == FDT_NO_CELLS) {
        hwtree_problem(reader->builder, node, HWTREE_NO_CELLS, "#interrupt-cells", 0);
    }
}

static void read_by_name(struct fdt_reader *reader, uint32_t node, const struct kind_name *kind)
{
    struct hwtree_node *n = hwtree_edit(reader->builder, node);
    n->kind = kind->kind;
    if (kind->kind == HWTREE_CONTROLLER) {
        read_controller(reader, node, kind->variant);
    } else if (kind->kind == HWTREE_TIMER) {
        n->timer.variant = kind->variant;
        (void)reader_u32(reader, node, "clock-frequency", &n->timer.hz);
    } else {
        n->iommu.variant = kind->variant;
    }
}

void reader_read_kind(struct fdt_reader *reader, uint32_t node)
{
    if (node == 0)
        return;
    uint32_t parent = reader_parent(reader, node);
    const uint8_t flags = reader->nodes[node].flags;
    const struct kind_name *kind = find_kind(reader->tree, node);
    const char *type = reader_text(reader, node, "device_type");
    const char *name = hwtree_name(reader->tree, node);
    (void)reader_u32(reader, node, "numa-node-id", &hwtree_edit(reader->builder, node)->numa);
    if (kind != nullptr)
        read_by_name(reader, node, kind);
    else if (is_top(reader, parent, "cpus") &&
             ((type != nullptr && strcmp(type, "cpu") == 0) || strncmp(name, "cpu@", 4) == 0))
        read_cpu(reader, node);
    else if (type != nullptr && strcmp(type, "memory") == 0)
        read_memory(reader, node);
    else if (is_top(reader, parent, "reserved-memory"))
        read_reserved(reader, node);
    else if ((flags & FDT_PCI) != 0 && (reader->nodes[parent].flags & FDT_PCI) == 0) {
        hwtree_edit(reader->builder, node)->kind = HWTREE_PCI_HOST;
        reader_read_pci_host(reader, node);
    } else if ((flags & FDT_CONTROLLER) != 0 || reader_has(reader, node, "msi-controller"))
        read_controller(reader, node, HWTREE_CONTROLLER_OTHER);
}

// ---- the whole

static void read_aliases(struct fdt_reader *reader, uint32_t aliases)
{
    const char *name;
    struct fdt_value value;
    for (uint32_t at = 0; fdt_next_property(reader->fdt, aliases, &at, &name, &value);) {
        const char *path = fdt_as_text(value);
        if (path == nullptr || path[0] != '/')
            continue; // "phandle", "name"
        if (!hwtree_work(reader->builder, 64))
            return;
        uint32_t node = hwtree_find(reader->tree, path, strlen(path));
        if (node == HWTREE_NONE)
            hwtree_problem(reader->builder, aliases, HWTREE_NO_TARGET, name, 0);
        else
            hwtree_add_alias(reader->builder, name, node);
    }
}

// A path, or an alias, of so many bytes.
static uint32_t find_named(const struct fdt_reader *reader, const char *name, size_t length)
{
    if (length > 0 && name[0] == '/')
        return hwtree_find(reader->tree, name, length);
    const struct hwtree_alias *alias = hwtree_at(reader->tree, HWTREE_ALIASES);
    for (uint32_t i = 0; i < hwtree_count(reader->tree, HWTREE_ALIASES); i++) {
        const char *text = hwtree_text(reader->tree, alias[i].name);
        if (strlen(text) == length && memcmp(text, name, length) == 0)
            return alias[i].node;
    }
    return HWTREE_NONE;
}

// "serial0:115200n8": the device, and options that the driver knows; a number first is the rate.
static void read_console(struct fdt_reader *reader, uint32_t chosen)
{
    const char *property = "stdout-path", *path = reader_text(reader, chosen, property);
    if (path == nullptr)
        path = reader_text(reader, chosen, property = "linux,stdout-path");
    if (path == nullptr)
        return;
    const char *options = strchr(path, ':');
    size_t length = options != nullptr ? (size_t)(options - path) : strlen(path);
    uint32_t node = find_named(reader, path, length);
    if (node == HWTREE_NONE || node == 0) {
        hwtree_problem(reader->builder, chosen, HWTREE_NO_TARGET, property, 0);
        return;
    }
    reader->builder->tree->console = node;
    struct hwtree_node *n = hwtree_edit(reader->builder, node);
    if (n->kind != HWTREE_DEVICE)
        return; // whatever it is, it keeps its facts
    n->kind = HWTREE_CONSOLE;
    if (options == nullptr)
        return;
    n->console.options = hwtree_add_text(reader->builder, options + 1, strlen(options + 1));
    for (const char *c = options + 1; *c >= '0' && *c <= '9' && n->console.baud < 100'000'000; c++)
        n->console.baud = n->console.baud * 10 + (uint32_t)(*c - '0');
}

// Binding "numa": rows of two nodes and a distance.
static void read_distances(struct fdt_reader *reader)
{
    uint32_t node = hwtree_find(reader->tree, "/distance-map", 13);
    if (node == HWTREE_NONE)
        return;
    struct fdt_cells matrix = reader_cells(reader, node, "distance-matrix");
    if (!matrix.whole || matrix.count % 3 != 0)
        hwtree_problem(reader->builder, node, HWTREE_MALFORMED, "distance-matrix", 0);
    for (uint32_t at = 0; at + 3 <= matrix.count && hwtree_work(reader->builder, 1); at += 3)
        hwtree_add_distance(reader->builder, fdt_cell(matrix.cells, at),
                            fdt_cell(matrix.cells, at + 1), fdt_cell(matrix.cells, at + 2));
}

// Where the machine's interrupts end: from the CPUs' timer, or else the root, as far as it goes.
static void find_controller(struct fdt_reader *reader)
{
    uint32_t at = reader->nodes[0].interrupt_parent;
    for (uint32_t i = 0; i < reader->count; i++) {
        const struct hwtree_node *node = hwtree_node(reader->tree, i);
        if (node->kind == HWTREE_TIMER && node->timer.variant == HWTREE_TIMER_ARM &&
            hwtree_available(reader->tree, i) && node->interrupts.count > 0) {
            at = hwtree_interrupt(reader->tree, i, 0)->controller;
            break;
        }
    }
    for (unsigned hops = 0; at != HWTREE_NONE && hops < HWTREE_DEPTH_MAX; hops++) {
        uint32_t up = reader->nodes[at].interrupt_parent;
        bool passes_on =
            up != HWTREE_NONE && up != at &&
            hwtree_node(reader->tree, at)->kind == HWTREE_CONTROLLER &&
            hwtree_node(reader->tree, at)->controller.variant == HWTREE_CONTROLLER_OTHER;
        if (!passes_on)
            break;
        at = up;
    }
    reader->builder->tree->controller = at;
}

void reader_read_whole(struct fdt_reader *reader)
{
    uint32_t aliases = hwtree_find(reader->tree, "/aliases", 8);
    uint32_t chosen = hwtree_find(reader->tree, "/chosen", 7);
    read_places(reader);
    if (aliases != HWTREE_NONE)
        read_aliases(reader, aliases);
    if (chosen != HWTREE_NONE)
        read_console(reader, chosen);
    read_distances(reader);
    find_controller(reader);
    for (uint32_t i = 0; i < reader->count; i++) {
        struct hwtree_node *node = hwtree_edit(reader->builder, i);
        if (node->kind == HWTREE_PCI_HOST && node->ranges.count > 0 &&
            hwtree_is_compatible(reader->tree, i, "pci-host-ecam-generic"))
            node->pci_host.ecam = 1;
    }
}
