// SPDX-License-Identifier: MIT
//
// The inbox of a CPU: what others want of it. A post is a node embedded in what it is about, in
// at most one inbox at a time; whoever may post it is decided before (a thread's request mask, an
// operation's phase, a ticket's last answer). Posting never fails, never waits and needs no
// memory; whoever finds the inbox empty interrupts its CPU (cpu_interrupt).
//
// What is written before a post is seen by whoever takes it. Posts are handled in the order in
// which they came, at the end of an entry, at most CPU_BATCH in one.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct cpu;

enum post_kind : uint8_t { POST_THREAD, POST_OPERATION, POST_TICKET, POST_BUDGET };

struct post {
    struct post *next;
    enum post_kind kind;
};

struct inbox {
    _Atomic(struct post *) head; // last in, first out; taken whole and reversed
    struct post *taken;          // the CPU's own: taken, in order, not handled yet
};

void inbox_post(struct cpu *cpu, struct post *post);

// Whether something waits in the calling CPU's own inbox.
static inline bool inbox_waiting(const struct inbox *inbox)
{
    return inbox->taken || atomic_load_explicit(&inbox->head, memory_order_relaxed) != nullptr;
}

// Handles what others posted, on the CPU itself.
void inbox_drain(struct cpu *cpu);
