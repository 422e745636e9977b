// SPDX-License-Identifier: MIT
//
// Simulated CPUs: coroutines that run kernel entries and stop at interleaving points. One real
// thread runs them all, so what is found is found again with the same seed.
#include <stdlib.h>
#include <ucontext.h>

#include <sanitizer/common_interface_defs.h>

#include "host.h"
#include "pages.h"

constexpr size_t STACK_BYTES = 1 << 20;

struct arch_percpu *host_running;
void (*host_on_window)(void);
uint64_t host_points, host_switches;

static struct simulated_cpu {
    enum host_place place;
    struct arch_percpu *percpu;
    ucontext_t context;
    uint8_t *stack;
    void *fake_stack; // the address sanitizer's
    struct arch_context *(*entry)(void);
    bool started, woken;
    void (*handler)(void);
} machine_cpus[HOST_CPUS];

static ucontext_t test_context;
static void *test_fake_stack;
static const void *test_stack;
static size_t test_stack_bytes;

static struct simulated_cpu *inside; // whose coroutine runs; nullptr: the test
static uint32_t period;
static uint64_t random_state;

// ---- switching

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define FIBERS 1
#endif
#endif

static void leave(struct simulated_cpu *cpu, enum host_place place)
{
    cpu->place = place;
    inside = nullptr;
#ifdef FIBERS
    __sanitizer_start_switch_fiber(&cpu->fake_stack, test_stack, test_stack_bytes);
#endif
    swapcontext(&cpu->context, &test_context);
#ifdef FIBERS
    __sanitizer_finish_switch_fiber(cpu->fake_stack, &test_stack, &test_stack_bytes);
#endif
}

static void run_entries(void)
{
#ifdef FIBERS
    __sanitizer_finish_switch_fiber(nullptr, &test_stack, &test_stack_bytes);
#endif
    for (;;) {
        struct simulated_cpu *cpu = inside;
        (void)cpu->entry();
        leave(cpu, HOST_USER);
    }
}

void host_run(unsigned number)
{
    struct simulated_cpu *cpu = &machine_cpus[number];
    if (!cpu->started) {
        cpu->started = true;
        if (!cpu->stack)
            cpu->stack = pages_new(STACK_BYTES);
        getcontext(&cpu->context);
        cpu->context.uc_stack.ss_sp = cpu->stack;
        cpu->context.uc_stack.ss_size = STACK_BYTES;
        cpu->context.uc_link = nullptr;
        makecontext(&cpu->context, run_entries, 0);
    }
    inside = cpu;
    host_running = cpu->percpu;
#ifdef FIBERS
    __sanitizer_start_switch_fiber(&test_fake_stack, cpu->stack, STACK_BYTES);
#endif
    swapcontext(&test_context, &cpu->context);
#ifdef FIBERS
    __sanitizer_finish_switch_fiber(test_fake_stack, nullptr, nullptr);
#endif
}

enum host_place host_place(unsigned cpu)
{
    return machine_cpus[cpu].place;
}

void host_cpu_attach(unsigned cpu, struct arch_percpu *percpu)
{
    percpu->number = cpu;
    machine_cpus[cpu].percpu = percpu;
    if (!host_running)
        host_running = percpu;
}

void host_enter(unsigned cpu, struct arch_context *(*entry)(void))
{
    if (machine_cpus[cpu].place != HOST_OFF && machine_cpus[cpu].place != HOST_USER)
        abort();
    machine_cpus[cpu].entry = entry;
}

void host_wake(unsigned cpu, void (*handler)(void))
{
    machine_cpus[cpu].woken = true;
    machine_cpus[cpu].handler = handler;
}

void arch_idle(void)
{
    struct simulated_cpu *cpu = inside;
    cpu->woken = false;
    do
        leave(cpu, HOST_IDLE);
    while (!cpu->woken);
    if (cpu->handler)
        cpu->handler();
}

void arch_interrupt_window(void)
{
    if (host_on_window)
        host_on_window();
}

// ---- interleaving

void host_interleave(uint32_t new_period, uint64_t seed)
{
    period = new_period;
    random_state = seed * 0x9e37'79b9'7f4a'7c15 + 1;
}

static void point(void)
{
    host_points++;
    if (period == 0 || !inside)
        return;
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    if (random_state % period != 0)
        return;
    host_switches++;
    leave(inside, HOST_KERNEL);
}

// The compiler calls these at the beginning and the end of each function of kernel/.
void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

void __cyg_profile_func_enter(void *function, void *caller)
{
    (void)function, (void)caller;
    point();
}

void __cyg_profile_func_exit(void *function, void *caller)
{
    (void)function, (void)caller;
    point();
}

void host_relax(void)
{
    // Somebody else holds the lock. With nobody else running, nobody will ever release it.
    if (period == 0 || !inside) {
        static const char what[] = "\nhost: a spin loop that nobody can end\n";
        for (const char *c = what; *c && host_console_bytes + 1 < sizeof host_console; c++)
            host_console[host_console_bytes++] = *c;
        arch_halt();
    }
    host_switches++;
    leave(inside, HOST_KERNEL);
}

void host_cpus_reset(void);
void host_cpus_reset(void)
{
    for (unsigned i = 0; i < HOST_CPUS; i++)
        machine_cpus[i] = (struct simulated_cpu){.stack = machine_cpus[i].stack};
    inside = nullptr;
    host_running = nullptr;
    host_on_window = nullptr;
    period = 0;
    host_points = host_switches = 0;
}
