// SPDX-License-Identifier: MIT
//
// The device tree front end of the hardware tree: what is broken, and what is large; the tree of QEMU's
// virt machine, whole and damaged.
#include <unistd.h>

#include "fdt_test.h"

// ---- what is broken, and what is large

// libfdt adds a length to a place without a look: this one leads back to its property for ever.
TEST(lengths_that_stand_still)
{
    for (uint32_t length = UINT32_MAX; length > UINT32_MAX - 40; length--) {
        struct dt_maker m = begin();
        dt_string(&m, "model", "a name that is looked for");
        dt_end(&m);
        size_t bytes = dt_finish(&m);
        char *blob = m.blob, *at = memmem(blob, bytes, "a name that", 11);
        uint32_t swapped = cpu_to_fdt32(length);
        memcpy(at - 8, &swapped, 4);
        EXPECT(!read_blob(blob, bytes));
        free(blob);
    }
}

TEST(deep_trees_end)
{
    struct dt_maker m = begin();
    for (unsigned i = 0; i < 200; i++)
        dt_node(&m, "n");
    for (unsigned i = 0; i < 200; i++)
        dt_end(&m);
    finish(&m);
    EXPECT(tree->problems[HWTREE_TOO_DEEP] == 1 && all_problems() == 1);
    EXPECT(hwtree_count(tree, HWTREE_NODES) == 4 + HWTREE_DEPTH_MAX - 2);
}

TEST(wide_trees_are_cut)
{
    struct dt_maker m = begin();
    for (unsigned i = 0; i < 10'000; i++) {
        dt_node(&m, "n");
        dt_end(&m);
    }
    finish(&m);
    EXPECT(hwtree_count(tree, HWTREE_NODES) < 10'000 && tree->problems[HWTREE_NO_ROOM] > 0);
}

// Each of many registers is looked for in each of many rows: the work is bounded.
TEST(long_maps_end)
{
    constexpr uint32_t ROWS = 40'000;
    struct dt_maker m = begin();
    uint32_t *cells = malloc(ROWS * 16);
    for (uint32_t i = 0; i < ROWS * 4; i++)
        cells[i] = cpu_to_fdt32(i % 4 == 3 ? 1 : 0);
    dt_node(&m, "bus");
    DT_CELLS(&m, "#address-cells", 1);
    DT_CELLS(&m, "#size-cells", 1);
    dt_prop(&m, "ranges", cells, ROWS * 16 / 4 * 4);
    for (uint32_t i = 0; i < 10'000; i++)
        cells[i] = cpu_to_fdt32(5);
    for (unsigned i = 0; i < 4; i++) {
        dt_node(&m, "dev");
        dt_prop(&m, "reg", cells, 40'000);
        dt_end(&m);
    }
    dt_end(&m);
    finish(&m);
    free(cells);
    EXPECT(tree->problems[HWTREE_TOO_LONG] > 0);
}

// ---- QEMU's virt

static uint8_t *load_machine(const char *options, size_t *bytes)
{
    static const char command[] = "qemu-system-aarch64 -M virt,%s -smp 3 -cpu cortex-a57 "
                                  "-machine dumpdtb=%s -display none > /dev/null 2>&1";
    char path[] = "/tmp/test_hwtree.XXXXXX", whole[sizeof(command) + sizeof(path) + 64];
    close(mkstemp(path));
    snprintf(whole, sizeof(whole), command, options, path);
    if (system(whole) != 0)
        return nullptr;
    FILE *file = fopen(path, "r");
    uint8_t *blob = malloc(1 << 21);
    *bytes = fread(blob, 1, 1 << 21, file);
    fclose(file);
    unlink(path);
    // QEMU's blob says that it is 1 MiB long; its content is a hundredth of that.
    uint32_t strings = __builtin_bswap32(((uint32_t *)(void *)blob)[3]);
    uint32_t content = strings + __builtin_bswap32(((uint32_t *)(void *)blob)[8]);
    if (*bytes >= content) {
        *bytes = content;
        ((uint32_t *)(void *)blob)[1] = __builtin_bswap32(content);
    }
    return realloc(blob, *bytes);
}

static uint8_t *load_virt(size_t *bytes)
{
    return load_machine("gic-version=3,iommu=smmuv3", bytes);
}

TEST(reads_virt)
{
    size_t bytes = 0;
    uint8_t *blob = load_virt(&bytes);
    EXPECT(blob != nullptr && bytes > 1000 && read_blob(blob, bytes));
    free(blob);
    EXPECT(all_problems() == 0);
    expect_range("/pl011@9000000", 0, 0x900'0000, 0x1000, HWTREE_SPACE_MEMORY);
    expect_interrupt("/pl011@9000000", 0, "/intc@8000000", 33, HWTREE_TRIGGER_LEVEL,
                     HWTREE_POLARITY_HIGH);
    EXPECT(tree->console == find("/pl011@9000000") && tree->controller == find("/intc@8000000"));
    uint32_t timer = find("/timer"), host = find("/pcie@10000000"), target, id;
    EXPECT(hwtree_node(tree, timer)->timer.variant == HWTREE_TIMER_ARM);
    EXPECT(hwtree_interrupt(tree, timer, 2)->line == 27);
    const struct hwtree_pci_host *facts = &hwtree_node(tree, host)->pci_host;
    EXPECT(facts->ecam && facts->windows.count == 3 && facts->routes.count == 16);
    EXPECT(facts->first_bus == 0 && facts->last_bus == 255 && facts->address_mask == 0x1800);
    const struct hwtree_window *windows = hwtree_window(tree, host, 0);
    EXPECT(windows[0].io && !windows[1].io && !windows[2].io);
    EXPECT(windows[1].bus == 0x1000'0000 && !windows[1].wide);
    EXPECT(windows[2].bus == 0x80'0000'0000 && windows[2].wide);
    for (uint32_t i = 0; i < facts->routes.count; i++) // device 1, pin 1: the second of four lines
        if (hwtree_route(tree, host, i)->address == 0x800 && hwtree_route(tree, host, i)->pin == 1)
            EXPECT(hwtree_route(tree, host, i)->interrupt.line == 32 + 4);
    uint32_t slot = hwtree_compatible(tree, HWTREE_NONE, "virtio,mmio");
    EXPECT(slot != HWTREE_NONE && hwtree_interrupt(tree, slot, 0)->trigger == HWTREE_TRIGGER_EDGE);
    expect_range("/pcie@10000000", 0, 0x40'1000'0000, 0x1000'0000, HWTREE_SPACE_MEMORY);
    EXPECT(hwtree_device_id(tree, host, HWTREE_ID_MSI, &target, &id));
    EXPECT(hwtree_node(tree, target)->controller.variant == HWTREE_CONTROLLER_GIC_ITS);
    EXPECT(hwtree_device_id(tree, host, HWTREE_ID_IOMMU, &target, &id));
    EXPECT(hwtree_node(tree, target)->iommu.variant == HWTREE_IOMMU_SMMUV3);
    EXPECT(hwtree_node(tree, find("/cpus/cpu@2"))->cpu.method == HWTREE_PSCI);
}

// Where the functions of virt's PCI host send messages: the registers, 0 for nowhere. Changes a cell
// of the map first, if asked.
static uint64_t messages_of(const char *options, int changed, uint32_t cell, uint32_t *id)
{
    size_t bytes = 0;
    uint8_t *blob = load_machine(options, &bytes);
    EXPECT(blob != nullptr && bytes > 1000);
    int node = fdt_node_offset_by_compatible(blob, -1, "pci-host-ecam-generic"), length;
    uint32_t *map = (uint32_t *)(uintptr_t)fdt_getprop(blob, node, "msi-map", &length), target;
    if (changed >= 0) {
        EXPECT(map != nullptr && length == 16);
        map[changed] = cpu_to_fdt32(cell);
    }
    EXPECT(read_blob(blob, bytes));
    free(blob);
    uint32_t host = find("/pcie@10000000");
    EXPECT(hwtree_node(tree, host)->ids.count <= 1);
    if (!hwtree_device_id(tree, host, HWTREE_ID_MSI, &target, id))
        return 0;
    EXPECT(hwtree_id(tree, host, 0)->count == 0x1'0000 && hwtree_id(tree, host, 0)->input == 0);
    return hwtree_range(tree, target, 0)->base;
}

TEST(messages_of_virt)
{
    uint32_t id;
    EXPECT(messages_of("gic-version=3", -1, 0, &id) == 0x808'0000 && id == 0);
    EXPECT(all_problems() == 0);
    EXPECT(messages_of("gic-version=2", -1, 0, &id) == 0x802'0000 && id == 0);
    EXPECT(messages_of("gic-version=3,its=off", -1, 0, &id) == 0);
    EXPECT(messages_of("gic-version=3", 2, 0x8'0000, &id) == 0x808'0000 && id == 0x8'0000);
    EXPECT(messages_of("gic-version=3", 1, 0x7777, &id) == 0); // to nobody
    EXPECT(tree->problems[HWTREE_NO_TARGET] == 1);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

TEST(survives_damage)
{
    size_t bytes = 0;
    uint8_t *good = load_virt(&bytes);
    EXPECT(good != nullptr);
    for (size_t cut = 0; cut < bytes; cut += 61) {
        uint8_t *blob = malloc(cut);
        memcpy(blob, good, cut);
        EXPECT(!read_blob(blob, cut)); // its header says that there is more
        free(blob);
    }
    for (unsigned round = 0; round < 2000; round++) {
        uint8_t *blob = malloc(bytes);
        memcpy(blob, good, bytes);
        for (unsigned n = 0; n <= round % 16; n++)
            blob[random_next() % bytes] = (uint8_t)random_next();
        (void)read_blob(blob, bytes);
        free(blob);
    }
    free(good);
}
