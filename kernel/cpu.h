// SPDX-License-Identifier: MIT
//
// What each CPU owns: its current thread, its run queue, its inbox, its deadlines, its figures.
//
// No other CPU touches a run queue or a current thread, so they have no lock. Another CPU that
// has something for a thread sets a bit in the thread's request mask and, if it was the first,
// posts the thread's one inbox node to its home CPU (thread.h). The deadlines have a ranked lock
// that any CPU may take, so that setting and cancelling are synchronous.
#pragma once

#include <arch/arch.h>
#include <lib/tree.h>

#include "object.h"

constexpr unsigned CPUS_MAX = 8;
constexpr unsigned CPU_LOCKS_MAX = 8;

// At most this many inbox items and expired deadlines are handled in one entry.
constexpr unsigned CPU_BATCH = 16;

struct aspace;

struct cpu {
    struct arch_percpu arch; // first: entry code finds it
    uint32_t number;

    struct aspace *aspace;  // whose translations are loaded; nullptr: the kernel only
    struct thread *current; // whose registers the next entry from user mode saves; may be nullptr
    uint8_t priority;       // of the thread or operation that runs
    bool idle;

    uint64_t ready_mask; // bit p: ready[p] is not empty
    struct list ready[ABI_PRIORITIES];

    _Atomic(struct thread *) inbox; // last in, first out; taken whole and reversed

    struct spinlock timers_lock;
    struct tree timers GUARDED_BY(&timers_lock);
    uint64_t last_now_ns; // dev builds: T1
    uint64_t armed_ns;    // what the hardware timer is set for
    uint64_t slice_end_ns;

    uint64_t switched_ns; // when the current thread, or idling, began
    uint64_t idle_ns;
    uint64_t switches;
    uint64_t interrupts, spurious;

    unsigned locks_held; // dev builds
    enum lock_rank lock_ranks[CPU_LOCKS_MAX];
};

extern struct cpu cpus[CPUS_MAX]; // start-up uses the first

static inline struct cpu *cpu_self(void)
{
    return (struct cpu *)(void *)arch_cpu_self();
}

void cpu_init(struct cpu *cpu, uint32_t number);

// Everything but the first process: `cpu` is the calling one, initialised. Returns the root
// account, which owns all memory and objects that are left.
struct account;
struct boot_info;
struct account *kernel_setup(struct cpu *cpu, const struct boot_info *boot);

// ---- run queue: called on the CPU itself (sched.c)

void sched_enqueue(struct cpu *cpu, struct runnable *runnable, bool front);
void sched_dequeue(struct cpu *cpu, struct runnable *runnable);

// The priority of what runs on this CPU: what it causes is done at that priority.
static inline uint8_t sched_priority(void)
{
    return cpu_self()->priority;
}

// The end of every entry: runs operations, picks the thread to run and returns its context.
struct arch_context *sched_exit(struct cpu *cpu);
