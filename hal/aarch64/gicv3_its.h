// SPDX-License-Identifier: MIT
//
// An ITS: what its registers, its tables in memory and its commands look like (IHI 0069, chapters 5
// and 12.18 to 12.19).
#pragma once

#include "gicv3.h"

// ---- commands: four little-endian double words each (5.3)

struct its_command {
    uint64_t words[4];
};

constexpr uint64_t ITS_VALID = 1ull << 63;

// `target` as GITS_TYPER.PTA wants it, shifted to its place (its_target).
static inline struct its_command its_sync(uint64_t target)
{
    return (struct its_command){{0x05, 0, target, 0}};
}

// Events of the collection go to the redistributor.
static inline struct its_command its_mapc(uint16_t collection, uint64_t target)
{
    return (struct its_command){{0x09, 0, ITS_VALID | target | collection, 0}};
}

// The device has events 0 to 2^`event_bits` - 1, and its interrupt translation table at `table`.
static inline struct its_command its_mapd(uint32_t device, unsigned event_bits, paddr_t table)
{
    return (struct its_command){
        {0x08 | (uint64_t)device << 32, event_bits - 1, ITS_VALID | table.value, 0}};
}

static inline struct its_command its_unmapd(uint32_t device)
{
    return (struct its_command){{0x08 | (uint64_t)device << 32, 0, 0, 0}};
}

static inline struct its_command its_mapti(uint32_t device, uint32_t event, uint32_t intid,
                                           uint16_t collection)
{
    return (struct its_command){
        {0x0a | (uint64_t)device << 32, event | (uint64_t)intid << 32, collection, 0}};
}

// The interrupt's properties have changed.
static inline struct its_command its_inv(uint32_t device, uint32_t event)
{
    return (struct its_command){{0x0c | (uint64_t)device << 32, event, 0, 0}};
}

// Ends what its_mapti began; what is pending of it is dropped.
static inline struct its_command its_discard(uint32_t device, uint32_t event)
{
    return (struct its_command){{0x0f | (uint64_t)device << 32, event, 0, 0}};
}

// ---- tables

// One table of the ITS's own, as it is to be laid out: entries one after the other, or a first level
// of 8-byte entries that lead to pages of entries, taken from a few that follow it.
struct its_table {
    uint64_t page_bytes;
    uint64_t base_bytes; // that GITS_BASER names: all entries, or the first level
    uint64_t ids;        // room for so many, from 0 on
    uint32_t entries_per_page;
    uint32_t pages; // behind the first level; 0: there is one level
    uint32_t pages_used;
    uint64_t offset; // in the ITS's memory
};

constexpr uint32_t ITS_SECOND_PAGES = 16;

struct its_table its_table_plan(unsigned id_bits, uint32_t entry_bytes, uint64_t page_bytes,
                                bool two_levels);

static inline uint64_t its_table_bytes(const struct its_table *table)
{
    return table->base_bytes + table->pages * table->page_bytes;
}

// ---- an ITS

constexpr unsigned ITS_DEVICES = 32;
constexpr unsigned ITS_EVENT_BITS = 5; // so many messages a device can have
constexpr unsigned ITS_EVENTS = 1u << ITS_EVENT_BITS;

struct its_device {
    uint32_t id;
    uint32_t events; // taken; none: the place is free
};
static_assert(ITS_EVENTS == 32); // bits of `events`

struct its {
    paddr_t address; // of the registers
    volatile void *registers;
    uint64_t type;   // GITS_TYPER
    uint64_t target; // where messages go, as commands name it

    paddr_t memory;                           // all that follows is there
    uint64_t bytes;                           // of it
    uint64_t translations, translation_bytes; // of all devices, and of one
    uint64_t properties, pending;             // of LPIs: in the first ITS's memory
    struct its_table devices, collections;
    unsigned devices_base, collections_base; // which GITS_BASER; ITS_NO_BASE: it has no such table

    uint64_t written; // how far the command queue is
    bool broken;      // it did not answer: nothing is asked of it again

    struct its_device device[ITS_DEVICES];
};
constexpr unsigned ITS_NO_BASE = 8;

// The one whose registers are there, or the only one if that is 0; nullptr: there is none.
struct its *its_at(paddr_t address);

// Has the ITS do `count` commands, and waits for it for a bounded time. false: it does not answer;
// then, and from then on, it is broken.
bool its_run(struct its *its, const struct its_command *commands, unsigned count);

// Makes room for the device in the device table. false: there is none.
bool its_reach_device(struct its *its, uint64_t device);

// ---- gicv3_messages.c

// Where the LPIs' properties are, a byte each, all of them disabled.
void messages_init(uint8_t *properties);
