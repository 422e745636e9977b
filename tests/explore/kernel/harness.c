// SPDX-License-Identifier: MIT
//
// Not instrumented: what user code does on each CPU, what came of it, and the ghosts that say
// whether a translation is stale. What changes here during an execution is put back as a region.
#include "harness.h"

#include <entry/entry.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "frame.h"
#include "host.h"
#include "machine.h"
#include "object.h"
#include "pages.h"
#include "runner.h"
#include "whole.h"

void __tsan_write_range(void *address, size_t bytes);

constexpr unsigned STEPS_MAX = 8;

struct user_step {
    bool access, write, fault, fpu, left_out;
    uint64_t number, argument[6];
    struct object *ended;
};

static struct plan {
    unsigned count;
    struct user_step steps[STEPS_MAX];
} plans[ACTORS_MAX + 1]; // the last: nobody's

static struct record {
    unsigned started, done;
    bool in_call, woken, faulted;
    struct outcome waking, out[STEPS_MAX];
} records[ACTORS_MAX + 1];

static const struct kernel_scenario *running;
static struct actor *on_each[MACHINE_CPUS];

// ---- memory of the machine, as arch/host/mmu.c has it

uint8_t *host_ram;
uint64_t host_ram_bytes;
bool host_tlb_broadcasts;
struct host_tlb_entry host_tlb[HOST_CPUS][HOST_TLB_ENTRIES]; // none is ever valid here

void host_mmu_reset(size_t ram_bytes, uint32_t limit);
void host_mmu_reset(size_t ram_bytes, uint32_t limit)
{
    if (host_ram)
        pages_delete(host_ram, host_ram_bytes);
    host_ram = pages_new(ram_bytes);
    host_ram_bytes = ram_bytes;
    machine_reset_translation(limit != 0);
}

void host_bad_address(uint64_t address)
{
    explore_fail("address", "%#lx is not RAM", (unsigned long)address);
}

void arch_root_init(pte_t *root)
{
    (void)root;
}

void arch_code_sync(void *start, size_t bytes)
{
    (void)start, (void)bytes;
}

void arch_dma_clean(const void *start, size_t bytes)
{
    (void)start, (void)bytes;
}

void arch_dma_invalidate(const void *start, size_t bytes)
{
    (void)start, (void)bytes;
}

// ---- ghosts

static const struct frame *frame_behind(uint64_t leaf)
{
    return frame_of(pte_address((pte_t){leaf}));
}

uint64_t machine_owner_of(uint64_t leaf)
{
    const struct object *owner = object_at(frame_behind(leaf)->owner);
    return owner ? owner->id : 0;
}

void machine_check_frame(uint64_t leaf, uint64_t owner)
{
    const struct frame *frame = frame_behind(leaf);
    if (frame->state != FRAME_USER || machine_owner_of(leaf) != owner)
        explore_fail("stale", "user code reaches a frame that is %s now",
                     frame->state == FRAME_USER ? "another object's" : "free, or the kernel's");
}

// ---- user code

static struct record *record_of(const struct thread *thread, struct plan **plan)
{
    for (unsigned i = 0; i < world.actor_count; i++)
        if (world.actors[i].thread == thread) {
            *plan = &plans[i];
            return &records[i];
        }
    *plan = &plans[ACTORS_MAX]; // one that a step has made: it has nothing to do
    return &records[ACTORS_MAX];
}

static void returned(struct record *record, const struct thread *thread)
{
    if (!record->in_call)
        return;
    record->in_call = false;
    struct outcome *out =
        record->started > record->done ? &record->out[record->done] : &record->waking;
    out->status = (status_t)thread->context->status;
    memcpy(out->value, thread->context->result, sizeof out->value);
    if (record->started > record->done)
        record->done++;
    else
        record->woken = true;
}

static void make_call(struct thread *thread, uint64_t number, const uint64_t argument[6])
{
    thread->context->number = number;
    memcpy(thread->context->argument, argument, sizeof thread->context->argument);
    (void)entry_syscall();
}

static void user_access(struct record *record, const struct user_step *step)
{
    if (machine_access(step->argument[0], step->write)) {
        record->out[record->done++].status = STATUS_OK;
        return;
    }
    record->faulted = true;
    record->out[record->done++].status = STATUS_GONE; // what tests see of a fault
}

// One that no access has to cause. It has no call to answer: what the step ends with is our own.
static void user_fault(struct thread *thread)
{
    static const struct abi_fault report = {.cause = FAULT_BREAKPOINT};
    thread->context->status = STATUS_OK;
    (void)entry_fault(&report);
}

static void end_object(struct record *record, struct object *object)
{
    record->out[record->done++].status = STATUS_OK;
    (void)object_kill(object_reference(object), sched_priority());
    (void)sched_exit(cpu_self());
}

// A step of its own, and one for the trap before it.
static void user_fpu(struct record *record)
{
    if (machine_use_fpu(record->done * 16 + 1)) {
        record->out[record->done++].status = STATUS_OK;
        return;
    }
    record->started--; // the same instruction once more
    (void)entry_fpu();
}

static void user_mode(unsigned number)
{
    static const uint64_t for_ever[6] = {ABI_DEADLINE_NEVER};
    struct thread *thread = cpus[number]->current;
    struct plan *plan;
    struct record *record = record_of(thread, &plan);
    returned(record, thread);
    host_fpu_check(&cpus[number]->arch);
    if (record->started == plan->count) {
        make_call(thread, SYSCALL_THREAD_SLEEP, for_ever);
        return;
    }
    const struct user_step *step = &plan->steps[record->started++];
    if (step->left_out) {
        record->done++;
        return;
    }
    if (step->access) {
        user_access(record, step);
        return;
    }
    if (step->fpu) {
        user_fpu(record);
        return;
    }
    if (step->ended) {
        end_object(record, step->ended);
        return;
    }
    record->in_call = true;
    if (step->fault)
        user_fault(thread);
    else
        make_call(thread, step->number, step->argument);
}

static void cpu_main(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument;
    for (;;) {
        bool interrupted = machine_interrupt_comes();
        whole_enter();
        if (interrupted)
            (void)entry_interrupt();
        else
            user_mode(number);
        whole_leave();
    }
}

static void idle(void)
{
    whole_leave();
    machine_idle();
    whole_enter();
    entry_kernel_interrupt();
}

static void window(void)
{
    whole_leave();
    whole_enter();
    if (machine_interrupt_comes())
        entry_kernel_interrupt();
}

static void on_switch(unsigned thread)
{
    host_running = thread < world.cpus ? &cpus[thread]->arch : nullptr;
}

static void halted(void)
{
    char last[256] = "";
    host_console[host_console_bytes] = '\0';
    const char *line = strstr(host_console, "PANIC: ");
    snprintf(last, sizeof last, "%.200s", line ? line + 7 : "?");
    last[strcspn(last, "\n")] = '\0';
    host_console_bytes = 0;
    explore_fail("panic", "%s", last);
}

// ---- what kernel_world.c expects of the unit tests

void test_fail(const char *file, int line, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    explore_fail("check", "%s (%s:%d)", text, file, line);
}

uint64_t random_next(struct random *random)
{
    return random->state++;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
    return random_next(random) % bound;
}

// ---- setup

static unsigned number_of(const struct actor *actor)
{
    return (unsigned)(actor - world.actors);
}

static struct {
    void (*function)(void *);
    uintptr_t argument;
    const char *name;
} others[3];
static unsigned other_count;

static void begin(unsigned count, size_t contiguous)
{
    world_begin((struct world_options){.ram_bytes = (4 << 20) + contiguous,
                                       .contiguous_bytes = contiguous,
                                       .cpus = count,
                                       .asids = running->broadcasts ? 0 : UINT32_MAX});
}

void begin_world(unsigned count)
{
    begin(count, 0);
}

void begin_world_with_blocks(unsigned count)
{
    begin(count, 2 << 20);
}

void runs(struct actor *actor)
{
    hold(actor);
    on_each[actor->cpu] = actor;
}

static struct user_step *add(struct actor *actor)
{
    struct plan *plan = &plans[number_of(actor)];
    if (plan->count == STEPS_MAX)
        abort();
    return &plan->steps[plan->count++];
}

void plan_step(struct actor *actor, uint64_t number, const uint64_t arguments[6])
{
    struct user_step *step = add(actor);
    *step = (struct user_step){.number = number, .left_out = !explore_keeps_part()};
    memcpy(step->argument, arguments, sizeof step->argument);
}

void plan_access(struct actor *actor, uint64_t address, bool write)
{
    *add(actor) = (struct user_step){
        .access = true, .write = write, .left_out = !explore_keeps_part(), .argument = {address}};
    machine_page(address);
}

void plan_fpu(struct actor *actor)
{
    *add(actor) = (struct user_step){.fpu = true, .left_out = !explore_keeps_part()};
}

void plan_fault(struct actor *actor)
{
    *add(actor) = (struct user_step){.fault = true, .left_out = !explore_keeps_part()};
}

void plan_end(struct actor *actor, struct object *object)
{
    *add(actor) = (struct user_step){.ended = object, .left_out = !explore_keeps_part()};
}

void plan_interrupt(uint32_t line)
{
    if (!explore_keeps_part())
        return;
    others[other_count].name = "device";
    others[other_count].argument = line;
    others[other_count++].function = machine_device_raises;
}

void plan_time(uint64_t ns)
{
    if (!explore_keeps_part())
        return;
    others[other_count].name = "time";
    others[other_count].argument = ns;
    others[other_count++].function = machine_time_comes;
}

void harness_choose(const struct kernel_scenario *scenario)
{
    running = scenario;
}

void harness_setup(void)
{
    static const char *const names[] = {"cpu0", "cpu1", "cpu2", "cpu3"};
    memset(plans, 0, sizeof plans);
    memset(records, 0, sizeof records);
    memset(on_each, 0, sizeof on_each);
    other_count = 0;
    running->setup();
    explore_region(&host_console_bytes, sizeof host_console_bytes);
    explore_ignore(invariant_evaluations, sizeof(struct counter) * INVARIANT_COUNT);
    if (running->raw)
        return;
    // Whoever waits in a call of the setup is waited for.
    for (unsigned i = 0; i < world.actor_count; i++)
        records[i].in_call = world.actors[i].calling;
    machine_take_over();
    host_on_idle = idle;
    host_on_window = window;
    host_on_relax = explore_relax;
    host_on_halt = halted;
    host_on_context = __tsan_write_range; // arch/host is not instrumented
    explore_on_switch = on_switch;
    if (running->broadcasts)
        translation_watch();
    explore_region(records, sizeof records);
    for (unsigned i = 0; i < world.cpus; i++) { // what locks.c keeps is not seen
        explore_region(&cpus[i]->locks_held, sizeof cpus[i]->locks_held);
        explore_region(cpus[i]->locks, sizeof cpus[i]->locks);
        explore_region(cpus[i]->lock_ranks, sizeof cpus[i]->lock_ranks);
    }
    for (unsigned i = 0; i < world.cpus; i++)
        explore_thread(names[i], cpu_main, (void *)(uintptr_t)i);
    for (unsigned i = 0; i < other_count; i++)
        explore_thread(others[i].name, others[i].function, (void *)others[i].argument);
}

// ---- the end of an execution

static void ask_about(const struct actor *actor, unsigned step)
{
    if (plans[number_of(actor)].steps[step].left_out)
        explore_finish_nothing();
}

bool is_over(const struct actor *actor, unsigned step)
{
    ask_about(actor, step);
    return records[number_of(actor)].done > step;
}

status_t status_of(const struct actor *actor, unsigned step)
{
    ask_about(actor, step);
    const struct record *record = &records[number_of(actor)];
    if (record->done <= step)
        explore_fail("lost", "actor %u waits for ever in step %u", number_of(actor), step);
    return record->out[step].status;
}

uint64_t value_of(const struct actor *actor, unsigned step, unsigned index)
{
    (void)status_of(actor, step);
    return records[number_of(actor)].out[step].value[index];
}

bool has_woken(const struct actor *actor)
{
    return records[number_of(actor)].woken;
}

status_t woken_with(const struct actor *actor)
{
    const struct record *record = &records[number_of(actor)];
    if (!record->woken)
        explore_fail("lost", "actor %u is never woken", number_of(actor));
    return record->waking.status;
}

void seen(uint64_t outcome)
{
    whole_outcome_add(outcome);
}

// What the calls of one actor have answered.
static void add_outcome(const struct actor *actor, const struct record *record)
{
    whole_outcome_add(record->done | (uint64_t)record->woken << 32 |
                      (uint64_t)is_dead(actor) << 33);
    for (unsigned i = 0; i < record->done + record->woken; i++) {
        const struct outcome *out = i < record->done ? &record->out[i] : &record->waking;
        whole_outcome_add(out->status);
        for (unsigned value = 0; value < 4; value++)
            whole_outcome_add(out->value[value]);
    }
}

void harness_finish(void)
{
    if (!running->raw) {
        host_running = &cpus[0]->arch;
        for (unsigned i = 0; i < world.cpus; i++)
            if (cpus[i]->current)
                explore_fail("check", "CPU %u ends in user mode", i);
            else if (frame_of((paddr_t){machine_root_of(i)})->state != FRAME_TABLE)
                explore_fail("stale", "CPU %u translates by a table that is free", i);
    }
    whole_outcome_begin();
    if (!running->raw)
        machine_show_lines();
    if (running->finish)
        running->finish();
    if (!running->raw) {
        world_check();
        for (unsigned i = 0; i < world.actor_count; i++)
            add_outcome(&world.actors[i], &records[i]);
    }
    whole_outcome_end();
}
