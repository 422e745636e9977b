// SPDX-License-Identifier: MIT
//
// Posting to a CPU and handling what was posted. See inbox.h.
#include "inbox.h"

#include "budget.h"
#include "cpu.h"
#include "thread.h"

void inbox_post(struct cpu *cpu, struct post *post)
{
    struct post *head = atomic_load_explicit(&cpu->inbox.head, memory_order_relaxed);
    do
        post->next = head;
    // Pairs with the exchange in take_in.
    while (!atomic_compare_exchange_weak_explicit(&cpu->inbox.head, &head, post,
                                                  ORDER("weak post", memory_order_release),
                                                  memory_order_relaxed));
    // Found empty: the CPU may be on its way out of the kernel, or idle. Itself, it looks again.
    static unsigned forgotten;
    if (!head && cpu != cpu_self() && !SEEDED_BUG("S2 interrupt") &&
        !(SEEDED_BUG("S2 one in 31") && ++forgotten % 31 == 0))
        cpu_interrupt(cpu);
}

static void take_in(struct inbox *inbox)
{
    struct post *list =
        atomic_exchange_explicit(&inbox->head, nullptr, ORDER("weak take", memory_order_acquire));
    struct post *in_order = nullptr;
    while (list) {
        struct post *next = list->next;
        list->next = in_order;
        in_order = list;
        list = next;
    }
    inbox->taken = in_order;
}

void inbox_drain(struct cpu *cpu)
{
    for (unsigned i = 0; i < CPU_BATCH && inbox_waiting(&cpu->inbox); i++) {
        if (!cpu->inbox.taken)
            take_in(&cpu->inbox);
        struct post *post = cpu->inbox.taken;
        cpu->inbox.taken = post->next;
        counter_add(&cpu->posts, 1);
        switch (post->kind) {
        case POST_THREAD:
            thread_take_requests(CONTAINER_OF(post, struct thread, post));
            break;
        case POST_OPERATION:
            operation_take(CONTAINER_OF(post, struct operation, post));
            break;
        case POST_TICKET:
            tlb_round_over(cpu);
            break;
        case POST_BUDGET:
            budget_take(cpu, CONTAINER_OF(post, struct budget, post));
            break;
        }
    }
}
