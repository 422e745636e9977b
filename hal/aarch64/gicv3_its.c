// SPDX-License-Identifier: MIT
//
// The ITS of a GICv3: it turns a message, that is a device's id and an event's, into an LPI. Its
// tables and its command queue are in RAM that was set aside for it; registers from the
// architecture specification (IHI 0069), 12.19.
//
//   memory: queue | translation tables | collections, devices | of the first: LPI properties, pending
//
// All messages go to the boot CPU: one collection, and LPIs are on in one redistributor.
//
// An ITS is not trusted to answer. Who did not is never asked again: its messages stay as they are,
// and no new ones are given out.
//
// Context: the boot CPU alone at boot; then the kernel's interrupt lock is held.
#include "gicv3_its.h"

#include <arch/arch.h>
#include <hal/mmio.h>
#include <lib/string.h>

constexpr uint64_t GITS_CTLR = 0x0000;
constexpr uint64_t GITS_TYPER = 0x0008;
constexpr uint64_t GITS_CBASER = 0x0080;
constexpr uint64_t GITS_CWRITER = 0x0088;
constexpr uint64_t GITS_CREADR = 0x0090;
constexpr uint64_t GITS_BASER = 0x0100;
constexpr uint64_t GITS_PIDR2 = 0xffe8;
constexpr uint64_t ITS_BYTES = 0x2'0000; // control and translation

constexpr uint32_t CTLR_ENABLED = 1u << 0, CTLR_QUIESCENT = 1u << 31;
constexpr uint64_t TYPER_PHYSICAL = 1u << 0;
constexpr uint64_t TYPER_PTA = 1u << 19; // commands name a redistributor by its address
constexpr uint32_t QUEUE_OFFSET = 0xf'ffe0;

constexpr uint64_t BASER_VALID = 1ull << 63, BASER_INDIRECT = 1ull << 62;
constexpr uint64_t INNER_CACHES = 7ull << 59, NOT_CACHED = 1ull << 59;
constexpr uint64_t SHAREABILITY = 3ull << 10, INNER_SHAREABLE = 1ull << 10;
constexpr unsigned TYPE_DEVICES = 1, TYPE_COLLECTIONS = 4;

constexpr uint64_t QUEUE_BYTES = PAGE_SIZE;
constexpr uint64_t COMMAND_BYTES = sizeof(struct its_command);
constexpr uint64_t TRANSLATION_ALIGNMENT = 256;
constexpr uint64_t FLAT_BYTES_MAX = 1u << 20, FIRST_LEVEL_BYTES_MAX = 1u << 16;
constexpr uint64_t BASE_PAGES_MAX = 256; // GITS_BASER.Size
constexpr unsigned LPI_ID_BITS = 14;     // INTIDs 8192 to 16383, the fewest that there can be
constexpr uint64_t PROPERTY_BYTES = (1u << LPI_ID_BITS) - GIC_FIRST_LPI;
constexpr uint64_t PENDING_BYTES = (1u << LPI_ID_BITS) / 8, PENDING_ALIGNMENT = 1u << 16;
static_assert(GICV3_MESSAGES <= PROPERTY_BYTES);

static struct its units[GICV3_ITS_MAX]; // those that work, and the one that is being probed
static unsigned unit_count;
static bool lpis_on;

static uint8_t *memory_of(const struct its *its, uint64_t offset)
{
    return (uint8_t *)arch_ram(its->memory) + offset;
}

struct its *its_at(paddr_t address)
{
    if (address.value == 0)
        return unit_count == 1 ? &units[0] : nullptr;
    for (unsigned i = 0; i < unit_count; i++) {
        if (units[i].address.value == address.value)
            return &units[i];
    }
    return nullptr;
}

// ---- commands

bool its_run(struct its *its, const struct its_command *commands, unsigned count)
{
    if (its->broken)
        return false;
    for (unsigned i = 0; i < count; i++) {
        uint8_t *at = memory_of(its, its->written);
        memcpy(at, &commands[i], COMMAND_BYTES);
        arch_dma_clean(at, COMMAND_BYTES); // and they are there before the ITS is told
        its->written = (its->written + COMMAND_BYTES) % QUEUE_BYTES;
    }
    mmio_write64(its->registers, GITS_CWRITER, its->written);
    // One that stopped at an error has its lowest bit set and does not come so far.
    its->broken =
        !gicv3_wait32(its->registers, GITS_CREADR, QUEUE_OFFSET | 1, (uint32_t)its->written);
    return !its->broken;
}

// ---- tables

// Where there are two levels, a table of more than two pages has them.
struct its_table its_table_plan(unsigned id_bits, uint32_t entry_bytes, uint64_t page_bytes,
                                bool two_levels)
{
    const uint64_t ids = 1ull << id_bits;
    struct its_table table = {.page_bytes = page_bytes,
                              .entries_per_page = (uint32_t)(page_bytes / entry_bytes)};
    const uint64_t flat = align_up(ids * entry_bytes, page_bytes);
    uint64_t most = page_bytes * BASE_PAGES_MAX, room;
    if (two_levels && flat > 2 * page_bytes) {
        const uint64_t pages = (ids + table.entries_per_page - 1) / table.entries_per_page;
        if (most > FIRST_LEVEL_BYTES_MAX)
            most = FIRST_LEVEL_BYTES_MAX;
        table.base_bytes = align_up(pages * 8, page_bytes);
        if (table.base_bytes > most)
            table.base_bytes = most;
        table.pages = ITS_SECOND_PAGES;
        room = table.base_bytes / 8 * table.entries_per_page;
    } else {
        if (most > FLAT_BYTES_MAX)
            most = FLAT_BYTES_MAX;
        table.base_bytes = flat < most ? flat : most;
        room = table.base_bytes / entry_bytes;
    }
    table.ids = ids < room ? ids : room;
    return table;
}

// The second level has a page for the device, or gets one.
bool its_reach_device(struct its *its, uint64_t device)
{
    struct its_table *table = &its->devices;
    if (device >= table->ids)
        return false;
    if (table->pages == 0)
        return true;
    uint64_t *entry =
        (uint64_t *)(void *)memory_of(its, table->offset) + device / table->entries_per_page;
    if (*entry != 0)
        return true;
    if (table->pages_used == table->pages)
        return false;
    const uint64_t page =
        table->offset + table->base_bytes + table->page_bytes * table->pages_used++;
    *entry = ITS_VALID | (its->memory.value + page);
    arch_dma_clean(entry, sizeof(*entry));
    return true;
}

// 12.19.1: from 64 KiB pages on, bits 51-48 of the address are in bits 15-12.
static uint64_t baser_address(uint64_t address, uint64_t page_bytes)
{
    if (page_bytes < 0x1'0000)
        return address;
    return (address & 0xffff'ffff'0000) | (address >> 48 & 0xf) << 12;
}

// Says what the table is to be, by what the register keeps of it.
static struct its_table probe_table(volatile void *registers, unsigned base, unsigned id_bits)
{
    const uint64_t offset = GITS_BASER + base * 8;
    mmio_write64(registers, offset, BASER_INDIRECT); // not valid, the smallest pages
    const uint64_t kept = mmio_read64(registers, offset);
    static const uint64_t page_bytes[] = {0x1000, 0x4000, 0x1'0000, 0x1'0000};
    return its_table_plan(id_bits, (uint32_t)(kept >> 48 & 0x1f) + 1, page_bytes[kept >> 8 & 3],
                          (kept & BASER_INDIRECT) != 0);
}

// Writes a base register. The ITS snoops the CPU's caches if it keeps that the memory is shared;
// else it must not cache itself, and what is written for it is cleaned in any case.
static bool write_base(volatile void *registers, uint64_t offset, uint64_t value)
{
    mmio_write64(registers, offset, value | INNER_CACHES | INNER_SHAREABLE);
    if ((mmio_read64(registers, offset) & SHAREABILITY) == 0)
        mmio_write64(registers, offset, value | NOT_CACHED);
    return (mmio_read64(registers, offset) & BASER_VALID) != 0;
}

static bool set_table(const struct its *its, unsigned base, const struct its_table *table)
{
    if (base == ITS_NO_BASE)
        return true;
    const uint64_t page_code = table->page_bytes == 0x1000   ? 0
                               : table->page_bytes == 0x4000 ? 1
                                                             : 2;
    return write_base(its->registers, GITS_BASER + base * 8,
                      BASER_VALID | (table->pages != 0 ? BASER_INDIRECT : 0) | page_code << 8 |
                          baser_address(its->memory.value + table->offset, table->page_bytes) |
                          (table->base_bytes / table->page_bytes - 1));
}

// ---- start

static uint64_t place(uint64_t *next, uint64_t bytes, uint64_t alignment)
{
    const uint64_t at = align_up(*next, alignment);
    *next = at + bytes;
    return at;
}

static void find_tables(struct its *its)
{
    const unsigned device_bits = (unsigned)(its->type >> 13 & 0x1f) + 1;
    its->devices_base = its->collections_base = ITS_NO_BASE;
    for (unsigned base = 0; base < ITS_NO_BASE; base++) {
        switch (mmio_read64(its->registers, GITS_BASER + base * 8) >> 56 & 7) {
        case TYPE_DEVICES:
            its->devices_base = base;
            its->devices = probe_table(its->registers, base, device_bits);
            break;
        case TYPE_COLLECTIONS:
            its->collections_base = base;
            its->collections = probe_table(its->registers, base, 0);
            break;
        default: // of virtual CPUs: stays invalid
            break;
        }
    }
    if (its->devices_base == ITS_NO_BASE) // it keeps them itself
        its->devices = (struct its_table){.page_bytes = PAGE_SIZE, .ids = 1ull << device_bits};
    if (its->collections_base == ITS_NO_BASE)
        its->collections = (struct its_table){.page_bytes = PAGE_SIZE};
}

static void lay_out(struct its *its)
{
    uint64_t next = QUEUE_BYTES;
    its->translation_bytes =
        align_up(((its->type >> 4 & 0xf) + 1) * ITS_EVENTS, TRANSLATION_ALIGNMENT);
    its->translations = place(&next, its->translation_bytes * ITS_DEVICES, TRANSLATION_ALIGNMENT);
    its->properties = lpis_on ? 0 : place(&next, PROPERTY_BYTES, PAGE_SIZE);
    its->collections.offset =
        place(&next, its_table_bytes(&its->collections), its->collections.page_bytes);
    its->devices.offset = place(&next, its_table_bytes(&its->devices), its->devices.page_bytes);
    its->pending = lpis_on ? 0 : place(&next, PENDING_BYTES, PENDING_ALIGNMENT);
    its->bytes = align_up(next, PAGE_SIZE);
}

const char *gicv3_its_probe(paddr_t address, uint64_t *bytes)
{
    if (unit_count == GICV3_ITS_MAX)
        return "there are too many";
    if (gicv3_lpi_id_bits() < LPI_ID_BITS)
        return "the distributor knows no LPIs";
    if (address.value == 0 || its_at(address) != nullptr)
        return "its registers are those of another";
    struct its *its = &units[unit_count];
    *its = (struct its){.address = address, .registers = hal_own(address, ITS_BYTES)};
    if (its->registers == nullptr)
        return "its registers cannot be mapped";
    uint32_t id;
    if (!mmio_probe32(its->registers, GITS_PIDR2, &id))
        return "nothing is there";
    const uint32_t revision = id >> 4 & 0xf;
    its->type = mmio_read64(its->registers, GITS_TYPER);
    if ((revision != 3 && revision != 4) || (its->type & TYPER_PHYSICAL) == 0)
        return "its registers are not those of an ITS for LPIs";
    if ((its->type >> 8 & 0x1f) + 1 < ITS_EVENT_BITS)
        return "a device cannot have as many messages as we give out";
    mmio_write32(its->registers, GITS_CTLR, mmio_read32(its->registers, GITS_CTLR) & ~CTLR_ENABLED);
    if (!gicv3_wait32(its->registers, GITS_CTLR, CTLR_QUIESCENT, CTLR_QUIESCENT))
        return "it does not come to rest";
    find_tables(its);
    lay_out(its);
    *bytes = its->bytes;
    return nullptr;
}

// 5.3.1: a redistributor's address, or its number from GICR_TYPER, in bits 50-16.
static uint64_t its_target(const struct its *its, const struct redistributor *redistributor)
{
    if ((its->type & TYPER_PTA) != 0)
        return redistributor->address.value & 0x7'ffff'ffff'0000;
    return (redistributor->type >> 8 & 0xffff) << 16;
}

static const char *start_lpis(struct its *its)
{
    if (lpis_on)
        return nullptr;
    messages_init(memory_of(its, its->properties));
    arch_dma_clean(memory_of(its, its->properties), PROPERTY_BYTES);
    const char *wrong = redistributor_enable_lpis(
        gicv3_boot_redistributor(), paddr_add(its->memory, its->properties),
        paddr_add(its->memory, its->pending), LPI_ID_BITS);
    lpis_on = wrong == nullptr;
    return wrong;
}

const char *gicv3_its_start(paddr_t memory)
{
    struct its *its = &units[unit_count];
    its->memory = memory;
    memset(memory_of(its, 0), 0, its->bytes);
    arch_dma_clean(memory_of(its, 0), its->bytes);
    const char *wrong = start_lpis(its);
    if (wrong != nullptr)
        return wrong;
    if (!set_table(its, its->devices_base, &its->devices) ||
        !set_table(its, its->collections_base, &its->collections))
        return "it does not take its tables";
    if (!write_base(its->registers, GITS_CBASER,
                    BASER_VALID | memory.value | (QUEUE_BYTES / PAGE_SIZE - 1)))
        return "it does not take its command queue";
    mmio_write64(its->registers, GITS_CWRITER, 0);
    mmio_write32(its->registers, GITS_CTLR, mmio_read32(its->registers, GITS_CTLR) | CTLR_ENABLED);
    its->target = its_target(its, gicv3_boot_redistributor());
    const struct its_command first[] = {its_mapc(0, its->target), its_sync(its->target)};
    if (!its_run(its, first, ARRAY_SIZE(first)))
        return "it does not do its commands";
    unit_count++;
    gicv3_enable_messages();
    return nullptr;
}
