// SPDX-License-Identifier: MIT
//
// The CPU looks past the caches, its own and ours, so what is written is cleaned to the point of
// coherency; then an event ends its WFE.
#include <hal/spin_table.h>

#include <arch/arch.h>
#include <stdatomic.h>

void spin_table_release(paddr_t release, paddr_t entry)
{
    _Atomic uint64_t *location = arch_ram(release);
    // In one piece, and little-endian, as the kernel is.
    atomic_store_explicit(location, entry.value, memory_order_relaxed);
    arch_dma_clean(location, sizeof(*location));
    __asm__ volatile("sev" ::: "memory");
}
