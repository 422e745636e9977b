// SPDX-License-Identifier: MIT
// build: platform/acpi.c platform/boot_info.c platform/x86_64/madt.c platform/x86_64/timers.c platform/aarch64/describe_acpi.c user/devd/acpi.c lib/firmware/acpi.c lib/firmware/fdt.c lib/hwtree/acpi.c lib/hwtree/acpi_arm.c lib/hwtree/acpi_devices.c lib/hwtree/acpi_dmar.c lib/hwtree/acpi_madt.c lib/hwtree/acpi_numa.c lib/hwtree/acpi_pci.c lib/hwtree/acpi_pptt.c lib/hwtree/aml.c lib/hwtree/aml_resources.c lib/hwtree/aml_terms.c lib/hwtree/builder.c lib/hwtree/check.c lib/hwtree/copy.c lib/hwtree/diff.c lib/hwtree/fdt.c lib/hwtree/fdt_interrupts.c lib/hwtree/fdt_kinds.c lib/hwtree/fdt_pci.c lib/hwtree/fdt_ranges.c lib/hwtree/print.c lib/hwtree/properties.c lib/hwtree/read.c
//
// ACPI tables, as the kernel's start and the hardware tree's front end read them. The input is memory from address 0 on,
// with the RSDP at its beginning. Nothing outside of it is read, and what was found makes sense.
// Checksums are repaired when an input is changed: what has a wrong one is not looked at.
#include <arch/arch.h>
#include <hwtree/front.h>
#include <lib/acpi_tables.h>
#include <lib/hwtree/aml.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <user/devd/acpi.h>

#include "fuzz.h"
#include "hwtree_expect.h"
#include "platform/aarch64/machine.h"
#include "platform/x86_64/machine.h"

static uint8_t *memory;
static size_t memory_bytes;

void fuzz_begin(void)
{
}

// ---- what the two readers ask for

// Each mapping is a copy of exactly its length: the sanitizer sees what is read behind it.
static void *mappings[4096];
static unsigned mapping_count;

static const void *map(uint64_t address, uint64_t bytes)
{
    if (address > memory_bytes || bytes > memory_bytes - address ||
        mapping_count == sizeof(mappings) / sizeof(mappings[0]))
        return nullptr;
    return mappings[mapping_count++] = fuzz_copy(memory + address, bytes);
}

static void unmap_all(void)
{
    while (mapping_count > 0)
        free(mappings[--mapping_count]);
}

void *arch_device_map(paddr_t address, size_t bytes, enum arch_memory kind)
{
    FUZZ_EXPECT(kind == ARCH_MEMORY_NORMAL);
    return (void *)(uintptr_t)map(address.value, bytes);
}

// What is said must be text: the sanitizer sees each byte that is printed.
void klog(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
}

static jmp_buf gave_up;

// Where the AArch64 kernel cannot run without.
void panic(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    longjmp(gave_up, 1);
}

// Hardware that is not there.
bool reference_hpet(paddr_t address, struct clock_reference *reference)
{
    (void)address, (void)reference;
    return false;
}

bool reference_pm_timer(uint16_t port, bool wide, struct clock_reference *reference)
{
    (void)wide, (void)reference;
    FUZZ_EXPECT(port != 0);
    return true;
}

bool reference_i8254(uint16_t ports, struct clock_reference *reference)
{
    (void)ports, (void)reference;
    return false;
}

bool reference_stated(struct clock_reference *reference)
{
    (void)reference;
    return false;
}

uint32_t apic_id_max(void)
{
    return 254;
}

// ---- what must hold

static uint8_t sum_of(const uint8_t *at, size_t bytes)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + at[i]);
    return sum;
}

// The first part of an RSDP, by its text and its sum.
static bool is_past_header(void)
{
    return memory_bytes >= sizeof(struct acpi_table_rsdp) &&
           memcmp(memory, ACPI_SIG_RSDP, sizeof("RSD PTR ") - 1) == 0 &&
           sum_of(memory, sizeof(struct acpi_rsdp_common)) == 0;
}

static void expect_sound_list(const struct acpi_tables *acpi)
{
    FUZZ_EXPECT(acpi->count <= ACPI_TABLES_MAX);
    for (unsigned i = 0; i < acpi->count; i++) {
        const struct acpi_table *table = &acpi->list[i];
        FUZZ_EXPECT(strlen(table->signature) == 4);
        FUZZ_EXPECT(table->fault == ACPI_SOUND || table->at == nullptr);
        if (table->fault == ACPI_UNMAPPED || table->fault == ACPI_BAD_LENGTH)
            continue;
        FUZZ_EXPECT(table->bytes >= sizeof(struct acpi_table_header));
        FUZZ_EXPECT(table->bytes <= ACPI_TABLE_BYTES_MAX);
        FUZZ_EXPECT(map(table->address, sizeof(struct acpi_table_header)) != nullptr);
        if (table->at != nullptr)
            FUZZ_EXPECT(sum_of(table->at, table->bytes) == 0);
    }
}

static void expect_sound_interrupts(const struct apic_config *config, const struct boot_info *boot)
{
    FUZZ_EXPECT(config->io_count <= IO_APICS_MAX && config->override_count <= ISA_OVERRIDES_MAX);
    FUZZ_EXPECT(boot->cpu_count <= BOOT_CPUS_MAX && config->nmi_inputs < 4);
    for (uint32_t i = 0; i < boot->cpu_count; i++)
        for (uint32_t k = 0; k < i; k++)
            FUZZ_EXPECT(boot->cpu_ids[i] != boot->cpu_ids[k] && boot->cpu_ids[i] <= apic_id_max());
}

static void expect_sound_description(const struct machine_description *machine)
{
    FUZZ_EXPECT(machine->gic == GIC_V2 || machine->gic == GIC_V3);
    FUZZ_EXPECT(machine->frame_count <= MESSAGE_FRAMES_MAX && machine->its_count <= ITS_MAX);
    FUZZ_EXPECT(machine->redistributor_count <= REDISTRIBUTOR_REGIONS_MAX);
    FUZZ_EXPECT(machine->gic != GIC_V2 || machine->cpu_interface.value != 0);
    FUZZ_EXPECT(machine->gic != GIC_V3 || machine->redistributor_count != 0);
    FUZZ_EXPECT(machine->timer_virtual < 32 && machine->timer_physical < 32);
    FUZZ_EXPECT(machine->timer_virtual >= 16 || machine->timer_physical >= 16);
}

static void read_as_aarch64(struct acpi_tables *acpi)
{
    static struct machine_description machine;
    static struct boot_info boot;
    memset(&machine, 0, sizeof(machine));
    memset(&boot, 0, sizeof(boot));
    acpi_describe_console(acpi, &machine);
    acpi_read_cpus(acpi, 7, &boot);
    FUZZ_EXPECT(boot.cpu_count >= 1 && boot.cpu_count <= BOOT_CPUS_MAX && boot.cpu_ids[0] == 7);
    for (uint32_t i = 0; i < boot.cpu_count; i++)
        for (uint32_t k = 0; k < i; k++)
            FUZZ_EXPECT(boot.cpu_ids[i] != boot.cpu_ids[k]);
    if (setjmp(gave_up) != 0)
        return;
    acpi_describe_devices(acpi, &machine);
    expect_sound_description(&machine);
}

static void read_as_kernel(void)
{
    static struct acpi_tables acpi;
    static struct boot_info boot;
    struct apic_config interrupts;
    struct acpi_power_config power;
    struct clock_reference reference;
    paddr_t found = acpi_scan((paddr_t){0}, memory_bytes);
    FUZZ_EXPECT(found.value + sizeof(struct acpi_table_rsdp) <= memory_bytes || found.value == 0);
    if (!acpi_open(&acpi, (paddr_t){0})) {
        expect_sound_list(&acpi);
        return;
    }
    FUZZ_EXPECT(is_past_header());
    expect_sound_list(&acpi);
    memset(&boot, 0, sizeof(boot));
    if (machine_interrupts(&acpi, &interrupts, &boot))
        expect_sound_interrupts(&interrupts, &boot);
    machine_power(&acpi, &power);
    (void)machine_reference(&acpi, &reference);
    read_as_aarch64(&acpi);
    for (unsigned i = 0; i < acpi.count; i++) {
        const struct acpi_piece table = acpi_find(&acpi, acpi.list[i].signature, 40);
        if (table.at != nullptr)
            FUZZ_EXPECT(table.bytes >= 40);
    }
    expect_sound_list(&acpi);
}

static const void *map_for_hardware(void *context, uint64_t address, uint64_t bytes)
{
    (void)context;
    return map(address, bytes);
}

// What devd adds: devices of a PC, once each.
static void expect_sound_addition(const struct hwtree *tree, uint32_t first)
{
    FUZZ_EXPECT(hwtree_count(tree, HWTREE_NODES) <= first + 2);
    for (uint32_t i = first; i < hwtree_count(tree, HWTREE_NODES); i++) {
        const struct hwtree_node *node = hwtree_node(tree, i);
        FUZZ_EXPECT(node->parent == 0 && node->ranges.count <= 1 && node->interrupts.count <= 1);
    }
}

// What DSDT and SSDTs say.
static void expect_sound_definitions(const struct hwtree *tree)
{
    for (uint32_t i = 0; i < hwtree_count(tree, HWTREE_NODES); i++) {
        const struct hwtree_node *node = hwtree_node(tree, i);
        if (hwtree_is_compatible(tree, i, "virtio,mmio"))
            FUZZ_EXPECT(node->ranges.count <= AML_RANGES &&
                        node->interrupts.count <= AML_INTERRUPTS);
        for (uint32_t k = 0; node->kind == HWTREE_PCI_HOST && k < node->pci_host.routes.count; k++)
            FUZZ_EXPECT((hwtree_route(tree, i, k)->address & ~node->pci_host.address_mask) == 0);
    }
}

static void read_as_devd(void)
{
    static uint64_t hardware[8192];
    static struct acpi_tables acpi;
    struct hwtree_builder builder;
    if (!hwtree_acpi_find(&acpi, map_for_hardware, nullptr, 0)) {
        expect_sound_list(&acpi);
        return;
    }
    FUZZ_EXPECT(is_past_header());
    expect_sound_list(&acpi);
    FUZZ_EXPECT(hwtree_begin(&builder, hardware, sizeof(hardware), HWTREE_ACPI));
    hwtree_read_acpi(&builder, &acpi);
    expect_sound_definitions(builder.tree);
    for (uint8_t source = 0; source < 17; source++) {
        struct hwtree_interrupt isa;
        if (hwtree_acpi_isa(builder.tree, source, &isa))
            FUZZ_EXPECT(isa.controller < hwtree_count(builder.tree, HWTREE_NODES) && source < 16);
    }
    uint32_t first = hwtree_count(builder.tree, HWTREE_NODES);
    acpi_add_devices(&builder, &acpi);
    expect_sound_addition(builder.tree, first);
    expect_sound_hardware(&builder);
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    memory = fuzz_copy(data, bytes);
    memory_bytes = bytes;
    if (is_past_header())
        fuzz_past_header();
    read_as_kernel();
    unmap_all();
    read_as_devd();
    unmap_all();
    free(memory);
}

// ---- changing

static void repair_sum(uint8_t *at, size_t bytes, size_t checksum)
{
    at[checksum] = 0;
    at[checksum] = (uint8_t)-sum_of(at, bytes);
}

// Not the RSDP, which is at 0: an address of 0 is none.
static void repair_table(uint8_t *data, size_t bytes, uint64_t address, struct dice *dice)
{
    if (address < sizeof(struct acpi_table_rsdp) || address >= bytes ||
        bytes - address < sizeof(struct acpi_table_header))
        return;
    uint8_t *at = data + address;
    uint64_t length = get_low_first(at + 4, 4), room = bytes - address;
    if ((length < sizeof(struct acpi_table_header) || length > room) && dice_below(dice, 8))
        put_low_first(at + 4,
                      length = sizeof(struct acpi_table_header) +
                               dice_below(dice, room - sizeof(struct acpi_table_header) + 1),
                      4);
    if (length <= room && length >= sizeof(struct acpi_table_header) && dice_below(dice, 30))
        repair_sum(at, length, offsetof(struct acpi_table_header, checksum));
}

// One list of tables: an RSDT, or an XSDT with entries of 8 bytes.
static void repair_list(uint8_t *data, size_t bytes, uint64_t address, unsigned width,
                        struct dice *dice)
{
    constexpr size_t HEADER = sizeof(struct acpi_table_header);
    if (address < sizeof(struct acpi_table_rsdp) || address >= bytes || bytes - address < HEADER)
        return;
    uint64_t length = get_low_first(data + address + 4, 4);
    for (uint64_t at = HEADER; at + width <= length && address + at + width <= bytes; at += width)
        repair_table(data, bytes, get_low_first(data + address + at, width), dice);
    repair_table(data, bytes, address, dice);
}

static void repair(uint8_t *data, size_t bytes, struct dice *dice)
{
    struct acpi_table_rsdp *rsdp = (void *)data;
    memcpy(data, "RSD PTR ", 8);
    const uint8_t *definitions = memmem(data, bytes, ACPI_SIG_DSDT, 4);
    if (definitions != nullptr) // the FADT leads to it, and no list
        repair_table(data, bytes, (uint64_t)(definitions - data), dice);
    repair_list(data, bytes, rsdp->xsdt_physical_address, 8, dice);
    repair_list(data, bytes, rsdp->rsdt_physical_address, 4, dice);
    if (dice_below(dice, 4))
        rsdp->length = sizeof(*rsdp);
    repair_sum(data, sizeof(struct acpi_rsdp_common), offsetof(struct acpi_table_rsdp, checksum));
    repair_sum(data, sizeof(*rsdp), offsetof(struct acpi_table_rsdp, extended_checksum));
}

// Another length for an entry of the MADT; half the time the table ends with it.
static void change_entry(uint8_t *madt, uint64_t length, struct dice *dice)
{
    uint64_t at = sizeof(struct acpi_table_madt);
    while (at + 2 <= length && madt[at + 1] > 1 && dice_below(dice, 6) != 0)
        at += madt[at + 1];
    if (at + 2 > length)
        return;
    madt[at + 1] = (uint8_t)(dice_below(dice, 2) ? madt[at + 1] - 3 + dice_below(dice, 7)
                                                 : dice_below(dice, 256));
    if (dice_below(dice, 2) == 0 && at + madt[at + 1] < length)
        put_low_first(madt + 4, at + madt[at + 1], 4);
}

// Another word in the IORT, most often one that may be an offset or a number of things.
static void change_iort(uint8_t *data, size_t bytes, struct dice *dice)
{
    constexpr uint64_t HEADER = sizeof(struct acpi_table_header);
    uint8_t *iort = memmem(data, bytes, ACPI_SIG_IORT, 4);
    const uint64_t room = iort != nullptr ? bytes - (uint64_t)(iort - data) : 0;
    const uint64_t length = room > HEADER + 8 ? get_low_first(iort + 4, 4) : 0;
    if (length < HEADER + 8 || length > room)
        return;
    uint8_t *word = iort + HEADER + 4 * dice_below(dice, (length - HEADER) / 4);
    put_low_first(word, dice_below(dice, 3) ? dice_below(dice, length + 8) : dice_number(dice), 4);
}

// Makes a table another one, gives it a length, or puts a number into it.
static void change_table(uint8_t *data, size_t bytes, struct dice *dice)
{
    static const char names[][5] = {"APIC", "MCFG", "FACP", "HPET", "RSDT", "XSDT", "SRAT", "SLIT",
                                    "SPCR", "DBG2", "GTDT", "IORT", "DMAR", "SSDT", "PPTT"};
    const struct acpi_table_rsdp *rsdp = (void *)data;
    uint64_t list = rsdp->rsdt_physical_address;
    constexpr uint64_t HEADER = sizeof(struct acpi_table_header);
    if (list > bytes || bytes - list < HEADER + 4)
        return;
    uint64_t entries = (get_low_first(data + list + 4, 4) - HEADER) / 4;
    uint64_t room = (bytes - list - HEADER) / 4;
    entries = entries < room && entries > 0 ? entries : room;
    uint64_t table = get_low_first(data + list + HEADER + 4 * dice_below(dice, entries), 4);
    if (table + HEADER + 8 > bytes || table < sizeof(*rsdp))
        return;
    unsigned width = 1u << dice_below(dice, 4);
    // Within the table, or anywhere behind its header.
    uint64_t body = bytes - table - HEADER, length = get_low_first(data + table + 4, 4);
    if (dice_below(dice, 4) != 0 && length > HEADER && length - HEADER < body)
        body = length - HEADER;
    uint8_t *at = data + table + HEADER + dice_below(dice, body);
    switch (dice_below(dice, 5)) {
    case 0:
        memcpy(data + table, names[dice_below(dice, sizeof(names) / sizeof(names[0]))], 4);
        break;
    case 1:
        put_low_first(data + table + 4, dice_below(dice, 300), 4);
        break;
    case 2:
        *at = (uint8_t)dice_below(dice, 12);
        break;
    case 3:
        if (memcmp(data + table, "APIC", 4) == 0 && length <= bytes - table) {
            change_entry(data + table, length, dice);
            break;
        }
        [[fallthrough]];
    default:
        if (at + width <= data + bytes)
            put_low_first(at, dice_number(dice), width);
        break;
    }
}

// Changes a byte of the AML: any, one that says how long something is, or one of the address of a device
// that stands in a route behind "all functions".
static void change_definitions(uint8_t *data, size_t bytes, struct dice *dice)
{
    constexpr size_t HEADER = sizeof(struct acpi_table_header);
    uint8_t *table = memmem(data, bytes, ACPI_SIG_DSDT, 4);
    size_t room = table != nullptr ? bytes - (size_t)(table - data) : 0;
    if (room <= HEADER)
        return;
    uint64_t length = get_low_first(table + 4, 4);
    length = length > HEADER && length < room ? length : room;
    uint64_t at = HEADER + dice_below(dice, length - HEADER);
    static const uint8_t packages[] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x82};
    const uint64_t way = dice_below(dice, 3);
    if (way == 0)
        while (at + 2 < length && (table[at - 2] != 0xff || table[at - 1] != 0xff))
            at++;
    if (way == 1)
        while (at + 1 < length && memchr(packages, table[at - 1], sizeof(packages)) == nullptr)
            at++;
    table[at] = (uint8_t)dice_number(dice);
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    constexpr size_t RSDP = sizeof(struct acpi_table_rsdp);
    if (dice_below(dice, 3) == 0 || bytes < RSDP)
        bytes = mutate_bytes(data, bytes, room);
    if (bytes < RSDP && room >= RSDP) {
        memset(data + bytes, 0, RSDP - bytes);
        bytes = RSDP;
    }
    if (bytes < RSDP || dice_below(dice, 20) == 0)
        return bytes;
    for (uint64_t n = dice_below(dice, 4); n > 0; n--)
        change_table(data, bytes, dice);
    if (dice_below(dice, 2) == 0)
        change_definitions(data, bytes, dice);
    if (dice_below(dice, 4) == 0)
        change_iort(data, bytes, dice);
    repair(data, bytes, dice);
    return bytes;
}
