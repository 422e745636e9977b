// SPDX-License-Identifier: MIT
//
// A booted kernel on the simulated machine, and threads that make system calls in it.
//
// An actor is a thread with its process. Between two calls it is parked: it waits in a
// thread_sleep that never ends. CALL wakes it, makes the call through the real entry, and lets
// the machine run until nothing more happens: the actor is parked again, or waits in the call.
//
// For what happens in the middle, `hold` makes an actor the running thread and leaves it there,
// and HELD makes a call of it and stops at the kernel's exit: work of its priority and below
// stays where it is until `settle`.
#pragma once

#include <arch/arch.h>

#include "account.h"
#include "host.h"
#include "kernel_test.h"
#include "process.h"
#include "thread.h"
#include "vm.h"

struct outcome {
    status_t status; // STATUS_BLOCKED: it waits
    uint64_t value[4];
};

struct actor {
    struct thread *thread;
    struct object_ref ref;
    struct process *process;
    unsigned cpu;
    // In the boss's table.
    uint64_t process_handle, aspace_handle, thread_handle;
    // In its own, where `grant_own` put them.
    uint64_t account, own_process, own_aspace, own_thread;
    // What it does next and what came of the last call.
    bool go, fault, calling, parked, held;
    bool uses_fpu; // whenever it is in user mode, it puts new values into its FP registers
    uint64_t number, argument[6];
    struct abi_fault fault_report;
    struct outcome out;
};

constexpr unsigned ACTORS_MAX = 64;

extern struct world {
    struct account *root;
    unsigned cpus;
    struct actor *boss;                  // of the first process, which the root account pays for
    uint64_t root_account, machine, log; // handles of the boss
    struct actor actors[ACTORS_MAX];
    unsigned actor_count;
    // What the root account and the machine looked like when the world began.
    uint64_t pages_used, objects_used, frames_free, objects_free, contiguous;
} world;

struct world_options {
    size_t ram_bytes;        // 0: 64 MiB
    unsigned cpus;           // 0: one
    size_t contiguous_bytes; // the pool: multiples of 2 MiB
    bool dirty; // RAM holds anything at the start: not for world_check, which looks at all of it
    uint32_t asids;                   // 0: 15; UINT32_MAX: the machine has none
    const struct clock_source *clock; // nullptr: the simulated machine's, of 1 GHz
};
void world_begin(struct world_options options);

// A process with one thread, paid by the account that the boss's handle names; started and
// parked. It can use the account's, its process's, address space's and thread's handles.
struct actor *spawn(uint64_t account, uint8_t priority);
struct actor *spawn_on(unsigned cpu, uint64_t account, uint8_t priority);

// Another thread in an actor's process.
struct actor *spawn_thread(struct actor *of, uint8_t priority);
struct actor *spawn_thread_on(unsigned cpu, struct actor *of, uint8_t priority);

// A child account of the root's, as the boss's handle.
uint64_t new_account(uint64_t pages, uint64_t objects);

// Gives an actor a handle to what one of another actor's handles names.
uint64_t grant(struct actor *to, struct actor *from, uint64_t handle);
uint64_t grant_rights(struct actor *to, struct actor *from, uint64_t handle, uint32_t rights);

// Whether what a handle names is alive.
bool is_live(const struct actor *actor, uint64_t handle);

// The entry of a handle in its process's table; nullptr: no live or held handle has this value.
const struct handle_entry *handle_entry_of(const struct actor *actor, uint64_t handle);
// What a handle names, whatever its state; nullptr: nothing.
struct object *object_behind(const struct actor *actor, uint64_t handle);
struct account *account_behind(const struct actor *actor, uint64_t handle);

// ---- calls

struct outcome call_number(struct actor *actor, uint64_t number, const uint64_t arguments[6]);
struct outcome held_call(struct actor *actor, uint64_t number, const uint64_t arguments[6]);
uint64_t must_call(struct actor *actor, uint64_t number, const uint64_t arguments[6],
                   const char *file, int line);

#define ARGUMENTS(...) ((const uint64_t[6]){__VA_ARGS__})
#define CALL(actor, name, ...) call_number(actor, SYSCALL_##name, ARGUMENTS(__VA_ARGS__))
#define HELD(actor, name, ...) held_call(actor, SYSCALL_##name, ARGUMENTS(__VA_ARGS__))
// Expects OK; the first result.
#define MUST(actor, name, ...) \
    must_call(actor, SYSCALL_##name, ARGUMENTS(__VA_ARGS__), __FILE__, __LINE__)

void expect_status(status_t got, status_t wanted, const char *what, const char *file, int line);
#define EXPECT_STATUS(got, wanted) expect_status(got, STATUS_##wanted, #got, __FILE__, __LINE__)
#define EXPECT_CALL(wanted, actor, name, ...) \
    expect_status(CALL(actor, name, __VA_ARGS__).status, STATUS_##wanted, #name, __FILE__, __LINE__)

// Called, when set, as an actor enters with a call, and when what came of it stands in `out`.
extern void (*world_on_call)(const struct actor *actor),
    (*world_on_outcome)(const struct actor *actor);

// What came of a call that had to wait, if it is over.
bool has_ended(const struct actor *actor);
// Expects that it is over.
struct outcome ended(struct actor *actor);
bool is_dead(const struct actor *actor);

// Raises a fault as the actor, in user mode.
void raise_fault(struct actor *actor, enum abi_fault_cause cause, uint64_t address);

// The actor, which is held, fills its FP registers, each with another value. What it finds there is
// checked by the machine, whenever it is in user mode (host_fpu_check).
void fill_fpu(struct actor *actor);

// ---- letting the machine run

void settle(void);
void hold(struct actor *actor);
// Holds the actor as soon as the kernel's long operations have made so many steps; 0: no more.
void hold_after(struct actor *actor, unsigned steps);
unsigned steps_left(void); // until then; 0: it happened
void advance(uint64_t ns); // the clock, and what it causes

// As HELD, but the actor's CPU stops where it begins a function of the kernel, until `go_on`. What
// is called meanwhile runs on other CPUs alone.
void stopped_call(struct actor *actor, const void *function, uint64_t number,
                  const uint64_t arguments[6]);
#define STOPPED(actor, function, name, ...) \
    stopped_call(actor, (const void *)(function), SYSCALL_##name, ARGUMENTS(__VA_ARGS__))
struct outcome go_on(struct actor *actor);

// The same with an interrupt, which the actor's CPU takes.
void stopped_interrupt(struct actor *actor, const void *function);

// Runs a function in the kernel of a CPU, as an interrupt handler would be.
void on_cpu(unsigned cpu, void (*function)(void));

// ---- two CPUs at once

// Plans a call; `run_planned` makes all that are planned, the CPUs interleaved inside their
// entries in an order drawn from `random`, until nothing more happens.
void plan_call(struct actor *actor, uint64_t number, const uint64_t arguments[6]);
#define PLAN(actor, name, ...) plan_call(actor, SYSCALL_##name, ARGUMENTS(__VA_ARGS__))
void run_planned(struct random *random);

// Stops CPU 0 where it begins the kernel's `function` (nullptr: any) for the time of the `nth`, and calls
// `what` there: other CPUs do what that makes them do. One that needs a lock which CPU 0 has is BLOCKED
// until CPU 0 has gone on. The nth 0: not any more.
void meanwhile(void *function, unsigned nth, void (*what)(void));
bool meanwhile_happened(void);

// ---- shortages

// At the `nth` place from now on where the kernel can run out of something (RUNS_OUT) it does, once;
// 0: not any more.
void shortage_at(unsigned nth);
const char *shortage_happened(void); // what of; nullptr: that place was not reached

// ---- messages

void set_text(struct actor *actor, const char *text);
void set_handles(struct actor *actor, unsigned count, const uint64_t *handles);
const char *text_of(const struct actor *actor);
uint64_t handle_of(const struct actor *actor, unsigned index);

struct ends {
    uint64_t end0, end1;
};
// In `actor`'s table, paid by its account (the boss: the root account).
struct ends new_channel(struct actor *actor, uint64_t depth, uint64_t bytes, uint64_t handles,
                        uint64_t calls);

// ---- the whole system (kernel_check*.c)

// How many slots ever had an object: the first ones, since no other is taken while one is fresh.
uint32_t objects_ever(void);

// Checks all invariants that can be seen from outside, with nothing in progress.
void world_check(void);

// What the machine can still reach, as the devices see it: filled by tests of pins.
constexpr unsigned GHOSTS_MAX = 64;
extern struct ghost {
    uint64_t device;
    paddr_t page;
    bool live;
} ghosts[GHOSTS_MAX];
void ghost_add(uint64_t device, paddr_t page);
void ghost_quiet(uint64_t device);

// Destroys all accounts but the root's, ends the boss's handles, and expects everything back
// (A3). Then checks the whole system. The boss and its world can be used on.
void world_end(void);
// The same, with pins in quarantine until the device is quiet.
void world_end_after_quarantine(uint64_t device);
