// SPDX-License-Identifier: MIT
//
// Waking and sleeping. First each pair of CPUs alone, with nothing else on the machine that could
// bring a CPU into the kernel by chance: a wake-up that is not delivered at once is late by
// seconds. Then, under load, a baton that goes round a ring of threads on all CPUs, each of which
// sleeps, waits with deadlines that race with the signal, and is cancelled and moved meanwhile.
#include "stress.h"

constexpr uint64_t PAIR_PRIORITY = 30;
constexpr uint32_t ROUNDS = 16;
// More than what is too late.
constexpr uint64_t PAIR_PATIENCE_NS = 3 * NS_PER_S, PATIENCE_NS = 40 * NS_PER_S;
constexpr uint64_t PAIRS_STILL_NS = 12 * NS_PER_S;
static_assert(PAIR_PATIENCE_NS > LATE_AT_REST_NS && PATIENCE_NS > LATE_NS);
static_assert(PAIRS_STILL_NS > 2 * PAIR_PATIENCE_NS);

void note_wake(uint64_t since_ns, enum figure latest, const char *what)
{
    uint64_t late = now_ns() - since_ns, most = board->figures[latest];
    while (late > most && !__c11_atomic_compare_exchange_weak(&board->figures[latest], &most, late,
                                                              __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    if (late >= (latest == LATEST_AT_REST_NS ? LATE_AT_REST_NS : LATE_NS))
        WRONG("lost wake-up: %s came %lu ms late", what, late / NS_PER_MS);
}

// ---- pairs

static event_t pair;
static _Atomic uint64_t signalled_ns;
enum pair_signal : uint32_t { THERE = 1, BACK = 2, OVER = 4 };

static void answer(struct worker *worker)
{
    uint32_t signals;
    for (;;) {
        sure(object_wait((handle_t){pair.value}, THERE, ABI_DEADLINE_NEVER, &signals), "waiting");
        note_wake(signalled_ns, LATEST_AT_REST_NS, "a signal to a CPU at rest");
        sure(event_clear(pair, THERE, &signals), "event_clear");
        signalled_ns = now_ns();
        sure(event_signal(pair, BACK), "event_signal");
        worker_turn(worker, 3);
        tally(WAKES, 1);
    }
}

// Called by a thread of root. The answer to a signal that was lost is not waited for: in the
// end, the deadline brings this thread's own CPU into the kernel, and the other may wait for ever.
static bool wake_and_wait(struct worker *worker)
{
    uint32_t signals;
    // Until the other one rests, too.
    sure(thread_sleep(now_ns() + NS_PER_MS / 8 + random_below(&worker->dice, NS_PER_MS / 4)),
         "sleep");
    signalled_ns = now_ns();
    sure(event_signal(pair, THERE), "event_signal");
    status_t status =
        object_wait((handle_t){pair.value}, BACK, now_ns() + PAIR_PATIENCE_NS, &signals);
    tally(SYSTEM_CALLS, 3);
    tally(WAKES, 1);
    if (status == STATUS_OK) {
        note_wake(signalled_ns, LATEST_AT_REST_NS, "a signal from a CPU just woken");
        sure(event_clear(pair, BACK, &signals), "event_clear");
    } else {
        WRONG("lost wake-up: no answer from another CPU (%s)", status_name(status));
    }
    return board->failed == 0;
}

static void all_pairs(struct worker *worker)
{
    uint32_t cpus = (uint32_t)board->cpus;
    struct worker *other = worker_start(answer, "answer", 0, PAIR_PRIORITY, 0);
    other->beat->name[0] = 0; // it rests for good afterwards
    for (uint32_t a = 0; a < cpus && board->failed == 0; a++)
        for (uint32_t b = 0; b < cpus && board->failed == 0; b++) {
            sure(thread_set_cpu(worker->self, a), "thread_set_cpu");
            sure(thread_set_cpu(other->self, b), "thread_set_cpu");
            for (uint32_t i = 0; i < ROUNDS && wake_and_wait(worker); i++) {}
        }
    worker->beat->name[0] = 0;
    // From root's own CPU, where no interrupt is needed for it.
    sure(thread_set_cpu(worker->self, 0), "thread_set_cpu");
    sure(event_signal(pair, OVER), "event_signal");
    sure(thread_sleep(ABI_DEADLINE_NEVER), "thread_sleep");
}

void pairs_check(void)
{
    sure(event_create(start.account, &pair), "event_create");
    worker_start(all_pairs, "pairs", 0, PAIR_PRIORITY, 0);
    // The two may be lost, too, where they are moved. A timer brings this CPU into the kernel: a
    // rare one.
    uint32_t signals;
    status_t status;
    uint64_t calls = 0;
    while ((status = object_wait((handle_t){pair.value}, OVER, now_ns() + PAIRS_STILL_NS,
                                 &signals)) == STATUS_TIMED_OUT) {
        if (board->figures[SYSTEM_CALLS] == calls) {
            WRONG("lost wake-up: the pairs stand still");
            return;
        }
        calls = board->figures[SYSTEM_CALLS];
    }
    sure(status, "object_wait");
}

// ---- the ring

static struct {
    event_t event; // bit 0: the baton is here
    _Atomic uint64_t passed_ns;
    struct worker *worker;
} ring[2 * CPUS_MOST];
static uint32_t ring_length;

static void pass_on(struct worker *worker)
{
    uint32_t next = (worker->number + 1) % ring_length;
    ring[next].passed_ns = now_ns();
    sure(event_signal(ring[next].event, 1), "event_signal");
}

// Waits for the baton. A deadline that passes, or a cancellation, must not lose it.
static void catch(struct worker *worker)
{
    uint32_t signals;
    for (;;) {
        bool hasty = random_below(&worker->dice, 4) == 0;
        uint64_t until = now_ns() + (hasty ? random_below(&worker->dice, NS_PER_MS) : PATIENCE_NS);
        status_t status =
            object_wait((handle_t){ring[worker->number].event.value}, 1, until, &signals);
        worker_turn(worker, 1);
        if (status == STATUS_OK)
            break;
        if (status != STATUS_TIMED_OUT && status != STATUS_CANCELLED)
            sure(status, "waiting for the baton");
        tally(status == STATUS_TIMED_OUT ? TIMEOUTS : CANCELS, 1);
        if (status == STATUS_TIMED_OUT && now_ns() < until)
            WRONG("a deadline passed too early");
    }
    note_wake(ring[worker->number].passed_ns, LATEST_WAKE_NS, "the baton");
    sure(event_clear(ring[worker->number].event, 1, &signals), "event_clear");
}

static void run_round(struct worker *worker)
{
    for (;;) {
        catch(worker);
        tally(WAKES, 1);
        if (random_below(&worker->dice, 16) == 0) {
            uint64_t until = now_ns() + random_below(&worker->dice, NS_PER_MS / 4);
            status_t status = thread_sleep(until);
            if (status == STATUS_OK && now_ns() < until)
                WRONG("a sleep ended early");
            else if (status == STATUS_CANCELLED)
                tally(CANCELS, 1);
        }
        uint32_t other = (uint32_t)random_below(&worker->dice, ring_length);
        if (random_below(&worker->dice, 8) == 0 && other != worker->number)
            (void)thread_cancel(ring[other].worker->self); // it may not be waiting
        if (random_below(&worker->dice, 16) == 0)
            move_somewhere(worker, ring[other].worker->self);
        worker_turn(worker, 2);
        pass_on(worker);
    }
}

void wakes_main(void)
{
    ring_length = 2 * (uint32_t)board->cpus;
    for (uint32_t i = 0; i < ring_length; i++)
        sure(event_create(start.account, &ring[i].event), "event_create");
    for (uint32_t i = 0; i < ring_length; i++)
        ring[i].worker =
            worker_start(run_round, "ring", i, LOAD_PRIORITY, i % (uint32_t)board->cpus);
    // As many batons as CPUs, so that waking and being woken happen on several at once.
    for (uint32_t i = 0; i < ring_length; i += 2) {
        ring[i].passed_ns = now_ns();
        sure(event_signal(ring[i].event, 1), "event_signal");
    }
    sure(thread_sleep(ABI_DEADLINE_NEVER), "thread_sleep");
}
