// SPDX-License-Identifier: MIT
//
// build: user/devd/slots_line.c
//
// Virtio slots on the kernel's command line: as monitors write them, and as nobody should.
#include <stdint.h>
#include <user/devd/slots.h>

#include "test.h"

static uint64_t tree_memory[1 << 13];
static struct hwtree_builder builder;
static const struct hwtree *tree;
static uint32_t wrong;

// A tree of a root, and of the controllers of a PC with two I/O APICs.
static void begin(size_t bytes)
{
    EXPECT(hwtree_begin(&builder, tree_memory, bytes, HWTREE_ACPI));
    tree = builder.tree;
    (void)hwtree_add_node(&builder, HWTREE_NONE, "", 0);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t node = hwtree_add_named(&builder, 0, "io-apic@%x", i);
        hwtree_edit(&builder, node)->kind = HWTREE_CONTROLLER;
        hwtree_edit(&builder, node)->controller =
            (struct hwtree_controller){.variant = HWTREE_CONTROLLER_IO_APIC, .line_first = 24 * i};
    }
}

constexpr uint32_t BEFORE = 3; // nodes

// What is there is held against the checker.
static uint32_t slots(void)
{
    const char *why = "";
    uint32_t count = hwtree_count(tree, HWTREE_NODES) - BEFORE;
    EXPECT_NOTE(hwtree_check(tree, hwtree_finish(&builder), &why), "%s", why);
    return count;
}

static void read_line(const char *line)
{
    // Exactly its bytes: what is read behind them the sanitizer sees.
    char *copy = strdup(line);
    begin(sizeof(tree_memory));
    slots_from_command_line(&builder, copy, &wrong);
    free(copy);
}

static void expect_slot(uint32_t node, const char *name, uint64_t base, uint64_t bytes,
                        uint64_t line, uint32_t controller)
{
    EXPECT(strcmp(hwtree_name(tree, node), name) == 0 && hwtree_available(tree, node));
    EXPECT(hwtree_node(tree, node)->compatible.count == 1);
    EXPECT(hwtree_is_compatible(tree, node, "virtio,mmio"));
    EXPECT(hwtree_node(tree, node)->ranges.count == 1);
    const struct hwtree_range *range = hwtree_range(tree, node, 0);
    EXPECT(range->space == HWTREE_SPACE_MEMORY && range->base == base && range->bytes == bytes);
    EXPECT(hwtree_node(tree, node)->interrupts.count == 1);
    const struct hwtree_interrupt *interrupt = hwtree_interrupt(tree, node, 0);
    EXPECT(interrupt->line == line && interrupt->controller == controller);
    EXPECT(interrupt->trigger == HWTREE_TRIGGER_LEVEL);
    EXPECT(interrupt->polarity == HWTREE_POLARITY_HIGH);
}

TEST(slots_as_monitors_write_them)
{
    read_line(
        "quiet virtio_mmio.device=512@0xfeb02e00:47 virtio_mmio.device=4K@0xD0000000:5:1 x=y");
    EXPECT(slots() == 2 && wrong == 0);
    expect_slot(BEFORE, "virtio@feb02e00", 0xfeb0'2e00, 512, 47, 2);
    expect_slot(BEFORE + 1, "virtio@d0000000", 0xd000'0000, 4096, 5, 1);
}

TEST(a_slot_that_is_known_is_not_added_again)
{
    begin(sizeof(tree_memory));
    uint32_t known = hwtree_add_named(&builder, 0, "known");
    hwtree_add_range(&builder, known, &(struct hwtree_range){.base = 0x1000, .bytes = 512}, "reg");
    slots_from_command_line(
        &builder, "virtio_mmio.device=512@0x1000:5 virtio_mmio.device=512@0x1200:6", &wrong);
    EXPECT(slots() == 2 && wrong == 0);
    expect_slot(BEFORE + 1, "virtio@1200", 0x1200, 512, 6, 1);
}

TEST(a_line_that_no_controller_has_is_said)
{
    begin(sizeof(tree_memory));
    hwtree_edit(&builder, 1)->controller.line_first = 10;
    slots_from_command_line(&builder, "virtio_mmio.device=512@0x1000:9", &wrong);
    EXPECT(slots() == 1 && wrong == 0 && hwtree_node(tree, BEFORE)->interrupts.count == 0);
    EXPECT(tree->problems[HWTREE_NOT_CONTROLLER] == 1);
}

TEST(nonsense_is_counted)
{
    static const char *const lines[] = {
        "virtio_mmio.device=",
        "virtio_mmio.device=512",
        "virtio_mmio.device=512@0x1000",
        "virtio_mmio.device=512@0x1000:",
        "virtio_mmio.device=512@0x:5",
        "virtio_mmio.device=512@0x1000:5x",
        "virtio_mmio.device=512@0x1000:5:",
        "virtio_mmio.device=512@0x1002:5",                 // not on a word
        "virtio_mmio.device=512@0:5",                      // nowhere
        "virtio_mmio.device=259@0x1000:5",                 // too small
        "virtio_mmio.device=65K@0x1000:5",                 // too large
        "virtio_mmio.device=99999999999999999999K@4096:5", // no room for the number
        "virtio_mmio.device=18446744073709551615K@4096:5",
        "virtio_mmio.device=512@0xffffffffffffffff0:5",
        "virtio_mmio.device=512@0x10000000000000:5", // no machine has it
        "virtio_mmio.device=512@0x1000:1048576",
        "virtio_mmio.device=512@0x1000:18446744073709551616",
        "virtio_mmio.device=-1@0x1000:5",
    };
    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        read_line(lines[i]);
        EXPECT_NOTE(slots() == 0 && wrong == 1, "%s", lines[i]);
    }
    read_line("xvirtio_mmio.device=512@0x1000:5 virtio_mmio.devices=512@0x1000:5");
    EXPECT(slots() == 0 && wrong == 0);
    read_line("");
    EXPECT(slots() == 0 && wrong == 0);
}

TEST(more_than_there_is_room_for)
{
    constexpr unsigned MANY = 128;
    static char line[MANY * 48];
    line[0] = '\0';
    for (unsigned i = 1; i <= MANY; i++)
        snprintf(line + strlen(line), 48, "virtio_mmio.device=512@%u:%u ", i * 512, i);
    begin(HWTREE_BYTES_MIN);
    slots_from_command_line(&builder, line, &wrong);
    uint32_t found = slots();
    EXPECT(found > 10 && found < MANY && wrong == 0);
    EXPECT(tree->problems[HWTREE_NO_ROOM] >= MANY - found);
}
