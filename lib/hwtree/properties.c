// SPDX-License-Identifier: MIT
//
// What a node says, as properties of device-tree source: the names of bindings where there are
// some, else "skerry,...". docs/hwtree.md lists them.
#include <lib/string.h>

#include "writer.h"

const char *hwtree_controller_name(enum hwtree_controller_variant variant)
{
    static const char *const names[HWTREE_CONTROLLER_VARIANTS] = {
        "other", "gpio", "gicv2", "gicv3", "gicv2m", "gic-its", "local-apic", "io-apic",
    };
    return variant < HWTREE_CONTROLLER_VARIANTS ? names[variant] : "?";
}

const char *hwtree_timer_name(enum hwtree_timer_variant variant)
{
    static const char *const names[HWTREE_TIMER_VARIANTS] = {"other", "arm", "arm-frames", "hpet",
                                                             "pm"};
    return variant < HWTREE_TIMER_VARIANTS ? names[variant] : "?";
}

static const char *iommu_name(enum hwtree_iommu_variant variant)
{
    static const char *const names[HWTREE_IOMMU_VARIANTS] = {"other", "smmu", "smmuv3", "dmar"};
    return variant < HWTREE_IOMMU_VARIANTS ? names[variant] : "?";
}

// ---- pieces

static void write_text(struct hwtree_writer *writer, const char *property, const char *text)
{
    hwtree_write(writer, "%s = ", property);
    hwtree_write_quoted(writer, text);
    hwtree_write(writer, ";\n");
}

static void write_number(struct hwtree_writer *writer, const char *property, uint32_t number)
{
    hwtree_write(writer, "%s = <0x%x>;\n", property, number);
}

// Two cells.
static void write_wide(struct hwtree_writer *writer, uint64_t number)
{
    hwtree_write(writer, "0x%x 0x%x", (unsigned)(number >> 32), (unsigned)number);
}

static void write_reference(struct hwtree_writer *writer, uint32_t node)
{
    hwtree_write(writer, "&{");
    hwtree_write_path(writer, node);
    hwtree_write(writer, "}");
}

static unsigned interrupt_flags(const struct hwtree_interrupt *interrupt)
{
    static const uint8_t edge[HWTREE_POLARITIES] = {1, 1, 2, 3}, level[] = {4, 4, 8, 4};
    switch (interrupt->trigger) {
    case HWTREE_TRIGGER_EDGE:
        return edge[interrupt->polarity];
    case HWTREE_TRIGGER_LEVEL:
        return level[interrupt->polarity];
    case HWTREE_TRIGGER_UNKNOWN:
    case HWTREE_TRIGGERS:
        break;
    }
    return 0;
}

// Type and number, as the GIC's binding has them.
static void write_gic_line(struct hwtree_writer *writer, uint64_t line)
{
    unsigned type = line < 32 ? 1 : line < 1056 ? 0 : line < 4096 ? 3 : 2;
    static const uint16_t first[] = {32, 16, 4096, 1056};
    hwtree_write(writer, "%u %u", type, (unsigned)line - first[type]);
}

static void write_interrupt(struct hwtree_writer *writer, const struct hwtree_interrupt *interrupt)
{
    const struct hwtree_node *controller = hwtree_node(writer->tree, interrupt->controller);
    write_reference(writer, interrupt->controller);
    hwtree_write(writer, " ");
    if (controller->kind == HWTREE_CONTROLLER && controller->controller.gic_lines &&
        interrupt->line >= 16 && interrupt->line <= UINT16_MAX)
        write_gic_line(writer, interrupt->line);
    else
        write_wide(writer, interrupt->line);
    hwtree_write(writer, " %u", interrupt_flags(interrupt));
}

// ---- lists

static void write_compatible(struct hwtree_writer *writer, const struct hwtree_node *node)
{
    if (node->compatible.count == 0)
        return;
    const char *text = hwtree_text(writer->tree, node->compatible.first);
    hwtree_write(writer, "compatible = ");
    for (uint32_t i = 0; i < node->compatible.count; i++, text += strlen(text) + 1) {
        hwtree_write(writer, i > 0 ? ", " : "");
        hwtree_write_quoted(writer, text);
    }
    hwtree_write(writer, ";\n");
}

static void write_space(struct hwtree_writer *writer, uint32_t number, enum hwtree_space space,
                        const char *property)
{
    const char *before = "";
    for (uint32_t i = 0; i < hwtree_node(writer->tree, number)->ranges.count; i++) {
        const struct hwtree_range *range = hwtree_range(writer->tree, number, i);
        if (range->space != space)
            continue;
        if (before[0] == 0)
            hwtree_write(writer, "%s =", property);
        hwtree_write(writer, "%s <", before);
        write_wide(writer, range->base);
        hwtree_write(writer, " ");
        write_wide(writer, range->bytes);
        hwtree_write(writer, ">");
        before = ",";
    }
    if (before[0] != 0)
        hwtree_write(writer, ";\n");
}

static bool has_space(const struct hwtree *tree, uint32_t node, enum hwtree_space space)
{
    for (uint32_t i = 0; i < hwtree_node(tree, node)->ranges.count; i++)
        if (hwtree_range(tree, node, i)->space == space)
            return true;
    return false;
}

static void write_ranges(struct hwtree_writer *writer, uint32_t node)
{
    bool memory = has_space(writer->tree, node, HWTREE_SPACE_MEMORY), named = false;
    write_space(writer, node, HWTREE_SPACE_MEMORY, "reg");
    write_space(writer, node, HWTREE_SPACE_BUS, memory ? "skerry,bus-reg" : "reg");
    write_space(writer, node, HWTREE_SPACE_IO, "skerry,io");
    write_space(writer, node, HWTREE_SPACE_CONFIG, "skerry,config");
    for (uint32_t i = 0; i < hwtree_node(writer->tree, node)->ranges.count; i++) {
        uint32_t name = hwtree_range(writer->tree, node, i)->name;
        if (name == 0)
            continue;
        hwtree_write(writer, named ? ", " : "reg-names = ");
        hwtree_write_quoted(writer, hwtree_text(writer->tree, name));
        named = true;
    }
    hwtree_write(writer, named ? ";\n" : "");
}

static void write_interrupts(struct hwtree_writer *writer, uint32_t node)
{
    uint32_t count = hwtree_node(writer->tree, node)->interrupts.count;
    bool named = false;
    for (uint32_t i = 0; i < count; i++) {
        hwtree_write(writer, i > 0 ? ", <" : "interrupts-extended = <");
        write_interrupt(writer, hwtree_interrupt(writer->tree, node, i));
        hwtree_write(writer, i + 1 < count ? ">" : ">;\n");
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t name = hwtree_interrupt(writer->tree, node, i)->name;
        if (name == 0)
            continue;
        hwtree_write(writer, named ? ", " : "interrupt-names = ");
        hwtree_write_quoted(writer, hwtree_text(writer->tree, name));
        named = true;
    }
    hwtree_write(writer, named ? ";\n" : "");
}

// What the bus above has is told there.
static void write_dma(struct hwtree_writer *writer, uint32_t node)
{
    const struct hwtree_node *n = hwtree_node(writer->tree, node);
    const struct hwtree_node *above = node > 0 ? hwtree_node(writer->tree, n->parent) : nullptr;
    uint8_t flags_above = above != nullptr ? above->flags : 0;
    if ((n->flags & HWTREE_COHERENT) != 0 && (flags_above & HWTREE_COHERENT) == 0)
        hwtree_write(writer, "dma-coherent;\n");
    else if ((n->flags & HWTREE_COHERENT) == 0 && (flags_above & HWTREE_COHERENT) != 0)
        hwtree_write(writer, "dma-noncoherent;\n");
    if ((n->flags & HWTREE_LIMITED) == 0 ||
        (above != nullptr && n->dma.first == above->dma.first && n->dma.count == above->dma.count))
        return;
    hwtree_write(writer, n->dma.count > 0 ? "skerry,dma =" : "skerry,dma");
    for (uint32_t i = 0; i < n->dma.count; i++) {
        const struct hwtree_dma *dma = hwtree_dma(writer->tree, node, i);
        hwtree_write(writer, i > 0 ? ", <" : " <");
        write_wide(writer, dma->device);
        hwtree_write(writer, " ");
        write_wide(writer, dma->cpu);
        hwtree_write(writer, " ");
        write_wide(writer, dma->bytes);
        hwtree_write(writer, ">");
    }
    hwtree_write(writer, ";\n");
}

static void write_ids(struct hwtree_writer *writer, uint32_t node, enum hwtree_id_kind kind,
                      const char *property)
{
    const char *before = "";
    for (uint32_t i = 0; i < hwtree_node(writer->tree, node)->ids.count; i++) {
        const struct hwtree_id *id = hwtree_id(writer->tree, node, i);
        if (id->kind != kind)
            continue;
        if (before[0] == 0)
            hwtree_write(writer, "%s =", property);
        hwtree_write(writer, "%s <0x%x 0x%x 0x%x ", before, id->input, id->input_mask, id->count);
        write_reference(writer, id->target);
        hwtree_write(writer, " 0x%x 0x%x>", id->output, id->output_mask);
        before = ",";
    }
    if (before[0] != 0)
        hwtree_write(writer, ";\n");
}

// ---- facts

static void write_cpu(struct hwtree_writer *writer, const struct hwtree_cpu *cpu)
{
    static const char *const methods[HWTREE_METHODS] = {
        nullptr, "psci", "spin-table", "parking-protocol", "init", nullptr,
    };
    const char *method =
        cpu->method_name != 0 ? hwtree_text(writer->tree, cpu->method_name) : methods[cpu->method];
    hwtree_write(writer, "device_type = \"cpu\";\nskerry,id = <");
    write_wide(writer, cpu->id);
    hwtree_write(writer, ">;\n");
    if (method != nullptr)
        write_text(writer, "enable-method", method);
    if (cpu->release != 0) {
        hwtree_write(writer, "cpu-release-addr = <");
        write_wide(writer, cpu->release);
        hwtree_write(writer, ">;\n");
    }
    if (cpu->uid != HWTREE_NONE)
        write_number(writer, "skerry,uid", cpu->uid);
    static const char *const places[] = {"skerry,socket", "skerry,cluster", "skerry,core",
                                         "skerry,thread"};
    const uint16_t place[] = {cpu->socket, cpu->cluster, cpu->core, cpu->thread};
    for (unsigned i = 0; i < 4; i++)
        if (place[i] != HWTREE_NO_PLACE)
            write_number(writer, places[i], place[i]);
}

static void write_controller(struct hwtree_writer *writer,
                             const struct hwtree_controller *controller)
{
    // Those that only take messages have no lines.
    if (controller->variant != HWTREE_CONTROLLER_GIC_ITS &&
        controller->variant != HWTREE_CONTROLLER_GIC_FRAME)
        hwtree_write(writer, "interrupt-controller;\n#interrupt-cells = <3>;\n");
    write_text(writer, "skerry,variant", hwtree_controller_name(controller->variant));
    if (controller->line_first != 0 || controller->line_count != 0)
        hwtree_write(writer, "skerry,lines = <0x%x 0x%x>;\n", controller->line_first,
                     controller->line_count);
    if (controller->id != HWTREE_NONE)
        write_number(writer, "skerry,id", controller->id);
}

static void write_pci_host(struct hwtree_writer *writer, uint32_t node)
{
    const struct hwtree_pci_host *host = &hwtree_node(writer->tree, node)->pci_host;
    hwtree_write(writer, "bus-range = <0x%x 0x%x>;\nlinux,pci-domain = <0x%x>;\n", host->first_bus,
                 host->last_bus, host->segment);
    if (host->ecam)
        hwtree_write(writer, "skerry,ecam;\n");
    for (uint32_t i = 0; i < host->windows.count; i++) {
        const struct hwtree_window *window = hwtree_window(writer->tree, node, i);
        unsigned space = window->io ? 1 : window->wide ? 3 : 2;
        hwtree_write(writer, "%s <0x%x ", i > 0 ? "," : "skerry,windows =",
                     space << 24 | (window->prefetchable ? 1u << 30 : 0));
        write_wide(writer, window->bus);
        hwtree_write(writer, " ");
        write_wide(writer, window->cpu);
        hwtree_write(writer, " ");
        write_wide(writer, window->bytes);
        hwtree_write(writer, i + 1 < host->windows.count ? ">" : ">;\n");
    }
    if (host->routes.count > 0)
        hwtree_write(writer, "skerry,route-mask = <0x%x 0x%x>;\n", host->address_mask,
                     host->pin_mask);
    for (uint32_t i = 0; i < host->routes.count; i++) {
        const struct hwtree_route *route = hwtree_route(writer->tree, node, i);
        hwtree_write(writer, "%s <0x%x 0x%x ", i > 0 ? "," : "skerry,routes =", route->address,
                     route->pin);
        write_interrupt(writer, &route->interrupt);
        hwtree_write(writer, i + 1 < host->routes.count ? ">" : ">;\n");
    }
}

static void write_facts(struct hwtree_writer *writer, uint32_t node)
{
    const struct hwtree_node *n = hwtree_node(writer->tree, node);
    if (n->kind != HWTREE_DEVICE)
        write_text(writer, "skerry,kind", hwtree_kind_name(n->kind));
    switch (n->kind) {
    case HWTREE_CPU:
        write_cpu(writer, &n->cpu);
        break;
    case HWTREE_MEMORY:
        hwtree_write(writer, "device_type = \"memory\";\n%s%s",
                     n->memory.flags & HWTREE_MEMORY_HOTPLUG ? "hotpluggable;\n" : "",
                     n->memory.flags & HWTREE_MEMORY_PERSISTENT ? "skerry,persistent;\n" : "");
        break;
    case HWTREE_RESERVED:
        hwtree_write(writer, "%s%s", n->reserved.flags & HWTREE_RESERVED_NO_MAP ? "no-map;\n" : "",
                     n->reserved.flags & HWTREE_RESERVED_REUSABLE ? "reusable;\n" : "");
        if (n->reserved.bytes == 0)
            break;
        hwtree_write(writer, "size = <");
        write_wide(writer, n->reserved.bytes);
        hwtree_write(writer, ">;\n");
        break;
    case HWTREE_CONTROLLER:
        write_controller(writer, &n->controller);
        break;
    case HWTREE_TIMER:
        write_text(writer, "skerry,variant", hwtree_timer_name(n->timer.variant));
        if (n->timer.hz != 0)
            write_number(writer, "clock-frequency", n->timer.hz);
        if (n->timer.bits != 0)
            write_number(writer, "skerry,bits", n->timer.bits);
        break;
    case HWTREE_CONSOLE:
        if (n->console.options != 0)
            write_text(writer, "skerry,options", hwtree_text(writer->tree, n->console.options));
        if (n->console.baud != 0)
            write_number(writer, "current-speed", n->console.baud);
        break;
    case HWTREE_PCI_HOST:
        write_pci_host(writer, node);
        break;
    case HWTREE_PCI_FUNCTION:
        hwtree_write(writer, "vendor-id = <0x%x>;\ndevice-id = <0x%x>;\nclass-code = <0x%x>;\n",
                     n->pci_function.vendor, n->pci_function.device, n->pci_function.class_code);
        hwtree_write(writer, "skerry,requester = <0x%x>;\nskerry,pin = <0x%x>;\n",
                     n->pci_function.requester, n->pci_function.pin);
        break;
    case HWTREE_IOMMU:
        write_text(writer, "skerry,variant", iommu_name(n->iommu.variant));
        hwtree_write(writer, "%s", n->iommu.everything ? "skerry,everything;\n" : "");
        break;
    case HWTREE_DEVICE:
    case HWTREE_KINDS:
        break;
    }
}

// ---- the whole of a node

// Names of aliases become names of properties.
static bool is_property_name(const char *name)
{
    size_t length = strlen(name);
    for (const char *c = name; *c != 0; c++)
        if (!((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
              *c == '-' || *c == ',' || *c == '.' || *c == '_' || *c == '+'))
            return false;
    return length > 0 && length <= 64;
}

static void write_root(struct hwtree_writer *writer)
{
    const struct hwtree *tree = writer->tree;
    const char *names[] = {"skerry,console", "skerry,interrupts-end-at"};
    const uint32_t nodes[] = {tree->console, tree->controller};
    for (unsigned i = 0; i < 2; i++) {
        if (nodes[i] == HWTREE_NONE)
            continue;
        hwtree_write(writer, "%s = \"", names[i]);
        hwtree_write_path(writer, nodes[i]);
        hwtree_write(writer, "\";\n");
    }
    const struct hwtree_distance *distance = hwtree_at(tree, HWTREE_DISTANCES);
    uint32_t count = hwtree_count(tree, HWTREE_DISTANCES);
    for (uint32_t i = 0; i < count; i++)
        hwtree_write(writer, "%s <0x%x 0x%x 0x%x>%s",
                     i > 0 ? "," : "skerry,distances =", distance[i].from, distance[i].to,
                     distance[i].distance, i + 1 < count ? "" : ";\n");
}

static void write_aliases(struct hwtree_writer *writer)
{
    const struct hwtree_alias *alias = hwtree_at(writer->tree, HWTREE_ALIASES);
    for (uint32_t i = 0; i < hwtree_count(writer->tree, HWTREE_ALIASES); i++) {
        const char *name = hwtree_text(writer->tree, alias[i].name);
        if (!is_property_name(name))
            continue;
        hwtree_write(writer, "%s = \"", name);
        hwtree_write_path(writer, alias[i].node);
        hwtree_write(writer, "\";\n");
    }
}

void hwtree_write_properties(struct hwtree_writer *writer, uint32_t node)
{
    static const char *const statuses[HWTREE_STATUSES] = {"okay", "disabled", "reserved", "fail"};
    const struct hwtree *tree = writer->tree;
    const struct hwtree_node *n = hwtree_node(tree, node);
    bool addressed = false;
    for (uint32_t c = n->first_child; c != HWTREE_NONE; c = hwtree_node(tree, c)->next)
        addressed |= has_space(tree, c, HWTREE_SPACE_MEMORY);
    write_compatible(writer, n);
    if (n->first_child != HWTREE_NONE)
        hwtree_write(writer, "#address-cells = <2>;\n#size-cells = <2>;\n%s",
                     addressed && node != 0 ? "ranges;\n" : "");
    if (n->status != HWTREE_OKAY)
        write_text(writer, "status", statuses[n->status]);
    if (node == 0)
        write_root(writer);
    write_facts(writer, node);
    write_ranges(writer, node);
    write_interrupts(writer, node);
    write_dma(writer, node);
    write_ids(writer, node, HWTREE_ID_MSI, "skerry,msi");
    write_ids(writer, node, HWTREE_ID_IOMMU, "skerry,iommu");
    if (n->numa != HWTREE_NONE)
        write_number(writer, "numa-node-id", n->numa);
    if (n->parent == 0 && strcmp(hwtree_name(tree, node), "aliases") == 0)
        write_aliases(writer);
}
