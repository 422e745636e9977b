// SPDX-License-Identifier: MIT
//
// Model threads, as coroutines, and one execution after another. A thread that comes to an
// operation says so, looks for who goes on, makes that one's operation, and switches to it.
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "search.h"
#include "stack.h"

constexpr size_t STACK_BYTES = 1 << 18;

struct model_thread threads[THREADS];
unsigned thread_count, current = THREADS;
bool exploring;
struct explore_config config;
uint64_t execution;
void (*explore_on_switch)(unsigned thread);
void (*explore_on_store)(uintptr_t address, uint64_t before, uint64_t now);

void race_forget(void);

static struct stack stacks[THREADS], main_stack;
static bool starting, first_step, pruned, ending;
static struct explore_result *result;
static const struct explore_scenario *running;

unsigned explore_self(void)
{
    return current;
}

void explore_thread(const char *name, void (*function)(void *), void *argument)
{
    if (thread_count == THREADS)
        abort();
    threads[thread_count++] = (struct model_thread){
        .name = name, .function = function, .argument = argument, .state = THREAD_READY};
}

bool is_own_stack(uintptr_t address)
{
    return address - (uintptr_t)stacks[current].base < STACK_BYTES;
}

// ---- switching

static void go_on(unsigned thread)
{
    unsigned from = current;
    current = thread;
    if (explore_on_switch && thread < THREADS)
        explore_on_switch(thread);
    if (from != thread)
        stack_switch(from < THREADS ? &stacks[from] : &main_stack,
                     thread < THREADS ? &stacks[thread] : &main_stack);
}

void execution_end(void)
{
    exploring = false;
    go_on(THREADS);
    abort(); // it is never gone on with
}

void explore_fail(const char *kind, const char *format, ...)
{
    if (!exploring && !ending) {
        va_list arguments;
        va_start(arguments, format);
        fprintf(stderr, "explorer: %s: ", kind);
        vfprintf(stderr, format, arguments);
        fprintf(stderr, "\n");
        abort();
    }
    exploring = false;
    result->failed = true;
    snprintf(result->kind, sizeof result->kind, "%s", kind);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->message, sizeof result->message, format, arguments);
    va_end(arguments);
    search_describe(result->schedule, sizeof result->schedule);
    if (ending) { // in finish(), outside of model threads
        extern jmp_buf finish_failed;
        longjmp(finish_failed, 1);
    }
    execution_end();
}

jmp_buf finish_failed;

// What is explored has touched memory that is none. Never returns: the handler's frame stays behind on
// the stack of the thread, which ends here.
static void crashed(int, siginfo_t *info, void *)
{
    explore_fail("crash", "an access to %p", info->si_addr);
}

static void watch_for_crashes(void)
{
    struct sigaction action = {.sa_sigaction = crashed, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
}

// Nobody can go on: all have ended or may rest, or it is a deadlock.
static void nobody(void)
{
    bool asleep = false;
    const char *stuck = nullptr;
    for (unsigned t = 0; t < thread_count; t++) {
        if (threads[t].state == THREAD_READY && memory_enabled(t))
            asleep = true;
        else if (threads[t].state == THREAD_BLOCKED ||
                 (threads[t].state == THREAD_READY && threads[t].op.kind != OP_WAIT))
            stuck = threads[t].name;
    }
    if (asleep)
        pruned = true;
    else if (stuck)
        explore_fail("deadlock", "%s waits for ever", stuck);
}

// Lets the next thread do what it wants to do, and goes on with it.
static void step(void)
{
    unsigned choice;
    uint32_t mark;
    unsigned next = search_pick(&choice, &mark);
    if (next == THREADS) {
        nobody();
        execution_end();
    }
    if (config.schedule)
        trace_event(next, &threads[next].op, nullptr);
    note_operation(threads[next].op.pc);
    unsigned self = current;
    current = next; // whose access it is
    memory_perform(next, choice, mark);
    threads[next].op.kind = OP_NONE;
    current = self;
    go_on(next);
}

void operation_perform(struct operation *op)
{
    struct model_thread *self = &threads[current];
    self->op = *op;
    if (starting)
        go_on(THREADS);
    if (!starting && first_step) {
        first_step = false;
        step();
    } else if (!starting && self->op.kind != OP_NONE) {
        step();
    }
    *op = self->op;
}

static void thread_main(void)
{
    stack_entered(&main_stack);
    struct model_thread *self = &threads[current];
    self->function(self->argument);
    self->state = THREAD_ENDED;
    if (starting)
        go_on(THREADS);
    step();
    abort();
}

// ---- what model threads call

unsigned explore_choose(unsigned count)
{
    struct operation op = {.kind = OP_CHOOSE, .choices = count, .order = __ATOMIC_RELAXED};
    operation_perform(&op);
    return op.chosen;
}

static void lock_operation(enum operation_kind kind, void *lock, const void *caller)
{
    struct operation op = {.kind = kind,
                           .address = (uintptr_t)lock,
                           .order = __ATOMIC_RELAXED,
                           .pc = (uintptr_t)caller};
    if (exploring)
        operation_perform(&op);
}

void explore_lock_at(void *lock, const void *caller)
{
    lock_operation(OP_LOCK, lock, caller);
}

void explore_unlock_at(void *lock, const void *caller)
{
    lock_operation(OP_UNLOCK, lock, caller);
}

void explore_lock(void *lock)
{
    lock_operation(OP_LOCK, lock, __builtin_return_address(0));
}

void explore_unlock(void *lock)
{
    lock_operation(OP_UNLOCK, lock, __builtin_return_address(0));
}

void explore_wait(const void *flag)
{
    struct operation op = {.kind = OP_WAIT,
                           .address = (uintptr_t)flag,
                           .size = 4,
                           .order = __ATOMIC_ACQUIRE,
                           .failure_order = __ATOMIC_ACQUIRE,
                           .pc = (uintptr_t)__builtin_return_address(0)};
    operation_perform(&op);
}

void explore_relax(void)
{
    if (!exploring)
        return;
    enum turn turn = memory_turn(current);
    search_turn(current, turn == TURN_WAITS);
    if (turn == TURN_STALE && config.mode != EXPLORE_RANDOM) {
        pruned = true;
        execution_end();
    }
    if (turn == TURN_WAITS) {
        threads[current].state = THREAD_BLOCKED;
        threads[current].op.kind = OP_NONE;
        unsigned self = current;
        // Woken by a store: it goes on as a thread that wants nothing in particular.
        threads[self].op = (struct operation){.kind = OP_CHOOSE, .choices = 1};
        step();
    }
}

void explore_outcome(uint64_t outcome)
{
    unsigned at = 0;
    while (at < result->outcome_count && result->outcomes[at] < outcome)
        at++;
    if (at < result->outcome_count && result->outcomes[at] == outcome)
        return;
    if (result->outcome_count == EXPLORE_OUTCOMES)
        abort();
    memmove(&result->outcomes[at + 1], &result->outcomes[at],
            (result->outcome_count - at) * sizeof result->outcomes[0]);
    result->outcomes[at] = outcome;
    result->outcome_count++;
}

// ---- executions

static void run_one(void)
{
    race_reset();
    execution++;
    memory_reset();
    search_begin();
    pruned = false;
    for (unsigned t = 0; t < thread_count; t++) {
        threads[t].state = THREAD_READY;
        threads[t].op = (struct operation){};
        if (!stacks[t].base)
            stacks[t] = (struct stack){.base = malloc(STACK_BYTES), .bytes = STACK_BYTES};
        stack_prepare(&stacks[t], thread_main);
    }
    exploring = starting = true;
    // Up to each thread's first operation: nothing that another one could see.
    for (unsigned t = 0; t < thread_count && exploring; t++)
        go_on(t);
    starting = false;
    if (!exploring)
        return;
    first_step = true;
    for (unsigned t = 0; t < thread_count; t++)
        if (threads[t].state == THREAD_READY) {
            go_on(t);
            break;
        }
    exploring = false;
}

void explore_finish_nothing(void)
{
    longjmp(finish_failed, 1);
}

bool explore_keeps_part(void)
{
    unsigned part = part_count++;
    return part >= 64 || !(parts_left_out >> part & 1);
}

static void finish_one(void)
{
    ending = true;
    if (running->finish && setjmp(finish_failed) == 0)
        running->finish();
    ending = false;
}

void explore_run(const struct explore_scenario *scenario, const struct explore_config *wanted,
                 struct explore_result *out)
{
    config = *wanted;
    result = out;
    *result = (struct explore_result){};
    running = scenario;
    watch_for_crashes();
    search_reset();
    race_reset(); // what the last scenario changed
    race_forget();
    thread_count = part_count = 0;
    explore_on_switch = nullptr;
    explore_on_store = nullptr;
    if (!search_replay(config.schedule)) {
        snprintf(result->kind, sizeof result->kind, "schedule");
        result->failed = true;
        return;
    }
    static uint64_t stamp; // cells and buckets of earlier runs are not this one's
    execution = stamp;
    uint64_t first = stamp;
    scenario->setup();
    reached_reset();
    if (config.resume && config.state && search_load(config.state, result))
        result->resumed = result->executions + result->pruned;
    uint64_t limit = config.budget ? config.budget + result->resumed : UINT64_MAX;
    do {
        run_one();
        stamp = execution;
        if (result->failed)
            break;
        if (pruned) {
            result->pruned++;
        } else {
            result->executions++;
            finish_one();
            if (result->failed)
                break;
        }
        if (search_event_count() > result->events)
            result->events = search_event_count();
        if (search_point_count() > result->points)
            result->points = search_point_count();
        if (config.schedule)
            break;
        result->complete = !search_next();
    } while (!result->complete && result->executions + result->pruned < limit);
    if (config.state && (result->failed || result->complete))
        remove(config.state);
    else if (config.state && !search_save(config.state, result))
        fprintf(stderr, "explorer: %s cannot be written\n", config.state);
    if (result->failed)
        result->failed_at = execution - first;
}
