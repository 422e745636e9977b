// SPDX-License-Identifier: MIT
//
// Shrinking: pieces of the sequence are left out, large ones first, then single moves, with what comes
// later finding its handles in other registers; pairs become calls one after the other; then arguments
// become simpler, one at a time. What fails in the same way
// is kept, and all begins again, until nothing makes it smaller.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "property.h"

struct shrink {
    struct sequence *best, tried;
    struct verdict *verdict;
    unsigned runs;
    clock_t began;
};

// What makes the kernel go round for ever takes long each time.
static bool is_late(const struct shrink *shrink)
{
    constexpr clock_t SECONDS = 20;
    return clock() - shrink->began > SECONDS * CLOCKS_PER_SEC;
}

// Takes what is tried if it fails in the same way.
static bool keep_if_it_fails(struct shrink *shrink)
{
    if (is_late(shrink))
        return false;
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

// ---- registers: what is left out filled one, and what comes later would be found elsewhere

static void rename_in(struct action *action, uint8_t actor, const uint8_t names[REGISTERS])
{
    if (action->kind != ACTION_CALL || action->actor != actor)
        return;
    for (unsigned i = 0; i < 6; i++)
        if (action->argument[i].kind == OPERAND_REGISTER)
            action->argument[i].value = names[action->argument[i].value];
    for (unsigned i = 0; i < 2; i++)
        action->sent[i] = names[action->sent[i]];
}

static bool without_renamed(struct shrink *shrink, unsigned at, uint8_t actor,
                            const uint8_t names[REGISTERS])
{
    struct sequence *tried = &shrink->tried;
    *tried = *shrink->best;
    tried->count--;
    for (unsigned i = at; i < tried->count; i++) {
        tried->moves[i] = shrink->best->moves[i + 1];
        rename_in(&tried->moves[i].action, actor, names);
        rename_in(&tried->moves[i].beside, actor, names);
    }
    return keep_if_it_fails(shrink);
}

// All from one register on are one lower; or one is another.
static bool without_one(struct shrink *shrink, unsigned at)
{
    uint8_t actor = shrink->best->moves[at].action.actor, names[REGISTERS];
    for (uint8_t from = FIRST; from < REGISTERS; from++) {
        for (uint8_t i = 0; i < REGISTERS; i++)
            names[i] = i > from ? i - 1 : i;
        if (without_renamed(shrink, at, actor, names))
            return true;
        for (uint8_t to = FIRST; to < REGISTERS; to++) {
            for (uint8_t i = 0; i < REGISTERS; i++)
                names[i] = i == from ? to : i;
            if (to != from && without_renamed(shrink, at, actor, names))
                return true;
        }
    }
    return false;
}

static bool shorten_renamed(struct shrink *shrink)
{
    constexpr unsigned SHORT = 20; // for longer ones it takes too many runs
    bool any = false;
    for (unsigned at = 0; shrink->best->count <= SHORT && at < shrink->best->count;)
        if (without_one(shrink, at))
            any = true;
        else
            at++;
    return any;
}

// ---- pairs

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
    // One that stands for no end is not made a large number.
    if (number >= (value == UINT64_MAX ? 2 : sizeof forms / sizeof forms[0]))
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
    shrink->began = clock();
    for (unsigned round = 0; round < ROUNDS; round++) {
        bool any = shorten(shrink);
        any |= shorten_renamed(shrink);
        any |= simplify(shrink);
        if (!any || is_late(shrink))
            break;
    }
    // As its own run left it, with nothing that is not possible.
    shrink->tried = *shrink->best;
    (void)keep_if_it_fails(shrink);
    unsigned runs = shrink->runs;
    free(shrink);
    return runs;
}
