// SPDX-License-Identifier: MIT
//
// build: hal/x86_64/tsc_rate.c platform/x86_64/madt.c
//
// What a PC says of itself, as the kernel reads it: CPUs by both kinds of MADT entries, and the
// rate of the time-stamp counter.
#include <hal/x86_64/tsc_rate.h>
#include <lib/acpi_tables.h>
#include <platform/x86_64/machine.h>
#include <stdarg.h>

#include "test.h"

// ---- MADT

static uint32_t id_max;
static char said[2048];

uint32_t apic_id_max(void)
{
    return id_max;
}

void klog(const char *format, ...)
{
    size_t at = strlen(said);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(said + at, sizeof(said) - at, format, arguments);
    va_end(arguments);
}

alignas(8) static uint8_t madt[sizeof(struct acpi_table_madt) + 256];
static size_t madt_bytes;

const void *acpi_find(const struct acpi *acpi, const char *signature, size_t at_least,
                      size_t *bytes)
{
    (void)acpi;
    EXPECT(strcmp(signature, ACPI_SIG_MADT) == 0 && at_least == sizeof(struct acpi_table_madt));
    *bytes = madt_bytes;
    return madt;
}

static void add(const void *entry, size_t bytes)
{
    memcpy(madt + madt_bytes, entry, bytes);
    madt_bytes += bytes;
}

static void add_xapic(uint8_t id, uint32_t flags)
{
    const struct acpi_madt_local_apic cpu = {
        .header = {ACPI_MADT_TYPE_LOCAL_APIC, sizeof(cpu)}, .id = id, .lapic_flags = flags};
    add(&cpu, sizeof(cpu));
}

static void add_x2apic(uint32_t id, uint32_t flags)
{
    const struct acpi_madt_local_x2apic cpu = {.header = {ACPI_MADT_TYPE_LOCAL_X2APIC, sizeof(cpu)},
                                               .local_apic_id = id,
                                               .lapic_flags = flags};
    add(&cpu, sizeof(cpu));
}

static struct boot_info boot;
static struct apic_config config;

static void read_madt(uint32_t last_id)
{
    static struct acpi acpi;
    id_max = last_id;
    said[0] = '\0';
    boot.cpu_count = 0;
    EXPECT(machine_interrupts(&acpi, &config, &boot));
}

TEST(cpus_by_both_kinds_of_entries)
{
    madt_bytes = sizeof(struct acpi_table_madt);
    add_xapic(0, 1);
    add_xapic(1, 0); // not there
    add_xapic(2, 1);
    add_x2apic(2, 1); // the same again
    add_x2apic(254, 1);
    add_x2apic(255, 1);
    add_x2apic(256, 0);
    add_x2apic(0x1234'5678, 1);
    add_x2apic(UINT32_MAX, 1);

    read_madt(UINT32_MAX - 1);
    EXPECT(boot.cpu_count == 5);
    EXPECT(boot.cpu_ids[0] == 0 && boot.cpu_ids[1] == 2 && boot.cpu_ids[2] == 254);
    EXPECT(boot.cpu_ids[3] == 255 && boot.cpu_ids[4] == 0x1234'5678);
    EXPECT(strstr(said, "4294967295") != nullptr);

    read_madt(254);
    EXPECT(boot.cpu_count == 3 && boot.cpu_ids[2] == 254);
    EXPECT(strstr(said, "id 255 needs an x2APIC") != nullptr);
    EXPECT(strstr(said, "id 305419896 needs an x2APIC") != nullptr);
    EXPECT(strstr(said, "id 256") == nullptr);
}

TEST(inputs_of_both_kinds)
{
    const struct acpi_madt_local_apic_nmi old = {
        .header = {ACPI_MADT_TYPE_LOCAL_APIC_NMI, sizeof(old)}, .processor_id = 0xff, .lint = 1};
    const struct acpi_madt_local_x2apic_nmi wide = {
        .header = {ACPI_MADT_TYPE_LOCAL_X2APIC_NMI, sizeof(wide)}, .uid = UINT32_MAX, .lint = 0};
    struct acpi_madt_local_x2apic_nmi wrong = wide, cut = wide;
    wrong.lint = 7;
    cut.header.length = sizeof(wide) - 1;
    madt_bytes = sizeof(struct acpi_table_madt);
    read_madt(254);
    EXPECT(config.nmi_inputs == 0);
    add(&wrong, sizeof(wrong));
    add(&old, sizeof(old));
    read_madt(254);
    EXPECT(config.nmi_inputs == 2);
    add(&wide, sizeof(wide));
    read_madt(254);
    EXPECT(config.nmi_inputs == 3);
    madt_bytes -= sizeof(wide);
    add(&cut, sizeof(cut));
    read_madt(254);
    EXPECT(config.nmi_inputs == 2 && strstr(said, "broken") != nullptr);
}

// ---- CPUID

TEST(rate_of_the_counter)
{
    bool exact;
    struct tsc_statement s = {};
    EXPECT(tsc_rate(&s, &exact) == 0 && !exact);
    s = (struct tsc_statement){.denominator = 2, .numerator = 216, .crystal_hz = 24'000'000};
    EXPECT(tsc_rate(&s, &exact) == 2'592'000'000 && exact);
    s.crystal_hz = UINT32_MAX, s.numerator = UINT32_MAX, s.denominator = 1;
    EXPECT(tsc_rate(&s, &exact) == (uint64_t)UINT32_MAX * UINT32_MAX && exact);
    s = (struct tsc_statement){.denominator = 2, .numerator = 216, .base_mhz = 2600};
    EXPECT(tsc_rate(&s, &exact) == 2'600'000'000 && !exact);
    s = (struct tsc_statement){.numerator = 216, .crystal_hz = 24'000'000};
    EXPECT(tsc_rate(&s, &exact) == 0 && !exact);
    s = (struct tsc_statement){.denominator = 2, .crystal_hz = 24'000'000, .base_mhz = 0xffff};
    EXPECT(tsc_rate(&s, &exact) == 65'535'000'000 && !exact);
}
