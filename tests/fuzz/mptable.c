// SPDX-License-Identifier: MIT
// build: platform/acpi.c platform/x86_64/madt.c platform/x86_64/mptable.c
//
// The MP table of a PC without ACPI, as the kernel's start looks for it and reads it. The input is the
// segment of the BIOS's extended data, which of the three places where the table may be it stands in, how
// far the ids of CPUs go, and what is there; the rest of the first MiB is zeros. What is found is what a
// second reader here finds, which works by addresses of bytes and knows nothing of structures. Sums and
// signatures are repaired when an input is changed: what has wrong ones is not looked at.
#include <arch/arch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "platform/x86_64/isa_facts.h"
#include "platform/x86_64/machine.h"
#include "platform/x86_64/mptable.h"

constexpr size_t CHOICES = 4, POINTER = 16, HEAD = 44, CPU = 20, OTHER = 8;
constexpr uint64_t MEMORY_END = 0x11'0000;
constexpr size_t LEAST = CHOICES + POINTER + HEAD;

static const uint8_t *area; // of the input, and where it is in memory
static uint64_t area_start, area_bytes, segment;
static uint32_t id_max;

void fuzz_begin(void)
{
}

// ---- memory

static uint8_t byte_at(uint64_t address)
{
    if (address - area_start < area_bytes)
        return area[address - area_start];
    const uint64_t word = ISA_BIOS_DATA + ISA_BIOS_DATA_EXTENDED;
    return address - word < 2 ? (uint8_t)(segment >> 8 * (address - word)) : 0;
}

static uint32_t number_at(uint64_t address, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)byte_at(address + i) << 8 * i;
    return value;
}

static void *mappings[64];
static unsigned mapping_count;

static void unmap_all(void)
{
    while (mapping_count > 0)
        free(mappings[--mapping_count]);
}

// A copy of exactly its length: the sanitizer sees what is read behind it.
void *arch_device_map(paddr_t address, size_t bytes, enum arch_memory kind)
{
    FUZZ_EXPECT(kind == ARCH_MEMORY_NORMAL && mapping_count < ARRAY_SIZE(mappings));
    if (address.value > MEMORY_END || bytes > MEMORY_END - address.value)
        return nullptr;
    uint8_t *copy = calloc(bytes > 0 ? bytes : 1, 1);
    const uint64_t data = ISA_BIOS_DATA, end = address.value + bytes;
    for (uint64_t at = address.value; at < end && at < data + ISA_BIOS_DATA_BYTES; at++)
        copy[at - address.value] = byte_at(at);
    const uint64_t from = area_start > address.value ? area_start : address.value;
    for (uint64_t at = from; at < end && at < area_start + area_bytes; at++)
        copy[at - address.value] = byte_at(at);
    return mappings[mapping_count++] = copy;
}

void klog(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
}

uint32_t apic_id_max(void)
{
    return id_max;
}

// ---- the second reader (MultiProcessor Specification 1.4, chapter 4)

static bool sums_to_zero(uint64_t address, uint64_t bytes)
{
    uint8_t sum = 0;
    for (uint64_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + byte_at(address + i));
    return sum == 0;
}

static bool is_table(uint64_t address)
{
    const uint64_t bytes = number_at(address + 4, 2);
    return address != 0 && number_at(address, 4) == 0x504d'4350 && bytes >= HEAD &&
           address + bytes <= MEMORY_END && sums_to_zero(address, bytes);
}

// Where something stands is where the input is.
static uint64_t table_in(uint64_t start, uint64_t bytes)
{
    uint64_t at = area_start > start ? (area_start - start) & ~15ull : 0;
    for (; at + POINTER <= bytes && start + at < area_start + area_bytes; at += POINTER)
        if (number_at(start + at, 4) == 0x5f50'4d5f && byte_at(start + at + 8) == 1 &&
            sums_to_zero(start + at, POINTER) && is_table(number_at(start + at + 4, 4)))
            return number_at(start + at + 4, 4);
    return 0;
}

static uint64_t expected_table(void)
{
    // As memory has it: the input may stand there, too.
    const uint64_t said = number_at(ISA_BIOS_DATA + ISA_BIOS_DATA_EXTENDED, 2);
    uint64_t found = said != 0 ? table_in(said << 4, 1024) : 0;
    if (found == 0)
        found = table_in(ISA_BASE_MEMORY_LAST, 1024);
    return found != 0 ? found : table_in(ISA_BIOS_START, ISA_BIOS_BYTES);
}

static bool is_listed(const struct boot_info *boot, uint32_t id)
{
    for (uint32_t i = 0; i < boot->cpu_count; i++)
        if (boot->cpu_ids[i] == id)
            return true;
    return false;
}

static void expect_entries(uint64_t table, uint32_t bytes, struct apic_config *config,
                           struct boot_info *boot)
{
    for (uint64_t at = table + HEAD, end = table + bytes; at < end;) {
        const uint8_t kind = byte_at(at);
        const uint64_t length = kind == 0 ? CPU : OTHER;
        if (kind > 4 || length > end - at)
            return;
        const uint8_t id = byte_at(at + 1), input = byte_at(at + 7);
        const bool usable = (byte_at(at + 3) & 1) != 0;
        if (kind == 0 && usable && id <= id_max && !is_listed(boot, id) &&
            boot->cpu_count < BOOT_CPUS_MAX)
            boot->cpu_ids[boot->cpu_count++] = id;
        if (kind == 2 && usable && config->io_count < IO_APICS_MAX)
            config->io[config->io_count++].address.value = number_at(at + 4, 4);
        if (kind == 4 && id == 1 && input < 2)
            config->nmi_inputs |= (uint8_t)(1 << input);
        at += length;
    }
}

// ---- an input

static void read_and_compare(uint64_t expected)
{
    static struct boot_info boot, right_boot;
    struct apic_config config, right = {};
    uint32_t bytes = 0;
    const paddr_t table = mptable_find(&bytes);
    FUZZ_EXPECT(table.value == expected);
    if (expected == 0)
        return;
    fuzz_past_header();
    FUZZ_EXPECT(bytes == number_at(expected + 4, 2));
    boot.cpu_count = right_boot.cpu_count = 0;
    mptable_interrupts(table, bytes, &config, &boot);
    expect_entries(expected, bytes, &right, &right_boot);
    FUZZ_EXPECT(config.local.value == number_at(expected + 36, 4));
    FUZZ_EXPECT(boot.cpu_count == right_boot.cpu_count);
    for (uint32_t i = 0; i < boot.cpu_count; i++)
        FUZZ_EXPECT(boot.cpu_ids[i] == right_boot.cpu_ids[i]);
    FUZZ_EXPECT(config.io_count == right.io_count && config.nmi_inputs == right.nmi_inputs);
    for (unsigned i = 0; i < config.io_count; i++) {
        FUZZ_EXPECT(config.io[i].address.value == right.io[i].address.value);
        FUZZ_EXPECT(config.io[i].first_line == IO_APIC_FOLLOWS);
    }
}

static uint64_t place(unsigned choice)
{
    return choice % 3 == 0 ? ISA_BIOS_START : choice % 3 == 1 ? ISA_BASE_MEMORY_LAST : segment << 4;
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    if (bytes < CHOICES)
        return;
    segment = get_low_first(data, 2);
    area_start = place(data[2]);
    id_max = data[3] % 2 ? UINT32_MAX : data[3];
    area = data + CHOICES;
    area_bytes = bytes - CHOICES;
    read_and_compare(expected_table());
    unmap_all();
}

// ---- changing

static void repair_sum(uint8_t *at, size_t bytes, size_t checksum)
{
    uint8_t sum = 0;
    at[checksum] = 0;
    for (size_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + at[i]);
    at[checksum] = (uint8_t)-sum;
}

// An entry that is somewhere between the first one and the end.
static void change_entry(uint8_t *table, size_t bytes, struct dice *dice)
{
    size_t at = HEAD;
    while (at < bytes && dice_below(dice, 4) != 0)
        at += table[at] == 0 ? CPU : OTHER;
    if (at + OTHER > bytes)
        return;
    table[at] = (uint8_t)dice_below(dice, 5 + (dice_below(dice, 8) == 0));
    table[at + 1] = (uint8_t)(dice_below(dice, 2) ? dice_below(dice, 4) : dice_next(dice));
    table[at + 3] = (uint8_t)dice_below(dice, 4);
    put_low_first(table + at + 4, dice_number(dice), 4);
    if (dice_below(dice, 2))
        table[at + 7] = (uint8_t)dice_below(dice, 12);
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    if (dice_below(dice, 3) == 0 || bytes < LEAST)
        bytes = mutate_bytes(data, bytes, room);
    if (bytes < LEAST && room >= LEAST) {
        memset(data + bytes, 0, LEAST - bytes);
        bytes = LEAST;
    }
    if (bytes < LEAST || dice_below(dice, 12) == 0)
        return bytes;
    if (dice_below(dice, 4) == 0 && room - bytes >= CPU) { // one more entry
        memset(data + bytes, 0, CPU);
        bytes += CPU;
    }
    segment = get_low_first(data, 2);
    uint8_t *pointer = data + CHOICES, *table = pointer + POINTER;
    const size_t whole = bytes - CHOICES - POINTER;
    for (uint64_t n = dice_below(dice, 4); n > 0; n--)
        change_entry(table, whole, dice);
    memcpy(pointer, "_MP_", 4);
    put_low_first(pointer + 4, place(data[2]) + POINTER, 4);
    pointer[8] = 1;
    memcpy(table, "PCMP", 4);
    uint64_t length = get_low_first(table + 4, 2);
    if (dice_below(dice, 3) != 0 || length > whole)
        put_low_first(table + 4, length = whole, 2);
    if (dice_below(dice, 8) == 0)
        put_low_first(table + 4, length = dice_below(dice, whole + 1), 2);
    if (dice_below(dice, 12) != 0 && length >= 8)
        repair_sum(table, length, 7);
    if (dice_below(dice, 12) != 0)
        repair_sum(pointer, POINTER, 10);
    return bytes;
}
