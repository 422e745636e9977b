// SPDX-License-Identifier: MIT
//
// Monotonic time from the platform's counter, the deadlines of each CPU, and timer objects.
#include "clock.h"

#include <hal/hal.h>

#include "budget.h"
#include "cpu.h"
#include "handlers.h"
#include "interrupt.h"
#include "process.h"
#include "syscall.h"
#include "thread.h"

struct time_conversion time_conversion;

// ticks = ns * inverse >> inverse_shift: a little early at most, which time_arm may be.
static uint64_t inverse;
static unsigned inverse_shift;

void time_init(void)
{
    uint64_t hz = hal.clock->hz;
    ASSERT(hz >= 100'000 && hz <= 100'000'000'000);
    // Both factors as precise as 64 bits allow.
    constexpr uint64_t SECOND = 1'000'000'000;
    time_conversion.shift = (unsigned)__builtin_clzll(SECOND);
    time_conversion.multiplier = (SECOND << time_conversion.shift) / hz;
    time_conversion.base_ticks = hal.clock->ticks();
    time_conversion.base_ns = 0;
    inverse_shift = (unsigned)__builtin_clzll(hz);
    inverse = (hz << inverse_shift) / SECOND;
}

uint64_t time_now_ns(void)
{
    uint64_t ticks = hal.clock->ticks() - time_conversion.base_ticks;
    uint64_t now =
        time_conversion.base_ns +
        (uint64_t)((unsigned __int128)ticks * time_conversion.multiplier >> time_conversion.shift);
    if (SEEDED_BUG("T1")) // a product of 64 bits
        now = ticks * time_conversion.multiplier >> time_conversion.shift;
#ifdef SKERRY_DEV
    struct cpu *cpu = cpu_self();
    uint64_t last = cpu->last_now_ns;
    cpu->last_now_ns = now; // first: the report of a failure asks for the time, too
    CHECK(T1, now >= last);
#endif
    return now;
}

// ---- deadlines

static void note_first(struct cpu *cpu) REQUIRES(cpu->timers_lock)
{
    const struct tree_node *node = tree_first(&cpu->timers);
    atomic_store_explicit(&cpu->first_ns, node ? node->key : UINT64_MAX, memory_order_relaxed);
}

void deadline_set(struct deadline *deadline, struct cpu *cpu, uint64_t ns)
{
    lock_acquire(&cpu->timers_lock);
    deadline->cpu = cpu;
    tree_insert(&cpu->timers, &deadline->node, ns);
    note_first(cpu);
    lock_release(&cpu->timers_lock);
}

void deadline_clear(struct deadline *deadline)
{
    struct cpu *cpu = deadline->cpu;
    if (!cpu)
        return;
    lock_acquire(&cpu->timers_lock);
    if (deadline->node.linked) {
        tree_remove(&cpu->timers, &deadline->node);
        note_first(cpu);
    }
    lock_release(&cpu->timers_lock);
}

static void timer_fire(struct timer *timer, struct object_ref ref, uint64_t now) NO_THREAD_SAFETY
{
    if (!object_ref_lock(ref))
        return;
    // Between the removal from the deadlines and this lock it may have been set anew.
    if (timer->armed && timer->when_ns <= now) {
        CHECK(T2, time_now_ns() >= timer->when_ns);
        timer->armed = false;
        object_signal_locked(&timer->object, SIGNAL_FIRED);
    }
    object_unlock(&timer->object);
}

// What is due first, off the list. A thread's wait is won while the lock keeps it there: lost,
// the thread may be gone as soon as the lock is released.
struct due {
    struct thread *thread; // won; nullptr: none
    struct timer *timer;
    struct object_ref timer_ref;
    struct budget *budget;
    struct interrupt *interrupt;
    struct object_ref interrupt_ref;
    struct budget *payer; // whose time it takes; nullptr: that of whoever runs
};

// The deadline keeps the object, and that its account, while the deadlines are locked.
static struct budget *payer_of(struct cpu *cpu, const struct object *object)
{
    return cpu->active_budgets ? budget_of_object(cpu, object) : nullptr;
}

static bool take_due(struct cpu *cpu, uint64_t now, struct due *out)
{
    *out = (struct due){};
    lock_acquire(&cpu->timers_lock);
    struct tree_node *node = tree_first(&cpu->timers);
    bool due = node && (node->key <= now || SEEDED_BUG("T2"));
    if (due) {
        CHECK(T2, node->key <= now);
        tree_remove(&cpu->timers, node);
        note_first(cpu);
        struct deadline *deadline = CONTAINER_OF(node, struct deadline, node);
        if (deadline->kind == DEADLINE_TIMER) {
            out->timer = CONTAINER_OF(deadline, struct timer, deadline);
            out->timer_ref = object_reference(&out->timer->object);
            out->payer = payer_of(cpu, &out->timer->object);
        } else if (deadline->kind == DEADLINE_STORM) {
            out->interrupt = CONTAINER_OF(deadline, struct interrupt, storm.end);
            out->interrupt_ref = object_reference(&out->interrupt->object);
            out->payer = payer_of(cpu, &out->interrupt->object);
        } else if (deadline->kind == DEADLINE_BUDGET) {
            out->budget = CONTAINER_OF(deadline, struct budget, deadline);
            out->payer = budget_of_account(cpu, out->budget->account); // it may let go of itself
        } else {
            struct thread *thread = CONTAINER_OF(deadline, struct thread, deadline);
            out->payer = payer_of(cpu, &thread->object);
            if (thread_win_wait(thread, deadline->wait_word))
                out->thread = thread;
        }
    }
    lock_release(&cpu->timers_lock);
    return due;
}

void time_expire(struct cpu *cpu)
{
    uint64_t now = time_now_ns();
    for (unsigned i = 0; i < CPU_BATCH; i++) {
        struct due due;
        if (!take_due(cpu, now, &due))
            return;
        if (due.thread)
            thread_expired(due.thread);
        if (due.timer)
            timer_fire(due.timer, due.timer_ref, now);
        if (due.interrupt)
            storm_over(due.interrupt, due.interrupt_ref);
        if (due.budget)
            budget_expired(cpu, due.budget);
        uint64_t after = time_now_ns();
        if (due.payer)
            sched_charge_other(cpu, due.payer, now, after);
        now = after;
    }
}

void time_arm(struct cpu *cpu)
{
    // Another CPU may take the first one away meanwhile: then it fires for nothing.
    uint64_t next = atomic_load_explicit(&cpu->first_ns, memory_order_relaxed);
    if (cpu->slice_end_ns < next)
        next = cpu->slice_end_ns;
    if (cpu->budget_end_ns < next)
        next = cpu->budget_end_ns;
    if (next == cpu->armed_ns)
        return;
    cpu->armed_ns = next;
    if (next == UINT64_MAX) {
        hal.clock->arm(UINT64_MAX);
        return;
    }
    unsigned __int128 ticks = (unsigned __int128)next * inverse >> inverse_shift;
    uint64_t limit = UINT64_MAX - 1 - time_conversion.base_ticks;
    uint64_t after = ticks > limit ? limit : (uint64_t)ticks;
    hal.clock->arm(time_conversion.base_ticks + after);
}

// ---- system calls

status_t sys_clock_read(struct entry *entry)
{
    entry->result[0] = time_now_ns();
    return STATUS_OK;
}

status_t sys_clock_info(struct entry *entry)
{
    entry->result[0] = time_conversion.base_ns;
    entry->result[1] = time_conversion.base_ticks;
    entry->result[2] = time_conversion.multiplier;
    entry->result[3] = time_conversion.shift;
    return STATUS_OK;
}

status_t sys_timer_create(struct entry *entry, const struct handle_lookup *account)
{
    struct object *object;
    status_t status = create_with_handle(entry, account, OBJECT_TIMER, &object);
    if (status != STATUS_OK)
        return status;
    ((struct timer *)(void *)object)->deadline.kind = DEADLINE_TIMER;
    entry->result[0] = handle_publish(entry->process, object, RIGHTS_TIMER);
    return STATUS_OK;
}

static void timer_clear_locked(struct timer *timer) REQUIRES(timer->object.lock)
{
    deadline_clear(&timer->deadline);
    timer->armed = false;
    timer->object.signals &= ~(uint32_t)SIGNAL_FIRED;
}

status_t sys_timer_set(struct entry *entry, const struct handle_lookup *handle,
                       uint64_t deadline_ns) NO_THREAD_SAFETY
{
    (void)entry;
    struct timer *timer = (struct timer *)(void *)handle->object;
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    timer_clear_locked(timer);
    timer->armed = true;
    timer->when_ns = deadline_ns;
    if (deadline_ns != ABI_DEADLINE_NEVER)
        deadline_set(&timer->deadline, cpu_self(), deadline_ns);
    object_unlock(handle->object);
    return STATUS_OK;
}

status_t sys_timer_cancel(struct entry *entry, const struct handle_lookup *handle) NO_THREAD_SAFETY
{
    (void)entry;
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    if (!SEEDED_BUG("T2 cancel"))
        timer_clear_locked((struct timer *)(void *)handle->object);
    object_unlock(handle->object);
    return STATUS_OK;
}

enum step timer_teardown(struct object *object)
{
    deadline_clear(&((struct timer *)(void *)object)->deadline);
    return STEP_DONE;
}

void timer_inspect(struct object *object, struct abi_inspect *out) NO_THREAD_SAFETY
{
    struct timer *timer = (struct timer *)(void *)object;
    out->timer.deadline_ns = timer->armed ? timer->when_ns : ABI_DEADLINE_NEVER;
}
