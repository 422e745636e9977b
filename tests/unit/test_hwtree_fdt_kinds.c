// SPDX-License-Identifier: MIT
//
// The device tree front end of the hardware tree: what kind of thing a node is, and the facts of its kind;
// PCI hosts, and the ids of devices.
#include "fdt_test.h"

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
