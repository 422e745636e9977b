// SPDX-License-Identifier: MIT
//
// Pages of the firmware's memory (UEFI 7.2). All are noted, so that a start that fails leaves
// nothing behind. They are loader code to the firmware, since some of it lets nothing else run.
#include <lib/string.h>
#include <lib/types.h>

#include "loader.h"

constexpr unsigned TAKEN_MAX = 16;

static struct {
    uint64_t address, pages;
} taken[TAKEN_MAX];
static unsigned taken_count;

static uint64_t kept_start;
static uint8_t kept[PAGES_KEPT_MAX / 8]; // a bit for each page

static void *take(uint32_t how, uint64_t address, uint64_t bytes)
{
    if (taken_count == TAKEN_MAX || bytes == 0 || bytes > UINT64_MAX - PAGE_SIZE)
        return nullptr;
    const uint64_t pages = align_up(bytes, PAGE_SIZE) / PAGE_SIZE;
    if (efi->boot->allocate_pages(how, EFI_LOADER_CODE, pages, &address) != EFI_SUCCESS)
        return nullptr;
    taken[taken_count].address = address;
    taken[taken_count++].pages = pages;
    return memset((void *)address, 0, pages * PAGE_SIZE);
}

void *pages_take(uint64_t bytes, uint64_t limit)
{
    if (limit == 0)
        return take(EFI_ALLOCATE_ANY, 0, bytes);
    return take(EFI_ALLOCATE_BELOW, limit - 1, bytes);
}

void pages_keep(uint64_t start, uint64_t bytes)
{
    kept_start = start;
    for (uint64_t i = 0; i < PAGES_KEPT_MAX && i * PAGE_SIZE < bytes; i++) {
        uint64_t address = start + i * PAGE_SIZE;
        if (efi->boot->allocate_pages(EFI_ALLOCATE_AT, EFI_LOADER_CODE, 1, &address) == EFI_SUCCESS)
            kept[i / 8] |= (uint8_t)(1u << i % 8);
    }
}

void pages_give_all_back(void)
{
    while (taken_count > 0) {
        taken_count--;
        (void)efi->boot->free_pages(taken[taken_count].address, taken[taken_count].pages);
    }
    for (uint64_t i = 0; i < PAGES_KEPT_MAX; i++)
        if ((kept[i / 8] >> i % 8 & 1) != 0)
            (void)efi->boot->free_pages(kept_start + i * PAGE_SIZE, 1);
    memset(kept, 0, sizeof(kept));
}
