// SPDX-License-Identifier: MIT
//
// All that kernel/ and hal/ may ask of a processor: the whole surface, the same for x86_64,
// AArch64 and the simulated machine (arch/host). What is marked "inline" is defined in the
// architecture's own <arch/cpu.h>; the rest in its .c and .S files.
//
// The kernel runs with interrupts off, on one stack per CPU, except inside arch_idle() and
// arch_interrupt_window(). It saves nothing of itself when a thread waits: the entry code saves
// the user's registers straight into the current thread's struct arch_context, calls one of the
// functions in <entry/entry.h>, and restores the context that this returns.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <abi/layout.h>
#include <lib/types.h>

// <arch/cpu.h> of the architecture defines:
//
//   struct arch_context     the saved registers of a user thread, at most ARCH_CONTEXT_MAX bytes
//   struct arch_fpu         a thread's FP and vector registers, at most ARCH_FPU_MAX bytes
//   struct arch_percpu      what entry code needs at fixed offsets: first member of struct cpu
//   pte_t                   { uint64_t value; } one page-table entry
//   ARCH_STACK_MEMORY       how much RAM the stacks of a CPU take
//   ARCH_ELF_MACHINE        what e_machine of its programs says
//   ARCH_KERNEL_TABLE_SLOTS how many of a root table's 512 entries belong to the kernel (0 or 256)
//
// and the inline functions declared below.
#include <arch/cpu.h>

constexpr size_t ARCH_CONTEXT_MAX = 1024;
constexpr size_t ARCH_FPU_MAX = 1024;
static_assert(sizeof(struct arch_context) <= ARCH_CONTEXT_MAX);
static_assert(sizeof(struct arch_fpu) <= ARCH_FPU_MAX && alignof(struct arch_fpu) <= 64);
static_assert(sizeof(pte_t) == 8);

// ---- CPUs ----------------------------------------------------------------------------------

// The calling CPU's own structure, as given to arch_cpu_init. (inline)
static inline struct arch_percpu *arch_cpu_self(void);

// Prepares the calling CPU for user mode: per-CPU pointer, traps, protection bits (SMEP, SMAP,
// UMIP, NX; PAN). `stack_top` is the CPU's only kernel stack; below it a guard page is unmapped,
// and an overflow, a nested fault or a double fault ends in entry_kernel_fault, never in silence.
// Done again with another structure, the last one counts.
void arch_cpu_init(struct arch_percpu *self, void *stack_top);

// The stack that the boot CPU started on, which stays its kernel stack.
extern char arch_boot_stack_top[];

// Tells entry code where the next trap from user mode saves its registers. (inline)
static inline void arch_set_current(struct arch_percpu *self, struct arch_context *context);

// Makes ARCH_STACK_MEMORY bytes of RAM at `memory` the kernel stacks of a CPU, with an unmapped
// guard page below each, and returns the top. nullptr: no room is left. One CPU at a time.
void *arch_stack_map(uint32_t cpu, paddr_t memory);

// What hal.cpu_start needs to be told so that a CPU arrives in entry_cpu(self): translating as the
// boot CPU does, arch_cpu_init done, on its stack, interrupts off. One CPU at a time: the next is
// prepared when this one has arrived.
struct arch_start {
    paddr_t entry;
    uint64_t argument;
};
struct arch_start arch_cpu_prepare(struct arch_percpu *self, void *stack_top);

// Leaves the boot path for good: resets the stack pointer to the CPU's stack top and restores
// `context` in user mode.
[[noreturn]] void arch_enter_user(struct arch_context *context);

// Waits for an interrupt, with interrupts on; handlers run (entry_kernel_interrupt) before it
// returns, with interrupts off again. It never misses one that arrived just before.
void arch_idle(void);

// Lets pending interrupts in, once, between two steps of a long operation.
void arch_interrupt_window(void);

// A hint inside a spin loop. (inline)
static inline void arch_cpu_relax(void);

// Stops this CPU for ever.
[[noreturn]] void arch_halt(void);

// Whether this CPU is inside the kernel with interrupts off. For assertions. (inline)
static inline bool arch_interrupts_off(void);

// ---- user register contexts ----------------------------------------------------------------

// A fresh context: user mode, interrupts on, `pc`, `sp`, and two arguments in the first two
// argument registers of the C calling convention; every other register is zero.
void arch_context_init(struct arch_context *context, uint64_t pc, uint64_t sp, uint64_t argument0,
                       uint64_t argument1);

// The system call that a context holds, in the register convention of abi/abi.toml. (inline)
static inline uint64_t arch_context_syscall(const struct arch_context *context);
static inline uint64_t arch_context_argument(const struct arch_context *context, unsigned index);
static inline void arch_context_set_status(struct arch_context *context, uint64_t status);
static inline void arch_context_set_result(struct arch_context *context, unsigned index,
                                           uint64_t value);

// Copies the registers out for a fault report, in the order of abi/abi.toml's table, and sets
// pc, sp, fp and register_count.
void arch_context_report(const struct arch_context *context, struct abi_fault *fault);

// ---- FP and vector registers of user threads ------------------------------------------------
//
// The kernel has no code that uses them, so they stay the thread's while the kernel runs. They are
// off from arch_cpu_init on: user code that touches them arrives in entry_fpu. What of them there
// is beyond struct arch_fpu (SVE, SME, AVX-512) stays off for ever: FAULT_INSTRUCTION.

// The clean state of a thread that has not used them yet: zeros, rounding to nearest, no exception
// traps. `fpu` is the current thread's.
void arch_fpu_init(struct arch_fpu *fpu);

// Lets user code use the registers, and loads all of them. `fpu` was written by the two others
// alone: nothing in it can make the load fault.
void arch_fpu_restore(const struct arch_fpu *fpu);

// Stores all of them, and switches them off.
void arch_fpu_save(struct arch_fpu *fpu);

// ---- page tables: four levels of 512 entries, 4 KiB pages, on every architecture -----------
//
// Level 3 is the root, level 0 holds pages. Only kernel/pagetable.c writes entries of user
// tables; the arch layer says what an entry looks like.

enum arch_memory : uint8_t { ARCH_MEMORY_NORMAL, ARCH_MEMORY_DEVICE };

// All inline. `protection` is of enum abi_protection; a leaf made for user space is never
// reachable for the kernel's own code as an executable page, and readable implies present.
static inline bool pte_present(pte_t entry);
static inline paddr_t pte_address(pte_t entry);
static inline uint64_t pte_protection(pte_t entry); // of a user leaf
static inline pte_t pte_make_table(paddr_t table);
static inline pte_t pte_make_page(paddr_t page, uint64_t protection, enum arch_memory memory);
static inline pte_t pte_none(void);

// Large pages: a present entry of level 1 shows 2 MiB, aligned so, or leads to a table. A valid entry
// never becomes one of the other kind, or of another frame, before it was cleared and flushed: on
// AArch64 that is break-before-make (D8.16.1), and no x86_64 holds two sizes of one address.
static inline bool pte_large(pte_t entry); // of level 0, too: false
static inline pte_t pte_make_large(paddr_t page, uint64_t protection, enum arch_memory memory);

// Fills the kernel's part of a new, zeroed root table (nothing to do where the kernel has a
// root of its own).
void arch_root_init(pte_t *root);

// Makes this CPU translate through `root`. (inline) `asid` is what arch_asid_limit allows; the
// kernel flushes an address-space number before it gives it to another address space.
static inline void arch_root_load(paddr_t root, uint16_t asid);

// How many address spaces can exist at once: ids 1 to limit. 0: the machine has no such ids,
// loading a root flushes, and there is no limit.
uint32_t arch_asid_limit(void);

// Whether invalidation reaches every CPU. (inline)
static inline bool arch_tlb_broadcasts(void);

// Invalidation of this CPU's or, where the architecture broadcasts, every CPU's translations.
// Each begins after earlier page-table writes, completes before it returns, and covers cached
// intermediate entries. (inline)
static inline void arch_tlb_flush_page(uint16_t asid, uint64_t address);
static inline void arch_tlb_flush_asid(uint16_t asid);

// Orders earlier page-table writes before any walk that starts after it. (inline)
static inline void arch_table_sync(void);

// ---- memory --------------------------------------------------------------------------------

// The kernel's own view of RAM: linear, writable, never executable. (inline)
static inline void *arch_ram(paddr_t address);
static inline paddr_t arch_ram_address(const void *pointer);

// Maps device registers or firmware tables for the kernel itself and returns where; the mapping
// stays for ever and is reused when asked for again. nullptr: no room is left. Callable from
// the platform's start on, by one CPU at a time: the kernel holds one lock around it.
void *arch_device_map(paddr_t address, size_t bytes, enum arch_memory memory);

// Reads a register of a device that may not be there, since nobody but firmware said that it is; `at`
// is mapped as ARCH_MEMORY_DEVICE. false: nothing answers. Where the bus then gives all ones instead
// of refusing, false for a register that is all ones, too. Not on a path of user space: the CPU may
// take a trap for it.
[[nodiscard]] bool arch_device_probe(const volatile uint32_t *at, uint32_t *value);

// Fills a page with zeros, fast. `page` is page-aligned. (inline)
static inline void arch_zero_page(void *page);

// Makes freshly written code visible to instruction fetch.
void arch_code_sync(void *start, size_t bytes);

// For devices that do not snoop caches: makes CPU writes visible to devices (clean), or device
// writes visible to the CPU (invalidate). Includes the barrier that orders it with device access.
void arch_dma_clean(const void *start, size_t bytes);
void arch_dma_invalidate(const void *start, size_t bytes);

// ---- I/O ports -----------------------------------------------------------------------------

bool arch_has_io_ports(void);
uint32_t arch_io_read(uint16_t port, unsigned width);
void arch_io_write(uint16_t port, unsigned width, uint32_t value);

// ---- finding out what went wrong -----------------------------------------------------------

// Calls `visit` for each return address on the kernel stack, innermost first, from the frame
// pointer given (0: the caller's own). Bounds every step by the stack's limits.
void arch_backtrace(uint64_t frame_pointer, void (*visit)(uint64_t pc, void *argument),
                    void *argument);
