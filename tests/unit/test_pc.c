// SPDX-License-Identifier: MIT
//
// build: hal/x86_64/tsc_rate.c platform/x86_64/madt.c platform/x86_64/mptable.c platform/acpi.c platform/boot_info.c
//
// What a PC says of itself, as the kernel reads it: CPUs by both kinds of MADT entries, the MP table
// of one without ACPI, and the rate of the time-stamp counter.
#include <arch/arch.h>
#include <hal/x86_64/tsc_rate.h>
#include <lib/acpi_tables.h>
#include <platform/x86_64/machine.h>
#include <platform/x86_64/mptable.h>
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

void panic(const char *format, ...)
{
    printf("panic: %s\n", format);
    abort();
}

alignas(8) static uint8_t madt[sizeof(struct acpi_table_madt) + 256];
static size_t madt_bytes;

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
    struct acpi_tables acpi = {.count = 1};
    acpi.list[0] =
        (struct acpi_table){.at = madt, .bytes = (uint32_t)madt_bytes, .signature = ACPI_SIG_MADT};
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
    add(&cut, cut.header.length); // alone is left out
    read_madt(254);
    EXPECT(config.nmi_inputs == 2 && strstr(said, "too short") != nullptr);
    add(&wide, sizeof(wide));
    read_madt(254);
    EXPECT(config.nmi_inputs == 3 && strstr(said, "broken") == nullptr);
    cut.header.length = 1;
    add(&cut, sizeof(cut));
    read_madt(254);
    EXPECT(config.nmi_inputs == 3 && strstr(said, "broken at byte") != nullptr);
}

// ---- the MP table: in memory from address 0 on, of which each look gets a copy of its own

static uint8_t memory[4096];
static void *looks[64];
static unsigned look_count;

void *arch_device_map(paddr_t address, size_t bytes, enum arch_memory kind)
{
    (void)kind;
    if (address.value > sizeof(memory) || bytes > sizeof(memory) - address.value)
        return nullptr;
    EXPECT(look_count < sizeof(looks) / sizeof(looks[0]));
    looks[look_count] = malloc(bytes);
    return memcpy(looks[look_count++], memory + address.value, bytes);
}

static void forget_looks(void)
{
    while (look_count > 0)
        free(looks[--look_count]);
}

constexpr size_t POINTER = 0x30, TABLE = 0x100, TABLE_BYTES = 44 + 3 * 20 + 2 * 8 + 3 * 8;

static void sum(uint8_t *start, size_t bytes, size_t checksum)
{
    uint8_t total = 0;
    start[checksum] = 0;
    for (size_t i = 0; i < bytes; i++)
        total = (uint8_t)(total + start[i]);
    start[checksum] = (uint8_t)-total;
}

static void make_mp_table(void)
{
    static const uint8_t entries[] = {
        0, 0, 20,  3,   0,   0,    0,    0,    0, 0,
        0, 0, 0,   0,   0,   0,    0,    0,    0, 0, // a CPU, by which we start
        0, 1, 20,  0,   0,   0,    0,    0,    0, 0,
        0, 0, 0,   0,   0,   0,    0,    0,    0, 0, // not usable
        0, 7, 20,  1,   0,   0,    0,    0,    0, 0,
        0, 0, 0,   0,   0,   0,    0,    0,    0, 0, //
        1, 0, 'I', 'S', 'A', ' ',  ' ',  ' ',        // a bus
        2, 8, 17,  1,   0,   0,    0xc0, 0xfe,       // an I/O APIC
        2, 9, 17,  0,   0,   0x10, 0xc0, 0xfe,       // not usable
        3, 0, 0,   0,   0,   4,    8,    4,          // an input of it
        4, 1, 0,   0,   0,   0,    0xff, 1,          // LINT1 is an NMI
    };
    static_assert(44 + sizeof(entries) == TABLE_BYTES);
    memset(memory, 0, sizeof(memory));
    memcpy(memory + POINTER, "_MP_", 4);
    memory[POINTER + 5] = TABLE >> 8;
    memory[POINTER + 8] = 1;
    memory[POINTER + 9] = 4;
    sum(memory + POINTER, 16, 10);
    memcpy(memory + TABLE, "PCMP", 4);
    memory[TABLE + 4] = TABLE_BYTES;
    memcpy(memory + TABLE + 36, (const uint8_t[]){0, 0, 0xe0, 0xfe}, 4);
    memcpy(memory + TABLE + 44, entries, sizeof(entries));
    sum(memory + TABLE, TABLE_BYTES, 7);
}

static bool read_mp_table(void)
{
    uint32_t bytes = 0;
    boot.cpu_count = 0;
    said[0] = '\0';
    id_max = 254;
    const paddr_t found = mptable_search((paddr_t){0}, 0x100, &bytes);
    if (found.value != 0)
        mptable_interrupts(found, bytes, &config, &boot);
    forget_looks();
    return found.value != 0;
}

TEST(a_pc_without_acpi)
{
    make_mp_table();
    EXPECT(read_mp_table());
    EXPECT(boot.cpu_count == 2 && boot.cpu_ids[0] == 0 && boot.cpu_ids[1] == 7);
    EXPECT(config.local.value == 0xfee0'0000 && config.nmi_inputs == 2);
    EXPECT(config.io_count == 1 && config.io[0].address.value == 0xfec0'0000);
    EXPECT(config.io[0].first_line == IO_APIC_FOLLOWS && said[0] == '\0');

    memory[TABLE + 44] = 9; // no type of entry
    sum(memory + TABLE, TABLE_BYTES, 7);
    EXPECT(read_mp_table() && boot.cpu_count == 0 && strstr(said, "broken at byte 44") != nullptr);
    make_mp_table();
    memory[TABLE + 4] = TABLE_BYTES - 1; // ends in its last entry
    sum(memory + TABLE, TABLE_BYTES - 1, 7);
    EXPECT(read_mp_table() && config.nmi_inputs == 0 && strstr(said, "broken") != nullptr);

    static const size_t wrong[] = {POINTER, POINTER + 8, POINTER + 10,
                                   TABLE,   TABLE + 7,   TABLE + 60};
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        make_mp_table();
        memory[wrong[i]]++;
        EXPECT_NOTE(!read_mp_table(), "byte %zu", wrong[i]);
    }
    make_mp_table();
    memory[TABLE + 4] = 43; // shorter than its head
    sum(memory + TABLE, 43, 7);
    EXPECT(!read_mp_table());
    make_mp_table();
    memory[POINTER + 6] = 1; // the table is nowhere
    sum(memory + POINTER, 16, 10);
    EXPECT(!read_mp_table());
}

TEST(a_damaged_mp_table)
{
    uint64_t state = 88172645463325252u;
    unsigned read = 0;
    for (unsigned round = 0; round < 20'000; round++) {
        make_mp_table();
        for (unsigned n = 0; n < 3; n++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            memory[TABLE + 4 + state % (TABLE_BYTES - 4)] = (uint8_t)(state >> 32);
        }
        const size_t bytes = memory[TABLE + 4] | (size_t)memory[TABLE + 5] << 8;
        if (bytes >= 44 && bytes <= sizeof(memory) - TABLE)
            sum(memory + TABLE, bytes, 7);
        read += read_mp_table();
        EXPECT(boot.cpu_count <= BOOT_CPUS_MAX && config.io_count <= IO_APICS_MAX);
    }
    EXPECT(read > 10'000);
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
