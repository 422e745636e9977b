// SPDX-License-Identifier: MIT
//
// See kernel_fuzz.h.
#include "kernel_fuzz.h"

#include <stdlib.h>

#include "check.h"
#include "kernel_draw.h"
#include "kernel_pages.h"

constexpr size_t RAM_BYTES = 3 << 19;
constexpr unsigned COMPARED = 256; // of so many inputs, before one all memory is compared

void kernel_begin(void)
{
    seeded_bug = getenv("BUG");
    world_begin((struct world_options){.ram_bytes = RAM_BYTES, .cpus = 2, .asids = 40});
}

void kernel_ready(void)
{
    settle();
    world_check(); // what it allocates is there for all inputs
    world_save();
}

void kernel_restore(void)
{
    static unsigned inputs;
    world_restore();
    if (inputs++ % COMPARED == 0)
        FUZZ_EXPECT(world_is_restored());
}

void kernel_end(void)
{
    host_line_level(0, false);
    world_end_after_quarantine(DRAW_DEVICE);
}
