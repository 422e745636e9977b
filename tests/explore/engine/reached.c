// SPDX-License-Identifier: MIT
//
// Which code the executions of a run have reached. The setup's own is not counted: it runs on one
// CPU, before anything can meet.
#include <stdio.h>
#include <string.h>

#include "engine.h"

constexpr unsigned CODES = 1u << 15;
static struct {
    uintptr_t pc;
    bool operation;
} codes[CODES];

static unsigned place_of(uintptr_t pc)
{
    unsigned at = (unsigned)(pc * 0x9e37'79b97f4a7c15ull >> 40) % CODES;
    while (codes[at].pc && codes[at].pc != pc)
        at = (at + 1) % CODES;
    codes[at].pc = pc;
    return at;
}

void note_access(uintptr_t pc)
{
    (void)place_of(pc);
}

void note_operation(uintptr_t pc)
{
    if (pc)
        codes[place_of(pc)].operation = true;
}

// ---- basic blocks, as the compiler's coverage marks them

struct block {
    uintptr_t pc, flags;
};
static bool *blocks_reached, *blocks_end;
static const struct block *blocks;

// Each object file says where those of the whole program are.
void __sanitizer_cov_bool_flag_init(bool *start, bool *end);
void __sanitizer_cov_bool_flag_init(bool *start, bool *end)
{
    blocks_reached = start;
    blocks_end = end;
}

void __sanitizer_cov_pcs_init(const struct block *start, const struct block *end);
void __sanitizer_cov_pcs_init(const struct block *start, const struct block *end)
{
    (void)end;
    blocks = start;
}

void reached_reset(void)
{
    memset(codes, 0, sizeof codes);
    if (blocks_reached)
        memset(blocks_reached, 0, (size_t)(blocks_end - blocks_reached));
}

bool explore_write_reached(const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    for (unsigned i = 0; i < CODES; i++)
        if (codes[i].pc)
            fprintf(file, "%s %#lx\n", codes[i].operation ? "operation" : "access",
                    (unsigned long)codes[i].pc);
    for (size_t i = 0; i < (size_t)(blocks_end - blocks_reached); i++)
        fprintf(file, "%s %#lx\n", blocks_reached[i] ? "block" : "missed",
                (unsigned long)blocks[i].pc);
    return fclose(file) == 0;
}
