// SPDX-License-Identifier: MIT
//
// The other CPUs: where they start, and on which stacks. See secondary_start.S.
#include <arch/boot.h>
#include <arch/instructions.h>
#include <entry/entry.h>
#include <lib/string.h>

#include "paging.h"

extern const char secondary_start[], secondary_start_end[]; // secondary_start.S

// What the one CPU that starts just now finds in secondary_start.S.
uint64_t secondary_root;
struct arch_percpu *secondary_percpu;

static paddr_t start_page;

void arch_start_page_set(paddr_t page)
{
    start_page = page;
}

struct arch_start arch_cpu_prepare(struct arch_percpu *self, void *stack_top)
{
    memcpy(arch_ram(start_page), secondary_start, (size_t)(secondary_start_end - secondary_start));
    secondary_root = cr3_read() & PTE_ADDRESS;
    secondary_percpu = self;
    self->stack_top = (uint64_t)stack_top;
    asm volatile("" ::: "memory"); // the interrupt that starts it comes after these stores
    return (struct arch_start){.entry = start_page};
}

[[noreturn]] void arch_secondary_start(struct arch_percpu *self);
void arch_secondary_start(struct arch_percpu *self)
{
    arch_cpu_init(self, (void *)self->stack_top);
    entry_cpu(self);
}
