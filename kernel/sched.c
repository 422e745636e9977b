// SPDX-License-Identifier: MIT
//
// The run queue of each CPU and the end of every entry. 64 fixed priorities, round robin inside
// one, tickless: the timer is armed for a slice only while an equal waits. Operations are
// scheduled like threads and do one bounded step a turn; between two steps interrupts get in.
#include "cpu.h"

#include "channel.h"
#include "process.h"
#include "thread.h"
#include "vm.h"

constexpr uint64_t SLICE_NS = 10'000'000;

void cpu_init(struct cpu *cpu, uint32_t number)
{
    cpu->number = number;
    cpu->armed_ns = UINT64_MAX;
    cpu->slice_end_ns = UINT64_MAX;
    lock_init(&cpu->timers_lock, RANK_TIMERS);
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

// Charges the time since the last switch to whoever ran.
static void account_time(struct cpu *cpu)
{
    uint64_t now = time_now_ns();
    if (cpu->current)
        cpu->current->cpu_ns += now - cpu->switched_ns;
    else
        cpu->idle_ns += now - cpu->switched_ns;
    cpu->switched_ns = now;
}

// Decides what becomes of the thread that entered the kernel: true if it goes on running.
static bool current_stays(struct cpu *cpu)
{
    struct thread *thread = cpu->current;
    if (!thread)
        return false;
    if (thread->object.state == THREAD_RUNNING) {
        struct runnable *next = highest(cpu);
        bool equal = next && next->priority == thread->priority;
        bool expired = thread->yields || (equal && cpu->slice_end_ns != UINT64_MAX &&
                                          time_now_ns() >= cpu->slice_end_ns);
        if (SEEDED_BUG("S3"))
            return !thread->killed;
        if (!thread->killed && (!next || next->priority < thread->priority || (equal && !expired)))
            return true;
        account_time(cpu);
        if (thread->killed) {
            thread_begin_exit(thread);
        } else {
            // Preempted: first of its equals; its slice used up, or yielding: the last.
            object_transition(&thread->object, THREAD_READY);
            sched_enqueue(cpu, &thread->runnable, !expired);
        }
    } else {
        account_time(cpu);
    }
    cpu->current = nullptr;
    return false;
}

static void switch_to(struct cpu *cpu, struct thread *thread)
{
    account_time(cpu); // what was idle, or in operations
    object_transition(&thread->object, THREAD_RUNNING);
    thread->yields = false;
    cpu->current = thread;
    cpu->switches++;
    cpu->slice_end_ns = UINT64_MAX;
    arch_set_current(&cpu->arch, thread->context);
    aspace_load(cpu, thread->process->aspace);
}

static void idle(struct cpu *cpu)
{
    // What is posted to the inbox from now on comes with an interrupt, which arch_idle never misses.
    CHECK(S4, cpu->ready_mask == 0);
    cpu->priority = 0;
    cpu->slice_end_ns = UINT64_MAX;
    time_arm(cpu);
    cpu->idle = true;
    arch_idle();
    cpu->idle = false;
}

struct arch_context *sched_exit(struct cpu *cpu)
{
    for (;;) {
        thread_inbox_drain(cpu);
        if (current_stays(cpu))
            break;
        struct runnable *next = SEEDED_BUG("S4") ? nullptr : highest(cpu);
        if (!next) {
            account_time(cpu);
            idle(cpu);
            continue;
        }
        sched_dequeue(cpu, next);
        cpu->priority = next->priority;
        if (next->kind == RUNNABLE_THREAD) {
            switch_to(cpu, CONTAINER_OF(next, struct thread, runnable));
            break;
        }
        operation_run(CONTAINER_OF(next, struct operation, runnable));
        arch_interrupt_window();
    }
    struct thread *thread = cpu->current;
    cpu->priority = thread->priority;
    struct runnable *next = highest(cpu);
    CHECK(S3, !next || next->priority <= thread->priority);
    CHECK(L1, cpu->locks_held == 0);
    if (!next || next->priority != thread->priority)
        cpu->slice_end_ns = UINT64_MAX;
    else if (cpu->slice_end_ns == UINT64_MAX)
        cpu->slice_end_ns = time_now_ns() + SLICE_NS;
    thread->yields = false;
    time_arm(cpu);
    return thread->context;
}
