// SPDX-License-Identifier: MIT
//
// Scenarios of the kernel: a world is set up as the unit tests do it (kernel_world.h), with one
// actor running on each CPU. Then each CPU is a model thread: in user mode it takes interrupts,
// now or later, and makes the system calls that its current thread has planned, through the
// kernel's real entries; a thread with nothing left to do sleeps for ever.
//
//   SCENARIO(name, .canary = "planted bug", .setup = setup, .finish = finish);
//
// At the end of each execution all CPUs idle with nothing pending; the scenario's finish looks at
// the results, and the whole system is checked (world_check).
#pragma once

#include "explore.h"
#include "kernel_world.h"

struct kernel_scenario {
    const char *name;
    const char *canary;      // the planted bug (SEEDED_BUG) that must be found
    const char *canary_kind; // how it must show; nullptr: in any way
    const char *finer;       // why results need not be those of some order of whole entries
    void (*setup)(void);
    void (*finish)(void);
    bool broadcasts; // TLB invalidation as on AArch64
    bool weak_only;  // the canary cannot be seen without weak memory
    bool random;     // too long for anything but chance: priorities and values at random
    bool raw;        // no kernel: setup and finish are all
    uint64_t budget; // executions at least, where its planted bug is found late
};

#define SCENARIO(identifier, ...)                                                       \
    static const struct kernel_scenario scenario_##identifier = {.name = #identifier,   \
                                                                 __VA_ARGS__};          \
    [[gnu::used, gnu::section("scenarios")]] static const struct kernel_scenario *const \
        scenario_pointer_##identifier = &scenario_##identifier

// ---- in setup, after which all that was planned happens

// A world of so many CPUs. Actors are made and prepared by the calls of kernel_world.h.
void begin_world(unsigned cpus);
void begin_world_with_blocks(unsigned cpus); // and 2 MiB of contiguous memory

// Makes the actor the one that runs on its CPU; the last thing for each CPU.
void runs(struct actor *actor);

void plan_step(struct actor *actor, uint64_t number, const uint64_t arguments[6]);
#define STEP(actor, name, ...) plan_step(actor, SYSCALL_##name, ARGUMENTS(__VA_ARGS__))

// User code reads, or writes, a byte: a fault, if there is none to handle it, kills.
void plan_access(struct actor *actor, uint64_t address, bool write);

// User code puts a value of its own into its FP registers.
void plan_fpu(struct actor *actor);

// User code faults; the step is over if it is resumed.
void plan_fault(struct actor *actor);

// The actor's CPU ends an object as the teardown of an account does, which ends everything that it
// pays for: whole, that is too long to be explored.
void plan_end(struct actor *actor, struct object *object);

// A device raises an interrupt line, whenever it likes, on CPU 0.
void plan_interrupt(uint32_t line);

// The clock reaches a time; timers of all CPUs may fire from then on.
void plan_time(uint64_t ns);

// ---- in finish

// Whether the n-th step of the actor is over; its outcome.
bool is_over(const struct actor *actor, unsigned step);
status_t status_of(const struct actor *actor, unsigned step);
uint64_t value_of(const struct actor *actor, unsigned step, unsigned index);

// The status of the call in which setup left the actor waiting.
bool has_woken(const struct actor *actor);
status_t woken_with(const struct actor *actor);

// Something that belongs to the outcome, besides what the calls have answered. Each outcome must be
// one that is found with one big lock around the kernel, too (whole.h).
void seen(uint64_t outcome);
