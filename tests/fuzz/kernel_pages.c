// SPDX-License-Identifier: MIT
//
// What the simulated machine asks for instead of arch/host/pages.c, and the snapshot of the world:
// its RAM, the stacks of its CPUs and its variables (world_section.h) are put back as they were.
//
// Most of it is never written, and what an input writes decides how many there are in a second. So
// what nobody can have touched since the snapshot is left alone: frames that the kernel has not
// handed out yet, slots that no object ever had, pages of devices that nobody asked for, and what
// lies below the lowest byte of a stack that is not zero.
//
// A stack is put back with what the address sanitizer knows of it, if it is there.
#include "pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "host.h"
#include "interrupt.h"
#include "kernel_pages.h"
#include "kernel_world.h"
#include "object.h"

constexpr unsigned REGIONS_MAX = 12, PIECES_MAX = 5;
constexpr size_t SHADOW_SCALE = 8;

// What is put back: its contents when the snapshot was taken.
struct piece {
    uint8_t *start, *saved;
    size_t bytes;
};

static struct region {
    uint8_t *start;
    size_t bytes;
} regions[REGIONS_MAX]; // that the machine asked for
static unsigned region_count;

static struct stack_saved {
    struct region of;
    struct piece used, shadow; // of the address sanitizer
} stacks[REGIONS_MAX];
static unsigned stack_count;

static struct piece variables[PIECES_MAX], ram;
static unsigned variable_count;
static uint8_t *frames_start; // before it are the kernel's image and the bundle

extern uint8_t __start_world_bss[], __stop_world_bss[], __start_world_data[], __stop_world_data[];

// The address sanitizer's, where there is one.
[[gnu::weak]] void __asan_unpoison_memory_region(void const volatile *start, size_t bytes);
[[gnu::weak]] void __asan_get_shadow_mapping(size_t *scale, size_t *offset);

void *pages_new(size_t bytes)
{
    void *pages = aligned_alloc(PAGE_SIZE, bytes);
    memset(pages, 0, bytes);
    if (region_count == REGIONS_MAX)
        abort();
    regions[region_count++] = (struct region){pages, bytes};
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

static struct piece save(uint8_t *start, size_t bytes)
{
    struct piece piece = {.start = start, .saved = malloc(bytes), .bytes = bytes};
    copy(piece.saved, start, bytes);
    return piece;
}

static void put_back(const struct piece *piece)
{
    copy(piece->start, piece->saved, piece->bytes);
}

// ---- stacks

[[gnu::no_sanitize("address", "undefined")]] static size_t
unused_of_stack(const struct region *region)
{
    size_t unused = 0;
    while (unused < region->bytes && region->start[unused] == 0)
        unused++;
    return unused / PAGE_SIZE * PAGE_SIZE;
}

static uint8_t *shadow_of(const uint8_t *at)
{
    size_t scale, offset;
    __asan_get_shadow_mapping(&scale, &offset);
    return (uint8_t *)(((uintptr_t)at >> scale) + offset);
}

static void save_stack(const struct region *region)
{
    size_t unused = unused_of_stack(region);
    uint8_t *start = region->start + unused;
    struct stack_saved *saved = &stacks[stack_count++];
    *saved = (struct stack_saved){.of = *region, .used = save(start, region->bytes - unused)};
    if (__asan_get_shadow_mapping)
        saved->shadow = save(shadow_of(start), saved->used.bytes / SHADOW_SCALE);
}

static void put_back_stack(const struct stack_saved *saved)
{
    put_back(&saved->used);
    if (!__asan_unpoison_memory_region)
        return;
    __asan_unpoison_memory_region(saved->of.start, saved->of.bytes);
    put_back(&saved->shadow);
}

// ---- variables

static void save_variables(uint8_t *start, const uint8_t *end)
{
    if (variable_count == PIECES_MAX)
        abort();
    variables[variable_count++] = save(start, (size_t)(end - start));
}

static int by_start(const void *one, const void *two)
{
    const struct region *a = one, *b = two;
    return (a->start > b->start) - (a->start < b->start);
}

// All but what is zeroed, and the console, which nobody reads.
static void save_all_variables(void)
{
    struct region left_out[] = {{host_device_memory[0], sizeof host_device_memory},
                                {host_io, sizeof host_io},
                                {(uint8_t *)host_console, sizeof host_console}};
    qsort(left_out, ARRAY_SIZE(left_out), sizeof left_out[0], by_start);
    uint8_t *start = __start_world_bss;
    for (unsigned i = 0; i < ARRAY_SIZE(left_out); i++) {
        save_variables(start, left_out[i].start);
        start = left_out[i].start + left_out[i].bytes;
    }
    save_variables(start, __stop_world_bss);
    save_variables(__start_world_data, __stop_world_data);
}

static void put_back_devices(void)
{
    memset(host_device_memory, 0, host_device_pages() * PAGE_SIZE);
    if (host_io_written)
        memset(host_io, 0, sizeof host_io);
}

// ---- RAM: frames, then the kernel's tables, of which that of the slots is long and mostly empty

static uint8_t *slots_start(void)
{
    return (uint8_t *)object_at(0);
}

static size_t tables_start(void)
{
    return (size_t)(slots_start() - ram.start) - align_up(interrupts_table_bytes(), PAGE_SIZE);
}

static void put_back_part(const uint8_t *start, const uint8_t *end)
{
    size_t from = (size_t)(start - ram.start);
    copy(ram.start + from, ram.saved + from, (size_t)(end - start));
}

static void put_back_ram(void)
{
    uint8_t *slots = slots_start(), *tables = ram.start + tables_start();
    uint8_t *used_end = slots + objects_ever() * OBJECT_SLOT_SIZE;
    for (uint8_t *page = frames_start; page < tables; page += PAGE_SIZE)
        if (frame_of(arch_ram_address(page))->state != FRAME_UNTOUCHED)
            put_back_part(page, page + PAGE_SIZE);
    put_back_part(tables, used_end);
    put_back_part(slots + objects_total() * OBJECT_SLOT_SIZE, ram.start + ram.bytes);
}

// ---- all of it

void world_save(void)
{
    if (host_device_pages() > 0 || host_io_written)
        abort(); // they are put back as zeros
    for (unsigned i = 0; i < region_count; i++)
        if (regions[i].start == host_ram)
            ram = save(regions[i].start, regions[i].bytes);
        else
            save_stack(&regions[i]);
    save_all_variables();
    frames_start = ram.start;
    while (!frames_overlap(HOST_RAM_START, arch_ram_address(frames_start).value + 1))
        frames_start += PAGE_SIZE;
}

void world_restore(void)
{
    put_back_ram(); // by what its tables say: first
    put_back_devices();
    for (unsigned i = 0; i < stack_count; i++)
        put_back_stack(&stacks[i]);
    for (unsigned i = 0; i < variable_count; i++)
        put_back(&variables[i]);
}

bool world_is_restored(void)
{
    return memcmp(ram.start, ram.saved, ram.bytes) == 0;
}
