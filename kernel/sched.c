// SPDX-License-Identifier: MIT
//
// The run queue of each CPU and the end of every entry. 64 fixed priorities, round robin inside
// one, tickless: the timer is armed for a slice only while an equal waits. Operations are
// scheduled like threads and do one bounded step a turn; between two steps interrupts get in.
#include "cpu.h"

#include <hal/hal.h>

#include "budget.h"
#include "channel.h"
#include "process.h"
#include "thread.h"
#include "vm.h"

constexpr uint64_t SLICE_NS = 10'000'000;

void cpu_init(struct cpu *cpu, uint32_t number)
{
    cpu->number = number;
    cpu->armed_ns = cpu->budget_end_ns = UINT64_MAX;
    cpu->budget_epoch = CPUS_MAX + number;
    lock_init(&cpu->timers_lock, RANK_TIMERS);
    atomic_init(&cpu->first_ns, UINT64_MAX);
    tlb_init(&cpu->flush_ticket);
    for (unsigned i = 0; i < ABI_PRIORITIES; i++)
        list_init(&cpu->ready[i]);
}

void sched_enqueue(struct cpu *cpu, struct runnable *runnable, bool front)
{
    CHECK(S1, !list_node_linked(&runnable->node) && runnable->priority < ABI_PRIORITIES);
    struct list *queue = &cpu->ready[runnable->priority];
    if (front)
        list_push_front(queue, &runnable->node);
    else
        list_push_back(queue, &runnable->node);
    cpu->ready_mask |= 1ull << runnable->priority;
}

void sched_dequeue(struct cpu *cpu, struct runnable *runnable)
{
    CHECK(S1, list_node_linked(&runnable->node));
    list_remove(&runnable->node);
    if (list_empty(&cpu->ready[runnable->priority]))
        cpu->ready_mask &= ~(1ull << runnable->priority);
}

static struct runnable *highest(struct cpu *cpu)
{
    if (!cpu->ready_mask)
        return nullptr;
    unsigned priority = 63 - (unsigned)__builtin_clzll(cpu->ready_mask);
    return CONTAINER_OF(list_first(&cpu->ready[priority]), struct runnable, node);
}

uint64_t sched_charge(struct cpu *cpu)
{
    uint64_t from = cpu->switched_ns, now = time_now_ns();
    counter_add(cpu->current ? &cpu->current->cpu_ns : &cpu->idle_ns, now - from);
    if (cpu->budget)
        budget_charge(cpu->budget, from, now);
    cpu->switched_ns = now;
    return now;
}

// The same while no thread is current.
static void charge_idle(struct cpu *cpu)
{
    uint64_t now = time_now_ns();
    counter_add(&cpu->idle_ns, now - cpu->switched_ns);
    cpu->switched_ns = now;
}

// ---- budgets: out of line, so that who has none goes by

// The current thread, or the one that is about to be, goes by this one from now on.
[[gnu::noinline]] static void set_budget(struct cpu *cpu, struct budget *budget)
{
    cpu->budget = budget;
    cpu->budget_end_ns = budget ? budget_end(budget, cpu->switched_ns) : UINT64_MAX;
}

void sched_charge_other(struct cpu *cpu, struct budget *budget, uint64_t from, uint64_t to)
{
    if (budget == cpu->budget)
        return; // it is charged with the rest of the current thread's time
    budget_charge(budget, from, to);
    cpu->switched_ns +=
        to - from; // the current thread's budget ends later, as is found when it would have
}

void sched_budget_changed(struct cpu *cpu)
{
    if (cpu->current)
        set_budget(cpu, budget_of_thread(cpu, cpu->current));
}

// Whether a thread that was just taken out of the run queue may run. If not, it is put aside.
[[gnu::noinline]] static bool lets_run(struct cpu *cpu, struct thread *thread)
{
    struct budget *budget = budget_of_thread(cpu, thread);
    if (budget && !budget_lets_run(budget, cpu->switched_ns)) {
        budget_throttle(cpu, budget, thread, cpu->switched_ns);
        return false;
    }
    set_budget(cpu, budget);
    return true;
}

// Whether the budget of the current thread is used up.
[[gnu::noinline]] static bool budget_is_over(struct cpu *cpu)
{
    if (time_now_ns() < cpu->budget_end_ns)
        return false;
    bool over = !budget_lets_run(cpu->budget, sched_charge(cpu));
    set_budget(cpu, cpu->budget);
    return over;
}

// Whether there is nothing left of the budget of the thread that has just stopped.
[[gnu::noinline]] static bool leave_budget(struct cpu *cpu, uint64_t from)
{
    struct budget *budget = cpu->budget;
    budget_charge(budget, from, cpu->switched_ns);
    set_budget(cpu, nullptr);
    return budget->left_ns <= 0;
}

// ---- the current thread

// It stops running. Returns whether its budget is used up.
static bool current_stops(struct cpu *cpu)
{
    uint64_t from = cpu->switched_ns, now = time_now_ns();
    counter_add(&cpu->current->cpu_ns, now - from);
    cpu->switched_ns = now;
    cpu->current = nullptr;
    return cpu->budget && leave_budget(cpu, from);
}

// ---- FP and vector registers
//
// A thread that never uses them costs the two looks below. One that does gets its state back where it
// is switched to, and stores it where it leaves: before another CPU can take it, and before anything
// else runs here, so that nobody ever finds another's (F1). Not inlined, or all the others pay for what
// the compiler prepares.

static struct arch_fpu fpu_elsewhere; // where planted bugs look

[[gnu::noinline]] static void fpu_on(struct cpu *cpu, const struct thread *thread)
{
    arch_fpu_restore(SEEDED_BUG("F1 restore") ? &fpu_elsewhere : thread->fpu);
    cpu->fpu = thread->fpu;
}

[[gnu::noinline]] static void fpu_off(struct cpu *cpu)
{
    arch_fpu_save(SEEDED_BUG("F1 save") ? &fpu_elsewhere : cpu->fpu);
    if (!SEEDED_BUG("F1"))
        cpu->fpu = nullptr;
}

void sched_use_fpu(struct cpu *cpu)
{
    struct thread *thread = cpu->current;
    CHECK(F1, !cpu->fpu && !thread->fpu);
    thread->fpu = thread_fpu_room(thread);
    arch_fpu_init(thread->fpu);
    fpu_on(cpu, thread);
}

// ---- switching

// Lets go of a thread that waits since it entered the kernel: from the next look into the inbox
// on, it may be another CPU's.
static void current_waits(struct cpu *cpu)
{
    if (!cpu->current || thread_state(cpu->current) == THREAD_RUNNING)
        return;
    if (cpu->fpu)
        fpu_off(cpu);
    cpu->current->slice_used_ns = 0;
    (void)current_stops(cpu);
}

// Whether the current thread goes on running.
static bool current_stays(struct cpu *cpu)
{
    const struct thread *thread = cpu->current;
    if (!thread || thread->killed || thread->moves)
        return false;
    if (cpu->budget && budget_is_over(cpu))
        return false;
    if (SEEDED_BUG("S3"))
        return true;
    const struct runnable *next = highest(cpu);
    if (!next || next->priority < thread->runnable.priority)
        return true;
    if (next->priority > thread->runnable.priority || thread->yields)
        return false;
    return cpu->slice_end_ns == UINT64_MAX || time_now_ns() < cpu->slice_end_ns;
}

// Of the thread that has just stopped. A slice is counted while an equal waits.
static bool slice_is_over(const struct cpu *cpu)
{
    return cpu->slice_end_ns <= cpu->switched_ns;
}

static uint32_t slice_used(const struct cpu *cpu, const struct thread *thread)
{
    if (cpu->slice_end_ns == UINT64_MAX)
        return thread->slice_used_ns;
    return (uint32_t)(SLICE_NS - (cpu->slice_end_ns - cpu->switched_ns));
}

// Puts the current thread, which does not stay, where it belongs.
static void current_leaves(struct cpu *cpu)
{
    struct thread *thread = cpu->current;
    if (!thread)
        return;
    if (cpu->fpu && !SEEDED_BUG("F1 late"))
        fpu_off(cpu);
    bool over = current_stops(cpu);
    if (thread->killed) {
        thread_begin_exit(thread);
        return;
    }
    thread_set_state(thread, THREAD_READY);
    if (thread->moves) {
        thread->moves = false;
        thread_move_away(thread);
        if (SEEDED_BUG("F1 late"))
            fpu_off(cpu);
        return;
    }
    // Its slice or its budget used up, or yielding: the last of its equals. Else the first, with what is left of
    // its slice: it was preempted, or a budget above its own is used up.
    bool first = !over && !thread->yields && !slice_is_over(cpu);
    thread->slice_used_ns = first ? slice_used(cpu, thread) : 0;
    sched_enqueue(cpu, &thread->runnable, first);
}

// What it gets is its own from when the last one stopped; the time is read once for both.
static void switch_to(struct cpu *cpu, struct thread *thread)
{
    thread_set_state(thread, THREAD_RUNNING);
    cpu->current = thread;
    counter_add(&cpu->switches, 1);
    cpu->slice_end_ns = UINT64_MAX;
    arch_set_current(&cpu->arch, thread->context);
    if (thread->fpu && !SEEDED_BUG("F1 on"))
        fpu_on(cpu, thread);
    tlb_enter(cpu, thread->process->aspace);
}

static void interrupt_due(struct cpu *cpu)
{
    for (; cpu->interrupts_due; cpu->interrupts_due &= cpu->interrupts_due - 1) {
        CHECK(L1, cpu->locks_held == 0);
        hal.irq->ipi((uint32_t)__builtin_ctzll(cpu->interrupts_due));
    }
}

void cpu_interrupt(const struct cpu *cpu)
{
    struct cpu *self = cpu_self();
    self->interrupts_due |= cpu_bit(cpu);
    if (SEEDED_BUG("L1 interrupt"))
        interrupt_due(self);
}

static void idle(struct cpu *cpu)
{
    // What is posted to the inbox from now on comes with an interrupt, which arch_idle never misses.
    CHECK(S4, cpu->ready_mask == 0);
    cpu->slice_end_ns = UINT64_MAX;
    time_arm(cpu);
    counter_set(&cpu->idle_since_ns, cpu->switched_ns);
    arch_idle();
    counter_set(&cpu->idle_since_ns, 0);
}

// Runs a step of what is most urgent, if that is a long operation still when interrupts had their turn. On
// whose time: that of the account that pays for the object.
[[gnu::noinline]] static void run_operation(struct cpu *cpu)
{
    arch_interrupt_window();
    inbox_drain(cpu);
    struct runnable *next = highest(cpu);
    if (next->kind != RUNNABLE_OPERATION)
        return;
    sched_dequeue(cpu, next);
    cpu->priority = next->priority;
    interrupt_due(cpu);
    struct operation *operation = CONTAINER_OF(next, struct operation, runnable);
    struct object *object = CONTAINER_OF(operation, struct object, operation);
    struct budget *budget = cpu->active_budgets ? budget_of_object(cpu, object) : nullptr;
    uint64_t from = budget ? time_now_ns() : 0;
    (void)operation_run(operation);
    if (budget)
        budget_charge(budget, from, time_now_ns());
}

struct arch_context *sched_exit(struct cpu *cpu)
{
    current_waits(cpu);
    bool switched = false, others = false; // others: it idled or ran operations meanwhile
    for (;;) {
        if (inbox_waiting(&cpu->inbox))
            inbox_drain(cpu);
        if (current_stays(cpu))
            break;
        current_leaves(cpu);
        struct runnable *next = SEEDED_BUG("S4") ? nullptr : highest(cpu);
        if (!next && inbox_waiting(&cpu->inbox))
            continue;
        if (!next) {
            interrupt_due(cpu);
            charge_idle(cpu);
            idle(cpu);
            others = true;
            continue;
        }
        if (next->kind == RUNNABLE_OPERATION) {
            run_operation(cpu);
        } else {
            sched_dequeue(cpu, next);
            struct thread *thread = CONTAINER_OF(next, struct thread, runnable);
            if (others)
                charge_idle(cpu);
            if (!cpu->active_budgets || lets_run(cpu, thread)) {
                switch_to(cpu, thread);
                switched = true;
                break;
            }
            interrupt_due(cpu);
            arch_interrupt_window();
        }
        others = true;
    }
    interrupt_due(cpu);
    struct thread *thread = cpu->current;
    cpu->priority = thread->runnable.priority;
    struct runnable *next = highest(cpu);
    CHECK(S3, !next || next->priority <= cpu->priority);
    CHECK(C2, !cpu->budget || cpu->budget->left_ns > 0);
    CHECK(L1, cpu->locks_held == 0);
    CHECK(F1, cpu->fpu == thread->fpu);
    if (inbox_waiting(&cpu->inbox))
        hal.irq->ipi(cpu->number); // one entry does not take in more: the next comes at once
    if (!next || next->priority != cpu->priority)
        cpu->slice_end_ns = UINT64_MAX;
    else if (cpu->slice_end_ns == UINT64_MAX)
        cpu->slice_end_ns =
            (switched ? cpu->switched_ns : time_now_ns()) + SLICE_NS - thread->slice_used_ns;
    thread->yields = false;
    time_arm(cpu);
    return thread->context;
}
