// SPDX-License-Identifier: MIT
//
// build: user/devd/slots_line.c user/devd/tree.c
//
// Virtio slots on the kernel's command line: as monitors write them, and as nobody should.
#include <stdint.h>
#include <user/devd/slots.h>

#include "test.h"

static struct tree tree;
static uint32_t wrong;

static void read_line(const char *line)
{
    // Exactly its bytes: what is read behind them the sanitizer sees.
    char *copy = strdup(line);
    memset(&tree, 0, sizeof(tree));
    slots_from_command_line(&tree, copy, &wrong);
    free(copy);
}

TEST(slots_as_monitors_write_them)
{
    read_line(
        "quiet virtio_mmio.device=512@0xfeb02e00:47 virtio_mmio.device=4K@0xD0000000:5:1 x=y");
    EXPECT(tree.node_count == 2 && wrong == 0);
    const struct node *first = &tree.nodes[0], *second = &tree.nodes[1];
    EXPECT(strcmp(first->compatible[0], "virtio,mmio") == 0 && first->compatible_count == 1);
    EXPECT(strcmp(first->name, "virtio@feb02e00") == 0 && !first->virtio_slot);
    EXPECT(first->range_count == 1 && !first->ranges[0].io);
    EXPECT(first->ranges[0].base == 0xfeb0'2e00 && first->ranges[0].bytes == 512);
    EXPECT(first->interrupt_count == 1 && first->interrupts[0].line == 47);
    EXPECT(first->interrupts[0].trigger == TRIGGER_LEVEL_HIGH);
    EXPECT(second->ranges[0].base == 0xd000'0000 && second->ranges[0].bytes == 4096);
    EXPECT(second->interrupts[0].line == 5);
}

TEST(a_slot_that_is_known_is_not_added_again)
{
    memset(&tree, 0, sizeof(tree));
    struct node *known = tree_add(&tree);
    known->range_count = 1;
    known->ranges[0] = (struct node_range){.base = 0x1000, .bytes = 512};
    slots_from_command_line(
        &tree, "virtio_mmio.device=512@0x1000:5 virtio_mmio.device=512@0x1200:6", &wrong);
    EXPECT(tree.node_count == 2 && wrong == 0 && tree.nodes[1].ranges[0].base == 0x1200);
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
        EXPECT_NOTE(tree.node_count == 0 && wrong == 1, "%s", lines[i]);
    }
    read_line("xvirtio_mmio.device=512@0x1000:5 virtio_mmio.devices=512@0x1000:5");
    EXPECT(tree.node_count == 0 && wrong == 0);
    read_line("");
    EXPECT(tree.node_count == 0 && wrong == 0);
}

TEST(more_than_there_is_room_for)
{
    static char line[128 * 48];
    line[0] = '\0';
    for (unsigned i = 1; i <= NODES + 10; i++)
        snprintf(line + strlen(line), 48, "virtio_mmio.device=512@%u:%u ", i * 512, i);
    read_line(line);
    EXPECT(tree.node_count == NODES && tree.left_out == 10 && wrong == 0);
}
