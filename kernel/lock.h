// SPDX-License-Identifier: MIT
//
// A fair spinlock with a rank. Locks are taken in rising rank, so that no circle of waiters can
// form (L1); two of the same rank are never held together. None is held across a wait: a thread
// that waits is a state and a queue node, nothing on a stack.
//
// Release pairs with the next holder's acquire: what is written under the lock is seen under it.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#if defined(__clang__)
#define TSA(x) __attribute__((x))
#else
#define TSA(x)
#endif
#define GUARDED_BY(lock) TSA(guarded_by(lock))
#define REQUIRES(...) TSA(requires_capability(__VA_ARGS__))
#define ACQUIRE(...) TSA(acquire_capability(__VA_ARGS__))
#define RELEASE(...) TSA(release_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) TSA(try_acquire_capability(__VA_ARGS__))
// Where the analysis cannot follow: an object that nobody else sees yet, a lock reached under two
// names (channel->object and ref.object), a lock that is held or not by what a pointer says. Dev
// builds check ranks and holders there all the same.
#define NO_THREAD_SAFETY TSA(no_thread_safety_analysis)

enum lock_rank : uint8_t {
    RANK_NONE,
    RANK_OBJECT,     // the header of any object that is not named below
    RANK_ASPACE,     // an address space: its tree of mappings, its page table
    RANK_VMO,        // a VMO: its mappings, the counts of its frames
    RANK_PORT,       // a port: bindings and pending list
    RANK_HANDLES,    // a process: handle table, thread list
    RANK_QUARANTINE, // pins in quarantine, and who pays for each
    RANK_ACCOUNT,    // an account: its ledger
    RANK_BLOCKS,     // contiguous memory: every account's blocks and figures of it
    RANK_MACHINE,    // what is minted
    RANK_IRQ,        // the interrupt controller and whose each line is
    RANK_FRAMES,     // the free frames
    RANK_SLOTS,      // the free object slots
    RANK_TIMERS,     // a CPU's deadlines
    RANK_LOG,
};

struct TSA(capability("spinlock")) spinlock {
    _Atomic uint16_t next, serving;
    enum lock_rank rank;
    uint8_t holder; // CPU + 1 in dev builds, 0: free
};

void lock_init(struct spinlock *lock, enum lock_rank rank);
void lock_acquire(struct spinlock *lock) ACQUIRE(lock);
void lock_release(struct spinlock *lock) RELEASE(lock);

// Takes the lock if it is free just now. Waits for nobody, so it may be tried in any order: its rank
// is not looked at.
[[nodiscard]] bool lock_try(struct spinlock *lock) TRY_ACQUIRE(true, lock);

// For assertions: this CPU holds the lock. Always true in release builds.
bool lock_held(const struct spinlock *lock);

// For assertions: this CPU holds no lock, or only locks of a lower rank.
bool lock_in_order(enum lock_rank rank);
