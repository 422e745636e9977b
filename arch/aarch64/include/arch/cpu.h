// SPDX-License-Identifier: MIT
//
// AArch64's half of <arch/arch.h>: the saved context, the per-CPU structure, the page-table
// format and the inline functions.
//
// Address space (48 bits each way, 4 KiB granule, four levels on both sides):
//
//   TTBR0  0000000000000000  user space, one table per address space, tagged with its ASID
//   TTBR1  ffff000000000000  direct map: all RAM at this + physical address, never executable
//          ffffff8000000000  device window (arch_device_map), 1 GiB
//          ffffffff80000000  the kernel image, wherever it was loaded
//
// Register facts are from the Arm Architecture Reference Manual (DDI 0487), chapters D8 (VMSA)
// and D19 (system registers).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <abi/layout.h>
#include <arch/layout.h>
#include <lib/types.h>

// ---- saved registers; vectors.S knows the offsets by <arch/layout.h> ------------------------

struct arch_context {
    uint64_t x[31];
    uint64_t sp;     // SP_EL0
    uint64_t pc;     // ELR_EL1
    uint64_t pstate; // SPSR_EL1
    uint64_t tls;    // TPIDR_EL0
    uint64_t padding;
};
static_assert(offsetof(struct arch_context, sp) == CONTEXT_SP);
static_assert(offsetof(struct arch_context, pc) == CONTEXT_PC);
static_assert(offsetof(struct arch_context, tls) == CONTEXT_TLS);
static_assert(sizeof(struct arch_context) % 16 == 0);

// FP and vector registers; fpu.S knows the offsets.
struct [[gnu::aligned(16)]] arch_fpu {
    uint64_t v[32][2];
    uint64_t fpcr, fpsr;
};
static_assert(sizeof(struct arch_fpu) == 528);

struct arch_percpu {
    struct arch_context *current; // where a trap from user mode saves: in SP_EL1 while user runs
    uint64_t stack_top;           // the CPU's only kernel stack: [stack_bottom, stack_top)
    uint64_t stack_bottom;        // below it lies an unmapped page
    uint64_t emergency_top;       // the stack for traps from the kernel itself, guarded likewise
};
static_assert(offsetof(struct arch_percpu, current) == PERCPU_CURRENT);
static_assert(offsetof(struct arch_percpu, stack_top) == PERCPU_STACK_TOP);
static_assert(offsetof(struct arch_percpu, emergency_top) == PERCPU_EMERGENCY_TOP);

constexpr size_t ARCH_STACK_BYTES = LAYOUT_STACK_BYTES;
constexpr size_t ARCH_STACK_MEMORY = LAYOUT_STACK_BYTES + LAYOUT_EMERGENCY_BYTES;

constexpr uint16_t ARCH_ELF_MACHINE = 183; // EM_AARCH64

static inline struct arch_percpu *arch_cpu_self(void)
{
    struct arch_percpu *self;
    // Not volatile: the register does not change while the kernel runs on this CPU.
    __asm__("mrs %0, tpidr_el1" : "=r"(self));
    return self;
}

// The exit path leaves the address of the context that it restores in SP_EL1, and the next trap
// saves there. So `context` must be what the entry function then returns.
static inline void arch_set_current(struct arch_percpu *self, struct arch_context *context)
{
    self->current = context;
}

static inline void arch_cpu_relax(void)
{
    __asm__ volatile("yield" ::: "memory");
}

static inline bool arch_interrupts_off(void)
{
    uint64_t daif;
    __asm__ volatile("mrs %0, daif" : "=r"(daif));
    return (daif & 1u << 7) != 0;
}

static inline uint64_t arch_context_syscall(const struct arch_context *context)
{
    return context->x[8];
}

static inline uint64_t arch_context_argument(const struct arch_context *context, unsigned index)
{
    return context->x[index];
}

static inline void arch_context_set_status(struct arch_context *context, uint64_t status)
{
    context->x[0] = status;
}

static inline void arch_context_set_result(struct arch_context *context, unsigned index,
                                           uint64_t value)
{
    context->x[1 + index] = value;
}

// ---- page-table entries (DDI 0487, D8.3) ----------------------------------------------------
//
//   63 62   60  59  58-55 54  53  52   50-48  47            12 11 10 9 8 7  6  5  4-2  1 0
//  +--+---+---+----+-----+---+---+----+------+----------------+--+--+---+-----+--+----+---+
//  |  |APT|XNT|PXNT|  0  |UXN|PXN|    |  0   |    address     |nG|AF|SH |AP2:1|NS|Attr|1 1|
//  +--+---+---+----+-----+---+---+----+------+----------------+--+--+---+-----+--+----+---+
//
// A leaf for user space always has PXN, AF, nG; a table of user space has PXNTable too.

typedef struct {
    uint64_t value;
} pte_t;

constexpr unsigned ARCH_KERNEL_TABLE_SLOTS = 0; // the kernel has a root of its own, in TTBR1

constexpr uint64_t PTE_VALID = 1u << 0;
constexpr uint64_t PTE_TABLE_OR_PAGE = 1u << 1; // 0 in levels 1 and 2: a block
constexpr unsigned PTE_ATTRIBUTE_SHIFT = 2;     // index into MAIR_EL1
constexpr uint64_t PTE_USER = 1u << 6;          // AP[1]
constexpr uint64_t PTE_READ_ONLY = 1u << 7;     // AP[2]
constexpr uint64_t PTE_INNER_SHAREABLE = 3u << 8;
constexpr uint64_t PTE_ACCESSED = 1u << 10;
constexpr uint64_t PTE_NOT_GLOBAL = 1u << 11;
constexpr uint64_t PTE_PXN = 1ull << 53;
constexpr uint64_t PTE_UXN = 1ull << 54;
constexpr uint64_t PTE_TABLE_PXN = 1ull << 59;
constexpr uint64_t PTE_TABLE_UXN = 1ull << 60;
constexpr uint64_t PTE_ADDRESS = 0x0000'ffff'ffff'f000;

// The values of enum arch_memory are the indices into MAIR_EL1 (head.S).
enum arch_memory : uint8_t;

static inline pte_t pte_none(void)
{
    return (pte_t){0};
}

static inline bool pte_present(pte_t entry)
{
    return (entry.value & PTE_VALID) != 0;
}

static inline paddr_t pte_address(pte_t entry)
{
    return (paddr_t){entry.value & PTE_ADDRESS};
}

// WRITE implies READ here. EXECUTE alone is what it says.
static inline uint64_t pte_protection(pte_t entry)
{
    uint64_t protection = 0;
    if ((entry.value & PTE_USER) != 0)
        protection |= PROT_READ | ((entry.value & PTE_READ_ONLY) != 0 ? 0 : (uint64_t)PROT_WRITE);
    if ((entry.value & PTE_UXN) == 0)
        protection |= PROT_EXECUTE;
    return protection;
}

static inline pte_t pte_make_table(paddr_t table)
{
    return (pte_t){table.value | PTE_TABLE_PXN | PTE_TABLE_OR_PAGE | PTE_VALID};
}

static inline pte_t pte_make_page(paddr_t page, uint64_t protection, enum arch_memory memory)
{
    uint64_t value = page.value | PTE_PXN | PTE_NOT_GLOBAL | PTE_ACCESSED | PTE_INNER_SHAREABLE |
                     (uint64_t)memory << PTE_ATTRIBUTE_SHIFT | PTE_TABLE_OR_PAGE | PTE_VALID;
    if ((protection & (PROT_READ | PROT_WRITE)) != 0)
        value |= PTE_USER;
    if ((protection & PROT_WRITE) == 0)
        value |= PTE_READ_ONLY;
    if ((protection & PROT_EXECUTE) == 0)
        value |= PTE_UXN;
    return (pte_t){value};
}

static inline bool pte_large(pte_t entry)
{
    return (entry.value & (PTE_TABLE_OR_PAGE | PTE_VALID)) == PTE_VALID;
}

// A block descriptor has the fields of a page descriptor (D8.3.2).
static inline pte_t pte_make_large(paddr_t page, uint64_t protection, enum arch_memory memory)
{
    return (pte_t){pte_make_page(page, protection, memory).value & ~PTE_TABLE_OR_PAGE};
}

static inline void arch_root_load(paddr_t root, uint16_t asid)
{
    __asm__ volatile("msr ttbr0_el1, %0\n\tisb" ::"r"(root.value | (uint64_t)asid << 48)
                     : "memory");
}

// The leading DSB orders the entry's store before the invalidation, the trailing one waits until
// every CPU of the inner shareable domain has done it (D8.16).
static inline bool arch_tlb_broadcasts(void)
{
    return true;
}

static inline void arch_tlb_flush_page(uint16_t asid, uint64_t address)
{
    uint64_t operand = (uint64_t)asid << 48 | (address >> PAGE_SHIFT & 0xfff'ffff'ffff);
    __asm__ volatile("dsb ishst\n\ttlbi vae1is, %0\n\tdsb ish\n\tisb" ::"r"(operand) : "memory");
}

static inline void arch_tlb_flush_asid(uint16_t asid)
{
    __asm__ volatile("dsb ishst\n\ttlbi aside1is, %0\n\tdsb ish\n\tisb" ::"r"((uint64_t)asid << 48)
                     : "memory");
}

static inline void arch_table_sync(void)
{
    __asm__ volatile("dsb ishst\n\tisb" ::: "memory");
}

// ---- memory ---------------------------------------------------------------------------------

static inline void *arch_ram(paddr_t address)
{
    return (void *)(LAYOUT_DIRECT_MAP + address.value);
}

// Only of pointers that arch_ram gave.
static inline paddr_t arch_ram_address(const void *pointer)
{
    return (paddr_t){(uint64_t)pointer - LAYOUT_DIRECT_MAP};
}

// Not by DC ZVA: QEMU 7.2 then keeps the translation of code that the page held before, and every
// later write to the page searches it. The disk driver was seven times slower after some restarts.
static inline void arch_zero_page(void *page)
{
    for (uint64_t at = (uint64_t)page, end = at + PAGE_SIZE; at != end; at += 32)
        __asm__ volatile("stp xzr, xzr, [%0]\n\tstp xzr, xzr, [%0, #16]" ::"r"(at) : "memory");
}
