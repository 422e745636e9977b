// SPDX-License-Identifier: MIT
//
// A sequence as one line of text, and back: numbers in hexadecimal, in a fixed order.
#include <stdio.h>
#include <stdlib.h>

#include "property.h"

// Prints a number, or parses it where `at` is set. false: the text is no sequence.
static bool number(const char **at, uint64_t *value)
{
    if (!at) {
        printf("%lx.", (unsigned long)*value);
        return true;
    }
    char *end;
    *value = strtoull(*at, &end, 16);
    if (end == *at || *end != '.')
        return false;
    *at = end + 1;
    return true;
}

#define NUMBER(at, field)                   \
    do {                                    \
        uint64_t value = (uint64_t)(field); \
        if (!number(at, &value))            \
            return false;                   \
        (field) = (typeof(field))value;     \
    } while (0)

static bool action_text(const char **at, struct action *action)
{
    NUMBER(at, action->kind);
    NUMBER(at, action->actor);
    NUMBER(at, action->number);
    for (unsigned i = 0; i < 6; i++) {
        NUMBER(at, action->argument[i].kind);
        NUMBER(at, action->argument[i].value);
    }
    NUMBER(at, action->new_handles);
    NUMBER(at, action->takes);
    NUMBER(at, action->sends);
    NUMBER(at, action->sent[0]);
    NUMBER(at, action->sent[1]);
    return true;
}

static bool sequence_text(const char **at, struct sequence *sequence)
{
    NUMBER(at, sequence->count);
    if (sequence->count > STEPS_MAX)
        return false;
    for (unsigned i = 0; i < sequence->count; i++) {
        struct move *move = &sequence->moves[i];
        NUMBER(at, move->pair);
        if (!action_text(at, &move->action))
            return false;
        if (!move->pair)
            continue;
        NUMBER(at, move->seed);
        if (!action_text(at, &move->beside))
            return false;
    }
    return true;
}

void replay_print(const struct sequence *sequence)
{
    struct sequence copy = *sequence;
    (void)sequence_text(nullptr, &copy);
}

bool replay_parse(const char *text, struct sequence *sequence)
{
    return sequence_text(&text, sequence);
}
