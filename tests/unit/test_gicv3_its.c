// SPDX-License-Identifier: MIT
//
// The driver of a GICv3's ITS against an ITS in memory: it takes its tables and its command queue from
// its registers, reads commands by the layout of the specification (IHI 0069, 5.3) and raises LPIs as
// an ITS does. It sees memory as a device that does not snoop: what was not cleaned is not there.
//
// The driver's own source is included, with the registers and the memory of this file under it.
#include <arch/arch.h>
#include <hal/hal.h>
#include <hal/mmio.h>

#include "test.h"

// ---- memory: as the CPU sees it, and what has been cleaned

constexpr uint64_t MEMORY_BYTES = 8u << 20;
alignas(65536) static uint8_t ram[MEMORY_BYTES], cleaned[MEMORY_BYTES];
static unsigned cleans;

static bool in_memory(uint64_t address, uint64_t bytes)
{
    const uint64_t start = (uint64_t)ram;
    return address >= start && bytes <= MEMORY_BYTES && address - start <= MEMORY_BYTES - bytes;
}

static void *fake_ram(paddr_t address)
{
    return (void *)address.value;
}

static void fake_clean(const void *start, size_t bytes)
{
    const uint64_t at = (uint64_t)start - (uint64_t)ram;
    if (in_memory((uint64_t)start, bytes))
        memcpy(cleaned + at, start, bytes);
    cleans++;
}

static uint64_t device_read64(uint64_t address)
{
    uint64_t value = 0;
    if (in_memory(address, 8))
        memcpy(&value, cleaned + (address - (uint64_t)ram), 8);
    return value;
}

static uint8_t device_read8(uint64_t address)
{
    return in_memory(address, 1) ? cleaned[address - (uint64_t)ram] : 0;
}

// ---- the ITS

constexpr uint64_t REGISTERS = 0x808'0000;
constexpr unsigned DEVICES_MAX = 64, COLLECTIONS = 4;
constexpr uint64_t TARGET_ADDRESS = 0x80a'0000, TARGET_NUMBER = 3;

static struct fake {
    // What kind it is.
    uint64_t type;
    unsigned device_entry, page_code; // of GITS_BASER: bytes of an entry; the only page size, or 0
    bool indirect, snoops, has_tables;
    bool absent, restless, stalls, refuses_tables;
    unsigned dies_after; // commands; 0: never

    uint32_t control;
    uint64_t base, written, read, tables[8];
    bool stalled;
    unsigned commands, syncs;
    const char *error; // what the specification does not allow

    struct fake_device {
        bool valid;
        uint32_t id;
        unsigned bits;
        uint64_t table;
        uint32_t intids[64]; // 0: not mapped
    } devices[DEVICES_MAX];
    uint64_t collections[COLLECTIONS];
} its_in_memory[3], *fake = its_in_memory;

static uint64_t lpi_properties, lpi_pending;
static unsigned lpi_id_bits = 16, lpi_enabled;
static enum { UNREAD, OFF, ON } lpis[8192]; // as the redistributor has read their properties
static const char *lpi_refusal;

static struct fake_device *find_device(uint32_t id)
{
    for (unsigned i = 0; i < DEVICES_MAX; i++)
        if (fake->devices[i].valid && fake->devices[i].id == id)
            return &fake->devices[i];
    return nullptr;
}

static uint64_t bits(uint64_t word, unsigned high, unsigned low)
{
    return word >> low & (UINT64_MAX >> (63 - (high - low)));
}

static void wrong(const char *what)
{
    if (fake->error == nullptr)
        fake->error = what;
    fake->stalled = true;
}

// Whether the device table has room for the device.
static bool table_reaches(uint32_t id)
{
    const uint64_t table = fake->tables[0];
    if (!fake->has_tables)
        return true;
    static const uint64_t page_sizes[] = {4096, 16384, 65536, 65536};
    const uint64_t page = page_sizes[bits(table, 9, 8)], bytes = (bits(table, 7, 0) + 1) * page;
    const uint64_t address = bits(table, 47, 12) << 12, per_page = page / fake->device_entry;
    if (bits(table, 63, 63) == 0 || address % page != 0 || !in_memory(address, bytes))
        return false;
    if (bits(table, 62, 62) == 0)
        return ((uint64_t)id + 1) * fake->device_entry <= bytes;
    if (id / per_page >= bytes / 8)
        return false;
    const uint64_t entry = device_read64(address + id / per_page * 8);
    const uint64_t second = bits(entry, 51, 12) << 12;
    return bits(entry, 63, 63) != 0 && second % page == 0 && in_memory(second, page);
}

static void do_mapd(const uint64_t *w)
{
    const uint32_t id = (uint32_t)bits(w[0], 63, 32);
    struct fake_device *d = find_device(id);
    if (bits(w[2], 63, 63) == 0) {
        if (d == nullptr)
            wrong("MAPD ends a device that is not mapped");
        else
            *d = (struct fake_device){};
        return;
    }
    if (id >> 1 >> bits(fake->type, 17, 13) != 0 || !table_reaches(id)) {
        wrong("MAPD of a device that the table has no room for");
        return;
    }
    for (unsigned i = 0; d == nullptr; i++)
        if (!fake->devices[i].valid)
            d = &fake->devices[i];
    *d = (struct fake_device){.valid = true,
                              .id = id,
                              .bits = (unsigned)bits(w[1], 4, 0) + 1,
                              .table = bits(w[2], 51, 8) << 8};
    const uint64_t bytes = (bits(fake->type, 7, 4) + 1) << d->bits;
    if (!in_memory(d->table, bytes))
        wrong("MAPD with a table that is no memory of ours");
    for (uint64_t at = 0; at < bytes; at++)
        if (device_read8(d->table + at) != 0)
            wrong("MAPD with a table that is not zero");
    for (unsigned i = 0; i < DEVICES_MAX; i++) {
        const struct fake_device *other = &fake->devices[i];
        if (other->valid && other != d && other->table < d->table + bytes &&
            d->table < other->table + bytes)
            wrong("MAPD with a table that another device has");
    }
}

// The redistributor reads them when it first needs them, and again when it is told to.
static void read_properties(uint32_t intid, bool again)
{
    if (again || lpis[intid - 8192] == UNREAD)
        lpis[intid - 8192] = (device_read8(lpi_properties + intid - 8192) & 1) != 0 ? ON : OFF;
}

static void do_event(unsigned command, const uint64_t *w)
{
    struct fake_device *d = find_device((uint32_t)bits(w[0], 63, 32));
    const uint64_t event = bits(w[1], 31, 0);
    if (d == nullptr || event >= 1ull << d->bits || event >= 64) {
        wrong("an event of a device that is not mapped, or has not so many");
    } else if (command == 0x0a) {
        d->intids[event] = (uint32_t)bits(w[1], 63, 32);
        if (d->intids[event] < 8192 || d->intids[event] >= 16384) {
            wrong("MAPTI to no LPI");
            d->intids[event] = 8192;
        }
        if (bits(w[2], 15, 0) >= COLLECTIONS || fake->collections[bits(w[2], 15, 0)] == 0)
            wrong("MAPTI to a collection that is not mapped");
        read_properties(d->intids[event], false);
        memset(ram + (d->table - (uint64_t)ram) + event * 8, 0xee, 8); // its own business
        memset(cleaned + (d->table - (uint64_t)ram) + event * 8, 0xee, 8);
    } else if (d->intids[event] == 0) {
        wrong("an event that is not mapped");
    } else if (command == 0x0c) {
        read_properties(d->intids[event], true);
    } else {
        d->intids[event] = 0;
    }
}

static void do_mapc(const uint64_t *w)
{
    const uint64_t collection = bits(w[2], 15, 0);
    if (collection >= COLLECTIONS || bits(w[2], 63, 63) == 0)
        wrong("MAPC of a strange collection");
    else
        fake->collections[collection] = bits(w[2], 50, 16);
    if (bits(w[2], 50, 16) !=
        (bits(fake->type, 19, 19) != 0 ? TARGET_ADDRESS >> 16 : TARGET_NUMBER))
        wrong("MAPC to no redistributor");
}

static void do_command(const uint64_t *w)
{
    switch (bits(w[0], 7, 0)) {
    case 0x05:
        fake->syncs++;
        if (bits(w[2], 50, 16) != fake->collections[0])
            wrong("SYNC with another redistributor");
        break;
    case 0x08:
        do_mapd(w);
        break;
    case 0x09:
        do_mapc(w);
        break;
    case 0x0a:
    case 0x0c:
    case 0x0f:
        do_event((unsigned)bits(w[0], 7, 0), w);
        break;
    default:
        wrong("an unknown command");
    }
}

static void run_queue(void)
{
    const uint64_t address = bits(fake->base, 51, 12) << 12;
    const uint64_t bytes = (bits(fake->base, 7, 0) + 1) * 4096;
    if ((fake->control & 1) == 0 || bits(fake->base, 63, 63) == 0 || fake->stalls)
        return;
    while (fake->read != fake->written && !fake->stalled) {
        uint64_t words[4];
        for (unsigned i = 0; i < 4; i++)
            words[i] = device_read64(address + fake->read + i * 8);
        if (fake->dies_after != 0 && fake->commands == fake->dies_after)
            return;
        fake->commands++;
        do_command(words);
        if (!fake->stalled)
            fake->read = (fake->read + 32) % bytes;
    }
}

// A device's message: the LPI that it raises; 0: none.
static uint32_t message(uint32_t device, uint32_t event)
{
    const struct fake_device *d = find_device(device);
    if (d == nullptr || event >= 64 || event >= 1u << d->bits || d->intids[event] == 0 ||
        lpis[d->intids[event] - 8192] != ON)
        return 0;
    return d->intids[event];
}

// ---- registers

static struct fake *fake_at(const volatile void *base)
{
    return &its_in_memory[((uint64_t)base - REGISTERS) / 0x2'0000];
}

static uint64_t table_kept(uint64_t value)
{
    uint64_t kept = value & ~(7ull << 56) & ~(31ull << 48);
    if (fake->page_code != 0)
        kept = (kept & ~0x300ull) | (uint64_t)fake->page_code << 8;
    if (!fake->indirect)
        kept &= ~(1ull << 62);
    if (!fake->snoops)
        kept &= ~(3ull << 10);
    if (fake->refuses_tables)
        kept &= ~(1ull << 63);
    return kept;
}

static uint64_t fake_read64(const volatile void *base, uint64_t offset)
{
    fake = fake_at(base);
    EXPECT(!fake->absent);
    if (offset == 0x8)
        return fake->type;
    if (offset == 0x80)
        return fake->base;
    if (offset >= 0x100 && offset < 0x140) {
        const unsigned n = (unsigned)(offset - 0x100) / 8;
        const uint64_t kind = !fake->has_tables ? 0 : n == 0 ? 1 : n == 2 ? 4 : n == 3 ? 2 : 0;
        return fake->tables[n] | kind << 56 | (uint64_t)(n == 0 ? fake->device_entry - 1 : 7) << 48;
    }
    return 0;
}

static void fake_write64(volatile void *base, uint64_t offset, uint64_t value)
{
    fake = fake_at(base);
    if (offset == 0x80)
        fake->base = fake->snoops ? value : value & ~(3ull << 10);
    if (offset == 0x88) {
        fake->written = value;
        run_queue();
    }
    if (offset >= 0x100 && offset < 0x140)
        fake->tables[(offset - 0x100) / 8] = table_kept(value);
}

static uint32_t fake_read32(const volatile void *base, uint64_t offset)
{
    fake = fake_at(base);
    EXPECT(!fake->absent);
    if (offset == 0)
        return fake->control | ((fake->control & 1) == 0 && !fake->restless ? 1u << 31 : 0);
    if (offset == 0x90)
        return (uint32_t)fake->read | fake->stalled;
    if (offset == 0xffe8)
        return 0x3b;
    return 0;
}

static bool fake_probe32(const volatile void *base, uint64_t offset, uint32_t *value)
{
    fake = fake_at(base);
    if (!fake->absent)
        *value = fake_read32(base, offset);
    return !fake->absent;
}

static void fake_write32(volatile void *base, uint64_t offset, uint32_t value)
{
    fake = fake_at(base);
    if (offset == 0)
        fake->control = value & 1;
}

static void *fake_own(paddr_t registers, size_t bytes)
{
    return bytes == 0x2'0000 ? (void *)registers.value : nullptr;
}

// ---- what the driver's other files offer

static unsigned waits;

#define mmio_read32 fake_read32
#define mmio_probe32 fake_probe32
#define mmio_read64 fake_read64
#define mmio_write32 fake_write32
#define mmio_write64 fake_write64
#define arch_ram fake_ram
#define arch_dma_clean fake_clean
#define hal_own fake_own
#include "hal/aarch64/gicv3_its.c"
#include "hal/aarch64/gicv3_messages.c"

static struct redistributor boot_redistributor = {.address = {TARGET_ADDRESS},
                                                  .type = TARGET_NUMBER << 8 | 1};
static bool messages_enabled;

bool gicv3_wait32(const volatile void *registers, uint64_t offset, uint32_t mask, uint32_t value)
{
    waits++;
    return (fake_read32(registers, offset) & mask) == value;
}

const struct redistributor *gicv3_boot_redistributor(void)
{
    return &boot_redistributor;
}

unsigned gicv3_lpi_id_bits(void)
{
    return lpi_id_bits;
}

void gicv3_enable_messages(void)
{
    messages_enabled = true;
}

const char *redistributor_enable_lpis(const struct redistributor *redistributor, paddr_t at,
                                      paddr_t pending, unsigned id_bits)
{
    if (redistributor != &boot_redistributor || id_bits != 14)
        return "not as expected";
    lpi_properties = at.value;
    lpi_pending = pending.value;
    lpi_enabled++;
    return lpi_refusal;
}

// ---- tests

static void begin(void)
{
    memset(ram, 0xa5, sizeof(ram)); // nobody has zeroed it
    memset(cleaned, 0x5a, sizeof(cleaned));
    memset(its_in_memory, 0, sizeof(its_in_memory));
    memset(lpis, 0, sizeof(lpis));
    memset(units, 0, sizeof(units));
    memset(messages, 0, sizeof(messages));
    unit_count = 0;
    lpis_on = messages_enabled = false;
    lpi_id_bits = 16, lpi_enabled = 0;
    lpi_refusal = nullptr;
    for (unsigned i = 0; i < ARRAY_SIZE(its_in_memory); i++)
        its_in_memory[i] = (struct fake){.type = 1 | 11u << 4 | 15u << 8 | 15u << 13,
                                         .device_entry = 8,
                                         .indirect = true,
                                         .snoops = true,
                                         .has_tables = true};
    fake = its_in_memory;
}

static uint64_t memory_next;

static const char *start(unsigned number)
{
    uint64_t bytes = 0;
    const paddr_t registers = {REGISTERS + number * 0x2'0000};
    const char *refused = gicv3_its_probe(registers, &bytes);
    if (refused != nullptr)
        return refused;
    if (number == 0)
        memory_next = 0;
    if (bytes == 0 || bytes % PAGE_SIZE != 0 || memory_next + bytes > MEMORY_BYTES)
        return "it wants a strange amount of memory";
    const paddr_t at = {(uint64_t)ram + memory_next};
    memory_next = align_up(memory_next + bytes, GICV3_ITS_ALIGNMENT);
    const char *answer = gicv3_its_start(at);
    for (uint64_t i = bytes; memory_next < MEMORY_BYTES && i < 4096 + bytes; i++)
        if (ram[at.value - (uint64_t)ram + i] != 0xa5)
            return "it writes beyond its memory";
    return answer;
}

static bool allocate(uint64_t controller, uint64_t device, uint32_t *line, uint32_t *data)
{
    uint64_t address = 0;
    if (!message_allocate((paddr_t){controller}, device, line, &address, data))
        return false;
    return controller == 0 ? address == REGISTERS + 0x1'0040 : address == controller + 0x1'0040;
}

static uint32_t lpi_of(uint32_t line)
{
    return line - 1024 + 8192;
}

// Life of a message line on whatever ITS there is.
static void expect_life(uint32_t device)
{
    uint32_t line, data;
    EXPECT(allocate(0, device, &line, &data));
    EXPECT(line >= 1024 && line < 1024 + GICV3_MESSAGES && data < 32);
    EXPECT_NOTE(fake->error == nullptr, "%s", fake->error);
    EXPECT(message(device, data) == 0); // masked
    message_set_masked(line, false);
    EXPECT(message(device, data) == lpi_of(line));
    EXPECT(message(device + 1, data) == 0 && message(device, data + 1) == 0);
    message_set_masked(line, true);
    EXPECT(message(device, data) == 0);
    message_set_masked(line, false);
    message_free(line);
    EXPECT(message(device, data) == 0 && find_device(device) == nullptr);
    EXPECT_NOTE(fake->error == nullptr, "%s", fake->error);
    EXPECT((device_read8(lpi_properties + lpi_of(line) - 8192) & 1) == 0);
}

TEST(commands_are_laid_out_as_specified)
{
    const struct its_command mapd = its_mapd(0x1234'5678, 5, (paddr_t){0x8'7654'3200});
    EXPECT(mapd.words[0] == 0x1234'5678'0000'0008 && mapd.words[1] == 4);
    EXPECT(mapd.words[2] == 0x8000'0008'7654'3200 && mapd.words[3] == 0);
    EXPECT(its_unmapd(7).words[0] == 0x7'0000'0008 && its_unmapd(7).words[2] == 0);
    const struct its_command mapti = its_mapti(2, 3, 8195, 1);
    EXPECT(mapti.words[0] == 0x2'0000'000a && mapti.words[1] == 0x2003'0000'0003);
    EXPECT(mapti.words[2] == 1 && mapti.words[3] == 0);
    EXPECT(its_mapc(6, 0x5'0000).words[0] == 9);
    EXPECT(its_mapc(6, 0x5'0000).words[2] == 0x8000'0000'0005'0006);
    EXPECT(its_sync(0x5'0000).words[0] == 5 && its_sync(0x5'0000).words[2] == 0x5'0000);
    EXPECT(its_inv(2, 3).words[0] == 0x2'0000'000c && its_inv(2, 3).words[1] == 3);
    EXPECT(its_discard(2, 3).words[0] == 0x2'0000'000f && its_discard(2, 3).words[1] == 3);
}

TEST(tables_are_as_large_as_they_have_to_be)
{
    struct its_table t = its_table_plan(16, 8, 4096, false);
    EXPECT(t.base_bytes == 65536 * 8 && t.pages == 0 && t.ids == 65536);
    t = its_table_plan(16, 8, 4096, true);
    EXPECT(t.base_bytes == 4096 && t.pages == ITS_SECOND_PAGES && t.ids == 65536);
    EXPECT(t.entries_per_page == 512 && its_table_bytes(&t) == 4096 * 17);
    t = its_table_plan(16, 8, 65536, true);
    EXPECT(t.base_bytes == 65536 && t.entries_per_page == 8192 && t.ids == 65536);
    t = its_table_plan(10, 8, 4096, true); // two pages: one level
    EXPECT(t.base_bytes == 8192 && t.pages == 0 && t.ids == 1024);
    t = its_table_plan(0, 8, 16384, true);
    EXPECT(t.base_bytes == 16384 && t.pages == 0 && t.ids == 1);
    // More than there is room for: the ids that fit.
    t = its_table_plan(20, 16, 4096, false);
    EXPECT(t.base_bytes == 256 * 4096 && t.ids == 65536);
    t = its_table_plan(32, 8, 4096, true);
    EXPECT(t.base_bytes == 65536 && t.ids == 8192 * 512);
    t = its_table_plan(32, 12, 65536, true); // entries that do not fill a page
    EXPECT(t.entries_per_page == 5461 && t.ids == 8192ull * 5461);
}

TEST(a_message_on_every_kind_of_its)
{
    for (unsigned kind = 0; kind < 64; kind++) {
        begin();
        fake->indirect = (kind & 1) != 0;
        fake->snoops = (kind & 2) != 0;
        fake->page_code = (kind & 4) != 0 ? 2 : kind & 8 ? 1 : 0;
        fake->has_tables = (kind & 16) == 0;
        if ((kind & 32) != 0)
            fake->type |= 1u << 19;
        const char *refused = start(0);
        EXPECT_NOTE(refused == nullptr, "kind %u: %s", kind, refused);
        EXPECT(messages_enabled && lpi_enabled == 1);
        EXPECT(lpi_pending % 65536 == 0 && lpi_properties % 4096 == 0);
        for (unsigned i = 0; i < 2048; i++)
            EXPECT(device_read8(lpi_pending + i) == 0);
        for (unsigned i = 0; i < GICV3_MESSAGES; i++)
            EXPECT(device_read8(lpi_properties + i) == (0xa0 | 2)); // their priority, and off
        EXPECT(bits(fake->tables[3], 63, 63) == 0);                 // virtual CPUs: not ours
        // What it does not snoop it must not cache either.
        const uint64_t caches = fake->snoops ? 7 : 1;
        EXPECT(bits(fake->base, 61, 59) == caches);
        EXPECT(!fake->has_tables || bits(fake->tables[0], 61, 59) == caches);
        expect_life(0);
        expect_life(8);
        expect_life(65535);
    }
}

TEST(devices_and_their_events)
{
    begin();
    EXPECT(start(0) == nullptr);
    uint32_t line[ITS_EVENTS + 1], data[ITS_EVENTS + 1], other, other_data;
    for (unsigned i = 0; i < ITS_EVENTS; i++) {
        EXPECT(allocate(0, 0x108, &line[i], &data[i]) && data[i] == i);
        message_set_masked(line[i], false);
    }
    EXPECT(!allocate(0, 0x108, &other, &other_data)); // no more events
    EXPECT(allocate(0, 0x110, &other, &other_data) && other_data == 0);
    for (unsigned i = 0; i < ITS_EVENTS; i++)
        EXPECT(message(0x108, i) == lpi_of(line[i]));
    message_free(line[5]);
    EXPECT(message(0x108, 5) == 0 && message(0x108, 6) == lpi_of(line[6]));
    EXPECT(allocate(0, 0x108, &line[5], &data[5]) && data[5] == 5);
    EXPECT(message(0x108, 5) == 0); // masked, although who had it before had it unmasked
    for (unsigned i = 0; i < ITS_EVENTS; i++)
        message_free(line[i]);
    EXPECT(find_device(0x108) == nullptr && find_device(0x110) != nullptr);
    message_free(other);
    EXPECT_NOTE(fake->error == nullptr, "%s", fake->error);

    // As many devices as there are places; a place that is free again is used again.
    for (unsigned i = 0; i < ITS_DEVICES; i++)
        EXPECT(allocate(0, i * 8, &line[i], &data[i]));
    EXPECT(!allocate(0, 0x4000, &other, &other_data));
    message_free(line[3]);
    EXPECT(allocate(0, 0x4000, &other, &other_data));
    EXPECT_NOTE(fake->error == nullptr, "%s", fake->error);
    EXPECT(!allocate(0, 65536, &other, &other_data)); // more than the ITS has bits for
    EXPECT(!allocate(0, 1ull << 32, &other, &other_data));
    EXPECT_NOTE(fake->error == nullptr, "%s", fake->error); // it was not even asked
}

TEST(second_levels_run_out)
{
    begin();
    EXPECT(start(0) == nullptr);
    uint32_t line, data;
    for (unsigned i = 0; i < ITS_SECOND_PAGES; i++)
        EXPECT(allocate(0, i * 512, &line, &data));
    EXPECT(!allocate(0, ITS_SECOND_PAGES * 512, &line, &data));
    EXPECT(allocate(0, 511, &line, &data));
    EXPECT_NOTE(fake->error == nullptr, "%s", fake->error);
}

TEST(lines_run_out)
{
    begin();
    EXPECT(start(0) == nullptr);
    uint32_t line, data, last = 0;
    for (unsigned i = 0; i < GICV3_MESSAGES; i++) {
        EXPECT(allocate(0, i / 32, &line, &data));
        last = line;
    }
    EXPECT(!allocate(0, 16, &line, &data));
    message_free(last);
    EXPECT(allocate(0, 16, &line, &data) && line == last);
    EXPECT_NOTE(fake->error == nullptr, "%s", fake->error);
    EXPECT(fake->commands > 2 * 128); // the queue has wrapped
}

TEST(each_device_by_its_own_its)
{
    begin();
    EXPECT(start(0) == nullptr && start(1) == nullptr);
    EXPECT(lpi_enabled == 1); // once for all of them
    uint32_t first, second, data;
    EXPECT(allocate(REGISTERS, 8, &first, &data));
    EXPECT(allocate(REGISTERS + 0x2'0000, 8, &second, &data) && second != first);
    EXPECT(!allocate(0, 8, &second, &data)); // which?
    EXPECT(!allocate(REGISTERS + 0x4'0000, 8, &second, &data));
    EXPECT(strcmp(start(1), "its registers are those of another") == 0);
    fake = &its_in_memory[0];
    EXPECT(fake->commands == 6 && fake->error == nullptr);
    fake = &its_in_memory[1];
    EXPECT(fake->commands == 6 && fake->error == nullptr);
    message_free(first);
    fake = &its_in_memory[0];
    EXPECT(find_device(8) == nullptr);
    fake = &its_in_memory[1];
    EXPECT(find_device(8) != nullptr);
}

#define EXPECT_REFUSED(text) EXPECT(strcmp(start(0) ?: "nothing", text) == 0 && !messages_enabled)

TEST(what_is_broken_is_not_used)
{
    begin();
    lpi_id_bits = 0;
    EXPECT_REFUSED("the distributor knows no LPIs");
    begin();
    fake->absent = true;
    EXPECT_REFUSED("nothing is there");
    begin();
    fake->type &= ~1ull;
    EXPECT_REFUSED("its registers are not those of an ITS for LPIs");
    begin();
    fake->type &= ~(31ull << 8);
    EXPECT_REFUSED("a device cannot have as many messages as we give out");
    begin();
    fake->restless = true;
    EXPECT_REFUSED("it does not come to rest");
    begin();
    fake->refuses_tables = true;
    EXPECT_REFUSED("it does not take its tables");
    begin();
    fake->stalls = true;
    EXPECT_REFUSED("it does not do its commands");
    begin();
    lpi_refusal = "LPIs are on already";
    EXPECT_REFUSED("LPIs are on already");
    uint32_t line, data;
    EXPECT(!allocate(0, 8, &line, &data));
    // The one after it is.
    lpi_refusal = nullptr;
    EXPECT(start(1) == nullptr && messages_enabled);
}

// It stops in the middle of any of the commands of a message's life: from then on it is left alone.
TEST(one_that_dies_later)
{
    for (unsigned after = 3; after < 16; after++) {
        begin();
        EXPECT(start(0) == nullptr);
        fake->dies_after = after;
        uint32_t line, data, another, another_data;
        bool given = allocate(0, 8, &line, &data);
        EXPECT(given == (after >= 6)); // MAPC, SYNC; MAPD, MAPTI, INV, SYNC
        if (given) {
            message_set_masked(line, false);
            message_set_masked(line, true);
            message_free(line);
        }
        const bool dead = units[0].broken;
        EXPECT(dead == (after < 13));
        if (!dead)
            continue;
        const unsigned asked = waits;
        EXPECT(!allocate(0, 16, &another, &another_data));
        if (given) {
            // What the device may still raise is given to nobody else, and is off in memory.
            EXPECT(messages[line - 1024].its != nullptr);
            EXPECT((device_read8(lpi_properties + lpi_of(line) - 8192) & 1) == 0);
            message_set_masked(line, true);
        }
        EXPECT(waits == asked);
    }
}

TEST(a_line_that_is_nobodys_can_be_masked)
{
    begin();
    EXPECT(start(0) == nullptr);
    const unsigned commands = fake->commands;
    message_set_masked(1024 + 7, true);
    message_set_masked(1024 + 7, false);
    EXPECT(fake->commands == commands && (device_read8(lpi_properties + 7) & 1) == 0);
}
