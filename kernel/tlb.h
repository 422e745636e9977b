// SPDX-License-Identifier: MIT
//
// Flushing translations that other CPUs may hold, where the processor does not do it (x86_64),
// and making CPUs leave an address space that ends (everywhere). No CPU ever waits for another.
//
// Each address space has a mask of the CPUs that may hold its translations. A CPU sets its bit,
// fences, and loads the root, which forgets everything that it held; it clears its bit after it
// has loaded another. Whoever unmaps clears the entries, fences, and reads the mask: a CPU that
// is not in it walks the table only after its own fence, and sees them cleared.
//
// Those in the mask are asked by a round of the unmapping CPU's one ticket: a bit in each CPU's
// requests, and an interrupt. A CPU that answers flushes all and counts the ticket down; the last
// one posts it back to its owner, which resumes the operations that wait for the round. What
// comes during a round waits for the next one: the answers may have been given before it.
//
// M6: after unmap returns no CPU can translate through it. M7: the operation keeps the frames
// until its flush is over.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "inbox.h"
#include "object.h"

struct aspace;
struct cpu;

// Bit i: CPU i waits for an answer. Set by others, taken by the CPU itself.
struct tlb_requests {
    _Atomic uint64_t from;
};

// Owned by its CPU, but for the count of answers that are still to come.
struct tlb_ticket {
    _Atomic uint32_t unanswered;
    struct post post;    // to the owner, by the last one that answers
    struct list waiting; // operations of the round that is on, by their runnables
    struct list next;    // those of the next one
    uint64_t next_cpus;  // whom it asks
    bool busy;
};

void tlb_init(struct tlb_ticket *ticket);

// The CPUs that may hold translations of an address space: to be changed by tlb_enter alone.
struct tlb_holders {
    _Atomic uint64_t cpus;
};

// Makes this CPU translate through an address space; nullptr: the kernel only.
void tlb_enter(struct cpu *cpu, struct aspace *aspace);

// After entries were cleared: invalidates them on this CPU, and has the other CPUs that may hold
// them do so. true: it is done. false: the operation's step ends with STEP_FLUSH.
[[nodiscard]] bool tlb_flush(struct aspace *aspace, uint64_t address, uint64_t pages,
                             struct operation *operation);

// Has every CPU leave an address space that is `quiet`. As tlb_flush.
[[nodiscard]] bool tlb_leave(struct aspace *aspace, struct operation *operation);

// Answers what other CPUs asked of this one. In the handler of the interrupt between CPUs.
void tlb_answer(struct cpu *cpu);

// The last answer to this CPU's ticket has come.
void tlb_round_over(struct cpu *cpu);
