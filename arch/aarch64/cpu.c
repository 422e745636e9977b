// SPDX-License-Identifier: MIT
//
// Bringing a CPU up, idling, and user contexts.
#include <arch/start.h>
#include <entry/entry.h>

#include "mapping.h"

#define READ_REGISTER(name)                               \
    ({                                                    \
        uint64_t value_;                                  \
        __asm__ volatile("mrs %0, " name : "=r"(value_)); \
        value_;                                           \
    })
#define WRITE_REGISTER(name, value) \
    __asm__ volatile("msr " name ", %0" ::"r"((uint64_t)(value)) : "memory")

constexpr uint64_t SCTLR_SPAN = 1u << 23;
constexpr uint64_t SCTLR_EPAN = 1ull << 57;
constexpr uint64_t MDSCR_TDCC = 1u << 12;      // user code cannot use the debug channel
constexpr uint64_t CNTKCTL_EL0VCTEN = 1u << 1; // user code reads CNTVCT_EL0 and CNTFRQ_EL0
constexpr uint64_t ISR_IRQ = 1u << 7;
constexpr uint64_t PSTATE_D = 1u << 9, PSTATE_F = 1u << 6; // EL0t, AArch64; I and A open

// The boot CPU's until the kernel gives it another, and again once the kernel's may be broken
// (vectors.S): a page, since the kernel takes arch_cpu_self() for the first member of a larger
// structure of its own, and must find zeros there.
extern union boot_percpu {
    struct arch_percpu arch;
    uint8_t page[PAGE_SIZE];
} boot_percpu;
union boot_percpu boot_percpu;

static void enable_pan(void)
{
    const uint64_t pan = READ_REGISTER("id_aa64mmfr1_el1") >> 20 & 0xf;
    if (pan == 0)
        return;
    uint64_t sctlr = READ_REGISTER("sctlr_el1") & ~SCTLR_SPAN; // every entry to EL1 sets PSTATE.PAN
    if (pan >= 3)
        sctlr |= SCTLR_EPAN; // for execute-only pages too
    WRITE_REGISTER("sctlr_el1", sctlr);
    __asm__ volatile("isb\n\t.inst 0xd500419f" ::: "memory"); // msr pan, #1
}

// The boot CPU's two stacks are in the image, the others' as arch_stack_map lays them out.
static uint64_t emergency_top(uint64_t stack_top)
{
    return stack_top == (uint64_t)arch_boot_stack_top ? (uint64_t)boot_emergency_top
                                                      : stack_top - ARCH_STACK_BYTES - PAGE_SIZE;
}

void arch_cpu_init(struct arch_percpu *self, void *stack_top)
{
    const uint64_t top = (uint64_t)stack_top;
    *self = (struct arch_percpu){
        .stack_top = top,
        .stack_bottom = top - ARCH_STACK_BYTES,
        .emergency_top = emergency_top(top),
    };
    WRITE_REGISTER("tpidr_el1", self);
    WRITE_REGISTER("tpidr_el0", 0);
    WRITE_REGISTER("tpidrro_el0", 0); // vectors.S counts kernel traps in it
    WRITE_REGISTER("cpacr_el1", 0);   // FP, SIMD, SVE trap, from both levels (fpu.S)
    WRITE_REGISTER("cntkctl_el1", CNTKCTL_EL0VCTEN);
    WRITE_REGISTER("mdscr_el1", MDSCR_TDCC);
    const uint64_t pmu = READ_REGISTER("id_aa64dfr0_el1") >> 8 & 0xf;
    if (pmu != 0 && pmu != 0xf)
        WRITE_REGISTER("pmuserenr_el0", 0);
    enable_pan();
    __asm__ volatile("isb" ::: "memory");
}

// Called by head.S on the boot stack, at the image's link address.
void arch_start(paddr_t told, enum arch_entry way);
void arch_start(paddr_t told, enum arch_entry way)
{
    // From here on TTBR0 is empty until a user root is loaded: null and wild low pointers fault.
    secondary_root = boot_identity_root;
    for (unsigned i = 0; i < TABLE_ENTRIES; i++)
        boot_identity_root.entries[i] = pte_none();
    __asm__ volatile("dsb ishst\n\ttlbi vmalle1\n\tdsb nsh\n\tisb" ::: "memory");

    arch_cpu_init(&boot_percpu.arch, arch_boot_stack_top);
    platform_start(told, way);
}

// ---- the other CPUs

struct page_table secondary_root;

// What is written here is read by the CPU itself only once its MMU and caches are on.
struct arch_start arch_cpu_prepare(struct arch_percpu *self, void *stack_top)
{
    self->stack_top = (uint64_t)stack_top;
    __asm__ volatile("dsb ish" ::: "memory");
    return (struct arch_start){.entry = secondary_entry_address(), .argument = (uint64_t)self};
}

// Read by parked_entry with the MMU off, from the front until it has found itself. An entry is used once:
// one that comes too late finds its own, whoever was let go meanwhile.
struct parked {
    uint64_t id, argument;
};
extern struct parked parked[PARKED_CPUS];
struct parked parked[PARKED_CPUS];
static_assert(sizeof(struct parked) == PARKED_BYTES);
static unsigned parked_count;

paddr_t arch_parked_prepare(uint64_t affinity, uint64_t argument)
{
    if (parked_count == PARKED_CPUS)
        return (paddr_t){0};
    struct parked *entry = &parked[parked_count++];
    *entry = (struct parked){.id = affinity | PARKED_ID_USED, .argument = argument};
    arch_dma_clean(entry, sizeof(*entry));
    return parked_entry_address();
}

// Called by head.S on the CPU's own stack.
[[noreturn]] void arch_secondary_start(struct arch_percpu *self);
void arch_secondary_start(struct arch_percpu *self)
{
    arch_cpu_init(self, (void *)self->stack_top);
    entry_cpu(self);
}

// WFI ends when an interrupt is pending, masked or not, so interrupts never have to be taken
// from the kernel: none can slip in between a check and the wait, and nothing else is
// interrupted.
void arch_idle(void)
{
    while ((READ_REGISTER("isr_el1") & ISR_IRQ) == 0)
        __asm__ volatile("dsb sy\n\twfi" ::: "memory");
    entry_kernel_interrupt();
}

void arch_interrupt_window(void)
{
    if ((READ_REGISTER("isr_el1") & ISR_IRQ) != 0)
        entry_kernel_interrupt();
}

void arch_halt(void)
{
    __asm__ volatile("msr daifset, #0xf" ::: "memory");
    for (;;)
        __asm__ volatile("wfi" ::: "memory");
}

uint64_t arch_cpu_affinity(void)
{
    return READ_REGISTER("mpidr_el1") & PARKED_ID_MASK;
}

uint32_t arch_asid_limit(void)
{
    const bool wide = (READ_REGISTER("id_aa64mmfr0_el1") >> 4 & 0xf) == 2; // head.S sets TCR.AS
    return wide ? 65535 : 255;
}

// ---- user contexts ----

void arch_fpu_init(struct arch_fpu *fpu)
{
    *fpu = (struct arch_fpu){};
}

void arch_context_init(struct arch_context *context, uint64_t pc, uint64_t sp, uint64_t argument0,
                       uint64_t argument1)
{
    *context = (struct arch_context){
        .x = {argument0, argument1}, .sp = sp, .pc = pc, .pstate = PSTATE_D | PSTATE_F};
}

void arch_context_report(const struct arch_context *context, struct abi_fault *fault)
{
    constexpr unsigned general = ARRAY_SIZE(context->x);
    static_assert(general + 3 == ABI_REGISTERS_AARCH64 &&
                  ABI_REGISTERS_AARCH64 <= ABI_FAULT_REGISTERS);
    for (unsigned i = 0; i < general; i++)
        fault->registers[i] = context->x[i];
    fault->registers[general] = context->sp;
    fault->registers[general + 1] = context->pc;
    fault->registers[general + 2] = context->pstate;
    fault->register_count = ABI_FAULT_REGISTERS;
    fault->pc = context->pc;
    fault->sp = context->sp;
    fault->fp = context->x[29];
}

// ---- I/O ports: there are none ----

bool arch_has_io_ports(void)
{
    return false;
}

uint32_t arch_io_read([[maybe_unused]] uint16_t port, [[maybe_unused]] unsigned width)
{
    return UINT32_MAX;
}

void arch_io_write([[maybe_unused]] uint16_t port, [[maybe_unused]] unsigned width,
                   [[maybe_unused]] uint32_t value)
{
}
