// SPDX-License-Identifier: MIT
//
// build: user/devd/pci_config.c user/devd/windows.c user/devd/pci_scan.c user/devd/bridges.c user/devd/pci_ports.c user/devd/tree.c
//
// Bridges that nobody has set up, ports with slots, and hardware trees that follow each other as
// functions behind them come and go. Configuration spaces are plain memory: each base address
// register is one of 16 bytes there, and gets a page.
#include <stdint.h>
#include <user/devd/bridges.h>
#include <user/devd/tree.h>

#include "test.h"

constexpr unsigned BUSES = 4;
constexpr uint64_t WINDOW = 0x1000'0000, WINDOW_BYTES = 0x1000'0000;

static uint32_t bus_memory[BUSES][1 << 18];
static unsigned mapped[BUSES];

static volatile uint32_t *map_bus(uint64_t address)
{
    EXPECT(address >> 20 < BUSES);
    mapped[address >> 20]++;
    return bus_memory[address >> 20];
}

static uint32_t *put(unsigned bus, unsigned device, uint32_t id, bool bridge)
{
    uint32_t *words = &bus_memory[bus][(size_t)device << 3 << 10];
    memset(words, 0, 4096);
    words[0] = id;
    words[3] = bridge ? 0x0001'0000 : 0;
    return words;
}

static uint32_t *put_port(unsigned device)
{
    return put(0, device, 0x000c'1b36, true);
}

static struct tree tree;
static uint64_t tree_memory[3][1 << 14];
static uint32_t numbers[TREE_NODES_MAX];

static bool routes; // whether the host says where pins lead
static void add_routes(void);

static void scan(bool window)
{
    memset(&tree, 0, sizeof(tree));
    memset(mapped, 0, sizeof(mapped));
    EXPECT(hwtree_begin(&tree.builder, tree_memory[0], sizeof(tree_memory[0]), HWTREE_ACPI));
    (void)hwtree_add_node(&tree.builder, HWTREE_NONE, "", 0);
    uint32_t node = hwtree_add_named(&tree.builder, 0, "pci@0");
    hwtree_add_range(&tree.builder, node, &(struct hwtree_range){.bytes = BUSES << 20}, "reg");
    hwtree_edit(&tree.builder, node)->kind = HWTREE_PCI_HOST;
    hwtree_edit(&tree.builder, node)->pci_host =
        (struct hwtree_pci_host){.last_bus = BUSES - 1, .ecam = 1};
    if (window)
        hwtree_add_window(
            &tree.builder, node,
            &(struct hwtree_window){.bus = WINDOW, .cpu = 0x50'0000'0000, .bytes = WINDOW_BYTES});
    if (routes)
        add_routes();
    tree_find_hosts(&tree);
    tree_scan_pci(&tree, map_bus);
    (void)tree_finish(&tree);
}

static struct pci_device *function_at(unsigned bus, unsigned device)
{
    for (uint32_t i = 0; i < tree.function_count; i++)
        if (tree.functions[i].node != HWTREE_NONE &&
            tree.functions[i].requester == (bus << 8 | device << 3))
            return &tree.functions[i];
    return nullptr;
}

static void empty_buses(void)
{
    memset(bus_memory, 0xff, sizeof(bus_memory));
}

TEST(bridges_get_numbers_and_windows)
{
    empty_buses();
    uint32_t *first = put_port(1), *second = put_port(2);
    (void)put(0, 3, 0x1042'1af4, false);
    (void)put(1, 0, 0x1042'1af4, false);
    scan(true);
    EXPECT((first[6] & 0xff'ffff) == 0x01'0100 && (second[6] & 0xff'ffff) == 0x02'0200);
    EXPECT(tree.bridges_unused == 0 && tree.room_count == 2 && mapped[1] == 1 && mapped[2] == 1);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t window = (i == 0 ? first : second)[0x20 / 4];
        uint64_t start = (uint64_t)(window & 0xfff0) << 16, end = (window | 0xf'ffff) + 1ull;
        EXPECT(end - start == 2 << 20 && start % (2 << 20) == 0);
        EXPECT(start >= WINDOW && end <= WINDOW + WINDOW_BYTES);
        EXPECT(((i == 0 ? first : second)[1] & 6) == 6); // memory, bus master
        // Nothing of the root bus is in it, and all of what is behind it is.
        for (uint32_t k = 0; k < tree.function_count; k++)
            for (unsigned bar = 0; bar < PCI_BARS; bar++) {
                const struct pci_device *f = &tree.functions[k];
                uint64_t at = f->function.bars[bar].address;
                if (f->function.bars[bar].kind != PCI_BAR_MEMORY)
                    continue;
                bool behind = f->requester >> 8 == i + 1;
                EXPECT(at != 0 && (at >= start && at < end) == behind);
                EXPECT(f->bar_address[bar] == at - WINDOW + 0x50'0000'0000);
            }
    }
    EXPECT((first[0x24 / 4] & 0xfff0) > first[0x24 / 4] >> 16); // the others are closed
    EXPECT((first[0x1c / 4] & 0xf0) > (first[0x1c / 4] >> 8 & 0xf0));
}

TEST(bridges_of_firmware_stay_as_they_are)
{
    empty_buses();
    uint32_t *bridge = put_port(1), *other = put_port(2);
    bridge[6] = 0x02'0200;
    bridge[0x20 / 4] = 0x1050'1040; // [0x10400000, 0x105fffff]
    uint32_t *disk = put(2, 0, 0x1042'1af4, false);
    disk[4] = 0x1040'0000;
    disk[5] = 0x1200'0000; // nowhere near
    scan(true);
    EXPECT(bridge[6] == 0x02'0200 && bridge[0x20 / 4] == 0x1050'1040);
    EXPECT((other[6] & 0xff'ffff) == 0x03'0300); // behind the highest
    EXPECT(disk[4] == 0x1040'0000);
    EXPECT(disk[5] > 0x1040'0000 && disk[5] < 0x1060'0000);
    // Where the host's windows are not known, no bridge gets anything.
    empty_buses();
    bridge = put_port(1);
    scan(false);
    EXPECT((bridge[6] & 0xffff00) == 0 && tree.bridges_unused == 1 && tree.room_count == 0);
    // Numbers end with those of the host.
    empty_buses();
    for (unsigned i = 1; i < 6; i++)
        (void)put_port(i);
    scan(true);
    EXPECT(tree.room_count == BUSES - 1 && tree.bridges_unused == 2);
}

// A route for each pin of device 1: 41 to 44.
static void add_routes(void)
{
    uint32_t controller = hwtree_add_named(&tree.builder, 0, "gic");
    hwtree_edit(&tree.builder, controller)->kind = HWTREE_CONTROLLER;
    hwtree_edit(&tree.builder, controller)->controller.variant = HWTREE_CONTROLLER_GICV3;
    hwtree_edit(&tree.builder, 1)->pci_host.address_mask = 0xf800;
    hwtree_edit(&tree.builder, 1)->pci_host.pin_mask = 7;
    for (uint32_t pin = 1; pin <= 4; pin++)
        hwtree_add_route(
            &tree.builder, 1,
            &(struct hwtree_route){1 << 11, pin, {.line = 40 + pin, .controller = controller}});
}

// PCI-to-PCI Bridge 1.2, 9.1, table 9-1.
TEST(bridges_turn_pins)
{
    for (unsigned device = 0; device < 6; device++)
        for (unsigned pin = 0; pin <= 4; pin++) {
            empty_buses();
            (void)put_port(1);
            put(1, device, 0x1042'1af4, false)[0x3c / 4] = pin << 8;
            routes = true;
            scan(true);
            routes = false;
            const struct hwtree_interrupt *line =
                tree_interrupt(&tree, function_at(1, device)->node);
            EXPECT((line == nullptr) == (pin == 0));
            if (line != nullptr)
                EXPECT(line->line == 41 + (pin - 1 + device) % 4);
        }
}

// One function whose status, above its command, is not written.
struct model {
    struct pci_config config;
    uint32_t word[64];
};

static uint32_t model_read(struct pci_config *config, uint32_t offset)
{
    EXPECT(offset < 256);
    return ((struct model *)config)->word[offset / 4];
}

static void model_write(struct pci_config *config, uint32_t offset, uint32_t value)
{
    uint32_t *word = &((struct model *)config)->word[offset / 4];
    *word = offset == 4 ? (*word & 0xffff'0000) | (value & 0xffff) : value;
}

static struct pci_express express_of(uint32_t header, uint32_t at, uint32_t type, uint32_t slot)
{
    struct model m = {.config = {model_read, model_write, nullptr}};
    struct pci_function f;
    m.word[0] = 0x000c'1b36;
    m.word[1] = 1u << 20;
    m.word[3] = header << 16;
    m.word[0x34 / 4] = at;
    m.word[at / 4] = 0x10 | (type << 4 | 2 | 3 << 9) << 16;
    if (at + 0x14 < 256) {
        m.word[at / 4 + 3] = 1 << 20;
        m.word[at / 4 + 5] = slot;
    }
    EXPECT(pci_function_read(&m.config, &f));
    return f.express;
}

// PCI Express 5.0, 7.5.3: type and "slot implemented" above the identity, link and slot further on.
TEST(bridges_with_slots_are_known)
{
    const uint32_t slot = 0x7b | 9 << 19;
    for (uint32_t type = 0; type < 16; type++) {
        const struct pci_express express = express_of(1, 0x54, type | 1 << 4, slot);
        EXPECT((express.capability == 0x54) == (type == 4 || type == 6));
        if (express.capability != 0)
            EXPECT(express.slot == 9 && express.vector == 3 && express.power_controller &&
                   express.button && express.link_reports && !express.no_command_completed);
    }
    EXPECT(express_of(1, 0x54, 4, slot).capability == 0);             // no slot
    EXPECT(express_of(1, 0x54, 4 | 1 << 4, 0x3b).capability == 0);    // nothing comes or goes
    EXPECT(express_of(0, 0x54, 4 | 1 << 4, slot).capability == 0);    // no bridge
    EXPECT(express_of(1, 0xe8, 4 | 1 << 4, slot).capability == 0);    // it would end outside
    EXPECT(express_of(1, 0xe4, 4 | 1 << 4, slot).capability == 0xe4); // and here it does not
    EXPECT(express_of(1, 0x54, 4 | 1 << 4, 1 << 18 | 0x40).no_command_completed);
}

// The tree that follows, in the other memory.
static uint32_t follow(uint8_t leaves, uint8_t arrives)
{
    static unsigned next;
    const char *why = "";
    uint32_t found;
    next = next == 1 ? 2 : 1;
    EXPECT(tree_follow(&tree, tree_memory[next], sizeof(tree_memory[next]), leaves, arrives,
                       numbers, &found));
    EXPECT_NOTE(hwtree_check(tree.hardware, tree_finish(&tree), &why), "%s", why);
    return found;
}

TEST(trees_follow_what_comes_and_goes)
{
    empty_buses();
    (void)put_port(1);
    (void)put(0, 3, 0x1042'1af4, false);
    scan(true);
    const uint32_t before = hwtree_count(tree.hardware, HWTREE_NODES);
    uint64_t where = 0;
    for (unsigned round = 0; round < 200; round++) { // more than functions or places have room for
        const struct hwtree *old = tree.hardware;
        (void)put(1, 0, round % 2 ? 0x1041'1af4 : 0x1042'1af4, false);
        EXPECT(follow(0, 1) == 1);
        EXPECT(hwtree_count(old, HWTREE_NODES) == before); // who has it reads on
        EXPECT(hwtree_count(tree.hardware, HWTREE_NODES) == before + 1);
        const struct pci_device *disk = function_at(1, 0);
        EXPECT(disk != nullptr && tree_answers(disk) && disk->bar_address[0] != 0);
        EXPECT(round == 0 || disk->bar_address[0] == where);
        where = disk->bar_address[0];
        EXPECT(strcmp(hwtree_name(tree.hardware, disk->node), "pci@01,00.0") == 0);
        EXPECT(hwtree_is_compatible(tree.hardware, disk->node,
                                    round % 2 ? "pci:1af4:1041" : "pci:1af4:1042"));
        memset(bus_memory[1], 0xff, sizeof(bus_memory[1]));
        EXPECT(!tree_answers(disk));
        EXPECT(follow(1, 0) == 0 && function_at(1, 0) == nullptr);
        EXPECT(hwtree_count(tree.hardware, HWTREE_NODES) == before);
    }
    EXPECT(function_at(0, 3) != nullptr && mapped[1] == 1);
    EXPECT(hwtree_node(tree.hardware, function_at(0, 3)->node)->parent == tree.hosts[0].node);
    EXPECT(follow(0, 1) == 0); // nothing answers
    uint32_t found;
    EXPECT(!tree_follow(&tree, tree_memory[0], HWTREE_BYTES_MIN - 1, 0, 0, numbers, &found));
    EXPECT(function_at(0, 3) != nullptr);
}

TEST(vectors_stay_where_vectors_were)
{
    static struct pci_space space = {.windows = {{0x1000'0000, 0x1000'0000, 0x20'0000, false}},
                                     .window_count = 1};
    const struct pci_vector_pages none = {}, first = {0, 0x1000}, third = {0x2000, 0x3000};
    uint64_t a;
    EXPECT(pci_space_place(&space, 0x1000, false, first, &a) && a == 0x1000'0000);
    pci_space_note_vectors(&space, a, first);
    pci_space_note_vectors(&space, a, first); // once is enough
    EXPECT(space.vector_count == 1);
    pci_space_clear(&space);
    EXPECT(pci_space_place(&space, 0x1000, false, none, &a) && a == 0x1000'1000);
    EXPECT(pci_space_place(&space, 0x1000, false, first, &a) && a == 0x1000'0000);
    pci_space_clear(&space);
    EXPECT(pci_space_place(&space, 0x4000, false, third, &a) && a == 0x1000'4000);
    pci_space_note_vectors(&space, a, third);
    pci_space_clear(&space);
    EXPECT(pci_space_place(&space, 0x4000, false, none, &a) && a == 0x1000'8000);
    EXPECT(pci_space_place(&space, 0x4000, false, third, &a) && a == 0x1000'4000);
    pci_space_clear(&space);
    EXPECT(pci_space_place(&space, 0x20'0000, false, none, &a) == false);
}
