// SPDX-License-Identifier: MIT
//
// What the AArch64 kernel reads of ACPI tables: machines with a GICv2 and a GICv3, what it cannot
// run without, and what it leaves out.
// build: platform/aarch64/describe_acpi.c platform/acpi.c platform/boot_info.c
#include <arch/arch.h>
#include <lib/acpi_tables.h>
#include <setjmp.h>
#include <stdarg.h>

#include "platform/aarch64/machine.h"
#include "test.h"

static uint8_t memory[16384];
static size_t memory_used;
static char said[1024]; // the last line
static jmp_buf gave_up;
static bool may_give_up;

static void keep(const char *format, va_list arguments)
{
    vsnprintf(said, sizeof(said), format, arguments);
}

void klog(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    keep(format, arguments);
    va_end(arguments);
}

void panic(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    keep(format, arguments);
    va_end(arguments);
    if (may_give_up)
        longjmp(gave_up, 1);
    printf("panic: %s\n", said);
    abort();
}

void *arch_device_map(paddr_t address, size_t bytes, enum arch_memory kind)
{
    (void)kind;
    if (address.value >= sizeof(memory) || bytes > sizeof(memory) - address.value)
        return nullptr;
    return memory + address.value;
}

// ---- making tables

static uint8_t madt[4096];
static size_t madt_bytes;
static uint16_t arm_flags;
static struct acpi_table_gtdt gtdt;
static bool without_gtdt, without_madt;

static void add_entry(uint8_t type, void *entry, size_t bytes)
{
    const struct acpi_subtable_header head = {type, (uint8_t)bytes};
    memcpy(entry, &head, sizeof(head));
    memcpy(madt + madt_bytes, entry, bytes);
    madt_bytes += bytes;
}

static void add_distributor(uint8_t version)
{
    struct acpi_madt_generic_distributor d = {.base_address = 0x800'0000, .version = version};
    add_entry(ACPI_MADT_TYPE_GENERIC_DISTRIBUTOR, &d, sizeof(d));
}

static void add_cpu(uint64_t mpidr, uint32_t flags, uint64_t gicc, uint64_t gicr)
{
    struct acpi_madt_generic_interrupt c = {
        .arm_mpidr = mpidr, .flags = flags, .base_address = gicc, .gicr_base_address = gicr};
    add_entry(ACPI_MADT_TYPE_GENERIC_INTERRUPT, &c, 80);
}

static void add_frame(uint64_t address, uint32_t flags)
{
    struct acpi_madt_generic_msi_frame f = {
        .base_address = address, .flags = flags, .spi_base = 80, .spi_count = 64};
    add_entry(ACPI_MADT_TYPE_GENERIC_MSI_FRAME, &f, sizeof(f));
}

static uint32_t put_table(const char *signature, const void *body, size_t bytes)
{
    memory_used = (memory_used + 15) / 16 * 16;
    uint8_t *at = memory + memory_used, sum = 0;
    struct acpi_table_header header = {.length = (uint32_t)(sizeof(header) + bytes)};
    memcpy(header.signature, signature, 4);
    memcpy(at, &header, sizeof(header));
    memcpy(at + sizeof(header), body, bytes);
    for (size_t i = 0; i < header.length; i++)
        sum += at[i];
    at[offsetof(struct acpi_table_header, checksum)] = (uint8_t)-sum;
    const uint32_t address = (uint32_t)memory_used;
    memory_used += header.length;
    return address;
}

static void begin(void)
{
    madt_bytes = 8; // address of a local APIC, flags
    arm_flags = 3;
    without_gtdt = without_madt = false;
    gtdt = (struct acpi_table_gtdt){.virtual_timer_interrupt = 27, .non_secure_el1_interrupt = 30};
    said[0] = '\0';
}

static struct acpi_tables acpi;
static struct machine_description machine;
static struct boot_info boot;

static void open_tables(void)
{
    constexpr size_t head = sizeof(struct acpi_table_header);
    struct acpi_table_fadt fadt = {.arm_boot_flags = arm_flags};
    struct acpi_table_spcr spcr = {.interface_type = 3, .serial_port.address = 0x900'0000};
    uint32_t tables[4], count = 0;
    memset(memory, 0, sizeof(memory));
    memory_used = 64;
    tables[count++] = put_table("FACP", (char *)&fadt + head, sizeof(fadt) - head);
    tables[count++] = put_table("SPCR", (char *)&spcr + head, sizeof(spcr) - head);
    if (!without_madt)
        tables[count++] = put_table("APIC", madt, madt_bytes);
    if (!without_gtdt)
        tables[count++] = put_table("GTDT", (char *)&gtdt + head, sizeof(gtdt) - head);
    struct acpi_table_rsdp rsdp = {};
    memcpy(rsdp.signature, "RSD PTR ", 8);
    rsdp.rsdt_physical_address = put_table("RSDT", tables, count * sizeof(tables[0]));
    uint8_t sum = 0;
    for (size_t i = 0; i < sizeof(struct acpi_rsdp_common); i++)
        sum += ((uint8_t *)&rsdp)[i];
    rsdp.checksum = (uint8_t)-sum;
    memcpy(memory, &rsdp, sizeof(rsdp));
    EXPECT(acpi_open(&acpi, (paddr_t){0}));
    machine = (struct machine_description){};
    boot = (struct boot_info){};
}

static void describe(void)
{
    open_tables();
    acpi_describe_console(&acpi, &machine);
    acpi_describe_devices(&acpi, &machine);
    acpi_read_cpus(&acpi, 0x1, &boot);
}

static void expect_given_up(const char *why)
{
    open_tables();
    may_give_up = true;
    if (setjmp(gave_up) == 0) {
        acpi_describe_devices(&acpi, &machine);
        said[0] = '\0';
    }
    may_give_up = false;
    EXPECT_NOTE(strstr(said, why) != nullptr, "%s: %s", why, said);
}

// ---- tests

static void make_gicv2(void)
{
    begin();
    add_distributor(2);
    add_cpu(0x0, 1, 0x801'0000, 0);
    add_cpu(0x1, 1, 0x801'0000, 0);
    add_cpu(0x8000'0100, 1, 0x801'0000, 0); // bit 31 is no part of the affinity
    add_cpu(0x3, 0, 0x801'0000, 0);         // not enabled
    add_frame(0x802'0000, 1);
    add_frame(0x803'0000, 0);
}

TEST(a_gicv2)
{
    make_gicv2();
    describe();
    EXPECT(strcmp(machine.source, "ACPI") == 0);
    EXPECT(machine.console.registers.value == 0x900'0000 && machine.console.bytes == 0x1000);
    EXPECT(machine.gic == GIC_V2 && machine.distributor.value == 0x800'0000);
    EXPECT(machine.cpu_interface.value == 0x801'0000);
    EXPECT(machine.frame_count == 2 && machine.frames[0].registers.value == 0x802'0000);
    EXPECT(machine.frames[0].base == 80 && machine.frames[0].count == 64);
    EXPECT(machine.frames[1].base == 0 && machine.frames[1].count == 0); // ask the frame
    EXPECT(machine.timer_virtual == 27 && machine.timer_physical == 30);
    EXPECT(machine.psci == CONDUIT_HVC);
    EXPECT(boot.cpu_count == 3 && boot.cpu_ids[0] == 1);
    EXPECT(boot.cpu_ids[1] == 0 && boot.cpu_ids[2] == 0x100);
}

TEST(conduits)
{
    make_gicv2();
    arm_flags = 1;
    describe();
    EXPECT(machine.psci == CONDUIT_SMC);
    make_gicv2();
    arm_flags = 2; // without PSCI it means nothing
    describe();
    EXPECT(machine.psci == CONDUIT_NONE && boot.cpu_count == 1);
    EXPECT(strstr(said, "no PSCI") != nullptr);
}

TEST(a_gicv3_with_regions)
{
    struct acpi_madt_generic_redistributor r = {.base_address = 0x80a'0000, .length = 0xf6'0000};
    struct acpi_madt_generic_translator t = {.base_address = 0x808'0000};
    begin();
    add_distributor(3);
    add_cpu(0x1, 1, 0, 0x1234'0000); // where there are regions, they count
    add_entry(ACPI_MADT_TYPE_GENERIC_REDISTRIBUTOR, &r, sizeof(r));
    add_entry(ACPI_MADT_TYPE_GENERIC_TRANSLATOR, &t, sizeof(t));
    describe();
    EXPECT(machine.gic == GIC_V3 && machine.redistributor_count == 1 && machine.its_count == 1);
    EXPECT(machine.redistributors[0].registers.value == 0x80a'0000);
    EXPECT(machine.redistributors[0].bytes == 0xf6'0000 && machine.its[0].value == 0x808'0000);
}

TEST(a_gicv4_with_redistributors_by_cpu)
{
    begin();
    add_distributor(4);
    add_cpu(0x1, 1, 0, 0x80a'0000);
    add_cpu(0x2, 1, 0, 0x80c'0000);
    add_cpu(0x3, 0, 0, 0x80e'0000);
    describe();
    EXPECT(machine.gic == GIC_V3 && machine.redistributor_count == 2);
    EXPECT(machine.redistributors[1].registers.value == 0x80c'0000);
    EXPECT(machine.redistributors[1].bytes == 0x20000);
}

TEST(what_it_cannot_run_without)
{
    make_gicv2();
    without_madt = true;
    expect_given_up("no GIC distributor");
    make_gicv2();
    without_gtdt = true;
    expect_given_up("no GTDT");
    make_gicv2();
    gtdt.virtual_timer_interrupt = 15;
    gtdt.non_secure_el1_interrupt = 32; // shared by all: no timer of a CPU
    expect_given_up("no timer");
    begin();
    add_distributor(0);
    expect_given_up("version 0");
    begin();
    add_distributor(2);
    add_cpu(1, 0, 0x801'0000, 0);
    expect_given_up("interface");
    begin();
    add_distributor(3);
    expect_given_up("no redistributors");
}

TEST(one_timer_is_enough)
{
    make_gicv2();
    gtdt.virtual_timer_interrupt = 0;
    describe();
    EXPECT(machine.timer_virtual == 0 && machine.timer_physical == 30);
}

TEST(more_than_there_is_room_for)
{
    make_gicv2();
    for (unsigned i = 0; i < MESSAGE_FRAMES_MAX; i++)
        add_frame(0x900'0000 + i * 0x1000, 0);
    describe();
    EXPECT(machine.frame_count == MESSAGE_FRAMES_MAX);
    EXPECT(strstr(said, "too many") != nullptr);
    begin();
    add_distributor(2);
    for (unsigned i = 0; i < 50; i++) // some of them twice
        add_cpu(i % 40, 1, 0x801'0000, 0);
    describe();
    EXPECT(boot.cpu_count == 40);
}

TEST(entries_that_are_broken)
{
    make_gicv2();
    const size_t good = madt_bytes;
    for (unsigned length = 0; length < 82; length++) { // of the last entry, which says so of itself
        make_gicv2();
        struct acpi_madt_generic_interrupt c = {
            .arm_mpidr = 9, .flags = 1, .base_address = 0x801'0000};
        const struct acpi_subtable_header head = {ACPI_MADT_TYPE_GENERIC_INTERRUPT,
                                                  (uint8_t)length};
        memcpy(&c, &head, sizeof(head));
        memcpy(madt + madt_bytes, &c, 76); // up to the MPIDR: the first version's
        madt_bytes += 76;
        describe();
        EXPECT_NOTE(boot.cpu_count == (length == 76 ? 4 : 3), "length %u: %u", length,
                    boot.cpu_count);
        EXPECT(length == 76 || said[0] != '\0');
    }
    EXPECT(good > 0);
}
