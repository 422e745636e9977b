// SPDX-License-Identifier: MIT
//
// x86_64's half of <arch/arch.h>: the saved context, the per-CPU structure and the inline
// functions. Page-table entries are in <arch/pte.h>.
//
// Address space (48 bits, four levels):
//
//   0000000000000000  user space; slots 0-255 of a root table
//   ffff800000000000  direct map: all RAM at this + physical address, writable, never executable
//   ffffff0000000000  device window (arch_device_map), 1 GiB
//   ffffffff80000000  the kernel image at this + physical address; W^X by section
//
// The kernel's slots of a root table are filled at boot and never change, so no copy diverges.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <abi/layout.h>
#include <arch/layout.h>
#include <arch/pte.h>
#include <lib/types.h>

// ---- saved registers: the end is what the processor itself pushes at an interrupt -----------
//
// `rcx`, `r11`, `cs`, `ss` and `code` are not written by a system call.

struct [[gnu::aligned(16)]] arch_context {
    uint64_t r15, r14, r13, r12, rbp, rbx;
    uint64_t arguments[6]; // rdi rsi rdx r10 r8 r9
    uint64_t rax, rcx, r11;
    int64_t entry; // exception or interrupt vector, or ENTRY_SYSCALL
    uint64_t code;
    uint64_t rip, cs, rflags, rsp, ss;
};
static_assert(offsetof(struct arch_context, r15) == CONTEXT_R15);
static_assert(offsetof(struct arch_context, rbx) == CONTEXT_RBX);
static_assert(offsetof(struct arch_context, arguments) == CONTEXT_RDI);
static_assert(offsetof(struct arch_context, rax) == CONTEXT_RAX);
static_assert(offsetof(struct arch_context, r11) == CONTEXT_R11);
static_assert(offsetof(struct arch_context, entry) == CONTEXT_ENTRY);
static_assert(offsetof(struct arch_context, rip) == CONTEXT_RIP);
static_assert(offsetof(struct arch_context, rflags) == CONTEXT_RFLAGS);
static_assert(offsetof(struct arch_context, rsp) == CONTEXT_RSP);
static_assert(sizeof(struct arch_context) == CONTEXT_BYTES);
static_assert(CONTEXT_BYTES % 16 == 0, "the processor aligns the stack before it pushes");

// ---- FP and vector registers: what XSAVE writes in its standard form, of x87, SSE and AVX (SDM
// volume 1, 13.4), or FXSAVE, whose image is its first 512 bytes (10.5.1)

struct [[gnu::aligned(64)]] arch_fpu {
    uint16_t control, status;
    uint8_t tags; // 0: all empty
    uint8_t pointers[19];
    uint32_t mxcsr, mxcsr_mask;
    uint8_t registers[480];       // x87 and the XMM
    uint64_t saved;               // XSTATE_BV: which parts are not as initial
    uint64_t header[7];           // zeros
    uint8_t upper_halves[16][16]; // of the YMM
};
static_assert(offsetof(struct arch_fpu, mxcsr) == 24);
static_assert(offsetof(struct arch_fpu, saved) == 512);
static_assert(offsetof(struct arch_fpu, upper_halves) == 576);
static_assert(sizeof(struct arch_fpu) == 832);

// ---- per CPU --------------------------------------------------------------------------------

// Task-state segment (SDM volume 3, 8.7): which stack an interrupt begins on.
struct [[gnu::packed]] x86_tss {
    uint32_t reserved0;
    uint64_t rsp0; // from user mode: the end of the current context
    uint64_t rsp1, rsp2, reserved1;
    uint64_t ist[7]; // ist[0]: the fault stack
    uint64_t reserved2;
    uint16_t reserved3, io_map_base;
};
static_assert(sizeof(struct x86_tss) == 104);

struct [[gnu::aligned(64)]] arch_percpu {
    struct arch_percpu *self;
    struct arch_context *current; // where a system call saves the user's registers
    uint64_t stack_top;           // the only kernel stack: ARCH_STACK_BYTES below it end in a guard
    uint64_t scratch;      // the user's stack pointer, for three instructions of syscall_entry
    uint64_t vector;       // of the interrupt that is being taken
    uint64_t kernel_traps; // how many have come from the kernel itself
    struct x86_tss tss;
    uint64_t gdt[8];
    [[gnu::aligned(16)]] uint8_t fault_stack[LAYOUT_FAULT_STACK_BYTES];
};
static_assert(offsetof(struct arch_percpu, self) == PERCPU_SELF);
static_assert(offsetof(struct arch_percpu, current) == PERCPU_CURRENT);
static_assert(offsetof(struct arch_percpu, stack_top) == PERCPU_STACK_TOP);
static_assert(offsetof(struct arch_percpu, scratch) == PERCPU_SCRATCH);
static_assert(offsetof(struct arch_percpu, vector) == PERCPU_VECTOR);

constexpr size_t ARCH_STACK_BYTES = LAYOUT_STACK_BYTES;
constexpr size_t ARCH_STACK_MEMORY = LAYOUT_STACK_BYTES; // the fault stack is per CPU already

// The boot CPU's stack, part of the image, with its guard page below.
extern char arch_boot_stack_top[];

constexpr uint16_t ARCH_ELF_MACHINE = 62; // EM_X86_64

static inline struct arch_percpu *arch_cpu_self(void)
{
    struct arch_percpu *self;
    // Not volatile: it does not change while the kernel runs on this CPU.
    asm("movq %%gs:%c1, %0" : "=r"(self) : "i"(PERCPU_SELF));
    return self;
}

static inline void arch_set_current(struct arch_percpu *self, struct arch_context *context)
{
    self->current = context;
    self->tss.rsp0 = (uint64_t)(context + 1);
}

static inline void arch_cpu_relax(void)
{
    asm volatile("pause" ::: "memory");
}

static inline bool arch_interrupts_off(void)
{
    uint64_t flags;
    asm volatile("pushfq\n\tpopq %0" : "=r"(flags)::"memory");
    return (flags & 1u << 9) == 0;
}

// ---- the system call in a context -----------------------------------------------------------

static inline uint64_t arch_context_syscall(const struct arch_context *context)
{
    return context->rax;
}

static inline uint64_t arch_context_argument(const struct arch_context *context, unsigned index)
{
    return context->arguments[index];
}

static inline void arch_context_set_status(struct arch_context *context, uint64_t status)
{
    context->rax = status;
}

static inline void arch_context_set_result(struct arch_context *context, unsigned index,
                                           uint64_t value)
{
    context->arguments[index] = value;
}

// ---- translation ----------------------------------------------------------------------------
//
// No PCID: writing CR3 forgets everything but the kernel's global pages, cached intermediate
// entries included; INVLPG forgets one page and all cached intermediate entries (SDM 4.10.4.1).

static inline void arch_root_load(paddr_t root, uint16_t asid)
{
    (void)asid;
    asm volatile("mov %0, %%cr3" ::"r"(root.value) : "memory");
}

static inline bool arch_tlb_broadcasts(void)
{
    return false;
}

static inline void arch_tlb_flush_page(uint16_t asid, uint64_t address)
{
    (void)asid;
    asm volatile("invlpg (%0)" ::"r"(address) : "memory");
}

static inline void arch_tlb_flush_asid(uint16_t asid)
{
    (void)asid;
    uint64_t root;
    asm volatile("mov %%cr3, %0\n\tmov %0, %%cr3" : "=r"(root)::"memory");
}

// The walker sees stores in program order, and entries that were not present are not cached.
static inline void arch_table_sync(void)
{
    asm volatile("" ::: "memory");
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

// REP STOSQ: the fastest on real processors, which fill whole lines (ERMS), and the cheapest in
// counted instructions too: an emulator counts one for each of its 512 iterations, while a loop
// of plain stores, however far unrolled, adds its own overhead to the same 512 stores.
static inline void arch_zero_page(void *page)
{
    uint64_t count = PAGE_SIZE / 8;
    asm volatile("rep stosq" : "+D"(page), "+c"(count) : "a"(0ull) : "memory");
}
