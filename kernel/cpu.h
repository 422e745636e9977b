// SPDX-License-Identifier: MIT
//
// What each CPU owns: its current thread, its run queue, its inbox, its deadlines, its figures.
//
// No other CPU touches a run queue or a current thread, so they have no lock. Another CPU that
// has something for a thread or an operation posts it to the inbox of its home CPU (inbox.h). The
// deadlines have a ranked lock that any CPU may take, so that setting and cancelling are
// synchronous. Figures are written by their CPU and may be read by all.
#pragma once

#include <arch/arch.h>
#include <lib/tree.h>

#include "counter.h"
#include "inbox.h"
#include "object.h"
#include "tlb.h"

constexpr unsigned CPUS_MAX = 64; // one bit each in a word
constexpr unsigned CPU_LOCKS_MAX = 8;

// At most this many inbox items and expired deadlines are handled in one entry.
constexpr unsigned CPU_BATCH = 16;

struct aspace;
struct budget;

enum cpu_arrival : uint8_t {
    CPU_COMING,   // told to start
    CPU_ARRIVED,  // sets itself up
    CPU_GIVEN_UP, // did not arrive in time: stops if it does
    CPU_RUNS,
    CPU_REFUSED, // cannot be used
};

struct cpu {
    struct arch_percpu arch; // first: entry code finds it
    uint32_t number;
    _Atomic uint8_t arrival; // enum cpu_arrival; of all but the boot CPU
    const char *refusal;
    uint64_t hardware_id;

    struct aspace *aspace;  // whose translations are loaded; nullptr: the kernel only
    struct thread *current; // whose registers the next entry from user mode saves; may be nullptr
    struct arch_fpu *fpu;   // where its FP registers go, which are on; nullptr: they are off (F1)
    uint8_t priority;       // of the thread or operation that runs

    uint64_t interrupts_due; // bit i: CPU i is to be interrupted (cpu_interrupt)

    uint64_t ready_mask; // bit p: ready[p] is not empty
    struct list ready[ABI_PRIORITIES];

    struct spinlock timers_lock;
    struct tree timers GUARDED_BY(&timers_lock);
    _Atomic uint64_t first_ns; // the first deadline, or UINT64_MAX; written under the lock
    uint64_t last_now_ns;      // dev builds: T1
    uint64_t armed_ns;         // what the hardware timer is set for
    uint64_t slice_end_ns;

    uint64_t budget_epoch;   // moves when other budgets are active; no two CPUs' are ever the same
    uint32_t active_budgets; // of this CPU
    struct budget *budget;   // what limits the current thread; nullptr: nothing does
    uint64_t budget_end_ns;  // when it is used up; UINT64_MAX: nothing limits
    uint64_t promised;       // of BUDGET_WHOLE; guarded by the root account's ledger

    uint64_t switched_ns; // when the current thread, or idling, began
    struct counter idle_ns,
        idle_since_ns; // since when it idles now, not counted yet; 0: it does not
    struct counter switches, device_interrupts, timer_interrupts, spurious;
    struct counter asked, posts, flushes; // interrupts by other CPUs, and what they wanted

    unsigned locks_held; // dev builds
    const struct spinlock *locks[CPU_LOCKS_MAX];
    enum lock_rank lock_ranks[CPU_LOCKS_MAX]; // as they were when the locks were taken

    // What other CPUs write: a cache line of it is not the CPU's own, so nothing else is in it.
    alignas(64) struct inbox inbox;
    struct tlb_requests flush_requests;
    struct tlb_ticket flush_ticket;
};

extern struct cpu *cpus[CPUS_MAX]; // those that run, in order; none ever goes
uint32_t cpu_count(void);

// Counts one more CPU, `number` (the next), which from now on takes posts.
void cpu_announce(struct cpu *cpu);

static inline uint64_t cpu_bit(const struct cpu *cpu)
{
    return 1ull << cpu->number;
}

static inline struct cpu *cpu_self(void)
{
    return (struct cpu *)(void *)arch_cpu_self();
}

void cpu_init(struct cpu *cpu, uint32_t number);

// Interrupts another CPU as soon as this one holds no lock, before the end of its entry. L1: what
// the other does first is often to take the lock under which it was woken. If the holder of that
// lock loses its processor to it, in a virtual machine, both wait for a slice of the host's time.
void cpu_interrupt(const struct cpu *cpu);

// Everything but the first process and the other CPUs: `cpu` is the calling one, initialised.
// Returns the root account, which owns all memory and objects that are left.
struct account;
struct boot_info;
struct account *kernel_setup(struct cpu *cpu, const struct boot_info *boot);

// Starts the other CPUs that the firmware lists (smp.c). Those that do not answer are left out.
void smp_carve(const struct boot_info *boot); // takes the memory for them
void smp_start(const struct boot_info *boot);

// ---- run queue: called on the CPU itself (sched.c)

void sched_enqueue(struct cpu *cpu, struct runnable *runnable, bool front);
void sched_dequeue(struct cpu *cpu,
                   struct runnable *runnable); // a thread: or off its budget's list

// Charges the time since it was charged last to whoever runs. Returns the time.
uint64_t sched_charge(struct cpu *cpu);

// Charges a budget for a part of that time, in which something was done for its account.
void sched_charge_other(struct cpu *cpu, struct budget *budget, uint64_t from, uint64_t to);

// What limits the current thread, or by how much, may have changed.
void sched_budget_changed(struct cpu *cpu);

// The priority of what runs on this CPU: what it causes is done at that priority.
static inline uint8_t sched_priority(void)
{
    return cpu_self()->priority;
}

// The current thread uses FP registers from now on, beginning with clean ones.
void sched_use_fpu(struct cpu *cpu);

// The end of every entry: runs operations, picks the thread to run and returns its context.
struct arch_context *sched_exit(struct cpu *cpu);
