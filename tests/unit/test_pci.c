// SPDX-License-Identifier: MIT
//
// build: user/devd/pci_config.c user/devd/windows.c user/devd/plan.c user/devd/pci_scan.c user/devd/bridges.c user/devd/pci_ports.c user/devd/tree.c
//
// PCI: a modelled function is read, placed and cut into windows; then configuration spaces of
// random bytes, and buses full of them.
#include <stdint.h>
#include <user/devd/pci_config.h>
#include <user/devd/plan.h>
#include <user/devd/windows.h>

#include "test.h"

// ---- a model: config space as words, with the bits of BARs that stick

struct model {
    struct pci_config config;
    uint32_t word[64];
    uint32_t bar_mask[PCI_BARS]; // 0: not implemented
    uint32_t reads;
};

static uint32_t model_read(struct pci_config *config, uint32_t offset)
{
    struct model *m = (struct model *)config;
    EXPECT(offset % 4 == 0 && offset < 256 && m->reads++ < 10'000);
    return m->word[offset / 4];
}

static void model_write(struct pci_config *config, uint32_t offset, uint32_t value)
{
    struct model *m = (struct model *)config;
    EXPECT(offset % 4 == 0 && offset < 256);
    uint32_t *word = &m->word[offset / 4];
    if (offset == 4) {
        *word = (*word & 0xffff0000) | (value & 0xffff);
    } else if (offset >= 0x10 && offset < 0x28) {
        uint32_t mask = m->bar_mask[(offset - 0x10) / 4];
        uint32_t flags = mask != 0 && ((mask & 1) || (mask & 0xf) <= 0xc) ? *word & 0xf : 0;
        bool upper = offset > 0x10 && (m->word[offset / 4 - 1] & 7) == 4;
        *word = upper ? value & mask : (value & mask & ~0xfu) | flags;
    } else {
        *word = value;
    }
}

static void set_byte(struct model *m, unsigned at, uint8_t value)
{
    ((uint8_t *)m->word)[at] = value;
}

static void set_capability(struct model *m, unsigned at, const void *bytes, size_t count)
{
    memcpy((uint8_t *)m->word + at, bytes, count);
}

static void virtio_capability(struct model *m, unsigned at, unsigned next, uint8_t kind,
                              uint8_t bar, uint32_t offset, uint32_t length, uint32_t multiplier)
{
    struct {
        uint8_t id, next, bytes, kind, bar, padding[3];
        uint32_t offset, length, multiplier;
    } c = {9, (uint8_t)next, kind == 2 ? 20 : 16, kind, bar, {}, offset, length, multiplier};
    set_capability(m, at, &c, kind == 2 ? 20 : 16);
}

// A virtio disk as QEMU makes it: MSI-X in BAR 1, structures in a 64-bit BAR 4.
static struct model disk(void)
{
    struct model m = {.config = {model_read, model_write, nullptr}};
    m.word[0] = 0x10421af4;
    m.word[1] = 1u << 20;
    m.word[2] = 0x01000001;
    m.word[15] = 0x0100;
    m.bar_mask[1] = 0xfffff000;
    m.word[8] = 0xc; // 64 bits, prefetchable
    m.bar_mask[4] = 0xffffc000 | 0xc;
    m.bar_mask[5] = 0xffffffff;
    set_byte(&m, 0x34, 0x98);
    uint32_t msix[3] = {0x11 | 0x84 << 8 | 1 << 16, 1, 0x800 | 1};
    set_capability(&m, 0x98, msix, sizeof(msix));
    virtio_capability(&m, 0x84, 0x70, 2, 4, 0x3000, 0x1000, 4);
    virtio_capability(&m, 0x70, 0x60, 4, 4, 0x2000, 0x1000, 0);
    virtio_capability(&m, 0x60, 0x50, 3, 4, 0x1000, 0x1000, 0);
    virtio_capability(&m, 0x50, 0, 1, 4, 0, 0x1000, 0);
    return m;
}

TEST(pci_reads_a_virtio_disk)
{
    struct model m = disk();
    struct pci_function f;
    EXPECT(pci_function_read(&m.config, &f));
    EXPECT(f.vendor == 0x1af4 && f.device == 0x1042 && f.class_code == 0x010000);
    EXPECT(f.interrupt_pin == 1 && !f.bridge && !f.multifunction);
    EXPECT(f.bars[1].kind == PCI_BAR_MEMORY && f.bars[1].bytes == 0x1000 && !f.bars[1].wide);
    EXPECT(f.bars[4].kind == PCI_BAR_MEMORY && f.bars[4].bytes == 0x4000 && f.bars[4].wide);
    EXPECT(f.bars[0].kind == PCI_BAR_NONE && f.bars[5].kind == PCI_BAR_NONE);
    EXPECT(f.msix.capability == 0x98 && f.msix.vectors == 2 && f.msix.table_bar == 1);
    EXPECT(f.virtio[PCI_VIRTIO_NOTIFY].offset == 0x3000 && f.virtio_notify_multiplier == 4);
    EXPECT(f.virtio[PCI_VIRTIO_COMMON].bytes == 0x1000 && f.virtio[PCI_VIRTIO_DEVICE].bar == 4);
    pci_bar_assign(&m.config, &f, 4, 0x80'0000'4000);
    EXPECT(m.word[8] == 0x400c && m.word[9] == 0x80);
    pci_msix_switch(&m.config, &f.msix, true);
    EXPECT(m.word[0x98 / 4] >> 30 == 2);
    pci_command_change(&m.config, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
    pci_command_change(&m.config, PCI_COMMAND_BUS_MASTER, 0);
    EXPECT((m.word[1] & 0xffff) == PCI_COMMAND_MEMORY);
}

TEST(pci_leaves_out_what_makes_no_sense)
{
    struct pci_function f;
    struct model m = disk();
    virtio_capability(&m, 0x50, 0x98, 1, 4, 0x3001, 0x1000, 0); // past its BAR; and a loop
    EXPECT(pci_function_read(&m.config, &f) && f.virtio[PCI_VIRTIO_COMMON].bytes == 0);
    m = disk();
    virtio_capability(&m, 0x50, 0, 1, 3, 0, 0x1000, 0); // a BAR that is not there
    EXPECT(pci_function_read(&m.config, &f) && f.virtio[PCI_VIRTIO_COMMON].bytes == 0);
    m = disk();
    m.word[0x9c / 4] = 0xff8 | 1; // a table that runs over the end of its BAR
    EXPECT(pci_function_read(&m.config, &f) && f.msix.capability == 0);
    m = disk();
    m.bar_mask[1] = 0xf0f0f000; // a size that is no power of two
    EXPECT(pci_function_read(&m.config, &f) && f.bars[1].kind == PCI_BAR_NONE);
    EXPECT(f.msix.capability == 0);
    m = disk();
    m.word[0] = UINT32_MAX;
    EXPECT(!pci_function_read(&m.config, &f));
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void expect_sane(const struct pci_function *f)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *bar = &f->bars[i];
        if (bar->kind == PCI_BAR_MEMORY)
            EXPECT(bar->bytes >= 16 && (bar->bytes & (bar->bytes - 1)) == 0);
    }
    for (unsigned kind = 1; kind < PCI_VIRTIO_KINDS; kind++) {
        const struct pci_virtio_region *r = &f->virtio[kind];
        if (r->bytes != 0)
            EXPECT(r->bar < PCI_BARS && (uint64_t)r->offset + r->bytes <= f->bars[r->bar].bytes);
    }
    if (f->msix.capability != 0)
        EXPECT(f->msix.table_offset + 16ull * f->msix.vectors <= f->bars[f->msix.table_bar].bytes);
}

TEST(pci_survives_garbage)
{
    for (unsigned round = 0; round < 200'000; round++) {
        struct model m = {.config = {model_read, model_write, nullptr}};
        if (round & 1) { // a good one with some words changed
            m = disk();
            for (unsigned n = 0; n <= round % 8; n++)
                m.word[random_next() % 64] = (uint32_t)random_next();
        } else {
            for (unsigned i = 0; i < 64; i++)
                m.word[i] = (uint32_t)random_next();
            m.word[0] = (m.word[0] & 0xffff0000) | 0x1af4;
        }
        for (unsigned i = 0; i < PCI_BARS && round % 3 == 0; i++)
            m.bar_mask[i] = (uint32_t)random_next();
        struct pci_function f;
        if (pci_function_read(&m.config, &f))
            expect_sane(&f);
    }
}

// ---- windows

static const struct pci_vector_pages NO_VECTORS = {};

TEST(windows_place_and_keep)
{
    static struct pci_space space = {
        .windows = {{0x1000'0000, 0x1000'0000, 0x2eff'0000, false},
                    {0x80'0000'0000, 0x80'0000'0000, 0x80'0000'0000, true}},
        .window_count = 2};
    uint64_t a, cpu;
    EXPECT(pci_space_keep(&space, 0x1000'0000, 0x1000));
    EXPECT(!pci_space_keep(&space, 0x1000'0800, 0x100)); // somebody has it
    EXPECT(!pci_space_keep(&space, 0x500'0000, 0x1000)); // in no window
    EXPECT(!pci_space_keep(&space, 0, 0x1000));
    EXPECT(!pci_space_keep(&space, UINT64_MAX - 10, 0x1000));
    EXPECT(pci_space_place(&space, 16, false, NO_VECTORS, &a) &&
           a == 0x1000'1000); // a page of its own
    EXPECT(pci_space_place(&space, 0x1000, false, NO_VECTORS, &a) && a == 0x1000'2000);
    EXPECT(pci_space_place(&space, 0x10'0000, false, NO_VECTORS, &a) && a == 0x1010'0000);
    EXPECT(pci_space_place(&space, 0x4000, true, NO_VECTORS, &a) && a == 0x80'0000'0000);
    EXPECT(pci_space_place(&space, 0x4000, true, NO_VECTORS, &a) && a == 0x80'0000'4000);
    EXPECT(!pci_space_place(&space, 0x4000'0000, false, NO_VECTORS, &a)); // larger than its window
    EXPECT(!pci_space_place(&space, 1ull << 63, true, NO_VECTORS, &a));
    EXPECT(!pci_space_place(&space, 0x3000, true, NO_VECTORS, &a)); // no power of two
    EXPECT(pci_space_translate(&space, 0x80'0000'4000, 0x4000, &cpu) && cpu == 0x80'0000'4000);
    EXPECT(!pci_space_translate(&space, 0x3eff'0000, 1, &cpu));
    unsigned placed = 0;
    while (placed < 1000 && pci_space_place(&space, 0x1000, true, NO_VECTORS, &a))
        placed++;
    EXPECT(placed < PCI_PLACES); // the list is full, and it says so
}

TEST(windows_translate)
{
    struct pci_space space = {.windows = {{0x0, 0x4000'0000, 0x1000'0000, false}},
                              .window_count = 1};
    uint64_t a, cpu;
    EXPECT(pci_space_place(&space, 0x1000, false, NO_VECTORS, &a) &&
           a == 0x1000); // 0 means unassigned
    EXPECT(pci_space_translate(&space, a, 0x1000, &cpu) && cpu == 0x4000'1000);
    space.window_count = 0; // not known: what the firmware says is believed
    EXPECT(pci_space_translate(&space, 0xfebd'0000, 0x1000, &cpu) && cpu == 0xfebd'0000);
    EXPECT(!pci_space_place(&space, 0x1000, false, NO_VECTORS, &a));
}

// ---- what a driver gets

static struct pci_host host;

static struct pci_device device_of(struct model *m)
{
    struct pci_device device = {.host = &host};
    EXPECT(pci_function_read(&m->config, &device.function));
    for (unsigned i = 0; i < PCI_BARS; i++)
        if (device.function.bars[i].kind == PCI_BAR_MEMORY)
            device.bar_address[i] = 0x1'0000'0000 * (i + 1);
    return device;
}

// A table first; without one the capability, if the configuration space is memory.
TEST(plan_finds_the_message)
{
    struct model m = disk();
    uint32_t msi[4] = {5 | 0x98 << 8 | 0x80 << 16};
    set_capability(&m, 0x40, msi, sizeof(msi));
    set_byte(&m, 0x34, 0x40);
    struct pci_device device = device_of(&m);
    struct plan_message message;
    host = (struct pci_host){.ecam = 0x40'1000'0000, .first_bus = 2, .last_bus = 5};
    device.requester = 4 << 8 | 3 << 3 | 1;
    EXPECT(device.function.msi == 0x40 && plan_message(&device, 0, &message));
    EXPECT(message.table == 0x2'0000'0000 && message.vector == 0);
    device.bar_address[1] = 0; // firmware had no room for its table
    EXPECT(!plan_has_table(&device) && plan_message(&device, 7, &message));
    EXPECT(message.table == 0x40'1020'0000 + (3 << 15) + (1 << 12) + 0x40);
    EXPECT(message.vector == ABI_VECTOR_MSI);
    static const struct pci_ports ports;
    host.ports = &ports;
    EXPECT(!plan_message(&device, 0, &message));
    host = (struct pci_host){};
    set_byte(&m, 0x41, 0xf4); // one that leads outside, and a second one of a kind
    uint32_t outside[3] = {5};
    set_capability(&m, 0xf4, outside, sizeof(outside));
    device = device_of(&m);
    EXPECT(device.function.msi == 0x40 && device.function.msix.capability == 0);
    set_byte(&m, 0x34, 0xf4);
    device = device_of(&m);
    EXPECT(device.function.msi == 0 && !plan_message(&device, 0, &message));
}

TEST(plan_covers_structures_and_no_vectors)
{
    struct model m = disk();
    struct pci_device device = device_of(&m);
    struct plan plan;
    const char *why;
    uint32_t window;
    uint64_t offset;
    EXPECT(plan_make(&plan, &device, &why) && plan.count == 1);
    EXPECT(plan.windows[0].address == 0x5'0000'0000 && plan.windows[0].bytes == 0x4000);
    EXPECT(plan_find(&plan, &device.function.virtio[PCI_VIRTIO_DEVICE], &window, &offset));
    EXPECT(window == 0 && offset == 0x2000);
    struct plan_message message;
    EXPECT(plan_has_table(&device) && plan_message(&device, 1, &message));
    EXPECT(message.table == 0x2'0000'0000 && message.vector == 1);
    EXPECT(!plan_message(&device, 2, &message));

    m = disk(); // the table in the middle of the same BAR
    m.word[0x9c / 4] = 0x1000 | 4;
    virtio_capability(&m, 0x60, 0x50, 3, 4, 0x2800, 0x10, 0);
    device = device_of(&m);
    EXPECT(plan_make(&plan, &device, &why) && plan.count == 2);
    for (uint32_t i = 0; i < plan.count; i++)
        EXPECT(plan.windows[i].offset != 0x1000 && plan.windows[i].bytes <= 0x2000);
    EXPECT(plan_find(&plan, &device.function.virtio[PCI_VIRTIO_ISR], &window, &offset));

    m = disk(); // ... and on a page with something that is needed
    m.word[0x9c / 4] = 0x2800 | 4;
    device = device_of(&m);
    EXPECT(!plan_make(&plan, &device, &why) && strstr(why, "MSI-X") != nullptr);

    m = disk();
    device = device_of(&m);
    device.bar_address[4] = 0;
    EXPECT(!plan_make(&plan, &device, &why));
    device.bar_address[4] = 0x1800;
    EXPECT(!plan_make(&plan, &device, &why));

    m = disk(); // not virtio: all memory but the table's pages
    m.word[0] = 0x12341234;
    device = device_of(&m);
    EXPECT(plan_make(&plan, &device, &why) && plan.count == 1 && plan.windows[0].bar == 4);
}

// ---- buses of garbage

static uint32_t bus_memory[2][1 << 18];
static unsigned buses_mapped;

static volatile uint32_t *map_bus(uint64_t address)
{
    buses_mapped++;
    return bus_memory[(address >> 20) & 1];
}

static struct tree tree;
static uint64_t tree_memory[1 << 14];

// A tree with one host, with buses up to `last`, and a window if it is said to have one.
static void make_host(uint8_t last, bool window)
{
    memset(&tree, 0, sizeof(tree));
    EXPECT(hwtree_begin(&tree.builder, tree_memory, sizeof(tree_memory), HWTREE_ACPI));
    (void)hwtree_add_node(&tree.builder, HWTREE_NONE, "", 0);
    uint32_t node = hwtree_add_named(&tree.builder, 0, "pci@0");
    hwtree_add_range(&tree.builder, node, &(struct hwtree_range){.bytes = 256ull << 20}, "reg");
    hwtree_edit(&tree.builder, node)->kind = HWTREE_PCI_HOST;
    hwtree_edit(&tree.builder, node)->pci_host =
        (struct hwtree_pci_host){.last_bus = last, .ecam = 1};
    if (window)
        hwtree_add_window(
            &tree.builder, node,
            &(struct hwtree_window){.bus = 0x1000'0000, .cpu = 0x1000'0000, .bytes = 0x100'0000});
    tree_find_hosts(&tree);
}

TEST(scan_survives_garbage)
{
    const char *why = "";
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned b = 0; b < 2; b++)
            for (size_t i = 0; i < 1 << 18; i++)
                bus_memory[b][i] = (uint32_t)random_next();
        if (round & 1) // bridges everywhere, that lead everywhere
            for (unsigned b = 0; b < 2; b++)
                for (unsigned f = 0; f < 256; f++)
                    bus_memory[b][f * 1024 + 3] = 0x00010000;
        buses_mapped = 0;
        make_host(round < 10 ? 1 : 255, round % 3 == 0);
        EXPECT(tree.host_count == 1);
        tree_scan_pci(&tree, map_bus);
        EXPECT(tree.function_count <= PCI_FUNCTIONS && buses_mapped <= 256);
        for (uint32_t i = 0; i < tree.function_count; i++)
            expect_sane(&tree.functions[i].function);
        EXPECT_NOTE(hwtree_check(tree.hardware, tree_finish(&tree), &why), "%s", why);
    }
}

// One function on an otherwise empty bus.
static void put_function(unsigned device, uint16_t id)
{
    memset(bus_memory, 0xff, sizeof(bus_memory));
    uint32_t *words = &bus_memory[0][device * 8 * 1024];
    memset(words, 0, 4096);
    words[0] = (uint32_t)id << 16 | 0x1af4;
    words[2] = 0x0100'0001;
    words[15] = 0x0200; // pin 2
}

TEST(scan_adds_functions_to_the_tree)
{
    put_function(3, 0x1042);
    make_host(0, false);
    struct hwtree_pci_host *facts = &hwtree_edit(&tree.builder, 1)->pci_host;
    uint32_t controller = hwtree_add_named(&tree.builder, 0, "gic");
    hwtree_edit(&tree.builder, controller)->kind = HWTREE_CONTROLLER;
    hwtree_edit(&tree.builder, controller)->controller.variant = HWTREE_CONTROLLER_GICV3;
    facts->address_mask = 0x1800;
    facts->pin_mask = 7;
    for (uint32_t pin = 1; pin <= 4; pin++) {
        struct hwtree_route route = {0x1800, pin, {.line = 40 + pin, .controller = controller}};
        hwtree_add_route(&tree.builder, 1, &route);
    }
    struct hwtree_id id = {.kind = HWTREE_ID_MSI,
                           .target = controller,
                           .input_mask = UINT32_MAX,
                           .count = 0x10000,
                           .output = 0x500};
    hwtree_add_id(&tree.builder, 1, &id);
    tree_scan_pci(&tree, map_bus);
    (void)tree_finish(&tree);
    EXPECT(tree.function_count == 1);
    uint32_t node = tree.functions[0].node, target, device_id;
    EXPECT(strcmp(hwtree_name(tree.hardware, node), "pci@00,03.0") == 0);
    EXPECT(hwtree_is_compatible(tree.hardware, node, "pci:1af4:1042"));
    EXPECT(hwtree_is_compatible(tree.hardware, node, "pci-class:010000"));
    EXPECT(hwtree_node(tree.hardware, node)->parent == 1);
    EXPECT(tree_function(&tree, node) == &tree.functions[0] && tree_function(&tree, 1) == nullptr);
    EXPECT(tree_interrupt(&tree, node) != nullptr && tree_interrupt(&tree, node)->line == 42);
    EXPECT(hwtree_device_id(tree.hardware, node, HWTREE_ID_MSI, &target, &device_id));
    EXPECT(target == controller && device_id == 0x500 + (3 << 3));
    // Lines of a controller that the kernel does not drive are of no use.
    hwtree_edit(&tree.builder, controller)->controller.variant = HWTREE_CONTROLLER_GPIO;
    EXPECT(tree_interrupt(&tree, node) == nullptr);
}

TEST(hosts_have_room_for_their_buses)
{
    make_host(255, false);
    EXPECT(tree.host_count == 1 && tree.hosts[0].last_bus == 255);
    struct hwtree_range *range =
        (struct hwtree_range *)(uintptr_t)hwtree_range(tree.hardware, 1, 0);
    range->bytes = 16ull << 20;
    tree.host_count = 0;
    tree_find_hosts(&tree);
    EXPECT(tree.host_count == 1 && tree.hosts[0].last_bus == 15);
    range->bytes = 0xf'ffff;
    tree.host_count = 0;
    tree_find_hosts(&tree);
    EXPECT(tree.host_count == 0);
}

// ---- where messages go

static const struct pci_device *function_at(uint16_t requester)
{
    for (uint32_t i = 0; i < tree.function_count; i++)
        if (tree.functions[i].requester == requester)
            return &tree.functions[i];
    EXPECT(false);
    return nullptr;
}

static bool messages_of(uint16_t requester, uint32_t *device, uint64_t *controller)
{
    return tree_messages(&tree, function_at(requester)->node, device, controller);
}

static uint32_t add_controller(enum hwtree_controller_variant variant, uint64_t base)
{
    uint32_t node = hwtree_add_named(&tree.builder, 0, "controller@%llx", (unsigned long long)base);
    hwtree_edit(&tree.builder, node)->kind = HWTREE_CONTROLLER;
    hwtree_edit(&tree.builder, node)->controller.variant = variant;
    if (base != 0)
        hwtree_add_range(&tree.builder, node, &(struct hwtree_range){.base = base, .bytes = 0x1000},
                         "reg");
    return node;
}

// Functions 0 of devices 1 to 4.
static void put_functions(void)
{
    memset(bus_memory, 0xff, sizeof(bus_memory));
    for (unsigned device = 1; device < 5; device++) {
        memset(&bus_memory[0][device << 3 << 10], 0, 4096);
        bus_memory[0][device << 3 << 10] = 0x1042'1af4;
    }
}

static void add_map(uint32_t target, uint32_t mask, uint32_t first, uint32_t count, uint32_t output)
{
    struct hwtree_id id = {.kind = HWTREE_ID_MSI,
                           .target = target,
                           .input = first,
                           .input_mask = mask,
                           .count = count,
                           .output = output};
    hwtree_add_id(&tree.builder, tree.hosts[0].node, &id);
}

TEST(messages_go_where_their_functions_are_known)
{
    uint32_t device;
    uint64_t controller;
    put_functions();
    make_host(0, false);
    uint32_t first = add_controller(HWTREE_CONTROLLER_GIC_ITS, 0x808'0000);
    uint32_t second = add_controller(HWTREE_CONTROLLER_GIC_ITS, 0x80a'0000);
    add_map(first, 0xffff, 0x10, 8, 0x1'0000);
    add_map(second, 0xffff, 0x18, 9, 0x40);
    tree_send_messages(&tree); // the map stays as it is
    tree_scan_pci(&tree, map_bus);
    EXPECT(!messages_of(1 << 3, &device, &controller));
    EXPECT(messages_of(2 << 3, &device, &controller) && device == 0x1'0000);
    EXPECT(controller == 0x808'0000);
    EXPECT(messages_of(3 << 3, &device, &controller) && device == 0x40);
    EXPECT(controller == 0x80a'0000);
    EXPECT(messages_of(4 << 3, &device, &controller) && device == 0x48); // the last of nine

    // Who is told apart by the device alone, not by the function or the bus.
    make_host(0, false);
    first = add_controller(HWTREE_CONTROLLER_GIC_ITS, 0x808'0000);
    add_map(first, 0x10, 0x10, 8, 0x1'0000);
    tree_send_messages(&tree); // what the map leaves out stays out
    tree_scan_pci(&tree, map_bus);
    EXPECT(!messages_of(1 << 3, &device, &controller));
    EXPECT(messages_of(3 << 3, &device, &controller) && device == 0x1'0000);

    // To something without registers: nowhere.
    make_host(0, false);
    add_map(add_controller(HWTREE_CONTROLLER_GIC_ITS, 0), 0xffff, 0, 0x1'0000, 0);
    tree_scan_pci(&tree, map_bus);
    EXPECT(!messages_of(1 << 3, &device, &controller));
}

// What becomes of the functions of a host without a map, where there are these controllers.
static bool without_map(enum hwtree_origin origin, enum hwtree_controller_variant first,
                        enum hwtree_controller_variant second, uint32_t *device,
                        uint64_t *controller)
{
    put_functions();
    make_host(0, false);
    tree.builder.tree->origin = origin;
    (void)add_controller(HWTREE_CONTROLLER_IO_APIC, 0xfec0'0000);
    if (first != HWTREE_CONTROLLER_OTHER)
        (void)add_controller(first, 0x5000'0000);
    if (second != HWTREE_CONTROLLER_OTHER)
        (void)add_controller(second, 0x6000'0000);
    tree_send_messages(&tree);
    tree_scan_pci(&tree, map_bus);
    return messages_of(3 << 3, device, controller);
}

TEST(messages_without_a_map_go_to_the_only_controller)
{
    constexpr enum hwtree_controller_variant NO = HWTREE_CONTROLLER_OTHER,
                                             FRAME = HWTREE_CONTROLLER_GIC_FRAME,
                                             ITS = HWTREE_CONTROLLER_GIC_ITS,
                                             APIC = HWTREE_CONTROLLER_LOCAL_APIC;
    uint32_t device;
    uint64_t controller;
    EXPECT(without_map(HWTREE_ACPI, APIC, NO, &device, &controller));
    EXPECT(device == 3 << 3 && controller == 0);
    EXPECT(without_map(HWTREE_ACPI, FRAME, NO, &device, &controller));
    EXPECT(device == 3 << 3 && controller == 0x5000'0000);
    EXPECT(without_map(HWTREE_ACPI, ITS, NO, &device, &controller));
    EXPECT(device == 3 << 3 && controller == 0x5000'0000);
    EXPECT(without_map(HWTREE_ACPI, FRAME, FRAME, &device, &controller));
    EXPECT(controller == 0x5000'0000);
    EXPECT(!without_map(HWTREE_ACPI, ITS, ITS, &device, &controller));
    EXPECT(!without_map(HWTREE_ACPI, FRAME, ITS, &device, &controller));
    EXPECT(!without_map(HWTREE_ACPI, NO, NO, &device, &controller));
    // A device tree would say so.
    EXPECT(!without_map(HWTREE_DEVICE_TREE, FRAME, NO, &device, &controller));
}

// ---- the other way to configuration space: an address and a word of data

static uint32_t port_address;
static bool ports_are_there = true;

static uint32_t *port_word(void)
{
    EXPECT((port_address & 0x8000'0003) == 0x8000'0000);
    return &bus_memory[port_address >> 16 & 1]
                      [(port_address >> 8 & 0xff) * 1024 + (port_address & 0xff) / 4];
}

static uint32_t port_read(enum pci_port port)
{
    if (!ports_are_there)
        return UINT32_MAX;
    return port == PCI_PORT_ADDRESS ? port_address : *port_word();
}

static void port_write(enum pci_port port, uint32_t value)
{
    if (port == PCI_PORT_ADDRESS)
        port_address = value;
    else
        *port_word() = value;
}

static const struct pci_ports test_ports = {port_read, port_write};

TEST(ports_answer_or_nothing_is_there)
{
    port_address = 0x1234'5678;
    ports_are_there = true;
    EXPECT(pci_ports_answer(&test_ports) && port_address == 0x1234'5678);
    ports_are_there = false;
    EXPECT(!pci_ports_answer(&test_ports));
    ports_are_there = true;

    // Nothing is behind the reach of the ports, and nothing in it is changed by a write there.
    memset(bus_memory, 0, sizeof(bus_memory));
    pci_ports_write(&test_ports, 0x00ff, 256, 5);
    EXPECT(pci_ports_read(&test_ports, 0x00ff, 256) == UINT32_MAX);
    for (size_t i = 0; i < 1 << 18; i++)
        EXPECT(bus_memory[0][i] == 0);
    pci_ports_write(&test_ports, 0x01ff, 0xfc, 5);
    EXPECT(bus_memory[1][255 * 1024 + 63] == 5 && pci_ports_read(&test_ports, 0x01ff, 0xfc) == 5);
}

// A tree whose only host is behind the ports.
static void make_port_host(void)
{
    memset(&tree, 0, sizeof(tree));
    EXPECT(hwtree_begin(&tree.builder, tree_memory, sizeof(tree_memory), HWTREE_ACPI));
    (void)hwtree_add_node(&tree.builder, HWTREE_NONE, "", 0);
    tree_find_hosts(&tree);
    EXPECT(tree.host_count == 0);
    tree_add_port_host(&tree, &test_ports,
                       &(struct hwtree_range){.base = 0x50, .bytes = 8, .space = HWTREE_SPACE_IO});
    EXPECT(tree.host_count == 1 && tree.hosts[0].last_bus == 255);
    uint32_t node = tree.hosts[0].node;
    EXPECT(hwtree_node(tree.hardware, node)->kind == HWTREE_PCI_HOST);
    EXPECT(!hwtree_node(tree.hardware, node)->pci_host.ecam);
    EXPECT(hwtree_range(tree.hardware, node, 0)->base == 0x50);
    EXPECT(hwtree_range(tree.hardware, node, 0)->space == HWTREE_SPACE_IO);
}

// A bus is seen to be the same, whichever way it is looked at.
TEST(scan_by_ports_sees_what_the_scan_in_memory_sees)
{
    static struct tree by_memory;
    static uint32_t saved[2][1 << 18];
    const char *why = "";
    uint32_t seen = 0;
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned b = 0; b < 2; b++)
            for (unsigned f = 0; f < 256; f++)
                for (unsigned i = 0; i < 64; i++)
                    bus_memory[b][f * 1024 + i] =
                        i == 0 && random_next() % 4 != 0 ? UINT32_MAX : (uint32_t)random_next();
        memcpy(saved, bus_memory, sizeof(saved));
        make_host(1, false);
        tree_scan_pci(&tree, map_bus);
        by_memory = tree;
        memcpy(bus_memory, saved, sizeof(saved));
        make_port_host();
        tree.hosts[0].last_bus = 1;
        tree_scan_pci(&tree, map_bus);
        EXPECT(tree.function_count == by_memory.function_count);
        seen += tree.function_count;
        for (uint32_t i = 0; i < tree.function_count; i++) {
            const struct pci_device *memory = &by_memory.functions[i], *ports = &tree.functions[i];
            EXPECT(memory->requester == ports->requester && ports->space == nullptr);
            EXPECT(memcmp(&memory->function, &ports->function, sizeof(memory->function)) == 0);
            EXPECT(memcmp(memory->bar_address, ports->bar_address, sizeof(memory->bar_address)) ==
                   0);
            struct device_config config = device_config(ports);
            pci_command_change(&config.config, 0xffff, PCI_COMMAND_BUS_MASTER);
            EXPECT((bus_memory[ports->requester >> 8 & 1][(ports->requester & 0xff) * 1024 + 1] &
                    0xffff) == PCI_COMMAND_BUS_MASTER);
        }
        EXPECT_NOTE(hwtree_check(tree.hardware, tree_finish(&tree), &why), "%s", why);
    }
    EXPECT(seen > 100);
}
