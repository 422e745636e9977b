// SPDX-License-Identifier: MIT
//
// Pages that are replaced under their readers. One thread unmaps a page of a window, so that its
// frame is free, and maps another in its place; threads on other CPUs read the window all the
// time. Two such processes take each other's frames. Each page is stamped with whose it is, which
// page of the window, and which generation, so that a reader that translates through a mapping
// that is gone sees somebody else's stamp, another page's, or an old one.
//
// M6 from outside: what is read after an unmap has returned is of a later generation, or a fault.
#include "stress.h"

constexpr uint64_t WINDOW = 0x50'0000'0000;
constexpr uint32_t PAGES = 16, READERS_MOST = 3;
constexpr uint32_t REPLACED_A_TURN = 8;

// Of each page: the newest generation that was begun, written and unmapped.
static struct {
    _Atomic uint64_t begun, written, unmapped;
} pages[PAGES];

static uint64_t owner;
static event_t look; // bit i: reader i
static struct worker *readers[READERS_MOST];
static uint32_t reader_count;

static uint64_t address_of(uint32_t page)
{
    return WINDOW + page * 2 * PAGE_SIZE;
}

bool memory_fault_is_expected(uint64_t address)
{
    return address >= WINDOW && address < WINDOW + 2 * PAGES * PAGE_SIZE;
}

static uint64_t stamp(uint32_t page, uint64_t generation)
{
    return owner << 56 | (uint64_t)page << 48 | generation;
}

// The first and the last word of a page, and one that moves.
static uint32_t word_of(uint64_t generation, unsigned i)
{
    constexpr uint32_t WORDS = PAGE_SIZE / 8;
    return i == 0 ? 0 : i == 1 ? WORDS - 1 : (uint32_t)(generation % WORDS);
}

static void map_new(uint32_t page, uint64_t generation, vmo_t vmo)
{
    pages[page].begun = generation;
    sure(vm_map(start.aspace, vmo, 0, address_of(page), PAGE_SIZE, PROT_READ | PROT_WRITE),
         "vm_map");
    volatile uint64_t *words = (volatile uint64_t *)address_of(page);
    for (unsigned i = 0; i < 3; i++)
        words[word_of(generation, i)] = stamp(page, generation);
    pages[page].written = generation;
    sure(handle_close((handle_t){vmo.value}), "handle_close");
}

static vmo_t new_page(void)
{
    vmo_t vmo;
    sure(vmo_create(start.account, PAGE_SIZE, 0, &vmo), "vmo_create");
    return vmo;
}

static void replace(struct worker *worker)
{
    for (uint32_t page = 0; page < PAGES; page++)
        map_new(page, 1, new_page());
    for (;;) {
        for (uint32_t i = 0; i < REPLACED_A_TURN; i++) {
            uint32_t page = (uint32_t)random_below(&worker->dice, PAGES);
            uint64_t generation = pages[page].begun;
            vmo_t vmo = new_page(); // before: the frame that becomes free is not taken for it
            sure(vm_unmap(start.aspace, address_of(page)), "vm_unmap");
            pages[page].unmapped = generation;
            map_new(page, generation + 1, vmo);
        }
        sure(event_signal(look, (1u << reader_count) - 1), "event_signal");
        tally(PAGES_REPLACED, REPLACED_A_TURN);
        sure(thread_yield(), "thread_yield");
        worker_turn(worker, 4 * REPLACED_A_TURN + 2);
        if (random_below(&worker->dice, 8) == 0) {
            uint64_t who = random_below(&worker->dice, reader_count + 1);
            move_somewhere(worker, who < reader_count ? readers[who]->self : worker->self);
        }
    }
}

static void read_page(uint32_t page)
{
    uint64_t unmapped = pages[page].unmapped, written = pages[page].written;
    uint32_t word = word_of(written, (unsigned)(written % 3));
    uint64_t value = ((volatile uint64_t *)address_of(page))[word];
    uint64_t begun = pages[page].begun;
    bool settled = written == begun; // the same generation from before the reading until after it
    if (value == 0 && !settled)
        return; // fresh, or a word that this generation does not write
    uint64_t generation = value & ((1ull << 48) - 1);
    bool good = value == stamp(page, generation) && generation > unmapped && generation <= begun;
    if (!good || (settled && generation != written))
        WRONG("stale translation: page %u of process %lu read as 0x%lx, page %lu of process %lu, "
              "generation %lu; unmapped up to %lu, written %lu, begun %lu",
              page, owner, value, value >> 48 & 0xff, value >> 56, generation, unmapped, written,
              begun);
}

static void read_all(struct worker *worker)
{
    uint32_t mine = 1u << worker->number, signals;
    for (;;) {
        status_t status = object_wait((handle_t){look.value}, mine, ABI_DEADLINE_NEVER, &signals);
        sure(status, "object_wait");
        sure(event_clear(look, mine, &signals), "event_clear");
        for (uint32_t page = 0; page < PAGES; page++)
            read_page(page);
        tally(PAGES_READ, PAGES);
        worker_turn(worker, 2);
    }
}

void memory_main(uint64_t number)
{
    owner = number;
    sure(event_create(start.account, &look), "event_create");
    uint32_t cpus = (uint32_t)board->cpus, here = (uint32_t)(number % cpus);
    reader_count = cpus - 1 < 1 ? 1 : cpus - 1 < READERS_MOST ? cpus - 1 : READERS_MOST;
    for (uint32_t i = 0; i < reader_count; i++)
        readers[i] = worker_start(read_all, "reader", i, LOAD_PRIORITY, (here + 1 + i) % cpus);
    worker_start(replace, "replacer", (uint32_t)number, LOAD_PRIORITY, here);
    sure(thread_sleep(ABI_DEADLINE_NEVER), "thread_sleep");
}
