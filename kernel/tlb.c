// SPDX-License-Identifier: MIT
//
// Address spaces on CPUs, and the flushing of what they remember. See tlb.h.
#include "tlb.h"

#include "cpu.h"
#include "vm.h"

// Above this many pages one flush of all costs less than one of each.
constexpr uint64_t FLUSH_ALL_PAGES = 8;

void tlb_init(struct tlb_ticket *ticket)
{
    ticket->post.kind = POST_TICKET;
    list_init(&ticket->waiting);
    list_init(&ticket->next);
}

void tlb_enter(struct cpu *cpu, struct aspace *aspace)
{
    struct aspace *old = cpu->aspace;
    if (old == aspace)
        return;
    cpu->aspace = aspace;
    if (aspace) {
        atomic_fetch_or_explicit(&aspace->holders.cpus, cpu_bit(cpu), memory_order_relaxed);
        if (!SEEDED_BUG("weak enter"))
            atomic_thread_fence(memory_order_seq_cst); // pairs with the one in others
        arch_root_load(aspace->root, aspace->asid);
    } else {
        aspace_load_kernel();
    }
    if (old && !SEEDED_BUG("M6 leave"))
        atomic_fetch_and_explicit(&old->holders.cpus, ~cpu_bit(cpu),
                                  ORDER("weak leave", memory_order_release));
}

// ---- asking

static void begin_round(struct cpu *cpu)
{
    struct tlb_ticket *ticket = &cpu->flush_ticket;
    ticket->busy = true;
    list_append(&ticket->waiting, &ticket->next);
    uint64_t asked = ticket->next_cpus;
    ticket->next_cpus = 0;
    // Written before anybody can answer.
    atomic_store_explicit(&ticket->unanswered,
                          SEEDED_BUG("M6 one") ? 1 : (uint32_t)__builtin_popcountll(asked),
                          memory_order_relaxed);
    for (; asked; asked &= asked - 1) {
        struct cpu *other = cpus[__builtin_ctzll(asked)];
        // Release: the entries that were cleared, and the count.
        if (atomic_fetch_or_explicit(&other->flush_requests.from, cpu_bit(cpu),
                                     ORDER("weak ask", memory_order_acq_rel)) == 0)
            cpu_interrupt(other);
    }
}

static bool ask(struct cpu *cpu, uint64_t others, struct operation *operation)
{
    if (!others)
        return true;
    struct tlb_ticket *ticket = &cpu->flush_ticket;
    ASSERT(operation->cpu == cpu);
    list_push_back(&ticket->next, &operation->runnable.node);
    ticket->next_cpus |= others;
    if (!ticket->busy || SEEDED_BUG("M6 rounds"))
        begin_round(cpu);
    return false;
}

// The other CPUs that may hold translations of entries that were cleared before.
static uint64_t others(const struct cpu *cpu, const struct aspace *aspace)
{
    if (!SEEDED_BUG("weak others"))
        atomic_thread_fence(memory_order_seq_cst); // pairs with the one in tlb_enter
    return atomic_load_explicit(&aspace->holders.cpus,
                                ORDER("weak holders", memory_order_acquire)) &
           ~cpu_bit(cpu);
}

bool tlb_flush(struct aspace *aspace, uint64_t address, uint64_t pages, struct operation *operation)
{
    struct cpu *cpu = cpu_self();
    static unsigned forgotten;
    if (SEEDED_BUG("M6 flush") || (SEEDED_BUG("M6 one in 64") && ++forgotten % 64 == 0))
        return true;
    if (pages > FLUSH_ALL_PAGES)
        arch_tlb_flush_asid(aspace->asid);
    else
        for (uint64_t i = 0; i < pages; i++)
            arch_tlb_flush_page(aspace->asid, address + (i << PAGE_SHIFT));
    return arch_tlb_broadcasts() || SEEDED_BUG("M6 others") ||
           ask(cpu, others(cpu, aspace), operation);
}

bool tlb_leave(struct aspace *aspace, struct operation *operation)
{
    struct cpu *cpu = cpu_self();
    if (cpu->aspace == aspace)
        tlb_enter(cpu, nullptr);
    return SEEDED_BUG("M7 leave") || ask(cpu, others(cpu, aspace), operation);
}

// ---- answering

void tlb_answer(struct cpu *cpu)
{
    // Acquire: what was cleared before it was asked for is walked no more.
    uint64_t from = atomic_exchange_explicit(&cpu->flush_requests.from, 0,
                                             ORDER("weak asked", memory_order_acq_rel));
    if (!from)
        return;
    struct aspace *aspace = cpu->aspace;
    if (aspace && atomic_load_explicit(&aspace->quiet, memory_order_relaxed))
        tlb_enter(cpu, nullptr);
    else if (aspace && !arch_tlb_broadcasts())
        arch_tlb_flush_asid(aspace->asid);
    counter_add(&cpu->flushes, 1);
    for (; from; from &= from - 1) {
        struct cpu *owner = cpus[__builtin_ctzll(from)];
        if (atomic_fetch_sub_explicit(&owner->flush_ticket.unanswered, 1,
                                      ORDER("weak answer", memory_order_acq_rel)) == 1)
            inbox_post(owner, &owner->flush_ticket.post);
    }
}

void tlb_round_over(struct cpu *cpu)
{
    struct tlb_ticket *ticket = &cpu->flush_ticket;
    struct list_node *node;
    while ((node = list_pop_front(&ticket->waiting)) != nullptr)
        operation_flushed(CONTAINER_OF(node, struct operation, runnable.node));
    ticket->busy = false;
    if (ticket->next_cpus)
        begin_round(cpu);
}
