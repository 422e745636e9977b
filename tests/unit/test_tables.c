// SPDX-License-Identifier: MIT
//
// build: user/devd/fdt.c user/devd/acpi.c user/devd/aml.c user/devd/aml_resources.c user/devd/tree.c
//
// The two front ends of the hardware tree. The device tree is the one of QEMU's virt machine,
// dumped while the test runs; ACPI tables are made here. Both are then damaged at random.
#include <lib/acpi_tables.h>
#include <libfdt.h>
#include <stdint.h>
#include <unistd.h>
#include <user/devd/tree.h>

#include "test.h"

static struct tree tree;
static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void clear_tree(void)
{
    memset(&tree, 0, sizeof(tree));
}

static const struct node *find_node(const char *compatible)
{
    for (uint32_t i = 0; i < tree.node_count; i++)
        for (unsigned c = 0; c < tree.nodes[i].compatible_count; c++)
            if (strcmp(tree.nodes[i].compatible[c], compatible) == 0)
                return &tree.nodes[i];
    return nullptr;
}

// ---- device tree

// Large enough that a byte behind the end is seen by the sanitizer: the blob is given a copy of
// exactly its size.
static uint8_t *load_machine(const char *options, size_t *bytes)
{
    static const char command[] =
        "qemu-system-aarch64 -M virt,%s,dumpdtb=%s -display none > /dev/null 2>&1";
    char path[] = "/tmp/test_tables.XXXXXX", whole[sizeof(command) + sizeof(path) + 64];
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
    return load_machine("gic-version=2", bytes);
}

TEST(fdt_reads_virt)
{
    size_t bytes = 0;
    uint8_t *blob = load_virt(&bytes);
    EXPECT(blob != nullptr && bytes > 1000);
    clear_tree();
    EXPECT(tree_from_fdt(&tree, blob, bytes));
    const struct node *uart = find_node("arm,pl011");
    EXPECT(uart != nullptr && uart->range_count == 1 && uart->interrupt_count == 1);
    EXPECT(uart->ranges[0].base == 0x900'0000 && uart->ranges[0].bytes == 0x1000);
    EXPECT(uart->interrupts[0].line == 33 && uart->interrupts[0].trigger == TRIGGER_LEVEL_HIGH);
    const struct node *disk = find_node("virtio,mmio");
    EXPECT(disk != nullptr && disk->interrupts[0].trigger == TRIGGER_EDGE);
    EXPECT(tree.host_count == 1);
    const struct pci_host *host = &tree.hosts[0];
    EXPECT(host->ecam == 0x40'1000'0000 && host->first_bus == 0 && host->last_bus == 255);
    EXPECT(host->space.window_count == 2);
    EXPECT(host->space.windows[0].bus_address == 0x1000'0000 && !host->space.windows[0].wide);
    EXPECT(host->space.windows[1].bus_address == 0x80'0000'0000 && host->space.windows[1].wide);
    EXPECT(host->route_count == 16 && host->route_address_mask == 0x1800);
    // Device 1, pin 1: the second of the four lines.
    for (uint32_t i = 0; i < host->route_count; i++)
        if (host->routes[i].address == 0x800 && host->routes[i].pin == 1)
            EXPECT(host->routes[i].interrupt.line == 32 + 4);
    free(blob);
}

// Where the functions of the only PCI host send messages; changes a cell of the map first, if asked.
static const struct pci_host *routes_of(const char *options, int changed, uint32_t cell)
{
    size_t bytes = 0;
    uint8_t *blob = load_machine(options, &bytes);
    EXPECT(blob != nullptr && bytes > 1000);
    int node = fdt_node_offset_by_compatible(blob, -1, "pci-host-ecam-generic"), length;
    uint32_t *map = (uint32_t *)(uintptr_t)fdt_getprop(blob, node, "msi-map", &length);
    if (changed >= 0) {
        EXPECT(map != nullptr && length == 16);
        map[changed] = __builtin_bswap32(cell);
    }
    clear_tree();
    EXPECT(tree_from_fdt(&tree, blob, bytes) && tree.host_count == 1);
    free(blob);
    return &tree.hosts[0];
}

TEST(fdt_routes_messages)
{
    const struct pci_host *host = routes_of("gic-version=3", -1, 0);
    EXPECT(host->message_route_count == 1 && host->message_requester_mask == UINT32_MAX);
    EXPECT(host->message_routes[0].controller == 0x808'0000);
    EXPECT(host->message_routes[0].first == 0 && host->message_routes[0].device == 0);
    EXPECT(host->message_routes[0].count == 0x1'0000);
    host = routes_of("gic-version=2", -1, 0);
    EXPECT(host->message_route_count == 1 && host->message_routes[0].controller == 0x802'0000);
    host = routes_of("gic-version=3,its=off", -1, 0);
    EXPECT(host->message_route_count == 0);
    host = routes_of("gic-version=3", 2, 0x8'0000);
    EXPECT(host->message_routes[0].device == 0x8'0000);
    host = routes_of("gic-version=3", 1, 0x7777); // to nobody
    EXPECT(host->message_route_count == 0);
    clear_tree();
    pci_host_send_messages(&tree.hosts[0], 0x1234'0000);
    EXPECT(tree.hosts[0].message_route_count == 1 && tree.hosts[0].message_requester_mask != 0);
    EXPECT(tree.hosts[0].message_routes[0].controller == 0x1234'0000);
    EXPECT(tree.hosts[0].message_routes[0].count == 0x1'0000);
}

TEST(fdt_survives_damage)
{
    size_t bytes = 0;
    uint8_t *good = load_virt(&bytes);
    EXPECT(good != nullptr);
    for (size_t cut = 0; cut < bytes; cut += 61) {
        uint8_t *blob = malloc(cut);
        memcpy(blob, good, cut);
        clear_tree();
        EXPECT(!tree_from_fdt(&tree, blob, cut)); // its header says that there is more
        free(blob);
    }
    for (unsigned round = 0; round < 2000; round++) {
        uint8_t *blob = malloc(bytes);
        memcpy(blob, good, bytes);
        for (unsigned n = 0; n <= round % 16; n++)
            blob[random_next() % bytes] = (uint8_t)random_next();
        clear_tree();
        (void)tree_from_fdt(&tree, blob, bytes);
        EXPECT(tree.node_count <= NODES && tree.host_count <= PCI_HOSTS);
        for (uint32_t i = 0; i < tree.node_count; i++)
            for (unsigned r = 0; r < tree.nodes[i].range_count; r++)
                EXPECT(tree.nodes[i].ranges[r].bytes > 0);
        free(blob);
    }
    free(good);
}

// ---- ACPI

static uint8_t memory[8192];
static size_t memory_used;

static const void *map(uint64_t address, uint64_t bytes)
{
    if (address >= sizeof(memory) || bytes > sizeof(memory) - address)
        return nullptr;
    return memory + address;
}

static const struct acpi_access access_all = {map};

static void finish_sum(uint8_t *table, size_t bytes, size_t at)
{
    uint8_t sum = 0;
    table[at] = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += table[i];
    table[at] = (uint8_t)-sum;
}

static uint32_t put_table(const char *signature, const void *body, size_t bytes)
{
    memory_used = (memory_used + 15) / 16 * 16;
    uint8_t *at = memory + memory_used;
    struct acpi_table_header header = {.length = (uint32_t)(sizeof(header) + bytes)};
    memcpy(header.signature, signature, 4);
    memcpy(at, &header, sizeof(header));
    memcpy(at + sizeof(header), body, bytes);
    finish_sum(at, header.length, offsetof(struct acpi_table_header, checksum));
    uint32_t address = (uint32_t)memory_used;
    memory_used += header.length;
    return address;
}

static void put_root(const uint32_t *tables, size_t count)
{
    struct acpi_table_rsdp rsdp = {};
    memcpy(rsdp.signature, "RSD PTR ", 8);
    rsdp.rsdt_physical_address = put_table("RSDT", tables, count * sizeof(*tables));
    memcpy(memory, &rsdp, sizeof(rsdp));
    finish_sum(memory, sizeof(struct acpi_rsdp_common), offsetof(struct acpi_table_rsdp, checksum));
}

// Tables as q35 has them: an RSDT, a MADT with an override of interrupt 4, an MCFG.
static void make_tables(void)
{
    struct [[gnu::packed]] {
        uint32_t apic, flags;
        struct acpi_madt_interrupt_override over;
    } madt = {.flags = ACPI_MADT_PCAT_COMPAT,
              .over = {.header = {ACPI_MADT_TYPE_INTERRUPT_OVERRIDE, 10},
                       .source_irq = 4,
                       .global_irq = 20,
                       .inti_flags = ACPI_MADT_TRIGGER_LEVEL | ACPI_MADT_POLARITY_ACTIVE_LOW}};
    struct [[gnu::packed]] {
        uint8_t reserved[8];
        struct acpi_mcfg_allocation allocation;
    } mcfg = {.allocation = {.address = 0xb000'0000, .end_bus_number = 255}};
    memset(memory, 0, sizeof(memory));
    memory_used = 64;
    uint32_t tables[2];
    tables[0] = put_table("APIC", &madt, sizeof(madt));
    tables[1] = put_table("MCFG", &mcfg, sizeof(mcfg));
    put_root(tables, 2);
}

TEST(acpi_reads_a_pc)
{
    make_tables();
    clear_tree();
    EXPECT(tree_from_acpi(&tree, &access_all, 0));
    EXPECT(tree.host_count == 1 && tree.hosts[0].ecam == 0xb000'0000);
    EXPECT(tree.hosts[0].last_bus == 255 && tree.hosts[0].space.window_count == 0);
    EXPECT(tree.hosts[0].message_route_count == 1 &&
           tree.hosts[0].message_routes[0].controller == 0);
    const struct node *uart = find_node("ns16550a");
    EXPECT(uart != nullptr && uart->ranges[0].io && uart->ranges[0].base == 0x3f8);
    EXPECT(uart->interrupts[0].line == 20 && uart->interrupts[0].trigger == TRIGGER_LEVEL_LOW);
    clear_tree();
    EXPECT(!tree_from_acpi(&tree, &access_all, 64));                 // no RSDP
    EXPECT(!tree_from_acpi(&tree, &access_all, sizeof(memory) - 8)); // out of memory
}

// The serial port of a machine of Arm: an SPCR with these fields, as the whole list of tables.
static const struct node *read_serial(uint8_t type, uint8_t space, uint64_t address,
                                      uint8_t interrupt_type)
{
    struct acpi_table_spcr spcr = {.interface_type = type,
                                   .serial_port = {.space_id = space, .address = address},
                                   .interrupt_type = interrupt_type,
                                   .interrupt = 33};
    memset(memory, 0, sizeof(memory));
    memory_used = 64;
    uint32_t table = put_table("SPCR", (const char *)&spcr + sizeof(spcr.header),
                               sizeof(spcr) - sizeof(spcr.header));
    put_root(&table, 1);
    clear_tree();
    EXPECT(tree_from_acpi(&tree, &access_all, 0));
    return find_node("arm,pl011");
}

TEST(acpi_reads_the_serial_port)
{
    for (unsigned type = 0; type < 32; type++) {
        const struct node *uart = read_serial((uint8_t)type, 0, 0x900'0000, 8);
        EXPECT_NOTE((uart != nullptr) == (type == 3 || type == 13 || type == 14), "type %u", type);
        if (uart == nullptr)
            continue;
        EXPECT(uart->range_count == 1 && uart->ranges[0].base == 0x900'0000);
        EXPECT(uart->ranges[0].bytes == 0x1000 && !uart->ranges[0].io);
        EXPECT(uart->interrupt_count == 1 && uart->interrupts[0].line == 33);
        EXPECT(uart->interrupts[0].trigger == TRIGGER_LEVEL_HIGH);
    }
    EXPECT(read_serial(3, 1, 0x3f8, 8) == nullptr);              // an I/O port
    EXPECT(read_serial(3, 0, 0x900'0000, 2) == nullptr);         // not a GIC's interrupt
    EXPECT(read_serial(3, 0, 0, 8) == nullptr);                  // switched off
    EXPECT(read_serial(3, 0, UINT64_MAX - 0xffe, 8) == nullptr); // wraps
    EXPECT(read_serial(3, 0, UINT64_MAX - 0x1000, 8) != nullptr);
}

TEST(acpi_survives_damage)
{
    for (unsigned round = 0; round < 50'000; round++) {
        make_tables();
        size_t header = sizeof(struct acpi_table_header);
        for (unsigned n = 0; n <= round % 4; n++)
            memory[random_next() % memory_used] = (uint8_t)random_next();
        if (round & 1) { // a body that is damaged under a sum that is right
            uint8_t *madt = memory + 64;
            memcpy(madt, "APIC", 4);
            madt[header + 8 + random_next() % 10] = (uint8_t)random_next();
            finish_sum(madt, 62, offsetof(struct acpi_table_header, checksum));
        }
        clear_tree();
        (void)tree_from_acpi(&tree, &access_all, 0);
        EXPECT(tree.node_count <= 2 && tree.host_count <= PCI_HOSTS);
    }
}
