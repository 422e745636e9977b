// SPDX-License-Identifier: MIT
//
// The ticket lock behind lock.h, and the check of L1 in dev builds.
#include "lock.h"

#include <arch/arch.h>

#include "check.h"
#include "cpu.h"

void lock_init(struct spinlock *lock, enum lock_rank rank)
{
    *lock = (struct spinlock){.rank = rank};
}

#ifdef SKERRY_DEV
static void note_acquired(struct spinlock *lock)
{
    struct cpu *cpu = cpu_self();
    CHECK(L1, cpu->locks_held < CPU_LOCKS_MAX);
    cpu->locks[cpu->locks_held] = lock;
    cpu->lock_ranks[cpu->locks_held++] = lock->rank;
    lock->holder = (uint8_t)(cpu->number + 1);
}

// Locks may be released in another order than the reverse one: this one is taken out. Its rank may have
// changed: whoever finds its reference stale holds the lock of what is another object by now.
static void note_released(struct spinlock *lock)
{
    struct cpu *cpu = cpu_self();
    ASSERT(lock->holder == cpu->number + 1);
    lock->holder = 0;
    unsigned i = cpu->locks_held;
    while (cpu->locks[--i] != lock)
        ASSERT(i > 0);
    for (; i + 1 < cpu->locks_held; i++) {
        cpu->locks[i] = cpu->locks[i + 1];
        cpu->lock_ranks[i] = cpu->lock_ranks[i + 1];
    }
    cpu->locks_held--;
}

bool lock_in_order(enum lock_rank rank)
{
    const struct cpu *cpu = cpu_self();
    return cpu->locks_held == 0 || cpu->lock_ranks[cpu->locks_held - 1] < rank;
}
#else
static void note_acquired(struct spinlock *lock)
{
    (void)lock;
}

static void note_released(struct spinlock *lock)
{
    (void)lock;
}

bool lock_in_order(enum lock_rank rank)
{
    (void)rank;
    return true;
}
#endif

static uint16_t take_ticket(struct spinlock *lock)
{
    if (!SEEDED_BUG("lock tickets"))
        return atomic_fetch_add_explicit(&lock->next, 1, memory_order_relaxed);
    uint16_t ticket = atomic_load_explicit(&lock->next, memory_order_relaxed);
    atomic_store_explicit(&lock->next, (uint16_t)(ticket + 1), memory_order_relaxed);
    return ticket;
}

static void wait_for_turn(struct spinlock *lock, uint16_t ticket)
{
    // Pairs with the store in lock_release.
    while (atomic_load_explicit(&lock->serving, ORDER("weak acquire", memory_order_acquire)) !=
           ticket)
        arch_cpu_relax();
    note_acquired(lock);
}

void lock_acquire(struct spinlock *lock) NO_THREAD_SAFETY
{
    uint16_t ticket = take_ticket(lock);
    CHECK(L1, lock_in_order(lock->rank));
    wait_for_turn(lock, ticket);
}

bool lock_try(struct spinlock *lock) NO_THREAD_SAFETY
{
    // The ticket that is served at once, if nobody has it.
    uint16_t ticket = atomic_load_explicit(&lock->serving, memory_order_relaxed);
    uint16_t next = ticket;
    if (!atomic_compare_exchange_strong_explicit(&lock->next, &next, (uint16_t)(ticket + 1),
                                                 memory_order_relaxed, memory_order_relaxed))
        return false;
    wait_for_turn(lock, ticket);
    return true;
}

void lock_release(struct spinlock *lock) NO_THREAD_SAFETY
{
    note_released(lock);
    uint16_t serving = atomic_load_explicit(&lock->serving, memory_order_relaxed);
    atomic_store_explicit(&lock->serving, (uint16_t)(serving + 1),
                          ORDER("weak release", memory_order_release));
}

bool lock_held(const struct spinlock *lock)
{
    return !dev_build || lock->holder == cpu_self()->number + 1;
}
