// SPDX-License-Identifier: MIT
//
// The path of decisions outside of the search: a schedule as text, to be pasted.
#include <stdio.h>

#include "search.h"

// ---- schedules as text: "a12b3.1a" is 12 events of thread 0, 3 of thread 1 of which the last has
// its second outcome, one more of thread 0

void search_describe(char *out, size_t size)
{
    size_t at = 0;
    for (unsigned i = 0; i < event_count && at + 16 < size;) {
        unsigned run = 1;
        while (i + run < event_count && path[i + run - 1].plain == 0 &&
               path[i + run].thread == path[i].thread)
            run++;
        at += (size_t)snprintf(out + at, size - at, "%c", 'a' + path[i].thread);
        if (run > 1)
            at += (size_t)snprintf(out + at, size - at, "%u", run);
        if (path[i + run - 1].plain)
            at += (size_t)snprintf(out + at, size - at, ".%u", path[i + run - 1].plain);
        i += run;
    }
    out[at] = '\0';
}

static unsigned take_number(const char **text)
{
    unsigned number = 0;
    for (; **text >= '0' && **text <= '9'; (*text)++)
        number = 10 * number + (unsigned)(**text - '0');
    return number;
}

bool search_replay(const char *schedule)
{
    replaying = schedule != nullptr;
    path_length = 0;
    while (schedule && *schedule) {
        if (*schedule < 'a' || *schedule >= (char)('a' + THREADS))
            return false;
        unsigned thread = (unsigned)(*schedule++ - 'a');
        unsigned run = *schedule >= '0' && *schedule <= '9' ? take_number(&schedule) : 1;
        unsigned choice = 0;
        if (*schedule == '.') {
            schedule++;
            choice = take_number(&schedule);
        }
        if (path_length + run > EVENTS_MAX)
            return false;
        for (; run > 0; run--)
            path[path_length++] = (struct node){
                .thread = (uint8_t)thread, .choice = run == 1 ? (uint16_t)choice : (uint16_t)0};
    }
    return true;
}
