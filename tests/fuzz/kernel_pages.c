// SPDX-License-Identifier: MIT
//
// What the simulated machine asks for instead of arch/host/pages.c, and the snapshot of the world:
// its RAM, the stacks of its CPUs and its variables (world_section.h) are put back as they were.
//
// A stack is put back with what the address sanitizer knows of it, from the lowest byte that was
// used on: below that nothing was written when the snapshot was taken.
#include "pages.h"

#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_pages.h"

constexpr unsigned REGIONS_MAX = 12;
constexpr size_t PAGE = 4096, SHADOW_SCALE = 8;

static struct region {
    uint8_t *start;
    size_t bytes, used; // how much of it, at its end, the snapshot holds
    uint8_t *saved;
    uint8_t *shadow; // of the address sanitizer; nullptr: it does not change
} regions[REGIONS_MAX];
static unsigned region_count;

extern uint8_t __start_world_bss[], __stop_world_bss[], __start_world_data[], __stop_world_data[];

static void add(uint8_t *start, size_t bytes)
{
    if (region_count == REGIONS_MAX)
        abort();
    regions[region_count++] = (struct region){.start = start, .bytes = bytes};
}

void *pages_new(size_t bytes)
{
    void *pages = aligned_alloc(PAGE, bytes);
    memset(pages, 0, bytes);
    add(pages, bytes);
    return pages;
}

void pages_delete(void *pages, size_t bytes)
{
    (void)pages, (void)bytes;
    abort(); // a world is made once in a process
}

// Neither is instrumented: red zones are copied like all else.
[[gnu::no_sanitize("address", "undefined")]] static void copy(uint8_t *to, const uint8_t *from,
                                                              size_t bytes)
{
    typedef uint64_t words __attribute__((vector_size(32), aligned(8)));
    for (size_t i = 0; i + sizeof(words) <= bytes; i += sizeof(words))
        *(words *)(void *)(to + i) = *(const words *)(const void *)(from + i);
    for (size_t i = bytes - bytes % sizeof(words); i < bytes; i++)
        ((volatile uint8_t *)to)[i] = from[i];
}

[[gnu::no_sanitize("address", "undefined")]] static size_t
used_of_stack(const struct region *region)
{
    size_t unused = 0;
    while (unused < region->bytes && region->start[unused] == 0)
        unused++;
    return region->bytes - unused / PAGE * PAGE;
}

static uint8_t *shadow_of(const uint8_t *at)
{
    size_t scale, offset;
    __asan_get_shadow_mapping(&scale, &offset);
    return (uint8_t *)(((uintptr_t)at >> scale) + offset);
}

static uint8_t *end_of(const struct region *region)
{
    return region->start + region->bytes - region->used;
}

void world_save(size_t ram_bytes)
{
    add(__start_world_bss, (size_t)(__stop_world_bss - __start_world_bss));
    add(__start_world_data, (size_t)(__stop_world_data - __start_world_data));
    for (unsigned i = 0; i < region_count; i++) {
        struct region *region = &regions[i];
        bool stack = i < region_count - 2 && region->bytes != ram_bytes;
        region->used = stack ? used_of_stack(region) : region->bytes;
        region->saved = malloc(region->used);
        copy(region->saved, end_of(region), region->used);
        if (stack) {
            region->shadow = malloc(region->used / SHADOW_SCALE);
            copy(region->shadow, shadow_of(end_of(region)), region->used / SHADOW_SCALE);
        }
    }
}

void world_restore(void)
{
    for (unsigned i = 0; i < region_count; i++) {
        struct region *region = &regions[i];
        copy(end_of(region), region->saved, region->used);
        if (!region->shadow)
            continue;
        __asan_unpoison_memory_region(region->start, region->bytes);
        copy(shadow_of(end_of(region)), region->shadow, region->used / SHADOW_SCALE);
    }
}
