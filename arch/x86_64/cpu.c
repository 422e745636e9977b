// SPDX-License-Identifier: MIT
//
// Prepares a CPU: segments, task state, interrupt table, system-call entry, protection bits; and
// how it waits. The interrupt table is one for all CPUs; the rest is in struct arch_percpu.
#include <arch/instructions.h>

#include "trap.h"

static_assert(CONTEXT_CS - CONTEXT_ENTRY == offsetof(struct x86_exception_frame, cs));

// SDM volume 3, 3.4.5: flat segments; only type, level and the 64-bit flag mean anything.
constexpr uint64_t SEGMENT_CODE = 0x00af'9b00'0000'ffff;
constexpr uint64_t SEGMENT_DATA = 0x00cf'9300'0000'ffff;
constexpr uint64_t SEGMENT_USER = 3ull << 45;
constexpr uint64_t SEGMENT_TSS = 0x0000'8900'0000'0000;

struct [[gnu::packed]] table_register {
    uint16_t limit;
    uint64_t base;
};

// SDM volume 3, 6.14.1.
struct gate {
    uint16_t offset0, selector;
    uint8_t ist, type;
    uint16_t offset1;
    uint32_t offset2, reserved;
};
static_assert(sizeof(struct gate) == 16);

constexpr uint8_t GATE_INTERRUPT = 0x8e; // present, interrupts off; user code cannot ask for it
constexpr uint8_t GATE_USER = 0xee;      // it can, by INT3
constexpr uint8_t FAULT_STACK = 1;       // ist[0]

[[gnu::aligned(16)]] static struct gate gates[256]; // immutable after the boot CPU's arch_cpu_init

static void gates_fill(void)
{
    for (unsigned vector = 0; vector < ARRAY_SIZE(gates); vector++) {
        const uint64_t stub =
            vector < VECTOR_FIRST_INTERRUPT
                ? (uint64_t)x86_exception_stubs + 16 * vector
                : (uint64_t)x86_interrupt_stubs + 8 * (vector - VECTOR_FIRST_INTERRUPT);
        const bool on_fault_stack =
            vector == VECTOR_NMI || vector == VECTOR_DOUBLE_FAULT || vector == VECTOR_MACHINE_CHECK;
        gates[vector] = (struct gate){
            .offset0 = (uint16_t)stub,
            .selector = SELECTOR_KERNEL_CODE,
            .ist = on_fault_stack ? FAULT_STACK : 0,
            .type = vector == VECTOR_BREAKPOINT ? GATE_USER : GATE_INTERRUPT,
            .offset1 = (uint16_t)(stub >> 16),
            .offset2 = (uint32_t)(stub >> 32),
        };
    }
}

static void segments_load(struct arch_percpu *self)
{
    const uint64_t tss = (uint64_t)&self->tss;
    self->gdt[SELECTOR_KERNEL_CODE / 8] = SEGMENT_CODE;
    self->gdt[SELECTOR_KERNEL_DATA / 8] = SEGMENT_DATA;
    self->gdt[SELECTOR_USER_DATA / 8] = SEGMENT_DATA | SEGMENT_USER;
    self->gdt[SELECTOR_USER_CODE / 8] = SEGMENT_CODE | SEGMENT_USER;
    self->gdt[SELECTOR_TSS / 8] = SEGMENT_TSS | (sizeof(struct x86_tss) - 1) |
                                  (tss & 0xff'ffff) << 16 | (tss >> 24 & 0xff) << 56;
    self->gdt[SELECTOR_TSS / 8 + 1] = tss >> 32;

    const struct table_register gdt = {sizeof(self->gdt) - 1, (uint64_t)self->gdt};
    asm volatile("lgdt %0\n\t"
                 "pushq %1\n\t"
                 "leaq 1f(%%rip), %%rax\n\t"
                 "pushq %%rax\n\t"
                 "lretq\n"
                 "1:\n\t"
                 "movw %w2, %%ss\n\t"
                 "xorl %%eax, %%eax\n\t"
                 "movw %%ax, %%ds\n\t"
                 "movw %%ax, %%es\n\t"
                 "movw %%ax, %%fs\n\t"
                 "movw %%ax, %%gs\n\t"
                 "ltr %w3"
                 :
                 : "m"(gdt), "i"(SELECTOR_KERNEL_CODE), "r"(SELECTOR_KERNEL_DATA), "r"(SELECTOR_TSS)
                 : "rax", "memory");
}

// What this processor has of: no execution of, no access to user pages; no reading of the
// kernel's table addresses by user code. Everybody may read the counter.
static void protection_on(void)
{
    const struct cpuid features = cpuid_leaf(7);
    uint64_t cr4 = cr4_read() | CR4_PGE;
    cr4 &= ~CR4_TSD;
    // Without it a machine check resets the machine in silence.
    cr4 |= (cpuid_leaf(1).edx & 1u << 7) != 0 ? CR4_MCE : 0;
    cr4 |= (features.ebx & 1u << 7) != 0 ? CR4_SMEP : 0;
    cr4 |= (features.ebx & 1u << 20) != 0 ? CR4_SMAP : 0;
    cr4 |= (features.ecx & 1u << 2) != 0 ? CR4_UMIP : 0;
    cr4_write(cr4);
    cr0_write((cr0_read() | CR0_WP) & ~CR0_AM);
    asm volatile("mov %0, %%dr7" ::"r"(0x400ull)); // no breakpoints
}

void arch_cpu_init(struct arch_percpu *self, void *stack_top)
{
    static bool gates_filled;
    if (!gates_filled)
        gates_fill();
    gates_filled = true;

    self->self = self;
    self->stack_top = (uint64_t)stack_top;
    self->tss.ist[FAULT_STACK - 1] = (uint64_t)self->fault_stack + sizeof(self->fault_stack);
    self->tss.io_map_base = sizeof(struct x86_tss); // none: no ports for user code

    segments_load(self); // clears GS
    msr_write(MSR_GS_BASE, (uint64_t)self);
    msr_write(MSR_KERNEL_GS_BASE, 0); // the user's, until SWAPGS
    const struct table_register idt = {sizeof(gates) - 1, (uint64_t)gates};
    asm volatile("lidt %0" ::"m"(idt));

    msr_write(MSR_STAR, (uint64_t)SELECTOR_USER_BASE << 48 | (uint64_t)SELECTOR_KERNEL_CODE << 32);
    msr_write(MSR_LSTAR, (uint64_t)arch_syscall_entry);
    msr_write(MSR_FMASK, RFLAGS_SYSCALL_MASK);
    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SCE | EFER_NXE);
    protection_on();
    x86_fpu_init();
}

// STI takes effect after the next instruction, so an interrupt that is already waiting is taken
// inside HLT and ends it.
void arch_idle(void)
{
    asm volatile("sti\n\thlt\n\tcli" ::: "memory");
}

void arch_interrupt_window(void)
{
    asm volatile("sti\n\tnop\n\tcli" ::: "memory");
}

void arch_halt(void)
{
    for (;;)
        asm volatile("cli\n\thlt" ::: "memory");
}
