// SPDX-License-Identifier: MIT
//
// Plain accesses: is each ordered with those of other threads that it conflicts with? For each
// byte the last write and each thread's last read, by how far the thread had come (its clock).
// And what memory was before an execution changed it, to be put back.
#include <stdlib.h>
#include <string.h>

#include "engine.h"

constexpr unsigned CELLS = 1u << 17;

struct lane {
    uint16_t writer_clock, plain_clock, reader_clock[THREADS];
    uint8_t writer, plain_writer; // the last, and the last that was plain; THREADS: nobody yet
    uint8_t atomic_readers;       // bit t: the thread's last read was atomic
};

struct cell { // 8 bytes of memory
    uint64_t execution;
    uintptr_t granule;
    bool saved, atomic;                     // atomic: there is an atomic location in it
    uint32_t writer_pc, reader_pc[THREADS]; // of the last ones, for reports
    struct lane lanes[8];
};

static struct cell *cells;
static struct {
    uintptr_t address;
    uint64_t value;
} *saved;
static size_t saved_count, saved_room;

static struct {
    uintptr_t start, end;
} ignored[64];
static unsigned ignored_count;

static struct {
    void *start;
    void *copy;
    size_t bytes;
} regions[64];
static unsigned region_count;

void explore_ignore(const void *start, size_t bytes)
{
    if (ignored_count == 64)
        abort();
    ignored[ignored_count].start = (uintptr_t)start;
    ignored[ignored_count++].end = (uintptr_t)start + bytes;
}

void explore_region(void *start, size_t bytes)
{
    if (region_count == 64)
        abort();
    regions[region_count].start = start;
    regions[region_count].bytes = bytes;
    regions[region_count].copy = malloc(bytes);
    memcpy(regions[region_count++].copy, start, bytes);
}

void race_forget(void);
void race_forget(void)
{
    for (unsigned i = 0; i < region_count; i++)
        free(regions[i].copy);
    region_count = ignored_count = 0;
    saved_count = 0;
}

void race_reset(void)
{
    if (!cells)
        cells = calloc(CELLS, sizeof *cells);
    while (saved_count > 0) {
        saved_count--;
        memcpy((void *)saved[saved_count].address, &saved[saved_count].value, 8);
    }
    for (unsigned i = 0; i < region_count; i++)
        memcpy(regions[i].start, regions[i].copy, regions[i].bytes);
}

static struct cell *cell_of(uintptr_t granule)
{
    unsigned at = (unsigned)((granule >> 3) * 0x9e37'79b97f4a7c15ull >> 40) % CELLS;
    for (unsigned tries = 0; tries < CELLS; tries++, at = (at + 1) % CELLS) {
        struct cell *cell = &cells[at];
        if (cell->execution == execution && cell->granule == granule)
            return cell;
        if (cell->execution != execution) {
            *cell = (struct cell){.execution = execution, .granule = granule};
            for (unsigned i = 0; i < 8; i++)
                cell->lanes[i].writer = cell->lanes[i].plain_writer = THREADS;
            return cell;
        }
    }
    explore_fail("limit", "the execution touches too much memory");
}

static void save(struct cell *cell)
{
    if (cell->saved)
        return;
    uint64_t value;
    memcpy(&value, (const void *)cell->granule, 8); // first: it may be nowhere
    cell->saved = true;
    if (saved_count == saved_room) {
        saved_room = saved_room ? 2 * saved_room : 4096;
        saved = realloc(saved, saved_room * sizeof *saved);
    }
    saved[saved_count].address = cell->granule;
    saved[saved_count++].value = value;
}

void save_memory(uintptr_t address, size_t bytes)
{
    for (uintptr_t at = address & ~7ull; at < address + bytes; at += 8)
        save(cell_of(at));
}

bool is_ignored(uintptr_t address)
{
    for (unsigned i = 0; i < ignored_count; i++)
        if (address >= ignored[i].start && address < ignored[i].end)
            return true;
    return false;
}

// ---- races

static void report(const struct cell *cell, uintptr_t address, bool write, uintptr_t pc,
                   unsigned other, bool other_writes)
{
    explore_fail("race", "%s of %p by %s at {%#lx} against the %s by %s at {%#lx}",
                 write ? "write" : "read", (void *)address, threads[current].name,
                 (unsigned long)pc, other_writes ? "write" : "read", threads[other].name,
                 (unsigned long)(uintptr_t)explore_lock - (uint32_t)(uintptr_t)explore_lock +
                     (other_writes ? cell->writer_pc : cell->reader_pc[other]));
}

static void check_byte(struct cell *cell, unsigned i, bool write, bool atomic, uintptr_t pc,
                       const uint16_t *clocks)
{
    struct lane *lane = &cell->lanes[i];
    uintptr_t address = cell->granule + i;
    // An atomic access is no race with an atomic write, but maybe with a plain one before that.
    unsigned writer = atomic ? lane->plain_writer : lane->writer;
    if (writer < THREADS && writer != current &&
        (atomic ? lane->plain_clock : lane->writer_clock) > clocks[writer])
        report(cell, address, write, pc, writer, true);
    if (write)
        for (unsigned t = 0; t < thread_count; t++)
            if (t != current && lane->reader_clock[t] > clocks[t] &&
                !(atomic && lane->atomic_readers >> t & 1))
                report(cell, address, write, pc, t, false);
    if (write) {
        lane->writer = (uint8_t)current;
        lane->writer_clock = clocks[current];
        if (!atomic) {
            lane->plain_writer = (uint8_t)current;
            lane->plain_clock = clocks[current];
        }
    } else {
        lane->reader_clock[current] = clocks[current];
        uint8_t bit = (uint8_t)(1u << current);
        lane->atomic_readers =
            (uint8_t)(atomic ? lane->atomic_readers | bit : lane->atomic_readers & ~bit);
    }
}

static void check_range(uintptr_t address, size_t bytes, bool write, bool atomic, uintptr_t pc)
{
    const uint16_t *clocks = memory_thread_clocks(current);
    for (uintptr_t granule = address & ~7ull; granule < address + bytes; granule += 8) {
        struct cell *cell = cell_of(granule);
        unsigned first = granule < address ? (unsigned)(address - granule) : 0;
        unsigned end = address + bytes - granule < 8 ? (unsigned)(address + bytes - granule) : 8;
        for (unsigned i = first; i < end; i++)
            check_byte(cell, i, write, atomic, pc, clocks);
        if (write)
            cell->writer_pc = (uint32_t)pc;
        else
            cell->reader_pc[current] = (uint32_t)pc;
        if (write)
            save(cell);
        if (atomic)
            cell->atomic = true;
        else if (write && cell->atomic)
            memory_written_plainly(granule + first, end - first);
    }
}

void race_plain(uintptr_t address, size_t bytes, bool write, uintptr_t pc)
{
    note_access(pc);
    check_range(address, bytes, write, false, pc);
}

void race_atomic(uintptr_t address, size_t bytes, bool write, uintptr_t pc)
{
    check_range(address, bytes, write, true, pc);
}
