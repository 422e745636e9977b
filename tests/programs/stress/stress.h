// SPDX-License-Identifier: MIT
//
// Many CPUs under load. What the parts share:
//
//   main.c     root: starts the others, watches them, takes their faults, compares the accounts
//   memory.c   two processes that replace pages under readers on other CPUs
//   calls.c    calls, messages and handles between threads on all pairs of CPUs
//   wakes.c    signals round a ring of CPUs, against deadlines and cancellations
//   victims.c  processes that are killed in the middle of all of this
//
// Every thread moves itself and others from CPU to CPU, waits for something most of the time, and
// checks what it gets. Randomness is by thread, from one seed; the order in which CPUs meet is
// the machine's.
//
// The board is a page or two that all processes share: figures, and a beat for each thread that
// must go on. Root looks at the beats: one that stands still is a wake-up that was lost.
#pragma once

#include <kit/kit.h>

enum part : uint64_t { PART_MEMORY, PART_CALLS, PART_WAKES, PART_VICTIM };

// What is counted, by everybody.
enum figure : uint32_t {
    SYSTEM_CALLS,
    CALLS_ANSWERED, // calls over a channel that got their checked reply
    MESSAGES_SENT,
    HANDLES_MOVED,
    PAGES_REPLACED, // unmapped, let go of, and another frame mapped in the place
    PAGES_READ,
    FAULTS, // readers that found nothing mapped
    WAKES,
    TIMEOUTS,
    CANCELS,
    MOVES,
    THREADS_KILLED,
    PROCESSES_KILLED,
    DEAD_CALLERS, // replies to callers that had gone
    DEAD_SERVERS, // calls whose server had gone
    LATEST_WAKE_NS,
    LATEST_AT_REST_NS, // of the pairs
    FIGURES,
};

// All of the load is of one priority, so that nothing starves.
constexpr uint64_t LOAD_PRIORITY = 20;

constexpr unsigned CPUS_MOST = 8, BEATS = 64, NAME_BYTES = 24;

struct beat {
    _Atomic uint64_t count;
    char name[NAME_BYTES]; // "": unused
};

struct board {
    uint64_t seed, cpus;
    _Atomic bool ending; // root destroys the parts: from now on their calls may fail
    _Atomic uint32_t failed, beats_used;
    _Atomic uint64_t figures[FIGURES];
    struct beat beats[BEATS];
};

extern struct board *board;
extern vmo_t board_vmo; // root's

static inline void tally(enum figure figure, uint64_t amount)
{
    __c11_atomic_fetch_add(&board->figures[figure], amount, __ATOMIC_RELAXED);
}

// Says what was wrong, once or a few times, and has root end the run: which it does as soon as it is
// counted, so that it is said before.
#define WRONG(...)                                                         \
    do {                                                                   \
        if (__c11_atomic_load(&board->failed, __ATOMIC_RELAXED) < 8)       \
            failed(__VA_ARGS__);                                           \
        (void)__c11_atomic_fetch_add(&board->failed, 1, __ATOMIC_RELAXED); \
    } while (0)

// For a call that can only fail because its process is being destroyed: then the caller waits for
// its end.
void sure(status_t status, const char *what);

// A thread of the load: its own dice, its own handle to move itself by.
struct worker {
    thread_t self;
    uint32_t number;
    _Atomic bool ready; // `self` is filled in
    struct random dice;
    struct beat *beat;
};

// Starts `function` with a struct worker as its argument, on CPU `cpu`.
struct worker *worker_start(void (*function)(struct worker *), const char *name, uint32_t number,
                            uint64_t priority, uint32_t cpu);

// Counts one turn of the thread, which made so many system calls.
void worker_turn(struct worker *worker, uint64_t system_calls);

// Moves a thread to any CPU.
void move_somewhere(struct worker *worker, thread_t thread);

// How late a wake-up may come on a machine at rest, and under load, where it waits for its turn.
// Time is the host's, which may have a lot to do; where it is virtual, LATEST_AT_REST_NS says more.
constexpr uint64_t LATE_AT_REST_NS = 2 * NS_PER_S, LATE_NS = 30 * NS_PER_S;
void note_wake(uint64_t since_ns, enum figure latest, const char *what);

void board_map(vmo_t vmo);

void memory_main(uint64_t owner);
bool memory_fault_is_expected(uint64_t address);
void calls_main(void);
void wakes_main(void);
void pairs_check(void);
void victim_main(void);

// In root: makes the threads that will kill; lets them; has them end what they are at.
void victims_start(void);
void victims_go(void);
void victims_stop(void);
