// SPDX-License-Identifier: MIT
//
// Snapshots by copy. All memory that the world is made of (the program's data, the simulated RAM,
// the stacks of simulated CPUs) is read-only when the search begins. The first write to a page
// keeps what was there and makes the page writable for good; so a restore is the copying of the
// few pages that the world ever writes to, and a snapshot is what differs from the beginning.
//
// The search's own memory comes from malloc and stays as it is.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory.h"
#include "pages.h"

constexpr size_t PAGE = 4096, BLOCK = 64, REGIONS_MAX = 16, PAGES_MAX = 1024;

struct block {
    uint16_t page, offset; // in the order in which pages were written; in blocks
    uint8_t bytes[BLOCK];
};

struct saved_memory {
    size_t count;
    struct block blocks[];
};

// On the heap, so that it is not part of what it saves.
static struct memory {
    struct {
        uint8_t *start;
        size_t bytes;
    } regions[REGIONS_MAX];
    size_t region_count;
    bool watches;
    size_t page_count;
    uint8_t *pages[PAGES_MAX];
    uint8_t (*before)[PAGE];
    struct block *scratch;
} *memory;

// From crt1.o and the linker: the program's data, without that of its libraries.
extern uint8_t __data_start[], _end[];

static struct memory *get(void)
{
    if (!memory) {
        memory = calloc(1, sizeof *memory);
        memory->before = calloc(PAGES_MAX, PAGE);
        memory->scratch = calloc(PAGES_MAX * PAGE / BLOCK, sizeof *memory->scratch);
    }
    return memory;
}

static void add_region(void *start, size_t bytes)
{
    struct memory *m = get();
    if (m->region_count == REGIONS_MAX)
        abort();
    m->regions[m->region_count].start = start;
    m->regions[m->region_count++].bytes = bytes;
}

// ---- what the simulated machine asks for (instead of arch/host/pages.c)

void *pages_new(size_t bytes)
{
    void *pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_NORESERVE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || get()->watches)
        abort();
    add_region(pages, bytes);
    return pages;
}

void pages_delete(void *pages, size_t bytes)
{
    (void)pages, (void)bytes;
    abort(); // a world is made once in a process
}

// ---- the first write to each page

static uint8_t *page_of(uint8_t *address)
{
    return (uint8_t *)((uintptr_t)address & ~(PAGE - 1));
}

static bool is_watched(const struct memory *m, const uint8_t *address)
{
    for (size_t i = 0; i < m->region_count; i++)
        if (address >= page_of(m->regions[i].start) &&
            address < m->regions[i].start + m->regions[i].bytes)
            return true;
    return false;
}

static void written(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    struct memory *m = memory;
    uint8_t *page = page_of(info->si_addr);
    bool seen = false;
    for (size_t i = 0; i < m->page_count; i++)
        seen |= m->pages[i] == page;
    if (!is_watched(m, info->si_addr) || seen || m->page_count == PAGES_MAX)
        search_fail("crash", "an access to %p", info->si_addr);
    memcpy(m->before[m->page_count], page, PAGE);
    m->pages[m->page_count++] = page;
    if (mprotect(page, PAGE, PROT_READ | PROT_WRITE) != 0)
        abort();
}

void memory_begin(void)
{
    struct memory *m = get();
    add_region(page_of(__data_start), (size_t)(_end - page_of(__data_start)));
    // The fault may come on a simulated CPU's stack, whose page is the one that is written to.
    constexpr size_t STACK = 1 << 16;
    stack_t stack = {.ss_sp = malloc(STACK), .ss_size = STACK};
    struct sigaction action = {.sa_sigaction = written, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (sigaltstack(&stack, nullptr) != 0 || sigaction(SIGSEGV, &action, nullptr) != 0)
        abort();
    m->watches = true;
    for (size_t i = 0; i < m->region_count; i++) {
        uint8_t *start = page_of(m->regions[i].start);
        if (mprotect(start, (size_t)(m->regions[i].start + m->regions[i].bytes - start),
                     PROT_READ) != 0)
            abort();
    }
}

// ---- saving and restoring

struct saved_memory *memory_save(void)
{
    struct memory *m = memory;
    size_t count = 0;
    for (size_t page = 0; page < m->page_count; page++) {
        if (memcmp(m->pages[page], m->before[page], PAGE) == 0)
            continue;
        for (size_t at = 0; at < PAGE; at += BLOCK)
            if (memcmp(m->pages[page] + at, m->before[page] + at, BLOCK) != 0) {
                struct block *block = &m->scratch[count++];
                block->page = (uint16_t)page;
                block->offset = (uint16_t)(at / BLOCK);
                memcpy(block->bytes, m->pages[page] + at, BLOCK);
            }
    }
    struct saved_memory *saved = malloc(sizeof *saved + count * sizeof(struct block));
    saved->count = count;
    memcpy(saved->blocks, m->scratch, count * sizeof(struct block));
    return saved;
}

void memory_restore(const struct saved_memory *saved)
{
    struct memory *m = memory;
    for (size_t page = 0; page < m->page_count; page++)
        memcpy(m->pages[page], m->before[page], PAGE);
    for (size_t i = 0; saved && i < saved->count; i++) {
        const struct block *block = &saved->blocks[i];
        memcpy(m->pages[block->page] + block->offset * BLOCK, block->bytes, BLOCK);
    }
}

void memory_forget(struct saved_memory *saved)
{
    free(saved);
}
