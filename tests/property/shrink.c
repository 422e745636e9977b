// SPDX-License-Identifier: MIT
//
// Shrinking: pieces of the sequence are left out, large ones first, then single steps; pairs become
// calls one after the other; then arguments become simpler, one at a time. What fails in the same way
// is kept, and all begins again, until nothing makes it smaller.
#include <stdlib.h>
#include <string.h>

#include "property.h"

struct shrink {
    struct sequence *best, tried;
    struct verdict *verdict;
    unsigned runs;
};

// Takes what is tried if it fails in the same way.
static bool keep_if_it_fails(struct shrink *shrink)
{
    shrink->runs++;
    struct verdict verdict = sequence_run(&shrink->tried);
    if (!verdict.failed || strcmp(verdict.kind, shrink->verdict->kind) != 0)
        return false;
    *shrink->best = shrink->tried;
    *shrink->verdict = verdict;
    return true;
}

// ---- steps

static bool without(struct shrink *shrink, unsigned from, unsigned count)
{
    struct sequence *tried = &shrink->tried;
    *tried = *shrink->best;
    memmove(&tried->moves[from], &tried->moves[from + count],
            (tried->count - from - count) * sizeof tried->moves[0]);
    tried->count -= count;
    return keep_if_it_fails(shrink);
}

static bool shorten(struct shrink *shrink)
{
    bool any = false;
    for (unsigned size = shrink->best->count / 2; size > 0; size /= 2)
        for (unsigned from = 0; from + size <= shrink->best->count;)
            if (without(shrink, from, size))
                any = true;
            else
                from += size;
    return any;
}

// Two calls at once, as one of them, or as one after the other.
static bool untie(struct shrink *shrink, unsigned at)
{
    for (unsigned i = 0; i < 2; i++) {
        shrink->tried = *shrink->best;
        struct move *move = &shrink->tried.moves[at];
        move->pair = false;
        if (i == 1)
            move->action = move->beside;
        if (keep_if_it_fails(shrink))
            return true;
    }
    if (shrink->best->count == STEPS_MAX)
        return false;
    shrink->tried = *shrink->best;
    struct move *move = &shrink->tried.moves[at];
    memmove(move + 1, move, (shrink->tried.count - at) * sizeof *move);
    shrink->tried.count++;
    move[0].pair = move[1].pair = false;
    move[1].action = move[0].beside;
    return keep_if_it_fails(shrink);
}

// ---- arguments

// The next simpler form of an operand, by number; false: there is none of this number.
static bool simpler(struct operand *operand, unsigned number)
{
    if (operand->kind == OPERAND_AFTER) {
        static const struct operand forms[] = {{OPERAND_VALUE, 0}, {OPERAND_VALUE, UINT64_MAX}};
        if (number == 2 && operand->value > 1)
            operand->value = 1;
        else if (number < 2)
            *operand = forms[number];
        return number < 2 || (number == 2 && operand->value == 1);
    }
    if (operand->kind != OPERAND_VALUE || operand->value == 0)
        return false;
    uint64_t value = operand->value;
    const uint64_t forms[] = {0, 1, value & (value - 1), value / 2};
    if (number >= sizeof forms / sizeof forms[0])
        return false;
    operand->value = forms[number];
    return true;
}

static bool simplify_operand(struct shrink *shrink, unsigned at, bool beside, unsigned index)
{
    for (unsigned number = 0;; number++) {
        shrink->tried = *shrink->best;
        struct move *move = &shrink->tried.moves[at];
        struct operand *operand = &(beside ? &move->beside : &move->action)->argument[index];
        struct operand before = *operand;
        if (!simpler(operand, number))
            return false;
        if (memcmp(&before, operand, sizeof before) != 0 && keep_if_it_fails(shrink))
            return true;
    }
}

static bool simplify(struct shrink *shrink)
{
    bool any = false;
    for (unsigned at = 0; at < shrink->best->count; at++) {
        if (shrink->best->moves[at].pair)
            any |= untie(shrink, at);
        for (unsigned index = 0; index < 6 && at < shrink->best->count; index++) {
            any |= simplify_operand(shrink, at, false, index);
            if (at < shrink->best->count && shrink->best->moves[at].pair)
                any |= simplify_operand(shrink, at, true, index);
        }
    }
    return any;
}

unsigned sequence_shrink(struct sequence *sequence, struct verdict *verdict)
{
    constexpr unsigned ROUNDS = 20;
    struct shrink *shrink = calloc(1, sizeof *shrink);
    shrink->best = sequence;
    shrink->verdict = verdict;
    for (unsigned round = 0; round < ROUNDS; round++) {
        bool any = shorten(shrink);
        if (!simplify(shrink) && !any)
            break;
    }
    // As its own run left it, with nothing that is not possible.
    shrink->tried = *shrink->best;
    (void)keep_if_it_fails(shrink);
    unsigned runs = shrink->runs;
    free(shrink);
    return runs;
}
