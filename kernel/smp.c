// SPDX-License-Identifier: MIT
//
// Starting the other CPUs, one at a time: the kernel waits for each until it has arrived, so that
// they come in the order of the firmware's tables and share nothing while they start.
#include <arch/arch.h>
#include <entry/entry.h>
#include <hal/hal.h>
#include <kernel/boot.h>
#include <lib/string.h>

#include "clock.h"
#include "cpu.h"
#include "frame.h"
#include "thread.h"
#include "vm.h"

constexpr uint64_t ARRIVAL_NS = 1'000'000'000;

static_assert(BOOT_CPUS_MAX <= CPUS_MAX);
struct cpu *cpus[CPUS_MAX];
static _Atomic uint32_t count;

// What the CPUs that are not started yet are made of.
static struct {
    uint8_t *structures; // struct cpu, page by page
    uint8_t *stacks;
    uint32_t count;
} carved;

static _Atomic uint64_t boot_now_ns; // what the boot CPU read when it looked last

uint32_t cpu_count(void)
{
    return atomic_load_explicit(&count, memory_order_acquire);
}

void cpu_announce(struct cpu *cpu)
{
    cpus[cpu->number] = cpu;
    atomic_store_explicit(&count, cpu->number + 1, memory_order_release);
}

static size_t structure_bytes(void)
{
    return align_up(sizeof(struct cpu), PAGE_SIZE);
}

void smp_carve(const struct boot_info *boot)
{
    carved.count = hal.cpu_start ? boot->cpu_count : 1;
    carved.structures = frames_carve((carved.count - 1) * structure_bytes());
    memset(carved.structures, 0, (carved.count - 1) * structure_bytes());
    carved.stacks = frames_carve((carved.count - 1) * ARCH_STACK_MEMORY);
}

static uint8_t arrival(const struct cpu *cpu)
{
    return atomic_load_explicit(&cpu->arrival, memory_order_acquire);
}

// Returns why the CPU cannot be used, nullptr: it runs.
static const char *start_one(struct cpu *cpu, void *stack_top)
{
    if (!stack_top)
        return "there is no room to map its stack";
    struct arch_start at = arch_cpu_prepare(&cpu->arch, stack_top);
    uint64_t now = time_now_ns(), end = now + ARRIVAL_NS;
    atomic_store_explicit(&boot_now_ns, now, memory_order_release);
    if (!hal.cpu_start(cpu->hardware_id, at.entry, at.argument))
        return "the firmware refuses to start it";
    while (arrival(cpu) < CPU_RUNS) {
        now = time_now_ns();
        atomic_store_explicit(&boot_now_ns, now, memory_order_release);
        uint8_t coming = CPU_COMING;
        if (now >= end && atomic_compare_exchange_strong(&cpu->arrival, &coming, CPU_GIVEN_UP))
            return "it does not arrive";
        arch_cpu_relax();
    }
    return cpu->refusal;
}

void smp_start(const struct boot_info *boot)
{
    for (uint32_t i = 1; i < carved.count; i++) {
        struct cpu *cpu = (struct cpu *)(void *)(carved.structures + (i - 1) * structure_bytes());
        // One that cannot be used leaves no gap.
        cpu_init(cpu, cpu_count());
        cpu->hardware_id = boot->cpu_ids[i];
        paddr_t stack = arch_ram_address(carved.stacks + (i - 1) * ARCH_STACK_MEMORY);
        const char *refused = start_one(cpu, arch_stack_map(cpu->number, stack));
        if (refused)
            klog("CPU %u (0x%lx) is not used: %s", i, (unsigned long)cpu->hardware_id, refused);
    }
    klog("%u of %u CPU%s run", cpu_count(), boot->cpu_count, boot->cpu_count == 1 ? "" : "s");
}

static uint64_t boot_now(void)
{
    return atomic_load_explicit(&boot_now_ns, memory_order_acquire);
}

// T1 holds across CPUs: what this one reads is not before what the boot CPU has read, nor after
// what that reads next. The boot CPU may have looked before this one did and write it down later,
// but of two looks that follow, the second began afterwards.
static const char *check_clock(void)
{
    uint64_t before = boot_now(), mine = time_now_ns();
    if (mine < before)
        return "its clock is behind the boot CPU's";
    uint64_t theirs = boot_now();
    for (unsigned looks = 0; looks < (SEEDED_BUG("T1 looks") ? 1 : 2);) {
        uint64_t next = boot_now();
        looks += next != theirs;
        theirs = next;
        arch_cpu_relax();
    }
    return theirs < mine && !SEEDED_BUG("T1 ahead") ? "its clock is ahead of the boot CPU's"
                                                    : nullptr;
}

void entry_cpu(struct arch_percpu *self)
{
    struct cpu *cpu = (struct cpu *)(void *)self;
    uint8_t coming = CPU_COMING;
    if (!atomic_compare_exchange_strong(&cpu->arrival, &coming, CPU_ARRIVED) &&
        !SEEDED_BUG("late CPU"))
        arch_halt(); // too late
    cpu->refusal = hal.irq->cpu_init(cpu->number);
    if (!cpu->refusal) {
        hal.clock->cpu_init();
        cpu->refusal = check_clock();
    }
    if (cpu->refusal) {
        atomic_store_explicit(&cpu->arrival, CPU_REFUSED, memory_order_release);
        arch_halt();
    }
    aspace_load_kernel();
    cpu->switched_ns = time_now_ns();
    cpu_announce(cpu);
    atomic_store_explicit(&cpu->arrival, CPU_RUNS, ORDER("weak runs", memory_order_release));
    arch_enter_user(sched_exit(cpu));
}
