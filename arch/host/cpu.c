// SPDX-License-Identifier: MIT
//
// Simulated CPUs: coroutines that run kernel entries and stop at interleaving points. One real
// thread runs them all, so what is found is found again with the same seed.
#include <stdlib.h>

#include "host.h"
#include "pages.h"
#include "stack.h"

constexpr size_t STACK_BYTES = 1 << 20;

struct arch_percpu *host_running;
void (*host_on_window)(void), (*host_on_idle)(void), (*host_on_relax)(void);
uint64_t host_points, host_switches;
bool (*host_on_function)(void *function);

static struct simulated_cpu {
    enum host_place place;
    struct arch_percpu *percpu;
    struct stack stack;
    struct arch_context *(*entry)(void);
    bool started, woken;
    void (*handler)(void);
} machine_cpus[HOST_CPUS];

static struct stack test_stack;
static struct simulated_cpu *inside; // whose coroutine runs; nullptr: the test
static uint32_t period;
static uint64_t random_state;

// ---- switching

static void leave(struct simulated_cpu *cpu, enum host_place place)
{
    cpu->place = place;
    inside = nullptr;
    stack_switch(&cpu->stack, &test_stack);
}

// ---- FP registers

bool host_fpu_fill(struct arch_percpu *cpu, uint64_t value)
{
    if (!cpu->fpu_on)
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(cpu->fpu.value); i++)
        cpu->fpu.value[i] = cpu->current->fpu.value[i] = value + i;
    return true;
}

static void console_line(const char *text)
{
    for (; *text && host_console_bytes + 1 < sizeof host_console; text++)
        host_console[host_console_bytes++] = *text;
}

void host_fpu_check(const struct arch_percpu *cpu)
{
    const struct arch_context *context = cpu->current;
    const char *wrong = nullptr;
    if (cpu->fpu_on && !context->fpu_used)
        wrong = "\nPANIC: user code finds FP registers that are not its own\n";
    else if (!cpu->fpu_on && context->fpu_used)
        wrong = "\nPANIC: user code has lost its FP registers\n";
    else if (cpu->fpu_on && memcmp(&cpu->fpu, &context->fpu, sizeof cpu->fpu) != 0)
        wrong = "\nPANIC: user code finds other values in FP registers than it has left there\n";
    if (!wrong)
        return;
    console_line(wrong);
    arch_halt();
}

// ---- user mode

// A real machine resumes what it is given, and saves there what the next entry interrupts.
static void to_user(struct simulated_cpu *cpu, const struct arch_context *context)
{
    if (!context || context != cpu->percpu->current)
        abort();
    host_fpu_check(cpu->percpu);
    leave(cpu, HOST_USER);
}

static void run_entries(void)
{
    stack_entered(&test_stack);
    for (;;) {
        struct simulated_cpu *cpu = inside;
        to_user(cpu, cpu->entry());
    }
}

void (*host_on_user)(void);

// As if the entry that calls it returned: those that follow are run from here.
void arch_enter_user(struct arch_context *context)
{
    if (host_on_user)
        host_on_user();
    struct simulated_cpu *cpu = inside;
    for (;;) {
        to_user(cpu, context);
        context = cpu->entry();
    }
}

void host_run(unsigned number)
{
    struct simulated_cpu *cpu = &machine_cpus[number];
    if (!cpu->started) {
        cpu->started = true;
        if (!cpu->stack.base)
            cpu->stack = (struct stack){.base = pages_new(STACK_BYTES), .bytes = STACK_BYTES};
        stack_prepare(&cpu->stack, run_entries);
    }
    inside = cpu;
    host_running = cpu->percpu;
    stack_switch(&test_stack, &cpu->stack);
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
    if (host_on_idle) {
        host_on_idle();
        return;
    }
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
    if (!inside)
        return;
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    if (random_state % period != 0)
        return;
    host_switches++;
    leave(inside, HOST_KERNEL);
}

// Apart, so that the usual case is inlined where it can be.
[[gnu::noinline]] static void begins(void *function)
{
    if (host_on_function && inside && host_on_function(function))
        leave(inside, HOST_KERNEL);
    if (period != 0)
        point();
}

// The compiler calls these at the beginning and the end of each function of kernel/.
void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

void __cyg_profile_func_enter(void *function, void *caller)
{
    (void)caller;
    if (__builtin_expect(host_on_function || period != 0, 0))
        begins(function);
}

void __cyg_profile_func_exit(void *function, void *caller)
{
    (void)function, (void)caller;
    if (__builtin_expect(period != 0, 0))
        point();
}

void host_relax(void)
{
    if (host_on_relax) {
        host_on_relax();
        return;
    }
    // Somebody else holds the lock. With nobody else running, nobody will ever release it.
    if (period == 0 || !inside) {
        console_line("\nhost: a spin loop that nobody can end\n");
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
    host_on_window = host_on_idle = host_on_relax = nullptr;
    host_on_function = nullptr;
    period = 0;
    host_points = host_switches = 0;
}
