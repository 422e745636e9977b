// SPDX-License-Identifier: MIT
//
// I/O APICs that the tables name against some in memory, and against nothing at all: what does not answer
// is left out, with its lines, and the others serve theirs. The driver's own source is included, with the
// registers of this file under it.
#include <arch/arch.h>
#include <hal/hal.h>
#include <hal/mmio.h>

#include "test.h"

enum kind { WORKS, ALL_ONES, ALL_ZEROS, STUCK };

constexpr unsigned APICS = 3;
constexpr uint64_t FIRST_ADDRESS = 0xfec0'0000;

static struct fake {
    enum kind kind;
    uint32_t index, entries[64];
    unsigned inputs, writes;
} fakes[APICS];

static void *fake_own(paddr_t address, size_t bytes)
{
    EXPECT(bytes == 0x20 && (address.value - FIRST_ADDRESS) / PAGE_SIZE < APICS);
    return &fakes[(address.value - FIRST_ADDRESS) / PAGE_SIZE];
}

static uint32_t fake_read32(const volatile void *base, uint64_t offset)
{
    const struct fake *fake = (const struct fake *)(uintptr_t)base;
    if (fake->kind != WORKS)
        return fake->kind == ALL_ONES ? UINT32_MAX : fake->kind == STUCK ? 0x11 : 0;
    if (offset == 0)
        return fake->index;
    return fake->index == 1      ? (fake->inputs - 1) << 16 | 0x20
           : fake->index >= 0x10 ? fake->entries[fake->index - 0x10]
                                 : 0;
}

static bool fake_probe32(const volatile void *base, uint64_t offset, uint32_t *value)
{
    *value = fake_read32(base, offset);
    return *value != UINT32_MAX;
}

static void fake_write32(volatile void *base, uint64_t offset, uint32_t value)
{
    struct fake *fake = (struct fake *)(uintptr_t)base;
    fake->writes++;
    if (offset == 0)
        fake->index = value & 0xff;
    else if (fake->index >= 0x10)
        fake->entries[fake->index - 0x10] = value;
}

#define mmio_read32 fake_read32
#define mmio_probe32 fake_probe32
#define mmio_write32 fake_write32
#define hal_own fake_own
#include "hal/x86_64/ioapic.c"

static struct apic_config config;

static const char *start(enum kind first, enum kind second, uint32_t *lines)
{
    const enum kind kinds[] = {first, second};
    config = (struct apic_config){.io_count = 2};
    ioapic_count = 0;
    silent = 0;
    for (unsigned i = 0; i < 2; i++) {
        fakes[i] = (struct fake){.kind = kinds[i], .inputs = 24};
        config.io[i].address.value = FIRST_ADDRESS + i * PAGE_SIZE;
        config.io[i].first_line = 24 * i;
    }
    return ioapic_init(&config, lines);
}

TEST(all_that_are_named_answer)
{
    uint32_t lines;
    EXPECT(start(WORKS, WORKS, &lines) == nullptr && lines == 48);
    EXPECT(!ioapic_is_silent(0) && !ioapic_is_silent(1));
    EXPECT(ioapic_has(0) && ioapic_has(47) && !ioapic_has(48));
    for (unsigned i = 0; i < 24; i++)
        EXPECT(fakes[1].entries[2 * i] == ENTRY_MASKED);
}

TEST(one_that_does_not_answer_is_left_out)
{
    static const enum kind kinds[] = {ALL_ONES, ALL_ZEROS, STUCK};
    for (unsigned i = 0; i < 3; i++) {
        uint32_t lines;
        EXPECT(start(WORKS, kinds[i], &lines) == nullptr && lines == 24);
        EXPECT(!ioapic_is_silent(0) && ioapic_is_silent(1));
        EXPECT(ioapic_has(23) && !ioapic_has(24));
        EXPECT(fakes[1].writes == 1); // of the index, and nothing else
        EXPECT(start(kinds[i], WORKS, &lines) == nullptr && lines == 48);
        EXPECT(ioapic_is_silent(0) && !ioapic_has(0) && ioapic_has(24));
    }
}

TEST(without_any_there_is_no_controller)
{
    uint32_t lines;
    EXPECT(strcmp(start(ALL_ONES, ALL_ZEROS, &lines) ?: "nothing",
                  "there is no I/O APIC that answers") == 0);
    EXPECT(lines == 0);
}
