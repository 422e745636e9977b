// SPDX-License-Identifier: MIT
//
// The boot CPU goes through smp_start; the second one begins in entry_cpu when it was told to, or
// much later. Instrumented like the kernel.
//
// Both spin while they wait for each other, and would for ever if they were let: the boot CPU makes
// a few turns as it likes, and then one for each of the other's. What paces them
// orders no memory, but for what a CPU sees that has waited.
#include "starting.h"

#include <entry/entry.h>
#include <hal/hal.h>
#include <kernel/boot.h>

#include "explore.h"
#include "host.h"
#include "machine.h"

constexpr unsigned FREE_TURNS = 1;
constexpr uint64_t LATE_NS = 2'000'000'000;

struct boot_info starting_boot;
struct thread *starting_thread;
bool starting_ran[2], starting_halted;
struct cpu *starting_cpu;
uint64_t starting_ahead;
bool starting_late;

static _Atomic uint32_t told, never;
enum turn : uint32_t { TURN = 1, OVER = 2 };
static _Atomic uint32_t may_turn; // enum turn: the boot CPU's
static _Atomic uint32_t has_turned;
static unsigned turns;
static bool waits; // the boot CPU, for the other

// ---- time: every look is after all looks before it, whoever made them, with what came before them

static _Atomic uint64_t now;

static uint64_t ticks(void)
{
    bool second = host_running->number == 1;
    uint64_t passes = 1;
    if (!second && waits && starting_late && explore_choose(2) == 1) {
        waits = false; // once
        passes = LATE_NS;
    }
    return atomic_fetch_add_explicit(&now, passes, memory_order_acq_rel) +
           (second ? starting_ahead : 0);
}

static void arm(uint64_t when)
{
    (void)when;
}

static void clock_init(void)
{
}

static const struct clock_source clock_source = {
    .name = "explored", .hz = HOST_HZ, .cpu_init = clock_init, .ticks = ticks, .arm = arm};

// ---- waiting

static void relax(void)
{
    if (host_running->number == 1) {
        atomic_fetch_or_explicit(&may_turn, TURN, memory_order_relaxed);
        explore_wait(&has_turned);
        atomic_fetch_and_explicit(&has_turned, 0, memory_order_relaxed);
        return;
    }
    atomic_fetch_or_explicit(&has_turned, 1, memory_order_release);
    if (turns++ < FREE_TURNS)
        return;
    explore_wait(&may_turn);
    atomic_fetch_and_explicit(&may_turn, OVER, memory_order_relaxed);
}

void starting_over(void)
{
    starting_halted = true;
    atomic_fetch_or_explicit(&may_turn, OVER, memory_order_release);
    explore_wait(&never);
}

static void idle(void)
{
    if (host_running->number == 1) {
        if (!machine_root_of(1))
            explore_fail("stale", "it idles with the translations that it was started with");
        atomic_fetch_or_explicit(&may_turn, OVER, memory_order_release);
    }
    machine_idle();
    entry_kernel_interrupt();
}

static void user(void)
{
    starting_ran[host_running->number] = true;
    if (host_running->number == 1)
        atomic_fetch_or_explicit(&may_turn, OVER, memory_order_release);
    explore_wait(&never);
}

// ---- the CPUs

static bool cpu_start(uint64_t id, paddr_t entry, uint64_t argument)
{
    (void)id, (void)entry;
    starting_cpu = (struct cpu *)argument;
    starting_cpu->arch.number = 1;
    waits = true;
    atomic_store_explicit(&told, 1, memory_order_release);
    return true;
}

void starting_take_over(void)
{
    machine_take_over();
    hal.clock = &clock_source;
    hal.cpu_start = cpu_start;
    host_on_idle = idle;
    host_on_user = user;
    host_on_relax = relax;
}

void starting_boot_cpu(void *argument)
{
    (void)argument;
    smp_start(&starting_boot);
    waits = false;
    struct cpu *home = cpus[cpu_count() - 1];
    atomic_store_explicit(&starting_thread->home, home, memory_order_relaxed);
    thread_request(starting_thread, REQUEST_START);
    arch_enter_user(sched_exit(cpu_self()));
}

void starting_second_cpu(void *argument)
{
    (void)argument;
    explore_wait(&told);
    entry_cpu(&starting_cpu->arch);
}
