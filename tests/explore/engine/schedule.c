// SPDX-License-Identifier: MIT
//
// The path of decisions outside of the search: a schedule as text, to be pasted; a file from which
// another run of the same program goes on.
#include <stdio.h>
#include <string.h>

#include "search.h"

// ---- schedules as text: "a12b3.1a" is 12 events of thread 0, 3 of thread 1 of which the last has
// its second outcome, one more of thread 0; "-2,5/" in front: without parts 2 and 5 of the scenario

uint64_t parts_left_out;
unsigned part_count;

void search_describe(char *out, size_t size)
{
    size_t at = 0;
    for (uint64_t left = parts_left_out; left && at + 16 < size; left &= left - 1)
        at += (size_t)snprintf(out + at, size - at, "%c%d", at ? ',' : '-', __builtin_ctzll(left));
    if (parts_left_out)
        out[at++] = '/';
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
    if (schedule)
        parts_left_out = 0;
    while (schedule && (*schedule == '-' || *schedule == ',')) {
        schedule++;
        parts_left_out |= 1ull << (take_number(&schedule) & 63);
        if (*schedule == '/')
            schedule++;
    }
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

// ---- files: a header, the nodes

struct header {
    char magic[8];
    uint64_t program; // its bytes, hashed: another one's decisions mean something else
    bool sequential, bounded;
    unsigned bound, path_length;
    struct explore_result result;
};

static uint64_t hash_of_program(void)
{
    static uint64_t hash;
    uint8_t bytes[4096];
    FILE *file = hash ? nullptr : fopen("/proc/self/exe", "rb");
    for (size_t got; file && (got = fread(bytes, 1, sizeof bytes, file)) > 0;)
        for (size_t i = 0; i < got; i++)
            hash = (hash ^ bytes[i]) * 0x100'0000'01b3;
    if (file)
        fclose(file);
    return hash;
}

static struct header header_now(void)
{
    return (struct header){.magic = "explore",
                           .program = hash_of_program(),
                           .sequential = config.sequential,
                           .bounded = config.bounded,
                           .bound = config.bound};
}

bool search_save(const char *name, const struct explore_result *result)
{
    static struct header header;
    header = header_now();
    header.path_length = path_length;
    header.result = *result;
    FILE *file = fopen(name, "wb");
    if (!file)
        return false;
    bool done = fwrite(&header, sizeof header, 1, file) == 1 &&
                fwrite(path, sizeof path[0], path_length, file) == path_length;
    return fclose(file) == 0 && done;
}

bool search_load(const char *name, struct explore_result *result)
{
    static struct header header;
    const struct header wanted = header_now();
    FILE *file = fopen(name, "rb");
    if (!file)
        return false;
    bool done = fread(&header, sizeof header, 1, file) == 1 &&
                memcmp(header.magic, wanted.magic, sizeof header.magic) == 0 &&
                header.program == wanted.program && header.sequential == wanted.sequential &&
                header.bounded == wanted.bounded && header.bound == wanted.bound &&
                header.path_length <= EVENTS_MAX &&
                fread(path, sizeof path[0], header.path_length, file) == header.path_length;
    fclose(file);
    path_length = done ? header.path_length : 0;
    if (done)
        *result = header.result;
    return done;
}
