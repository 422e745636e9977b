// SPDX-License-Identifier: MIT
//
// Breadth first: every action in every state. States are told apart by the hash of their
// description (128 bits); a new one is kept as what differs from the first, until its turn has
// come. In each new state the world is also taken down once (world_end): everything must go back
// to the root account. The first failure is a shortest one.
//
//   worlds list
//   worlds run NAME [whole] [states=N] [bug=NAME | nobugs]
//
// bug=NAME switches on one planted bug and prints the way to it.
//
// Prints a line for the world and one for each planted bug. Status 0: nothing failed, and each
// planted bug was found.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "describe.h"
#include "perform.h"

constexpr unsigned ACTIONS_MAX = 400;
constexpr uint32_t NO_STATE = UINT32_MAX;

struct state {
    uint32_t parent;
    uint16_t action, depth;
    struct done done;
    struct saved_memory *saved;
};

// On the heap: not part of what is put back (memory.c).
static struct search {
    const struct world_definition *chosen;
    struct action actions[ACTIONS_MAX];
    unsigned action_count;
    struct state *states;
    uint32_t count, room, at;
    struct hash *seen;
    uint64_t seen_size, transitions, calls;
    uint64_t possible[ACTIONS_MAX];
    bool answered[SYSCALL_COUNT][STATUS_COUNT + 1];
    unsigned answers; // pairs of a call and what it answered
    const struct action *doing;
    bool taking_down, quiet;
    double started;
} *search;

bool whole;

// ---- failures

static void print_way(uint32_t state)
{
    if (search->states[state].parent == NO_STATE)
        return;
    print_way(search->states[state].parent);
    action_print(&search->actions[search->states[state].action], &search->states[state].done);
}

void search_fail(const char *kind, const char *format, ...)
{
    char text[2000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    unsigned depth = search && search->count ? search->states[search->at].depth + 1u : 0;
    if (search->quiet) {
        text[strcspn(text, "\n")] = 0;
        printf("found after %lu transitions, %u deep: %s: %.120s\n",
               (unsigned long)search->transitions, depth, kind, text);
    } else {
        printf("FAIL %s: %s: %s\n", search->chosen->name, kind, text);
        printf("// %u steps from the first state:\n", depth);
        setup_print();
        if (search->count)
            print_way(search->at);
        if (search->taking_down)
            printf("    world_end_after_quarantine(%lu);\n", (unsigned long)DEVICE);
        else if (search->doing)
            action_print(search->doing, &last_done);
    }
    fflush(stdout);
    _exit(1);
}

// What kernel_world.c expects of the unit tests.
void test_fail(const char *file, int line, const char *format, ...)
{
    char text[500];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    search_fail("check", "%s (%s:%d)", text, file, line);
}

uint64_t random_next(struct random *random)
{
    return random->state++;
}

uint64_t random_below(struct random *random, uint64_t limit)
{
    return random_next(random) % limit;
}

static void halted(void)
{
    host_console[host_console_bytes] = 0;
    const char *panic = strstr(host_console, "PANIC: ");
    char line[300];
    snprintf(line, sizeof line, "%.250s", panic ? panic + 7 : host_console);
    line[strcspn(line, "\n")] = 0;
    search_fail(strstr(line, "invariant") ? "invariant" : "panic", "%s", line);
}

// ---- the states that were met

// false: it was met before.
static bool meet(struct hash hash)
{
    uint64_t at = hash.low & (search->seen_size - 1);
    for (; search->seen[at].low | search->seen[at].high; at = (at + 1) & (search->seen_size - 1))
        if (search->seen[at].low == hash.low && search->seen[at].high == hash.high)
            return false;
    search->seen[at] = hash;
    return true;
}

static void grow(void)
{
    if (search->count < search->room)
        return;
    search->room = search->room ? 2 * search->room : 1024;
    search->states = realloc(search->states, search->room * sizeof *search->states);
    struct hash *old = search->seen;
    uint64_t old_size = search->seen_size;
    search->seen_size = 4ull * search->room;
    search->seen = calloc(search->seen_size, sizeof *search->seen);
    for (uint64_t i = 0; i < old_size; i++)
        if (old[i].low | old[i].high)
            (void)meet(old[i]);
    free(old);
}

static struct hash hash_now(void)
{
    static struct description description;
    describe(&description);
    describe_hidden(&description);
    return description_hash(&description);
}

static void add_state(uint32_t parent, unsigned action)
{
    struct saved_memory *saved = memory_save();
    // A planted bug is to be found by the search, not by the end of the first state.
    if (!seeded_bug || parent != NO_STATE) {
        search->taking_down = true;
        world_end_after_quarantine(DEVICE);
        search->taking_down = false;
    }
    // Counted after: a failure is told from the state before.
    search->states[search->count++] = (struct state){
        .parent = parent,
        .action = (uint16_t)action,
        .depth = parent == NO_STATE ? 0 : (uint16_t)(search->states[parent].depth + 1),
        .done = last_done,
        .saved = saved,
    };
}

// ---- the search

static void note_answer(const struct action *action)
{
    if (action->kind != ACTION_CALL || search->answered[action->number][last_done.status])
        return;
    search->answered[action->number][last_done.status] = true;
    search->answers++;
}

static void expand(uint32_t state)
{
    struct saved_memory *saved = search->states[state].saved;
    bool fresh = false;
    for (unsigned i = 0; i < search->action_count; i++) {
        if (!fresh)
            memory_restore(saved);
        fresh = true;
        const struct action *action = &search->actions[i];
        if (!action_possible(action))
            continue;
        fresh = false;
        search->doing = action;
        search->transitions++;
        search->calls += action->kind == ACTION_CALL;
        search->possible[i]++;
        action_perform(action);
        note_answer(action);
        grow();
        if (meet(hash_now()))
            add_state(state, i);
        search->doing = nullptr;
    }
    memory_forget(saved);
    search->states[state].saved = nullptr;
}

static void search_begin(const struct world_definition *chosen)
{
    search = calloc(1, sizeof *search);
    search->chosen = chosen;
    host_on_halt = halted;
    world_make(chosen);
    chosen->actions();
}

void offer(struct action action)
{
    if (search->action_count == ACTIONS_MAX)
        abort();
    search->actions[search->action_count++] = action;
}

// true: all states were met.
static bool search_all(uint64_t bound)
{
    memory_begin();
    grow();
    (void)meet(hash_now());
    add_state(NO_STATE, 0);
    for (search->at = 0; search->at < search->count; search->at++) {
        if (search->at >= bound)
            return false;
        expand(search->at);
    }
    return true;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run_plain(const struct world_definition *chosen, uint64_t bound)
{
    double start = seconds();
    search_begin(chosen);
    bool complete = search_all(bound);
    unsigned never = 0;
    for (unsigned i = 0; i < search->action_count; i++)
        if (!search->possible[i] && !never++)
            search_fail("world", "action %u is never possible", i);
    printf("%s: %u states, %lu transitions (%u actions; %lu calls, %u pairs of call and answer), "
           "depth %u, %s; the model agreed and the invariants held after each (%.1f s)\n",
           chosen->name, search->count, (unsigned long)search->transitions, search->action_count,
           (unsigned long)search->calls, search->answers, search->states[search->count - 1].depth,
           complete ? "complete" : "stopped at the bound", seconds() - start);
    fflush(stdout);
    _exit(0);
}

// Each search has a process to itself: the status of it.
static int apart(const struct world_definition *chosen, const char *bug, uint64_t bound, bool quiet)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (!bug)
            run_plain(chosen, bound);
        printf("  planted bug '%s' ", bug);
        search_begin(chosen);
        search->quiet = quiet;
        seeded_bug = bug;
        (void)search_all(bound);
        printf("NOT FOUND in %u states\n", search->count);
        fflush(stdout);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

extern const struct world_definition *const __start_worlds[], *const __stop_worlds[];

static const struct world_definition *find(const char *name)
{
    for (const struct world_definition *const *at = __start_worlds; at < __stop_worlds; at++)
        if (strcmp((*at)->name, name) == 0)
            return *at;
    return nullptr;
}

static int usage(void)
{
    fprintf(stderr, "usage: worlds list | run NAME [whole] [states=N] [bug=NAME | nobugs]\n");
    return 2;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (const struct world_definition *const *at = __start_worlds; at < __stop_worlds; at++)
            printf("%-10s %s\n", (*at)->name, (*at)->about);
        return 0;
    }
    const struct world_definition *chosen = argc > 2 ? find(argv[2]) : nullptr;
    if (!chosen || strcmp(argv[1], "run") != 0)
        return usage();
    uint64_t bound = UINT64_MAX;
    const char *only = nullptr;
    bool bugs = true;
    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], "whole") == 0)
            whole = true;
        else if (strncmp(argv[i], "states=", 7) == 0)
            bound = strtoull(argv[i] + 7, nullptr, 0);
        else if (strncmp(argv[i], "bug=", 4) == 0)
            only = argv[i] + 4;
        else if (strcmp(argv[i], "nobugs") == 0)
            bugs = false;
        else
            return usage();
    if (only)
        return apart(chosen, only, bound, false) == 1 ? 0 : 1;
    int failed = apart(chosen, nullptr, bound, false) != 0;
    for (unsigned i = 0; i < ARRAY_SIZE(chosen->bugs) && chosen->bugs[i] && bugs; i++)
        failed |= apart(chosen, chosen->bugs[i], bound, true) != 1;
    return failed;
}
