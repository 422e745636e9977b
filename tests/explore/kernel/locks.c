// SPDX-License-Identifier: MIT
//
// The kernel's locks as one event each, so that what they protect can be explored. lock.c itself
// is explored by the scenarios of its own.
#include "lock.h"

#include <arch/arch.h>

#include "check.h"
#include "cpu.h"
#include "explore.h"

void lock_init(struct spinlock *lock, enum lock_rank rank)
{
    *lock = (struct spinlock){.rank = rank};
}

// What a CPU holds is its own, and no event.
#define UNSEEN [[clang::no_sanitize("thread")]]

UNSEEN bool lock_in_order(enum lock_rank rank)
{
    const struct cpu *cpu = cpu_self();
    return cpu->locks_held == 0 || cpu->lock_ranks[cpu->locks_held - 1] < rank;
}

UNSEEN static void note_acquired(const struct spinlock *lock)
{
    struct cpu *cpu = cpu_self();
    cpu->locks[cpu->locks_held] = lock;
    cpu->lock_ranks[cpu->locks_held++] = lock->rank;
}

UNSEEN static void note_released(const struct spinlock *lock)
{
    struct cpu *cpu = cpu_self();
    unsigned i = cpu->locks_held;
    while (cpu->locks[--i] != lock)
        EXPLORE_CHECK(i > 0);
    for (; i + 1 < cpu->locks_held; i++) {
        cpu->locks[i] = cpu->locks[i + 1];
        cpu->lock_ranks[i] = cpu->lock_ranks[i + 1];
    }
    cpu->locks_held--;
}

UNSEEN static void check_rank(const struct spinlock *lock)
{
    CHECK(L1, lock_in_order(lock->rank));
}

// The rank is looked at when the lock is there: in any order that leads here, the slot may have
// become another object's.
void lock_acquire(struct spinlock *lock) NO_THREAD_SAFETY
{
    explore_lock_at(lock, __builtin_return_address(0));
    check_rank(lock);
    note_acquired(lock);
}

void lock_release(struct spinlock *lock) NO_THREAD_SAFETY
{
    note_released(lock);
    explore_unlock_at(lock, __builtin_return_address(0));
}

// Waits instead: what a slot is used for by now is released, too, and then found to be another.
bool lock_try(struct spinlock *lock) NO_THREAD_SAFETY
{
    explore_lock_at(lock, __builtin_return_address(0));
    note_acquired(lock);
    return true;
}

UNSEEN bool lock_held(const struct spinlock *lock)
{
    const struct cpu *cpu = cpu_self();
    for (unsigned i = 0; i < cpu->locks_held; i++)
        if (cpu->locks[i] == lock)
            return true;
    return false;
}
