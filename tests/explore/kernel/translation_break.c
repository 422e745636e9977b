// SPDX-License-Identifier: MIT
//
// Not instrumented: break-before-make. Where invalidation is broadcast (AArch64), a valid entry of a
// page table may become another valid one, of another frame, only over an invalid one and a flush
// after that (Arm Architecture Reference Manual, D8.16): in between a CPU may hold both. A write that
// does otherwise fails at once, whether or not anybody walks there.
#include <arch/arch.h>

#include "explore.h"
#include "frame.h"
#include "machine.h"

constexpr unsigned BROKEN_MAX = 64;

static struct {
    unsigned count;
    struct {
        uintptr_t entry;
        uint64_t was;
    } broken[BROKEN_MAX]; // invalid since the last flush
} ghost;

static bool in_a_table(uintptr_t address)
{
    uint64_t at = address - (uintptr_t)host_ram;
    return at < host_ram_bytes && frame_of((paddr_t){at + HOST_RAM_START})->state == FRAME_TABLE;
}

static void check_change(uint64_t from, uint64_t to)
{
    if (pte_present((pte_t){from}) &&
        pte_address((pte_t){from}).value != pte_address((pte_t){to}).value)
        explore_fail("break", "a valid entry becomes one of another frame without a flush");
}

static void written(uintptr_t address, uint64_t before, uint64_t now)
{
    if (!in_a_table(address))
        return;
    if (pte_present((pte_t){now})) {
        check_change(before, now);
        for (unsigned i = 0; i < ghost.count; i++)
            if (ghost.broken[i].entry == address)
                check_change(ghost.broken[i].was, now);
    } else if (pte_present((pte_t){before}) && ghost.count < BROKEN_MAX) {
        ghost.broken[ghost.count].entry = address;
        ghost.broken[ghost.count++].was = before;
    }
}

void translation_watch(void)
{
    ghost.count = 0;
    explore_region(&ghost, sizeof ghost);
    explore_on_store = written;
}

void translation_flushed(void)
{
    ghost.count = 0;
}
