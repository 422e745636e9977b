// SPDX-License-Identifier: MIT
// build: fp
//
// FP and vector registers are a thread's own: threads of two processes, on all CPUs, fill all of them
// with patterns of their own, and yield, sleep, wait, move, or are preempted with them; what they find
// then must be what they left. Threads that come to use them late must find them clean. On the
// command line: seed=, rounds= of each thread.
#include <kit/kit.h>

#include "registers.h"

const char *const program_name = "fpu";

constexpr unsigned THREADS = 4, FRESH = 6; // of each process; the fresh ones come one after another
constexpr uint64_t PRIORITY = 20;
enum signal : uint32_t { DONE = 1, WRONG = 2 };

struct worker {
    uint32_t number;
    struct random dice;
    thread_t self;
    uint64_t rounds, wrong;
    double sum;
    struct registers in, out;
    _Atomic bool ready, done;
};
static struct worker workers[THREADS + FRESH];
static uint64_t cpus, rounds, process;
static event_t event; // nobody signals it

// One system call, with the registers full.
static uint64_t one_call(struct worker *worker)
{
    const uint64_t soon = now_ns() + random_below(&worker->dice, 200'000);
    const uint64_t spins = random_below(&worker->dice, 16) == 0 ? 300'000 : 100;
    uint64_t number = SYSCALL_THREAD_YIELD, argument0 = 0, argument1 = 0;
    switch (random_below(&worker->dice, 4)) {
    case 0:
        number = SYSCALL_THREAD_SLEEP;
        argument0 = soon;
        break;
    case 1:
        number = SYSCALL_THREAD_SET_CPU;
        argument0 = worker->self.value;
        argument1 = random_below(&worker->dice, cpus);
        break;
    case 2:
        number = SYSCALL_EVENT_SIGNAL; // wakes nobody
        argument0 = event.value;
        argument1 = 1;
        break;
    default:
        break;
    }
    return registers_through(&worker->in, &worker->out, number, argument0, argument1, spins);
}

static void work(void *argument)
{
    struct worker *worker = argument;
    while (!worker->ready)
        (void)thread_yield();
    registers_find(&worker->in);
    for (; worker->rounds < rounds; worker->rounds++) {
        registers_fill(&worker->in, &worker->dice);
        worker->out.wide = worker->in.wide;
        const uint64_t status = one_call(worker);
        worker->sum += 1.0 / (double)(worker->rounds + 1); // what a compiler makes of FP
        if (status == STATUS_OK && memcmp(&worker->in, &worker->out, sizeof(worker->in)) == 0)
            continue;
        if (worker->wrong++ == 0) {
            uint64_t at = 0;
            while (at < sizeof(worker->in) - 1 &&
                   ((const uint8_t *)&worker->in)[at] == ((const uint8_t *)&worker->out)[at])
                at++;
            failed("process %lu thread %u round %lu: status %lu, byte %lu differs", process,
                   worker->number, worker->rounds, status, at);
        }
    }
    double expected = 0;
    for (uint64_t i = 0; i < rounds; i++)
        expected += 1.0 / (double)(i + 1);
    if (worker->sum != expected) {
        worker->wrong++;
        failed("process %lu thread %u: a sum is wrong", process, worker->number);
    }
    worker->done = true;
    (void)thread_sleep(ABI_DEADLINE_NEVER);
}

// Lives among the others for a while before its first FP instruction.
static void come_late(void *argument)
{
    struct worker *worker = argument;
    while (!worker->ready)
        (void)thread_yield();
    for (unsigned i = 0; i < 5; i++) {
        (void)thread_sleep(now_ns() + 300'000);
        (void)thread_yield();
    }
    registers_store(&worker->out);
    worker->done = true;
    (void)thread_sleep(ABI_DEADLINE_NEVER);
}

static void start_worker(struct worker *worker, void (*function)(void *), uint32_t number)
{
    worker->number = number;
    worker->dice.state = command_line_number("seed", 1) * 1000 + process * 100 + number;
    must(thread_spawn(function, worker, PRIORITY, &worker->self), "thread_spawn");
    must(thread_set_cpu(worker->self, number % cpus), "thread_set_cpu");
    worker->ready = true;
}

static void wait_for(const struct worker *worker)
{
    while (!worker->done)
        must(thread_sleep(now_ns() + NS_PER_MS), "thread_sleep");
}

static bool is_clean(const struct registers *got)
{
    if (got->control != registers_initial_control())
        return false;
    for (unsigned i = 0; i < REGISTER_BYTES; i++)
        if (got->vectors[i] != 0)
            return false;
    return true;
}

static void run(void)
{
    must(event_create(start.account, &event), "event_create");
    for (uint32_t i = 0; i < THREADS; i++)
        start_worker(&workers[i], work, i);
    for (uint32_t i = THREADS; i < THREADS + FRESH; i++) {
        registers_find(&workers[i].out);
        memset(workers[i].out.vectors, 0, REGISTER_BYTES);
        start_worker(&workers[i], come_late, i);
        wait_for(&workers[i]);
        if (!is_clean(&workers[i].out))
            failed("process %lu: the registers are not clean at first use", process);
    }
    uint64_t calls = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        wait_for(&workers[i]);
        calls += workers[i].rounds;
        failures += workers[i].wrong != 0;
    }
    say("%s process %lu: %lu calls with full registers%s, %u first uses",
        failures ? "wrong in" : "ok", process, calls, workers[0].in.wide ? " (AVX)" : "", FRESH);
}

void root_main(void)
{
    uint64_t bytes;
    must(machine_info(start.machine, &bytes), "machine_info");
    cpus = ((const struct abi_machine_info *)message_buffer()->data)->cpus;
    rounds = command_line_number("rounds", 1000);
    event_t over;
    must(event_create(start.account, &over), "event_create");
    const struct child_spec spec = {
        .name = "other",
        .pages = 2048,
        .objects = 100,
        .priority = PRIORITY,
        .machine_rights = RIGHTS_MACHINE,
        .no_exceptions = true,
        .extra = {over.value},
        .extra_rights = RIGHT_SIGNAL,
        .words = {cpus, rounds},
    };
    struct child child;
    must(child_create(&child, &spec), "child_create");
    process = 1;
    run();
    uint32_t signals;
    must(object_wait((handle_t){over.value}, DONE | WRONG, now_ns() + 60 * NS_PER_S, &signals),
         "waiting for the other process");
    if ((signals & WRONG) != 0)
        failed("the other process has failed");
    child_end(&child);
}

void child_main(void)
{
    cpus = child_start.words[0];
    rounds = child_start.words[1];
    process = 2;
    run();
    must(event_signal((event_t){child_start.extra.value}, failures != 0 ? WRONG : DONE),
         "event_signal");
    (void)thread_sleep(ABI_DEADLINE_NEVER);
}
