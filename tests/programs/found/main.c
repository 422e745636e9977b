// SPDX-License-Identifier: MIT
//
// Carries out the plans that a search found to keep the kernel busy longest (plan.h), while a plugin
// of the emulator measures (tests/bench/entries_plugin.c), to which each is announced by mark_case.
//
//     case plan N
#include "plan.h"

#include <kit/kit.h>
#include <sdk/raw_syscall.h>

const char *const program_name = "found";

constexpr uint64_t PRIORITY = 30, WORKER_PRIORITY = 31; // above: each runs until it waits

static const struct {
    const char *what;
    unsigned count;
    struct plan_step steps[PLAN_STEPS_MAX];
} plans[] = {
#include "plans.inc"
};

[[gnu::noinline]] void mark_case(void);
void mark_case(void)
{
    __asm__ volatile("" ::: "memory");
}

// ---- the workers, and what the one that is woken is to do

static struct worker {
    event_t go;
    thread_t thread;
    volatile bool waits;
} workers[PLAN_WORKERS];

static struct {
    uint64_t number, argument[6], handles[ABI_MESSAGE_HANDLES];
    struct raw_result result;
} job;

static void work(void *argument)
{
    struct worker *worker = argument;
    uint32_t signals;
    for (;;) {
        // A plan may cancel it while it has nothing to do.
        while (object_wait((handle_t){worker->go.value}, 1, ABI_DEADLINE_NEVER, &signals) !=
               STATUS_OK) {}
        must(event_clear(worker->go, 1, &signals), "event_clear");
        for (unsigned i = 0; i < ABI_MESSAGE_HANDLES; i++)
            message_buffer()->handles[i] = job.handles[i];
        const uint64_t *a = job.argument;
        struct raw_result result = raw_syscall(job.number, a[0], a[1], a[2], a[3], a[4], a[5]);
        job.result = result;
        worker->waits = false;
    }
}

struct plan_result plan_syscall(unsigned who, uint64_t number, uint64_t a0, uint64_t a1,
                                uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct raw_result result;
    if (who == 0) {
        result = raw_syscall(number, a0, a1, a2, a3, a4, a5);
    } else {
        struct worker *worker = &workers[who - 1];
        job.number = number;
        const uint64_t arguments[] = {a0, a1, a2, a3, a4, a5};
        for (unsigned i = 0; i < 6; i++)
            job.argument[i] = arguments[i];
        worker->waits = true;
        must(event_signal(worker->go, 1), "event_signal");
        if (worker->waits)
            return (struct plan_result){.status = PLAN_WAITS};
        result = job.result;
    }
    return (struct plan_result){
        result.status, {result.value[0], result.value[1], result.value[2], result.value[3]}};
}

bool plan_waits(unsigned worker)
{
    return workers[worker - 1].waits;
}

uint64_t *plan_buffer_handles(unsigned who)
{
    return who == 0 ? message_buffer()->handles : job.handles;
}

uint64_t plan_now_ns(void)
{
    return now_ns();
}

void plan_sleep(uint64_t until_ns)
{
    must(thread_sleep(until_ns), "thread_sleep");
}

uint64_t plan_worker_thread(unsigned worker)
{
    return workers[worker - 1].thread.value;
}

void plan_begins(unsigned step)
{
    (void)step;
}

void child_main(void)
{
}

static event_t done;

static void carry_out(void *argument)
{
    (void)argument;
    plan_world = (struct plan_world){.account = start.account.value,
                                     .aspace = start.aspace.value,
                                     .machine = start.machine.value,
                                     .log = start.log.value};
    for (unsigned i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        say("case plan %u: %s", i + 1, plans[i].what);
        mark_case();
        plan_run(plans[i].steps, plans[i].count);
    }
    say("ok all plans");
    must(event_signal(done, 1), "event_signal");
}

void root_main(void)
{
    uint32_t signals;
    thread_t thread;
    must(event_create(start.account, &done), "event_create");
    for (unsigned i = 0; i < PLAN_WORKERS; i++) {
        must(event_create(start.account, &workers[i].go), "event_create");
        must(thread_spawn(work, &workers[i], WORKER_PRIORITY, &workers[i].thread), "thread_spawn");
    }
    must(thread_spawn(carry_out, nullptr, PRIORITY, &thread), "thread_spawn");
    must(object_wait((handle_t){done.value}, 1, ABI_DEADLINE_NEVER, &signals), "object_wait");
}
