// SPDX-License-Identifier: MIT
//
// What the parts of the explorer share. One execution: threads (run.c) make operations; memory.c
// says what each may read and where each may write; race.c watches plain accesses and remembers
// what memory was; search.c keeps the path of decisions and finds what is still to be tried.
#pragma once

#include <setjmp.h>

#include "explore.h"

constexpr unsigned THREADS = EXPLORE_THREADS;
constexpr unsigned EVENTS_MAX = 20000;
constexpr unsigned LOCATIONS_MAX = 2048;
constexpr unsigned STORES_MAX = 20000;
constexpr unsigned CHOICES_MAX = 64;

enum operation_kind : uint8_t {
    OP_NONE,
    OP_LOAD,
    OP_STORE,
    OP_RMW, // exchange, fetch-and-...
    OP_CAS,
    OP_FENCE,
    OP_LOCK,
    OP_UNLOCK,
    OP_CHOOSE,
    OP_WAIT,
};

enum rmw : uint8_t { RMW_EXCHANGE, RMW_ADD, RMW_SUB, RMW_AND, RMW_OR, RMW_XOR, RMW_NAND };

// Of one thread: what it wants to do next. Results come back in it.
struct operation {
    enum operation_kind kind;
    enum rmw rmw;
    uint8_t size;
    uint8_t order, failure_order; // __ATOMIC_...
    unsigned choices;             // OP_CHOOSE
    uintptr_t address;
    uintptr_t pc;
    uint64_t value, expected;
    // Results.
    uint64_t old;
    bool success;
    unsigned chosen;
};

// ---- run.c

enum thread_state : uint8_t { THREAD_ABSENT, THREAD_READY, THREAD_BLOCKED, THREAD_ENDED };

struct model_thread {
    const char *name;
    void (*function)(void *);
    void *argument;
    enum thread_state state;
    struct operation op;
};

extern struct model_thread threads[THREADS];
extern unsigned thread_count;
extern unsigned current; // THREADS: outside of model threads
extern bool exploring;   // an execution runs: accesses are the model's
extern struct explore_config config;
extern uint64_t execution; // number of this one, from 1

void operation_perform(struct operation *op);
bool is_own_stack(uintptr_t address);  // of the model thread that runs
[[noreturn]] void execution_end(void); // from inside a model thread
void run_execution(const struct explore_scenario *scenario);

// ---- memory.c

void memory_reset(void);
// How many outcomes the thread's next operation has now. `mark`: an event + 1; reading a store
// from before it was tried already. 0: nothing was.
unsigned memory_choices(unsigned thread, uint32_t mark);
void memory_perform(unsigned thread, unsigned choice, uint32_t mark);
extern unsigned memory_plain_choice; // of the last outcome: its number with nothing left out
void memory_written_plainly(uintptr_t address, size_t bytes);
// Whether the operation of a ready thread can be done now: the lock is free, the flag is set.
bool memory_enabled(unsigned thread);
// At a turn of a waiting loop.
enum turn : uint8_t {
    TURN_GOES_ON, // it was the first, or did more than wait
    TURN_WAITS,   // for a newer store
    TURN_STALE,   // something that was read is not the newest: the same without this turn is shown
} memory_turn(unsigned thread);
void memory_thread_start(unsigned thread);
unsigned memory_thread_clock(unsigned thread); // for race.c: synchronisation
const uint16_t *memory_thread_clocks(unsigned thread);

// ---- race.c

void race_reset(void); // and memory as it was
void race_plain(uintptr_t address, size_t bytes, bool write, uintptr_t pc);
void race_atomic(uintptr_t address, size_t bytes, bool write, uintptr_t pc);
bool is_ignored(uintptr_t address);
void save_memory(uintptr_t address, size_t bytes); // before it changes

// ---- reached.c

void reached_reset(void);
void note_access(uintptr_t pc);
void note_operation(uintptr_t pc);

// ---- search.c

void search_reset(void); // for another scenario
void search_begin(void); // for another execution
bool search_next(void);  // false: nothing is left
// Which thread goes on, and its outcome's number; THREADS: none may.
unsigned search_pick(unsigned *choice, uint32_t *mark);
// What has just been done by `thread`, for the finding of races in the order.
struct conflict {
    unsigned thread;
    enum operation_kind kind;
    uint16_t location; // of atomics and locks
    bool reads, writes, symmetric;
    bool might_write; // a compare that failed: in another order it may not
    int from; // the event whose store was read, or whose unlock made this lock free; -1: none
};
void search_performed(const struct conflict *conflict);
// A turn of a waiting loop. `waits`: the thread's reads since the last one never happened.
void search_turn(unsigned thread, bool waits);
bool search_is_void(unsigned event);
unsigned search_event_count(void);
unsigned search_point_count(void);
void search_describe(char *out, size_t size);
bool search_replay(const char *schedule);
bool search_save(const char *file, const struct explore_result *result);
bool search_load(const char *file, struct explore_result *result); // false: not of this search

// ---- report.c

void trace_event(unsigned thread, const struct operation *op, const char *detail);
