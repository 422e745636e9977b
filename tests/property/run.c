// SPDX-License-Identifier: MIT
//
// Running sequences, and the command line: as a unit test program does, `ok NAME` or `FAIL NAME: why`
// for each test, and `done` at the end. For each kind there is a test on one CPU and one on two, and one
// for each planted bug, which must be found and shrunk to few moves.
//
//   T=part      only tests whose name holds `part`
//   SEED=n      draws the same sequences again (those for planted bugs are always the same)
//   REPLAY=...  runs one sequence, as it was printed
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <abi_table.h>

#include "perform.h"
#include "property.h"
#include "splitmix.h"

constexpr unsigned STEPS = 6'000, STEPS_LONG = 300'000; // of a test
constexpr unsigned BUG_SEQUENCES = 3'000;               // in which a planted bug must be found
constexpr uint64_t PROOF_SEED = 1; // whether a planted bug is found is no matter of luck
constexpr suseconds_t SEQUENCE_LIMIT_US = 200'000;
constexpr unsigned TIME_LIMIT_S = 60, TIME_LIMIT_LONG_S = 1'800;

bool whole;

// On the heap: not part of what is put back (memory.c).
static struct run {
    const struct kind *kind;
    const char *bug;
    uint64_t seed, random, steps, calls;
    bool answered[SYSCALL_COUNT][STATUS_COUNT + 1];
    unsigned answers; // pairs of a call and what it answered
    sigjmp_buf failed;
    bool running; // a failure ends the sequence, and not the program
    bool made;    // the first state can be restored
    struct verdict verdict;
    struct done done[STEPS_MAX];
} *run;

// ---- what the harness expects of a program

uint64_t random_next(struct random *random)
{
    return splitmix(&random->state);
}

uint64_t random_below(struct random *random, uint64_t limit)
{
    return random_next(random) % limit;
}

uint64_t draw_below(uint64_t limit)
{
    struct random random = {run->random};
    uint64_t drawn = random_below(&random, limit);
    run->random = random.state;
    return drawn;
}

void search_fail(const char *kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->verdict.text, sizeof run->verdict.text, format, arguments);
    va_end(arguments);
    snprintf(run->verdict.kind, sizeof run->verdict.kind, "%s", kind);
    run->verdict.failed = true;
    if (run->running)
        siglongjmp(run->failed, 1); // from a simulated CPU's stack, too: it is put back
    printf("FAIL %s: outside a sequence: %s: %s\ndone\n", run->kind->name, kind, run->verdict.text);
    fflush(stdout);
    _exit(1);
}

void test_fail(const char *file, int line, const char *format, ...)
{
    char text[500];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    search_fail("check", "%s (%s:%d)", text, file, line);
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

// Of the model or the harness, where it meets what it has no room for.
static void aborted(int number)
{
    (void)number;
    search_fail("abort", "the model or the harness gave up");
}

static void hangs(int number)
{
    (void)number;
    search_fail("hang", "the kernel or the harness goes round for ever");
}

static void on_signal(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    if (sigaction(number, &action, nullptr) != 0)
        abort();
}

// ---- one sequence

static void perform(const struct move *move)
{
    if (move->pair)
        pair_perform(&move->action, &move->beside, move->seed);
    else
        action_perform(&move->action);
    run->steps++;
    run->calls += move->action.kind == ACTION_CALL ? 1u + move->pair : 0;
    if (move->action.kind != ACTION_CALL || move->pair)
        return;
    bool *answered = &run->answered[move->action.number][last_done.status];
    run->answers += !*answered;
    *answered = true;
}

// A sequence that takes so long has met a loop.
static void watch(bool on)
{
    const struct itimerval limit = {.it_value = {.tv_usec = on ? SEQUENCE_LIMIT_US : 0}};
    if (setitimer(ITIMER_VIRTUAL, &limit, nullptr) != 0)
        abort();
}

static void from_the_first_state(void)
{
    watch(true);
    memory_restore(nullptr);
    seeded_bug = run->bug;
    run->verdict = (struct verdict){};
}

// Everything must be back with the root account. A planted bug is to be found by the sequence.
static void end_world(unsigned count)
{
    run->verdict.at = count;
    if (!run->bug)
        world_end_after_quarantine(DEVICE);
}

// Of the move that failed there is no result, but what the model says.
static void note_failure(void)
{
    watch(false);
    run->running = false;
    if (run->verdict.failed && run->verdict.at < STEPS_MAX)
        run->done[run->verdict.at] = (struct done){.status = last_done.status};
}

struct verdict sequence_run(struct sequence *sequence)
{
    from_the_first_state();
    struct sequence *made = calloc(1, sizeof *made);
    run->running = true;
    if (sigsetjmp(run->failed, 1) == 0) {
        for (unsigned i = 0; i < sequence->count; i++) {
            if (!move_possible(&sequence->moves[i]))
                continue;
            run->verdict.at = made->count;
            made->moves[made->count++] = sequence->moves[i];
            perform(&made->moves[made->count - 1]);
            run->done[made->count - 1] = last_done;
        }
        end_world(made->count);
    }
    note_failure();
    *sequence = *made;
    free(made);
    return run->verdict;
}

struct verdict sequence_draw(const struct kind *kind, struct sequence *sequence, unsigned count)
{
    from_the_first_state();
    sequence->count = 0;
    run->running = true;
    if (sigsetjmp(run->failed, 1) == 0) {
        while (sequence->count < count) {
            struct move *move = &sequence->moves[sequence->count];
            if (!draw_move(kind, move))
                break;
            run->verdict.at = sequence->count++;
            perform(move);
            run->done[sequence->count - 1] = last_done;
        }
        end_world(sequence->count);
    }
    note_failure();
    return run->verdict;
}

void sequence_print(const struct sequence *sequence, const struct verdict *verdict)
{
    printf("// %s: %s\n", verdict->kind, verdict->text);
    setup_print();
    for (unsigned i = 0; i < sequence->count; i++)
        if (sequence->moves[i].pair)
            pair_print(&sequence->moves[i].action, &sequence->moves[i].beside,
                       sequence->moves[i].seed, &run->done[i]);
        else
            action_print(&sequence->moves[i].action, &run->done[i]);
    if (verdict->at == sequence->count)
        printf("    world_end_after_quarantine(%lu);\n", (unsigned long)DEVICE);
    printf("REPLAY=%s/%u/", run->kind->name, world_cpus);
    replay_print(sequence);
    printf("\n");
}

// ---- tests, each in a process of its own

static bool is_long(void)
{
    const char *value = getenv("SKERRY_TEST_LONG");
    return value && *value;
}

static unsigned steps_wanted(void)
{
    const char *few = getenv("SKERRY_TEST_FEW");
    return is_long() ? STEPS_LONG : few && *few ? STEPS / 50 : STEPS;
}

[[noreturn]] static void end(int status)
{
    fflush(stdout);
    _exit(status);
}

static void begin(const struct kind *kind, unsigned cpus, uint64_t seed)
{
    run = calloc(1, sizeof *run);
    run->kind = kind;
    run->seed = run->random = seed;
    world_cpus = cpus;
    host_on_halt = halted;
    const struct world_definition definition = {
        .name = kind->name, .setup = kind->setup, .contiguous = kind->contiguous};
    world_make(&definition);
    memory_begin();
    on_signal(SIGABRT, aborted);
    on_signal(SIGVTALRM, hangs);
}

static unsigned draw_length(void)
{
    return 5 + (unsigned)draw_below(STEPS_MAX - 20);
}

// Nothing must fail.
static void find_nothing(const char *name)
{
    struct sequence *sequence = calloc(1, sizeof *sequence);
    unsigned sequences = 0;
    for (; run->steps < steps_wanted(); sequences++) {
        struct verdict verdict = sequence_draw(run->kind, sequence, draw_length());
        if (!verdict.failed)
            continue;
        unsigned before = sequence->count;
        unsigned runs = sequence_shrink(sequence, &verdict);
        printf("// shrunk from %u steps to %u in %u runs; SEED=%lu\n", before, sequence->count,
               runs, (unsigned long)run->seed);
        sequence_print(sequence, &verdict);
        printf("FAIL %s: %s: %s\n", name, verdict.kind, verdict.text);
        end(1);
    }
    printf("note: %s: %u sequences, %lu steps, %lu calls, %u pairs of call and answer\nok %s\n",
           name, sequences, (unsigned long)run->steps, (unsigned long)run->calls, run->answers,
           name);
    end(0);
}

// The planted bug must be found, and shrunk to few steps.
static void find_bug(const char *name, const struct bug *bug)
{
    run->bug = bug->name;
    struct sequence *sequence = calloc(1, sizeof *sequence);
    for (unsigned sequences = 1; sequences <= BUG_SEQUENCES; sequences++) {
        struct verdict verdict = sequence_draw(run->kind, sequence, draw_length());
        if (!verdict.failed)
            continue;
        unsigned before = sequence->count;
        unsigned runs = sequence_shrink(sequence, &verdict);
        bool small = sequence->count <= bug->most;
        if (!small || getenv("SHOW"))
            sequence_print(sequence, &verdict);
        printf(
            "note: planted bug '%s' found in sequence %u; shrunk from %u steps to %u in %u runs: "
            "%s: %.100s\n",
            bug->name, sequences, before, sequence->count, runs, verdict.kind, verdict.text);
        if (small)
            printf("ok %s\n", name);
        else
            printf("FAIL %s: %u steps are left, not %u; SEED=%lu\n", name, sequence->count,
                   bug->most, (unsigned long)run->seed);
        end(!small);
    }
    printf("FAIL %s: not found in %u sequences; SEED=%lu\n", name, BUG_SEQUENCES,
           (unsigned long)run->seed);
    end(1);
}

static bool test_apart(const struct kind *kind, unsigned cpus, const struct bug *bug, uint64_t seed)
{
    char name[80];
    snprintf(name, sizeof name, "%s%s%s", kind->name, cpus > 1 ? "_on_two_cpus" : "",
             bug ? "_with_" : "");
    for (const char *c = bug ? bug->name : ""; *c; c++)
        snprintf(name + strlen(name), sizeof name - strlen(name), "%c", *c == ' ' ? '_' : *c);
    const char *wanted = getenv("T"), *slash = wanted ? strrchr(wanted, '/') : nullptr;
    if (slash && !strstr(name, slash + 1))
        return true;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(is_long() ? TIME_LIMIT_LONG_S : TIME_LIMIT_S);
        begin(kind, cpus, seed);
        if (bug)
            find_bug(name, bug);
        find_nothing(name);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        printf("FAIL %s: signal %s; SEED=%lu\n", name, strsignal(WTERMSIG(status)),
               (unsigned long)seed);
    return status == 0;
}

static uint64_t new_seed(void)
{
    const char *given = getenv("SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return given && *given ? strtoull(given, nullptr, 0) : (uint64_t)now.tv_nsec;
}

// KIND/CPUS/STEPS
static int replay(const char *text)
{
    const char *slash = strchr(text, '/');
    for (unsigned i = 0; slash && i < kind_count; i++) {
        struct sequence *sequence = calloc(1, sizeof *sequence);
        if (strncmp(text, kinds[i]->name, (size_t)(slash - text)) != 0 ||
            !replay_parse(slash + 3, sequence))
            continue;
        begin(kinds[i], (unsigned)(slash[1] - '0'), 1);
        run->bug = getenv("BUG");
        struct verdict verdict = sequence_run(sequence);
        sequence_print(sequence, &verdict);
        return verdict.failed;
    }
    fprintf(stderr, "this is no sequence\n");
    return 2;
}

int main(void)
{
    const char *text = getenv("REPLAY");
    if (text && *text)
        return replay(text);
    const uint64_t seed = new_seed();
    bool well = true;
    for (unsigned i = 0; i < kind_count; i++) {
        well &= test_apart(kinds[i], 1, nullptr, seed);
        well &= test_apart(kinds[i], 2, nullptr, seed);
        for (unsigned n = 0; n < ARRAY_SIZE(kinds[i]->bugs) && kinds[i]->bugs[n].name; n++)
            well &= test_apart(kinds[i], kinds[i]->bugs[n].cpus, &kinds[i]->bugs[n], PROOF_SEED);
    }
    printf("done\n");
    return well ? 0 : 1;
}
