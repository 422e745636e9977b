// SPDX-License-Identifier: MIT
//
// The simulated machine's half of <arch/arch.h>: the saved context, the per-CPU structure, the
// page-table format and the inline functions. The machine itself is in ../../*.c, and what tests
// do with it in ../../host.h.
//
// RAM is one arena that begins at physical address HOST_RAM_START; there is one CPU structure
// per simulated CPU, and `host_running` is the one whose code runs just now.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <abi/layout.h>
#include <lib/types.h>

// ---- saved registers ------------------------------------------------------------------------

// FP registers, of which user code here has four.
struct arch_fpu {
    uint64_t value[4];
};

struct arch_context {
    uint64_t number;
    uint64_t argument[6];
    uint64_t status;
    uint64_t result[4];
    uint64_t pc, sp;
    uint64_t start[2]; // the two arguments of a new thread
    // Ghosts: whether the thread has used FP registers, and what it has put there.
    bool fpu_used;
    struct arch_fpu fpu;
};

struct arch_percpu {
    uint32_t number;
    struct arch_context *current;
    uint64_t table_syncs; // how often it has ordered page-table writes before walks
    bool fpu_on;          // user code can use the registers
    struct arch_fpu fpu;  // the registers
};

constexpr uint16_t ARCH_ELF_MACHINE = 62;
constexpr size_t ARCH_STACK_MEMORY = 1 << 14;
constexpr unsigned ARCH_KERNEL_TABLE_SLOTS = 0;

extern struct arch_percpu *host_running;

static inline struct arch_percpu *arch_cpu_self(void)
{
    return host_running;
}

static inline void arch_set_current(struct arch_percpu *self, struct arch_context *context)
{
    self->current = context;
}

void host_relax(void);

static inline void arch_cpu_relax(void)
{
    host_relax();
}

static inline bool arch_interrupts_off(void)
{
    return true;
}

static inline uint64_t arch_context_syscall(const struct arch_context *context)
{
    return context->number;
}

static inline uint64_t arch_context_argument(const struct arch_context *context, unsigned index)
{
    return context->argument[index];
}

static inline void arch_context_set_status(struct arch_context *context, uint64_t status)
{
    context->status = status;
}

static inline void arch_context_set_result(struct arch_context *context, unsigned index,
                                           uint64_t value)
{
    context->result[index] = value;
}

// ---- FP registers: user code uses them by host_fpu_use ---------------------------------------

// Inline, so that the explorer sees who writes and reads a state.
static inline void arch_fpu_init(struct arch_fpu *fpu)
{
    *fpu = (struct arch_fpu){};
    host_running->current->fpu_used = true;
    host_running->current->fpu = (struct arch_fpu){};
}

static inline void arch_fpu_restore(const struct arch_fpu *fpu)
{
    host_running->fpu_on = true;
    host_running->fpu = *fpu;
}

static inline void arch_fpu_save(struct arch_fpu *fpu)
{
    *fpu = host_running->fpu;
    host_running->fpu_on = false;
}

// ---- page-table entries ---------------------------------------------------------------------
//
//   63           12 11     6  5     4     3      2  1  0
//  +---------------+--------+------+-----+-------+--+--+--+
//  |    address    |   0    |device|table|present|X |W |R |    X, W, R: enum abi_protection
//  +---------------+--------+------+-----+-------+--+--+--+

typedef struct {
    uint64_t value;
} pte_t;

constexpr uint64_t PTE_PROTECTION = PROT_READ | PROT_WRITE | PROT_EXECUTE;
constexpr uint64_t PTE_PRESENT = 1u << 3;
constexpr uint64_t PTE_TABLE = 1u << 4;
constexpr uint64_t PTE_DEVICE = 1u << 5;
constexpr uint64_t PTE_LARGE = 1u << 6;

enum arch_memory : uint8_t;

static inline pte_t pte_none(void)
{
    return (pte_t){0};
}

static inline bool pte_present(pte_t entry)
{
    return (entry.value & PTE_PRESENT) != 0;
}

static inline paddr_t pte_address(pte_t entry)
{
    return (paddr_t){align_down(entry.value, PAGE_SIZE)};
}

static inline uint64_t pte_protection(pte_t entry)
{
    return entry.value & PTE_PROTECTION;
}

static inline pte_t pte_make_table(paddr_t table)
{
    return (pte_t){table.value | PTE_TABLE | PTE_PRESENT};
}

static inline pte_t pte_make_page(paddr_t page, uint64_t protection, enum arch_memory memory)
{
    return (pte_t){page.value | protection | PTE_PRESENT | (memory != 0 ? PTE_DEVICE : 0)};
}

static inline bool pte_large(pte_t entry)
{
    return (entry.value & PTE_LARGE) != 0;
}

static inline pte_t pte_make_large(paddr_t page, uint64_t protection, enum arch_memory memory)
{
    return (pte_t){pte_make_page(page, protection, memory).value | PTE_LARGE};
}

// ---- translation: invalidation reaches every CPU, as on AArch64, or its own, as on x86_64 ---------

void host_root_load(paddr_t root, uint16_t asid);
void host_tlb_flush_page(uint16_t asid, uint64_t address);
void host_tlb_flush_asid(uint16_t asid);

static inline void arch_root_load(paddr_t root, uint16_t asid)
{
    host_root_load(root, asid);
}

static inline void arch_tlb_flush_page(uint16_t asid, uint64_t address)
{
    host_tlb_flush_page(asid, address);
}

static inline void arch_tlb_flush_asid(uint16_t asid)
{
    host_tlb_flush_asid(asid);
}

extern bool host_tlb_broadcasts;

static inline bool arch_tlb_broadcasts(void)
{
    return host_tlb_broadcasts;
}

static inline void arch_table_sync(void)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
    host_running->table_syncs++;
}

// ---- memory ---------------------------------------------------------------------------------

constexpr uint64_t HOST_RAM_START = 0x10'0000;
extern uint8_t *host_ram; // of physical address HOST_RAM_START
extern uint64_t host_ram_bytes;

[[noreturn]] void host_bad_address(uint64_t address);

static inline void *arch_ram(paddr_t address)
{
    if (address.value - HOST_RAM_START >= host_ram_bytes)
        host_bad_address(address.value);
    return host_ram + (address.value - HOST_RAM_START);
}

static inline paddr_t arch_ram_address(const void *pointer)
{
    uint64_t offset = (uint64_t)((const uint8_t *)pointer - host_ram);
    if (offset >= host_ram_bytes)
        host_bad_address((uint64_t)pointer);
    return (paddr_t){HOST_RAM_START + offset};
}

static inline void arch_zero_page(void *page)
{
    memset(page, 0, PAGE_SIZE);
}
