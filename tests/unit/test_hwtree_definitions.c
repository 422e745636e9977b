// SPDX-License-Identifier: MIT
//
// What the ACPI front end takes from DSDT and SSDTs, of an Arm machine that is made here: devices that
// they declare, windows and routes of its PCI host, where its messages go; and from the small tables
// beside them, how its CPUs belong together, their counters, and PSCI.
#include "acpi_copies.h"
#include "aml_maker.h"

constexpr size_t TREE_BYTES = 64 * 1024;
constexpr uint64_t ECAM = 0x40'1000'0000;

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t tree_memory[TREE_BYTES / 8];
static struct hwtree_builder builder;
static const struct hwtree *tree;

// ---- the machine

static void put_madt(void)
{
    struct [[gnu::packed]] {
        uint32_t apic, flags;
        struct acpi_madt_generic_distributor gicd;
        struct acpi_madt_generic_interrupt cpus[4];
        struct acpi_madt_generic_msi_frame frame;
    } madt = {.gicd = {.header = {12, 24}, .base_address = 0x800'0000, .version = 2},
              .frame = {.header = {13, 24}, .base_address = 0x802'0000}};
    for (unsigned i = 0; i < 4; i++)
        madt.cpus[i] = (struct acpi_madt_generic_interrupt){.header = {11, sizeof(madt.cpus[0])},
                                                            .uid = 10 + i,
                                                            .flags = ACPI_MADT_ENABLED,
                                                            .performance_interrupt = 23,
                                                            .base_address = 0x801'0000,
                                                            .arm_mpidr = i};
    (void)put_table("APIC", &madt, sizeof(madt));
}

static void put_fadt(void)
{
    struct acpi_table_fadt fadt = {.flags = ACPI_FADT_HW_REDUCED,
                                   .arm_boot_flags = ACPI_FADT_PSCI_COMPLIANT};
    (void)PUT("FACP", fadt);
}

// Two clusters of one core with two threads each.
static void put_pptt(void)
{
    struct acpi_pptt_processor nodes[9] =
        {}; // a socket; two each of a cluster, a core; four threads
    static const uint8_t parents[] = {0, 0, 0, 1, 2, 3, 3, 4, 4};
    for (unsigned i = 0; i < 9; i++) {
        nodes[i].header = (struct acpi_subtable_header){0, sizeof(nodes[0])};
        if (i > 0)
            nodes[i].parent =
                (uint32_t)(sizeof(struct acpi_table_header) + parents[i] * sizeof(nodes[0]));
        if (i > 4)
            nodes[i].acpi_processor_id = 10 + i - 5;
        nodes[i].flags = i == 0  ? ACPI_PPTT_PHYSICAL_PACKAGE
                         : i > 4 ? ACPI_PPTT_ACPI_PROCESSOR_ID_VALID |
                                       ACPI_PPTT_ACPI_PROCESSOR_IS_THREAD | ACPI_PPTT_ACPI_LEAF_NODE
                                 : 0;
    }
    (void)put_table("PPTT", nodes, sizeof(nodes));
}

static void put_mcfg(void)
{
    struct [[gnu::packed]] {
        uint64_t reserved;
        struct acpi_mcfg_allocation host;
    } mcfg = {.host = {.address = ECAM, .end_bus_number = 255}};
    (void)put_table("MCFG", &mcfg, sizeof(mcfg));
}

static void put_memory_and_line(uint32_t base, uint32_t bytes, uint8_t flags, uint32_t line)
{
    aml_open("\x08_CRS\x11", "");
    AML(0x0a, 0);
    if (bytes > 0) {
        AML(0x86, 9, 0, 1);
        aml_put(&base, 4);
        aml_put(&bytes, 4);
    }
    AML(0x89, 6, 0, flags, 1);
    aml_put(&line, 4);
    AML(0x79, 0);
    aml_close();
}

static void put_device(const char *name, const char *hid, uint32_t base, uint8_t flags,
                       uint32_t line)
{
    aml_open("\x5b\x82", name);
    aml_named("_HID", hid);
    AML(0x08, '_', 'C', 'C', 'A', 1);
    put_memory_and_line(base, 0x200, flags, line);
    aml_close();
}

// The usual turn of pins over devices, in as many rows as there are: four lines, from 35 on.
static void put_host(unsigned slots)
{
    aml_open("\x5b\x82", "PCI0");
    aml_named("_HID", "PNP0A08");
    AML(0x08, '_', 'C', 'C', 'A', 1);
    aml_open("\x08_PRT\x13", "");
    AML(0x0a, (uint8_t)(4 * slots));
    for (uint8_t slot = 0; slot < slots; slot++)
        for (uint8_t pin = 0; pin < 4; pin++)
            AML(0x12, 14, 4, 0x0c, 0xff, 0xff, slot, 0, 0x0a, pin, 'G', 'S', 'I',
                (uint8_t)('0' + (slot + pin) % 4), 0);
    aml_close();
    for (uint8_t i = 0; i < 4; i++) {
        aml_open("\x5b\x82", "GSI");
        AML((uint8_t)('0' + i));
        aml_named("_HID", "PNP0C0F");
        put_memory_and_line(0, 0, 1, 35u + i);
        aml_close();
    }
    aml_open("\x08_CRS\x11", "");
    AML(0x0a, 0);
    AML(0x87, 23, 0, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0, 0, 0x10, 0xff, 0xff, 0xff, 0x1f, 0, 0, 0, 0, 0,
        0, 0,
        0x10); // memory, 256 MiB at 0x10000000
    AML(0x87, 23, 0, 1, 0x0c, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0x3e, 0, 0,
        1,
        0); // I/O, 64 KiB at 0x3eff0000
    AML(0x79, 0);
    aml_close();
    aml_close();
}

static uint8_t *put_definitions(const char *signature)
{
    return put_table(signature, aml, aml_used);
}

static void make_machine(void)
{
    begin_tables();
    put_madt();
    put_fadt();
    put_pptt();
    put_mcfg();
    aml_begin();
}

static void read_all(void)
{
    const char *why = "";
    EXPECT(hwtree_begin(&builder, tree_memory, TREE_BYTES, HWTREE_ACPI));
    hwtree_read_acpi(&builder, &acpi);
    tree = builder.tree;
    EXPECT_NOTE(hwtree_check(tree, hwtree_finish(&builder), &why), "%s", why);
}

static uint32_t find(const char *path)
{
    return hwtree_find(tree, path, strlen(path));
}

static void expect_interrupt(const char *path, uint64_t line, enum hwtree_trigger trigger,
                             enum hwtree_polarity polarity)
{
    uint32_t node = find(path);
    EXPECT_NOTE(node != HWTREE_NONE && hwtree_node(tree, node)->interrupts.count == 1, "%s", path);
    const struct hwtree_interrupt *interrupt = hwtree_interrupt(tree, node, 0);
    EXPECT_NOTE(interrupt->line == line && interrupt->controller == tree->controller, "%s: %lu",
                path, interrupt->line);
    EXPECT(interrupt->trigger == trigger && interrupt->polarity == polarity);
}

// ---- devices

TEST(devices_that_are_known_by_their_ids)
{
    make_machine();
    put_device("VR00", "LNRO0005", 0xa00'0000, 1, 48);
    put_device("VR01", "LNRO0005", 0xa00'0200, 1 | 2, 49);
    put_device("COM0", "ARMH0011", 0x900'0000, 1 | 4, 33);
    put_device("GPO0", "ARMH0061", 0x903'0000, 1, 39);
    put_device("FWCF", "QEMU0002", 0x902'0000, 1, 40);
    put_device("OTHR", "LNRO0006", 0x904'0000, 1, 41);
    put_device("VR02", "LNRO0005", 0xa00'0200, 1, 50); // where another one is
    (void)put_definitions("SSDT");
    read_all();
    expect_interrupt("/virtio@a000000", 48, HWTREE_TRIGGER_LEVEL, HWTREE_POLARITY_HIGH);
    expect_interrupt("/virtio@a000200", 49, HWTREE_TRIGGER_EDGE, HWTREE_POLARITY_HIGH);
    expect_interrupt("/serial@9000000", 33, HWTREE_TRIGGER_LEVEL, HWTREE_POLARITY_LOW);
    EXPECT(hwtree_is_compatible(tree, find("/virtio@a000000"), "virtio,mmio"));
    EXPECT(hwtree_is_compatible(tree, find("/serial@9000000"), "arm,pl011"));
    EXPECT(hwtree_is_compatible(tree, find("/gpio@9030000"), "arm,pl061"));
    EXPECT(hwtree_is_compatible(tree, find("/fw-cfg@9020000"), "qemu,fw-cfg-mmio"));
    EXPECT((hwtree_node(tree, find("/fw-cfg@9020000"))->flags & HWTREE_COHERENT) != 0);
    EXPECT(hwtree_range(tree, find("/virtio@a000200"), 0)->bytes == 0x200);
    EXPECT(hwtree_count(tree, HWTREE_NODES) == 16);
}

TEST(a_table_of_another_kind_declares_nothing)
{
    make_machine();
    put_device("VR00", "LNRO0005", 0xa00'0000, 1, 48);
    (void)put_definitions("OEM1");
    read_all();
    EXPECT(find("/virtio@a000000") == HWTREE_NONE);
}

TEST(a_line_that_no_controller_has_is_said)
{
    begin_tables();
    aml_begin();
    put_device("VR00", "LNRO0005", 0xa00'0000, 1, 48);
    (void)put_definitions("DSDT");
    read_all();
    EXPECT(hwtree_node(tree, find("/virtio@a000000"))->interrupts.count == 0);
    EXPECT(tree->problems[HWTREE_NOT_CONTROLLER] == 1);
}

// ---- the PCI host

TEST(windows_and_routes_of_a_host)
{
    make_machine();
    put_host(32);
    (void)put_definitions("DSDT");
    read_all();
    uint32_t host = find("/pci@4010000000");
    const struct hwtree_pci_host *facts = &hwtree_node(tree, host)->pci_host;
    EXPECT(facts->windows.count == 2 && facts->routes.count == 16);
    EXPECT(hwtree_window(tree, host, 0)->io && hwtree_window(tree, host, 0)->cpu == 0x3eff'0000);
    EXPECT(hwtree_window(tree, host, 1)->bus == 0x1000'0000);
    EXPECT(facts->address_mask == 3u << 11 && facts->pin_mask == 7);
    for (unsigned i = 0; i < 16; i++) {
        const struct hwtree_route *route = hwtree_route(tree, host, i);
        EXPECT(route->address == i / 4 << 11 && route->pin == i % 4 + 1);
        EXPECT(route->interrupt.line == 35 + (i / 4 + i % 4) % 4);
        EXPECT(route->interrupt.trigger == HWTREE_TRIGGER_LEVEL);
    }
    EXPECT((hwtree_node(tree, host)->flags & HWTREE_COHERENT) != 0);
}

// Rows that are not there make no two devices the same.
TEST(routes_of_some_devices_only)
{
    make_machine();
    put_host(3);
    (void)put_definitions("DSDT");
    read_all();
    uint32_t host = find("/pci@4010000000");
    EXPECT(hwtree_node(tree, host)->pci_host.routes.count == 12);
    EXPECT(hwtree_node(tree, host)->pci_host.address_mask == 31u << 11);
}

TEST(a_host_of_another_segment_says_nothing)
{
    make_machine();
    put_host(4);
    aml_begin();
    aml_open("\x5b\x82", "PCI1");
    aml_named("_HID", "PNP0A08");
    AML(0x08, '_', 'S', 'E', 'G', 1, 0x08, '_', 'C', 'C', 'A', 1);
    aml_close();
    (void)put_definitions("DSDT");
    read_all();
    EXPECT((hwtree_node(tree, find("/pci@4010000000"))->flags & HWTREE_COHERENT) == 0);
}

TEST(messages_go_to_the_only_controller)
{
    uint32_t target;
    make_machine();
    read_all();
    uint32_t host = find("/pci@4010000000");
    EXPECT(hwtree_node(tree, host)->ids.count == 1);
    target = hwtree_id(tree, host, 0)->target;
    EXPECT(target == find("/interrupt-controller@8000000/msi-controller@8020000"));
    EXPECT(hwtree_id(tree, host, 0)->count == 0x1'0000 && hwtree_id(tree, host, 0)->output == 0);
}

// ---- CPUs

TEST(cpus_belong_together)
{
    make_machine();
    read_all();
    for (unsigned i = 0; i < 4; i++) {
        char path[16];
        snprintf(path, sizeof(path), "/cpus/cpu@%u", i);
        const struct hwtree_cpu *cpu = &hwtree_node(tree, find(path))->cpu;
        EXPECT(cpu->socket == 0 && cpu->cluster == i / 2 && cpu->core == 0 && cpu->thread == i % 2);
        EXPECT(hwtree_range(tree, find(path), 0)->base == i);
    }
    expect_interrupt("/pmu", 23, HWTREE_TRIGGER_LEVEL, HWTREE_POLARITY_HIGH);
    EXPECT(hwtree_is_compatible(tree, find("/psci"), "arm,psci-0.2"));
}

// Nodes that are above each other have no end.
TEST(places_in_a_circle)
{
    make_machine();
    uint8_t *pptt = tables[2];
    struct acpi_pptt_processor node;
    uint8_t *at = pptt + sizeof(struct acpi_table_header) + 3 * sizeof(node);
    memcpy(&node, at, sizeof(node));
    node.parent = (uint32_t)(at - pptt);
    memcpy(at, &node, sizeof(node));
    read_all();
    EXPECT(hwtree_node(tree, find("/cpus/cpu@0"))->cpu.socket == HWTREE_NO_PLACE);
    EXPECT(hwtree_node(tree, find("/cpus/cpu@2"))->cpu.socket == 0);
}

TEST(damage)
{
    unsigned slots = 0, routed = 0;
    for (unsigned round = 0; round < 5'000; round++) {
        make_machine();
        put_host(5);
        put_device("VR00", "LNRO0005", 0xa00'0000, 1, 48);
        (void)put_definitions("DSDT");
        const size_t header = sizeof(struct acpi_table_header);
        const unsigned victim = round % 2 ? 4 : (unsigned)(random_next() % 5);
        for (unsigned n = 0; n <= round % 5; n++)
            tables[victim][header + random_next() % (acpi.list[victim].bytes - header)] =
                (uint8_t)random_next();
        if (round % 3 == 0)
            acpi.list[victim].bytes -=
                (uint32_t)(random_next() % (acpi.list[victim].bytes - header));
        read_all();
        slots += hwtree_compatible(tree, HWTREE_NONE, "virtio,mmio") != HWTREE_NONE;
        uint32_t host = find("/pci@4010000000");
        routed += host != HWTREE_NONE && hwtree_node(tree, host)->pci_host.routes.count > 0;
    }
    EXPECT(slots > 500 && routed > 1000);
}
