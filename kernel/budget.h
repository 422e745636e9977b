// SPDX-License-Identifier: MIT
//
// Budgets: how long what an account pays for may run on one CPU, in each period.
//
// A share is a part of a CPU, budget / period, carved out of the parent's share of that CPU as a
// limit is (the root's is the whole CPU). C1: the children's shares are at most the account's own.
// What an account itself may use in a period, its allotment, is its share less its children's. An
// account without a share draws on the nearest one above it that has one; without any such, it is
// not limited. So is what the root pays for.
//
// Periods follow each other without a gap from when the share was set. At the beginning of each the
// allotment is there anew: what was left is not kept, what was overdrawn is made up for first. More
// comes with the next period, less at once, and the first period is one of nothing: whoever moves
// shares to and fro gains no time. So in any window of length T an account runs for at most
// T / period + 2 allotments.
//
// C2: a thread runs only while its budget has something left. When that is used up, the thread is
// THROTTLED: in no run queue but on the budget's list, until the beginning of a period in which
// something is there. Operations are never throttled; the time that they take is the budget's of
// the account that pays for their object, which they may overdraw.
//
// The terms are guarded by the account's ledger, and may be set from anywhere. All that goes on
// belongs to the CPU: after a change of the terms the budget is posted to it, and it looks at them.
// So nothing on the way from one thread to the next takes a lock.
#pragma once

#include <lib/list.h>

#include "clock.h"
#include "counter.h"
#include "inbox.h"

struct account;
struct cpu;
struct object;
struct thread;

constexpr uint64_t BUDGET_WHOLE = 1ull << 32; // of a CPU
constexpr size_t BUDGET_BYTES = 256;
constexpr unsigned BUDGETS_PER_PAGE = PAGE_SIZE / BUDGET_BYTES;
constexpr unsigned BUDGET_PAGES_MAX = 64 / BUDGETS_PER_PAGE; // for CPUS_MAX

struct budget {
    struct post post;
    struct account *account;
    // Guarded by the account's ledger.
    uint64_t share, children; // of BUDGET_WHOLE; the sum of the children's
    uint32_t wanted_period_ns;
    bool posted; // the CPU has not looked at the terms yet
    bool in_use; // the CPU may touch it

    // The CPU's own.
    bool active;
    uint64_t allotment_ns, period_ns;
    int64_t left_ns;
    uint64_t next_ns; // when the next period begins
    uint64_t period_used_ns, throttled_since_ns;
    struct list throttled; // threads, by runnable.node
    struct deadline deadline;
    struct counter used_ns, high_ns, throttles, throttled_ns;
};
static_assert(sizeof(struct budget) <= BUDGET_BYTES);

// The account's budget of a CPU; nullptr: it has never had one. For whoever keeps the account from
// its end.
struct budget *budget_at(const struct account *account, uint32_t cpu);

// ---- on its CPU

// What an account draws on; nullptr: nothing limits it. For whoever keeps the account from its end.
struct budget *budget_of_account(const struct cpu *cpu, const struct account *account);

// What limits the thread on this CPU, where it is about to run; nullptr: nothing does. What an
// account draws on is looked for again only after a change of it on this CPU.
struct budget *budget_of_thread(struct cpu *cpu, struct thread *thread);

// Who pays for a step of an object's operation, or nullptr.
struct budget *budget_of_object(struct cpu *cpu, const struct object *object);

// Uses up the time from `from` to `to`, which is now.
void budget_charge(struct budget *budget, uint64_t from, uint64_t to);

// Whether a thread may run; if so, until when unless more comes.
[[nodiscard]] bool budget_lets_run(struct budget *budget, uint64_t now);
uint64_t budget_end(const struct budget *budget, uint64_t now);

// Puts a thread, ready and in no queue, aside until there is something left.
void budget_throttle(struct cpu *cpu, struct budget *budget, struct thread *thread, uint64_t now);

// Its deadline has come: threads go back to the run queue, a few at a time.
void budget_expired(struct cpu *cpu, struct budget *budget);

// Its terms have changed.
void budget_take(struct cpu *cpu, struct budget *budget);

// ---- the end of an account, when nothing else is left of it

enum step budgets_teardown(struct account *account);
